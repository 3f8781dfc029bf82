//! CREATE, ALTER, DROP, GRANT, and moving between databases.

use super::run::{Frame, Outcome};
use super::state::{Session, Variables};
use super::tables::{add_index, alter_table, create_table};
use crate::catalogue::databases::missing;
use crate::catalogue::meta::{Column, Grant, Meta, Schema, Securable, View, same};
use crate::engine::Engine;
use crate::error::{SqlError, SqlResult};
use crate::signals::Signal;
use crate::sql::ast::{Grantee, Name, Statement};
use crate::sql::bind::{Binder, Scope, select};
use crate::sql::parser::Parser;
use crate::sql::types::known_collation;
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
        Statement::Grant { permissions, columns, on, to, denied, revoked } => {
            grant(meta, permissions, columns.as_ref(), on, to, *denied, *revoked)?;
            Ok(Vec::new())
        }
        _ => Err(SqlError::unsupported("this statement")),
    }
}

fn taken(name: &str) -> SqlError {
    SqlError::new(2714, format!("There is already an object named '{name}' in the database.")).state(6)
}

/// Schema id and name of an object to be.
pub fn placed(meta: &Meta, name: &Name) -> SqlResult<(i32, String)> {
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

pub fn now() -> String {
    cast::now().to_datetime().store(Kind::DateTime)
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
    columns: Option<&Vec<String>>,
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
            meta.grants.retain(|grant| {
                let same = grant.user == user && grant.on == securable && same(&grant.permission, permission);
                !(same && grant.columns.as_ref() == columns)
            });
            if !revoked {
                let (permission, on, columns) = (permission.clone(), securable.clone(), columns.cloned());
                meta.grants.push(Grant { user, permission, on, denied, columns });
            }
        }
    }
    Ok(())
}
