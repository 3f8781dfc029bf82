//! How a source is asked to cut a relation into slices, and what it answers.

use serde::{Deserialize, Serialize};

use crate::{Condition, ExportRequest};

/// How to cut a relation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SplitRequest {
    /// What is cut. Its `conditions` hold for every slice.
    pub of: ExportRequest,
    /// Along what.
    pub by: SplitBy,
    /// How many slices, or how large.
    pub into: SplitInto,
}

impl SplitRequest {
    /// To cut `of` along `by` into slices of the size `into`.
    pub fn new(of: ExportRequest, by: SplitBy, into: SplitInto) -> Self {
        Self { of, by, into }
    }
}

/// Along what a relation is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SplitBy {
    /// Ranges of one column, boundaries balanced by rows.
    Range {
        /// The column.
        column: String,
    },
    /// Ranges of a unique key, composite or text included.
    Keyset {
        /// The key's columns.
        key: Vec<String>,
    },
    /// Physical ranges.
    Native,
}

/// The wanted size of the slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SplitInto {
    /// About this many slices.
    Count(u64),
    /// Slices of about this many rows.
    Rows(u64),
}

/// A relation, cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Split {
    /// The slices: half-open, in order, the first without a lower bound and the last without
    /// an upper one. NULL keys have an [`Condition::IsNull`] slice of their own whenever the
    /// key is nullable. A relation that is not worth cutting gives one slice with no condition.
    pub slices: Vec<Slice>,
    /// How the boundaries were found, in a few words: `histogram of 101 bounds`.
    pub method: String,
}

impl Split {
    /// These slices, found by this method.
    pub fn new(slices: Vec<Slice>, method: impl Into<String>) -> Self {
        Self { slices, method: method.into() }
    }
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Slice {
    /// What selects it; None selects everything.
    pub condition: Option<Condition>,
    /// Estimated rows; None where there is no estimate.
    pub rows: Option<u64>,
}

impl Slice {
    /// What this condition selects, of about so many rows.
    pub fn new(condition: Option<Condition>, rows: Option<u64>) -> Self {
        Self { condition, rows }
    }
}
