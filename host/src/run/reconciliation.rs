//! What counting at the source found, beside what a manifest holds.

use std::collections::BTreeMap;

use rivet_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

/// The version of the result's JSON this host writes.
pub(super) const RECONCILIATION_VERSION: u32 = 1;

/// What counting found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Version of this JSON.
    pub reconciliation_version: u32,
    pub export: String,
    /// The run whose manifest it is.
    pub run_id: String,
    /// Whose read point the counts were taken at.
    pub counted_at: CountedAt,
    /// The read point; where there is none, when it was.
    pub read_point: String,
    /// Rows in the manifest, those included that were read and left out because earlier runs delivered them.
    pub manifest_rows: u64,
    /// Rows at the source, chunk by chunk.
    pub source_rows: u64,
    /// Rows at the source, counted at once, whatever the chunks are; None in what rivet 0.1 printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_rows: Option<u64>,
    /// Whether each chunk must agree, or only the sum: physical ranges lose rows to each other.
    pub compared: Compared,
    /// Every chunk of the plan.
    pub chunks: Vec<ChunkRows>,
}

/// Whose read point counts were taken at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedAt {
    /// The one that the run's chunks were read at.
    Run,
    /// A later one, shared by all counts.
    Later,
    /// Later, each chunk at a point of its own.
    LaterPerChunk,
}

/// What must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// Each chunk.
    Chunks,
    /// The sum.
    Total,
}

/// One chunk's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRows {
    pub chunk: u32,
    /// Rows in the manifest, those included that were left out.
    pub manifest: u64,
    /// Rows at the source.
    pub source: u64,
}

impl Reconciliation {
    /// Chunks whose counts must agree and do not.
    pub fn differing(&self) -> Vec<ChunkRows> {
        match self.compared {
            Compared::Chunks => self.chunks.iter().filter(|chunk| chunk.manifest != chunk.source).copied().collect(),
            Compared::Total => Vec::new(),
        }
    }

    /// Whether everything agrees that must.
    pub fn agrees(&self) -> bool {
        self.manifest_rows == self.source_rows && self.differing().is_empty() && self.chunks_make_up_the_whole()
    }

    /// Whether the chunks' counts add up to the count of all rows: else rows are in no chunk, or in two.
    pub fn chunks_make_up_the_whole(&self) -> bool {
        self.whole_rows.is_none_or(|whole| whole == self.source_rows)
    }

    /// An error that says what differs, or Ok.
    pub fn result(&self) -> Result<()> {
        if self.agrees() {
            return Ok(());
        }
        let place = match &self.differing()[..] {
            [] => String::new(),
            [one] => format!(", in chunk {}", one.chunk),
            several => format!(", in {} of {} chunks", several.len(), self.chunks.len()),
        };
        let counted = self.whole_rows.unwrap_or(self.source_rows);
        let place = if self.chunks_make_up_the_whole() {
            place
        } else {
            format!("; chunk by chunk it counts {}{place}", self.source_rows)
        };
        let text = format!("the source counts {counted} rows, the manifest has {}{place}", self.manifest_rows);
        let hint = match self.counted_at {
            CountedAt::Run => "both are of one read point, so rows are missing or too many: run the export again",
            CountedAt::Later | CountedAt::LaterPerChunk => {
                "the source was counted after it was read: rows written since then explain it, else run the export again"
            }
        };
        Err(Error::integrity(text)
            .with_code("count_mismatch")
            .with_hint(hint)
            .with_context("export", self.export.clone())
            .with_context("counted at", self.read_point.clone()))
    }
}

/// Rows at the source by chunk, and where they were counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub at: CountedAt,
    /// The read point; where there is none, when it was.
    pub read_point: String,
    pub rows: BTreeMap<u32, u64>,
    /// Counted at once, whatever the chunks are.
    pub whole: u64,
}

#[cfg(test)]
mod tests {
    use rivet_sdk::ErrorKind;

    use super::*;

    fn reconciliation(compared: Compared, chunks: &[(u64, u64)]) -> Reconciliation {
        let chunks: Vec<ChunkRows> = (0..)
            .zip(chunks)
            .map(|(chunk, (manifest, source))| ChunkRows { chunk, manifest: *manifest, source: *source })
            .collect();
        Reconciliation {
            reconciliation_version: 1,
            export: "e".into(),
            run_id: "r".into(),
            counted_at: CountedAt::Later,
            read_point: "noon".into(),
            manifest_rows: chunks.iter().map(|chunk| chunk.manifest).sum(),
            source_rows: chunks.iter().map(|chunk| chunk.source).sum(),
            whole_rows: None,
            compared,
            chunks,
        }
    }

    #[test]
    fn chunks_that_make_up_for_each_other_still_differ() {
        let error = reconciliation(Compared::Chunks, &[(5, 4), (5, 6), (1, 1)]).result().unwrap_err();
        assert_eq!(error.message(), "the source counts 11 rows, the manifest has 11, in 2 of 3 chunks");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Integrity, Some("count_mismatch")));
    }

    #[test]
    fn rows_that_are_in_no_chunk_or_in_two_differ_though_every_chunk_agrees() {
        for whole in [11, 13] {
            let of = |whole_rows| Reconciliation { whole_rows, ..reconciliation(Compared::Chunks, &[(5, 5), (7, 7)]) };
            assert!(of(Some(12)).agrees() && of(None).agrees());
            let error = of(Some(whole)).result().unwrap_err();
            let text = format!("the source counts {whole} rows, the manifest has 12; chunk by chunk it counts 12");
            assert_eq!(error.message(), text);
        }
    }

    #[test]
    fn rows_may_move_between_physical_ranges_but_not_vanish() {
        assert!(reconciliation(Compared::Total, &[(5, 4), (5, 6)]).agrees());
        let error = reconciliation(Compared::Total, &[(5, 4), (5, 5)]).result().unwrap_err();
        assert_eq!(error.message(), "the source counts 9 rows, the manifest has 10");
    }
}
