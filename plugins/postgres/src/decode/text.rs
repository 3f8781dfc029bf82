//! Texts of types whose bytes are not their text, written as the server would write them.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use rivet_sdk::cursor::{Cursor, ReadNumbers as _};
use rivet_sdk::sql::rows::Fault;

use super::exact;
use super::numeric::Numeric;
use crate::kind::TextForm;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Appends the text of `value`.
pub(super) fn append(out: &mut Vec<u8>, value: &[u8], form: TextForm) -> Result<(), Fault> {
    match form {
        TextForm::Plain => out.extend_from_slice(value),
        TextForm::Char => char(out, value)?,
        TextForm::Numeric => numeric(out, value)?,
        TextForm::Interval => interval(out, value)?,
        TextForm::TimeTz => time_with_zone(out, value)?,
        TextForm::Inet => inet(out, value)?,
        TextForm::MacAddress => {
            for (index, byte) in value.iter().enumerate() {
                print(out, format_args!("{}{byte:02x}", if index == 0 { "" } else { ":" }));
            }
        }
        TextForm::Bits => bits(out, value)?,
        TextForm::Lsn => {
            let lsn = u64::from_be_bytes(exact(value)?);
            print(out, format_args!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF));
        }
    }
    Ok(())
}

fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(text);
}

