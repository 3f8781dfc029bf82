//! Cuts rows into cells and blocks whose borders depend on the rows alone.
//!
//! A Parquet encoder decides about pages, row groups and parts each time it is given rows. So
//! that the same rows give the same bytes whatever batches they arrived in, it is given rows
//! only in *cells*, whose borders are a function of the rows: a cell ends after a fixed number
//! of rows, or once its values reach a number of bytes. A *block* is a run of cells that goes to
//! the encoder at once.

use std::collections::VecDeque;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

/// A row that is larger may pass alone, and does wherever memory is short.
pub(super) const LARGE_ROW_BYTES: usize = 4 << 20;

/// When cells and blocks end.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockLimits {
    pub(super) cell_rows: usize,
    pub(super) cell_bytes: usize,
    pub(super) block_cells: usize,
    pub(super) block_bytes: usize,
    /// Where row groups end after a fixed number of rows: no cell crosses that border.
    pub(super) group_rows: Option<usize>,
    /// A row that is larger is a block of its own, and a row group where the user sets no rows for
    /// them: it is encoded and gone before the next is looked at.
    pub(super) large_row_bytes: usize,
}

/// Rows of one cell: slices of one or more batches.
pub(super) type Cell = Vec<RecordBatch>;

/// Cells that go to the encoder at once.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) cells: Vec<Cell>,
    pub(super) rows: usize,
    pub(super) bytes: usize,
    /// Whether the row group ends with this block.
    pub(super) ends_group: bool,
    /// Whether it is one large row, which begins a row group unless its rows are counted.
    pub(super) is_large: bool,
}

/// Collects batches, gives blocks.
pub(super) struct Blocks {
    limits: BlockLimits,
    cell: Cell,
    cell_rows: usize,
    cell_bytes: usize,
    group_rows: usize,
    block: Block,
    ready: VecDeque<Block>,
}

impl Blocks {
    pub(super) fn new(limits: BlockLimits) -> Self {
        Self {
            limits,
            cell: Vec::new(),
            cell_rows: 0,
            cell_bytes: 0,
            group_rows: 0,
            block: Block::default(),
            ready: VecDeque::new(),
        }
    }

    /// Adds the rows of a batch.
    pub(super) fn push(&mut self, batch: &RecordBatch) {
        let mut start = 0;
        while start < batch.num_rows() {
            let (rows, bytes, full) = match self.fit(batch, start) {
                Fit::Rows { rows, bytes, full } => (rows, bytes, full),
                Fit::Large => {
                    self.end();
                    (1, byte_sizes(batch, start, 1), true)
                }
            };
            self.cell.push(batch.slice(start, rows));
            self.cell_rows += rows;
            self.cell_bytes += bytes;
            self.group_rows += rows;
            start += rows;
            let is_large = rows == 1 && bytes >= self.limits.large_row_bytes;
            self.block.is_large = is_large;
            if self.limits.group_rows == Some(self.group_rows) {
                self.group_rows = 0;
                self.block.ends_group = true;
                self.end();
            } else if is_large {
                self.block.ends_group = self.limits.group_rows.is_none();
                self.end();
            } else if full {
                self.end_cell();
            }
        }
    }

