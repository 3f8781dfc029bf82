//! Fields as the Parquet schema declares them.

use std::sync::Arc;

use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY, ExtensionType, Json};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

/// The schema with every field as [`field`] declares it.
pub(super) fn schema(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The same field, where `arrow.json` is complete: its canonical form has metadata, if empty,
/// and the Parquet writer takes it for plain text otherwise.
pub(super) fn field(given: &FieldRef) -> FieldRef {
    let data_type = match given.data_type() {
        DataType::List(element) => DataType::List(field(element)),
        DataType::LargeList(element) => DataType::LargeList(field(element)),
        DataType::FixedSizeList(element, size) => DataType::FixedSizeList(field(element), *size),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    };
    let mut metadata = given.metadata().clone();
    if metadata.get(EXTENSION_TYPE_NAME_KEY).is_some_and(|name| name.as_str() == Json::NAME)
        && metadata.get(EXTENSION_TYPE_METADATA_KEY).is_none()
    {
        metadata.insert(EXTENSION_TYPE_METADATA_KEY, "");
    }
    Arc::new(Field::clone(given).with_data_type(data_type).with_metadata(metadata))
}
