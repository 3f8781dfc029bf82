//! The rows of the catalogue's views.

use rusqlite::types::Value;

use super::meta::{Object, Table};
use super::server::needs_state;
use crate::error::{SqlError, SqlResult};
use crate::session::env::Env;
use crate::sql::bind::Bound;
use crate::types::{Kind, NAMES, Type};

pub type Rows = SqlResult<Vec<Vec<Value>>>;

pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub fn int(number: impl Into<i64>) -> Value {
    Value::Integer(number.into())
}

pub fn bit(set: bool) -> Value {
    Value::Integer(i64::from(set))
}

fn optional(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}

/// Whoever has no right to an object doesn't see it.
fn visible(env: &Env, object: Object<'_>) -> bool {
    ["SELECT", "INSERT", "UPDATE", "DELETE", "VIEW DEFINITION"]
        .iter()
        .any(|permission| env.meta.may_some(&env.login, permission, &object))
}

fn seen(env: &Env) -> Vec<&Table> {
    env.meta.tables.iter().filter(|table| visible(env, Object::Table(table))).collect()
}

pub fn schemas(env: &Env) -> Rows {
    Ok(env.meta.schemas.iter().map(|schema| vec![text(&schema.name), int(schema.id), int(1)]).collect())
}

fn object(name: &str, id: i32, schema: i32, kind: &str, described: &str, created: &str) -> Vec<Value> {
    vec![
        text(name),
        int(id),
        Value::Null,
        int(schema),
        int(0),
        text(kind),
        text(described),
        text(created),
        text(created),
        bit(false),
        int(0),
        bit(false),
        bit(false),
    ]
}

pub fn objects(env: &Env) -> Rows {
    Ok([tables(env)?, views(env)?].concat())
}

pub fn tables(env: &Env) -> Rows {
    let row = |table: &&Table| object(&table.name, table.id, table.schema, "U ", "USER_TABLE", &table.created);
    Ok(seen(env).iter().map(row).collect())
}

pub fn views(env: &Env) -> Rows {
    let views = env.meta.views.iter().filter(|view| visible(env, Object::View(view)));
    Ok(views.map(|view| object(&view.name, view.id, view.schema, "V ", "VIEW", &view.created)).collect())
}

pub fn columns(env: &Env) -> Rows {
    let objects = env.meta.tables.iter().map(Object::Table).chain(env.meta.views.iter().map(Object::View));
    let mut rows = Vec::new();
    for object in objects.filter(|object| visible(env, *object)) {
        for column in object.columns() {
            let ty = &column.ty;
            rows.push(vec![
                int(object.id()),
                text(&column.name),
                int(column.id),
                int(ty.system_type_id()),
                int(ty.user_type_id()),
                int(ty.max_length()),
                int(precision(ty)),
                int(scale(ty)),
                collation(ty),
                bit(column.nullable),
                bit(false),
                bit(column.identity.is_some()),
                bit(column.computed.is_some()),
                bit(column.hidden),
                bit(false),
                int(0),
                int(0),
            ]);
        }
    }
    Ok(rows)
}

fn precision(ty: &Type) -> u8 {
    if ty.is_text() || ty.is_binary() { 0 } else { ty.precision }
}

fn scale(ty: &Type) -> u8 {
    if ty.is_text() || ty.is_binary() { 0 } else { ty.scale }
}

fn collation(ty: &Type) -> Value {
    optional(ty.is_text().then(|| ty.collation.name()))
}

pub fn types(_: &Env) -> Rows {
    let row = |(name, kind, system, user, length): &(&str, Kind, u8, u16, i16)| {
        let ty = Type::new(*kind);
        let assembly = ty.is_udt();
        let precision =
            if ty.is_exact() && !matches!(kind, Kind::Money | Kind::SmallMoney) { 38 } else { precision(&ty) };
        let scale = if matches!(kind, Kind::Decimal | Kind::Numeric) { 38 } else { scale(&ty) };
        vec![
            text(name),
            int(*system),
            int(*user),
            int(4),
            int(*length),
            int(precision),
            int(scale),
            collation(&ty),
            bit(*name != "sysname" && *kind != Kind::RowVersion),
            bit(false),
            bit(assembly),
        ]
    };
    Ok(NAMES.iter().map(row).collect())
}

