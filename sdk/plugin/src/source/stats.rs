//! What an export says of itself once its rows are through.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What an export statement did, beyond the rows that went through the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportStats {
    /// Rows handed to the sink.
    pub rows: u64,
    /// Columns in which something was counted; others are left out.
    #[serde(default)]
    pub columns: Vec<ColumnStats>,
    /// Texts for the user, printed with the summary.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How long the longest statement was open on the server; zero where that was not measured.
    #[serde(default)]
    pub longest_statement: Duration,
}

impl ExportStats {
    /// An export that handed so many rows to the sink.
    pub fn new(rows: u64) -> Self {
        Self { rows, ..Self::default() }
    }

    /// Replaces [`ExportStats::columns`].
    #[must_use]
    pub fn with_columns(self, columns: Vec<ColumnStats>) -> Self {
        Self { columns, ..self }
    }

    /// Replaces [`ExportStats::warnings`].
    #[must_use]
    pub fn with_warnings(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }

    /// Replaces [`ExportStats::longest_statement`].
    #[must_use]
    pub fn with_longest_statement(self, longest_statement: Duration) -> Self {
        Self { longest_statement, ..self }
    }
}

/// What a column's values went through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ColumnStats {
    /// The column's source name.
    pub name: String,
    /// Values that became NULL under [`crate::OnUnrepresentable::Null`].
    #[serde(default)]
    pub unrepresentable: u64,
    /// Values that lost digits below the Arrow type's resolution.
    #[serde(default)]
    pub rounded: u64,
}

impl ColumnStats {
    /// A column in which nothing was counted yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Replaces [`ColumnStats::unrepresentable`].
    #[must_use]
    pub fn with_unrepresentable(self, unrepresentable: u64) -> Self {
        Self { unrepresentable, ..self }
    }

    /// Replaces [`ColumnStats::rounded`].
    #[must_use]
    pub fn with_rounded(self, rounded: u64) -> Self {
        Self { rounded, ..self }
    }
}
