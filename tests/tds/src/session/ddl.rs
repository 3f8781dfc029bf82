//! CREATE, ALTER, DROP, GRANT, and moving between databases.

use super::run::{Frame, Outcome};
use super::state::{Session, Variables};
use crate::catalogue::databases::missing;
use crate::catalogue::meta::{Column, Grant, Index, Meta, Schema, Securable, Table, View, same};
use crate::engine::Engine;
use crate::error::{SqlError, SqlResult};
use crate::signals::Signal;
use crate::sql::ast::{ColumnDefinition, Grantee, IndexDefinition, Name, Statement, TableChange};
use crate::sql::bind::{Binder, Scope, select};
use crate::sql::parser::{Parser, known_collation};
use crate::tokens;
use crate::types::{Kind, cast};

/// USE.
pub fn change_database(session: &mut Session, name: &str) -> Outcome {
    let database = session.shared.databases.find(name).ok_or_else(|| missing(name))?;
    if session.open_transactions > 0 {
        return Err(SqlError::unsupported("USE inside a transaction").into());
    }
    let mut engine = Engine::open(&database, session.signals.clone())?;
    engine.set_lock_timeout(session.settings.lock_timeout)?;
    session.engine = engine;
    let old = std::mem::replace(&mut session.database, database);
    let new = session.database.name.clone();
    tokens::environment(session.tokens(), 1, &new, &old.name);
    tokens::info(session.tokens(), 5701, 0, &format!("Changed database context to '{new}'."));
    session.publish();
    session.done(0, 0, 0);
    Ok(())
}

/// A statement of definition.
pub fn define(session: &mut Session, statement: &Statement, frame: &Frame) -> Outcome {
    if !session.login.eq_ignore_ascii_case(super::ADMINISTRATOR) {
        return Err(SqlError::new(
            262,
            format!("CREATE, ALTER, DROP and GRANT permission denied in database '{}'.", session.database.name),
        )
        .class(14)
        .into());
    }
    match statement {
        Statement::CreateDatabase { name, collation } => {
            let collation = match collation {
                Some(name) => known_collation(name)?,
                None => crate::types::collation::Collation::DEFAULT,
            };
            session.shared.databases.create(name, collation)?;
        }
        Statement::AlterDatabase { name, words } => alter_database(session, name.as_deref(), words)?,
        Statement::CreateLogin { name, password } => {
            let password = password.clone().unwrap_or_else(|| session.shared.config.password.clone());
            session.shared.databases.add_login(name, &password);
        }
        Statement::Drop { what, names, if_exists, .. } if what == "DATABASE" => {
            for name in names {
                drop_database(session, &name.join("."), *if_exists)?;
            }
        }
        Statement::Drop { what, .. } if what == "LOGIN" => {}
        _ => {
            let env = session.env(&Variables::default())?;
            let mut meta = Meta::clone(&env.meta);
            let below = change(session, &mut meta, statement, frame)?;
            if session.open_transactions > 0 {
                super::transaction::enter(session, true, false)?;
            }
            session.engine.declare(&meta, &below)?;
        }
    }
    session.done(0, 0, 0);
    Ok(())
}

fn drop_database(session: &mut Session, name: &str, if_exists: bool) -> SqlResult<()> {
    let Some(database) = session.shared.databases.find(name) else {
        if if_exists {
            return Ok(());
        }
        let message =
            format!("Cannot drop the database '{name}', because it does not exist or you do not have permission.");
        return Err(SqlError::new(3701, message).class(11));
    };
    let used = session.shared.sessions().values().any(|entry| same(&entry.database, &database.name));
    if used || database.id <= 4 {
        let message = format!("Cannot drop database \"{name}\" because it is currently in use.");
        return Err(SqlError::new(3702, message).state(4));
    }
    session.shared.faults.clear(&database.name);
    session.shared.databases.remove(name)
}

