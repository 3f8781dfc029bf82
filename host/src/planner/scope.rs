//! Which rows a run takes, before they are cut: all of them, those after a watermark, or those
//! of a window of time.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rivet_sdk::arrow_schema::DataType;
use rivet_sdk::{
    Bound, BoundsRequest, ColumnRequest, Condition, Error, ErrorKind, Identity, Relation, Result, Scalar, Source,
    TypeMapping, capability,
};

use super::boundary::{Begin, BoundaryRows, TiesOf};
use super::inputs::{Inputs, whole_request};
use super::moment::{data_type, server_now, temporal, whole_unit};
use super::recount::Rows;
use super::{fingerprint, place};
use crate::config::{Incremental, Mode, OnNullCursor, TimeWindow};
use crate::plan::ties::TiesEnd;
use crate::plan::{Fingerprint, IncrementalSpec, PlannedColumn, Recount};

/// The rows of a run.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// What they all meet.
    pub conditions: Vec<Condition>,
    /// Further rows, which do not meet them: those without a cursor, in a first run.
    pub beside: Option<Condition>,
    /// Rows at the watermark and at the run's end.
    pub boundary: BoundaryRows,
    /// Not one row: nothing is cut.
    pub is_empty: bool,
    /// A few rows of a large table: not worth cutting unless the user says so.
    pub is_small: bool,
    /// What is to become of the watermark.
    pub incremental: Option<IncrementalSpec>,
}

/// The rows that the export's mode takes.
pub(super) fn scope(
    source: &mut dyn Source,
    inputs: &Inputs<'_>,
    relation: &Relation,
    identity: &Identity,
    columns: &[PlannedColumn],
    warnings: &mut Vec<String>,
) -> Result<Scope> {
    match &inputs.export.mode {
        Mode::Full => Ok(Scope::default()),
        Mode::TimeWindow(window) => time_window(source, inputs, relation, window),
        Mode::Incremental(incremental) => {
            IncrementalScope { inputs, relation, incremental, columns }.find(source, identity, warnings)
        }
    }
}

struct IncrementalScope<'a> {
    inputs: &'a Inputs<'a>,
    relation: &'a Relation,
    incremental: &'a Incremental,
    columns: &'a [PlannedColumn],
}

