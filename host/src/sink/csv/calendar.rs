//! Dates, times and instants as ISO 8601 text.

use arrow_schema::TimeUnit;

/// Seconds of a day.
const DAY_S: i64 = 86_400;

/// How many of a unit make a second, and the digits after the point.
pub(super) fn resolution(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    }
}

/// `2024-02-29`. Years before 1 are astronomical and signed (`-0043` is 44 BC); years beyond
/// 9999 have more digits.
pub(super) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if year < 0 {
        out.push(b'-');
    }
    write_padded(year.unsigned_abs(), 4, out);
    out.push(b'-');
    write_padded(month, 2, out);
    out.push(b'-');
    write_padded(day, 2, out);
}

/// `12:00:00.123456`, with the digits of the unit.
pub(super) fn write_time(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (per_second, digits) = resolution(unit);
    let seconds = value.div_euclid(per_second).unsigned_abs();
    write_padded(seconds / 3600, 2, out);
    out.push(b':');
    write_padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    write_padded(seconds % 60, 2, out);
    if digits > 0 {
        out.push(b'.');
        write_padded(value.rem_euclid(per_second).unsigned_abs(), digits, out);
    }
}

/// `2024-02-29 12:00:00.123456`, with `Z` for an instant.
pub(super) fn write_timestamp(value: i64, unit: TimeUnit, instant: bool, out: &mut Vec<u8>) {
    let per_day = resolution(unit).0 * DAY_S;
    write_date(value.div_euclid(per_day), out);
    out.push(b' ');
    write_time(value.rem_euclid(per_day), unit, out);
    if instant {
        out.push(b'Z');
    }
}

/// The proleptic Gregorian date so many days after 1970-01-01.
///
/// Counted in years that begin in March, so that the leap day comes last.
fn civil(days: i64) -> (i64, u64, u64) {
    const ERA_DAYS: i64 = 146_097; // 400 years
    let shifted = days + 719_468; // days since 0000-03-01
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

/// A number with leading zeros up to `width` digits.
pub(super) fn write_padded(mut value: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 || digits.len() - start < width.min(20) {
        start -= 1;
        digits[start] = digit(value % 10);
        value /= 10;
    }
    out.extend_from_slice(&digits[start..]);
}

fn digit(value: u64) -> u8 {
    b"0123456789"[usize::try_from(value).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_agrees_with_jiff() {
        let start = jiff::civil::date(1600, 1, 1);
        for offset in 0..300_000i64 {
            let day = start.checked_add(jiff::Span::new().days(offset)).unwrap();
            let mut text = Vec::new();
            write_date(offset - 135_140, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), day.to_string());
        }
    }

    #[test]
    fn instants_before_1970_and_years_before_1_read_right() {
        let text = |value, instant| {
            let mut out = Vec::new();
            write_timestamp(value, TimeUnit::Microsecond, instant, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(-1, false), "1969-12-31 23:59:59.999999");
        assert_eq!(text(1_709_208_000_123_456, true), "2024-02-29 12:00:00.123456Z");
        let mut date = Vec::new();
        write_date(-735_160, &mut date);
        assert_eq!(String::from_utf8(date).unwrap(), "-0043-03-15");
    }
}