fn alter_database(session: &mut Session, name: Option<&str>, words: &[String]) -> SqlResult<()> {
    let name = name.unwrap_or(&session.database.name).to_owned();
    let database = session.shared.databases.find(&name).ok_or_else(|| missing(&name))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.contains(&"SINGLE_USER") {
        // WITH ROLLBACK IMMEDIATE: everybody else is thrown out.
        let others: Vec<u16> = session
            .shared
            .sessions()
            .iter()
            .filter(|(spid, entry)| **spid != session.spid && same(&entry.database, &database.name))
            .map(|(spid, entry)| {
                entry.signals.raise(Signal::Killed);
                *spid
            })
            .collect();
        for _ in 0..100 {
            if others.iter().all(|spid| !session.shared.sessions().contains_key(spid)) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        return Ok(());
    }
    let mut engine = Engine::open(&database, session.signals.clone())?;
    let mut meta = Meta::clone(&*engine.meta()?);
    match words[..] {
        ["ALLOW_SNAPSHOT_ISOLATION", on] => meta.snapshot_isolation = on == "ON",
        ["READ_COMMITTED_SNAPSHOT", on, ..] => meta.read_committed_snapshot = on == "ON",
        ["READ_ONLY", ..] => meta.read_only = true,
        ["READ_WRITE", ..] => meta.read_only = false,
        ["MULTI_USER" | "RECOVERY" | "COMPATIBILITY_LEVEL", ..] => {}
        _ => return Err(SqlError::unsupported(format!("ALTER DATABASE SET {}", words.join(" ")))),
    }
    engine.declare(&meta, &[])
}

/// Changes the declarations; what comes back has to be done below.
fn change(session: &mut Session, meta: &mut Meta, statement: &Statement, frame: &Frame) -> SqlResult<Vec<String>> {
    match statement {
        Statement::CreateTable { name, columns, indexes } => create_table(meta, name, columns, indexes),
        Statement::CreateIndex { table, index } => {
            let id = table_id(meta, table)?;
            Ok(vec![add_index(meta, id, index)?])
        }
        Statement::CreateView { name, columns, query } => {
            create_view(session, meta, name, columns, query, frame)?;
            Ok(Vec::new())
        }
        Statement::CreateSchema(name) => {
            if meta.schema(name).is_some() {
                return Err(taken(name));
            }
            let id = meta.schemas.iter().map(|schema| schema.id).max().unwrap_or(4) + 1;
            meta.schemas.push(Schema { id, name: name.clone() });
            Ok(Vec::new())
        }
        Statement::CreateUser { name } => {
            meta.users.push(name.clone());
            Ok(Vec::new())
        }
        Statement::AlterTable { table, change } => {
            let id = table_id(meta, table)?;
            alter_table(meta, id, change)
        }
        Statement::AlterIndex { index, table, disable } => {
            let id = table_id(meta, table)?;
            let table = meta.table_mut(id).ok_or_else(|| SqlError::invalid_object(""))?;
            for known in &mut table.indexes {
                if index.as_ref().is_none_or(|name| same(name, &known.name)) {
                    known.disabled = *disable;
                }
            }
            Ok(Vec::new())
        }
        Statement::Drop { what, names, if_exists, on } => drop_objects(meta, what, names, *if_exists, on.as_ref()),
        Statement::Grant { permissions, on, to, denied, revoked } => {
            grant(meta, permissions, on, to, *denied, *revoked)?;
            Ok(Vec::new())
        }
        _ => Err(SqlError::unsupported("this statement")),
    }
}

fn taken(name: &str) -> SqlError {
    SqlError::new(2714, format!("There is already an object named '{name}' in the database.")).state(6)
}

/// Schema id and name of an object to be.
fn placed(meta: &Meta, name: &Name) -> SqlResult<(i32, String)> {
    let (object, before) = name.split_last().ok_or_else(|| SqlError::syntax(""))?;
    let schema = before.last().filter(|schema| !schema.is_empty()).map_or("dbo", String::as_str);
    let message = || {
        format!("The specified schema name \"{schema}\" either does not exist or you do not have permission to use it.")
    };
    let schema = meta.schema(schema).ok_or_else(|| SqlError::new(2760, message()))?.id;
    if object.starts_with('#') {
        return Err(SqlError::unsupported("temporary tables"));
    }
    if meta.object(Some(meta.schema_name(schema)), object).is_some() {
        return Err(taken(object));
    }
    Ok((schema, object.clone()))
}

fn table_id(meta: &Meta, name: &Name) -> SqlResult<i32> {
    let (table, before) = name.split_last().ok_or_else(|| SqlError::syntax(""))?;
    let schema = before.last().filter(|schema| !schema.is_empty()).map(String::as_str);
    match meta.object(schema, table) {
        Some(crate::catalogue::meta::Object::Table(table)) => Ok(table.id),
        _ => Err(SqlError::new(
            4902,
            format!(
                "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                name.join(".")
            ),
        )),
    }
}

fn now() -> String {
    cast::now().to_datetime().store(Kind::DateTime)
}

fn column(meta: &Meta, definition: &ColumnDefinition, id: i32) -> SqlResult<Column> {
    if definition.computed.is_some() {
        return Err(SqlError::unsupported("computed columns"));
    }
    let ty = if definition.ty.is_text() && !definition.collated {
        definition.ty.with_collation(meta.collation)
    } else {
        definition.ty
    };
    let primary = definition.indexes.iter().any(|index| index.primary);
    Ok(Column {
        id,
        name: definition.name.clone(),
        ty,
        // rowversion and identity are never NULL.
        nullable: definition.nullable.unwrap_or(!primary)
            && definition.identity.is_none()
            && ty.kind != Kind::RowVersion
            && !primary,
        identity: definition.identity,
        default: definition.default.clone(),
        computed: None,
        hidden: definition.hidden,
    })
}

fn create_table(
    meta: &mut Meta,
    name: &Name,
    columns: &[ColumnDefinition],
    indexes: &[IndexDefinition],
) -> SqlResult<Vec<String>> {
    let (schema, name) = placed(meta, name)?;
    let id = meta.take_id();
    let mut made: Vec<Column> = Vec::new();
    for (number, definition) in (1..).zip(columns) {
        if made.iter().any(|column| same(&column.name, &definition.name)) {
            let message = format!(
                "Column names in each table must be unique. Column name '{}' in table '{name}' is specified more than once.",
                definition.name
            );
            return Err(SqlError::new(2705, message));
        }
        let mut column = column(meta, definition, number)?;
        // A key of the table makes its columns NOT NULL, unless they said otherwise.
        let keyed =
            indexes.iter().any(|index| index.primary && index.keys.iter().any(|(key, _)| same(key, &column.name)));
        if keyed {
            if definition.nullable == Some(true) {
                return Err(SqlError::new(
                    8111,
                    format!("Cannot define PRIMARY KEY constraint on nullable column in table '{name}'."),
                ));
            }
            column.nullable = false;
        }
        made.push(column);
    }
    let declarations: Vec<String> = made.iter().map(Column::declaration).collect();
    let table = Table { id, schema, name, created: now(), columns: made, indexes: Vec::new() };
    let mut below = vec![format!("CREATE TABLE {} ({})", table.stored(), declarations.join(", "))];
    meta.tables.push(table);
    for index in columns.iter().flat_map(|column| &column.indexes).chain(indexes) {
        below.push(add_index(meta, id, index)?);
    }
    Ok(below)
}

fn add_index(meta: &mut Meta, id: i32, definition: &IndexDefinition) -> SqlResult<String> {
    let table = meta.table_mut(id).ok_or_else(|| SqlError::invalid_object(""))?;
    let numbers = |names: &[String]| -> SqlResult<Vec<i32>> {
        names
            .iter()
            .map(|name| {
                table.column(name).map(|column| column.id).ok_or_else(|| {
                    SqlError::new(1911, format!("Column name '{name}' does not exist in the target table or view."))
                })
            })
            .collect()
    };
    let names: Vec<String> = definition.keys.iter().map(|(name, _)| name.clone()).collect();
    let keys: Vec<(i32, bool)> =
        numbers(&names)?.into_iter().zip(definition.keys.iter().map(|(_, down)| *down)).collect();
    let included = numbers(&definition.included)?;
    let has_clustered = table.indexes.iter().any(|index| index.clustered);
    // A primary key is clustered unless something else is, or it says otherwise.
    let clustered = definition.clustered.unwrap_or(definition.primary && !has_clustered);
    if clustered && has_clustered {
        return Err(SqlError::new(
            1902,
            format!("Cannot create more than one clustered index on table '{}'.", table.name),
        )
        .state(3));
    }
    let number = if clustered { 1 } else { table.indexes.iter().map(|index| index.id).max().unwrap_or(1).max(1) + 1 };
    let name = definition.name.clone().unwrap_or_else(|| {
        let prefix = if definition.primary { "PK" } else { "UQ" };
        format!(
            "{prefix}__{}__{:016X}",
            table.name.chars().take(8).collect::<String>(),
            i64::from(id) << 8 | i64::from(number)
        )
    });
    if table.indexes.iter().any(|index| same(&index.name, &name)) {
        return Err(SqlError::new(
            1913,
            format!(
                "The operation failed because an index or statistics with name '{name}' already exists on table '{}'.",
                table.name
            ),
        ));
    }
    let terms: Vec<String> =
        keys.iter().map(|(column, down)| format!("c{column}{}", if *down { " DESC" } else { "" })).collect();
    // A filter with functions of its own is nothing that SQLite could index by.
    let unique = definition.unique && definition.filter.is_none();
    let sql = format!(
        "CREATE {}INDEX i{id}_{number} ON {} ({})",
        if unique { "UNIQUE " } else { "" },
        table.stored(),
        terms.join(", ")
    );
    table.indexes.push(Index {
        id: number,
        name,
        clustered,
        unique: definition.unique,
        primary: definition.primary,
        constraint: definition.constraint,
        disabled: false,
        filter: definition.filter.clone(),
        keys,
        included,
    });
    Ok(sql)
}

fn create_view(
    session: &mut Session,
    meta: &mut Meta,
    name: &Name,
    names: &[String],
    query: &str,
    frame: &Frame,
) -> SqlResult<()> {
    let (schema, name) = placed(meta, name)?;
    session.engine.functions.clear();
    let env = session.env(&frame.variables)?;
    let mut binder = Binder::new(env, &session.engine);
    let bound = binder.query(&Scope::default(), &Parser::new(query)?.query()?)?;
    let columns = select::offered(&bound.columns, names)?;
    let columns = (1..)
        .zip(columns)
        .map(|(id, offered)| Column {
            id,
            name: offered.name,
            ty: offered.ty,
            nullable: offered.nullable,
            identity: None,
            default: None,
            computed: None,
            hidden: false,
        })
        .collect();
    let id = meta.take_id();
    meta.views.push(View { id, schema, name, created: now(), columns, names: names.to_vec(), query: query.to_owned() });
    Ok(())
}

fn alter_table(meta: &mut Meta, id: i32, change: &TableChange) -> SqlResult<Vec<String>> {
    let copy = meta.clone();
    let table = meta.table_mut(id).ok_or_else(|| SqlError::invalid_object(""))?;
    let mut below = Vec::new();
    match change {
        TableChange::Add(columns, indexes) => {
            for definition in columns {
                let number = table.columns.iter().map(|column| column.id).max().unwrap_or(0) + 1;
                let made = column(&copy, definition, number)?;
                if !made.nullable {
                    return Err(SqlError::unsupported("ALTER TABLE ADD of a NOT NULL column"));
                }
                below.push(format!("ALTER TABLE {} ADD COLUMN {}", table.stored(), made.declaration()));
                table.columns.push(made);
            }
            let of_columns = columns.iter().flat_map(|column| &column.indexes);
            for index in of_columns.chain(indexes) {
                below.push(add_index(meta, id, index)?);
            }
        }
        TableChange::DropColumn(names) => {
            for name in names {
                let column = table.column(name).ok_or_else(|| {
                    SqlError::new(
                        4924,
                        format!(
                            "ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table '{}'.",
                            table.name
                        ),
                    )
                })?;
                let number = column.id;
                below.push(format!("ALTER TABLE {} DROP COLUMN {}", table.stored(), column.stored()));
                table.columns.retain(|column| column.id != number);
            }
        }
        TableChange::DropConstraint(name) => {
            let found = table.indexes.iter().find(|index| index.constraint && same(&index.name, name));
            let number = found.ok_or_else(|| SqlError::new(3728, format!("'{name}' is not a constraint.")))?.id;
            below.push(format!("DROP INDEX i{id}_{number}"));
            table.indexes.retain(|index| index.id != number);
        }
    }
    Ok(below)
}

fn drop_objects(
    meta: &mut Meta,
    what: &str,
    names: &[Name],
    if_exists: bool,
    on: Option<&Name>,
) -> SqlResult<Vec<String>> {
    let mut below = Vec::new();
    for name in names {
        let absent = || {
            SqlError::new(
                3701,
                format!(
                    "Cannot drop the {} '{}', because it does not exist or you do not have permission.",
                    what.to_lowercase(),
                    name.join(".")
                ),
            )
            .class(11)
        };
        match what {
            "TABLE" => match table_id(meta, name) {
                Ok(id) => {
                    meta.tables.retain(|table| table.id != id);
                    below.push(format!("DROP TABLE t{id}"));
                }
                Err(_) if if_exists => {}
                Err(_) => return Err(absent()),
            },
            "VIEW" => {
                let (view, before) = name.split_last().ok_or_else(absent)?;
                let schema = meta.schema(before.last().map_or("dbo", String::as_str)).map(|schema| schema.id);
                let count = meta.views.len();
                meta.views.retain(|known| !(Some(known.schema) == schema && same(&known.name, view)));
                if meta.views.len() == count && !if_exists {
                    return Err(absent());
                }
            }
            "SCHEMA" => {
                let found = name.last().and_then(|name| meta.schema(name)).map(|schema| schema.id);
                match found {
                    Some(id) => meta.schemas.retain(|schema| schema.id != id),
                    None if if_exists => {}
                    None => return Err(absent()),
                }
            }
            "INDEX" => {
                let (table, index) = match (on, &name[..]) {
                    (Some(table), [index]) => (table.clone(), index.clone()),
                    (None, [table @ .., index]) if !table.is_empty() => (table.to_vec(), index.clone()),
                    _ => return Err(absent()),
                };
                let id = table_id(meta, &table)?;
                let table = meta.table_mut(id).ok_or_else(absent)?;
                match table.indexes.iter().find(|known| same(&known.name, &index)).map(|known| known.id) {
                    Some(number) => {
                        table.indexes.retain(|known| known.id != number);
                        below.push(format!("DROP INDEX i{id}_{number}"));
                    }
                    None if if_exists => {}
                    None => return Err(absent()),
                }
            }
            "USER" => meta.users.retain(|user| name.last() != Some(user)),
            _ => return Err(absent()),
        }
    }
    Ok(below)
}

fn grant(
    meta: &mut Meta,
    permissions: &[String],
    on: &Grantee,
    to: &[String],
    denied: bool,
    revoked: bool,
) -> SqlResult<()> {
    for permission in permissions {
        let securable = match on {
            Grantee::Object(name) => {
                let (object, before) = name.split_last().ok_or_else(|| SqlError::syntax("ON"))?;
                let schema = before.last().filter(|schema| !schema.is_empty()).map(String::as_str);
                let found = meta.object(schema, object).ok_or_else(|| {
                    SqlError::new(15151, format!("Cannot find the object '{object}', because it does not exist or you do not have permission."))
                })?;
                Securable::Object(found.id())
            }
            Grantee::Schema(name) => {
                let found = meta
                    .schema(name)
                    .ok_or_else(|| SqlError::new(15151, format!("Cannot find the schema '{name}'.")))?;
                Securable::Schema(found.id)
            }
            Grantee::Whole if permission.contains("SERVER") => Securable::Server,
            Grantee::Whole => Securable::Database,
        };
        for user in to {
            let user = user.to_lowercase();
            meta.grants
                .retain(|grant| !(grant.user == user && grant.on == securable && same(&grant.permission, permission)));
            if !revoked {
                meta.grants.push(Grant { user, permission: permission.clone(), on: securable.clone(), denied });
            }
        }
    }
    Ok(())
}