impl IncrementalScope<'_> {
    fn find(&self, source: &mut dyn Source, identity: &Identity, warnings: &mut Vec<String>) -> Result<Scope> {
        let Incremental { cursor, coalesced, settle_ms, on_null, on_ties: _ } = self.incremental;
        if !self.inputs.capabilities.iter().any(|known| known == capability::BOUNDS) {
            return Err(Error::new(ErrorKind::Unsupported, "this source cannot tell the ends of a cursor")
                .with_hint("use `mode: full`"));
        }
        let mappings = key_mappings(source, self.inputs, self.relation, cursor)?;
        for mapping in &mappings {
            check_cursor(mapping)?;
        }
        let Some(first) = mappings.first() else { return Err(Error::internal("a cursor without columns")) };
        let fingerprint = fingerprint::of_watermark(self.inputs.export, &identity.id, self.relation, self.incremental)?;
        let rows = fingerprint::of_rows(&identity.id, self.relation, cursor, *coalesced)?;
        let from = self.start(&fingerprint, &rows)?;

        let mut of = whole_request(self.inputs.export, self.relation);
        if let Some(settle_ms) = settle_ms {
            let now = server_now(source)?;
            let limit = now
                .checked_sub(jiff::SignedDuration::from_millis(i64::try_from(*settle_ms).unwrap_or(i64::MAX)))
                .map_err(|_| Error::config("`settle` leads beyond the calendar"))?;
            let limit = temporal(first, whole_unit(first, limit)?)?.ok_or_else(|| {
                Error::config(format!(
                    "`settle` needs a date or timestamp, and `{}` is {}",
                    first.name, first.source_type
                ))
                .with_hint("leave `settle` out, or lead the cursor with a timestamp: `cursor_column: [updated_at, id]`")
            })?;
            let limit = Some(Bound::exclusive(vec![limit]));
            of.conditions.push(if *coalesced {
                self.range(None, limit)
            } else {
                Condition::Range { key: vec![first.name.clone()], from: None, to: limit }
            });
        }
        if let Some(values) = &from {
            of.conditions.push(self.range(Some(Bound::exclusive(values.clone())), None));
        }
        let found = source.bounds(&BoundsRequest::new(of, cursor.clone()).with_coalesced(*coalesced))?;
        let to = found.greatest;
        for (value, mapping) in to.iter().flatten().zip(&mappings) {
            check_value(value, mapping)?;
        }
        let range = |from, to| self.range(from, to);
        let ties = TiesOf {
            inputs: self.inputs,
            relation: self.relation,
            incremental: self.incremental,
            columns: self.columns,
            range: &range,
        };
        let beside = self.without_cursor(source, &mappings, from.is_none(), *on_null, warnings)?;
        let end = to.clone().or_else(|| from.clone());
        let (late, recount) = self.late_commits(source, first, from.as_deref(), end.as_deref())?;
        let are_kept = ties.are_kept();
        let at_risk = at_risk(first, cursor.len(), *settle_ms, are_kept).or(late);
        warnings.extend(at_risk.iter().map(|risk| format!("at risk: {risk}")));
        let (begin, ties_end) = match &end {
            Some(end) if are_kept => {
                let begin = ties.begin(warnings)?;
                let ties_end = ties.end(source, &begin, end, to.is_some(), warnings)?;
                (begin, ties_end)
            }
            _ => (Begin::After, None),
        };
        // Where nothing is remembered, the end needs no look.
        let (condition, boundary, spec) =
            ties.plan(begin, from.as_deref(), to.as_deref(), ties_end.unwrap_or(TiesEnd::Settled));
        Ok(Scope {
            conditions: vec![condition],
            boundary,
            beside,
            is_empty: to.is_none(),
            is_small: from.is_some(),
            incremental: Some(IncrementalSpec {
                cursor: cursor.clone(),
                coalesced: *coalesced,
                fingerprint: fingerprint.first,
                fingerprint_v2: fingerprint.second,
                rows_fingerprint: Some(rows),
                to: end,
                after: self.inputs.follows.clone(),
                from,
                at_risk,
                recount,
                ties: ties_end.map(|_| spec),
            }),
        })
    }

    /// Rows before the watermark `from` that came after the last run, and what the next one is to count again.
    fn late_commits(
        &self,
        source: &mut dyn Source,
        first: &TypeMapping,
        from: Option<&[Scalar]>,
        end: Option<&[Scalar]>,
    ) -> Result<(Option<String>, Option<Recount>)> {
        if !self.inputs.capabilities.iter().any(|known| known == capability::COUNT) {
            return Ok((None, None));
        }
        let rows = Rows {
            whole: whole_request(self.inputs.export, self.relation),
            first,
            range: &|from, to| self.range(from, to),
            coalesced: self.incremental.coalesced,
        };
        let before = self.inputs.stands_at.as_ref().and_then(|known| known.recount.as_ref());
        let late = match (before, from) {
            (Some(before), Some(from)) => rows.late(source, before, from)?,
            _ => None,
        };
        let recount = match (end, self.incremental.settle_ms) {
            (Some(end), Some(settle_ms)) => rows.count(source, end, settle_ms)?,
            _ => None,
        };
        Ok((late, recount))
    }

    /// Where the last run ended, if what it stands for is still the same.
    fn start(&self, fingerprint: &Fingerprint, rows: &str) -> Result<Option<Vec<Scalar>>> {
        let Some(known) = &self.inputs.stands_at else { return Ok(None) };
        let name = &self.inputs.export.name;
        let is_as_known = known.fingerprint.is_of(fingerprint);
        let is_of_rows = known.place.as_ref().is_some_and(|place| place.rows.as_deref() == Some(rows));
        if !is_as_known && !is_of_rows {
            return Err(Error::config(
                "the watermark belongs to another database, table, query, cursor or destination than the one configured",
            )
            .with_code("watermark_mismatch")
            .with_hint(format!(
                "undo the change; or `rivet state reset -e {name}`, and the next run takes every row again"
            )));
        }
        // Of the same rows at another place, or at the same one by another path, the place alone is asked about.
        if let (Some(place), Some(location), false) = (&known.place, &self.inputs.place, known.is_here) {
            place::check(place, &self.inputs.export.destination, name, location, is_as_known)?;
        }
        Ok(known.values.clone())
    }

    fn range(&self, from: Option<Bound>, to: Option<Bound>) -> Condition {
        let key = self.incremental.cursor.clone();
        if self.incremental.coalesced {
            Condition::Coalesced { columns: key, from, to }
        } else {
            Condition::Range { key, from, to }
        }
    }

    /// What becomes of rows that no cursor ever selects.
    fn without_cursor(
        &self,
        source: &mut dyn Source,
        mappings: &[TypeMapping],
        first_run: bool,
        on_null: OnNullCursor,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Condition>> {
        let all = self.incremental.coalesced;
        let may_lack = |mapping: &TypeMapping| mapping.field.nullable;
        let possible = if all { mappings.iter().all(may_lack) } else { mappings.iter().any(may_lack) };
        if !possible {
            return Ok(None);
        }
        let condition = Condition::Null { columns: self.incremental.cursor.clone(), all };
        if first_run && on_null == OnNullCursor::Include {
            return Ok(Some(condition));
        }
        let mut of = whole_request(self.inputs.export, self.relation);
        of.conditions.push(condition);
        let rows = source.count(&of)?;
        if rows == 0 {
            return Ok(None);
        }
        let text = format!("{rows} rows have NULL in the cursor ({})", self.incremental.cursor.join(", "));
        if on_null == OnNullCursor::Fail {
            return Err(Error::data(format!("{text} and would never be exported")).with_code("null_cursor").with_hint(
                "`on_null_cursor: include` takes them with the first run, `skip` leaves them out and counts them; \
                     `cursor_fallback_column` gives them another cursor",
            ));
        }
        warnings.push(format!("{text} and stay behind"));
        Ok(None)
    }
}

