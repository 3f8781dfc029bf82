//! In which order a request's columns are compared: columns of dates and times as instants, all others as SQLite
//! compares what is stored.
//!
//! An expression over a column uses no index. What bounds a range of instants therefore also bounds the stored values,
//! texts by their dates a day further out on both sides (no zone is further from UTC): that much of an index is read.

use rivet_sdk::sql::{self, Dialect};
use rivet_sdk::{Bound, Condition, Error, ErrorKind, ExportRequest, Relation, Result, Scalar};

use crate::catalog::{Shape, shown};
use crate::cell::{Misfit, described};
use crate::columns::{asked_type, compared};
use crate::database::Database;
use crate::dialect::{Sqlite, from};
use crate::instant::{self, Form, NO_FORM};
use crate::types::Kind;

/// How the columns of one request are compared.
#[derive(Debug, Clone)]
pub struct Order {
    /// Columns of dates and times in conditions and keys…
    temporal: Vec<String>,
    /// …and those of them that are compared as instants.
    instants: Vec<Instants>,
    /// Conditions over what cells held are compared as instants, too: the request is part of a new plan.
    planning: bool,
}

#[derive(Debug, Clone)]
struct Instants {
    column: String,
    /// None where every cell is NULL.
    form: Option<Form>,
}

/// What the columns of dates and times were found to hold, for the instance's life.
#[derive(Debug, Default)]
pub struct Forms(Vec<Known>);

#[derive(Debug)]
struct Known {
    relation: String,
    column: String,
    /// SQLite's number of the file's content at that time.
    version: i64,
    form: Option<Form>,
}

impl Order {
    /// The order while a request is carried out. Conditions whose bounds are all of one form that cells had are
    /// compared as stored: such is a plan that was cut in that order.
    pub fn reading(database: &Database, shape: &Shape, request: &ExportRequest, forms: &mut Forms) -> Result<Self> {
        Self::find(database, shape, request, &[], forms, false)
    }

    /// The order while a plan is made, with the columns of its key.
    pub fn planning(
        database: &Database,
        shape: &Shape,
        request: &ExportRequest,
        key: &[String],
        forms: &mut Forms,
    ) -> Result<Self> {
        Self::find(database, shape, request, key, forms, true)
    }

    fn find(
        database: &Database,
        shape: &Shape,
        request: &ExportRequest,
        key: &[String],
        forms: &mut Forms,
        planning: bool,
    ) -> Result<Self> {
        let named = request.conditions.iter().flat_map(compared).chain(&request.order_by).chain(key);
        let temporal = named.filter(|name| is_of_instants(shape, request, name)).cloned().collect();
        let mut order = Self { temporal, instants: Vec::new(), planning };
        let conditions = request.conditions.iter().filter(|condition| !order.is_as_stored(condition));
        let names: Vec<&String> = conditions.flat_map(compared).chain(&request.order_by).chain(key).collect();
        for name in names {
            if !order.has(name) && order.temporal.contains(name) {
                let form = forms.look(database, shape, name)?;
                order.instants.push(Instants { column: name.clone(), form });
            }
        }
        Ok(order)
    }

    fn instants_of(&self, column: &str) -> Option<&Instants> {
        self.instants.iter().find(|instants| instants.column == column)
    }

    /// Whether a column is compared as instants.
    pub fn has(&self, column: &str) -> bool {
        self.instants_of(column).is_some()
    }

