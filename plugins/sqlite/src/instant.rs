//! Cells and bounds as points in time that can be ordered: exactly, whatever they are written as.
//!
//! SQLite compares the stored values: texts letter by letter, and every number before every text. A key that orders
//! them as instants is computed by the function `rivet_instant`, registered with each connection.

use rivet_sdk::{Error, Result, Scalar};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error as SqliteError};

use crate::dialect::hex;
use crate::temporal::{DAY, Moment, epoch, is_julian_day, julian_exact, moment, written_date};

/// What a column's instants are written as. Two of them in one column have no common order that is sure: an integer
/// may be seconds or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// ISO 8601, with `T` or a blank, with or without a fraction and a zone.
    Text,
    /// Whole seconds since 1970.
    Seconds,
    /// Whole milliseconds since 1970: integers beyond the seconds of the year 9999.
    Milliseconds,
    /// Julian day numbers.
    JulianDays,
}

impl Form {
    const ALL: [Self; 4] = [Self::Text, Self::Seconds, Self::Milliseconds, Self::JulianDays];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "an ISO text",
            Self::Seconds => "seconds since 1970",
            Self::Milliseconds => "milliseconds since 1970",
            Self::JulianDays => "a Julian day",
        }
    }

    /// What `rivet_form` answers for it.
    pub fn code(self) -> i64 {
        Self::ALL.into_iter().zip(0..).find(|(form, _)| *form == self).map_or(NO_FORM, |(_, code)| code)
    }

    /// The form of a code; None for [`NO_FORM`].
    pub fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().zip(0..).find(|(_, known)| *known == code).map(|(form, _)| form)
    }
}

/// What `rivet_form` answers for a cell that is no instant.
pub const NO_FORM: i64 = -1;

/// A cell as an instant; None for NULL and for what is no instant.
pub fn instant(value: ValueRef<'_>) -> Option<(Form, Moment)> {
    match value {
        ValueRef::Text(bytes) => Some((Form::Text, moment(std::str::from_utf8(bytes).ok()?)?)),
        ValueRef::Integer(value) => of_integer(value),
        ValueRef::Real(day) => Some((Form::JulianDays, julian_exact(day)?)),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

fn of_integer(value: i64) -> Option<(Form, Moment)> {
    if is_julian_day(value) {
        // Noon: a NUMERIC column stores whole reals as integers.
        #[allow(clippy::cast_precision_loss, reason = "seven digits")]
        return Some((Form::JulianDays, julian_exact(value as f64)?));
    }
    if let Some(moment) = epoch(value) {
        return Some((Form::Seconds, moment));
    }
    let seconds = epoch(value.div_euclid(1000))?.seconds;
    let nanos = u32::try_from(value.rem_euclid(1000)).ok()? * 1_000_000;
    Some((Form::Milliseconds, Moment { seconds, nanos }))
}

/// A bound as an instant: what a cell held, or what rivet computed. None for what is neither.
pub fn of_scalar(value: &Scalar) -> Option<Moment> {
    match value {
        Scalar::Text(text) | Scalar::Date(text) => moment(text),
        // rivet writes an offset of whole hours without its minutes.
        Scalar::Timestamp(text) | Scalar::Instant(text) => moment(text).or_else(|| moment(&format!("{text}:00"))),
        Scalar::Integer(value) => Some(of_integer(i64::try_from(*value).ok()?)?.1),
        Scalar::Float(text) => julian_exact(text.parse().ok()?),
        _ => None,
    }
}

/// The form of a bound as a cell held it; None for what rivet computed, and for what is no instant.
pub fn form_of_scalar(value: &Scalar) -> Option<Form> {
    match value {
        Scalar::Text(text) => moment(text).map(|_| Form::Text),
        Scalar::Integer(value) => Some(of_integer(i64::try_from(*value).ok()?)?.0),
        Scalar::Float(_) => of_scalar(value).map(|_| Form::JulianDays),
        _ => None,
    }
}

/// Bytes whose order is that of the instants.
fn key(moment: Moment) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (seconds, nanos) = bytes.split_at_mut(8);
    // The sign's bit is turned: negative seconds come first.
    seconds.copy_from_slice(&(moment.seconds ^ i64::MIN).to_be_bytes());
    nanos.copy_from_slice(&moment.nanos.to_be_bytes());
    bytes
}

/// A literal to compare with what `rivet_instant` computes.
pub fn key_scalar(moment: Moment) -> Scalar {
    Scalar::Bytes(hex(&key(moment)))
}

/// The day of an instant and so many days more, as a text that texts of cells are compared with; None beyond the
/// years 0000 to 9999.
pub fn date_text(moment: Moment, days_later: i64) -> Option<String> {
    written_date(moment.seconds.div_euclid(DAY) + days_later)
}

/// Registers `rivet_instant`, the key of a cell, and `rivet_form`, the code of its form.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("rivet_instant", 1, flags, |call: &Context<'_>| match call.get_raw(0) {
        ValueRef::Null => Ok(None),
        value => match instant(value) {
            Some((_, moment)) => Ok(Some(key(moment))),
            // The column was looked through before, at the same read point.
            None => Err(SqliteError::UserFunctionError(Box::new(Error::internal("a cell that is no instant")))),
        },
    })?;
    connection.create_scalar_function("rivet_form", 1, flags, |call: &Context<'_>| {
        let value = call.get_raw(0);
        let code = || instant(value).map_or(NO_FORM, |(form, _)| form.code());
        Ok((value != ValueRef::Null).then(code))
    })
}

