//! The journal: which runs this machine began, and how they ended.

use rivet_sdk::Result;
use rusqlite::params;

use super::State;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// Begun, and not heard of since.
    Running,
    /// Committed.
    Succeeded,
    /// Ended by an error.
    Failed,
    /// Ended by a signal.
    Interrupted,
}

impl RunStatus {
    /// The word in the file and in `status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    fn from_word(word: &str) -> Self {
        [Self::Succeeded, Self::Failed, Self::Interrupted]
            .into_iter()
            .find(|status| status.word() == word)
            .unwrap_or(Self::Running)
    }
}

/// One run in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The run.
    pub run_id: String,
    /// Its export.
    pub export: String,
    /// Its plan.
    pub plan_id: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC; None while it runs.
    pub finished_at: Option<String>,
    /// How it stands.
    pub status: RunStatus,
    /// Rows exported.
    pub rows: Option<u64>,
    /// Bytes written.
    pub bytes: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
}

impl State {
    /// Notes that a run begins, or is resumed here.
    pub fn run_started(&self, run_id: &str, export: &str, plan_id: &str) -> Result<()> {
        // The caller holds the export's lease: whatever else seems to run was killed.
        let sql =
            "UPDATE rivet_run SET status = 'interrupted' WHERE export = ?1 AND status = 'running' AND run_id <> ?2";
        self.execute(sql, params![export, run_id])?;
        let sql = "INSERT INTO rivet_run (run_id, export, plan_id, started_at, status)
                   VALUES (?1, ?2, ?3, ?4, 'running')
                   ON CONFLICT (run_id) DO UPDATE SET status = 'running', finished_at = NULL, error = NULL";
        self.execute(sql, params![run_id, export, plan_id, now()])
    }

    /// Notes that a run was committed.
    pub fn run_succeeded(&self, run_id: &str, rows: u64, bytes: u64) -> Result<()> {
        let sql = "UPDATE rivet_run SET status = 'succeeded', finished_at = ?2, rows = ?3, bytes = ?4, error = NULL
                   WHERE run_id = ?1";
        let (rows, bytes) = (i64::try_from(rows).unwrap_or(i64::MAX), i64::try_from(bytes).unwrap_or(i64::MAX));
        self.execute(sql, params![run_id, now(), rows, bytes])
    }

    /// Notes that a run ended by an error or a signal. The text holds no secrets.
    pub fn run_failed(&self, run_id: &str, status: RunStatus, error: &str) -> Result<()> {
        let sql = "UPDATE rivet_run SET status = ?2, finished_at = ?3, error = ?4 WHERE run_id = ?1";
        self.execute(sql, params![run_id, status.word(), now(), error])
    }

    /// The latest runs of an export, or of all, newest first.
    pub fn runs(&self, export: Option<&str>, limit: u32) -> Result<Vec<RunRecord>> {
        let sql = "SELECT run_id, export, plan_id, started_at, finished_at, status, rows, bytes, error FROM rivet_run
                   WHERE ?1 IS NULL OR export = ?1 ORDER BY run_id DESC LIMIT ?2";
        let read = || -> rusqlite::Result<Vec<RunRecord>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map(params![export, limit], record)?;
            rows.collect()
        };
        read().map_err(|error| self.error(&error))
    }

    fn execute(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<()> {
        self.connection.execute(sql, values).map(|_| ()).map_err(|error| self.error(&error))
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<RunRecord> {
    let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    Ok(RunRecord {
        run_id: row.get(0)?,
        export: row.get(1)?,
        plan_id: row.get(2)?,
        started_at: row.get(3)?,
        finished_at: row.get(4)?,
        status: RunStatus::from_word(&row.get::<_, String>(5)?),
        rows: count(row.get(6)?),
        bytes: count(row.get(7)?),
        error: row.get(8)?,
    })
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}