    /// ` WHERE …`, or nothing where there is no condition.
    pub fn filter(&self, conditions: &[Condition]) -> Result<String> {
        let mut terms = Vec::new();
        for condition in conditions {
            if self.is_as_stored(condition) {
                terms.extend(sql::condition(&Sqlite, condition)?);
            } else {
                let Ranged { condition, stored } = self.ranged(condition)?;
                terms.extend(sql::condition(&self.of(&condition), &condition)?);
                terms.extend(stored);
            }
        }
        Ok(if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) })
    }

    /// ` ORDER BY …`, or nothing.
    pub fn order_by(&self, columns: &[String]) -> String {
        sql::order_by(&self.dialect(), columns)
    }

    /// A key column as it is compared.
    pub fn key(&self, column: &str) -> String {
        self.dialect().key(column)
    }

    /// The first of `columns` that is not NULL, as it is compared: as instants where one of them is.
    pub fn coalesced(&self, columns: &[String]) -> Result<String> {
        let all = columns.iter().map(String::as_str).filter(|_| self.has_any(columns)).collect();
        sql::coalesced(&AsInstants(all), columns)
    }

    /// A cell of a key as a bound, which is an instant where one of the columns that it may come from is. A text keeps
    /// its spelling: an earlier version of this plugin compares it letter by letter.
    pub fn bound(&self, among: &[String], cell: Scalar) -> Result<Scalar> {
        if !self.has_any(among) {
            return Ok(cell);
        }
        match (&cell, instant::of_scalar(&cell)) {
            (Scalar::Text(text), Some(_)) => Ok(Scalar::Timestamp(text.clone())),
            (Scalar::Integer(_) | Scalar::Float(_), Some(moment)) => instant::written(moment),
            _ => Ok(cell),
        }
    }

    /// Whether a condition compares no instants; or, outside of planning, whether its bounds are what cells of one form
    /// held: then the stored values have the order of the instants, or it is of a plan that was cut by them.
    fn is_as_stored(&self, condition: &Condition) -> bool {
        let (from, to) = match condition {
            Condition::Range { from, to, .. } | Condition::Coalesced { from, to, .. } => (from.as_ref(), to.as_ref()),
            _ => return true,
        };
        let is_temporal = |column: &String| self.temporal.contains(column);
        let columns = compared(condition);
        match condition {
            Condition::Range { .. } => (0..)
                .zip(columns)
                .filter(|(_, column)| is_temporal(column))
                .all(|(index, _)| !self.planning && is_of_one_form(index, from, to)),
            _ => !columns.iter().any(is_temporal) || (!self.planning && is_of_one_form(0, from, to)),
        }
    }

    fn has_any(&self, columns: &[String]) -> bool {
        columns.iter().any(|column| self.has(column))
    }

    fn dialect(&self) -> AsInstants<'_> {
        AsInstants(self.instants.iter().map(|instants| instants.column.as_str()).collect())
    }

    /// As [`Self::dialect`]; of a coalesced value, all columns are compared as instants where one is.
    fn of<'a>(&'a self, condition: &'a Condition) -> AsInstants<'a> {
        match condition {
            Condition::Coalesced { columns, .. } if self.has_any(columns) => {
                AsInstants(columns.iter().map(String::as_str).collect())
            }
            _ => self.dialect(),
        }
    }

    /// A condition with the keys of instants for the instants, and what it says of the stored values.
    fn ranged(&self, condition: &Condition) -> Result<Ranged> {
        let mut stored = Vec::new();
        let condition = match condition {
            Condition::Range { key, from, to } => {
                if let Some(first) = key.first().and_then(|first| self.instants_of(first)) {
                    stored.extend(from.as_ref().and_then(|bound| first.stored(bound, false)));
                    stored.extend(to.as_ref().and_then(|bound| first.stored(bound, true)));
                }
                let is_instant = |index: usize| key.get(index).filter(|column| self.has(column));
                let keyed = |bound: &Option<Bound>, upper| {
                    bound.as_ref().map(|bound| keyed(bound, upper, is_instant)).transpose()
                };
                Condition::Range { key: key.clone(), from: keyed(from, false)?, to: keyed(to, true)? }
            }
            Condition::Coalesced { columns, from, to } if self.has_any(columns) => {
                let keyed = |bound: &Option<Bound>, upper| {
                    bound.as_ref().map(|bound| keyed(bound, upper, |_| columns.first())).transpose()
                };
                Condition::Coalesced { columns: columns.clone(), from: keyed(from, false)?, to: keyed(to, true)? }
            }
            other => other.clone(),
        };
        Ok(Ranged { condition, stored })
    }
}

struct Ranged {
    condition: Condition,
    stored: Vec<String>,
}

