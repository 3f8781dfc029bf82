//! How large every table is, without waiting for one that somebody else has locked: to look at a table's files takes a
//! lock, and who lists tables wants none of them yet.

use std::collections::HashMap;

use rivet_sdk::{Error, Result};

use crate::catalog::{BLOCK_BYTES, surprise};
use crate::message::Rows;
use crate::types::number;
use crate::wire::Wire;

/// How often the sizes are asked for, where tables are locked meanwhile.
const ATTEMPTS: u32 = 3;
/// How long one question may wait for a table that was locked after it was looked for.
const WAIT_MS: u32 = 500;

/// Bytes with TOAST, by the table's number; none for a table that is locked, or about to be.
pub(crate) fn of_all(wire: &mut Wire, schema: &str) -> Result<HashMap<u32, u64>> {
    let stored = format!(
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'm') AND {schema}"
    );
    let exact = format!(
        "WITH held AS (SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation' \
         AND l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL OFFSET 0) \
         SELECT c.oid, pg_catalog.pg_table_size(c.oid) {stored} \
         AND NOT EXISTS (SELECT FROM held WHERE held.relation IN (c.oid, c.reltoastrelid))"
    );
    for _ in 0..ATTEMPTS {
        match briefly(wire, &exact) {
            Err(error) if is_locked(&error) => log::debug!("a table was locked while its size was read: {error}"),
            rows => return sizes(&rows?),
        }
    }
    // What the last VACUUM or ANALYZE saw takes no lock.
    sizes(&wire.simple(&format!("SELECT c.oid, c.relpages::int8 * {BLOCK_BYTES} {stored} AND c.relpages > 0"))?)
}

/// The statement's rows, or its error, under a lock timeout of its own; the transaction goes on either way.
fn briefly(wire: &mut Wire, sql: &str) -> Result<Rows> {
    let rows = wire.simple(&format!("SAVEPOINT rivet_sizes; SET LOCAL lock_timeout = {WAIT_MS}; {sql}"));
    if rows.is_ok() || wire.in_transaction() {
        wire.simple("ROLLBACK TO SAVEPOINT rivet_sizes; RELEASE SAVEPOINT rivet_sizes")?;
    }
    rows
}

fn is_locked(error: &Error) -> bool {
    error.code() == Some("55P03")
}

fn sizes(rows: &Rows) -> Result<HashMap<u32, u64>> {
    let size = |row: &Vec<Option<String>>| {
        let [oid, bytes] = &row[..] else { return Err(surprise()) };
        // A table that was dropped meanwhile has none.
        bytes.is_some().then(|| Ok((number(oid)?, number(bytes)?))).transpose()
    };
    rows.rows.iter().filter_map(|row| size(row).transpose()).collect()
}
