//! How far each incremental export has come, moved only from where its run began.

use rivet_sdk::{Result, Scalar};
use serde::de::DeserializeOwned;

use super::State;
use super::store::{Row, Statements, cells, damaged};

/// How far an incremental export has come: rows up to here are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The export.
    pub export: String,
    /// What the values belong to: source, relation, cursor and destination.
    pub fingerprint: String,
    /// The cursor's columns.
    pub cursor: Vec<String>,
    /// The cursor's values, one a column.
    pub values: Vec<Scalar>,
    /// The run that came this far.
    pub run_id: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// One move of a watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The export.
    pub export: String,
    /// Counts the moves of this export.
    pub step: u64,
    /// The run that moved it; None for a reset.
    pub run_id: Option<String>,
    /// The cursor's columns.
    pub cursor: Vec<String>,
    /// Where it stood; None before the first move.
    pub from: Option<Vec<Scalar>>,
    /// Where it went; None for a reset.
    pub to: Option<Vec<Scalar>>,
    /// RFC 3339, UTC.
    pub at: String,
}

impl Watermark {
    fn is_at(&self, other: &Self) -> bool {
        (&self.fingerprint, &self.cursor, &self.values) == (&other.fingerprint, &other.cursor, &other.values)
    }
}

impl State {
    /// How far an export has come.
    pub fn watermark(&self, export: &str) -> Result<Option<Watermark>> {
        let sql = format!("{SELECT} WHERE export = ?1");
        self.query(&sql, cells![export])?.first().map(watermark).transpose()
    }

    /// Every watermark, by export.
    pub fn watermarks(&self) -> Result<Vec<Watermark>> {
        self.query(&format!("{SELECT} ORDER BY export"), &[])?.iter().map(watermark).collect()
    }

    /// Moves an export's watermark if it still stands at `expected`, None meaning that there is
    /// none; false if somebody else moved it. True as well if this very run came to `to` before.
    pub fn advance(&self, expected: Option<&Watermark>, to: &Watermark) -> Result<bool> {
        let (cursor, values) = (to_json(&to.cursor)?, to_json(&to.values)?);
        self.transaction(&to.export, |statements| {
            let stored = read(statements, &to.export)?;
            if let Some(stored) = &stored
                && stored.is_at(to)
                && stored.run_id == to.run_id
            {
                return Ok(true);
            }
            let as_expected = match (&stored, expected) {
                (None, None) => true,
                (Some(stored), Some(expected)) => stored.is_at(expected),
                _ => false,
            };
            if !as_expected {
                return Ok(false);
            }
            statements.change(
                "INSERT INTO rivet_watermark (export, fingerprint, cursor_json, values_json, run_id, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (export) DO UPDATE SET fingerprint = excluded.fingerprint,
                     cursor_json = excluded.cursor_json, values_json = excluded.values_json,
                     run_id = excluded.run_id, updated_at = excluded.updated_at",
                cells![
                    to.export.as_str(),
                    to.fingerprint.as_str(),
                    cursor.as_str(),
                    values.as_str(),
                    to.run_id.as_str(),
                    to.updated_at.as_str()
                ],
            )?;
            remember(statements, stored.as_ref(), Some(to), &to.updated_at)?;
            Ok(true)
        })
    }

    /// Forgets an export's watermark and gives what it was: its next run begins anew, also where
    /// the manifests at the destination know of an earlier one.
    pub fn reset_watermark(&self, export: &str) -> Result<Option<Watermark>> {
        let at = super::now();
        self.transaction(export, |statements| {
            let stored = read(statements, export)?;
            statements.change("DELETE FROM rivet_watermark WHERE export = ?1", cells![export])?;
            let nothing = Watermark {
                export: export.to_owned(),
                fingerprint: String::new(),
                cursor: Vec::new(),
                values: Vec::new(),
                run_id: String::new(),
                updated_at: at.clone(),
            };
            remember(statements, Some(stored.as_ref().unwrap_or(&nothing)), None, &at)?;
            Ok(stored)
        })
    }

    /// The latest moves of an export's watermark, or of all, newest first.
    pub fn advances(&self, export: Option<&str>, limit: u32) -> Result<Vec<Advance>> {
        let sql = "SELECT export, step, run_id, cursor_json, from_json, to_json, moved_at FROM rivet_advance
                   WHERE ?1 = '' OR export = ?1 ORDER BY moved_at DESC, export, step DESC LIMIT ?2";
        let rows = self.query(sql, cells![export.unwrap_or_default(), i64::from(limit)])?;
        rows.iter().map(advance).collect()
    }
}

const SELECT: &str = "SELECT export, fingerprint, cursor_json, values_json, run_id, updated_at FROM rivet_watermark";

fn read(statements: &mut dyn Statements, export: &str) -> Result<Option<Watermark>> {
    let sql = format!("{SELECT} WHERE export = ?1");
    statements.query(&sql, cells![export])?.first().map(watermark).transpose()
}

/// Adds a move to the history.
fn remember(statements: &mut dyn Statements, from: Option<&Watermark>, to: Option<&Watermark>, at: &str) -> Result<()> {
    let Some(subject) = to.or(from) else { return Ok(()) };
    let values = |of: Option<&Watermark>| of.map(|watermark| to_json(&watermark.values)).transpose();
    statements.change(
        "INSERT INTO rivet_advance (export, step, run_id, fingerprint, cursor_json, from_json, to_json, moved_at)
         VALUES (?1, (SELECT COALESCE(MAX(step), 0) + 1 FROM rivet_advance WHERE export = ?1), ?2, ?3, ?4, ?5, ?6, ?7)",
        cells![
            subject.export.as_str(),
            to.map(|to| to.run_id.as_str()),
            subject.fingerprint.as_str(),
            to_json(&subject.cursor)?,
            values(from)?,
            values(to)?,
            at
        ],
    )?;
    Ok(())
}

fn watermark(row: &Row) -> Result<Watermark> {
    Ok(Watermark {
        export: row.text(0)?,
        fingerprint: row.text(1)?,
        cursor: from_json(&row.text(2)?)?,
        values: from_json(&row.text(3)?)?,
        run_id: row.text(4)?,
        updated_at: row.text(5)?,
    })
}

fn advance(row: &Row) -> Result<Advance> {
    let values = |column| row.optional_text(column)?.map(|text| from_json(&text)).transpose();
    Ok(Advance {
        export: row.text(0)?,
        step: row.optional_count(1)?.unwrap_or_default(),
        run_id: row.optional_text(2)?,
        cursor: from_json(&row.text(3)?)?,
        from: values(4)?,
        to: values(5)?,
        at: row.text(6)?,
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| rivet_sdk::Error::internal(format!("a watermark as JSON: {error}")))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(&format!("a watermark cannot be read: {error}")))
}
