//! Duplicates in columns that must have none: found while rows pass, and between chunks at the
//! commit.

use std::collections::{BTreeMap, HashSet};

use arrow_array::RecordBatch;
use rivet_sdk::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128;

use super::row_hash::column;
use crate::budget::{MemoryReservation, Share};
use crate::plan::{PlannedColumn, QualitySpec, UniqueValues};

/// What a remembered value takes in a set, about.
const ENTRY_BYTES: u64 = 40;

/// The values seen of each column that must be unique: 128 bits of each value's hash, in which
/// no two values of this world collide.
pub(super) struct Uniques {
    columns: Vec<Seen>,
    most: u64,
    memory: MemoryReservation,
}

struct Seen {
    index: usize,
    name: String,
    values: HashSet<u128>,
    duplicates: u64,
}

impl Uniques {
    pub(super) fn new(quality: Option<&QualitySpec>, columns: &[PlannedColumn], share: &Share) -> Result<Self> {
        let named = quality.map_or(&[][..], |quality| &quality.unique_columns);
        let columns = named
            .iter()
            .map(|name| {
                let index = columns.iter().position(|column| column.mapping.name == *name);
                let index = index.ok_or_else(|| Error::internal(format!("the plan has no column `{name}`")))?;
                Ok(Seen { index, name: name.clone(), values: HashSet::new(), duplicates: 0 })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { columns, most: quality.map_or(0, |quality| quality.unique_max_entries), memory: share.record(0) })
    }

    /// Looks at a batch of the source's columns. NULL is nobody's duplicate.
    pub(super) fn see(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut bytes = Vec::new();
        let mut held = 0;
        for seen in &mut self.columns {
            let Some(array) = batch.columns().get(seen.index) else { continue };
            let values = column(array)?;
            for row in (0..batch.num_rows()).filter(|row| array.is_valid(*row)) {
                bytes.clear();
                values.append(row, &mut bytes);
                seen.duplicates += u64::from(!seen.values.insert(xxh3_128(&bytes)));
            }
            let count = u64::try_from(seen.values.len()).unwrap_or(u64::MAX);
            if count > self.most {
                return Err(too_many(&seen.name, self.most));
            }
            held += count * ENTRY_BYTES;
        }
        if !self.columns.is_empty() {
            self.memory.set(held);
        }
        Ok(())
    }

    /// What the chunk's report says; the values themselves only where `others` will be compared
    /// with them.
    pub(super) fn end(self, others: bool) -> BTreeMap<String, UniqueValues> {
        let ended = self.columns.into_iter().map(|seen| {
            let mut hashes: Vec<u128> = if others { seen.values.into_iter().collect() } else { Vec::new() };
            hashes.sort_unstable();
            let hashes = hashes.iter().map(|hash| format!("{hash:032x}")).collect();
            (seen.name, UniqueValues { duplicates: seen.duplicates, hashes })
        });
        ended.collect()
    }
}

/// More distinct values than may be remembered: uniqueness can be neither shown nor denied.
pub fn too_many(column: &str, most: u64) -> Error {
    Error::new(ErrorKind::ResourceExhausted, format!("`{column}` has more than {most} distinct values to compare"))
        .with_hint(
            "raise `quality.unique_max_entries` (about 40 bytes a value), or drop the column from `unique_columns`",
        )
}
