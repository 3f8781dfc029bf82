//! Values as texts, in the styles of CONVERT.

use rusqlite::types::ValueRef;

use super::numeric::Number;
use super::temporal::{Moment, date, offset_text};
use super::{Kind, Type, encode};
use crate::error::{SqlError, SqlResult};

/// A value as text.
pub fn text(value: ValueRef<'_>, from: &Type, to: &Type, style: Option<i64>) -> SqlResult<String> {
    match from.kind {
        _ if from.is_text() => match value {
            ValueRef::Blob(bytes) => Ok(crate::wire::from_utf16(bytes)),
            _ => Ok(encode::text(from, value)?.to_owned()),
        },
        Kind::Xml | Kind::UniqueIdentifier | Kind::HierarchyId => Ok(encode::text(from, value)?.to_owned()),
        _ if from.is_integer() => Ok(encode::integer(from, value)?.to_string()),
        Kind::Decimal | Kind::Numeric => Ok(encode::text(from, value)?.to_owned()),
        Kind::Money | Kind::SmallMoney => money(encode::text(from, value)?, style.unwrap_or(0)),
        Kind::Real | Kind::Float => float(encode::real(from, value)?, from.kind, style.unwrap_or(0)),
        _ if from.is_temporal() => {
            let moment = Moment::canonical(encode::text(from, value)?).ok_or_else(|| SqlError::conversion(from, to))?;
            let usual = if matches!(from.kind, Kind::DateTime | Kind::SmallDateTime) { 0 } else { 121 };
            moment_text(moment, from, style.unwrap_or(usual))
        }
        _ if from.is_binary() => binary(encode::bytes(from, value)?, to, style.unwrap_or(0)),
        _ => Err(SqlError::new(
            529,
            format!("Explicit conversion from data type {} to {} is not allowed.", from.base_name(), to.base_name()),
        )),
    }
}

fn unknown(style: i64) -> SqlError {
    SqlError::new(281, format!("{style} is not a valid style number when converting to a character string."))
}

fn binary(bytes: Vec<u8>, to: &Type, style: i64) -> SqlResult<String> {
    let hex = || -> String { bytes.iter().map(|byte| format!("{byte:02X}")).collect() };
    match style {
        0 => Ok(to.collation.decode(&bytes)),
        1 => Ok(format!("0x{}", hex())),
        2 => Ok(hex()),
        other => Err(unknown(other)),
    }
}

fn money(text: &str, style: i64) -> SqlResult<String> {
    let number = Number::parse(text).ok_or_else(|| SqlError::new(8114, "a broken money"))?;
    match style {
        0 => Ok(number.rescaled(2).map(|number| number.to_string()).unwrap_or_default()),
        2 | 126 => Ok(number.rescaled(4).map(|number| number.to_string()).unwrap_or_default()),
        other => Err(unknown(other)),
    }
}

/// Six digits and no exponent where that will do, or 8, 16, 17 (9 of a real) with one.
fn float(value: f64, kind: Kind, style: i64) -> SqlResult<String> {
    let digits = match (style, kind) {
        (0, _) => 6,
        (1, _) => 8,
        (2, _) => 16,
        (3, Kind::Real) => 9,
        (3, _) => 17,
        (other, _) => return Err(unknown(other)),
    };
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let signed = |mantissa: &str| {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:03}", exponent.abs())
    };
    if style != 0 {
        return Ok(signed(mantissa));
    }
    let trimmed = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if value == 0.0 {
        return Ok("0".to_owned());
    }
    if (-5..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or(0);
        return Ok(trimmed(&format!("{value:.places$}")));
    }
    Ok(signed(&trimmed(mantissa)))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn moment_text(moment: Moment, from: &Type, style: i64) -> SqlResult<String> {
    let zone = from.kind == Kind::DateTimeOffset;
    let utc = zone && style == 127;
    let offset = moment.offset;
    let moment = if utc { Moment { offset: 0, ..moment } } else { moment.local() };
    let has_date = from.kind != Kind::Time;
    let has_clock = from.kind != Kind::Date;
    let scale = match from.kind {
        Kind::DateTime | Kind::SmallDateTime => 3,
        _ => from.scale,
    };
    // datetime shows the nearest millisecond of its 300ths.
    let moment = if from.kind == Kind::DateTime { moment.rounded(3) } else { moment };
    let (year, month, day) = date(moment.days);
    let clock = moment.clock_text(scale);
    let whole = moment.clock_text(0);
    let join = |date: String, clock: &str, between: &str, zone_text: String| {
        let mut text = String::new();
        if has_date {
            text.push_str(&date);
        }
        if has_date && has_clock {
            text.push_str(between);
        }
        if has_clock {
            text.push_str(clock);
        }
        text.push_str(&zone_text);
        text
    };
    let spaced = if zone { format!(" {}", offset_text(offset)) } else { String::new() };
    let iso = moment.date_text();
    Ok(match style {
        0 | 100 => {
            let hour = whole[..2].parse::<u32>().unwrap_or(0);
            let half = if hour < 12 { "AM" } else { "PM" };
            let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
            let name = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
            let date = format!("{name} {day:>2} {year}");
            join(date, &format!("{twelve:>2}:{}{half}", &whole[3..5]), " ", String::new())
        }
        101 => format!("{month:02}/{day:02}/{year:04}"),
        103 => format!("{day:02}/{month:02}/{year:04}"),
        104 => format!("{day:02}.{month:02}.{year:04}"),
        8 | 24 | 108 => whole,
        12 => format!("{:02}{month:02}{day:02}", year % 100),
        112 => format!("{year:04}{month:02}{day:02}"),
        14 | 114 => clock.replace('.', ":"),
        23 => iso,
        20 | 120 => join(iso, &whole, " ", spaced),
        21 | 25 | 121 => join(iso, &clock, " ", spaced),
        126 | 127 => {
            let exact = moment.ticks % super::temporal::SECOND != 0;
            let shown = if exact { &clock } else { &whole };
            let zone_text = if utc {
                "Z".to_owned()
            } else if zone {
                offset_text(offset)
            } else {
                String::new()
            };
            join(iso, shown, "T", zone_text)
        }
        other => return Err(unknown(other)),
    })
}
