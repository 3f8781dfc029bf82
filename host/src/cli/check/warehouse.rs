//! How warehouses load Parquet columns, where that is not plain. One short note a column.
//!
//! The notes follow what each vendor documents for its default Parquet load; where that says
//! nothing, neither do we.

use rivet_sdk::arrow_schema::{DataType, Field, TimeUnit};

use super::super::arguments::Warehouse;

/// The warehouse of an export's `target`.
pub fn named(target: &str) -> Option<Warehouse> {
    match target {
        "bigquery" => Some(Warehouse::BigQuery),
        "snowflake" => Some(Warehouse::Snowflake),
        "duckdb" => Some(Warehouse::DuckDb),
        "clickhouse" => Some(Warehouse::ClickHouse),
        _ => None,
    }
}

/// What to know when `target` loads this column, or when anybody does. None where it arrives as one would think.
pub fn note(target: Option<Warehouse>, field: &Field) -> Option<String> {
    match target {
        Some(Warehouse::BigQuery) => bigquery(field),
        Some(Warehouse::Snowflake) => snowflake(field),
        Some(Warehouse::DuckDb) => duckdb(field.data_type()),
        Some(Warehouse::ClickHouse) => clickhouse(field),
        None => anybody(field.data_type()),
    }
}

fn anybody(kind: &DataType) -> Option<String> {
    match decimal(kind) {
        Some((39.., _)) => Some(
            "more than 38 digits: DuckDB reads it as DOUBLE and loses some, Spark and Snowflake do not read it; ask for \
             `text`, or for a decimal of at most 38"
                .to_owned(),
        ),
        _ => None,
    }
}

fn is(field: &Field, extension: &str) -> bool {
    field.extension_type_name() == Some(extension)
}

