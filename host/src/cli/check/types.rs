//! `rivet check --types`: each column from the database to the file, and what is kept of it.

use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::schema::types::Type;
use rivet_sdk::{Error, ErrorKind, Fidelity, Result};
use serde_json::{Value, json};

use super::super::arguments::Warehouse;
use super::super::table::{self, or_dash};
use super::{names, warehouse};
use crate::plan::{Format, Plan};
use crate::sink::output_schema;

/// One column of the file.
pub struct ColumnTypes {
    /// Its name in the file.
    pub name: String,
    source_type: String,
    arrow_type: String,
    nullable: bool,
    /// None for columns that rivet adds.
    fidelity: Option<Fidelity>,
    /// None for CSV.
    parquet_type: Option<String>,
    /// How the warehouse or any other reader takes it, where that is not plain.
    note: Option<String>,
}

/// The columns of the file that `plan` writes.
pub fn report(plan: &Plan, target: Option<Warehouse>) -> Result<Vec<ColumnTypes>> {
    let schema = output_schema(&plan.columns, &plan.output)?;
    let parquet = match &plan.output.format {
        Format::Parquet(_) => {
            let converted = ArrowSchemaConverter::new().with_coerce_types(true).convert(&schema);
            Some(converted.map_err(|error| Error::new(ErrorKind::UnsupportedType, error.to_string()))?)
        }
        Format::Csv(_) => None,
    };
    let all: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let planned = plan.columns.get(index);
        let root = parquet.as_ref().and_then(|parquet| parquet.root_schema().get_fields().get(index).cloned());
        ColumnTypes {
            name: field.name().clone(),
            source_type: planned.map(|planned| planned.mapping.source_type.clone()).unwrap_or_default(),
            arrow_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
            fidelity: planned.map(|planned| planned.mapping.fidelity),
            note: joined([
                warehouse::note(target, field).filter(|_| root.is_some()),
                names::note(target, field.name(), &all),
            ]),
            parquet_type: root.map(|root| parquet_type(&root)),
        }
    });
    Ok(columns.collect())
}

fn joined(notes: [Option<String>; 2]) -> Option<String> {
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// The refusal of `--strict`, naming each column that loses something.
pub fn strict(columns: &[ColumnTypes]) -> Option<Error> {
    let lossy: Vec<String> = columns
        .iter()
        .filter(|column| column.fidelity.is_some_and(|fidelity| fidelity >= Fidelity::Rounded))
        .map(|column| {
            let word = column.fidelity.map_or("", Fidelity::as_str);
            format!("`{}` ({}, {word})", column.name, column.source_type)
        })
        .collect();
    (!lossy.is_empty()).then(|| {
        Error::new(ErrorKind::UnsupportedType, format!("columns that lose something: {}", lossy.join(", ")))
            .with_hint("ask for another type under `columns`: timestamp_ns keeps nanoseconds, text keeps everything")
    })
}

pub fn to_text(columns: &[ColumnTypes]) -> String {
    let rows: Vec<[String; 6]> = columns
        .iter()
        .map(|column| {
            [
                column.name.clone(),
                or_dash(column.source_type.clone()),
                column.arrow_type.clone(),
                if column.nullable { "yes" } else { "no" }.to_owned(),
                column.fidelity.map_or("added", Fidelity::as_str).to_owned(),
                column.parquet_type.clone().unwrap_or_else(|| "text".to_owned()),
            ]
        })
        .collect();
    let mut out = table::render("  ", ["column", "source type", "arrow", "null", "fidelity", "in the file"], &rows);
    for column in columns {
        if let Some(note) = &column.note {
            out.push_str(&format!("  {}: {note}\n", column.name));
        }
    }
    out
}

pub fn to_json(columns: &[ColumnTypes]) -> Vec<Value> {
    let column = |column: &ColumnTypes| {
        json!({
            "column": column.name,
            "source_type": column.source_type,
            "arrow_type": column.arrow_type,
            "nullable": column.nullable,
            "fidelity": column.fidelity.map(Fidelity::as_str),
            "parquet_type": column.parquet_type,
            "note": column.note,
        })
    };
    columns.iter().map(column).collect()
}

/// `INT64 TIMESTAMP(us, UTC)`, `BYTE_ARRAY STRING`, `group LIST`.
fn parquet_type(root: &Type) -> String {
    let physical = if root.is_primitive() { root.get_physical_type().to_string() } else { "group".to_owned() };
    match root.get_basic_info().logical_type_ref() {
        None => physical,
        Some(logical) => format!("{physical} {}", logical_type(logical)),
    }
}

fn logical_type(logical: &LogicalType) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => "ms",
        TimeUnit::MICROS => "us",
        TimeUnit::NANOS => "ns",
    };
    match logical {
        LogicalType::Decimal(kind) => format!("DECIMAL({}, {})", kind.precision, kind.scale),
        LogicalType::Time(kind) => format!("TIME({})", unit(&kind.unit)),
        LogicalType::Timestamp(kind) if kind.is_adjusted_to_u_t_c => format!("TIMESTAMP({}, UTC)", unit(&kind.unit)),
        LogicalType::Timestamp(kind) => format!("TIMESTAMP({})", unit(&kind.unit)),
        LogicalType::Integer(kind) if kind.is_signed => format!("INT({})", kind.bit_width),
        LogicalType::Integer(kind) => format!("UINT({})", kind.bit_width),
        other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_sdk::arrow_schema::{DataType, Field};

    fn column(fidelity: Fidelity) -> ColumnTypes {
        ColumnTypes {
            name: "at".into(),
            source_type: "datetime2(7)".into(),
            arrow_type: "Timestamp(us)".into(),
            nullable: true,
            fidelity: Some(fidelity),
            parquet_type: None,
            note: Some("careful".into()),
        }
    }

    #[test]
    fn strict_names_what_loses_something() {
        assert!(strict(&[column(Fidelity::Exact), column(Fidelity::Compatible), column(Fidelity::Text)]).is_none());
        let refused = strict(&[column(Fidelity::Rounded), column(Fidelity::Lossy)]).unwrap();
        assert!(refused.message().contains("`at` (datetime2(7), rounded), `at` (datetime2(7), lossy)"), "{refused}");
    }

    #[test]
    fn parquet_types_are_named_with_their_parameters() {
        let named = |kind: DataType| {
            let schema = rivet_sdk::arrow_schema::Schema::new(vec![Field::new("a", kind, true)]);
            let parquet = ArrowSchemaConverter::new().convert(&schema).unwrap();
            parquet_type(&parquet.root_schema().get_fields()[0])
        };
        assert_eq!(named(DataType::Int64), "INT64");
        assert_eq!(named(DataType::Int16), "INT32 INT(16)");
        assert_eq!(named(DataType::UInt64), "INT64 UINT(64)");
        assert_eq!(named(DataType::Utf8), "BYTE_ARRAY STRING");
        assert_eq!(named(DataType::Date32), "INT32 DATE");
        assert_eq!(named(DataType::Decimal128(12, 2)), "INT64 DECIMAL(12, 2)");
        let utc = DataType::Timestamp(rivet_sdk::arrow_schema::TimeUnit::Microsecond, Some("UTC".into()));
        assert_eq!(named(utc), "INT64 TIMESTAMP(us, UTC)");
        assert_eq!(named(DataType::new_list(DataType::Int32, true)), "group LIST");
    }
}
