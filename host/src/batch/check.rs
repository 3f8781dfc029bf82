//! Whether what a source delivers is what the plan says.

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use rivet_sdk::{Error, Result};

/// Fails, naming the column and the difference, unless `found` is exactly `planned`.
pub fn check_schema(planned: &Schema, found: &Schema) -> Result<()> {
    if planned.fields().len() != found.fields().len() {
        return Err(Error::protocol(format!(
            "the source delivers {} columns where the plan has {}",
            found.fields().len(),
            planned.fields().len()
        ))
        .with_hint(HINT));
    }
    for (position, (planned, found)) in planned.fields().iter().zip(found.fields()).enumerate() {
        if let Some(difference) = difference(planned, found) {
            return Err(Error::protocol(format!(
                "column {} `{}`: the source delivers {difference}",
                position + 1,
                planned.name()
            ))
            .with_context("column", planned.name().as_str())
            .with_hint(HINT));
        }
    }
    Ok(())
}

const HINT: &str = "the table changed since the plan was made, or the plugin is defective; make a new plan";

fn difference(planned: &Field, found: &Field) -> Option<String> {
    if planned == found {
        return None;
    }
    if planned.name() != found.name() {
        return Some(format!("the name `{}`", found.name()));
    }
    if planned.data_type() != found.data_type() {
        return Some(format!("type {} where the plan has {}", found.data_type(), planned.data_type()));
    }
    if planned.is_nullable() != found.is_nullable() {
        return Some(if found.is_nullable() {
            "a nullable column where the plan has NOT NULL".to_owned()
        } else {
            "a NOT NULL column where the plan has a nullable one".to_owned()
        });
    }
    Some(format!("metadata {:?} where the plan has {:?}", found.metadata(), planned.metadata()))
}

/// Fails, naming the column, unless the batch's columns are those of the schema.
pub(super) fn check_batch(planned: &Schema, batch: &RecordBatch) -> Result<()> {
    if batch.num_columns() != planned.fields().len() {
        return Err(Error::protocol(format!(
            "a batch has {} columns where the schema has {}",
            batch.num_columns(),
            planned.fields().len()
        )));
    }
    for (field, column) in planned.fields().iter().zip(batch.columns()) {
        let wrong = if !same_layout(column.data_type(), field.data_type()) {
            format!("holds {} where its schema says {}", column.data_type(), field.data_type())
        } else if column.len() != batch.num_rows() {
            format!("has {} values where the batch has {} rows", column.len(), batch.num_rows())
        } else if !field.is_nullable() && column.null_count() > 0 {
            format!("has {} NULLs though it is NOT NULL", column.null_count())
        } else {
            continue;
        };
        return Err(
            Error::protocol(format!("column `{}` {wrong}", field.name())).with_context("column", field.name().as_str())
        );
    }
    Ok(())
}

/// The same type, where the metadata of nested fields doesn't matter.
fn same_layout(found: &DataType, planned: &DataType) -> bool {
    found == planned || found.equals_datatype(planned)
}
