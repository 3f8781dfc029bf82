//! What a plan says of one thing each: its rules, its rows, its chunks, how hard it may work.

use rivet_sdk::{Condition, Scalar, SessionPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::ties::{Boundary, TiesEnd, TiesSpec};

/// What must hold before a run is committed. Columns by the source's names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualitySpec {
    /// Fewest rows.
    #[serde(default)]
    pub row_count_min: Option<u64>,
    /// Most rows.
    #[serde(default)]
    pub row_count_max: Option<u64>,
    /// The largest share of NULLs.
    #[serde(default)]
    pub null_ratio_max: std::collections::BTreeMap<String, f64>,
    /// Columns in each of which no value may come twice.
    #[serde(default)]
    pub unique_columns: Vec<String>,
    /// Most distinct values compared for that, of each column.
    pub unique_max_entries: u64,
}

/// How far a run takes an export's watermark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncrementalSpec {
    /// The cursor's columns.
    pub cursor: Vec<String>,
    /// The cursor is the first of the columns that is not NULL.
    #[serde(default)]
    pub coalesced: bool,
    /// What the values belong to.
    pub fingerprint: String,
    /// The same in its second form; rivet 0.1 wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint_v2: Option<String>,
    /// What the values are of, without where they land; rivet 0.1 wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_fingerprint: Option<String>,
    /// The newest committed run that the planner knew of; the commit finds no newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The last row delivered before; None in a first run.
    #[serde(default)]
    pub from: Option<Vec<Scalar>>,
    /// The last row of this run; None while the table is empty.
    #[serde(default)]
    pub to: Option<Vec<Scalar>>,
    /// Why rows may be missed, if they may.
    #[serde(default)]
    pub at_risk: Option<String>,
    /// What the next run counts again, to see rows that were committed too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recount: Option<Recount>,
    /// What becomes of rows that share a value with `from` or `to`. Absent: those that come later are left behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ties: Option<TiesSpec>,
}

impl IncrementalSpec {
    /// What the values belong to, in both forms.
    pub fn belongs_to(&self) -> Fingerprint {
        Fingerprint::stored(&self.fingerprint, self.fingerprint_v2.as_deref())
    }

    /// What becomes of later rows with the last cursor, for people.
    pub fn ties_text(&self) -> String {
        let Some(ties) = &self.ties else {
            return "left behind: later rows with the watermark's own cursor; `on_cursor_ties` changes that".to_owned();
        };
        match ties.end {
            TiesEnd::Settled => {
                "none: with `settle` the run ends before the last whole day (of a date) or second that can still be \
                 written"
                    .to_owned()
            }
            TiesEnd::TooMany => "too many to be remembered".to_owned(),
            TiesEnd::Greatest { .. } => {
                "remembered: later rows with the last cursor are delivered, each once".to_owned()
            }
            TiesEnd::Chunk => {
                "remembered: later rows with the last cursor are delivered, each once; those rows are a chunk of their \
                 own"
                .to_owned()
            }
        }
    }
}

/// How many rows were there, shortly before the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recount {
    /// Those whose cursor begins with a later value than this, up to the run's end.
    pub after: Scalar,
    /// So many.
    pub rows: u64,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceSpec {
    /// The plugin's name.
    pub plugin: String,
    /// Its options as configured, secrets by reference only.
    pub options: serde_json::Value,
    /// The database's own id, against which a resumed or applied plan is checked.
    pub identity: String,
    /// Product and version, for people.
    pub product: String,
}

/// A disjoint slice of the relation: one query, one attempt at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chunk {
    /// Its position in the plan.
    pub index: u32,
    /// What selects it, beyond the plan's own conditions; None selects everything.
    #[serde(default)]
    pub condition: Option<Condition>,
    /// Its rows do not meet the plan's own conditions: those without a cursor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
    /// Estimated rows.
    #[serde(default)]
    pub estimated_rows: Option<u64>,
    /// It holds exactly the rows at the watermark, or at the run's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Boundary>,
}

impl Chunk {
    /// Every row that meets the plan's own conditions.
    pub fn whole() -> Self {
        Self { index: 0, condition: None, beside: false, estimated_rows: None, boundary: None }
    }
}

/// How the chunks were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Strategy {
    /// `none`, `range`, `keyset`, `native` or `days`.
    #[serde(rename = "name")]
    #[schemars(with = "String")]
    pub kind: StrategyKind,
    /// The key's columns, where there is a key.
    #[serde(default)]
    pub key: Vec<String>,
    /// Why this strategy, in one line.
    pub reason: String,
    /// How boundaries were found: `histogram of 101 bounds`.
    #[serde(default)]
    pub method: String,
}

/// Along what chunks were cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum StrategyKind {
    /// Not at all: one chunk.
    None,
    /// Ranges of a key.
    Range,
    /// Ranges of a unique key of any type.
    Keyset,
    /// Physical ranges of the table, between which rows move.
    Native,
    /// Windows of days.
    Days,
    /// A later version's, by its own word: what it needs to be read stands in the plan's conditions.
    Other(String),
}

impl StrategyKind {
    /// The word in a plan.
    pub fn word(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Range => "range",
            Self::Keyset => "keyset",
            Self::Native => "native",
            Self::Days => "days",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for StrategyKind {
    fn from(word: String) -> Self {
        let known = [Self::None, Self::Range, Self::Keyset, Self::Native, Self::Days];
        known.into_iter().find(|kind| kind.word() == word).unwrap_or(Self::Other(word))
    }
}

impl From<StrategyKind> for String {
    fn from(kind: StrategyKind) -> Self {
        kind.word().to_owned()
    }
}

/// What the chunks of a run shall share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsistencyPolicy {
    /// One read point, or no run.
    Snapshot,
    /// Each its own read point.
    PerChunk,
    /// One read point where it can be had.
    Auto,
}

/// What the chunks of a run did share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// All chunks see one read point.
    Snapshot,
    /// Each chunk is consistent in itself.
    PerChunk,
    /// Rows that moved while they were read may be missing, or there twice.
    None,
}

/// How hard the run may work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Execution {
    /// Workers, each with its own connection.
    pub parallel: u32,
    /// The fewest that the source's pressure may leave; None: it is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_parallel: Option<u32>,
    /// Largest batch, in rows.
    pub batch_rows: usize,
    /// Largest batch, in bytes.
    pub batch_bytes: usize,
    /// Time limits for each statement.
    pub session: SessionPolicy,
    /// Tries of one chunk, the first included.
    pub max_attempts: u32,
    /// The first pause before a retry; it doubles, with jitter.
    pub retry_backoff_ms: u64,
    /// Pause after every 10 000 rows read, taken between chunks.
    #[serde(default)]
    pub throttle_ms: u64,
    /// Longest one attempt of a chunk may take before it is cut off.
    #[serde(default)]
    pub chunk_deadline_ms: Option<u64>,
    /// A single value larger than this is refused by name.
    pub max_value_bytes: u64,
}
