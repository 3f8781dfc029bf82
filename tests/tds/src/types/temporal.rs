//! Days, 100-nanosecond ticks and offsets, and the texts they come from.

use std::cell::Cell;

use super::{Kind, Type};
use crate::error::{SqlError, SqlResult};

/// Ticks of 100 ns in a second and in a day.
pub const SECOND: u64 = 10_000_000;
pub const DAY: u64 = 86_400 * SECOND;
/// Days from 0001-01-01 to 1900-01-01, and to 1753-01-01.
pub const DAYS_1900: i32 = 693_595;
pub const DAYS_1753: i32 = 639_905;
/// The day after 9999-12-31.
pub const DAYS_END: i32 = 3_652_059;

/// A moment: days since 0001-01-01, ticks in the day, and minutes east of UTC (for datetimeoffset,
/// whose days and ticks are those of UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub days: i32,
    pub ticks: u64,
    pub offset: i32,
}

/// Days since 0001-01-01 of a proleptic Gregorian date.
pub fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return None;
    }
    let before = year - 1;
    let mut days = before * 365 + before / 4 - before / 100 + before / 400;
    for earlier in 1..month {
        days += i32::try_from(month_length(year, earlier)).ok()?;
    }
    Some(days + i32::try_from(day).ok()? - 1)
}

