//! Decoded rows on their way to the host: batches and their limits, and the refusal of a value by column, row and key.
//!
//! For each statement a driver makes one [`Rows`], with a builder of its own for each column. For each row it
//!
//! 1. calls [`Rows::begin`] with the row's size, or 0 where nobody knows it before the values have come;
//! 2. takes [`Rows::slots`] and gives each slot its value: [`Slot::push_null`], or the builder's own `push`, which the
//!    kit leaves to the driver because what a value looks like differs from wire to wire. The first [`Fault`] goes to
//!    [`Rows::refuse`], whose error ends the statement;
//! 3. calls [`Rows::end_row`].
//!
//! [`Rows::finish`] hands over what is left and gives the counts. Batches go to the sink in between, as the request's
//! limits have it: no batch is larger than [`crate::BatchLimits::bytes`] by more than one row. Nothing here allocates
//! for a row or a value.

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::buffers::Full;
use crate::cursor::Short;
use crate::{
    BatchSink, ColumnStats, Context, Error, ErrorKind, ExportRequest, ExportStats, OnUnrepresentable, Reservation,
    Result,
};

/// Arrow's offsets are 32 bits wide; a batch stays well below.
const BATCH_BYTES: usize = 1 << 30;
/// Builders begin with room for this many rows, grow in the first batch, and are made as large as the batch before from
/// then on: a small table costs little.
const CAPACITY_ROWS: usize = 1 << 10;

/// A column of the rows, as [`Rows`] needs to know it. [`super::columns::Planned`] is one.
pub trait Output {
    /// The source's name of it.
    fn name(&self) -> &str;

    /// Its type as a user would write it.
    fn source_type(&self) -> &str;

    /// Whether NULL may occur.
    fn is_nullable(&self) -> bool;

    /// Bytes that every row takes in its Arrow buffers, whatever the value.
    fn fixed_bytes(&self) -> usize;
}

/// One column being built. `push` stays the driver's own.
pub trait ColumnBuilder {
    /// How many bytes of variable length one received byte becomes at most: 1 for texts that cross as they are, 8 for
    /// bits that become digits. A batch is measured again before it can have passed its limit.
    const GROWTH: usize;

    /// Appends NULL.
    fn push_null(&mut self);

    /// Bytes of variable length gathered so far: of texts, of the elements of lists. What every row takes
    /// ([`Output::fixed_bytes`]) is counted apart.
    fn variable_bytes(&self) -> usize;

    /// The values so far as an array; the builder is empty afterwards. Fails where they are none of the announced type,
    /// such as a text that is not UTF-8.
    fn finish(&mut self) -> Result<ArrayRef>;
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// NULL, where the catalogue says that there is none.
    Null,
    /// It has this many bytes, more than [`ExportRequest::max_value_bytes`].
    TooLarge(usize),
    /// It has this many bytes or more, as far as it was read: beyond [`ExportRequest::max_value_bytes`].
    TooLargeSoFar(usize),
    /// The bytes are not of the announced type.
    Malformed,
    /// The Arrow type cannot hold it; the text says what it is, as in "holds infinity".
    Unrepresentable(String),
    /// It does not fit the type the user asked for; the text is the sentence that says so.
    DoesNotFit(String),
    /// An array of this many dimensions, where one of one is read.
    Dimensions(i32),
    /// The batch's texts passed 2 GiB.
    Full,
}

impl From<Full> for Fault {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

impl From<Short> for Fault {
    fn from(Short: Short) -> Self {
        Self::Malformed
    }
}

/// The policy for values that the Arrow type cannot hold, and what was counted of one column.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tally {
    /// Whether such a value ends the export or becomes NULL.
    pub policy: OnUnrepresentable,
    /// How many became NULL.
    pub unrepresentable: u64,
    /// How many lost digits below the Arrow type's resolution.
    pub rounded: u64,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(policy: OnUnrepresentable) -> Self {
        Self { policy, unrepresentable: 0, rounded: 0 }
    }

    /// Counts a value that has to become NULL, which the caller then appends; or refuses it, where the policy says so.
    /// `what` says what it is.
    #[cold]
    pub fn unrepresentable(&mut self, what: impl FnOnce() -> String) -> Result<(), Fault> {
        match self.policy {
            OnUnrepresentable::Null => {
                self.unrepresentable += 1;
                Ok(())
            }
            OnUnrepresentable::Fail => Err(Fault::Unrepresentable(what())),
        }
    }
}

/// A column of the rows: its builder, and what was counted of it.
#[non_exhaustive]
pub struct Slot<'a, B> {
    /// The driver's builder.
    pub builder: B,
    /// What it counts while it appends.
    pub tally: Tally,
    nullable: bool,
    name: &'a str,
    source_type: &'a str,
}