pub fn indexes(env: &Env) -> Rows {
    let mut rows = Vec::new();
    let row = |table: &Table, name: Value, id: i32, kind: i32, described: &str| {
        vec![int(table.id), name, int(id), int(kind), text(described), bit(false), int(1), bit(false)]
    };
    for table in seen(env) {
        if !table.indexes.iter().any(|index| index.clustered) {
            let mut heap = row(table, Value::Null, 0, 0, "HEAP");
            heap.extend([bit(false), bit(false), int(0), bit(false), bit(false), bit(false), bit(false), Value::Null]);
            rows.push(heap);
        }
        for index in &table.indexes {
            let (kind, described) = if index.clustered { (1, "CLUSTERED") } else { (2, "NONCLUSTERED") };
            let mut values = row(table, text(&index.name), index.id, kind, described);
            values[5] = bit(index.unique);
            values.extend([
                bit(index.primary),
                bit(index.constraint && !index.primary),
                int(0),
                bit(false),
                bit(index.disabled),
                bit(false),
                bit(index.filter.is_some()),
                optional(index.filter.as_ref().map(|filter| format!("({filter})"))),
            ]);
            rows.push(values);
        }
    }
    Ok(rows)
}

pub fn index_columns(env: &Env) -> Rows {
    let mut rows = Vec::new();
    for table in seen(env) {
        for index in &table.indexes {
            let keys = index.keys.iter().map(|(column, descending)| (*column, *descending, true));
            let included = index.included.iter().map(|column| (*column, false, false));
            for (at, (column, descending, key)) in (1_i64..).zip(keys.chain(included)) {
                let ordinal = if key { at } else { 0 };
                rows.push(vec![
                    int(table.id),
                    int(index.id),
                    int(at),
                    int(column),
                    int(ordinal),
                    int(0),
                    bit(descending),
                    bit(!key),
                ]);
            }
        }
    }
    Ok(rows)
}

pub fn key_constraints(env: &Env) -> Rows {
    let mut rows = Vec::new();
    for table in seen(env) {
        for index in table.indexes.iter().filter(|index| index.constraint) {
            let (kind, described) =
                if index.primary { ("PK", "PRIMARY_KEY_CONSTRAINT") } else { ("UQ", "UNIQUE_CONSTRAINT") };
            rows.push(vec![
                text(&index.name),
                int(table.id + index.id),
                int(table.schema),
                int(table.id),
                text(kind),
                text(described),
                int(index.id),
                bit(false),
            ]);
        }
    }
    Ok(rows)
}

pub fn identity_columns(env: &Env) -> Rows {
    let mut rows = Vec::new();
    for table in seen(env) {
        for column in &table.columns {
            if let Some((seed, step)) = column.identity {
                rows.push(vec![int(table.id), text(&column.name), int(column.id), int(seed), int(step)]);
            }
        }
    }
    Ok(rows)
}

/// A table's heap or clustered index, and its others.
fn index_numbers(table: &Table) -> Vec<i32> {
    let mut numbers: Vec<i32> = table.indexes.iter().map(|index| index.id).collect();
    if !table.indexes.iter().any(|index| index.clustered) {
        numbers.insert(0, 0);
    }
    numbers
}

fn partition(table: &Table, index: i32) -> i64 {
    (i64::from(table.id) << 8) + i64::from(index)
}

pub fn partitions(env: &Env) -> Rows {
    let mut rows = Vec::new();
    for table in seen(env) {
        for index in index_numbers(table) {
            let number = int(partition(table, index));
            rows.push(vec![number.clone(), int(table.id), int(index), int(1), number, int(0), int(0)]);
        }
    }
    Ok(rows)
}