    /// How many rows from `start` the current cell takes, and whether it is full then.
    fn fit(&self, batch: &RecordBatch, start: usize) -> Fit {
        let group_room = self.limits.group_rows.map_or(usize::MAX, |rows| rows - self.group_rows);
        let room = group_room.min(self.limits.cell_rows - self.cell_rows);
        let most = room.min(batch.num_rows() - start);
        let size = |rows: usize| byte_sizes(batch, start, rows);
        let limit = self.limits.cell_bytes.saturating_sub(self.cell_bytes);
        let bytes = size(most);
        if bytes < limit {
            return Fit::Rows { rows: most, bytes, full: most == room };
        }
        // The smallest number of rows that reaches the limit.
        let (mut low, mut high) = (1, most);
        while low < high {
            let middle = low + (high - low) / 2;
            if size(middle) >= limit {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let (before, bytes) = (size(low - 1), size(low));
        if bytes - before < self.limits.large_row_bytes {
            return Fit::Rows { rows: low, bytes, full: true };
        }
        if low > 1 { Fit::Rows { rows: low - 1, bytes: before, full: true } } else { Fit::Large }
    }

    fn end_cell(&mut self) {
        if self.cell_rows == 0 {
            return;
        }
        self.block.cells.push(std::mem::take(&mut self.cell));
        self.block.rows += std::mem::take(&mut self.cell_rows);
        self.block.bytes += std::mem::take(&mut self.cell_bytes);
        if self.block.cells.len() >= self.limits.block_cells || self.block.bytes >= self.limits.block_bytes {
            self.ready.push_back(std::mem::take(&mut self.block));
        }
    }

    /// The next full block.
    pub(super) fn next(&mut self) -> Option<Block> {
        self.ready.pop_front()
    }

    /// Ends the last cell and block, full or not.
    pub(super) fn end(&mut self) {
        self.end_cell();
        if self.block.rows > 0 {
            self.ready.push_back(std::mem::take(&mut self.block));
        }
    }

    /// Bytes of rows held back.
    pub(super) fn pending_bytes(&self) -> usize {
        self.cell_bytes + self.block.bytes
    }
}

/// What a cell takes of a batch.
enum Fit {
    Rows {
        rows: usize,
        bytes: usize,
        full: bool,
    },
    /// The next row is large.
    Large,
}

/// Bytes of `rows` rows from `start`.
fn byte_sizes(batch: &RecordBatch, start: usize, rows: usize) -> usize {
    batch.columns().iter().map(|column| byte_size(column, start, rows)).sum()
}

/// Bytes of `rows` values from `start`: additive over rows, and cheap wherever offsets tell.
pub(super) fn byte_size(array: &dyn Array, start: usize, rows: usize) -> usize {
    let end = start + rows;
    match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => rows,
        DataType::Utf8 => 4 * rows + span(array.as_string::<i32>().value_offsets(), start, end).1,
        DataType::Binary => 4 * rows + span(array.as_binary::<i32>().value_offsets(), start, end).1,
        DataType::LargeUtf8 => 8 * rows + span(array.as_string::<i64>().value_offsets(), start, end).1,
        DataType::LargeBinary => 8 * rows + span(array.as_binary::<i64>().value_offsets(), start, end).1,
        DataType::Utf8View => lengths(array.as_string_view().lengths(), start, rows),
        DataType::BinaryView => lengths(array.as_binary_view().lengths(), start, rows),
        DataType::FixedSizeBinary(width) => usize::try_from(*width).unwrap_or(0) * rows,
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, count) = span(list.value_offsets(), start, end);
            4 * rows + byte_size(list.values(), first, count)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (first, count) = span(list.value_offsets(), start, end);
            8 * rows + byte_size(list.values(), first, count)
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (first, count) = span(map.value_offsets(), start, end);
            4 * rows + byte_size(map.entries(), first, count)
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            byte_size(array.as_fixed_size_list().values(), start * size, rows * size)
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| byte_size(column, start, rows)).sum(),
        other => rows * other.primitive_width().unwrap_or(8),
    }
}

fn lengths(lengths: impl Iterator<Item = u32>, start: usize, rows: usize) -> usize {
    lengths.skip(start).take(rows).map(|length| 4 + usize::try_from(length).unwrap_or(0)).sum()
}

/// The first child of a range of values, and how many children they have.
fn span<O: Copy + TryInto<usize>>(offsets: &[O], start: usize, end: usize) -> (usize, usize) {
    let at = |index: usize| offsets.get(index).and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
    let first = at(start);
    (first, at(end).saturating_sub(first))
}
