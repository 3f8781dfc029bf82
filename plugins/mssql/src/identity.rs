//! Which server and database this is, and what `doctor` should know of it.

use rivet_sdk::sql::session::Session as _;
use rivet_sdk::{Identity, Note, Result, network};

use crate::error::confused;
use crate::session::{Session, whole, words};

const AZURE: i128 = 5;

/// Asks the server about itself.
pub(crate) fn identity(session: &mut Session) -> Result<Identity> {
    let row = session.planning(|wire| {
        wire.run(
            "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), \
             CAST(SERVERPROPERTY('Edition') AS nvarchar(128)), CAST(SERVERPROPERTY('EngineEdition') AS int), \
             CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)), DB_NAME(), SUSER_SNAME(), \
             CAST(IS_SRVROLEMEMBER('sysadmin') AS int), \
             CAST(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') AS int)",
        )?
        .one()
    })?;
    let [version, edition, engine, server, database, user, admin, state] = &row[..] else {
        return Err(confused("the server's properties in an unexpected shape"));
    };
    let facts = session.database().clone();
    let broker = facts.broker.filter(|id| id.bytes().any(|byte| byte.is_ascii_hexdigit() && byte != b'0'));
    let id = match broker {
        Some(broker) => format!("{}/{}", broker.to_ascii_lowercase(), facts.name),
        // master and tempdb have no broker.
        None => format!(
            "{}/{}/{}",
            words(server).unwrap_or_default(),
            facts.id.unwrap_or(0),
            facts.created.unwrap_or_default()
        ),
    };
    let mut notes = vec![match session.wire().tls_version() {
        Some(version) => note("TLS", version, false),
        None => note("TLS", network::unsecured(&session.endpoint().host, &session.endpoint().display()), true),
    }];
    notes.push(match (facts.snapshot, facts.row_versions) {
        (true, _) => note("isolation", "SNAPSHOT: a chunk reads at one moment, without locks", false),
        (false, true) => note("isolation", "READ COMMITTED over row versions: a chunk reads at one moment", false),
        (false, false) => note(
            "isolation",
            "READ COMMITTED with locks: rows that change while a chunk is read may be seen as before or after; \
             ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON makes each chunk one read point",
            true,
        ),
    });
    if whole(admin) == Some(1) {
        notes.push(note("rights", "the login is sysadmin; SELECT on the exported tables is enough", true));
    }
    if whole(state) != Some(1) {
        notes.push(note("VIEW SERVER STATE", "not granted: the write pressure of the server cannot be read", false));
    }
    if facts.compatibility > 0 && facts.compatibility < 130 {
        notes.push(note(
            "compatibility",
            format!("level {}: datetime compares as before 2016", facts.compatibility),
            false,
        ));
    }
    if session.wire().major_version() != 0 && session.wire().major_version() < 13 {
        notes.push(note("version", "older than SQL Server 2016, which rivet is not tested with", true));
    }
    if session.endpoint().read_only_intent {
        notes.push(note("intent", "read-only: a listener may choose a readable secondary", false));
    }
    notes.push(note("edition", words(edition).unwrap_or_default(), false));
    Ok(Identity::new(
        if whole(engine) == Some(AZURE) { "Azure SQL Database" } else { "SQL Server" },
        words(version).unwrap_or_default(),
        id,
        words(database).unwrap_or_default(),
    )
    .with_user(words(user))
    .with_notes(notes))
}

fn note(subject: &str, text: impl Into<String>, warning: bool) -> Note {
    Note::new(subject, text).with_warning(warning)
}
