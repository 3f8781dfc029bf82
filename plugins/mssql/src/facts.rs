//! What the database in use is: how it reads, and whether it can change.

use rivet_sdk::{Description, Error, ErrorKind, OneReadPoint, Result, SNAPSHOT_LOST, Scalar, Snapshot};

use crate::session::{tolerate, whole, words};
use crate::wire::Wire;

/// What `sys.databases` says of the database in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct DatabaseFacts {
    pub id: Option<i128>,
    pub name: String,
    pub broker: Option<String>,
    pub created: Option<String>,
    /// SNAPSHOT isolation is allowed.
    pub snapshot: bool,
    /// READ COMMITTED reads row versions.
    pub row_versions: bool,
    pub compatibility: i128,
    /// Why nothing in it changes as long as a session is in it.
    pub frozen: Option<Frozen>,
}

/// A database that nobody can write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frozen {
    /// A database snapshot: for as long as it exists.
    Snapshot,
    /// READ_ONLY: until somebody has thrown every session out and set it back.
    ReadOnly,
}

/// The facts that every SQL Server tells, and those that a relative may not know.
pub(crate) fn facts(wire: &mut Wire) -> Result<DatabaseFacts> {
    const USUAL: &str = "CAST(database_id AS int), name, CAST(service_broker_guid AS nvarchar(36)), \
         CONVERT(nvarchar(30), create_date, 126), CAST(snapshot_isolation_state AS int), \
         CAST(is_read_committed_snapshot_on AS int), CAST(compatibility_level AS int)";
    // A standby's content changes with the next log that is restored to it.
    const FREEZES: &str = "CASE WHEN source_database_id IS NOT NULL THEN 2 \
         WHEN is_read_only = 1 AND is_in_standby = 0 THEN 1 ELSE 0 END";
    const OF: &str = "FROM sys.databases WHERE database_id = DB_ID()";
    for sql in [format!("SELECT {USUAL}, {FREEZES} {OF}"), format!("SELECT {USUAL}, 0 {OF}")] {
        match wire.run(&sql).and_then(crate::wire::Rows::one) {
            Ok(row) => return Ok(DatabaseFacts::of(row)),
            Err(error) => tolerate(error)?,
        }
    }
    let name = wire.run("SELECT DB_NAME()")?.one()?.first().and_then(words);
    Ok(DatabaseFacts { name: name.unwrap_or_default(), ..DatabaseFacts::default() })
}

impl DatabaseFacts {
    fn of(row: Vec<Scalar>) -> Self {
        let mut row = row.into_iter();
        let mut next = || row.next().unwrap_or(Scalar::Null);
        Self {
            id: whole(&next()),
            name: words(&next()).unwrap_or_default(),
            broker: words(&next()),
            created: words(&next()),
            snapshot: whole(&next()) == Some(1),
            row_versions: whole(&next()) == Some(1),
            compatibility: whole(&next()).unwrap_or(0),
            frozen: match whole(&next()) {
                Some(2) => Some(Frozen::Snapshot),
                Some(1) => Some(Frozen::ReadOnly),
                _ => None,
            },
        }
    }

    /// One statement reads at one moment over row versions; under locks, it does not. Sessions cannot share a moment,
    /// unless the database has one only and the rows are stored in it: a view or a query may go to another one's.
    pub fn one_read_point(&self, stored: bool) -> OneReadPoint {
        match (self.frozen.filter(|_| stored), self.snapshot || self.row_versions) {
            (Some(_), _) => OneReadPoint::Snapshot,
            (None, true) => OneReadPoint::Statement,
            (None, false) => OneReadPoint::None,
        }
    }

    /// A relation of it, and why it is read so.
    pub fn as_read(&self, description: Description) -> Description {
        let found = self.one_read_point(description.kind == "table");
        let why = match found {
            OneReadPoint::Snapshot => return description.with_one_read_point(found),
            OneReadPoint::Statement => {
                "SQL Server gives no two sessions one moment to read at; a database snapshot, or a READ_ONLY database, \
                 is one for all"
            }
            OneReadPoint::None => {
                "the database reads under locks; ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON makes each statement \
                 one read point"
            }
        };
        description.without_snapshot(found, why)
    }

    /// What all sessions in it read at; None where it can change.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let frozen = self.frozen?;
        let what = match frozen {
            Frozen::Snapshot => "database snapshot",
            Frozen::ReadOnly => "READ_ONLY database",
        };
        let created = self.created.as_deref().unwrap_or_default();
        // Who is thrown out of a READ_ONLY database may come back to another one.
        let snapshot = Snapshot::new(self.token(), format!("{what} {} of {created}", self.name));
        Some(snapshot.with_rejoinable(frozen == Frozen::Snapshot))
    }

    fn token(&self) -> String {
        let (id, created) = (self.id.unwrap_or_default(), self.created.as_deref().unwrap_or_default());
        format!("{:?} {id} {} {created}", self.frozen, self.name)
    }

    /// Fails where this is not the database that `token` stands for, as it was. `anew`: the session had been in it, and
    /// was thrown out.
    pub fn still_is(&self, token: &str, anew: bool) -> Result<()> {
        if self.frozen.is_some() && self.token() == token && !(anew && self.frozen == Some(Frozen::ReadOnly)) {
            return Ok(());
        }
        let text = format!("the database {} may have changed since the export began", self.name);
        Err(Error::new(ErrorKind::Conflict, text).with_code(SNAPSHOT_LOST).with_hint(
            "start the export again: a READ_ONLY database is one read point for as long as a session is in it",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_database_is_one_read_point_until_it_may_have_changed() {
        let of = |frozen| DatabaseFacts { frozen, created: Some("2024".into()), ..DatabaseFacts::default() };
        assert!(of(None).snapshot().is_none());
        for (frozen, rejoinable) in [(Frozen::Snapshot, true), (Frozen::ReadOnly, false)] {
            let facts = of(Some(frozen));
            let snapshot = facts.snapshot().unwrap();
            assert_eq!(snapshot.rejoinable, rejoinable);
            assert!(facts.still_is(&snapshot.token, false).is_ok());
            assert_eq!(facts.still_is(&snapshot.token, true).is_ok(), rejoinable);
            let later = DatabaseFacts { created: Some("2025".into()), ..facts };
            assert_eq!(later.still_is(&snapshot.token, false).unwrap_err().code(), Some(SNAPSHOT_LOST));
            assert!(of(None).still_is(&snapshot.token, false).is_err());
        }
    }
}
