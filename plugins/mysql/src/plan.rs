//! From a request to a SELECT: which columns, as what, from where.

use rivet_sdk::sql::{self, columns};
use rivet_sdk::{Error, ExportRequest, Relation, Result};

use crate::catalog::{self, SourceColumn, Table};
use crate::dialect::Mysql;
use crate::keys;
use crate::kind::Kind;
use crate::overrides;
use crate::server::Server;
use crate::types::natural;
use crate::wire::Wire;

/// What a plan depends on besides the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub server: Server,
    pub tinyint1_as_boolean: bool,
}

pub(crate) type Plan = columns::Plan<SourceColumn, Kind>;

/// Looks the relation up and decides about each column.
pub(crate) fn plan(wire: &mut Wire, setting: Setting, request: &ExportRequest) -> Result<Plan> {
    let (table, available) = look_up(wire, setting.server, &request.relation)?;
    columns::may_compare(request, &available)?;
    let chosen = columns::choose(request, &available)?;
    columns::may_read(&request.relation, chosen.iter().map(|(column, _)| column))?;
    let plan = Plan::new(&Mysql, request, chosen, |name, source, wanted| match wanted {
        None => Ok(natural(name, source, setting.tinyint1_as_boolean)),
        Some(wanted) => overrides::expression(name, source, wanted),
    })?;
    let key = match &table {
        Some(table) => keys::primary_key(wire, table)?,
        None => Vec::new(),
    };
    Ok(plan.with_key(&key))
}

/// The statement whose rows are the export.
pub(crate) fn select(plan: &Plan, request: &ExportRequest) -> Result<String> {
    Ok(format!("SELECT {} {}", plan.list(&Mysql), sql::tail(&Mysql, request)?))
}

/// What there is to choose from.
pub(crate) fn look_up(
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
