//! The catalogue's views and functions: their columns, and where their rows come from.

use rusqlite::types::Value;

use super::{server, views};
use crate::catalogue::meta::same;
use crate::error::{SqlError, SqlResult};
use crate::session::env::Env;
use crate::sql::bind::{Binder, BoundQuery, Scope};
use crate::sql::parser::Parser;
use crate::types::collation::Collation;
use crate::types::{Kind, Type};

/// Columns (name, type, nullable) and rows.
#[derive(Debug, Clone)]
pub struct Answer {
    pub columns: Vec<(String, Type, bool)>,
    pub rows: Vec<Vec<Value>>,
}

type Rows = fn(&Env) -> SqlResult<Vec<Vec<Value>>>;

/// Every view of `sys`: its columns as CREATE TABLE would have them; `?` ends a nullable one's type.
const VIEWS: [(&str, &str, Rows); 22] = [
    ("schemas", "name sysname, schema_id int, principal_id int?", views::schemas),
    ("objects", OBJECT, views::objects),
    ("all_objects", OBJECT, views::objects),
    ("tables", OBJECT, views::tables),
    ("views", OBJECT, views::views),
    (
        "columns",
        "object_id int, name sysname?, column_id int, system_type_id tinyint, user_type_id int, max_length smallint, \
         precision tinyint, scale tinyint, collation_name sysname?, is_nullable bit?, is_rowguidcol bit, is_identity bit, \
         is_computed bit, is_hidden bit?, is_sparse bit?, generated_always_type tinyint?, default_object_id int",
        views::columns,
    ),
    (
        "types",
        "name sysname, system_type_id tinyint, user_type_id int, schema_id int, max_length smallint, precision tinyint, \
         scale tinyint, collation_name sysname?, is_nullable bit?, is_user_defined bit, is_assembly_type bit",
        views::types,
    ),
    (
        "indexes",
        "object_id int, name sysname?, index_id int, type tinyint, type_desc nvarchar(60)?, is_unique bit?, \
         data_space_id int?, ignore_dup_key bit?, is_primary_key bit?, is_unique_constraint bit?, fill_factor tinyint, \
         is_padded bit?, is_disabled bit?, is_hypothetical bit?, has_filter bit?, filter_definition nvarchar(max)?",
        views::indexes,
    ),
    (
        "index_columns",
        "object_id int, index_id int, index_column_id int, column_id int, key_ordinal tinyint, partition_ordinal tinyint, \
         is_descending_key bit?, is_included_column bit?",
        views::index_columns,
    ),
    (
        "key_constraints",
        "name sysname, object_id int, schema_id int, parent_object_id int, type char(2)?, type_desc nvarchar(60)?, \
         unique_index_id int?, is_system_named bit",
        views::key_constraints,
    ),
    (
        "identity_columns",
        "object_id int, name sysname?, column_id int, seed_value bigint?, increment_value bigint?",
        views::identity_columns,
    ),
    (
        "partitions",
        "partition_id bigint, object_id int, index_id int, partition_number int, hobt_id bigint, rows bigint?, \
         data_compression tinyint",
        views::partitions,
    ),
    (
        "allocation_units",
        "allocation_unit_id bigint, type tinyint, type_desc nvarchar(60)?, container_id bigint, total_pages bigint, \
         used_pages bigint, data_pages bigint",
        views::allocation_units,
    ),
    (
        "dm_db_partition_stats",
        "partition_id bigint?, object_id int, index_id int, partition_number int, in_row_data_page_count bigint?, \
         used_page_count bigint?, reserved_page_count bigint?, row_count bigint?",
        views::partition_stats,
    ),
    (
        "databases",
        "name sysname, database_id int, create_date datetime, compatibility_level tinyint, collation_name sysname?, \
         is_read_only bit?, is_in_standby bit?, source_database_id int?, state tinyint?, state_desc nvarchar(60)?, snapshot_isolation_state tinyint?, \
         snapshot_isolation_state_desc nvarchar(60)?, is_read_committed_snapshot_on bit?, service_broker_guid uniqueidentifier, \
         user_access tinyint?, recovery_model_desc nvarchar(60)?, is_encrypted bit?",
        server::databases,
    ),
    (
        "dm_exec_sessions",
        "session_id smallint, login_time datetime, host_name nvarchar(128)?, program_name nvarchar(128)?, \
         login_name nvarchar(128), original_login_name nvarchar(128), status nvarchar(30), database_id smallint, \
         transaction_isolation_level smallint, lock_timeout int, deadlock_priority int, text_size int, \
         language nvarchar(128)?, date_format nvarchar(3)?, open_transaction_count int, is_user_process bit",
        server::sessions,
    ),
    (
        "dm_exec_requests",
        "session_id smallint, status nvarchar(30), command nvarchar(32), blocking_session_id smallint?, wait_type nvarchar(60)?",
        server::requests,
    ),
    (
        "dm_exec_connections",
        "session_id int?, net_transport nvarchar(40), encrypt_option nvarchar(40), auth_scheme nvarchar(40), \
         net_packet_size int?, protocol_version int?",
        server::connections,
    ),
    (
        "dm_os_performance_counters",
        "object_name nchar(128), counter_name nchar(128), instance_name nchar(128)?, cntr_value bigint, cntr_type int",
        server::counters,
    ),
    ("dm_os_sys_info", "cpu_count int, physical_memory_kb bigint, sqlserver_start_time datetime", server::system),
    ("computed_columns", "object_id int, name sysname?, column_id int, definition nvarchar(max)?", views::computed),
    (
        "database_principals",
        "name sysname, principal_id int, type char(1), default_schema_name sysname?",
        views::principals,
    ),
];

