//! How one source column becomes one Arrow column, and how faithful that is.

use std::collections::BTreeMap;

use arrow_schema::ffi::{FFI_ArrowSchema, Flags};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, ffi};

/// Field metadata key: the database's own type.
pub const SOURCE_TYPE_KEY: &str = "rivet.source_type";
/// Field metadata key: the [`Fidelity`] of the mapping.
pub const FIDELITY_KEY: &str = "rivet.fidelity";

/// What the mapping keeps of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// Same value, natural Arrow type.
    Exact,
    /// Same value, another physical type.
    Compatible,
    /// Exact, as the database's own text.
    Text,
    /// Digits below the Arrow type's resolution are lost, and counted.
    Rounded,
    /// Something is lost, because the user asked for it.
    Lossy,
}

impl Fidelity {
    /// The word used in reports and metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Compatible => "compatible",
            Self::Text => "text",
            Self::Rounded => "rounded",
            Self::Lossy => "lossy",
        }
    }
}

/// One output column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TypeMapping {
    /// The source's name of the column.
    pub name: String,
    /// The database's own type, as a user would write it: `numeric(12,2)`.
    pub source_type: String,
    /// What the mapping keeps.
    pub fidelity: Fidelity,
    /// The Arrow side.
    pub field: FieldSpec,
}

impl TypeMapping {
    /// A mapping from a source type to an Arrow field named `name`.
    pub fn new(name: &str, source_type: &str, fidelity: Fidelity, field: &Field) -> Result<Self> {
        Ok(Self {
            name: name.into(),
            source_type: source_type.into(),
            fidelity,
            field: FieldSpec::of(&field.clone().with_name(name))?,
        })
    }

    /// The Arrow field, with [`SOURCE_TYPE_KEY`] and [`FIDELITY_KEY`] in its metadata.
    pub fn to_field(&self) -> Result<Field> {
        let mut field = self.field.to_field()?;
        let mut metadata = field.metadata().clone();
        metadata.insert(SOURCE_TYPE_KEY, self.source_type.clone());
        metadata.insert(FIDELITY_KEY, self.fidelity.as_str());
        field.set_metadata(metadata);
        Ok(field)
    }
}

/// The Arrow schema of a list of mappings, as [`crate::BatchSink::on_schema`] must receive it.
pub fn schema_of(mappings: &[TypeMapping]) -> Result<SchemaRef> {
    let fields = mappings.iter().map(TypeMapping::to_field).collect::<Result<Vec<_>>>()?;
    Ok(Schema::new(fields).into())
}

/// An Arrow field in JSON: the C data interface's format string, and children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct FieldSpec {
    /// The field's name.
    pub name: String,
    /// The Arrow C format string: `l`, `u`, `d:12,2`, `tsu:UTC`, `+l`.
    pub format: String,
    /// Whether NULL may occur.
    pub nullable: bool,
    /// Extension types live here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Children of lists, structs and maps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<FieldSpec>,
}

impl FieldSpec {
    /// Describes `field`.
    pub fn of(field: &Field) -> Result<Self> {
        let ffi = FFI_ArrowSchema::try_from(field)?;
        let children = match field.data_type() {
            DataType::List(child)
            | DataType::LargeList(child)
            | DataType::FixedSizeList(child, _)
            | DataType::Map(child, _) => {
                vec![Self::of(child)?]
            }
            DataType::Struct(fields) => fields.iter().map(|child| Self::of(child)).collect::<Result<_>>()?,
            _ => Vec::new(),
        };
        Ok(Self {
            name: field.name().clone(),
            format: ffi.format().to_owned(),
            nullable: field.is_nullable(),
            metadata: field.metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            children,
        })
    }

    /// The described field.
    pub fn to_field(&self) -> Result<Field> {
        let wrong = |what: &dyn std::fmt::Display| Error::protocol(format!("column `{}`: {what}", self.name));
        let schema = self.to_ffi().map_err(|error| wrong(&error.message()))?;
        Field::try_from(&schema).map_err(|error| wrong(&error))
    }

    fn to_ffi(&self) -> Result<FFI_ArrowSchema> {
        if let Some(fault) = format_fault(&self.format, self.children.len()) {
            return Err(Error::protocol(fault));
        }
        let children = self.children.iter().map(Self::to_ffi).collect::<Result<Vec<_>>>()?;
        let flags = if self.nullable { Flags::NULLABLE } else { Flags::empty() };
        let schema =
            FFI_ArrowSchema::try_new(&self.format, children, None)?.with_name(&self.name)?.with_flags(flags)?;
        ffi::with_metadata(schema, &self.metadata)
    }
}

/// What is wrong with a format string and so many children, of what Arrow asserts instead of refusing.
#[doc(hidden)]
pub fn format_fault(format: &str, children: usize) -> Option<String> {
    let needed = match format.get(..2) {
        Some("+l" | "+L" | "+m" | "+w") => Some(1),
        Some("+v") => Some(1),
        Some("+r") => Some(2),
        Some("+s" | "+u") => None,
        _ => Some(0),
    };
    if let Some(needed) = needed.filter(|needed| *needed != children) {
        return Some(format!("its format `{format}` needs {needed} columns below it, it has {children}"));
    }
    let width = format.strip_prefix("w:").or_else(|| format.strip_prefix("+w:"));
    width.filter(|width| width.starts_with('-')).map(|width| format!("its width is {width}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_schema::{Fields, TimeUnit};

    use super::*;

    #[test]
    fn every_shape_of_field_survives_json() {
        let json = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())]);
        let entries = Field::new(
            "entries",
            DataType::Struct(Fields::from(vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Utf8, true),
            ])),
            false,
        );
        for field in [
            Field::new("a", DataType::Int64, false),
            Field::new("é \"x\"", DataType::Utf8, true).with_metadata(json.clone()),
            Field::new("d", DataType::Decimal256(76, 10), true),
            Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
            Field::new("u", DataType::FixedSizeBinary(16), true),
            Field::new(
                "l",
                DataType::List(Arc::new(Field::new("element", DataType::Utf8, true).with_metadata(json))),
                true,
            ),
            Field::new("m", DataType::Map(Arc::new(entries), false), true),
        ] {
            let spec = FieldSpec::of(&field).unwrap();
            let text = serde_json::to_string(&spec).unwrap();
            let back: FieldSpec = serde_json::from_str(&text).unwrap();
            assert_eq!(back.to_field().unwrap(), field);
        }
    }
}
