//! Takes Arrow data over from a plugin.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rivet_abi::stable::{RErr, ROk};
use rivet_abi::{AbiResult, ArrowArrayPointer, ArrowSchemaPointer, SinkAbi};
use rivet_sdk::arrow_array::{RecordBatch, RecordBatchOptions, StructArray};
use rivet_sdk::arrow_data::ffi::FFI_ArrowArray;
use rivet_sdk::arrow_schema::ffi::FFI_ArrowSchema;
use rivet_sdk::arrow_schema::{DataType, Schema, SchemaRef};
use rivet_sdk::{BatchSink, Error, ErrorKind, Result};

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
            let schema = import_schema(schema)?;
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

fn import_schema(pointer: ArrowSchemaPointer) -> Result<SchemaRef> {
    if pointer.0.is_null() {
        return Err(broken("sent no schema"));
    }
    // SAFETY: the boundary's contract: the pointer leads to an ArrowSchema of the C data
    // interface that the plugin's glue lends us to move out of.
    let schema = unsafe { FFI_ArrowSchema::from_raw(pointer.0.cast()) };
    let schema =
        Schema::try_from(&schema).map_err(|error| broken(&format!("sent a schema that cannot be read: {error}")))?;
    Ok(schema.into())
}

fn import_batch(pointer: ArrowArrayPointer, schema: &SchemaRef, untrusted: bool) -> Result<RecordBatch> {
    if pointer.0.is_null() {
        return Err(broken("sent no batch"));
    }
    // SAFETY: as in `import_schema`, for an ArrowArray.
    let array = unsafe { FFI_ArrowArray::from_raw(pointer.0.cast()) };
    if array.num_children() != schema.fields().len() {
        return Err(broken(&format!(
            "sent {} columns, its schema has {}",
            array.num_children(),
            schema.fields().len()
        )));
    }
    let rows = array.len();
    // SAFETY: the array is of the type its schema announced, as far as can be known: the child
    // count is checked above, structure and lengths by `validate` below. A buffer shorter than
    // its length says cannot be detected by anybody; docs/concepts/trust.md says so.
    let data = unsafe {
        rivet_sdk::arrow_array::ffi::from_ffi_and_data_type(array, DataType::Struct(schema.fields().clone()))
    };
    let data = data.map_err(|error| broken(&format!("sent a batch that contradicts its schema: {error}")))?;
    let valid = if untrusted { data.validate_full() } else { data.validate() };
    valid.map_err(|error| broken(&format!("sent a malformed batch: {error}")))?;
    let array = StructArray::from(data);
    if array.null_count_of_rows() != 0 {
        return Err(broken("sent a batch whose rows are NULL"));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), array.columns().to_vec(), &options)
        .map_err(|error| broken(&format!("sent a batch that contradicts its schema: {error}")))
}

trait RowNulls {
    fn null_count_of_rows(&self) -> usize;
}

impl RowNulls for StructArray {
    fn null_count_of_rows(&self) -> usize {
        rivet_sdk::arrow_array::Array::null_count(self)
    }
}

fn broken(what: &str) -> Error {
    Error::protocol(format!("the plugin {what}")).with_hint("this is a defect of the plugin; report it to its author")
}
