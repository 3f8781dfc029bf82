//! Functions that tell of server, database, session and rights.

use rusqlite::types::{Value, ValueRef};

use super::{Binder, Bound};
use crate::catalogue::meta::{Securable, same};
use crate::error::{SqlError, SqlResult};
use crate::session::env::Env;
use crate::sql::parser::Parser;
use crate::types::collation::Collation;
use crate::types::{Kind, Type, encode, variant};

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn bit(value: bool) -> Value {
    Value::Integer(i64::from(value))
}

/// A property, as the sql_variant that it comes in.
fn property(value: Value) -> SqlResult<Value> {
    let ty = match &value {
        Value::Null => return Ok(Value::Null),
        Value::Integer(_) => Type::new(Kind::Int),
        _ => Type::of_length(Kind::NVarChar, 128),
    };
    variant::wrap(&ty, ValueRef::from(&value))
}

impl Binder<'_> {
    pub fn system(&mut self, name: &str, arguments: &[Bound]) -> SqlResult<Option<Bound>> {
        let sysname = Type::of_length(Kind::NVarChar, 128);
        let int = Type::new(Kind::Int);
        let variant = Type::new(Kind::SqlVariant);
        let (ty, texts): (Type, bool) = match name {
            "DB_NAME" | "SUSER_SNAME" | "SUSER_NAME" | "ORIGINAL_LOGIN" | "SYSTEM_USER" | "USER_NAME"
            | "CURRENT_USER" | "SESSION_USER" | "USER" | "HOST_NAME" | "APP_NAME" | "SCHEMA_NAME" | "OBJECT_NAME"
            | "OBJECT_SCHEMA_NAME" | "TYPE_NAME" | "COL_NAME" => (sysname, false),
            "DB_ID" | "SCHEMA_ID" | "OBJECT_ID" | "TYPE_ID" => (int, true),
            "IS_SRVROLEMEMBER" | "IS_MEMBER" | "IS_ROLEMEMBER" | "HAS_PERMS_BY_NAME" | "HAS_DBACCESS" => (int, true),
            "OBJECTPROPERTY" | "OBJECTPROPERTYEX" | "COLUMNPROPERTY" => (int, false),
            "XACT_STATE" => (Type::new(Kind::SmallInt), false),
            "ROWCOUNT_BIG" => (Type::new(Kind::BigInt), false),
            "SERVERPROPERTY" | "DATABASEPROPERTYEX" | "SESSIONPROPERTY" | "COLLATIONPROPERTY"
            | "CONNECTIONPROPERTY" => (variant, true),
            _ => return Ok(None),
        };
        let wide = Type::of_length(Kind::NVarChar, 4000);
        let mut inside = Vec::new();
        for argument in arguments {
            inside.push(if texts || argument.ty.is_text() { self.coerce(argument, &wide) } else { argument.clone() });
        }
        let types: Vec<Type> = inside.iter().map(|argument| argument.ty).collect();
        let references: Vec<&Bound> = inside.iter().collect();
        let (env, name) = (self.env.clone(), name.to_owned());
        Ok(Some(self.raw_function(ty, &references, false, move |values| {
            let mut words = Vec::new();
            let mut numbers = Vec::new();
            for (value, ty) in values.iter().zip(&types) {
                words.push(if ty.is_text() && !matches!(value, ValueRef::Null) {
                    Some(encode::text(ty, *value)?)
                } else {
                    None
                });
                numbers.push(if let ValueRef::Integer(number) = value { Some(*number) } else { None });
            }
            told(&env, &name, &words, &numbers)
        })))
    }
}