const OBJECT: &str = "name sysname, object_id int, principal_id int?, schema_id int, parent_object_id int, type char(2)?, \
     type_desc nvarchar(60)?, create_date datetime, modify_date datetime, is_ms_shipped bit, temporal_type tinyint?, \
     is_memory_optimized bit?, is_external bit?";

const INFORMATION: [(&str, &str, Rows); 2] = [
    (
        "TABLES",
        "TABLE_CATALOG nvarchar(128)?, TABLE_SCHEMA sysname?, TABLE_NAME sysname, TABLE_TYPE varchar(10)?",
        views::information_tables,
    ),
    (
        "COLUMNS",
        "TABLE_CATALOG nvarchar(128)?, TABLE_SCHEMA nvarchar(128)?, TABLE_NAME sysname, COLUMN_NAME sysname?, \
         ORDINAL_POSITION int, IS_NULLABLE varchar(3)?, DATA_TYPE nvarchar(128)?",
        views::information_columns,
    ),
];

const DESCRIPTION: &str = "is_hidden bit, column_ordinal int, name sysname?, is_nullable bit, system_type_id int, \
     system_type_name nvarchar(256)?, max_length smallint, precision tinyint, scale tinyint, collation_name sysname?, \
     user_type_id int?, user_type_database sysname?, user_type_schema sysname?, user_type_name sysname?, \
     is_identity_column bit?, is_computed_column bit?, error_number int?, error_severity int?, error_state int?, \
     error_message nvarchar(4000)?, error_type int?, error_type_desc nvarchar(60)?";

fn declared(spec: &str) -> SqlResult<Vec<(String, Type, bool)>> {
    spec.split(", ")
        .map(|column| {
            let (name, ty) = column.trim().split_once(' ').ok_or_else(|| SqlError::syntax(column))?;
            let nullable = ty.ends_with('?');
            let ty = Parser::new(ty.trim_end_matches('?'))?.ty()?.with_collation(Collation::CATALOGUE);
            // Names compare as the database's own names do.
            let ty = if ty.is_text() { ty.with_collation(Collation::DEFAULT) } else { ty };
            Ok((name.to_owned(), ty, nullable))
        })
        .collect()
}

/// A view of `sys` or INFORMATION_SCHEMA.
pub fn view(binder: &mut Binder<'_>, schema: &str, name: &str) -> SqlResult<Option<Answer>> {
    let list: &[(&str, &str, Rows)] = if same(schema, "sys") {
        &VIEWS
    } else if same(schema, "INFORMATION_SCHEMA") {
        &INFORMATION
    } else {
        return Ok(None);
    };
    let Some((_, spec, rows)) = list.iter().find(|(known, ..)| same(known, name)) else { return Ok(None) };
    let answer = Answer { columns: declared(spec)?, rows: rows(&binder.env)? };
    if matches!(name.to_ascii_lowercase().as_str(), "partitions" | "allocation_units" | "dm_db_partition_stats") {
        return Ok(Some(counted(binder, name, answer)?));
    }
    Ok(Some(answer))
}

/// Puts the numbers of rows and pages in.
fn counted(binder: &Binder<'_>, name: &str, mut answer: Answer) -> SqlResult<Answer> {
    let columns: Vec<usize> = answer
        .columns
        .iter()
        .enumerate()
        .filter(|(_, (name, ..))| name.contains("page") || name == "rows" || name == "row_count")
        .map(|(at, _)| at)
        .collect();
    let key = if same(name, "allocation_units") { 3 } else { 1 };
    for row in &mut answer.rows {
        let Value::Integer(number) = row[key] else { continue };
        // A partition's number is its table's, times two to the eighth, and its index's.
        let table = if key == 3 { number >> 8 } else { number };
        let rows: i64 =
            binder.engine.sqlite.query_row(&format!("SELECT COUNT(*) FROM t{table}"), [], |row| row.get(0))?;
        for column in &columns {
            let rowly = answer.columns[*column].0.starts_with("row");
            let counts = !binder.env.differs(crate::faults::Kind::CountsNothing);
            row[*column] = Value::Integer(if !counts && rowly {
                0
            } else if rowly {
                rows
            } else {
                rows / 50 + i64::from(rows > 0)
            });
        }
    }
    Ok(answer)
}

