//! How far each incremental export has come, moved only from where its run began.

use rivet_sdk::{Error, Result, Scalar};
use serde::de::DeserializeOwned;

use super::State;
use super::store::{Row, Statements, cells, damaged};
use crate::plan::Fingerprint;
use crate::plan::ties::Ties;
use crate::seal;

/// How far an incremental export has come: rows up to here are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    pub export: String,
    /// What the values belong to: source, relation, cursor and destination.
    pub fingerprint: String,
    /// The same in its second form; None where rivet 0.1 wrote the row.
    pub fingerprint_v2: Option<String>,
    /// The cursor's columns.
    pub cursor: Vec<String>,
    /// The cursor's values, one a column.
    pub values: Vec<Scalar>,
    /// The run that came this far.
    pub run_id: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
    /// What is known of the rows with these very values; None: nothing.
    pub ties: Option<Ties>,
}

/// One move of a watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
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
    /// What the values belong to, in both forms.
    pub fn belongs_to(&self) -> Fingerprint {
        Fingerprint::stored(&self.fingerprint, self.fingerprint_v2.as_deref())
    }

    fn is_at(&self, other: &Self) -> bool {
        (&self.fingerprint, &self.cursor, &self.values, &self.ties)
            == (&other.fingerprint, &other.cursor, &other.values, &other.ties)
    }
}

impl State {
    /// How far an export has come.
    pub fn watermark(&self, export: &str) -> Result<Option<Watermark>> {
        let sql = format!("{SELECT} WHERE w.export = ?1");
        let look = || self.query(&sql, cells![export])?.first().map(watermark).transpose();
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        let last = self.advances(Some(export), 1)?;
        if last.first().is_none_or(|last| last.run_id.is_none()) {
            return Ok(None);
        }
        // Either it was set meanwhile, or it is gone and nobody reset it.
        match look()? {
            None => Err(not_as_written(export, "it is gone, and was not reset")),
            found => Ok(found),
        }
    }

    /// Every watermark, by export.
    pub fn watermarks(&self) -> Result<Vec<Watermark>> {
        self.query(&format!("{SELECT} ORDER BY w.export"), &[])?.iter().map(watermark).collect()
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
            let ties = to.ties.as_ref().map(to_json).transpose()?;
            let texts: [Option<&str>; 7] = [
                Some(&to.export),
                Some(&to.fingerprint),
                Some(&cursor),
                Some(&values),
                Some(&to.run_id),
                Some(&to.updated_at),
                to.fingerprint_v2.as_deref(),
            ];
            let seal = seal_of_watermark(&texts, ties.as_deref())?;
            statements.change(
                "INSERT INTO rivet_watermark
                     (export, fingerprint, cursor_json, values_json, run_id, updated_at, fingerprint_v2, seal,
                      ties_json)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (export) DO UPDATE SET fingerprint = excluded.fingerprint,
                     cursor_json = excluded.cursor_json, values_json = excluded.values_json,
                     run_id = excluded.run_id, updated_at = excluded.updated_at,
                     fingerprint_v2 = excluded.fingerprint_v2, seal = excluded.seal,
                     ties_json = excluded.ties_json",
                cells![
                    to.export.as_str(),
                    to.fingerprint.as_str(),
                    cursor.as_str(),
                    values.as_str(),
                    to.run_id.as_str(),
                    to.updated_at.as_str(),
                    to.fingerprint_v2.as_deref(),
                    seal,
                    ties
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
            // A row that is damaged is what a reset is for.
            let stored = match read(statements, export) {
                Err(error) if error.code() == Some("damaged_state") => None,
                stored => stored?,
            };
            statements.change("DELETE FROM rivet_watermark WHERE export = ?1", cells![export])?;
            let nothing = Watermark {
                export: export.to_owned(),
                fingerprint: String::new(),
                fingerprint_v2: None,
                cursor: Vec::new(),
                values: Vec::new(),
                run_id: String::new(),
                updated_at: at.clone(),
                ties: None,
            };
            remember(statements, Some(stored.as_ref().unwrap_or(&nothing)), None, &at)?;
            Ok(stored)
        })
    }

    /// The latest moves of an export's watermark, or of all, newest first.
    pub fn advances(&self, export: Option<&str>, limit: u32) -> Result<Vec<Advance>> {
        let sql = "SELECT export, step, run_id, cursor_json, from_json, to_json, moved_at, fingerprint, seal
                   FROM rivet_advance
                   WHERE ?1 = '' OR export = ?1 ORDER BY moved_at DESC, export, step DESC LIMIT ?2";
        let rows = self.query(sql, cells![export.unwrap_or_default(), i64::from(limit)])?;
        rows.iter().map(advance).collect()
    }
}

/// A watermark with its seal, and the newest move beside it, of one moment.
const SELECT: &str = "SELECT w.export, w.fingerprint, w.cursor_json, w.values_json, w.run_id, w.updated_at,
                          w.fingerprint_v2, w.seal,
                          a.fingerprint, a.cursor_json, a.to_json, a.run_id, a.moved_at, a.seal,
                          w.ties_json
                      FROM rivet_watermark w LEFT JOIN rivet_advance a ON a.export = w.export
                          AND a.step = (SELECT MAX(step) FROM rivet_advance WHERE export = w.export)";

