//! Which server and database this is, and what `doctor` should know of it.

use rivet_sdk::sql::session::Session as _;
use rivet_sdk::{Identity, Note, Result, network};

use crate::error::confused;
use crate::options::{Compression, Host};
use crate::rights;
use crate::session::Session;
use crate::wire::Wire;

/// Asks the server about itself.
pub(crate) fn identity(session: &mut Session) -> Result<Identity> {
    let server = session.server();
    // CONNECTION_ID() alone is answered by proxies themselves.
    let (facts, uuid, grants) = session.planning(|wire| {
        let facts = wire.query(
            "SELECT @@version, @@version_comment, DATABASE(), CURRENT_USER(), CONNECTION_ID() + 0, \
             @@hostname, @@port, @@server_id, @@max_connections, @@read_only, @@max_allowed_packet",
        )?;
        Ok((facts, uuid(wire, server.mariadb)?, rights::grants(wire, server)?))
    })?;
    let row = facts.rows.into_iter().next().ok_or_else(|| confused("no row for a SELECT without FROM"))?;
    let fact = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let database = fact(2);
    let server_id = match &uuid {
        Some(uuid) => uuid.clone(),
        // The server's own name of its machine, not the one we connected to.
        None => format!("{}:{}/{}", fact(5), fact(6), fact(7)),
    };
    let thread = session.wire().thread().to_string();
    let pooler = pooler(&fact(1), session.wire().version(), fact(4) != thread);
    let mut notes = vec![match session.wire().tls_version() {
        Some(version) => note("TLS", version, false),
        None if session.wire().is_private() => note("TLS", "none: a Unix socket", false),
        None => note("TLS", unsecured(&session.endpoint().host), true),
    }];
    if session.endpoint().compression != Compression::None {
        notes.push(note("compression", session.endpoint().compression.name(), false));
    }
    notes.extend(rights_notes(&rights::global(&grants)));
    if uuid.is_none() {
        notes.push(note(
            "identity",
            "the server has no server_uid; its own host name, port and server_id stand in",
            false,
        ));
    }
    if fact(9) == "1" {
        notes.push(note("role", "a replica or a read-only server", false));
    }
    let mode = if session.login_mode().is_empty() { "an empty one" } else { session.login_mode() };
    notes.push(note("sql_mode", format!("queries run under the login's: {mode}"), false));
    if let Some(pooler) = &pooler {
        notes.push(note(
            "proxy",
            format!("connections pass through {pooler}: each transaction verifies its own settings; connect past it if `SET` does not hold"),
            true,
        ));
    }
    notes.push(note("max_connections", fact(8), false));
    notes.push(note("max_allowed_packet", fact(10), false));
    Ok(Identity::new(server.product(), fact(0), format!("{server_id}/{database}"), database)
        .with_user(Some(fact(3)))
        .with_pooler(pooler)
        .with_notes(notes))
}

/// The server's own id: MySQL has one always, MariaDB since 10.5.26, 10.6.19 and 10.11.9.
fn uuid(wire: &mut Wire, mariadb: bool) -> Result<Option<String>> {
    let name = if mariadb { "server_uid" } else { "server_uuid" };
    let rows = wire.query(&format!("SHOW GLOBAL VARIABLES LIKE '{name}'"))?;
    Ok(rows.rows.into_iter().next().and_then(|row| row.into_iter().nth(1).flatten()).filter(|uuid| !uuid.is_empty()))
}

fn rights_notes(global: &[String]) -> Vec<Note> {
    let has = |word: &str| global.iter().any(|found| found == word);
    let all = has("ALL PRIVILEGES");
    let mut notes = Vec::new();
    if rights::may_lock(global) {
        notes.push(note("snapshot", "can be had: the user may take the short lock (RELOAD)", false));
    } else {
        notes.push(note(
            "snapshot",
            "cannot be had: GRANT RELOAD ON *.* lets all workers read at one point; without it consistency is per_chunk",
            false,
        ));
    }
    let writes = ["INSERT", "UPDATE", "DELETE", "SUPER", "DROP"];
    if all || writes.iter().any(|word| has(word)) {
        notes.push(note("rights", "the user may write everywhere; SELECT on the exported tables is enough", true));
    } else {
        notes.push(note(
            "rights",
            "SELECT on the exported tables is enough; estimates and pressure need no more",
            false,
        ));
    }
    notes
}

/// A proxy gives itself away by its words, or by a connection number that is not the server's.
fn pooler(comment: &str, version: &str, other_thread: bool) -> Option<String> {
    let words = format!("{comment} {version}").to_ascii_lowercase();
    let name = ["ProxySQL", "MaxScale", "Vitess"].into_iter().find(|name| words.contains(&name.to_ascii_lowercase()));
    match name {
        Some(name) => Some(name.to_owned()),
        None if other_thread => Some("a proxy (such as ProxySQL or MaxScale)".to_owned()),
        None => None,
    }
}

fn unsecured(host: &Host) -> String {
    match host {
        Host::Tcp(name, _) => network::unsecured(name, &host.display()),
        Host::Unix(_) => network::unsecured("localhost", &host.display()),
    }
}

fn note(subject: &str, text: impl Into<String>, warning: bool) -> Note {
    Note::new(subject, text).with_warning(warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_from_grants() {
        let text = |grants: &[&str]| {
            let grants: Vec<String> = grants.iter().map(|grant| (*grant).to_owned()).collect();
            rights_notes(&rights::global(&grants))
                .into_iter()
                .map(|note| (note.subject, note.warning))
                .collect::<Vec<_>>()
        };
        let plain = text(&["GRANT USAGE ON *.* TO `r`@`%`", "GRANT SELECT ON `shop`.* TO `r`@`%`"]);
        assert_eq!(plain, [("snapshot".to_owned(), false), ("rights".to_owned(), false)]);
        let all = text(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION"]);
        assert_eq!(all, [("snapshot".to_owned(), false), ("rights".to_owned(), true)]);
        let lock = ["GRANT SELECT, RELOAD ON *.* TO `b`@`%`".to_owned()];
        assert!(rights_notes(&rights::global(&lock))[0].text.starts_with("can be had"));
    }

    #[test]
    fn proxies_are_known_by_their_words_or_their_numbers() {
        assert_eq!(pooler("(ProxySQL)", "8.0.30", false).as_deref(), Some("ProxySQL"));
        assert!(pooler("(Debian)", "9.7.4", true).is_some());
        assert_eq!(pooler("(Debian)", "9.7.4", false), None);
    }
}
