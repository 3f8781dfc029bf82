//! The only places where Arrow's C structures are touched.

use std::collections::BTreeMap;

use arrow_schema::ffi::FFI_ArrowSchema;

use crate::Result;

/// Attaches metadata to a schema that this crate's own arrow has just produced.
pub(crate) fn with_metadata(schema: FFI_ArrowSchema, metadata: &BTreeMap<String, String>) -> Result<FFI_ArrowSchema> {
    // SAFETY: every caller passes the value `FFI_ArrowSchema::try_new` returned to it, so the
    // private data is this arrow's own; `FieldSpec::to_ffi` is the only caller.
    Ok(unsafe { schema.with_metadata(metadata) }?)
}
