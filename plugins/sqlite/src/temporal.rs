//! Dates and times in the forms SQLite documents.
//!
//! - Text: `YYYY-MM-DD`, `YYYY-MM-DD HH:MM[:SS[.fraction]]` with a space or a `T`, and `Z` or
//!   `±HH:MM` at the end. An offset is applied, as SQLite's own functions do: what is left is UTC.
//! - Integers: seconds since 1970-01-01 UTC, of the years 0000 to 9999.
//! - Reals: Julian day numbers of the same years, to the millisecond, as SQLite computes them.
//!
//! Everything else is refused rather than guessed.

/// A point in time: seconds since 1970, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// 0 to 999 999 999.
    pub nanos: u32,
}

/// Seconds of a day.
pub const DAY: i64 = 86_400;
const FIRST_SECOND: i64 = -62_167_219_200;
const LAST_SECOND: i64 = 253_402_300_799;
/// Julian day numbers at noon are whole, and a NUMERIC column stores whole reals as integers.
const JULIAN_DAYS: std::ops::RangeInclusive<i64> = 1_721_060..=5_373_484;
/// The years 0000 to 9999.
const JULIAN_SPAN: std::ops::Range<f64> = 1_721_059.5..5_373_484.5;
const NANOS_OF_SECOND: i128 = 1_000_000_000;
const NANOS_OF_DAY: i128 = 86_400 * NANOS_OF_SECOND;

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years start in March, so that the leap day is their last.
    let year = if month <= 2 { year - 1 } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + in_year - 719_468)
}

/// The date so many days after 1970-01-01: `2024-02-29`. None beyond the years 0000 to 9999.
pub fn written_date(days_since_1970: i64) -> Option<String> {
    // Years start in March, so that the leap day is their last: an era of 400 of them always has as many days.
    let day = days_since_1970.checked_add(719_468)?;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (0..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// Reads a text from its start.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (head, rest) = self.0.split_at_checked(count)?;
        let value = head
            .iter()
            .try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))?;
        self.0 = rest;
        Some(value)
    }

    fn one_of(&mut self, accepted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !accepted.contains(first) {
            return None;
        }
        self.0 = rest;
        Some(*first)
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.digits(4)?;
        self.one_of(b"-")?;
        let month = self.digits(2)?;
        self.one_of(b"-")?;
        days(year, month, self.digits(2)?)
    }

    fn clock(&mut self) -> Option<Moment> {
        let hour = self.digits(2).filter(|hour| *hour < 24)?;
        self.one_of(b":")?;
        let minute = self.digits(2).filter(|minute| *minute < 60)?;
        let (mut second, mut nanos) = (0, 0);
        if self.one_of(b":").is_some() {
            second = self.digits(2).filter(|second| *second < 60)?;
            if self.one_of(b".").is_some() {
                nanos = self.fraction()?;
            }
        }
        Some(Moment { seconds: hour * 3600 + minute * 60 + second, nanos })
    }

    /// Digits after the point; those below a nanosecond must be zeros.
    fn fraction(&mut self) -> Option<u32> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        let (kept, below) = digits.split_at(length.min(9));
        if kept.is_empty() || below.iter().any(|byte| *byte != b'0') {
            return None;
        }
        self.0 = rest;
        let value = kept.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
        (kept.len()..9).try_fold(value, |value, _| value.checked_mul(10))
    }

    /// Seconds east of UTC; none is UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.one_of(b"Zz").is_some() {
            return Some(0);
        }
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hour = self.digits(2).filter(|hour| *hour < 15)?;
        self.one_of(b":")?;
        let minute = self.digits(2).filter(|minute| *minute < 60)?;
        Some(sign * (hour * 3600 + minute * 60))
    }
}

/// A date, with or without a time and an offset.
pub fn moment(text: &str) -> Option<Moment> {
    let mut text = Text(text.as_bytes());
    let day = text.date()?;
    let mut clock = Moment { seconds: 0, nanos: 0 };
    if text.one_of(b" T").is_some() {
        clock = text.clock()?;
        let _ = text.one_of(b" ");
        clock.seconds -= text.offset()?;
    }
    text.0.is_empty().then_some(Moment { seconds: day * DAY + clock.seconds, nanos: clock.nanos })
}

/// A time of day.
pub fn clock(text: &str) -> Option<Moment> {
    let mut text = Text(text.as_bytes());
    let clock = text.clock()?;
    text.0.is_empty().then_some(clock)
}

/// Seconds since 1970. Whole numbers that may be Julian days are refused.
pub fn epoch(seconds: i64) -> Option<Moment> {
    let certain = (FIRST_SECOND..=LAST_SECOND).contains(&seconds) && !JULIAN_DAYS.contains(&seconds);
    certain.then_some(Moment { seconds, nanos: 0 })
}

/// Whether a whole number may be a Julian day: noon of a day of the years 0000 to 9999.
pub fn is_julian_day(number: i64) -> bool {
    JULIAN_DAYS.contains(&number)
}

