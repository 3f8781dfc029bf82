//! Functions over dates and times.

use rusqlite::types::{Value, ValueRef};

use super::{Binder, Bound, Scope};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Expr;
use crate::types::temporal::{DAY, Moment, SECOND, date, days, month_length};
use crate::types::{Kind, Type, cast, encode};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Quarter,
    Month,
    DayOfYear,
    Day,
    Week,
    Weekday,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Offset,
}

fn part(expr: &Expr) -> SqlResult<Part> {
    let name = match expr {
        Expr::Column(name) if name.len() == 1 => name[0].to_ascii_lowercase(),
        _ => return Err(SqlError::new(1023, "Invalid parameter 1 specified for a date function.").class(15)),
    };
    Ok(match name.as_str() {
        "year" | "yy" | "yyyy" => Part::Year,
        "quarter" | "qq" | "q" => Part::Quarter,
        "month" | "mm" | "m" => Part::Month,
        "dayofyear" | "dy" | "y" => Part::DayOfYear,
        "day" | "dd" | "d" => Part::Day,
        "week" | "wk" | "ww" => Part::Week,
        "weekday" | "dw" => Part::Weekday,
        "hour" | "hh" => Part::Hour,
        "minute" | "mi" | "n" => Part::Minute,
        "second" | "ss" | "s" => Part::Second,
        "millisecond" | "ms" => Part::Millisecond,
        "microsecond" | "mcs" => Part::Microsecond,
        "nanosecond" | "ns" => Part::Nanosecond,
        "tzoffset" | "tz" => Part::Offset,
        _ => return Err(SqlError::new(155, format!("'{name}' is not a recognized datepart option.")).class(15)),
    })
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Ticks of a part of fixed length.
fn length(part: Part) -> Option<i64> {
    let second = signed(SECOND);
    match part {
        Part::Week => Some(7 * signed(DAY)),
        Part::Day | Part::DayOfYear | Part::Weekday => Some(signed(DAY)),
        Part::Hour => Some(3600 * second),
        Part::Minute => Some(60 * second),
        Part::Second => Some(second),
        Part::Millisecond => Some(second / 1000),
        Part::Microsecond => Some(10),
        _ => None,
    }
}

fn read(ty: &Type, value: ValueRef<'_>) -> SqlResult<Moment> {
    Moment::canonical(encode::text(ty, value)?)
        .ok_or_else(|| SqlError::new(241, "Conversion failed when converting date and/or time."))
}

impl Binder<'_> {
    /// An argument that is a date or time, or reads as one.
    fn as_moment(&mut self, argument: &Bound) -> Bound {
        if argument.ty.is_temporal() && !argument.untyped {
            return argument.clone();
        }
        let to =
            if argument.ty.is_text() { Type::of_scale(Kind::DateTimeOffset, 7) } else { Type::new(Kind::DateTime) };
        self.coerce(argument, &to)
    }

    /// Functions whose first argument is a part's name.
    pub fn dated(&mut self, scope: &Scope<'_>, name: &str, arguments: &[Expr]) -> SqlResult<Option<Bound>> {
        let int = Type::new(Kind::Int);
        let big = Type::new(Kind::BigInt);
        let bound = match (name, arguments) {
            ("DATEADD", [first, count, moment]) => {
                let part = part(first)?;
                let count = self.value(scope, count)?;
                let moment = self.value(scope, moment)?;
                let moment =
                    if moment.ty.is_temporal() { moment } else { self.coerce(&moment, &Type::new(Kind::DateTime)) };
                let count = self.coerce(&count, &big);
                let ty = moment.ty;
                self.function(ty, &[&count, &moment], move |values| {
                    let moved = add(read(&ty, values[1])?, part, encode::integer(&big, values[0])?)?;
                    Ok(Value::Text(moved.fitted(&ty)?.store(ty.kind)))
                })
            }
            ("DATEDIFF" | "DATEDIFF_BIG", [first, from, to]) => {
                let part = part(first)?;
                let (from, to) = (self.value(scope, from)?, self.value(scope, to)?);
                let (from, to) = (self.as_moment(&from), self.as_moment(&to));
                let (a, b) = (from.ty, to.ty);
                let ty = if name == "DATEDIFF" { int } else { big };
                self.function(ty, &[&from, &to], move |values| {
                    let between = difference(read(&a, values[0])?, read(&b, values[1])?, part);
                    cast::cast(ValueRef::Integer(between), &big, &ty, None)
                })
            }
            ("DATEPART", [first, moment]) => {
                let part = part(first)?;
                let moment = self.value(scope, moment)?;
                self.date_part(part, &moment)
            }
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    fn date_part(&mut self, part: Part, moment: &Bound) -> Bound {
        let moment = self.as_moment(moment);
        let ty = moment.ty;
        self.function(Type::new(Kind::Int), &[&moment], move |values| {
            Ok(Value::Integer(extract(read(&ty, values[0])?, part)))
        })
    }

    pub fn times(&mut self, name: &str, arguments: &[Bound]) -> SqlResult<Option<Bound>> {
        let zoned = Type::of_scale(Kind::DateTimeOffset, 7);
        let bound = match (name, arguments) {
            ("GETDATE" | "CURRENT_TIMESTAMP" | "GETUTCDATE", []) => self.now(Type::new(Kind::DateTime)),
            ("SYSDATETIME" | "SYSUTCDATETIME", []) => self.now(Type::of_scale(Kind::DateTime2, 7)),
            ("SYSDATETIMEOFFSET", []) => self.now(zoned),
            ("YEAR", [moment]) => self.date_part(Part::Year, moment),
            ("MONTH", [moment]) => self.date_part(Part::Month, moment),
            ("DAY", [moment]) => self.date_part(Part::Day, moment),
            ("EOMONTH", [moment]) => {
                let moment = self.as_moment(moment);
                let ty = moment.ty;
                self.function(Type::new(Kind::Date), &[&moment], move |values| {
                    let (year, month, _) = date(read(&ty, values[0])?.local().days);
                    let last = days(year, month, month_length(year, month)).unwrap_or(0);
                    Ok(Value::Text(Moment::new(last, 0).date_text()))
                })
            }
            ("SWITCHOFFSET" | "TODATETIMEOFFSET", [moment, offset]) => {
                let moment = self.coerce(moment, &zoned);
                let keep = name == "SWITCHOFFSET";
                let text = Type::of_length(Kind::VarChar, 6);
                let offset = if offset.ty.is_integer() { offset.clone() } else { self.coerce(offset, &text) };
                self.function(zoned, &[&moment, &offset], move |values| {
                    let offset = match values[1] {
                        ValueRef::Integer(minutes) => i32::try_from(minutes).unwrap_or(i32::MAX),
                        other => {
                            let text = format!("00:00{}", encode::text(&text, other)?);
                            crate::types::temporal::parse(&text).map_or(i32::MAX, |moment| moment.offset)
                        }
                    };
                    if offset.abs() > 840 {
                        return Err(SqlError::new(9812, "The timezone provided is invalid."));
                    }
                    let moment = read(&zoned, values[0])?;
                    let moved =
                        if keep { moment } else { moment.local().plus(-crate::types::temporal::minutes(offset)) };
                    Ok(Value::Text(Moment { offset, ..moved }.store(Kind::DateTimeOffset)))
                })
            }
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    /// The time, the same wherever a statement asks.
    fn now(&mut self, ty: Type) -> Bound {
        let now = cast::now();
        let now = if ty.kind == Kind::DateTime { now.to_datetime() } else { now };
        let sql = self.parameter(Value::Text(now.store(ty.kind)));
        Bound::new(sql, ty).not_null()
    }

    /// AT TIME ZONE, for UTC alone.
    pub fn at_time_zone(&mut self, scope: &Scope<'_>, value: &Expr, zone: &Expr) -> SqlResult<Bound> {
        match zone {
            Expr::Text(zone, _) if zone.eq_ignore_ascii_case("UTC") => {}
            _ => return Err(SqlError::unsupported("AT TIME ZONE with anything but 'UTC'")),
        }
        let value = self.value(scope, value)?;
        let moment = self.as_moment(&value);
        let ty = moment.ty;
        let zoned = Type::of_scale(Kind::DateTimeOffset, if ty.kind == Kind::DateTime { 3 } else { ty.scale });
        Ok(self.function(zoned, &[&moment], move |values| {
            Ok(Value::Text(Moment { offset: 0, ..read(&ty, values[0])? }.store(Kind::DateTimeOffset)))
        }))
    }
}

fn add(moment: Moment, part: Part, count: i64) -> SqlResult<Moment> {
    let overflow = || SqlError::new(517, "Adding a value to a date column caused an overflow.");
    let months = match part {
        Part::Year => Some(12),
        Part::Quarter => Some(3),
        Part::Month => Some(1),
        _ => None,
    };
    if let Some(months) = months {
        let (year, month, day) = date(moment.days);
        let all = count
            .checked_mul(months)
            .and_then(|added| (i64::from(year) * 12 + i64::from(month) - 1).checked_add(added))
            .ok_or_else(overflow)?;
        let year = i32::try_from(all.div_euclid(12)).map_err(|_| overflow())?;
        let month = u32::try_from(all.rem_euclid(12)).map_err(|_| overflow())? + 1;
        let days = days(year, month, day.min(month_length(year, month))).ok_or_else(overflow)?;
        return Ok(Moment { days, ..moment });
    }
    let ticks = match part {
        Part::Nanosecond => Some(count / 100),
        _ => length(part).and_then(|length| count.checked_mul(length)),
    };
    let ticks = ticks.ok_or_else(overflow)?;
    if ticks.abs() > 4_000_000 * signed(DAY) {
        return Err(overflow());
    }
    let moved = moment.plus(ticks);
    if moved.days < 0 || moved.days >= crate::types::temporal::DAYS_END { Err(overflow()) } else { Ok(moved) }
}

/// Boundaries of the part that lie between.
fn difference(from: Moment, to: Moment, part: Part) -> i64 {
    let (from, to) = (Moment { offset: 0, ..from }, Moment { offset: 0, ..to });
    let months = |moment: Moment| {
        let (year, month, _) = date(moment.days);
        i64::from(year) * 12 + i64::from(month) - 1
    };
    match part {
        Part::Year => months(to).div_euclid(12) - months(from).div_euclid(12),
        Part::Quarter => months(to).div_euclid(3) - months(from).div_euclid(3),
        Part::Month => months(to) - months(from),
        _ => {
            let unit = length(part).unwrap_or(1);
            let day = i128::from(signed(DAY));
            let ticks = |moment: Moment| i128::from(moment.days) * day + i128::from(signed(moment.ticks));
            // A week begins with Sunday; 0001-01-01 was a Monday.
            let shift = if part == Part::Week { day } else { 0 };
            let unit_ticks = i128::from(unit);
            let count = (ticks(to) + shift).div_euclid(unit_ticks) - (ticks(from) + shift).div_euclid(unit_ticks);
            let count = if part == Part::Nanosecond { count * 100 } else { count };
            i64::try_from(count).unwrap_or(i64::MAX)
        }
    }
}

fn extract(moment: Moment, part: Part) -> i64 {
    let local = moment.local();
    let (year, month, day) = date(local.days);
    let seconds = signed(local.ticks / SECOND);
    let fraction = signed(local.ticks % SECOND);
    let of_year = local.days - days(year, 1, 1).unwrap_or(0) + 1;
    match part {
        Part::Year => i64::from(year),
        Part::Quarter => i64::from((month - 1) / 3 + 1),
        Part::Month => i64::from(month),
        Part::DayOfYear => i64::from(of_year),
        Part::Day => i64::from(day),
        Part::Week => {
            let first = (days(year, 1, 1).unwrap_or(0) + 1) % 7;
            i64::from((of_year - 1 + first) / 7 + 1)
        }
        Part::Weekday => i64::from((local.days + 1) % 7 + 1),
        Part::Hour => seconds / 3600,
        Part::Minute => seconds / 60 % 60,
        Part::Second => seconds % 60,
        Part::Millisecond => fraction / 10_000,
        Part::Microsecond => fraction / 10,
        Part::Nanosecond => fraction * 100,
        Part::Offset => i64::from(moment.offset),
    }
}