impl Instants {
    /// Within what every stored value lies that meets a bound; a little further out.
    fn stored(&self, bound: &Bound, upper: bool) -> Option<String> {
        let moment = bound.values.first().and_then(instant::of_scalar)?;
        // An upper bound of a date may mean the end of that day.
        let days = i64::from(upper && matches!(bound.values.first(), Some(Scalar::Date(_))));
        let seconds = moment.seconds + days * crate::temporal::DAY;
        let limit = match self.form? {
            Form::Text => sql::quote_text(&instant::date_text(moment, if upper { days + 2 } else { -1 })?),
            Form::Seconds => (seconds + i64::from(upper)).to_string(),
            Form::Milliseconds => ((seconds + i64::from(upper)).saturating_mul(1000)).to_string(),
            Form::JulianDays => {
                let day = seconds.div_euclid(crate::temporal::DAY) + 2_440_587;
                (if upper { day + 2 } else { day }).to_string()
            }
        };
        let sign = if upper { "<=" } else { ">=" };
        Some(format!("{} {sign} {limit}", Sqlite.name(&self.column)))
    }
}

/// A bound with the keys of its instants. A date that ends a range, or that one begins after, is the whole day.
fn keyed<'a>(bound: &Bound, upper: bool, is_instant: impl Fn(usize) -> Option<&'a String>) -> Result<Bound> {
    let whole_day =
        bound.values.len() == 1 && bound.inclusive == upper && matches!(bound.values[..], [Scalar::Date(_)]);
    let mut inclusive = bound.inclusive;
    let mut values = Vec::with_capacity(bound.values.len());
    for (index, value) in bound.values.iter().enumerate() {
        let Some(column) = is_instant(index) else {
            values.push(value.clone());
            continue;
        };
        let mut moment = instant::of_scalar(value).ok_or_else(|| no_instant(column, value))?;
        if whole_day {
            moment.seconds += crate::temporal::DAY;
            inclusive = !inclusive;
        }
        values.push(instant::key_scalar(moment));
    }
    let of = if inclusive { Bound::inclusive } else { Bound::exclusive };
    Ok(of(values))
}

fn no_instant(column: &str, value: &Scalar) -> Error {
    Error::new(ErrorKind::Unsupported, format!("`{value}` is no date or time, with which `{column}` could be compared"))
        .with_hint(
            "where it is the watermark of an incremental export, `rivet state reset` has its next run begin anew",
        )
        .with_context("column", column)
}

/// Whether the bounds of a key's column are what cells of one form held.
fn is_of_one_form(index: usize, from: Option<&Bound>, to: Option<&Bound>) -> bool {
    let values = [from, to].into_iter().flatten().filter_map(|bound| bound.values.get(index));
    let mut forms = values.map(|value| match value {
        Scalar::Date(_) | Scalar::Timestamp(_) | Scalar::Instant(_) => None,
        // Texts that are no instants were compared as texts.
        Scalar::Text(_) => Some(Some(Form::Text)),
        other => Some(instant::form_of_scalar(other)),
    });
    let first = forms.next();
    first.is_none_or(|first| first.is_some() && forms.all(|form| form == first))
}

/// Columns of dates and times: declared so; or texts and columns without a type that are read so.
fn is_of_instants(shape: &Shape, request: &ExportRequest, column: &str) -> bool {
    let Some(found) = shape.column(column) else { return false };
    match Kind::of_declared(&found.declared) {
        Some((Kind::Date | Kind::Timestamp { .. }, _)) => true,
        Some((Kind::Text, _)) | None => asked_type(request, column)
            .and_then(|wanted| Kind::of_wanted(wanted, Kind::Text))
            .is_some_and(|(kind, _)| matches!(kind, Kind::Date | Kind::Timestamp { .. })),
        Some(_) => false,
    }
}

/// SQL in which these columns are instants.
struct AsInstants<'a>(Vec<&'a str>);

impl Dialect for AsInstants<'_> {
    fn name(&self, name: &str) -> String {
        Sqlite.name(name)
    }

    fn literal(&self, value: &Scalar) -> Result<String> {
        Sqlite.literal(value)
    }

    fn key(&self, column: &str) -> String {
        let name = Sqlite.name(column);
        if self.0.contains(&column) { format!("rivet_instant({name})") } else { name }
    }
}