/// The whole of a Julian day number: its digits below the millisecond, too, to the nanosecond below. Two that differ
/// are never the same: the nearest ones are 40 microseconds apart.
pub fn julian_exact(day: f64) -> Option<Moment> {
    if !JULIAN_SPAN.contains(&day) {
        return None;
    }
    // Reals of this size are whole numbers of these.
    const PARTS: f64 = 4_294_967_296.0;
    #[allow(clippy::cast_possible_truncation, reason = "whole, and below 2^55")]
    let parts = i128::from((day * PARTS) as i64);
    let nanos = (parts * NANOS_OF_DAY).div_euclid(1 << 32) - 210_866_760_000 * NANOS_OF_SECOND;
    let seconds = i64::try_from(nanos.div_euclid(NANOS_OF_SECOND)).ok()?;
    Some(Moment { seconds, nanos: u32::try_from(nanos.rem_euclid(NANOS_OF_SECOND)).ok()? })
}

/// A Julian day number.
pub fn julian(day: f64) -> Option<Moment> {
    if !JULIAN_SPAN.contains(&day) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "within 5e14, by the range above")]
    let milliseconds = (day * 86_400_000.0 + 0.5).floor() as i64 - 210_866_760_000_000;
    let nanos = u32::try_from(milliseconds.rem_euclid(1000)).ok()? * 1_000_000;
    Some(Moment { seconds: milliseconds.div_euclid(1000), nanos })
}

impl Moment {
    /// Days since 1970, if it is midnight.
    pub fn midnight(self) -> Option<i32> {
        let whole = self.nanos == 0 && self.seconds.rem_euclid(DAY) == 0;
        whole.then(|| i32::try_from(self.seconds.div_euclid(DAY)).ok()).flatten()
    }

    /// Microseconds, if none of its digits are lost.
    pub fn micros(self) -> Option<i64> {
        let whole = self.nanos.is_multiple_of(1000);
        whole.then(|| self.seconds.checked_mul(1_000_000)?.checked_add((self.nanos / 1000).into())).flatten()
    }

    /// Nanoseconds, if they fit.
    pub fn nanos(self) -> Option<i64> {
        i64::try_from(i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: u32) -> Option<Moment> {
        Some(Moment { seconds, nanos })
    }

    #[test]
    fn documented_texts_are_read() {
        assert_eq!(moment("1970-01-01"), at(0, 0));
        assert_eq!(moment("2024-02-29 12:34"), at(1_709_210_040, 0));
        assert_eq!(moment("2024-02-29T12:34:56.123456789"), at(1_709_210_096, 123_456_789));
        assert_eq!(moment("2024-02-29 12:34:56.5Z"), at(1_709_210_096, 500_000_000));
        assert_eq!(moment("2024-02-29 12:34:56+02:00"), at(1_709_210_096 - 7200, 0));
        assert_eq!(moment("0000-01-01"), at(FIRST_SECOND, 0));
        assert_eq!(moment("9999-12-31 23:59:59"), at(LAST_SECOND, 0));
        assert_eq!(clock("23:59:59.999999").unwrap().micros(), Some(86_399_999_999));
        assert_eq!(clock("07:08"), at(25_680, 0));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2023-02-29",
            "2024-13-01",
            "2024-1-1",
            "20240101",
            "2024-01-01 24:00",
            "2024-01-01 12:60",
            "2024-01-01 12:00:60",
            "2024-01-01x",
            "2024-01-01 12",
            "2024-01-01 12:00:00.",
            "now",
            "+2024-01-01",
            "2024-01-01 12:00 Europe/Berlin",
            "2024-01-01 00:00:00.0000000001",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!(clock("24:00"), None);
        assert_eq!(clock("1:00"), None);
    }

    #[test]
    fn numbers_are_seconds_or_julian_days() {
        assert_eq!(epoch(1_704_067_200).and_then(Moment::midnight), Some(19_723));
        assert_eq!(epoch(0), at(0, 0));
        assert_eq!(epoch(1_704_067_200_000), None, "milliseconds");
        assert_eq!(epoch(2_460_310), None, "a Julian day at noon");
        assert_eq!(julian(2_440_587.5), at(0, 0));
        assert_eq!(julian(2_460_310.75), at(1_704_088_800, 0));
        assert_eq!(julian(1_704_067_200.5), None, "seconds with a fraction");
    }

    #[test]
    fn days_are_written_as_they_are_read() {
        for day in (-719_528..2_932_897).step_by(37).chain([-719_528, -1, 0, 19_782, 2_932_896]) {
            let text = written_date(day).unwrap();
            assert_eq!(moment(&text), at(day * DAY, 0), "{text}");
        }
        assert_eq!((written_date(-719_529), written_date(2_932_897)), (None, None));
    }

    #[test]
    fn no_two_julian_days_are_one_instant() {
        assert_eq!(julian_exact(2_440_587.5), at(0, 0));
        assert_eq!(julian_exact(2_460_310.75), at(1_704_088_800, 0));
        let day = 2_460_310.75_f64;
        let next = f64::from_bits(day.to_bits() + 1);
        assert_eq!(julian(day), julian(next), "to the millisecond");
        let nanos = |day| julian_exact(day).and_then(Moment::nanos).unwrap();
        assert!((40_000..41_000).contains(&(nanos(next) - nanos(day))));
    }

    #[test]
    fn digits_below_the_resolution_are_not_dropped() {
        assert_eq!(moment("2024-01-01 00:00:00.0000001").unwrap().micros(), None);
        assert_eq!(moment("2024-01-01 00:00:01").unwrap().midnight(), None);
        assert_eq!(moment("1600-01-01").unwrap().nanos(), None);
    }
}
