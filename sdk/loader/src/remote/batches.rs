//! Takes Arrow data over from a plugin.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rivet_abi::stable::{RErr, ROk};
use rivet_abi::{AbiResult, ArrowArrayPointer, ArrowSchemaPointer, SinkAbi};
use rivet_sdk::arrow_array::{RecordBatch, RecordBatchOptions, StructArray};
use rivet_sdk::arrow_buffer::ArrowNativeType;
use rivet_sdk::arrow_data::ArrayData;
use rivet_sdk::arrow_data::ffi::FFI_ArrowArray;
use rivet_sdk::arrow_schema::{ArrowError, DataType, SchemaRef};
use rivet_sdk::{BatchSink, Error, ErrorKind, Result};

use super::{broken, schema};

/// The host's sink, lent to a plugin for one export.
pub(super) struct LentSink<'a> {
    pub plugin: &'a str,
    pub sink: &'a mut dyn BatchSink,
    pub untrusted: bool,
    pub schema: Option<SchemaRef>,
    /// A panic of the host's own sink: raised again once the plugin has returned.
    pub panic: Option<Box<dyn Any + Send>>,
}

impl LentSink<'_> {
    fn guard(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> AbiResult<()> {
        let result = catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|payload| {
            self.panic = Some(payload);
            Err(Error::new(ErrorKind::Cancelled, "the host's sink failed"))
        });
        match result {
            Ok(()) => ROk(()),
            Err(error) => RErr(error.to_json().into()),
        }
    }
}

impl SinkAbi for LentSink<'_> {
    fn on_schema(&mut self, schema: ArrowSchemaPointer) -> AbiResult<()> {
        self.guard(|sink| {
            if sink.schema.is_some() {
                return Err(broken("sent its schema twice"));
            }
            let schema = schema::import(schema)?;
            sink.schema = Some(schema.clone());
            sink.sink.on_schema(schema)
        })
    }

    fn on_batch(&mut self, batch: ArrowArrayPointer) -> AbiResult<()> {
        self.guard(|sink| {
            let schema = sink.schema.clone().ok_or_else(|| broken("sent a batch before its schema"))?;
            let batch = import_batch(batch, &schema, sink.untrusted)
                .map_err(|error| error.with_context("plugin", sink.plugin))?;
            sink.sink.on_batch(batch)
        })
    }
}

fn import_batch(pointer: ArrowArrayPointer, schema: &SchemaRef, untrusted: bool) -> Result<RecordBatch> {
    let pointer = pointer.as_ptr();
    if pointer.is_null() {
        return Err(broken("sent no batch"));
    }
    // SAFETY: the boundary's contract: the pointer leads to an ArrowArray of the C data interface that
    // the plugin's glue lends us to move out of.
    let array = unsafe { FFI_ArrowArray::from_raw(pointer.cast()) };
    if array.num_children() != schema.fields().len() {
        return Err(broken(&format!(
            "sent {} columns, its schema has {}",
            array.num_children(),
            schema.fields().len()
        )));
    }
    let rows = array.len();
    let data_type = DataType::Struct(schema.fields().clone());
    // Arrow asserts what it finds inside nested columns; such a panic is the plugin's fault too.
    let data = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the array is of the type its schema announced, as far as can be known: the
        // child count is checked above, structure, lengths and offsets by `check_data`. A buffer
        // shorter than its length says cannot be detected by anybody; docs/concepts/trust.md
        // says so.
        let data = unsafe { rivet_sdk::arrow_array::ffi::from_ffi_and_data_type(array, data_type) };
        data.and_then(
            |data| if untrusted { data.validate_full().map(|()| data) } else { check_data(&data).map(|()| data) },
        )
    }));
    let data = data
        .map_err(|_| broken("sent a batch whose nested columns contradict its schema"))?
        .map_err(|error| broken(&format!("sent a malformed batch: {error}")))?;
    let array = StructArray::from(data);
    if array.null_count_of_rows() != 0 {
        return Err(broken("sent a batch whose rows are NULL"));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), array.columns().to_vec(), &options)
        .map_err(|error| broken(&format!("sent a batch that contradicts its schema: {error}")))
}

/// Structure, lengths, and whatever a reader would follow out of a buffer: offsets, keys, views.
/// Values themselves are not looked at.
fn check_data(data: &ArrayData) -> std::result::Result<(), ArrowError> {
    data.validate()?;
    check_offsets(data)
}

fn check_offsets(data: &ArrayData) -> std::result::Result<(), ArrowError> {
    let ascending = match data.data_type() {
        DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(..) => ascending::<i32>(data),
        DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) => ascending::<i64>(data),
        DataType::Utf8View
        | DataType::BinaryView
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Dictionary(..)
        | DataType::RunEndEncoded(..)
        | DataType::Union(..) => return data.validate_full(),
        _ => true,
    };
    if !ascending {
        return Err(ArrowError::InvalidArgumentError(format!("offsets of {} go backwards", data.data_type())));
    }
    data.child_data().iter().try_for_each(check_offsets)
}

fn ascending<T: ArrowNativeType + PartialOrd>(data: &ArrayData) -> bool {
    let offsets = data.buffers().first().map(|buffer| buffer.typed_data::<T>()).unwrap_or_default();
    let used = offsets.get(data.offset()..).and_then(|rest| rest.get(..=data.len())).unwrap_or_default();
    // Without an early end the loop is a handful of vector instructions.
    let next = used.get(1..).unwrap_or_default();
    !used.iter().zip(next).fold(false, |bad, (one, next)| bad | (one > next))
}

trait RowNulls {
    fn null_count_of_rows(&self) -> usize;
}

impl RowNulls for StructArray {
    fn null_count_of_rows(&self) -> usize {
        rivet_sdk::arrow_array::Array::null_count(self)
    }
}