impl Forms {
    /// The one form of a column's cells; refused where there are two, or a cell is no instant. It reads the whole
    /// column, or its index, once for each change of the file.
    fn look(&mut self, database: &Database, shape: &Shape, column: &str) -> Result<Option<Form>> {
        let relation = from(&shape.relation);
        let version: i64 = database.one("PRAGMA data_version")?;
        let is_known = |known: &Known| known.relation == relation && known.column == column;
        if let Some(known) = self.0.iter().find(|known| is_known(known) && known.version == version) {
            return Ok(known.form);
        }
        let name = Sqlite.name(column);
        let sql = format!("SELECT DISTINCT rivet_form({name}) FROM {relation} WHERE {name} IS NOT NULL");
        let mut codes: Vec<i64> = database.all(&sql, &[], |row| row.get(0))?;
        codes.sort_unstable();
        let form = match codes[..] {
            [] => None,
            [code] if code != NO_FORM => Form::of_code(code),
            [first, ..] => {
                let found = example(database, shape, column, first)?;
                let other = codes.get(1).map(|code| example(database, shape, column, *code)).transpose()?;
                return Err(refusal(column, &shape.relation, first, found, other));
            }
        };
        self.0.retain(|known| !is_known(known));
        self.0.push(Known { relation, column: column.to_owned(), version, form });
        Ok(form)
    }
}

/// A cell whose form has this code: how it looks, and its row.
fn example(database: &Database, shape: &Shape, column: &str, code: i64) -> Result<Example> {
    let name = Sqlite.name(column);
    let names: Vec<String> = std::iter::once(&name[..])
        .map(str::to_owned)
        .chain(shape.locator.iter().map(|column| Sqlite.name(column)))
        .collect();
    let relation = from(&shape.relation);
    let sql = format!("SELECT {} FROM {relation} WHERE rivet_form({name}) = {code} LIMIT 1", names.join(", "));
    let read = |row: &rusqlite::Row<'_>| {
        let cell = described(row.get_ref(0)?, Misfit::Value);
        let place = shape.locator.iter().enumerate();
        let place = place.map(|(index, name)| Ok(format!("{name} = {}", shown(row.get_ref(index + 1)?))));
        Ok(Example { form: Form::of_code(code), cell, row: place.collect::<rusqlite::Result<Vec<_>>>()?.join(", ") })
    };
    let found = database.all(&sql, &[], read)?.into_iter().next();
    found.ok_or_else(|| Error::internal("a cell that was there is gone"))
}

struct Example {
    form: Option<Form>,
    cell: String,
    row: String,
}

impl Example {
    fn in_words(&self) -> String {
        let Self { form, cell, row } = self;
        let form = form.map_or_else(String::new, |form| format!(" ({})", form.name()));
        if row.is_empty() { format!("{cell}{form}") } else { format!("{cell}{form} where {row}") }
    }
}

fn refusal(column: &str, relation: &Relation, first: i64, found: Example, other: Option<Example>) -> Error {
    let row = found.row.clone();
    let error = match other {
        Some(other) if first != NO_FORM => Error::data(format!(
            "column `{column}` of {relation} holds {} and {}: rows are compared by it, and two forms of time have no \
             common order that is sure",
            found.in_words(),
            other.in_words()
        ))
        .with_hint(format!(
            "write the column in one form; or use a query that does: CASE typeof({column}) WHEN 'integer' THEN \
             datetime({column}, 'unixepoch') ELSE {column} END"
        )),
        _ => Error::data(format!(
            "column `{column}` of {relation} holds {}, which is no date or time: rows are compared by it, and this one \
             has no place among them",
            found.in_words()
        ))
        .with_hint(format!(
            "correct that row; or use a query that makes it NULL or leaves it out; or let another column be compared \
             than `{column}`"
        )),
    };
    let error = error.with_code("no_common_order").with_context("column", column);
    if row.is_empty() { error } else { error.with_context("row", row) }
}
