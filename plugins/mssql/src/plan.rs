//! From a request to a SELECT: which columns, as what, from where.

use rivet_sdk::sql::{self, Dialect, columns};
use rivet_sdk::{ExportRequest, Result};

use crate::catalog::{self, Table};
use crate::dialect::Tsql;
use crate::keys;
use crate::kind::Kind;
use crate::overrides;
use crate::types::{SourceColumn, expression};
use crate::wire::Wire;

/// A request with every question about its columns answered.
#[derive(Debug)]
pub(crate) struct Plan {
    pub of: columns::Plan<SourceColumn, Kind>,
    source: Tail,
}

/// `FROM …` with what is needed to compare its columns.
#[derive(Debug)]
pub(crate) struct Tail {
    pub table: Option<Table>,
    pub available: Vec<SourceColumn>,
    pub dialect: Tsql,
    pub from: String,
}

impl Plan {
    /// Looks the relation up and decides about each column.
    pub fn new(wire: &mut Wire, request: &ExportRequest) -> Result<Self> {
        let source = Tail::new(wire, request)?;
        columns::may_compare(request, &source.available)?;
        let chosen = columns::choose(request, &source.available)?;
        columns::may_read(&request.relation, chosen.iter().map(|(column, _)| column))?;
        let plan = columns::Plan::new(&source.dialect, request, chosen, |name, column, wanted| match wanted {
            None => Ok(expression(name, column)),
            Some(wanted) => overrides::expression(name, column, wanted),
        })?;
        let key = match &source.table {
            Some(table) if !table.is_view => keys::primary_key(&keys::keys(wire, table)?),
            _ => Vec::new(),
        };
        Ok(Self { of: plan.with_key(&key), source })
    }

    /// The statement whose rows are the export.
    pub fn select(&self, request: &ExportRequest) -> Result<String> {
        let top = request.limit.map(|limit| format!("TOP ({}) ", limit.min(i64::MAX.unsigned_abs())));
        let top = top.unwrap_or_default();
        Ok(format!("SELECT {top}{} {}", self.of.list(&self.source.dialect), self.source.tail(request)?))
    }
}

impl Tail {
    /// Looks the relation up.
    pub fn new(wire: &mut Wire, request: &ExportRequest) -> Result<Self> {
        let (table, available) = catalog::columns(wire, &request.relation)?;
        let from = catalog::from(&request.relation, table.as_ref())?;
        Ok(Self { dialect: Tsql::over(&available), table, available, from })
    }

    /// `FROM … WHERE … ORDER BY …`
    pub fn tail(&self, request: &ExportRequest) -> Result<String> {
        Ok(format!(
            "FROM {}{}{}",
            self.from,
            sql::where_clause(&self.dialect, &request.conditions)?,
            sql::order_by(&self.dialect, &request.order_by),
        ))
    }

    /// The statement that counts the request's rows.
    pub fn count(&self, request: &ExportRequest) -> Result<String> {
        let rows = format!("FROM {}{}", self.from, sql::where_clause(&self.dialect, &request.conditions)?);
        let hides = self.available.iter().any(|column| !column.readable);
        let readable = self.available.iter().find(|column| column.readable).filter(|_| hides);
        Ok(match (request.limit, readable) {
            // A count that names no column may want a right on all of them.
            (None, Some(column)) => {
                let name = self.dialect.name(&column.name);
                format!("SELECT COUNT_BIG(*) FROM (SELECT {name} AS [one] {rows}) AS [rivet_count]")
            }
            (None, None) => format!("SELECT COUNT_BIG(*) {rows}"),
            (Some(limit), _) => {
                let limit = limit.min(i64::MAX.unsigned_abs());
                format!("SELECT COUNT_BIG(*) FROM (SELECT TOP ({limit}) 1 AS [one] {rows}) AS [rivet_count]")
            }
        })
    }
}