/// What a number in a cell stands for, as a bound.
pub fn written(moment: Moment) -> Result<Scalar> {
    let day = date_text(moment, 0).ok_or_else(|| Error::data("an instant outside of the years 0000 to 9999"))?;
    let second = moment.seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Ok(Scalar::Timestamp(format!("{day} {hour:02}:{minute:02}:{second:02}.{:09}", moment.nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_by_its_value() {
        for (value, form) in [
            (ValueRef::Text(b"2026-11-30T10:00:00"), Some(Form::Text)),
            (ValueRef::Text(b"2026-11-30"), Some(Form::Text)),
            (ValueRef::Text(b"1735689600"), None),
            (ValueRef::Text(b"yesterday"), None),
            (ValueRef::Integer(0), Some(Form::Seconds)),
            (ValueRef::Integer(1_735_689_600), Some(Form::Seconds)),
            (ValueRef::Integer(1_735_689_600_000), Some(Form::Milliseconds)),
            (ValueRef::Integer(-1_735_689_600_000), Some(Form::Milliseconds)),
            (ValueRef::Integer(2_460_310), Some(Form::JulianDays)),
            (ValueRef::Integer(i64::MAX), None),
            (ValueRef::Real(2_460_310.5), Some(Form::JulianDays)),
            (ValueRef::Real(1_735_689_600.5), None),
            (ValueRef::Blob(b"2026-11-30"), None),
        ] {
            assert_eq!(instant(value).map(|(form, _)| form), form, "{value:?}");
        }
    }

    #[test]
    fn what_is_one_instant_has_one_key_in_every_form() {
        let noon = Moment { seconds: 1_704_110_400, nanos: 0 };
        for value in [
            ValueRef::Text(b"2024-01-01T12:00"),
            ValueRef::Text(b"2024-01-01 14:00:00.000+02:00"),
            ValueRef::Integer(1_704_110_400),
            ValueRef::Integer(1_704_110_400_000),
            ValueRef::Integer(2_460_311),
        ] {
            assert_eq!(instant(value).map(|(_, moment)| moment), Some(noon), "{value:?}");
        }
        for value in [
            Scalar::Instant("2024-01-01 12:00:00.000000+00".into()),
            Scalar::Timestamp("2024-01-01 12:00:00.000000".into()),
            Scalar::Float("2460311.0".into()),
            written(noon).unwrap(),
        ] {
            assert_eq!(of_scalar(&value), Some(noon), "{value:?}");
        }
        assert_eq!(of_scalar(&Scalar::Boolean(true)), None);
    }

    #[test]
    fn keys_are_ordered_as_instants_are() {
        let before = Moment { seconds: -1, nanos: 999_999_999 };
        let after = Moment { seconds: 0, nanos: 1 };
        assert!(
            key(before) < key(Moment { seconds: 0, nanos: 0 }) && key(Moment { seconds: 0, nanos: 0 }) < key(after)
        );
    }
}
