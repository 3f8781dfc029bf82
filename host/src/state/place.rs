//! Where each run's files were to land, beside its line in the journal.

use rivet_sdk::{Error, Result};
use serde_json::{Value, json};

use super::State;
use super::store::{Row, cells, damaged};
use crate::plan::KnownPlace;

impl State {
    /// Notes where a run's files land, or that its export goes on elsewhere. Nothing where the journal has no such run.
    pub fn note_place(&self, run_id: &str, place: &KnownPlace) -> Result<()> {
        let KnownPlace { location, rows, destination, source } = place;
        let text =
            json!({ "location": location, "rows": rows, "destination": destination, "source": source }).to_string();
        self.change(run_id, "UPDATE rivet_run SET place_json = ?2 WHERE run_id = ?1", cells![run_id, text])
    }

    /// Where a run's files landed; None where the journal does not know the run, or an older rivet wrote its line.
    pub fn place_of(&self, run_id: &str) -> Result<Option<KnownPlace>> {
        let sql = "SELECT place_json FROM rivet_run WHERE run_id = ?1 AND place_json IS NOT NULL";
        self.query(sql, cells![run_id])?.first().map(place).transpose()
    }

    /// Where the files of an export's newest run landed, of those of which it was noted.
    pub fn last_place(&self, export: &str) -> Result<Option<KnownPlace>> {
        let sql = "SELECT place_json FROM rivet_run WHERE export = ?1 AND place_json IS NOT NULL
                   ORDER BY run_id DESC LIMIT 1";
        self.query(sql, cells![export])?.first().map(place).transpose()
    }
}

fn place(row: &Row) -> Result<KnownPlace> {
    let unreadable = || -> Error { damaged("the place of a run cannot be read") };
    let value: Value = serde_json::from_str(&row.text(0)?).map_err(|_| unreadable())?;
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(KnownPlace {
        location: text("location").ok_or_else(unreadable)?,
        rows: text("rows"),
        destination: text("destination"),
        source: text("source"),
    })
}