pub fn month_length(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Year, month and day.
pub fn date(days: i32) -> (i32, u32, u32) {
    // A year guessed from the mean length is off by one at most.
    let mut year = i32::try_from(i64::from(days) * 400 / 146_097).unwrap_or(0) + 1;
    while self::days(year, 1, 1).is_none_or(|start| start > days) && year > 1 {
        year -= 1;
    }
    while self::days(year + 1, 1, 1).is_some_and(|start| start <= days) {
        year += 1;
    }
    let mut rest = u32::try_from(days - self::days(year, 1, 1).unwrap_or(0)).unwrap_or(0);
    let mut month = 1;
    while month < 12 && rest >= month_length(year, month) {
        rest -= month_length(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

impl Moment {
    pub const fn new(days: i32, ticks: u64) -> Self {
        Self { days, ticks, offset: 0 }
    }

    /// Moves by ticks, into other days if need be.
    pub fn plus(self, ticks: i64) -> Self {
        let day = i64::try_from(DAY).unwrap_or(i64::MAX);
        let all = i64::try_from(self.ticks).unwrap_or(0) + ticks;
        Self {
            days: self.days + i32::try_from(all.div_euclid(day)).unwrap_or(0),
            ticks: u64::try_from(all.rem_euclid(day)).unwrap_or(0),
            offset: self.offset,
        }
    }

    /// The wall clock at the offset, as a moment without one.
    pub fn local(self) -> Self {
        Self { offset: 0, ..self.plus(minutes(self.offset)) }
    }

    /// Rounds to so many fraction digits of a second, half up.
    pub fn rounded(self, scale: u8) -> Self {
        let unit = 10_u64.pow(u32::from(7 - scale.min(7)));
        let ticks = (self.ticks + unit / 2) / unit * unit;
        Self { ticks: 0, ..self }.plus(i64::try_from(ticks).unwrap_or(0))
    }

    /// To the 1/300 s of datetime.
    pub fn to_datetime(self) -> Self {
        let thirds = thirds(self.ticks);
        Self { ticks: 0, ..self }.plus(i64::try_from(from_thirds(thirds)).unwrap_or(0))
    }

    /// Reads the canonical form.
    pub fn canonical(text: &str) -> Option<Self> {
        let (date, clock) = match text.len() {
            10 => (Some(text), None),
            16 => (None, Some(text)),
            27 => (Some(&text[..10]), Some(&text[11..])),
            34 => (Some(&text[..10]), Some(&text[11..27])),
            _ => return None,
        };
        let number = |text: &str| text.parse::<u32>().ok();
        let days = match date {
            Some(date) => days(date.get(..4)?.parse().ok()?, number(date.get(5..7)?)?, number(date.get(8..10)?)?)?,
            None => DAYS_1900,
        };
        let ticks = match clock {
            Some(clock) => {
                let seconds =
                    number(clock.get(..2)?)? * 3600 + number(clock.get(3..5)?)? * 60 + number(clock.get(6..8)?)?;
                u64::from(seconds) * SECOND + u64::from(number(clock.get(9..16)?)?)
            }
            None => 0,
        };
        let offset = if text.len() == 34 {
            let minutes = text[29..31].parse::<i32>().ok()? * 60 + text[32..34].parse::<i32>().ok()?;
            if &text[28..29] == "-" { -minutes } else { minutes }
        } else {
            0
        };
        Some(Self { days, ticks, offset })
    }

    /// Writes the canonical form of a type.
    pub fn store(self, kind: Kind) -> String {
        match kind {
            Kind::Date => self.date_text(),
            Kind::Time => self.clock_text(7),
            Kind::DateTimeOffset => {
                format!("{} {} {}", self.date_text(), self.clock_text(7), offset_text(self.offset))
            }
            _ => format!("{} {}", self.date_text(), self.clock_text(7)),
        }
    }

    pub fn date_text(self) -> String {
        let (year, month, day) = date(self.days);
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// `hh:mm:ss`, with a fraction of so many digits, cut.
    pub fn clock_text(self, scale: u8) -> String {
        let seconds = self.ticks / SECOND;
        let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if scale > 0 {
            let fraction = format!("{:07}", self.ticks % SECOND);
            text.push('.');
            text.push_str(&fraction[..usize::from(scale.min(7))]);
        }
        text
    }

    /// Fits the moment into a type: rounds it and checks its range.
    pub fn fitted(self, target: &Type) -> SqlResult<Self> {
        let fitted = match target.kind {
            Kind::Date => Self { ticks: 0, ..self },
            // A time rounds around midnight without a day to carry into.
            Kind::Time => Self { days: DAYS_1900, ..self.rounded(target.scale) },
            Kind::DateTime => self.to_datetime(),
            Kind::SmallDateTime => {
                let minute = 60 * SECOND;
                let ticks = (self.ticks + 30 * SECOND) / minute * minute;
                Self { ticks: 0, ..self }.plus(i64::try_from(ticks).unwrap_or(0))
            }
            _ => self.rounded(target.scale),
        };
        let (first, end) = match target.kind {
            Kind::DateTime => (DAYS_1753, DAYS_END),
            Kind::SmallDateTime => (DAYS_1900, DAYS_1900 + 65_536),
            _ => (0, DAYS_END),
        };
        if fitted.days < first || fitted.days >= end {
            return Err(SqlError::new(
                242,
                format!("The conversion to data type {} resulted in an out-of-range value.", target.base_name()),
            )
            .state(3));
        }
        Ok(fitted)
    }
}

/// 300ths of a second, rounded.
pub fn thirds(ticks: u64) -> u64 {
    (ticks * 300 + SECOND / 2) / SECOND
}

/// Ticks of so many 300ths, as datetime2(7) shows them.
pub fn from_thirds(thirds: u64) -> u64 {
    (thirds * SECOND + 150) / 300
}

pub fn minutes(count: i32) -> i64 {
    i64::from(count) * 60 * i64::try_from(SECOND).unwrap_or(0)
}

pub fn offset_text(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// In which order the numbers of a date stand: DATEFORMAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Mdy,
    Dmy,
    Ymd,
}

thread_local! {
    /// That of the session this thread serves: a session has its thread to itself.
    static ORDER: Cell<Order> = const { Cell::new(Order::Mdy) };
}

/// From now on, texts of this thread's session are read in this DATEFORMAT.
pub fn set_date_format(format: &str) {
    ORDER.set(match format {
        "dmy" => Order::Dmy,
        "ymd" => Order::Ymd,
        _ => Order::Mdy,
    });
}

/// As [`parse`], into `datetime` or `smalldatetime`: these read even `yyyy-mm-dd` in the order of
/// DATEFORMAT. Only `yyyymmdd` and `yyyy-mm-ddThh:mm:ss` are the same everywhere.
pub fn parse_old(text: &str) -> Option<Moment> {
    let text = text.trim_matches(' ');
    let head = text.split(' ').next().unwrap_or_default();
    if let [year, month, day] = head.split(['-', '/']).collect::<Vec<_>>()[..]
        && year.len() == 4
        && !head.contains(['T', 't'])
        && ORDER.get() == Order::Dmy
    {
        return parse(&text.replacen(head, &format!("{year}-{day}-{month}"), 1));
    }
    parse(text)
}

/// Reads a literal: ISO in its several spellings, `yyyymmdd`, or `Mon dd yyyy hh:mmAM`. A moment with an
/// offset comes back in UTC.
pub fn parse(text: &str) -> Option<Moment> {
    let text = text.trim_matches(' ');
    let (body, offset) = split_offset(text)?;
    let (date, clock) = split_date(body)?;
    let ticks = if clock.is_empty() { 0 } else { parse_clock(clock)? };
    let moment = Moment { days: date.unwrap_or(DAYS_1900), ticks, offset: 0 };
    let Some(offset) = offset else { return Some(moment) };
    Some(Moment { offset, ..moment.plus(-minutes(offset)) })
}

/// Whether the text names an offset or `Z`.
fn split_offset(text: &str) -> Option<(&str, Option<i32>)> {
    if let Some(body) = text.strip_suffix(['Z', 'z']) {
        return Some((body, Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']).filter(|at| text[..*at].contains(':')) else { return Some((text, None)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let minutes = hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?;
    if minutes > 14 * 60 {
        return None;
    }
    Some((text[..at].trim_end(), Some(if text[at..].starts_with('-') { -minutes } else { minutes })))
}

/// The day, if the text has one, and what follows it.
fn split_date(text: &str) -> Option<(Option<i32>, &str)> {
    let number = |text: &str| text.parse::<u32>().ok();
    if text.is_empty() {
        return Some((Some(DAYS_1900), ""));
    }
    let head = text.split([' ', 'T']).next()?;
    if head.contains(':') {
        return Some((None, text));
    }
    if MONTHS.iter().any(|month| text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(month))) {
        let mut words = text.split_whitespace();
        let name = words.next()?.to_ascii_lowercase();
        let month = MONTHS.iter().position(|month| name.starts_with(month))?;
        let day = number(words.next()?.trim_end_matches(','))?;
        let year = words.next()?;
        let clock = text.split_once(year)?.1.trim_start();
        return Some((Some(days(year.parse().ok()?, u32::try_from(month).ok()? + 1, day)?), clock));
    }
    let rest = text[head.len()..].trim_start_matches('T').trim_start();
    let parts: Vec<&str> = head.split(['-', '/']).collect();
    let day = match &parts[..] {
        [all] if all.len() == 8 && all.is_ascii() => {
            days(all[..4].parse().ok()?, number(&all[4..6])?, number(&all[6..])?)?
        }
        [year, month, day] if year.len() == 4 => days(year.parse().ok()?, number(month)?, number(day)?)?,
        [day, month, year] if year.len() == 4 && ORDER.get() == Order::Dmy => {
            days(year.parse().ok()?, number(month)?, number(day)?)?
        }
        [month, day, year] if year.len() == 4 => days(year.parse().ok()?, number(month)?, number(day)?)?,
        _ => return None,
    };
    Some((Some(day), rest))
}

fn parse_clock(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (body, half) = if let Some(body) = lower.strip_suffix("am") {
        (body.trim_end(), Some(0))
    } else if let Some(body) = lower.strip_suffix("pm") {
        (body.trim_end(), Some(12))
    } else {
        (lower.as_str(), None)
    };
    let mut parts = body.splitn(3, ':');
    let mut hour = parts.next()?.parse::<u64>().ok()?;
    let minute = parts.next()?.parse::<u64>().ok()?;
    let seconds = parts.next().unwrap_or("0");
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let second = second.parse::<u64>().ok()?;
    if let Some(half) = half {
        hour = hour % 12 + half;
    }
    if hour > 23 || minute > 59 || second > 59 || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse::<u64>().ok()?;
    Some((hour * 3600 + minute * 60 + second) * SECOND + (nanos + 50) / 100)
}