fn char(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Fault> {
    match exact(value)? {
        [0] => {}
        [ascii @ 1..=0x7F] => out.push(ascii),
        [high] => print(out, format_args!("\\{high:03o}")),
    }
    Ok(())
}

fn numeric(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Fault> {
    let numeric = Numeric::parse(value)?;
    if let Some(name) = numeric.special() {
        out.extend_from_slice(name.as_bytes());
        return Ok(());
    }
    if numeric.is_negative() {
        out.push(b'-');
    }
    let mut digits = numeric.digits();
    if numeric.weight() < 0 {
        out.push(b'0');
    }
    for position in 0..=numeric.weight() {
        let digit = digits.next().unwrap_or(0);
        if position == 0 {
            print(out, format_args!("{digit}"));
        } else {
            print(out, format_args!("{digit:04}"));
        }
    }
    if numeric.scale == 0 {
        return Ok(());
    }
    out.push(b'.');
    let end = out.len() + numeric.scale;
    for _ in numeric.weight()..-1 {
        if out.len() < end {
            out.extend_from_slice(b"0000");
        }
    }
    while out.len() < end {
        print(out, format_args!("{:04}", digits.next().unwrap_or(0)));
    }
    out.truncate(end);
    Ok(())
}

/// Months, days and microseconds.
fn interval_parts(value: &[u8]) -> Result<(i32, i32, i64), Fault> {
    let bytes: [u8; 16] = exact(value)?;
    let mut parts = Cursor::new(&bytes);
    let (micros, days, months) = (parts.i64_be()?, parts.i32_be()?, parts.i32_be()?);
    Ok((months, days, micros))
}

fn interval(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Fault> {
    let (months, days, micros) = interval_parts(value)?;
    match (months, days, micros) {
        (0, 0, 0) => out.extend_from_slice(b"PT0S"),
        (i32::MAX, i32::MAX, i64::MAX) => out.extend_from_slice(b"infinity"),
        (i32::MIN, i32::MIN, i64::MIN) => out.extend_from_slice(b"-infinity"),
        _ => {
            out.push(b'P');
            for (count, unit) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
                if count != 0 {
                    print(out, format_args!("{count}{unit}"));
                }
            }
            if micros != 0 {
                out.push(b'T');
                clock(out, micros);
            }
        }
    }
    Ok(())
}

fn clock(out: &mut Vec<u8>, micros: i64) {
    let sign = if micros < 0 { "-" } else { "" };
    let total = micros.unsigned_abs();
    for (count, unit) in [(total / HOUR, 'H'), (total % HOUR / MINUTE, 'M')] {
        if count != 0 {
            print(out, format_args!("{sign}{count}{unit}"));
        }
    }
    let rest = total % MINUTE;
    if rest != 0 {
        print(out, format_args!("{sign}{}", rest / SECOND));
        fraction(out, rest % SECOND);
        out.push(b'S');
    }
}

fn fraction(out: &mut Vec<u8>, micros: u64) {
    if micros == 0 {
        return;
    }
    print(out, format_args!(".{micros:06}"));
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Microseconds of an interval without months; None where it has some, or is too long.
pub(super) fn duration(value: &[u8]) -> Result<Option<i64>, Fault> {
    let (months, days, micros) = interval_parts(value)?;
    if months != 0 {
        return Ok(None);
    }
    Ok(i64::from(days).checked_mul(super::DAY_MICROS).and_then(|days| days.checked_add(micros)))
}

fn time_with_zone(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Fault> {
    let bytes: [u8; 12] = exact(value)?;
    let mut parts = Cursor::new(&bytes);
    let Ok(micros) = u64::try_from(parts.i64_be()?) else { return Err(Fault::Malformed) };
    // Seconds west of Greenwich.
    let zone = parts.i32_be()?;
    print(out, format_args!("{:02}:{:02}:{:02}", micros / HOUR, micros % HOUR / MINUTE, micros % MINUTE / SECOND));
    fraction(out, micros % SECOND);
    let seconds = zone.unsigned_abs();
    print(out, format_args!("{}{:02}", if zone > 0 { '-' } else { '+' }, seconds / 3600));
    if seconds % 3600 != 0 {
        print(out, format_args!(":{:02}", seconds % 3600 / 60));
    }
    if seconds % 60 != 0 {
        print(out, format_args!(":{:02}", seconds % 60));
    }
    Ok(())
}

fn inet(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Fault> {
    let mut parts = Cursor::new(value);
    let [family, mask, is_cidr, _length] = parts.array()?;
    let address = parts.rest();
    let all = match family {
        2 => {
            print(out, format_args!("{}", Ipv4Addr::from(exact::<4>(address)?)));
            32
        }
        3 => {
            let bytes = exact::<16>(address)?;
            match Ipv6Addr::from(bytes).segments() {
                [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
                    print(out, format_args!("::{}", Ipv4Addr::new(a, b, c, d)));
                }
                _ => print(out, format_args!("{}", Ipv6Addr::from(bytes))),
            }
            128
        }
        _ => return Err(Fault::Malformed),
    };
    if mask != all || is_cidr != 0 {
        print(out, format_args!("/{mask}"));
    }
    Ok(())
}

fn bits(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Fault> {
    let mut parts = Cursor::new(value);
    let Ok(count) = usize::try_from(parts.i32_be()?) else { return Err(Fault::Malformed) };
    let bytes = parts.rest();
    if bytes.len() != count.div_ceil(8) {
        return Err(Fault::Malformed);
    }
    let digits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| b'0' + (byte >> bit & 1)));
    out.extend(digits.take(count));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: TextForm, value: &[u8]) -> String {
        let mut out = Vec::new();
        append(&mut out, value, form).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn interval_bytes(months: i32, days: i32, micros: i64) -> Vec<u8> {
        [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat()
    }

    #[test]
    fn intervals_read_as_the_server_writes_them() {
        for (months, days, micros, expected) in [
            (0, 0, 0, "PT0S"),
            (14, 3, 4 * 3_600_000_000 + 5 * 60_000_000 + 6_789_000, "P1Y2M3DT4H5M6.789S"),
            (-14, -3, -14_706_000_000, "P-1Y-2M-3DT-4H-5M-6S"),
            (0, 0, -500_000, "PT-0.5S"),
            (0, 1, 0, "P1D"),
        ] {
            assert_eq!(text(TextForm::Interval, &interval_bytes(months, days, micros)), expected);
        }
    }

    #[test]
    fn every_form_refuses_bytes_that_are_too_short() {
        for form in
            [TextForm::Char, TextForm::Numeric, TextForm::Interval, TextForm::TimeTz, TextForm::Inet, TextForm::Bits]
        {
            assert_eq!(append(&mut Vec::new(), &[], form), Err(Fault::Malformed), "{form:?}");
        }
    }

    #[test]
    fn addresses_and_bits() {
        assert_eq!(text(TextForm::Inet, &[2, 32, 0, 4, 10, 0, 0, 1]), "10.0.0.1");
        assert_eq!(text(TextForm::Inet, &[2, 24, 1, 4, 10, 0, 0, 0]), "10.0.0.0/24");
        assert_eq!(text(TextForm::MacAddress, &[8, 0, 43, 1, 2, 255]), "08:00:2b:01:02:ff");
        assert_eq!(text(TextForm::Bits, &[0, 0, 0, 10, 0b1010_0000, 0b0100_0000]), "1010000001");
    }
}
