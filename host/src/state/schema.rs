//! The columns that an export's last run saw, to notice a changed table.

use rivet_sdk::Result;

use super::State;
use super::store::cells;

/// The columns of an export as a run saw them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSchema {
    /// The run that saw them.
    pub run_id: String,
    /// A JSON list of names, types and nullability.
    pub json: String,
    /// RFC 3339, UTC.
    pub seen_at: String,
}

impl State {
    /// What [`State::remember_schema`] was last told of an export.
    pub fn schema(&self, export: &str) -> Result<Option<SeenSchema>> {
        let sql = "SELECT run_id, schema_json, seen_at FROM rivet_schema WHERE export = ?1";
        let rows = self.query(sql, cells![export])?;
        let seen = |row: &super::store::Row| {
            Ok(SeenSchema { run_id: row.text(0)?, json: row.text(1)?, seen_at: row.text(2)? })
        };
        rows.first().map(seen).transpose()
    }

    /// Remembers the columns of an export as `run_id` saw them.
    pub fn remember_schema(&self, export: &str, run_id: &str, json: &str) -> Result<()> {
        let sql = "INSERT INTO rivet_schema (export, run_id, schema_json, seen_at) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (export) DO UPDATE SET run_id = excluded.run_id, schema_json = excluded.schema_json,
                       seen_at = excluded.seen_at";
        self.change(export, sql, cells![export, run_id, json, super::now()])
    }
}