/// Why rows may be missed, if they may.
fn at_risk(first: &TypeMapping, columns: usize, settle_ms: Option<u64>, ties_are_kept: bool) -> Option<String> {
    if settle_ms.is_some() {
        return None;
    }
    let temporal = matches!(data_type(first), Ok(DataType::Timestamp(..) | DataType::Date32));
    Some(match (temporal, columns) {
        (true, 1) if !ties_are_kept => {
            "late commits, and later rows with the last cursor again: set `settle`, or `on_cursor_ties` and, for late \
             commits, `settle`"
                .to_owned()
        }
        (true, _) => {
            "late commits: a row committed after this run with an older cursor is not seen; set `settle`".to_owned()
        }
        (false, _) => {
            "late commits: numbers are not committed in their order; lead the cursor with a timestamp and set \
                       `settle`"
                .to_owned()
        }
    })
}

fn time_window(
    source: &mut dyn Source,
    inputs: &Inputs<'_>,
    relation: &Relation,
    window: &TimeWindow,
) -> Result<Scope> {
    let mappings = key_mappings(source, inputs, relation, std::slice::from_ref(&window.column))?;
    let Some(mapping) = mappings.first() else { return Err(Error::internal("a window without a column")) };
    let now = server_now(source)?;
    let midnight = now
        .to_zoned(TimeZone::UTC)
        .start_of_day()
        .and_then(|day| day.checked_sub(i64::from(window.days).days()))
        .map_err(|_| Error::config("`days_window` leads beyond the calendar"))?
        .timestamp();
    let whole_number = matches!(data_type(mapping)?, kind if kind.is_integer());
    let value = |instant: Timestamp| match (window.unix, whole_number) {
        (true, true) => Ok(Scalar::Integer(instant.as_second().into())),
        (true, false) => Err(Error::config(format!(
            "`time_column_type: unix` needs an integer column, and `{}` is {}",
            mapping.name, mapping.source_type
        ))
        .with_hint("drop `time_column_type`")),
        (false, _) => temporal(mapping, instant)?.ok_or_else(|| {
            Error::config(format!("`{}` is {}, not a date or timestamp", mapping.name, mapping.source_type))
                .with_hint("seconds since 1970 are read with `time_column_type: unix`")
        }),
    };
    let condition = Condition::Range {
        key: vec![window.column.clone()],
        from: Some(Bound::inclusive(vec![value(midnight)?])),
        to: Some(Bound::inclusive(vec![value(now)?])),
    };
    Ok(Scope { conditions: vec![condition], ..Scope::default() })
}

/// The columns of a key, as the source itself maps them.
pub(super) fn key_mappings(
    source: &mut dyn Source,
    inputs: &Inputs<'_>,
    relation: &Relation,
    key: &[String],
) -> Result<Vec<TypeMapping>> {
    let mut request = whole_request(inputs.export, relation);
    request.columns = key.iter().map(|name| ColumnRequest::new(name.clone(), None)).collect();
    request.columns_complete = true;
    request.exclude = Vec::new();
    source.type_mappings(&request)
}

/// A cursor must have an order that the server and its users agree on.
fn check_cursor(mapping: &TypeMapping) -> Result<()> {
    let json = mapping.field.metadata.values().any(|value| value == "arrow.json");
    let ordered = match data_type(mapping)? {
        kind if kind.is_integer() || kind.is_floating() => true,
        DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Date32 | DataType::Timestamp(..) => true,
        DataType::Utf8 => !json,
        DataType::FixedSizeBinary(16) => true,
        _ => false,
    };
    if ordered {
        return Ok(());
    }
    Err(Error::config(format!("`{}` is {}, which cannot be a cursor", mapping.name, mapping.source_type))
        .with_hint("a cursor is a number, a date, a timestamp, a text or a uuid that only grows"))
}

/// A watermark beyond all later rows would end the export for good.
fn check_value(value: &Scalar, mapping: &TypeMapping) -> Result<()> {
    let text = value.as_text();
    let endless = ["infinity", "nan", "inf"].iter().any(|word| text.trim_start_matches('-').eq_ignore_ascii_case(word));
    if *value == Scalar::Null || endless {
        return Err(Error::data(format!("the greatest `{}` is {text}: no later row would ever be seen", mapping.name))
            .with_hint("correct that row, or export a query that leaves it out"));
    }
    Ok(())
}