impl<B: ColumnBuilder> Slot<'_, B> {
    /// Appends NULL; refuses it in a column that the catalogue says holds none.
    #[inline]
    pub fn push_null(&mut self) -> Result<(), Fault> {
        if !self.nullable {
            return Err(Fault::Null);
        }
        self.builder.push_null();
        Ok(())
    }
}

/// Rows on their way into batches.
pub struct Rows<'a, B> {
    slots: Vec<Slot<'a, B>>,
    schema: SchemaRef,
    context: &'a Context,
    sink: &'a mut dyn BatchSink,
    max_value_bytes: u64,
    limit_rows: usize,
    limit_bytes: usize,
    fixed_bytes: usize,
    /// Rows in the batch being built.
    rows: usize,
    /// How many bytes it has at most; `usize::MAX` where the row being read ends it.
    at_most: usize,
    /// For a row that is larger than the connection's buffer, or a value that is larger than a usual batch.
    reserved: Vec<Reservation>,
    reserved_bytes: usize,
    /// Whether a row is in the connection's buffer that is larger than that usually is, not all of it yet.
    arriving: bool,
    /// Whether such a row was decoded, and its batch leaves before the next.
    held: bool,
    total: u64,
}

impl<'a, B: ColumnBuilder> Rows<'a, B> {
    /// For the rows of `request`, whose columns are `columns` and whose schema the sink has: `builder` makes each
    /// column's, with room for so many rows.
    pub fn new<O: Output>(
        columns: &'a [O],
        request: &ExportRequest,
        schema: SchemaRef,
        context: &'a Context,
        sink: &'a mut dyn BatchSink,
        mut builder: impl FnMut(&'a O, usize) -> Result<B>,
    ) -> Result<Self> {
        let limit_rows = request.batch.rows.max(1);
        let limit_bytes = request.batch.bytes.clamp(1, BATCH_BYTES);
        let fixed_bytes = columns.iter().map(Output::fixed_bytes).sum::<usize>().max(1);
        let capacity = limit_rows.min(CAPACITY_ROWS).min(limit_bytes / fixed_bytes + 1);
        let mut slots = Vec::with_capacity(columns.len());
        for column in columns {
            slots.push(Slot {
                builder: builder(column, capacity)?,
                tally: Tally::new(request.on_unrepresentable),
                nullable: column.is_nullable(),
                name: column.name(),
                source_type: column.source_type(),
            });
        }
        Ok(Self {
            slots,
            schema,
            context,
            sink,
            max_value_bytes: request.max_value_bytes,
            limit_rows,
            limit_bytes,
            fixed_bytes,
            rows: 0,
            at_most: 0,
            reserved: Vec::new(),
            reserved_bytes: 0,
            arriving: false,
            held: false,
            total: 0,
        })
    }

    /// The columns, in order.
    #[inline]
    pub fn slots(&mut self) -> &mut [Slot<'a, B>] {
        &mut self.slots
    }

    /// How many columns a row has.
    #[inline]
    pub fn width(&self) -> usize {
        self.slots.len()
    }

    /// The number of the row being read, from 1.
    pub fn number(&self) -> u64 {
        self.total.saturating_add(u64::try_from(self.rows).unwrap_or(u64::MAX)).saturating_add(1)
    }

    /// How large a value may be: [`Fault::TooLarge`] beyond it.
    #[inline]
    pub fn max_value_bytes(&self) -> usize {
        usize::try_from(self.max_value_bytes).unwrap_or(usize::MAX)
    }

    /// Before a row of `size` received bytes: hands over the rows before it, if it is large or one of them was.
    #[inline]
    pub fn begin(&mut self, size: usize) -> Result<()> {
        if self.rows > 0 && (self.held || size > self.limit_bytes / 4) { self.flush() } else { Ok(()) }
    }

    /// A row of `size` bytes or more is arriving, which is larger than the connection's buffer usually is: the rows
    /// before it are handed over, and its bytes taken from the host's budget until its batch is. That is before the
    /// next row, when the buffer is small again. May be called again as more is known of the row.
    pub fn arriving(&mut self, size: usize) -> Result<()> {
        if !self.arriving {
            self.flush()?;
            self.release();
            self.arriving = true;
        }
        if size > self.reserved_bytes { self.reserve(size - self.reserved_bytes) } else { Ok(()) }
    }

    /// Takes bytes from the host's budget for a large value of the row being read. They are given back when its batch
    /// was handed over: at the row's end.
    pub fn reserve(&mut self, bytes: usize) -> Result<()> {
        self.reserved.push(self.context.reserve(u64::try_from(bytes).unwrap_or(u64::MAX))?);
        self.reserved_bytes += bytes;
        self.at_most = usize::MAX;
        Ok(())
    }

    fn release(&mut self) {
        self.reserved.clear();
        self.reserved_bytes = 0;
        self.held = false;
    }

    /// After the last value of a row of which `received` bytes came: hands the batch over if it is about as large as it
    /// may be.
    #[inline]
    pub fn end_row(&mut self, received: usize) -> Result<()> {
        self.rows += 1;
        self.at_most = self.at_most.saturating_add(self.fixed_bytes + B::GROWTH * received);
        if self.rows >= self.limit_rows || self.at_most >= self.limit_bytes { self.look() } else { Ok(()) }
    }

    #[cold]
    fn look(&mut self) -> Result<()> {
        if self.arriving {
            (self.arriving, self.held) = (false, true);
            return Ok(());
        }
        if self.rows >= self.limit_rows || !self.reserved.is_empty() {
            return self.flush();
        }
        let variable: usize = self.slots.iter().map(|slot| slot.builder.variable_bytes()).sum();
        self.at_most = variable + self.rows * self.fixed_bytes;
        if self.limit_bytes.saturating_sub(self.at_most) <= self.limit_bytes / 16 { self.flush() } else { Ok(()) }
    }

    #[cold]
    fn flush(&mut self) -> Result<()> {
        self.context.check()?;
        if self.rows == 0 {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            arrays.push(slot.builder.finish().map_err(|error| error.with_context("column", slot.name))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), arrays, &options)?;
        self.total = self.number() - 1;
        self.rows = 0;
        self.at_most = 0;
        self.sink.on_batch(batch)?;
        self.release();
        Ok(())
    }

    /// Hands over the rows that are left: the counts of the export.
    pub fn finish(mut self) -> Result<ExportStats> {
        if self.rows > 0 {
            self.flush()?;
        }
        let counted = self.slots.iter().filter(|slot| slot.tally.unrepresentable > 0 || slot.tally.rounded > 0);
        let columns = counted.map(|slot| {
            ColumnStats::new(slot.name)
                .with_unrepresentable(slot.tally.unrepresentable)
                .with_rounded(slot.tally.rounded)
        });
        Ok(ExportStats::new(self.total).with_columns(columns.collect()))
    }

    /// The error for a value of the row being read: its column, the row's number, its key where the driver can tell it,
    /// and what to do. `index` counts from 0.
    #[cold]
    pub fn refuse(&self, index: usize, fault: Fault, key: Option<String>) -> Error {
        let Some(slot) = self.slots.get(index) else { return Error::internal("a column too many") };
        let (name, of) = (slot.name, slot.source_type);
        let error = match fault {
            Fault::TooLarge(bytes) => {
                return self
                    .too_large(name, &format!("{bytes} bytes, more than the limit of {}", self.max_value_bytes));
            }
            Fault::TooLargeSoFar(bytes) => {
                let limit = self.max_value_bytes;
                return self.too_large(name, &format!("{bytes} bytes or more, beyond the limit of {limit}"));
            }
            Fault::Null => Error::unexpected_null(name),
            Fault::Malformed => Error::in_another_form(name, of, "bytes that are no value of the type"),
            Fault::Unrepresentable(what) => {
                Error::data(format!("column `{name}` ({of}) holds {what}, which its Arrow type cannot hold")).with_hint(
                    format!("`columns: {{ {name}: text }}` keeps such values; `on_unrepresentable: null` drops them"),
                )
            }
            Fault::DoesNotFit(what) => Error::data(format!("column `{name}` ({of}): {what}"))
                .with_hint(format!("give `{name}` a wider type under `columns:`, or text")),
            Fault::Dimensions(count) => {
                Error::data(format!("column `{name}` ({of}) holds an array of {count} dimensions"))
                    .with_hint(format!("`columns: {{ {name}: json }}` keeps arrays of any shape"))
            }
            Fault::Full => Error::data(format!("the texts of column `{name}` in one batch exceed 2 GiB"))
                .with_hint("make batches smaller"),
        };
        let error = error.with_context("column", name).with_context("row", self.number().to_string());
        match key {
            Some(key) => error.with_context("key", key),
            None => error,
        }
    }

    fn too_large(&self, name: &str, what: &str) -> Error {
        Error::new(ErrorKind::Data, format!("a value of column `{name}` has {what}"))
            .with_context("column", name)
            .with_hint(format!("raise `max_value_mb`, or leave the column out: `exclude: [{name}]`"))
    }
}
