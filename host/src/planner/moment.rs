//! Moments: the source's clock, and an instant as a value of a column.

use jiff::civil::{DateTime, DateTimeRound};
use jiff::{RoundMode, Timestamp, Unit, tz::TimeZone};
use rivet_sdk::arrow_schema::DataType;
use rivet_sdk::{Error, Result, Scalar, Source, TypeMapping};

pub(super) fn server_now(source: &mut dyn Source) -> Result<Timestamp> {
    match source.clock()? {
        None => Ok(Timestamp::now()),
        Some(Scalar::Instant(text)) => instant(&text),
        Some(other) => Err(Error::protocol(format!("the source's clock says `{other}`, which is no instant"))),
    }
}

fn instant(text: &str) -> Result<Timestamp> {
    text.parse().map_err(|_| Error::protocol(format!("the source's clock says `{text}`, which is no instant")))
}

pub(super) fn data_type(mapping: &TypeMapping) -> Result<DataType> {
    Ok(mapping.field.to_field()?.data_type().clone())
}

/// The beginning of the day, minute or second that an instant lies in: values of the column from there on may still be
/// written.
pub(super) fn whole_unit(mapping: &TypeMapping, instant: Timestamp) -> Result<Timestamp> {
    let unit = match data_type(mapping)? {
        DataType::Date32 => Unit::Day,
        // SQL Server's type of whole minutes. Others hold seconds at least.
        _ if mapping.source_type == "smalldatetime" => Unit::Minute,
        _ => Unit::Second,
    };
    let utc = instant.to_zoned(TimeZone::UTC).datetime();
    let begins = utc.round(DateTimeRound::new().smallest(unit).mode(RoundMode::Trunc));
    let begins = begins.and_then(|begins| begins.to_zoned(TimeZone::UTC));
    Ok(begins.map_err(|_| Error::config("`settle` leads beyond the calendar"))?.timestamp())
}

/// An instant as a value of the column's type; None where that holds no time. A timestamp
/// without a zone is taken for UTC.
pub(super) fn temporal(mapping: &TypeMapping, instant: Timestamp) -> Result<Option<Scalar>> {
    let utc: DateTime = instant.to_zoned(TimeZone::UTC).datetime();
    Ok(match data_type(mapping)? {
        DataType::Date32 => Some(Scalar::Date(utc.date().to_string())),
        DataType::Timestamp(_, None) => Some(Scalar::Timestamp(utc.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())),
        DataType::Timestamp(_, Some(_)) => {
            Some(Scalar::Instant(format!("{}+00", utc.strftime("%Y-%m-%d %H:%M:%S%.6f"))))
        }
        _ => None,
    })
}
