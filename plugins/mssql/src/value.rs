//! Single values: numbers and moments out of their bytes, and their text.

use std::io::Write;

use rivet_sdk::{Error, Result, Scalar};

use crate::error::confused;
use crate::meta::{Format, ResultColumn, variant};

/// 0001-01-01 and 1900-01-01, in days from 1970-01-01.
const YEAR_ONE: i32 = -719_162;
const YEAR_1900: i32 = -25_567;
/// 9999-12-31, in days from 0001-01-01.
const LAST_DAY: i32 = 3_652_058;
/// A day in units of 100 ns, which is what SQL Server's finest types count.
pub(crate) const DAY_TICKS: i64 = 864_000_000_000;
const POWERS: [i64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The bytes of a value are not what its type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

type Parsed<T> = std::result::Result<T, Malformed>;

#[inline(always)]
pub(crate) fn exact<const N: usize>(value: &[u8]) -> Parsed<[u8; N]> {
    value.try_into().map_err(|_| Malformed)
}

/// Days from 1970-01-01.
#[inline]
pub(crate) fn date(value: &[u8]) -> Parsed<i32> {
    let [a, b, c] = exact(value)?;
    match i32::from_le_bytes([a, b, c, 0]) {
        days @ 0..=LAST_DAY => Ok(days + YEAR_ONE),
        _ => Err(Malformed),
    }
}

/// A time of day in units of 100 ns.
#[inline]
pub(crate) fn time(value: &[u8], scale: u8) -> Parsed<i64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..value.len()).filter(|_| (3..=5).contains(&value.len())).ok_or(Malformed)?.copy_from_slice(value);
    let unit = POWERS.get(7 - usize::from(scale.min(7))).copied().unwrap_or(1);
    match i64::from_le_bytes(bytes).checked_mul(unit) {
        Some(ticks @ 0..DAY_TICKS) => Ok(ticks),
        _ => Err(Malformed),
    }
}

