//! The only places where Arrow's C structures are touched.

use std::collections::BTreeMap;
use std::ptr;

use arrow_data::ArrayData;
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::Schema;
use arrow_schema::ffi::FFI_ArrowSchema;
use rivet_abi::{ArrowArrayPointer, ArrowSchemaPointer};

use crate::Result;

/// Attaches metadata to a schema that this crate's own arrow has just produced.
pub(crate) fn with_metadata(schema: FFI_ArrowSchema, metadata: &BTreeMap<String, String>) -> Result<FFI_ArrowSchema> {
    // SAFETY: every caller passes the value `FFI_ArrowSchema::try_new` returned to it, so the
    // private data is this arrow's own; `FieldSpec::to_ffi` is the only caller.
    Ok(unsafe { schema.with_metadata(metadata) }?)
}

/// A schema as the C data interface carries it.
pub(crate) fn export_schema(schema: &Schema) -> Result<FFI_ArrowSchema> {
    Ok(FFI_ArrowSchema::try_from(schema)?)
}

/// Lends an exported schema to the host, which moves it out.
pub(crate) fn schema_pointer(schema: &mut FFI_ArrowSchema) -> ArrowSchemaPointer {
    ArrowSchemaPointer::new(ptr::from_mut(schema).cast())
}

/// A struct array as the C data interface carries it; its buffers are shared, not copied.
pub(crate) fn export_array(data: &ArrayData) -> FFI_ArrowArray {
    FFI_ArrowArray::new(data)
}

/// Lends an exported array to the host, which moves it out.
pub(crate) fn array_pointer(array: &mut FFI_ArrowArray) -> ArrowArrayPointer {
    ArrowArrayPointer::new(ptr::from_mut(array).cast())
}
