//! From a request to a SELECT: which columns, as what, from where.

use rivet_sdk::sql::{self, columns};
use rivet_sdk::{Error, ErrorKind, ExportRequest, Relation, Result, Retry};

use crate::catalog::{self, Closed, SourceColumn, Table};
use crate::dialect::Postgres;
use crate::error::confused;
use crate::keys;
use crate::kind::Kind;
use crate::overrides;
use crate::types::Types;
use crate::wire::Wire;

/// A request with every question about its columns answered.
#[derive(Debug)]
pub(crate) struct Plan {
    pub of: columns::Plan<SourceColumn, Kind>,
    /// What the server must announce for each column; None where its expression is more than the column.
    announced: Vec<Option<u32>>,
}

impl Plan {
    /// Looks the relation up and decides about each column.
    pub fn new(wire: &mut Wire, version: u32, request: &ExportRequest) -> Result<Self> {
        let (table, available) = look_up(wire, version, &request.relation)?;
        may_read(request, table.as_ref(), &available)?;
        let chosen = columns::choose(request, &available)?;
        columns::may_read(&request.relation, chosen.iter().map(|(column, _)| column))?;
        let mut types = Types::default();
        types.load(wire, version, chosen.iter().map(|(source, _)| source.oid))?;
        let plan = columns::Plan::new(&Postgres, request, chosen, |name, source, wanted| match wanted {
            None => Ok(types.expression(name, source.oid, source.typmod)),
            Some(wanted) => overrides::expression(&types, name, source, wanted),
        })?;
        let key = match &table {
            Some(table) => keys::primary_key(wire, table)?,
            None => Vec::new(),
        };
        let announced = plan.columns.iter().map(|column| column.is_plain.then(|| types.announced(column.source.oid)));
        Ok(Self { announced: announced.collect(), of: plan.with_key(&key) })
    }

    /// The statement whose rows are the export.
    pub fn select(&self, request: &ExportRequest) -> Result<String> {
        Ok(format!("SELECT {} {}", self.of.list(&Postgres), sql::tail(&Postgres, request)?))
    }

    /// Asks the server what `select` will send: binary rows do not say what they are. From here to the transaction's
    /// end nobody alters what is read, for describing it locks it as reading it does.
    pub fn verify(&self, wire: &mut Wire, select: &str) -> Result<()> {
        let found = wire.describe(select)?;
        let columns = &self.of.columns;
        if found.len() != columns.len() {
            return Err(confused(format!("{} columns where {} were expected", found.len(), columns.len())));
        }
        for ((column, announced), found) in columns.iter().zip(&self.announced).zip(&found) {
            if announced.is_some_and(|oid| oid != found.oid) {
                return Err(altered(column.name()));
            }
            if !column.kind().reads(found.oid) {
                let found = format!("the type {}", found.oid);
                return Err(Error::in_another_form(column.name(), &column.source.source_type, &found));
            }
        }
        Ok(())
    }
}

/// A table was altered between two looks at it.
fn altered(column: &str) -> Error {
    Error::new(ErrorKind::Transient, format!("column `{column}` changed while the export began"))
        .with_retry(Retry::Transient(None))
        .with_hint("the table was altered; the next attempt sees it as it is now")
        .with_context("column", column)
}

/// What there is to choose from.
pub(crate) fn look_up(
    wire: &mut Wire,
    version: u32,
    relation: &Relation,
) -> Result<(Option<Table>, Vec<SourceColumn>)> {
    match relation {
        Relation::Table(name) => {
            let table = catalog::table(wire, version, name)?;
            let columns = catalog::table_columns(wire, version, &table)?;
            Ok((Some(table), columns))
        }
        Relation::Query(sql) => Ok((None, catalog::query_columns(wire, sql)?)),
        other => Err(Error::unsupported(format!("this version cannot read {other:?}"))),
    }
}

/// Whether the login may read the relation at all, and what the request filters and sorts by.
fn may_read(request: &ExportRequest, table: Option<&Table>, available: &[SourceColumn]) -> Result<()> {
    let Some(table) = table else { return Ok(()) };
    let refused =
        |why: String, hint: String| Err(Error::new(ErrorKind::Permission, why).with_code("42501").with_hint(hint));
    let schema = table.name.schema.as_deref().unwrap_or_default();
    match table.closed {
        Some(Closed::Schema) => {
            return refused(
                format!("the login may not use the schema {schema}, and so not read {}", table.name),
                format!("grant it USAGE on the schema {schema}"),
            );
        }
        Some(Closed::RowSecurity) => {
            return refused(
                format!("row security of {} hides rows from the login, and an export must not lack any", table.name),
                "export as the table's owner, or as a role with BYPASSRLS".to_owned(),
            );
        }
        None => {}
    }
    if !available.is_empty() && !available.iter().any(|column| column.readable) {
        return refused(format!("the login may not read {}", table.name), "grant it SELECT on the table".to_owned());
    }
    columns::may_compare(request, available)
}
