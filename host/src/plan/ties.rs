//! Rows that share the watermark's own value: which of them were delivered, so that those that come later are not lost.
//!
//! A run reads again what lies at the watermark and leaves out what the runs before delivered there. Rows are known by
//! a hash of everything that was exported of them, and by how often it occurred: no key is needed, and a row that
//! changed under the same value is another one. The form is that of `docs/reference/seals.md`.

use std::collections::BTreeMap;

use rivet_sdk::arrow_schema::DataType;
use rivet_sdk::{Error, FieldSpec, OnUnrepresentable, Result, TypeMapping};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::column::PlannedColumn;

/// The most rows at one value that are remembered.
pub const MOST: u64 = 10_000;
/// The version of the rows' hashes.
pub const FORM: u32 = 1;

/// What a run knows of the rows at its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Ties {
    /// No later row can have that value: `settle` kept the end before all that can still be written.
    Settled,
    /// There are more than are remembered.
    TooMany,
    /// They were delivered, all of these.
    Remembered(Remembered),
}

/// Rows that were delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remembered {
    /// The version of the hashes.
    pub form: u32,
    /// The columns that the hashes are over, in their order, by the source's names.
    pub columns: Vec<TieColumn>,
    /// What the rows have in the leading columns of the cursor, where that can be told from the values; one number a
    /// column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Vec<String>>,
    /// How often each row was there, by its hash: 32 hex digits.
    pub rows: BTreeMap<String, u64>,
}

/// A column of remembered rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TieColumn {
    /// The source's name.
    pub name: String,
    /// Its Arrow format, with those of its children: `l`, `+l(u)`.
    pub format: String,
}

impl TieColumn {
    /// A column of a plan.
    pub fn of(mapping: &TypeMapping) -> Self {
        Self { name: mapping.name.clone(), format: format(&mapping.field) }
    }
}

fn format(field: &FieldSpec) -> String {
    if field.children.is_empty() {
        return field.format.clone();
    }
    let children: Vec<String> = field.children.iter().map(format).collect();
    format!("{}({})", field.format, children.join(","))
}

impl Remembered {
    /// Why the hashes cannot be compared with rows of these columns, if they cannot. A new column is no reason.
    pub fn unusable(&self, columns: &[PlannedColumn]) -> Option<String> {
        if self.form != FORM {
            return Some(format!("they were remembered in form {}, this rivet knows {FORM}", self.form));
        }
        self.columns.iter().find_map(|known| {
            let now = columns.iter().find(|column| column.mapping.name == known.name);
            match now.map(|column| TieColumn::of(&column.mapping)) {
                None => Some(format!("the column `{}` is no longer exported", known.name)),
                Some(now) if now != *known => Some(format!("the column `{}` has another type", known.name)),
                Some(_) => None,
            }
        })
    }
}

/// What a plan does about rows that share a value with the watermark, or with its own end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TiesSpec {
    /// Rows at `from` that were delivered: they are read, and left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Remembered>,
    /// How the rows at `to` are told from the others.
    pub end: TiesEnd,
}

impl TiesSpec {
    /// Whether rows depend on it: who does not know it would deliver others, or forget some.
    pub fn is_required(&self) -> bool {
        self.before.is_some() || !matches!(self.end, TiesEnd::Settled)
    }

    /// Whether the rows that it leaves out are those that were delivered at the watermark, as it is known `now`.
    pub fn goes_on_from(&self, now: Option<&Ties>) -> bool {
        self.before.as_ref().is_none_or(|before| matches!(now, Some(Ties::Remembered(now)) if now == before))
    }
}

/// How the rows at a run's end are told from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum TiesEnd {
    /// They need not be: no later row can have that value.
    Settled,
    /// They cannot be remembered: they are too many.
    TooMany,
    /// They have the greatest values of the cursor's leading columns, or are taken for such.
    Greatest {
        /// So many columns.
        columns: u32,
    },
    /// The database tells: they are a chunk of their own.
    Chunk,
}

/// Which rows a chunk of their own holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// Those at the watermark.
    From,
    /// Those at the run's end.
    To,
    /// Both are the same.
    Both,
}

/// What a chunk saw of the rows at the run's end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkTies {
    /// [`Remembered::at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Vec<String>>,
    /// [`Remembered::rows`]; none where they are too many.
    pub rows: BTreeMap<String, u64>,
    /// There were more than are remembered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_many: bool,
}

/// How many leading columns of the cursor have an order that the host knows as the database does: those of numbers and
/// times whose every value arrives. Of texts and uuids only the database knows it.
pub fn ordered_by_value(
    cursor: &[String],
    coalesced: bool,
    columns: &[PlannedColumn],
    policy: OnUnrepresentable,
) -> usize {
    let known = |name: &String| {
        let column = columns.iter().find(|column| column.mapping.name == *name)?;
        let field = column.mapping.field.to_field().ok()?;
        let ordered = match field.data_type() {
            kind if kind.is_integer() || kind.is_floating() => true,
            DataType::Decimal128(..) | DataType::Date32 | DataType::Timestamp(..) => true,
            _ => false,
        };
        // A value that became NULL has no place in the order.
        (ordered && (policy == OnUnrepresentable::Fail || !field.is_nullable())).then(|| field.data_type().clone())
    };
    let kinds: Vec<Option<DataType>> = cursor.iter().map(known).collect();
    if coalesced {
        let same = kinds.iter().all(|kind| kind.is_some() && Some(kind) == kinds.first());
        return usize::from(same);
    }
    kinds.iter().take_while(|kind| kind.is_some()).count()
}

/// A cursor's leading values as numbers, in their order.
pub fn numbers(at: &[String]) -> Result<Vec<i128>> {
    let number =
        |text: &String| text.parse().map_err(|_| Error::integrity(format!("`{text}` is no value of a cursor")));
    at.iter().map(number).collect()
}
