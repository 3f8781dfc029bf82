//! A read point that several instances share: an exported snapshot.

use rivet_sdk::{Error, Result, Snapshot};

use crate::session::Session;

/// Opens the transaction that is the snapshot. None where the server cannot export one: a
/// standby before PostgreSQL 10.
pub(crate) fn hold(session: &mut Session) -> Result<Option<Snapshot>> {
    if session.version() < 100_000 {
        return Ok(None);
    }
    let answer = session.hold(
        "SELECT pg_catalog.pg_export_snapshot(), CASE WHEN pg_catalog.pg_is_in_recovery() \
         THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, \
         pg_catalog.transaction_timestamp()::text",
    )?;
    let row = answer.rows.into_iter().next().unwrap_or_default();
    let [Some(token), position, at] = &row[..] else {
        session.release();
        return Err(Error::internal("the server exported a snapshot without a name"));
    };
    let [position, at] = [position, at].map(|text| text.clone().unwrap_or_default());
    Ok(Some(Snapshot::new(token.clone(), format!("LSN {position} at {at}")).with_rejoinable(true)))
}