fn read(statements: &mut dyn Statements, export: &str) -> Result<Option<Watermark>> {
    let sql = format!("{SELECT} WHERE w.export = ?1");
    statements.query(&sql, cells![export])?.first().map(watermark).transpose()
}

/// Adds a move to the history.
fn remember(statements: &mut dyn Statements, from: Option<&Watermark>, to: Option<&Watermark>, at: &str) -> Result<()> {
    let Some(subject) = to.or(from) else { return Ok(()) };
    let values = |of: Option<&Watermark>| of.map(|watermark| to_json(&watermark.values)).transpose();
    let export = subject.export.as_str();
    // Nobody else moves this export's watermark meanwhile: the transaction keeps them out.
    let last = "SELECT COALESCE(MAX(step), 0) FROM rivet_advance WHERE export = ?1";
    let last = statements.query(last, cells![export])?.first().map(|row| row.integer(0)).transpose()?;
    let step = last.unwrap_or_default() + 1;
    let run_id = to.map(|to| to.run_id.as_str());
    let (cursor, from, to) = (to_json(&subject.cursor)?, values(from)?, values(to)?);
    let seal = seal_of(&[
        Some(export),
        Some(&step.to_string()),
        run_id,
        Some(&subject.fingerprint),
        Some(&cursor),
        from.as_deref(),
        to.as_deref(),
        Some(at),
    ])?;
    statements.change(
        "INSERT INTO rivet_advance
             (export, step, run_id, fingerprint, cursor_json, from_json, to_json, moved_at, seal)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        cells![export, step, run_id, subject.fingerprint.as_str(), cursor, from, to, at, seal],
    )?;
    Ok(())
}

/// The seal of a row: the hash of its columns' texts, as `docs/reference/seals.md` has it.
fn seal_of(columns: &[Option<&str>]) -> Result<String> {
    seal::hash_of(&serde_json::json!(columns))
}

/// That of a watermark's row. What is known of ties came later: where nothing is, the form is the earlier one.
fn seal_of_watermark(texts: &[Option<&str>], ties: Option<&str>) -> Result<String> {
    let texts: Vec<Option<&str>> = texts.iter().copied().chain(ties.map(Some)).collect();
    seal_of(&texts)
}

/// A watermark as it was written: its seal says so; or, where an older rivet wrote it, the newest move does.
fn watermark(row: &Row) -> Result<Watermark> {
    let export = row.text(0)?;
    let texts = (0..7).map(|column| row.optional_text(column)).collect::<Result<Vec<_>>>()?;
    let ties = row.optional_text(14)?;
    let hash = seal_of_watermark(&texts.iter().map(Option::as_deref).collect::<Vec<_>>(), ties.as_deref())?;
    let found = row.optional_text(7)?;
    let is_sealed = found.as_deref() == Some(hash.as_str());
    if !is_sealed {
        let moves = (8..13).map(|column| row.optional_text(column)).collect::<Result<Vec<_>>>()?;
        let no_move = moves.iter().all(Option::is_none);
        let is_last_move = texts.get(1..6).is_some_and(|written| written == moves);
        let by_older = match (&found, row.optional_text(13)?) {
            (None, None) => is_last_move || no_move,
            // It leaves columns alone that it does not know.
            (Some(_), None) => is_last_move,
            (_, Some(_)) => false,
        };
        if !by_older {
            return Err(not_as_written(&export, "it does not agree with its seal"));
        }
        log::warn!("{export}: the watermark has no seal: an older rivet wrote it, and it is taken as it is");
    }
    Ok(Watermark {
        fingerprint: row.text(1)?,
        fingerprint_v2: row.optional_text(6)?.filter(|_| is_sealed),
        cursor: from_json(&row.text(2)?)?,
        values: from_json(&row.text(3)?)?,
        run_id: row.text(4)?,
        updated_at: row.text(5)?,
        // An older rivet moves the row and leaves them as they were.
        ties: ties.filter(|_| is_sealed).map(|text| from_json(&text)).transpose()?,
        export,
    })
}

fn not_as_written(export: &str, why: &str) -> Error {
    damaged(&format!("the watermark of {export} is not what was written: {why}"))
        .with_hint(format!(
            "restore the store from a backup; or `rivet state reset -e {export}`, and the next run takes every row again"
        ))
        .with_context("export", export)
}

fn advance(row: &Row) -> Result<Advance> {
    if let Some(found) = row.optional_text(8)? {
        let step = row.integer(1)?.to_string();
        let text = |column| row.optional_text(column);
        let columns = [text(0)?, Some(step), text(2)?, text(7)?, text(3)?, text(4)?, text(5)?, text(6)?];
        if found != seal_of(&columns.each_ref().map(Option::as_deref))? {
            return Err(not_as_written(&row.text(0)?, "a move in its history does not agree with its seal"));
        }
    }
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
    serde_json::to_string(value).map_err(|error| Error::internal(format!("a watermark as JSON: {error}")))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| damaged(&format!("a watermark cannot be read: {error}")))
}
