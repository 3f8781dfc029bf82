//! The rows of views about the server: databases, sessions, counters, rights.

use rusqlite::types::Value;

use super::databases::Database;
use super::meta::{Grant, Securable, same};
use super::views::{Rows, bit, int, text};
use crate::error::{SqlError, SqlResult};
use crate::session::env::Env;
use crate::types::Kind;

pub fn databases(env: &Env) -> Rows {
    let row = |database: Database| -> SqlResult<Vec<Value>> {
        let meta = env.shared.databases.meta(&database)?;
        let snapshot = meta.snapshot_isolation;
        Ok(vec![
            text(&database.name),
            int(database.id),
            text(&meta.created),
            int(150),
            text(&meta.collation.name()),
            bit(meta.read_only),
            bit(false),
            Value::Null,
            int(0),
            text("ONLINE"),
            int(i64::from(snapshot)),
            text(if snapshot { "ON" } else { "OFF" }),
            bit(meta.read_committed_snapshot),
            text(&meta.guid),
            int(0),
            text("FULL"),
            bit(false),
        ])
    };
    // One that is being dropped meanwhile is not there.
    Ok(env.shared.databases.all().into_iter().filter_map(|database| row(database).ok()).collect())
}

pub fn sessions(env: &Env) -> Rows {
    let all = env.may_on_server("VIEW SERVER STATE");
    let sessions = env.shared.sessions();
    let shown = sessions.iter().filter(|(spid, _)| all || **spid == env.spid);
    Ok(shown
        .map(|(spid, entry)| {
            vec![
                int(*spid),
                text(&entry.login_time),
                text(&entry.host),
                text(&entry.application),
                text(&entry.login),
                text(&entry.login),
                text(if *spid == env.spid { "running" } else { entry.status }),
                int(env.shared.databases.find(&entry.database).map_or(0, |database| database.id)),
                int(entry.isolation),
                int(entry.lock_timeout),
                int(entry.deadlock_priority),
                int(if entry.text_size < 0 { i64::from(i32::MAX) } else { entry.text_size }),
                text(&entry.language),
                text(&entry.date_format),
                int(entry.open_transactions),
                bit(true),
            ]
        })
        .collect())
}

pub fn requests(env: &Env) -> Rows {
    let all = env.may_on_server("VIEW SERVER STATE");
    let sessions = env.shared.sessions();
    let running = sessions.iter().filter(|(spid, entry)| (all && entry.status == "running") || **spid == env.spid);
    Ok(running.map(|(spid, _)| vec![int(*spid), text("running"), text("SELECT"), int(0), Value::Null]).collect())
}

pub fn connections(env: &Env) -> Rows {
    let encrypted = text(if env.encrypted { "TRUE" } else { "FALSE" });
    Ok(vec![vec![int(env.spid), text("TCP"), encrypted, text("SQL"), int(4096), int(0x7400_0004)]])
}

/// 300 without the right.
pub fn needs_state(env: &Env, permission: &str) -> SqlResult<()> {
    if env.may_on_server(permission) || env.meta.may_at(&env.login, permission, &Securable::Database) {
        return Ok(());
    }
    let message = format!("{permission} permission was denied on object 'server', database 'master'.");
    Err(SqlError::new(300, message).class(14))
}

pub fn counters(env: &Env) -> Rows {
    needs_state(env, "VIEW SERVER STATE")?;
    let row = |object: &str, name: &str, instance: &str, value: i64| {
        vec![
            text(&format!("{object:<128}")),
            text(&format!("{name:<128}")),
            text(&format!("{instance:<128}")),
            int(value),
            int(65_792),
        ]
    };
    let users = i64::try_from(env.shared.sessions().len()).unwrap_or(0);
    Ok(vec![
        row("SQLServer:Databases", "Log Flush Waits/sec", "_Total", 42),
        row("SQLServer:Databases", "Log Flush Waits/sec", &env.database.name, 42),
        row("SQLServer:General Statistics", "User Connections", "", users),
        row("SQLServer:SQL Statistics", "Batch Requests/sec", "", 1),
    ])
}

pub fn system(env: &Env) -> Rows {
    needs_state(env, "VIEW SERVER STATE")?;
    let started = crate::types::temporal::Moment::new(738_000, 0).store(Kind::DateTime);
    Ok(vec![vec![int(2), int(8_388_608), Value::Text(started)]])
}

/// sys.fn_my_permissions(securable, class).
pub fn permissions(env: &Env, securable: Option<&str>, class: Option<&str>) -> Rows {
    let class = class.unwrap_or("SERVER").to_ascii_uppercase();
    let names: Vec<String> = if env.is_administrator() {
        [
            "CONNECT",
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "VIEW DEFINITION",
            "VIEW DATABASE STATE",
            "VIEW SERVER STATE",
            "CONTROL",
        ]
        .map(str::to_owned)
        .to_vec()
    } else {
        let on = |grant: &Grant| match (class.as_str(), &grant.on) {
            ("SERVER", Securable::Server) | ("DATABASE", Securable::Database) => true,
            ("OBJECT", Securable::Object(id)) => env
                .meta
                .object_by_id(*id)
                .is_some_and(|object| securable.is_some_and(|name| name.ends_with(object.name()))),
            _ => false,
        };
        let mine = env.meta.grants.iter().filter(|grant| same(&grant.user, &env.login) && !grant.denied && on(grant));
        mine.map(|grant| grant.permission.clone()).collect()
    };
    let entity = securable.unwrap_or(if class == "DATABASE" { "database" } else { "server" });
    Ok(names.iter().map(|name| vec![text(entity), text(""), text(name)]).collect())
}
