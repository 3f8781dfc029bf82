//! Which server and database this is, and what `doctor` should know of it.

use rivet_libpq::{Host, Server};
use rivet_sdk::sql::session::Session as _;
use rivet_sdk::{Identity, Note, Result, network};

use crate::error::confused;
use crate::session::Session;

/// Asks the server about itself.
pub(crate) fn identity(session: &mut Session) -> Result<Identity> {
    let facts = session.planning(|wire| {
        wire.simple(
            "SELECT pg_catalog.version(), current_database(), session_user, pg_catalog.pg_backend_pid(), \
             (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()), \
             (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user), \
             pg_catalog.pg_is_in_recovery(), current_setting('max_connections'), current_setting('server_version'), \
             (SELECT rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = session_user)",
        )
    })?;
    let row = facts.rows.into_iter().next().ok_or_else(|| confused("no row for a SELECT without FROM"))?;
    // NULL is a fact that this server does not have.
    let fact = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    // Some servers keep this function to themselves.
    let system = session
        .planning(|wire| wire.simple("SELECT system_identifier FROM pg_catalog.pg_control_system()"))
        .ok()
        .and_then(|rows| rows.rows.into_iter().next()?.into_iter().next()?);
    let id = match &system {
        Some(system) => format!("{system}/{}", fact(4)),
        None => format!("{}/{}", fact(1), fact(4)),
    };
    let pooled = fact(3) != session.wire().process_id().to_string();
    let mut notes = vec![match session.wire().tls_version() {
        Some(version) => note("TLS", version, false),
        None if session.wire().is_private() => note("TLS", "none: a Unix socket", false),
        None => note("TLS", unsecured(session.wire().server()), true),
    }];
    if fact(5) == "t" {
        notes.push(note("rights", "the user is a superuser; SELECT on the exported tables is enough", true));
    }
    if fact(6) == "t" {
        notes.push(note("role", "a standby: long statements may be cancelled by recovery", false));
    }
    if system.is_none() {
        notes.push(note("identity", "pg_control_system() is not allowed; the database's name and oid stand in", false));
    }
    if pooled {
        notes.push(note("pooler", "connections are pooled: rivet uses one transaction for each statement", false));
    }
    notes.push(note("max_connections", fact(7), false));
    Ok(Identity::new(product(&fact(0)), fact(8), id, fact(1))
        .with_user(Some(fact(2)))
        .with_pooler(pooled.then(|| "a transaction pooler (such as pgBouncer)".to_owned()))
        .with_notes(notes))
}

fn unsecured(server: &Server) -> String {
    let host = match (&server.address, &server.host) {
        (Some(address), _) => address.as_str(),
        (None, Host::Tcp(name)) => name,
        (None, Host::Unix(_)) => "localhost",
    };
    network::unsecured(host, &server.display())
}

fn note(subject: &str, text: impl Into<String>, warning: bool) -> Note {
    Note::new(subject, text).with_warning(warning)
}

fn product(version: &str) -> &'static str {
    match version {
        _ if version.contains("CockroachDB") => "CockroachDB",
        _ if version.contains("-YB-") => "YugabyteDB",
        _ if version.contains("Redshift") => "Redshift",
        _ => "PostgreSQL",
    }
}
