//! Which rows an export takes: `mode` and the keys that belong to it.

use super::diagnostic::Diagnostic;
use super::fields::Fields;

/// Which rows an export takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// All of them, at once or in chunks.
    Full,
    /// Those after the watermark.
    Incremental(Incremental),
    /// Those of the last days.
    TimeWindow(TimeWindow),
}

/// Rows after the watermark, up to a bound fixed when the plan is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incremental {
    /// The columns that grow, most significant first; coalesced: the one and what stands in for
    /// it.
    pub cursor: Vec<String>,
    /// The cursor is the first of the columns that is not NULL.
    pub coalesced: bool,
    /// How far the upper bound stays behind the server's clock.
    pub settle_ms: Option<u64>,
    /// What becomes of rows without a cursor.
    pub on_null: OnNullCursor,
    /// What is done where rows that share the watermark's value cannot be told apart; None: not said.
    pub on_ties: Option<OnCursorTies>,
}

/// What is done where the rows at the watermark's own value are too many to be remembered, or have other columns now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCursorTies {
    /// The run is refused.
    Fail,
    /// All of them are delivered again.
    Again,
    /// Those that came later are left behind.
    Leave,
}

/// What becomes of rows without a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNullCursor {
    /// The run is refused, with their count.
    Fail,
    /// They come with the first run.
    Include,
    /// They stay behind, and are counted.
    Skip,
}

/// Rows from midnight UTC some days back until now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeWindow {
    pub column: String,
    /// It holds seconds since 1970.
    pub unix: bool,
    /// How many days back.
    pub days: u32,
}

const INCREMENTAL: [&str; 6] = [
    "cursor_column",
    "cursor_fallback_column",
    "incremental_cursor_mode",
    "settle",
    "on_null_cursor",
    "on_cursor_ties",
];
const TIME_WINDOW: [&str; 3] = ["time_column", "time_column_type", "days_window"];

/// Reads `mode` and its keys. None if something it needs is missing.
pub(super) fn read(export: &Fields, faults: &mut Vec<Diagnostic>) -> Option<Mode> {
    let word = export.text("mode").unwrap_or("full");
    for (mode, keys) in [("incremental", &INCREMENTAL[..]), ("time_window", &TIME_WINDOW[..])] {
        for key in keys.iter().filter(|key| word != mode && export.has(key)) {
            let message = format!("`{key}` has no meaning with `mode: {word}`");
            faults.push(export.fault(key, message).with_hint(format!("it belongs to `mode: {mode}`")));
        }
    }
    match word {
        "incremental" => incremental(export, faults).map(Mode::Incremental),
        "time_window" => time_window(export, faults).map(Mode::TimeWindow),
        _ => Some(Mode::Full),
    }
}

fn incremental(export: &Fields, faults: &mut Vec<Diagnostic>) -> Option<Incremental> {
    let mut cursor: Vec<String> = export.texts("cursor_column").iter().map(|column| column.name.clone()).collect();
    if cursor.is_empty() {
        if !export.has("cursor_column") {
            let fault = export.fault("mode", "`mode: incremental` needs `cursor_column`");
            faults.push(fault.with_hint("name the column, or columns, that grow: `cursor_column: [updated_at, id]`"));
        }
        return None;
    }
    let fallback = export.text("cursor_fallback_column");
    let coalesced = match (export.text("incremental_cursor_mode"), fallback) {
        (Some("coalesce"), None) => {
            let fault = export.fault("incremental_cursor_mode", "`coalesce` needs `cursor_fallback_column`");
            faults.push(fault.with_hint("name the column that stands in where the cursor is NULL"));
            return None;
        }
        (Some("single_column"), Some(_)) => {
            let fault = export.fault("cursor_fallback_column", "`single_column` asks no second column");
            faults.push(fault.with_hint("drop it, or use `incremental_cursor_mode: coalesce`"));
            return None;
        }
        (_, fallback) => fallback.is_some(),
    };
    if let Some(fallback) = fallback {
        if cursor.len() > 1 {
            let fault = export.fault("cursor_fallback_column", "it stands in for one column, not for several");
            faults.push(fault.with_hint("name one column in `cursor_column`"));
            return None;
        }
        cursor.push(fallback.to_owned());
    }
    for (index, name) in cursor.iter().enumerate() {
        if cursor.iter().take(index).any(|earlier| earlier == name) {
            faults.push(export.fault("cursor_column", format!("`{name}` stands there twice")));
            return None;
        }
    }
    if export.text("write_mode") == Some("replace") {
        let message = "earlier runs hold the rows before the watermark, and `replace` would remove them";
        faults.push(export.fault("write_mode", message).with_hint("use `write_mode: append`"));
    }
    if export.fields("destination").is_some_and(|destination| destination.text("type") == Some("stdout")) {
        let fault = export.fault("mode", "standard output keeps no watermark");
        faults.push(fault.with_hint("export to a folder or a store, or use `mode: full`"));
    }
    Some(Incremental {
        cursor,
        coalesced,
        settle_ms: export.integer("settle"),
        on_null: match export.text("on_null_cursor") {
            Some("include") => OnNullCursor::Include,
            Some("skip") => OnNullCursor::Skip,
            _ => OnNullCursor::Fail,
        },
        on_ties: match export.text("on_cursor_ties") {
            Some("fail") => Some(OnCursorTies::Fail),
            Some("again") => Some(OnCursorTies::Again),
            Some("leave") => Some(OnCursorTies::Leave),
            _ => None,
        },
    })
}

fn time_window(export: &Fields, faults: &mut Vec<Diagnostic>) -> Option<TimeWindow> {
    for key in ["time_column", "days_window"].iter().filter(|key| !export.has(key)) {
        faults.push(export.fault("mode", format!("`mode: time_window` needs `{key}`")));
    }
    Some(TimeWindow {
        column: export.text("time_column")?.to_owned(),
        unix: export.text("time_column_type") == Some("unix"),
        days: export.integer("days_window")?,
    })
}