fn told(env: &Env, name: &str, words: &[Option<&str>], numbers: &[Option<i64>]) -> SqlResult<Value> {
    let word = words.first().copied().flatten();
    let number = numbers.first().copied().flatten();
    let id = number.and_then(|id| i32::try_from(id).ok());
    let meta = &env.meta;
    let object = || id.and_then(|id| meta.object_by_id(id));
    Ok(match name {
        "DB_NAME" if numbers.is_empty() => text(&env.database.name),
        "DB_NAME" => {
            let found = env.shared.databases.all().into_iter().find(|database| Some(database.id) == number);
            found.map_or(Value::Null, |database| Value::Text(database.name))
        }
        "DB_ID" if words.is_empty() => Value::Integer(env.database.id),
        "DB_ID" => word
            .and_then(|word| env.shared.databases.find(word))
            .map_or(Value::Null, |database| Value::Integer(database.id)),
        "SUSER_SNAME" | "SUSER_NAME" | "ORIGINAL_LOGIN" | "SYSTEM_USER" => text(&env.login),
        "USER_NAME" | "CURRENT_USER" | "SESSION_USER" | "USER" => {
            text(if env.is_administrator() { "dbo" } else { &env.login })
        }
        "HOST_NAME" => text(&env.host),
        "APP_NAME" => text(&env.application),
        "SCHEMA_NAME" if numbers.is_empty() => text("dbo"),
        "SCHEMA_NAME" => id
            .and_then(|id| meta.schemas.iter().find(|schema| schema.id == id))
            .map_or(Value::Null, |schema| text(&schema.name)),
        "SCHEMA_ID" if words.is_empty() => Value::Integer(1),
        "SCHEMA_ID" => {
            word.and_then(|word| meta.schema(word)).map_or(Value::Null, |schema| Value::Integer(i64::from(schema.id)))
        }
        "OBJECT_NAME" => object().map_or(Value::Null, |object| text(object.name())),
        "OBJECT_SCHEMA_NAME" => object().map_or(Value::Null, |object| text(meta.schema_name(object.schema()))),
        "OBJECT_ID" => object_id(env, word.unwrap_or_default(), words.get(1).copied().flatten())?,
        "COL_NAME" => {
            let column = numbers.get(1).copied().flatten();
            let found = object().and_then(|object| {
                object
                    .columns()
                    .iter()
                    .find(|known| Some(i64::from(known.id)) == column)
                    .map(|known| known.name.clone())
            });
            found.map_or(Value::Null, Value::Text)
        }
        "TYPE_NAME" => {
            let found = crate::types::NAMES.iter().find(|known| Some(i64::from(known.3)) == number);
            found.map_or(Value::Null, |known| text(known.0))
        }
        "TYPE_ID" => {
            let found = crate::types::NAMES.iter().find(|known| word.is_some_and(|word| same(word, known.0)));
            found.map_or(Value::Null, |known| Value::Integer(i64::from(known.3)))
        }
        "IS_SRVROLEMEMBER" => match word.map(str::to_ascii_lowercase).as_deref() {
            Some("public") => Value::Integer(1),
            Some(
                "sysadmin" | "securityadmin" | "serveradmin" | "setupadmin" | "processadmin" | "diskadmin"
                | "dbcreator" | "bulkadmin",
            ) => bit(env.is_administrator()),
            _ => Value::Null,
        },
        "IS_MEMBER" | "IS_ROLEMEMBER" => bit(env.is_administrator()),
        "HAS_DBACCESS" => word.map_or(Value::Null, |word| bit(env.shared.databases.find(word).is_some())),
        "HAS_PERMS_BY_NAME" => permitted(env, words)?,
        "OBJECTPROPERTY" | "OBJECTPROPERTYEX" | "COLUMNPROPERTY" => {
            return Err(SqlError::unsupported(name));
        }
        "XACT_STATE" => Value::Integer(if env.doomed { -1 } else { i64::from(env.open_transactions > 0) }),
        "ROWCOUNT_BIG" => Value::Integer(env.last_rows),
        "SERVERPROPERTY" => property(server(&word.unwrap_or_default().to_ascii_lowercase())?)?,
        "DATABASEPROPERTYEX" => property(database(env, words)?)?,
        "SESSIONPROPERTY" => property(session(env, word.unwrap_or_default()))?,
        "COLLATIONPROPERTY" => property(collation(words))?,
        "CONNECTIONPROPERTY" => property(match word.unwrap_or_default().to_ascii_lowercase().as_str() {
            "net_transport" => text("TCP"),
            "protocol_type" => text("TSQL"),
            "auth_scheme" => text("SQL"),
            _ => Value::Null,
        })?,
        _ => return Err(SqlError::unsupported(name)),
    })
}

fn object_id(env: &Env, name: &str, class: Option<&str>) -> SqlResult<Value> {
    let Ok(parts) = Parser::new(name).and_then(|mut parser| parser.name()) else { return Ok(Value::Null) };
    let Some((table, before)) = parts.split_last() else { return Ok(Value::Null) };
    if let [database, _] = before
        && !same(database, &env.database.name)
    {
        return Ok(Value::Null);
    }
    let schema = before.last().filter(|schema| !schema.is_empty()).map(String::as_str);
    let Some(object) = env.meta.object(schema, table) else { return Ok(Value::Null) };
    let kind = if matches!(object, crate::catalogue::meta::Object::Table(_)) { "U" } else { "V" };
    if class.is_some_and(|class| !same(class.trim(), kind)) {
        return Ok(Value::Null);
    }
    Ok(Value::Integer(i64::from(object.id())))
}