pub fn allocation_units(env: &Env) -> Rows {
    if env.differs(crate::faults::Kind::LacksUnits) {
        return Err(crate::error::SqlError::invalid_object("sys.allocation_units"));
    }
    let mut rows = Vec::new();
    for table in seen(env) {
        for index in index_numbers(table) {
            let number = int(partition(table, index));
            rows.push(vec![number.clone(), int(1), text("IN_ROW_DATA"), number, int(0), int(0), int(0)]);
        }
    }
    Ok(rows)
}

pub fn partition_stats(env: &Env) -> Rows {
    needs_state(env, "VIEW DATABASE STATE")?;
    let mut rows = Vec::new();
    for table in seen(env) {
        for index in index_numbers(table) {
            rows.push(vec![
                int(partition(table, index)),
                int(table.id),
                int(index),
                int(1),
                int(0),
                int(0),
                int(0),
                int(0),
            ]);
        }
    }
    Ok(rows)
}

pub fn computed(env: &Env) -> Rows {
    let mut rows = Vec::new();
    for table in seen(env) {
        for column in table.columns.iter().filter(|column| column.computed.is_some()) {
            rows.push(vec![int(table.id), text(&column.name), int(column.id), optional(column.computed.clone())]);
        }
    }
    Ok(rows)
}

pub fn principals(env: &Env) -> Rows {
    let users = ["dbo".to_owned(), "guest".to_owned()];
    let all = users.iter().chain(&env.meta.users);
    Ok((1_i64..).zip(all).map(|(id, name)| vec![text(name), int(id), text("S"), text("dbo")]).collect())
}

pub fn information_tables(env: &Env) -> Rows {
    let row = |object: Object<'_>, kind: &str| {
        vec![text(&env.database.name), text(env.meta.schema_name(object.schema())), text(object.name()), text(kind)]
    };
    let tables = env.meta.tables.iter().map(|table| (Object::Table(table), "BASE TABLE"));
    let views = env.meta.views.iter().map(|view| (Object::View(view), "VIEW"));
    Ok(tables
        .chain(views)
        .filter(|(object, _)| visible(env, *object))
        .map(|(object, kind)| row(object, kind))
        .collect())
}

pub fn information_columns(env: &Env) -> Rows {
    let mut rows = Vec::new();
    for table in seen(env) {
        for column in &table.columns {
            rows.push(vec![
                text(&env.database.name),
                text(env.meta.schema_name(table.schema)),
                text(&table.name),
                text(&column.name),
                int(column.id),
                text(if column.nullable { "YES" } else { "NO" }),
                text(column.ty.base_name()),
            ]);
        }
    }
    Ok(rows)
}

/// A row of sys.dm_exec_describe_first_result_set.
pub fn described(at: usize, column: &Bound, env: &Env) -> Vec<Value> {
    let ty = &column.ty;
    let own = ty.is_udt();
    vec![
        bit(false),
        int(i64::try_from(at + 1).unwrap_or(0)),
        optional(column.name.clone()),
        bit(column.nullable),
        int(ty.system_type_id()),
        if own { Value::Null } else { Value::Text(ty.to_string()) },
        int(ty.max_length()),
        int(precision(ty)),
        int(scale(ty)),
        collation(ty),
        if own { int(ty.user_type_id()) } else { Value::Null },
        if own { text(&env.database.name) } else { Value::Null },
        if own { text("sys") } else { Value::Null },
        if own { text(ty.base_name()) } else { Value::Null },
        bit(column.identity),
        bit(column.table.is_none()),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}

/// The only row for a statement that is wrong.
pub fn undescribed(error: &SqlError) -> Vec<Value> {
    let mut row = vec![Value::Null; 22];
    row[0] = bit(false);
    row[1] = int(0);
    row[3] = bit(false);
    row[4] = int(0);
    row[6] = int(0);
    row[7] = int(0);
    row[8] = int(0);
    row[16] = int(error.number);
    row[17] = int(error.class);
    row[18] = int(error.state);
    row[19] = text(&error.message);
    row[20] = int(1);
    row[21] = text("MISCELLANEOUS");
    row
}