fn decimal(kind: &DataType) -> Option<(u8, i8)> {
    match kind {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

const NANOSECONDS: &str = "ask for microseconds with `columns: {name: timestamp}`";

fn bigquery(field: &Field) -> Option<String> {
    if let Some((precision, scale)) = decimal(field.data_type()) {
        let whole = i16::from(precision) - i16::from(scale);
        return match (scale, whole) {
            (..=9, ..=29) => None,
            (..=38, ..=38) => Some(
                "beyond NUMERIC(38, 9): declare the column BIGNUMERIC, or load with --decimal_target_types=BIGNUMERIC"
                    .to_owned(),
            ),
            _ => Some("beyond BIGNUMERIC: load with --decimal_target_types=STRING".to_owned()),
        };
    }
    let text = match field.data_type() {
        DataType::UInt64 => "becomes INT64: values above 9223372036854775807 do not fit; `decimal(20,0)` keeps them",
        DataType::Time64(TimeUnit::Nanosecond) => "TIME keeps microseconds; ask for `time`",
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            return Some(format!("TIMESTAMP and DATETIME keep microseconds; {NANOSECONDS}"));
        }
        DataType::Duration(_) => "becomes INT64, a count of its unit",
        DataType::FixedSizeBinary(16) if is(field, "arrow.uuid") => "becomes BYTES; `text` gives STRING",
        DataType::List(_) | DataType::LargeList(_) => {
            "load with --parquet_enable_list_inference; NULL elements and lists in lists are not possible in ARRAY"
        }
        DataType::Map(..) => "becomes a repeated record of key and value",
        _ => return None,
    };
    Some(text.to_owned())
}

fn snowflake(field: &Field) -> Option<String> {
    if let Some((39.., _)) = decimal(field.data_type()) {
        return Some("NUMBER ends at 38 digits: ask for `text`, or for a decimal of at most 38".to_owned());
    }
    let text = match field.data_type() {
        DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) => {
            "the file format needs USE_LOGICAL_TYPE = TRUE; without it the number behind it may be loaded"
        }
        DataType::UInt64 => "declare it NUMBER(20, 0); `decimal(20,0)` is safe above 9223372036854775807",
        DataType::Duration(_) => "there is no duration type: becomes NUMBER",
        DataType::FixedSizeBinary(16) if is(field, "arrow.uuid") => {
            "16 bytes: the file format needs BINARY_AS_TEXT = FALSE; `text` gives VARCHAR"
        }
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            "the file format needs BINARY_AS_TEXT = FALSE, or the bytes are read as text"
        }
        DataType::Utf8 | DataType::LargeUtf8 if is(field, "arrow.json") => "load it through PARSE_JSON into VARIANT",
        DataType::List(_) | DataType::LargeList(_) | DataType::Struct(_) | DataType::Map(..) => {
            "becomes VARIANT; cast it to ARRAY or OBJECT"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn duckdb(kind: &DataType) -> Option<String> {
    if let Some((39.., _)) = decimal(kind) {
        return Some("DECIMAL ends at 38 digits: it is read as DOUBLE and loses digits; ask for `text`".to_owned());
    }
    let text = match kind {
        DataType::Duration(_) => "becomes BIGINT, a count of its unit",
        DataType::Time64(TimeUnit::Nanosecond) => "TIME keeps microseconds",
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => "TIMESTAMP WITH TIME ZONE keeps microseconds",
        _ => return None,
    };
    Some(text.to_owned())
}

fn clickhouse(field: &Field) -> Option<String> {
    let text = match field.data_type() {
        DataType::Date32 => "Date32 holds 1900-01-01 to 2299-12-31",
        DataType::Time64(_) => "becomes DateTime64, on 1970-01-01; `text` keeps a time of day",
        DataType::Timestamp(TimeUnit::Nanosecond, _) => "DateTime64(9) ends on 2262-04-11",
        DataType::Timestamp(_, None) => "is read as if it were UTC; DateTime64 holds 1900 to 2299",
        DataType::Timestamp(..) => "DateTime64 holds 1900 to 2299",
        DataType::Duration(_) => "becomes Int64",
        DataType::FixedSizeBinary(16) if is(field, "arrow.uuid") => "is read as FixedString(16); `text` goes into UUID",
        DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) if field.is_nullable() => {
            "Array and Map cannot be NULL: a NULL becomes empty"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(target: Warehouse, kind: DataType) -> String {
        note(Some(target), &Field::new("a", kind, true)).unwrap_or_default()
    }

    #[test]
    fn bigquery_has_two_decimals_and_their_limits() {
        let bigquery = |precision, scale| said(Warehouse::BigQuery, DataType::Decimal256(precision, scale));
        assert_eq!(bigquery(38, 9), "");
        assert_eq!(bigquery(29, 0), "");
        assert!(bigquery(38, 10).contains("BIGNUMERIC"));
        assert!(bigquery(30, 0).contains("BIGNUMERIC"));
        assert!(bigquery(76, 38).contains("declare the column BIGNUMERIC"));
        assert!(bigquery(76, 37).contains("STRING"));
        assert!(bigquery(60, 39).contains("STRING"));
    }

    #[test]
    fn thirty_eight_digits_are_enough_for_the_others() {
        for target in [Warehouse::Snowflake, Warehouse::DuckDb] {
            assert_eq!(said(target, DataType::Decimal128(38, 10)), "");
            assert!(said(target, DataType::Decimal256(39, 10)).contains("38 digits"));
        }
        assert_eq!(said(Warehouse::ClickHouse, DataType::Decimal256(76, 10)), "");
        let anybody = |kind: DataType| note(None, &Field::new("a", kind, true)).unwrap_or_default();
        assert_eq!(anybody(DataType::Decimal128(38, 10)), "");
        assert!(anybody(DataType::Decimal256(39, 10)).contains("more than 38 digits"));
    }

    #[test]
    fn plain_columns_need_no_word() {
        for target in [Warehouse::BigQuery, Warehouse::Snowflake, Warehouse::DuckDb, Warehouse::ClickHouse] {
            for kind in [DataType::Int64, DataType::Utf8, DataType::Boolean, DataType::Float64] {
                assert_eq!(said(target, kind), "");
            }
        }
    }
}