/// HAS_PERMS_BY_NAME(securable, class, permission, column, 'COLUMN')
fn permitted(env: &Env, words: &[Option<&str>]) -> SqlResult<Value> {
    let class = words.get(1).copied().flatten().unwrap_or("SERVER").to_ascii_uppercase();
    let Some(permission) = words.get(2).copied().flatten() else { return Ok(Value::Null) };
    let securable = words.first().copied().flatten();
    Ok(match class.as_str() {
        "SERVER" => bit(env.is_administrator() || env.may_on_server(permission)),
        "DATABASE" => bit(env.is_administrator() || env.meta.may_at(&env.login, permission, &Securable::Database)),
        "OBJECT" => match object_id(env, securable.unwrap_or_default(), None)? {
            Value::Integer(id) => {
                let id = i32::try_from(id).unwrap_or(0);
                let object = env.meta.object_by_id(id);
                match (object, words.get(3).copied().flatten()) {
                    (Some(object), Some(column)) => bit(env.meta.may_column(&env.login, permission, &object, column)),
                    (Some(object), None) => bit(env.meta.may(&env.login, permission, id, object.schema())),
                    (None, _) => bit(false),
                }
            }
            _ => Value::Null,
        },
        "SCHEMA" => match env.meta.schema(securable.unwrap_or_default()) {
            Some(schema) => {
                bit(env.is_administrator() || env.meta.may_at(&env.login, permission, &Securable::Schema(schema.id)))
            }
            None => Value::Null,
        },
        _ => Value::Null,
    })
}

fn server(name: &str) -> SqlResult<Value> {
    Ok(match name {
        "productversion" => text("15.0.4430.1"),
        "productlevel" => text("RTM"),
        "productmajorversion" => text("15"),
        "edition" => text("Developer Edition (64-bit)"),
        "engineedition" => Value::Integer(3),
        "servername" | "machinename" => text("rivet-tds"),
        "collation" => text(&Collation::DEFAULT.name()),
        "isclustered" | "ishadrenabled" | "isintegratedsecurityonly" | "issingleuser" => Value::Integer(0),
        _ => Value::Null,
    })
}

fn database(env: &Env, words: &[Option<&str>]) -> SqlResult<Value> {
    let Some(database) = words.first().copied().flatten().and_then(|name| env.shared.databases.find(name)) else {
        return Ok(Value::Null);
    };
    let meta = env.shared.databases.meta(&database)?;
    Ok(match words.get(1).copied().flatten().unwrap_or_default().to_ascii_lowercase().as_str() {
        "collation" => text(&meta.collation.name()),
        "status" => text("ONLINE"),
        "updateability" => text(if meta.read_only { "READ_ONLY" } else { "READ_WRITE" }),
        "useraccess" => text("MULTI_USER"),
        "recovery" => text("FULL"),
        "version" => Value::Integer(904),
        _ => Value::Null,
    })
}

fn session(env: &Env, name: &str) -> Value {
    let known = [
        "ANSI_NULLS",
        "ANSI_PADDING",
        "ANSI_WARNINGS",
        "ARITHABORT",
        "CONCAT_NULL_YIELDS_NULL",
        "NUMERIC_ROUNDABORT",
        "QUOTED_IDENTIFIER",
    ];
    match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(known) => bit(env.settings.is_on(known)),
        None => Value::Null,
    }
}

fn collation(words: &[Option<&str>]) -> Value {
    let Some(collation) = words.first().copied().flatten().and_then(Collation::parse) else { return Value::Null };
    let wire = collation.wire();
    match words.get(1).copied().flatten().unwrap_or_default().to_ascii_lowercase().as_str() {
        "codepage" => Value::Integer(i64::from(collation.code_page())),
        "lcid" => Value::Integer(i64::from(u32::from_le_bytes([wire[0], wire[1], wire[2] & 0x0f, 0]))),
        "version" => Value::Integer(i64::from(wire[3] >> 4)),
        _ => Value::Null,
    }
}
