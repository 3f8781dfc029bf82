//! From a request to a SELECT: which columns, as what, from where.

use rivet_sdk::sql::{self, Dialect};
use rivet_sdk::{
    Condition, Error, ErrorKind, ExportRequest, OnUnrepresentable, Relation, Result, TypeMapping, nearest,
};

use crate::catalog::{self, SourceColumn, Table};
use crate::dialect::Mysql;
use crate::keys;
use crate::kind::Kind;
use crate::overrides;
use crate::rights;
use crate::server::Server;
use crate::types::{Expression, natural};
use crate::wire::Wire;

/// What a plan depends on besides the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub server: Server,
    pub tinyint1_as_boolean: bool,
}

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
    pub fn new(wire: &mut Wire, setting: Setting, request: &ExportRequest) -> Result<Self> {
        let (table, available) = columns(wire, setting.server, &request.relation)?;
        let named = request.conditions.iter().flat_map(Condition::columns).chain(&request.order_by);
        rights::may_read(
            &request.relation,
            named.filter_map(|name| available.iter().find(|column| column.name == *name)),
        )?;
        let chosen = choose(request, available)?;
        rights::may_read(&request.relation, chosen.iter().map(|(column, _)| column))?;
        let mut columns = Vec::with_capacity(chosen.len());
        for (source, wanted) in chosen {
            let name = Mysql.name(&source.name);
            let expression = match wanted {
                None => natural(&name, &source, setting.tinyint1_as_boolean),
                Some(wanted) => overrides::expression(&name, &source, wanted)?,
            };
            let policy_may_null =
                request.on_unrepresentable == OnUnrepresentable::Null && expression.kind.may_not_fit();
            columns.push(PlannedColumn { nullable: !source.not_null || policy_may_null, source, expression });
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
            .map(|(index, column)| match Mysql.name(column.name()) {
                plain if plain == column.expression.sql => plain,
                // ORDER BY would take a name of the list for a name of the table, and sort by it.
                _ => format!("{} AS rivet_{index}", column.expression.sql),
            })
            .collect();
        Ok(format!("SELECT {} {}", list.join(", "), tail(request)?))
    }

    pub fn mappings(&self) -> Result<Vec<TypeMapping>> {
        self.columns.iter().map(PlannedColumn::mapping).collect()
    }
}

/// `FROM … WHERE … ORDER BY … LIMIT …`
pub(crate) fn tail(request: &ExportRequest) -> Result<String> {
    let mut tail = format!(
        "FROM {}{}{}",
        sql::from(&Mysql, &request.relation),
        sql::where_clause(&Mysql, &request.conditions)?,
        sql::order_by(&Mysql, &request.order_by),
    );
    if let Some(limit) = request.limit {
        tail.push_str(&format!(" LIMIT {}", limit.min(i64::MAX.unsigned_abs())));
    }
    Ok(tail)
}

/// What there is to choose from.
pub(crate) fn columns(
    wire: &mut Wire,
    server: Server,
    relation: &Relation,
) -> Result<(Option<Table>, Vec<SourceColumn>)> {
    match relation {
        Relation::Table(name) => {
            let table = catalog::table(wire, name)?;
            let columns = catalog::table_columns(wire, server, &table)?;
            Ok((Some(table), columns))
        }
        Relation::Query(_) => Ok((None, catalog::query_columns(wire, relation)?)),
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

/// A column by its exact name.
pub(crate) fn find<'a>(name: &str, columns: &'a [SourceColumn], request: &ExportRequest) -> Result<&'a SourceColumn> {
    if let Some(column) = columns.iter().find(|column| column.name == name) {
        return Ok(column);
    }
    let error =
        Error::new(ErrorKind::NotFound, format!("{} has no column `{name}`", request.relation)).with_code("1054");
    Err(match nearest(name, columns.iter().map(|column| column.name.as_str())) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => {
            let names = columns.iter().take(20).map(|column| column.name.as_str()).collect::<Vec<_>>();
            error.with_hint(format!("its columns: {}", names.join(", ")))
        }
    })
}
