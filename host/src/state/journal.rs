//! The journal: which runs this machine began, and how they ended.

use rivet_sdk::Result;

use super::store::{Row, cells, damaged};
use super::{State, now};

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

    fn from_word(word: &str) -> Result<Self> {
        [Self::Running, Self::Succeeded, Self::Failed, Self::Interrupted]
            .into_iter()
            .find(|status| status.word() == word)
            .ok_or_else(|| damaged(&format!("a run's status is `{word}`")))
    }
}

/// What a committed run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunNumbers {
    /// Rows exported.
    pub rows: Option<u64>,
    /// Bytes written.
    pub bytes: Option<u64>,
    /// Files written.
    pub parts: Option<u64>,
    /// Failed attempts that were tried again.
    pub retries: Option<u64>,
    /// From the first look at the source to the commit.
    pub elapsed_ms: Option<u64>,
    /// How long the longest statement was open.
    pub longest_statement_ms: Option<u64>,
    /// The process's peak memory when the run ended.
    pub peak_memory_bytes: Option<u64>,
}

/// One run in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    pub run_id: String,
    pub export: String,
    pub plan_id: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC; None while it runs.
    pub finished_at: Option<String>,
    /// How it stands.
    pub status: RunStatus,
    /// What it took; of a run that was not committed, nothing.
    pub numbers: RunNumbers,
    /// Why it failed.
    pub error: Option<String>,
    /// Why rows may be missing from it, or are.
    pub at_risk: Option<String>,
}

impl State {
    /// Notes that a run begins, or is resumed here.
    pub fn run_started(&self, run_id: &str, export: &str, plan_id: &str) -> Result<()> {
        let started_at = now();
        self.transaction(export, |statements| {
            // The caller holds the export's lease: whatever else seems to run was killed.
            statements.change(
                "UPDATE rivet_run SET status = 'interrupted'
                 WHERE export = ?1 AND status = 'running' AND run_id <> ?2",
                cells![export, run_id],
            )?;
            statements.change(
                "INSERT INTO rivet_run (run_id, export, plan_id, started_at, status)
                 VALUES (?1, ?2, ?3, ?4, 'running')
                 ON CONFLICT (run_id) DO UPDATE SET status = 'running', finished_at = NULL, error = NULL",
                cells![run_id, export, plan_id, started_at.as_str()],
            )?;
            Ok(())
        })
    }

    /// Notes that a run was committed; `at_risk`: why rows may be missing from it.
    pub fn run_succeeded(&self, run_id: &str, numbers: &RunNumbers, at_risk: Option<&str>) -> Result<()> {
        let sql = "UPDATE rivet_run SET status = 'succeeded', finished_at = ?2, error = NULL, rows = ?3, bytes = ?4,
                       parts = ?5, retries = ?6, elapsed_ms = ?7, longest_statement_ms = ?8, peak_memory_bytes = ?9,
                       at_risk = ?10
                   WHERE run_id = ?1";
        let values = cells![
            run_id,
            now(),
            numbers.rows,
            numbers.bytes,
            numbers.parts,
            numbers.retries,
            numbers.elapsed_ms,
            numbers.longest_statement_ms,
            numbers.peak_memory_bytes,
            at_risk
        ];
        self.change(run_id, sql, values)
    }

    /// Notes that a run ended by an error or a signal. The text holds no secrets.
    pub fn run_failed(&self, run_id: &str, status: RunStatus, error: &str) -> Result<()> {
        let sql = "UPDATE rivet_run SET status = ?2, finished_at = ?3, error = ?4 WHERE run_id = ?1";
        self.change(run_id, sql, cells![run_id, status.word(), now(), error])
    }

    /// The latest runs of an export, or of all, newest first.
    pub fn runs(&self, export: Option<&str>, limit: u32) -> Result<Vec<RunRecord>> {
        let sql = "SELECT run_id, export, plan_id, started_at, finished_at, status, rows, bytes, error,
                       parts, retries, elapsed_ms, longest_statement_ms, peak_memory_bytes, at_risk
                   FROM rivet_run WHERE ?1 = '' OR export = ?1 ORDER BY run_id DESC LIMIT ?2";
        let rows = self.query(sql, cells![export.unwrap_or_default(), i64::from(limit)])?;
        rows.iter().map(record).collect()
    }
}

fn record(row: &Row) -> Result<RunRecord> {
    Ok(RunRecord {
        run_id: row.text(0)?,
        export: row.text(1)?,
        plan_id: row.text(2)?,
        started_at: row.text(3)?,
        finished_at: row.optional_text(4)?,
        status: RunStatus::from_word(&row.text(5)?)?,
        numbers: RunNumbers {
            rows: row.optional_count(6)?,
            bytes: row.optional_count(7)?,
            parts: row.optional_count(9)?,
            retries: row.optional_count(10)?,
            elapsed_ms: row.optional_count(11)?,
            longest_statement_ms: row.optional_count(12)?,
            peak_memory_bytes: row.optional_count(13)?,
        },
        error: row.optional_text(8)?,
        at_risk: row.optional_text(14)?,
    })
}
