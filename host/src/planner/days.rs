//! Windows of days over a date or timestamp column.

use jiff::civil::Date;
use jiff::{ToSpan, tz::TimeZone};
use rivet_sdk::{
    Bound, BoundsRequest, Condition, Error, ErrorKind, ExportRequest, Result, Scalar, Slice, Source, Split,
    TypeMapping, capability,
};

use super::moment::temporal;
use super::scope::key_mappings;
use super::wanted::Wanted;

/// More windows than this are a mistake in the data or the settings.
const MOST: usize = 20_000;

/// Half-open windows of `days` days from the first row's midnight on, the first without a lower
/// bound and the last without an upper one; midnight is that of UTC for instants, the column's
/// own otherwise.
pub(super) fn windows(source: &mut dyn Source, wanted: &Wanted<'_>, of: ExportRequest, days: u32) -> Result<Split> {
    let Some(column) = &wanted.export.chunking.column else {
        return Err(Error::internal("windows of days without a column"));
    };
    if !wanted.can(capability::BOUNDS) {
        return Err(Error::new(ErrorKind::Unsupported, "this source cannot tell the first and last day of a column")
            .with_hint("use `chunk_by: auto`"));
    }
    let mappings = key_mappings(source, wanted.inputs, wanted.relation, std::slice::from_ref(column))?;
    let Some(mapping) = mappings.first() else { return Err(Error::internal("a window without a column")) };
    let found = source.bounds(&BoundsRequest::new(of, vec![column.clone()]))?;
    let ends = found.least.as_deref().and_then(<[_]>::first).zip(found.greatest.as_deref().and_then(<[_]>::first));
    let Some((least, greatest)) = ends else {
        return Ok(Split::new(vec![Slice::new(None, None)], "no row has a date"));
    };
    let (first, last) = (day(least, mapping)?, day(greatest, mapping)?);
    let mut edges = Vec::new();
    let mut edge = first;
    loop {
        edge = edge.checked_add(i64::from(days).days()).map_err(|_| beyond(mapping))?;
        if edge > last {
            break;
        }
        let midnight = edge.to_zoned(TimeZone::UTC).map_err(|_| beyond(mapping))?.timestamp();
        let value = temporal(mapping, midnight)?.ok_or_else(|| not_temporal(mapping))?;
        edges.push(vec![value]);
        if edges.len() > MOST {
            return Err(Error::config(format!(
                "`{column}` spans {first} to {last}: more than {MOST} windows of {days} days"
            ))
            .with_hint("raise `chunk_by_days`, or use `chunk_by: range`, which is balanced by rows"));
        }
    }
    if edges.is_empty() {
        // One window has no bounds at all: it holds the rows without a date too.
        return Ok(Split::new(vec![Slice::new(None, None)], format!("{first} to {last}")));
    }
    let mut slices = Vec::with_capacity(edges.len() + 2);
    let mut from: Option<Vec<Scalar>> = None;
    for to in edges.into_iter().map(Some).chain([None]) {
        let condition = Condition::Range {
            key: vec![column.clone()],
            from: from.take().map(Bound::inclusive),
            to: to.clone().map(Bound::exclusive),
        };
        slices.push(Slice::new(Some(condition), None));
        from = to;
    }
    if mapping.field.nullable {
        slices.push(Slice::new(Some(Condition::IsNull { column: column.clone() }), Some(found.nulls)));
    }
    Ok(Split::new(slices, format!("{first} to {last}")))
}

/// The day a value lies in.
fn day(value: &Scalar, mapping: &TypeMapping) -> Result<Date> {
    let text = match value {
        Scalar::Date(text) | Scalar::Timestamp(text) | Scalar::Text(text) => text.clone(),
        Scalar::Instant(text) => match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant.to_zoned(TimeZone::UTC).date().to_string(),
            Err(_) => return Err(unreadable(text, mapping)),
        },
        _ => return Err(not_temporal(mapping)),
    };
    text.get(..10).and_then(|date| date.parse().ok()).ok_or_else(|| unreadable(&text, mapping))
}

fn not_temporal(mapping: &TypeMapping) -> Error {
    Error::config(format!(
        "windows of days need a date or timestamp, and `{}` is {}",
        mapping.name, mapping.source_type
    ))
    .with_hint("name another `chunk_column`, or use `chunk_by: range`")
}

fn unreadable(text: &str, mapping: &TypeMapping) -> Error {
    Error::data(format!("`{}` reaches to {text}, from where no window of days can be counted", mapping.name))
        .with_hint("use `chunk_by: range`, which the server itself compares")
}

fn beyond(mapping: &TypeMapping) -> Error {
    Error::config(format!("the windows of `{}` lead beyond the calendar", mapping.name))
        .with_hint("use `chunk_by: range`")
}