/// A table-valued function. Without arguments every row there can be, its arguments in front.
pub fn function(
    binder: &mut Binder<'_>,
    schema: &str,
    name: &str,
    arguments: Option<&[(Value, Type)]>,
) -> SqlResult<Option<Answer>> {
    let word = |at: usize| match arguments.and_then(|arguments| arguments.get(at)) {
        Some((Value::Text(text), _)) => Some(text.clone()),
        _ => None,
    };
    let number = |at: usize| match arguments.and_then(|arguments| arguments.get(at)) {
        Some((Value::Integer(number), _)) => Some(*number),
        _ => None,
    };
    if schema.is_empty() {
        return match (name.to_ascii_lowercase().as_str(), arguments) {
            ("generate_series", Some(arguments)) => {
                let (Some(first), Some(last)) = (number(0), number(1)) else {
                    return Ok(Some(series(Vec::new(), Kind::Int)));
                };
                let step = number(2).unwrap_or(1);
                let kind = arguments[0].1.kind;
                let count = (last - first).checked_div(step).unwrap_or(-1);
                Ok(Some(series((0..=count).map(|at| first + at * step).collect(), kind)))
            }
            ("string_split", Some(_)) => {
                let (text, separator) = (word(0).unwrap_or_default(), word(1).unwrap_or_default());
                let ty = Type::of_length(Kind::NVarChar, 4000);
                let rows = text.split(&*separator).map(|part| vec![Value::Text(part.to_owned())]).collect();
                Ok(Some(Answer { columns: vec![("value".to_owned(), ty, false)], rows }))
            }
            _ => Ok(None),
        };
    }
    if !same(schema, "sys") {
        return Ok(None);
    }
    match name.to_ascii_lowercase().as_str() {
        "dm_exec_describe_first_result_set" if arguments.is_some() => {
            if binder.env.differs(crate::faults::Kind::LacksDescription) {
                return Err(SqlError::invalid_object("sys.dm_exec_describe_first_result_set"));
            }
            let rows = description(binder, &word(0).unwrap_or_default(), word(1).as_deref());
            Ok(Some(Answer { columns: declared(DESCRIPTION)?, rows }))
        }
        "fn_my_permissions" if arguments.is_some() => {
            let columns = declared("entity_name sysname, subentity_name sysname, permission_name nvarchar(60)")?;
            Ok(Some(Answer {
                columns,
                rows: server::permissions(&binder.env, word(0).as_deref(), word(1).as_deref())?,
            }))
        }
        _ => Ok(None),
    }
}

fn series(numbers: Vec<i64>, kind: Kind) -> Answer {
    Answer {
        columns: vec![("value".to_owned(), Type::new(kind), false)],
        rows: numbers.into_iter().map(|number| vec![Value::Integer(number)]).collect(),
    }
}

/// What a statement would answer, without running it.
pub fn described(binder: &Binder<'_>, text: &str, parameters: Option<&str>) -> SqlResult<Option<BoundQuery>> {
    let mut variables = binder.env.variables.clone();
    for (name, ty) in crate::session::rpc::declarations(parameters.unwrap_or_default())? {
        variables.insert(name, crate::session::state::Variable { ty, value: Value::Null });
    }
    let env = Env { variables, ..binder.env.with_login(&binder.env.login) };
    let statements = crate::sql::statement::batch(text)?;
    let mut inner = Binder::new(std::sync::Arc::new(env), binder.engine);
    for (_, statement) in &statements {
        if let crate::sql::ast::Statement::Select(query) = statement {
            let bound = inner.query(&Scope::default(), query)?;
            return Ok(Some(bound));
        }
    }
    Ok(None)
}

/// The columns of a description.
pub fn description_columns() -> SqlResult<Vec<(String, Type, bool)>> {
    declared(DESCRIPTION)
}

fn description(binder: &Binder<'_>, text: &str, parameters: Option<&str>) -> Vec<Vec<Value>> {
    match described(binder, text, parameters) {
        Ok(Some(bound)) => {
            let rows = bound.columns.iter().enumerate();
            rows.map(|(at, column)| views::described(at, column, &binder.env)).collect()
        }
        Ok(None) => Vec::new(),
        Err(error) => vec![views::undescribed(&error)],
    }
}
