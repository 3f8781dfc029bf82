//! From a request to a SELECT: which columns, as what, from where.

use rivet_sdk::sql::{self, Dialect};
use rivet_sdk::{
    Condition, Error, ErrorKind, ExportRequest, OnUnrepresentable, Result, TypeMapping, WantedType, nearest,
};

use crate::catalog::{self, Table};
use crate::dialect::Tsql;
use crate::keys;
use crate::kind::{Expression, Kind};
use crate::types::{SourceColumn, expression};
use crate::wire::Wire;
use crate::{overrides, rights, types};

/// A request with every question about its columns answered.
#[derive(Debug)]
pub(crate) struct Plan {
    pub columns: Vec<PlannedColumn>,
    /// Which of `columns` make the primary key, to name a row in an error.
    pub key: Vec<usize>,
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

/// One output column.
#[derive(Debug)]
pub(crate) struct PlannedColumn {
    pub source: SourceColumn,
    pub expression: Expression,
    pub nullable: bool,
    /// Whether it is selected as it is, without a cast or a method.
    pub is_plain: bool,
}

impl PlannedColumn {
    pub fn name(&self) -> &str {
        &self.source.name
    }

    pub fn kind(&self) -> &Kind {
        &self.expression.kind
    }

    /// What the host is told of the column.
    pub fn mapping(&self) -> Result<TypeMapping> {
        let field = self.kind().field(self.name(), self.nullable);
        TypeMapping::new(self.name(), &self.source.source_type, self.expression.fidelity, &field)
    }
}

impl Plan {
    /// Looks the relation up and decides about each column.
    pub fn new(wire: &mut Wire, request: &ExportRequest) -> Result<Self> {
        let source = Tail::new(wire, request)?;
        let named = request.conditions.iter().flat_map(Condition::columns).chain(&request.order_by);
        let named = named.filter_map(|name| source.available.iter().find(|column| column.name == *name));
        rights::may_read(&request.relation, named)?;
        let chosen = choose(request, &source.available)?;
        rights::may_read(&request.relation, chosen.iter().map(|(column, _)| column))?;
        let mut columns = Vec::new();
        for (column, wanted) in chosen {
            let name = source.dialect.name(&column.name);
            let expression = match wanted {
                None => expression(&name, &column),
                Some(wanted) => overrides::expression(&name, &column, wanted)?,
            };
            let policy_may_null =
                request.on_unrepresentable == OnUnrepresentable::Null && expression.kind.may_not_fit();
            columns.push(PlannedColumn {
                nullable: !column.not_null || policy_may_null,
                is_plain: expression.sql == name,
                source: column,
                expression,
            });
        }
        if columns.is_empty() {
            return Err(Error::config(format!("no column of {} is left to export", request.relation)));
        }
        let key = match &source.table {
            Some(table) if !table.is_view => keys::primary_key(&keys::keys(wire, table)?),
            _ => Vec::new(),
        };
        let position = |name: &String| columns.iter().position(|column| column.name() == name);
        let key = key.iter().map(position).collect::<Option<Vec<_>>>().unwrap_or_default();
        Ok(Self { columns, key, source })
    }

    /// The statement whose rows are the export.
    pub fn select(&self, request: &ExportRequest) -> Result<String> {
        let list: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| match self.source.dialect.name(column.name()) {
                plain if plain == column.expression.sql => plain,
                // Under the column's own name, ORDER BY would sort by the text.
                _ => format!("{} AS [rivet_{index}]", column.expression.sql),
            })
            .collect();
        let top = request.limit.map(|limit| format!("TOP ({}) ", limit.min(i64::MAX.unsigned_abs())));
        let top = top.unwrap_or_default();
        Ok(format!("SELECT {top}{} {}", list.join(", "), self.source.tail(request)?))
    }

    pub fn mappings(&self) -> Result<Vec<TypeMapping>> {
        self.columns.iter().map(PlannedColumn::mapping).collect()
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

type Chosen = (SourceColumn, Option<WantedType>);

fn choose(request: &ExportRequest, available: &[SourceColumn]) -> Result<Vec<Chosen>> {
    for name in request.columns.iter().map(|column| &column.name).chain(&request.exclude) {
        find(name, available, request)?;
    }
    if request.columns_complete {
        return request
            .columns
            .iter()
            .map(|column| Ok((find(&column.name, available, request)?.clone(), column.wanted)))
            .collect();
    }
    let wanted =
        |name: &str| request.columns.iter().find(|column| column.name == name).and_then(|column| column.wanted);
    Ok(available
        .iter()
        .filter(|column| !request.exclude.contains(&column.name))
        .map(|column| (column.clone(), wanted(&column.name)))
        .collect())
}

/// A column by its exact name.
pub(crate) fn find<'a>(
    name: &str,
    columns: &'a [types::SourceColumn],
    request: &ExportRequest,
) -> Result<&'a types::SourceColumn> {
    if let Some(column) = columns.iter().find(|column| column.name == name) {
        return Ok(column);
    }
    let error =
        Error::new(ErrorKind::NotFound, format!("{} has no column `{name}`", request.relation)).with_code("207");
    Err(match nearest(name, columns.iter().map(|column| column.name.as_str())) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => {
            let names = columns.iter().take(20).map(|column| column.name.as_str()).collect::<Vec<_>>();
            error.with_hint(format!("its columns: {}", names.join(", ")))
        }
    })
}
