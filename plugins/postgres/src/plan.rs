//! From a request to a SELECT: which columns, as what, from where.

use rivet_sdk::sql::{self, Dialect};
use rivet_sdk::{
    Condition, Error, ErrorKind, ExportRequest, OnUnrepresentable, Relation, Result, Retry, TypeMapping, nearest,
};

use crate::catalog::{self, Closed, SourceColumn, Table};
use crate::dialect::Postgres;
use crate::error::confused;
use crate::keys;
use crate::kind::Kind;
use crate::overrides;
use crate::types::{Expression, Types};
use crate::wire::Wire;

/// A request with every question about its columns answered.
#[derive(Debug)]
pub(crate) struct Plan {
    pub columns: Vec<PlannedColumn>,
    /// Which of `columns` make the primary key, to name a row in an error.
    pub key: Vec<usize>,
}

/// One output column.
#[derive(Debug)]
pub(crate) struct PlannedColumn {
    pub source: SourceColumn,
    pub expression: Expression,
    pub nullable: bool,
    /// What the server must announce for it; None where the expression is more than the column.
    announced: Option<u32>,
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
    pub fn new(wire: &mut Wire, version: u32, request: &ExportRequest) -> Result<Self> {
        let (table, available) = columns(wire, version, &request.relation)?;
        may_read(request, table.as_ref(), &available)?;
        let chosen = choose(request, available)?;
        may_read_columns(&request.relation, chosen.iter().map(|(column, _)| column))?;
        let mut types = Types::default();
        types.load(wire, version, chosen.iter().map(|(source, _)| source.oid))?;
        let mut columns = Vec::with_capacity(chosen.len());
        for (source, wanted) in chosen {
            let name = Postgres.name(&source.name);
            let expression = match wanted {
                None => types.expression(&name, source.oid, source.typmod),
                Some(wanted) => overrides::expression(&types, &name, &source, wanted)?,
            };
            let policy_may_null =
                request.on_unrepresentable == OnUnrepresentable::Null && expression.kind.may_not_fit();
            columns.push(PlannedColumn {
                nullable: !source.not_null || policy_may_null,
                announced: (expression.sql == name).then(|| types.announced(source.oid)),
                source,
                expression,
            });
        }
        if columns.is_empty() {
            return Err(Error::config(format!("no column of {} is left to export", request.relation)));
        }
        let key = match &table {
            Some(table) => keys::primary_key(wire, table)?,
            None => Vec::new(),
        };
        let position = |name: &String| columns.iter().position(|column| column.name() == name);
        let key = key.iter().map(position).collect::<Option<Vec<_>>>().unwrap_or_default();
        Ok(Self { columns, key })
    }

    /// The statement whose rows are the export.
    pub fn select(&self, request: &ExportRequest) -> Result<String> {
        let list: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| match Postgres.name(column.name()) {
                plain if plain == column.expression.sql => plain,
                // A cast would keep the column's name, and ORDER BY would sort by the text.
                _ => format!("{} AS rivet_{index}", column.expression.sql),
            })
            .collect();
        Ok(format!("SELECT {} {}", list.join(", "), tail(request)?))
    }

    /// Asks the server what `select` will send: binary rows do not say what they are. From here to the transaction's
    /// end nobody alters what is read, for describing it locks it as reading it does.
    pub fn verify(&self, wire: &mut Wire, select: &str) -> Result<()> {
        let found = wire.describe(select)?;
        if found.len() != self.columns.len() {
            return Err(confused(format!("{} columns where {} were expected", found.len(), self.columns.len())));
        }
        for (column, found) in self.columns.iter().zip(&found) {
            if column.announced.is_some_and(|oid| oid != found.oid) {
                return Err(altered(column.name()));
            }
            if !column.kind().reads(found.oid) {
                let found = format!("the type {}", found.oid);
                return Err(Error::in_another_form(column.name(), &column.source.source_type, &found));
            }
        }
        Ok(())
    }

    pub fn mappings(&self) -> Result<Vec<TypeMapping>> {
        self.columns.iter().map(PlannedColumn::mapping).collect()
    }
}

/// A table was altered between two looks at it.
fn altered(column: &str) -> Error {
    Error::new(ErrorKind::Transient, format!("column `{column}` changed while the export began"))
        .with_retry(Retry::Transient(None))
        .with_hint("the table was altered; the next attempt sees it as it is now")
        .with_context("column", column)
}

/// `FROM … WHERE … ORDER BY … LIMIT …`
pub(crate) fn tail(request: &ExportRequest) -> Result<String> {
    let mut tail = format!(
        "FROM {}{}{}",
        sql::from(&Postgres, &request.relation),
        sql::where_clause(&Postgres, &request.conditions)?,
        sql::order_by(&Postgres, &request.order_by),
    );
    if let Some(limit) = request.limit {
        tail.push_str(&format!(" LIMIT {}", limit.min(i64::MAX.unsigned_abs())));
    }
    Ok(tail)
}

/// What there is to choose from.
pub(crate) fn columns(
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

type Chosen = (SourceColumn, Option<rivet_sdk::WantedType>);

fn choose(request: &ExportRequest, available: Vec<SourceColumn>) -> Result<Vec<Chosen>> {
    for name in request.columns.iter().map(|column| &column.name).chain(&request.exclude) {
        find(name, &available, request)?;
    }
    if request.columns_complete {
        return request
            .columns
            .iter()
            .map(|column| Ok((find(&column.name, &available, request)?.clone(), column.wanted)))
            .collect();
    }
    let wanted =
        |name: &str| request.columns.iter().find(|column| column.name == name).and_then(|column| column.wanted);
    Ok(available
        .into_iter()
        .filter(|column| !request.exclude.contains(&column.name))
        .map(|column| {
            let wanted = wanted(&column.name);
            (column, wanted)
        })
        .collect())
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
    let named = request.conditions.iter().flat_map(Condition::columns).chain(&request.order_by);
    let named = named.filter_map(|name| available.iter().find(|column| column.name == *name));
    may_read_columns(&request.relation, named)
}

/// Refuses columns that the login has no SELECT on, by name: the server would name the table alone.
pub(crate) fn may_read_columns<'a>(
    relation: &Relation,
    columns: impl IntoIterator<Item = &'a SourceColumn>,
) -> Result<()> {
    let unreadable = columns.into_iter().filter(|column| !column.readable);
    let names: Vec<&str> = unreadable.map(|column| column.name.as_str()).collect();
    if names.is_empty() { Ok(()) } else { Err(Error::unreadable_columns(relation, &names).with_code("42501")) }
}

/// A column by its exact name.
pub(crate) fn find<'a>(name: &str, columns: &'a [SourceColumn], request: &ExportRequest) -> Result<&'a SourceColumn> {
    if let Some(column) = columns.iter().find(|column| column.name == name) {
        return Ok(column);
    }
    let error =
        Error::new(ErrorKind::NotFound, format!("{} has no column `{name}`", request.relation)).with_code("42703");
    Err(match nearest(name, columns.iter().map(|column| column.name.as_str())) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => {
            let names = columns.iter().take(20).map(|column| column.name.as_str()).collect::<Vec<_>>();
            error.with_hint(format!("its columns: {}", names.join(", ")))
        }
    })
}
