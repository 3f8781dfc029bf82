//! Dates and times: MySQL sends their parts, and leaves out the parts that are zero.

use rivet_sdk::cursor::{Cursor, ReadNumbers as _};
use rivet_sdk::sql::rows::Fault;

pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// A date and time as it crosses. All zero is MySQL's zero date.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Moment {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    micros: u32,
}

impl Moment {
    #[inline(always)]
    fn parse(value: &[u8]) -> Result<Self, Fault> {
        let mut moment = Self::default();
        if !matches!(value.len(), 0 | 4 | 7 | 11) {
            return Err(Fault::Malformed);
        }
        let mut parts = Cursor::new(value);
        if let (Ok(year), Ok([month, day])) = (parts.u16_le(), parts.array()) {
            (moment.year, moment.month, moment.day) = (year, month, day);
        }
        if let Ok([hour, minute, second]) = parts.array() {
            (moment.hour, moment.minute, moment.second) = (hour, minute, second);
        }
        if let Ok(micros) = parts.u32_le() {
            moment.micros = micros;
        }
        if moment.hour > 23 || moment.minute > 59 || moment.second > 59 || moment.micros > 999_999 {
            return Err(Fault::Malformed);
        }
        Ok(moment)
    }

    /// Days since 1970-01-01; None for a date that no calendar has: a zero month or day, or
    /// (where the server lets them in) the 31st of February.
    #[inline(always)]
    fn days(self) -> Option<i32> {
        let (year, month, day) = (i32::from(self.year), i32::from(self.month), i32::from(self.day));
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let last = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        if !(1..=last).contains(&day) {
            return None;
        }
        // Years begin in March, so that the leap day is the last one.
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    #[inline(always)]
    fn of_day(self) -> i64 {
        let seconds = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        seconds * 1_000_000 + i64::from(self.micros)
    }
}

/// Days since 1970-01-01; None for a date that is none. A time of day is not dropped: it is no date's.
#[inline(always)]
pub(super) fn date(value: &[u8]) -> Result<Option<i32>, Fault> {
    let moment = Moment::parse(value)?;
    if moment.of_day() != 0 {
        return Err(Fault::Malformed);
    }
    Ok(moment.days())
}

/// Microseconds or nanoseconds since 1970; None for a date that is none, or too far away.
#[inline(always)]
pub(super) fn timestamp(value: &[u8], nanoseconds: bool) -> Result<Option<i64>, Fault> {
    let moment = Moment::parse(value)?;
    let micros = moment.days().map(|days| i64::from(days) * DAY_MICROS + moment.of_day());
    Ok(if nanoseconds { micros.and_then(|micros| micros.checked_mul(1000)) } else { micros })
}

/// Microseconds of a TIME, which may be negative and longer than a day.
pub(super) fn time(value: &[u8]) -> Result<i64, Fault> {
    if value.is_empty() {
        return Ok(0);
    }
    let mut parts = Cursor::new(value);
    let (negative, days, [hour, minute, second]) = (parts.u8()?, parts.u32_le()?, parts.array()?);
    let micros = if parts.is_at_end() { 0 } else { parts.u32_le()? };
    if negative > 1 || hour > 23 || minute > 59 || second > 59 || micros > 999_999 || !parts.is_at_end() {
        return Err(Fault::Malformed);
    }
    let of_day = Moment { hour, minute, second, micros, ..Moment::default() }.of_day();
    let all = i64::from(days).checked_mul(DAY_MICROS).and_then(|days| days.checked_add(of_day));
    let all = all.ok_or(Fault::Malformed)?;
    Ok(if negative == 1 { -all } else { all })
}

/// A moment for an error message.
pub(super) fn describe(value: &[u8]) -> String {
    let Ok(moment) = Moment::parse(value) else { return "a malformed date".to_owned() };
    let Moment { year, month, day, hour, minute, second, micros } = moment;
    match value.len() {
        0 => "the zero date 0000-00-00".to_owned(),
        4 => format!("the date {year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}"),
    }
}

/// A TIME for an error message.
pub(super) fn clock(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let seconds = micros.unsigned_abs() / 1_000_000;
    format!("the time {sign}{:02}:{:02}:{:02}", seconds / 3600, seconds % 3600 / 60, seconds % 60)
}