/// A moment in units of 100 ns from 1970-01-01.
#[inline]
pub(crate) fn moment(value: &[u8], format: Format) -> Parsed<i64> {
    match format {
        Format::DateTime2(scale) => {
            let (clock, day) = value.split_last_chunk::<3>().ok_or(Malformed)?;
            Ok(i64::from(date(day)?) * DAY_TICKS + time(clock, scale)?)
        }
        Format::DateTime => {
            let bytes: [u8; 8] = exact(value)?;
            let [a, b, c, d, e, f, g, h] = bytes;
            let (days, third) = (i32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            if third >= 25_920_000 || !(-53_690..=2_958_463).contains(&days) {
                return Err(Malformed);
            }
            // A three-hundredth of a second as the server prints it: 0, 3, 7, 10, 13, 17 …
            let milliseconds = (i64::from(third) * 10 + 1) / 3;
            Ok(i64::from(days + YEAR_1900) * DAY_TICKS + milliseconds * 10_000)
        }
        Format::SmallDateTime => {
            let [a, b, c, d] = exact(value)?;
            let (days, minutes) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            if minutes >= 1440 {
                return Err(Malformed);
            }
            Ok(i64::from(i32::from(days) + YEAR_1900) * DAY_TICKS + i64::from(minutes) * 600_000_000)
        }
        Format::DateTimeOffset(scale) => {
            let (moment, _offset) = value.split_last_chunk::<2>().ok_or(Malformed)?;
            self::moment(moment, Format::DateTime2(scale))
        }
        _ => Err(Malformed),
    }
}

/// Ten-thousandths.
#[inline]
pub(crate) fn money(value: &[u8]) -> Parsed<i64> {
    match value.len() {
        4 => Ok(i32::from_le_bytes(exact(value)?).into()),
        // The high half first.
        8 => {
            let [a, b, c, d, e, f, g, h] = exact(value)?;
            Ok(i64::from_le_bytes([e, f, g, h, a, b, c, d]))
        }
        _ => Err(Malformed),
    }
}

/// The integer behind a decimal: a sign, then up to sixteen bytes.
#[inline]
pub(crate) fn decimal(value: &[u8]) -> Parsed<i128> {
    let (sign, magnitude) = value.split_first().ok_or(Malformed)?;
    let unsigned = match magnitude.len() {
        4 => u128::from(u32::from_le_bytes(exact(magnitude)?)),
        8 => u128::from(u64::from_le_bytes(exact(magnitude)?)),
        12 | 16 => {
            let mut bytes = [0; 16];
            bytes.get_mut(..magnitude.len()).ok_or(Malformed)?.copy_from_slice(magnitude);
            u128::from_le_bytes(bytes)
        }
        _ => return Err(Malformed),
    };
    let unsigned = i128::try_from(unsigned).map_err(|_| Malformed)?;
    Ok(if *sign == 0 { -unsigned } else { unsigned })
}

/// A GUID in the order its text has: the first three groups are little-endian on the wire.
#[inline]
pub(crate) fn uuid(value: &[u8]) -> Parsed<[u8; 16]> {
    let mut bytes: [u8; 16] = exact(value)?;
    for group in [0..4, 4..6, 6..8] {
        bytes.get_mut(group).ok_or(Malformed)?.reverse();
    }
    Ok(bytes)
}

/// The text of a value, as ISO 8601 or the server itself would write it.
pub(crate) fn text(out: &mut Vec<u8>, format: Format, value: &[u8]) -> Parsed<()> {
    match format {
        Format::Nothing | Format::Clr => return Err(Malformed),
        Format::Bit => print(out, format_args!("{}", u8::from(exact::<1>(value)? != [0]))),
        Format::TinyInt => print(out, format_args!("{}", u8::from_le_bytes(exact(value)?))),
        Format::Int16 => print(out, format_args!("{}", i16::from_le_bytes(exact(value)?))),
        Format::Int32 => print(out, format_args!("{}", i32::from_le_bytes(exact(value)?))),
        Format::Int64 => print(out, format_args!("{}", i64::from_le_bytes(exact(value)?))),
        Format::Real => print(out, format_args!("{:?}", f32::from_le_bytes(exact(value)?))),
        Format::Float => print(out, format_args!("{:?}", f64::from_le_bytes(exact(value)?))),
        Format::Decimal { scale, .. } => digits(out, decimal(value)?, scale),
        Format::Money | Format::SmallMoney => digits(out, money(value)?.into(), 4),
        Format::Date => calendar(out, date(value)?),
        Format::Time(scale) => clock(out, time(value, scale)?, scale),
        Format::DateTime => date_and_time(out, moment(value, format)?, 3),
        Format::SmallDateTime => date_and_time(out, moment(value, format)?, 0),
        Format::DateTime2(scale) => date_and_time(out, moment(value, format)?, scale),
        Format::DateTimeOffset(scale) => {
            let (_, offset) = value.split_last_chunk::<2>().ok_or(Malformed)?;
            let minutes = i16::from_le_bytes(*offset);
            if minutes.unsigned_abs() > 14 * 60 {
                return Err(Malformed);
            }
            date_and_time(out, moment(value, format)? + i64::from(minutes) * 600_000_000, scale);
            let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
            print(out, format_args!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
        }
        Format::Guid => {
            for (index, byte) in uuid(value)?.iter().enumerate() {
                print(out, format_args!("{}{byte:02X}", if [4, 6, 8, 10].contains(&index) { "-" } else { "" }));
            }
        }
        Format::Bytes => {
            out.extend_from_slice(b"0x");
            value.iter().for_each(|byte| print(out, format_args!("{byte:02X}")));
        }
        Format::Utf16 => crate::decode::utf16(out, value).map_err(|_| Malformed)?,
        Format::Narrow(page) => page.append(out, value).map_err(|_| Malformed)?,
        Format::Variant => {
            let (format, value) = variant(value).ok_or(Malformed)?;
            text(out, format, value)?;
        }
    }
    Ok(())
}

/// A value of a small answer.
pub(crate) fn scalar(column: &ResultColumn, value: &[u8]) -> Result<Scalar> {
    let (format, value) = match column.format {
        Format::Variant => variant(value).ok_or_else(|| confused("a sql_variant of an unknown type"))?,
        format => (format, value),
    };
    let mut out = Vec::new();
    text(&mut out, format, value).map_err(|Malformed| match format {
        Format::Narrow(_) => Error::data(format!("`{}` holds text in a code page", column.name))
            .with_hint("cast it in the query: CAST(… AS nvarchar(4000))"),
        _ => confused(format!("a value of `{}`", column.name)),
    })?;
    let text = String::from_utf8(out).map_err(|_| confused(format!("a text of `{}`", column.name)))?;
    Ok(match format {
        Format::Bit => Scalar::Boolean(text == "1"),
        Format::TinyInt | Format::Int16 | Format::Int32 | Format::Int64 => {
            Scalar::Integer(text.parse().map_err(|_| Error::internal("an integer's text is none"))?)
        }
        Format::Real | Format::Float => Scalar::Float(text),
        Format::Decimal { .. } | Format::Money | Format::SmallMoney => Scalar::Decimal(text),
        Format::Date => Scalar::Date(text),
        Format::Time(_) => Scalar::Time(text),
        Format::DateTime | Format::SmallDateTime | Format::DateTime2(_) => Scalar::Timestamp(text),
        Format::DateTimeOffset(_) => Scalar::Instant(text),
        Format::Guid => Scalar::Uuid(text.to_ascii_lowercase()),
        Format::Bytes => Scalar::Bytes(text.trim_start_matches("0x").to_ascii_lowercase()),
        _ => Scalar::Text(text),
    })
}

fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(text);
}

/// An integer with a point before its last `scale` digits.
pub(crate) fn digits(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let text = format!("{:0width$}", unscaled.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = text.split_at(text.len() - usize::from(scale));
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

fn date_and_time(out: &mut Vec<u8>, ticks: i64, scale: u8) {
    let days = i32::try_from(ticks.div_euclid(DAY_TICKS)).unwrap_or(i32::MAX);
    calendar(out, days);
    out.push(b' ');
    clock(out, ticks.rem_euclid(DAY_TICKS), scale);
}

fn clock(out: &mut Vec<u8>, ticks: i64, scale: u8) {
    let seconds = ticks / 10_000_000;
    print(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    if scale > 0 {
        let unit = POWERS.get(7 - usize::from(scale.min(7))).copied().unwrap_or(1);
        print(out, format_args!(".{:0width$}", ticks % 10_000_000 / unit, width = usize::from(scale)));
    }
}

/// Days from 1970-01-01 as a date, by the proleptic Gregorian calendar.
fn calendar(out: &mut Vec<u8>, days: i32) {
    // Howard Hinnant's civil_from_days: years begin in March, eras have 400 of them.
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    print(out, format_args!("{year:04}-{month:02}-{day:02}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::CodePage;

    fn read(format: Format, value: &[u8]) -> String {
        let mut out = Vec::new();
        text(&mut out, format, value).unwrap_or_else(|_| panic!("{format:?} {value:02X?}"));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn moments_read_at_their_edges() {
        for (format, value, expected) in [
            (Format::Date, &[0, 0, 0][..], "0001-01-01"),
            (Format::Date, &[0xDA, 0xB9, 0x37], "9999-12-31"),
            (Format::Time(7), &[0xFF, 0xBF, 0x69, 0x2A, 0xC9], "23:59:59.9999999"),
            (Format::Time(0), &[0x7F, 0x51, 0x01], "23:59:59"),
            (Format::DateTime2(7), &[0, 0, 0, 0, 0, 0, 0, 0], "0001-01-01 00:00:00.0000000"),
            (Format::DateTime2(7), &[0xFF, 0xBF, 0x69, 0x2A, 0xC9, 0xDA, 0xB9, 0x37], "9999-12-31 23:59:59.9999999"),
            // MS-TDS 2.2.5.5.1.8's example value: 12:00 at +02:00, kept in UTC.
            (Format::DateTimeOffset(0), &[0xA0, 0x8C, 0x00, 0x5B, 0x95, 0x0A, 0x78, 0x00], "1900-01-01 12:00:00+02:00"),
            (Format::DateTime, &[0, 0, 0, 0, 1, 0, 0, 0], "1900-01-01 00:00:00.003"),
            (Format::DateTime, &[0, 0, 0, 0, 2, 0, 0, 0], "1900-01-01 00:00:00.007"),
            (Format::DateTime, &[0x46, 0x2E, 0xFF, 0xFF, 0, 0, 0, 0], "1753-01-01 00:00:00.000"),
            (Format::DateTime, &[0x7F, 0x24, 0x2D, 0, 0xFF, 0x81, 0x8B, 0x01], "9999-12-31 23:59:59.997"),
            (Format::SmallDateTime, &[0xFF, 0xFF, 0x9F, 0x05], "2079-06-06 23:59:00"),
        ] {
            assert_eq!(read(format, value), expected, "{format:?}");
        }
    }

    #[test]
    fn every_three_hundredth_of_a_second_has_its_own_printed_millisecond() {
        let mut last = -1;
        for third in 0..300_u32 {
            let value = [[0; 4], third.to_le_bytes()].concat();
            let found = moment(&value, Format::DateTime).unwrap() - i64::from(YEAR_1900) * DAY_TICKS;
            let milliseconds = found / 10_000;
            assert!(milliseconds > last && [0, 3, 7].contains(&(milliseconds % 10)), "{third}: {milliseconds}");
            last = milliseconds;
        }
    }

    #[test]
    fn numbers_read_at_their_edges() {
        let decimal = |precision, scale| Format::Decimal { precision, scale };
        let largest = [&[1][..], &(10_u128.pow(38) - 1).to_le_bytes()].concat();
        let smallest = [&[0][..], &(10_u128.pow(38) - 1).to_le_bytes()].concat();
        for (format, value, expected) in [
            (decimal(38, 38), &largest[..], "0.99999999999999999999999999999999999999"),
            (decimal(38, 0), &smallest, "-99999999999999999999999999999999999999"),
            (decimal(9, 2), &[0, 1, 0, 0, 0], "-0.01"),
            (decimal(28, 4), &[1, 0x10, 0x27, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "1.0000"),
            (Format::Money, &[0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF], "922337203685477.5807"),
            (Format::Money, &[0, 0, 0, 0x80, 0, 0, 0, 0], "-922337203685477.5808"),
            (Format::SmallMoney, &[0, 0, 0, 0x80], "-214748.3648"),
            (Format::TinyInt, &[255], "255"),
            (Format::Float, &1e300_f64.to_le_bytes(), "1e300"),
            (
                Format::Guid,
                &[0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF],
                "00112233-4455-6677-8899-AABBCCDDEEFF",
            ),
            // A sql_variant: type, no properties, value; then one with precision and scale.
            (Format::Variant, &[0x38, 0, 7, 0, 0, 0], "7"),
            (Format::Variant, &[0x6C, 2, 5, 1, 1, 15, 0, 0, 0], "1.5"),
            (Format::Variant, &[0xE7, 7, 9, 4, 0xD0, 0, 0x34, 100, 0, b'h', 0, b'i', 0], "hi"),
            // Its collation says what the bytes of a varchar are: Western European, then Cyrillic.
            (Format::Variant, &[0xA7, 7, 9, 4, 0xD0, 0, 0x34, 100, 0, 0xE9], "é"),
            (Format::Variant, &[0xA7, 7, 0x19, 4, 0xD0, 0, 0, 100, 0, 0xE9], "й"),
        ] {
            assert_eq!(read(format, value), expected, "{format:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let formats = [
            Format::Bit,
            Format::Int64,
            Format::Real,
            Format::Decimal { precision: 38, scale: 38 },
            Format::Money,
            Format::Date,
            Format::Time(7),
            Format::DateTime,
            Format::SmallDateTime,
            Format::DateTime2(3),
            Format::DateTimeOffset(7),
            Format::Guid,
            Format::Utf16,
            Format::Narrow(CodePage::Utf8),
            Format::Variant,
        ];
        for format in formats {
            for length in 0..40 {
                for fill in [0x00, 0x01, 0x24, 0x6A, 0x7F, 0xD8, 0xFF] {
                    let _ = text(&mut Vec::new(), format, &vec![fill; length]);
                }
            }
        }
    }
}
