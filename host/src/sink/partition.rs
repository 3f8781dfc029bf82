//! Which Hive folder a row belongs to.

use std::collections::HashMap;
use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::{DataType, TimeUnit};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use rivet_sdk::{Error, Result};

use crate::plan::Granularity;
use crate::plan::{PartitionSpec, PlannedColumn};

/// What Hive and its kin call the folder of NULL.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";
const DAY_US: i64 = 86_400_000_000;
const DAY_NS: i64 = DAY_US * 1000;

/// Refuses a column whose values cannot name folders.
pub fn check(column: &PlannedColumn) -> Result<()> {
    let field = column.mapping.field.to_field()?;
    let names = match field.data_type() {
        DataType::Date32 | DataType::Boolean | DataType::Utf8 | DataType::Decimal128(..) => true,
        DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _) => true,
        kind => kind.is_integer(),
    };
    let json = column.mapping.field.metadata.values().any(|value| value == "arrow.json");
    if names && !json {
        return Ok(());
    }
    Err(Error::config(format!(
        "`partition_by: {}`: {} cannot name folders",
        column.mapping.name, column.mapping.source_type
    ))
    .with_hint("partition by a date, a timestamp, a number without fraction, a boolean or a short text"))
}

/// The rows of `column` by the folder they belong to, each in its order; folders as they come.
/// An error names its row, counted from the `before` rows that the chunk had already.
pub(super) fn by_folder(column: &ArrayRef, spec: &PartitionSpec, before: u64) -> Result<Vec<(String, UInt32Array)>> {
    let mut folders: Vec<(String, Vec<u32>)> = Vec::new();
    // A folder's name is made once for each value, not for each row. Several values may share one:
    // the days of a month, NULL and the empty text.
    let mut slots: HashMap<Option<Raw<'_>>, usize> = HashMap::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut last: Option<(Option<Raw<'_>>, usize)> = None;
    let raw = raw(column)?;
    for row in 0..column.len() {
        let index = u32::try_from(row).map_err(|_| Error::internal("a batch of too many rows"))?;
        let value = if column.is_null(row) { None } else { Some(raw(row)) };
        let slot = match (last, slots.get(&value)) {
            (Some((same, slot)), _) if same == value => slot,
            (_, Some(slot)) => *slot,
            _ => {
                let text = value.map(|value| text(value, column, row, spec.granularity)).transpose();
                let text = text.map_err(|error| at_row(error, before + u64::from(index)))?;
                let name = folder(&spec.label, text.as_deref());
                let slot = *names.entry(name).or_insert_with_key(|name| {
                    folders.push((name.clone(), Vec::new()));
                    folders.len() - 1
                });
                slots.insert(value, slot);
                slot
            }
        };
        last = Some((value, slot));
        if let Some((_, rows)) = folders.get_mut(slot) {
            rows.push(index);
        }
    }
    Ok(folders.into_iter().map(|(folder, rows)| (folder, UInt32Array::from(rows))).collect())
}

/// The error with the row after the `before` first ones of its chunk.
pub(super) fn at_row(error: Error, before: u64) -> Error {
    error.with_context("row", (before + 1).to_string())
}

/// `column=value/`, with what a path or a reader could misread as `%XX`.
fn folder(label: &str, value: Option<&str>) -> String {
    let value = match value {
        None | Some("") => NULL_FOLDER.to_owned(),
        Some(value) => escaped(value),
    };
    format!("{}={value}/", escaped(label))
}

/// A folder as the values of `spec` make them, for asking a destination whether it takes such names.
pub fn any_folder(spec: &PartitionSpec) -> String {
    format!("{}{}", folder(&spec.label, Some("0")), spec.suffix)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Blanks at the ends: a store may refuse them, and people do not see them.
    let inner = text.trim_start().len();
    let (first, last) = (text.len() - inner, text.trim_end().len());
    for (at, c) in text.char_indices() {
        if c.is_control() || at < first || at >= last || "\"#%'*/:=?\\\u{7f}{}[]^<>|`".contains(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    match out.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => out,
    }
}

/// What tells two values apart, without a text for each row: a number as it is stored, of times the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Raw<'a> {
    Number(i128),
    Day(i64),
    Text(&'a str),
}

type RawOf<'a> = Box<dyn Fn(usize) -> Raw<'a> + 'a>;

fn raw(column: &ArrayRef) -> Result<RawOf<'_>> {
    Ok(match column.data_type() {
        DataType::Boolean => {
            let array = column.as_boolean();
            Box::new(move |row| Raw::Number(array.value(row).into()))
        }
        DataType::Utf8 => {
            let array = column.as_string::<i32>();
            Box::new(move |row| Raw::Text(array.value(row)))
        }
        DataType::Date32 => {
            let array = column.as_primitive::<Date32Type>();
            Box::new(move |row| Raw::Day(array.value(row).into()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let array = column.as_primitive::<TimestampMicrosecondType>();
            Box::new(move |row| Raw::Day(array.value(row).div_euclid(DAY_US)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let array = column.as_primitive::<TimestampNanosecondType>();
            Box::new(move |row| Raw::Day(array.value(row).div_euclid(DAY_NS)))
        }
        DataType::Decimal128(..) => number::<Decimal128Type>(column),
        DataType::Int8 => number::<Int8Type>(column),
        DataType::Int16 => number::<Int16Type>(column),
        DataType::Int32 => number::<Int32Type>(column),
        DataType::Int64 => number::<Int64Type>(column),
        DataType::UInt8 => number::<UInt8Type>(column),
        DataType::UInt16 => number::<UInt16Type>(column),
        DataType::UInt32 => number::<UInt32Type>(column),
        DataType::UInt64 => number::<UInt64Type>(column),
        other => return Err(Error::internal(format!("{other} cannot name folders"))),
    })
}

fn number<T: ArrowPrimitiveType<Native: Into<i128>>>(column: &ArrayRef) -> RawOf<'_> {
    let array = column.as_primitive::<T>();
    Box::new(move |row| Raw::Number(array.value(row).into()))
}

/// A value as a folder's name shows it.
fn text(value: Raw<'_>, column: &ArrayRef, row: usize, granularity: Granularity) -> Result<String> {
    match (value, column.data_type()) {
        (Raw::Day(days), _) => day_text(days, granularity),
        (Raw::Text(value), _) if value.len() > 200 => {
            Err(Error::data(format!("a value of {} bytes is too long for a folder's name", value.len()))
                .with_hint("partition by a shorter column, or export a query with one"))
        }
        (Raw::Text(value), _) => Ok(value.to_owned()),
        (Raw::Number(number), DataType::Boolean) => Ok((number != 0).to_string()),
        (Raw::Number(_), DataType::Decimal128(..)) => Ok(column.as_primitive::<Decimal128Type>().value_as_string(row)),
        (Raw::Number(number), _) => Ok(number.to_string()),
    }
}

fn day_text(days: i64, granularity: Granularity) -> Result<String> {
    const EPOCH: Date = date(1970, 1, 1);
    let day = EPOCH.checked_add(days.days()).map_err(|_| {
        Error::data("a date beyond the year 9999 cannot name a folder")
            .with_hint("export a query that leaves the row out, or partition by another column")
    })?;
    Ok(match granularity {
        Granularity::Day => day.strftime("%Y-%m-%d").to_string(),
        Granularity::Month => day.strftime("%Y-%m").to_string(),
        Granularity::Year => day.strftime("%Y").to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, Decimal128Array, StringArray, TimestampMicrosecondArray, UInt64Array};

    use super::*;

    fn spec(granularity: Granularity) -> PartitionSpec {
        PartitionSpec {
            column: "c".into(),
            label: "c".into(),
            granularity,
            suffix: String::new(),
            buffer_bytes: 1,
            max_open: 1,
        }
    }

    fn folders(column: ArrayRef, granularity: Granularity) -> Vec<(String, Vec<u32>)> {
        let found = by_folder(&column, &spec(granularity), 0).unwrap();
        found.into_iter().map(|(folder, rows)| (folder, rows.values().to_vec())).collect()
    }

    #[test]
    fn a_day_ends_at_its_last_microsecond_also_before_1970() {
        let column: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
            Some(-1),
            Some(0),
            Some(DAY_US - 1),
            Some(DAY_US),
            None,
            Some(-62_135_596_800_000_000),
        ]));
        assert_eq!(
            folders(Arc::clone(&column), Granularity::Day),
            [
                ("c=1969-12-31/".to_owned(), vec![0]),
                ("c=1970-01-01/".to_owned(), vec![1, 2]),
                ("c=1970-01-02/".to_owned(), vec![3]),
                (format!("c={NULL_FOLDER}/"), vec![4]),
                ("c=0001-01-01/".to_owned(), vec![5]),
            ]
        );
        assert_eq!(folders(column, Granularity::Year)[1], ("c=1970/".to_owned(), vec![1, 2, 3]));
    }

    #[test]
    fn a_value_cannot_leave_its_folder() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["..", "a/b", "", "50 %", "é=ü"]));
        let names: Vec<String> = folders(column, Granularity::Day).into_iter().map(|(folder, _)| folder).collect();
        assert_eq!(names, ["c=%2E%2E/", "c=a%2Fb/", &format!("c={NULL_FOLDER}/"), "c=50 %25/", "c=é%3Dü/"]);
    }

    #[test]
    fn blanks_at_the_ends_are_escaped() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a  ", " b", "c d", "  ", "e\u{a0}", "f\t"]));
        let names: Vec<String> = folders(column, Granularity::Day).into_iter().map(|(folder, _)| folder).collect();
        assert_eq!(names, ["c=a%20%20/", "c=%20b/", "c=c d/", "c=%20%20/", "c=e%C2%A0/", "c=f%09/"]);
        assert_eq!(folder(" c ", Some("x")), "%20c%20=x/");
    }

    #[test]
    fn a_value_too_long_for_a_name_is_told_with_its_row() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a".to_owned(), "b".repeat(201)]));
        let error = by_folder(&column, &spec(Granularity::Day), 10).unwrap_err();
        assert_eq!(error.context(), [("row".to_owned(), "12".to_owned())]);
    }

    #[test]
    fn values_that_share_a_name_share_a_folder() {
        let days: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(vec![Some(0), Some(40 * DAY_US), Some(3 * DAY_US), Some(0)]));
        let months = [("c=1970-01/".to_owned(), vec![0, 2, 3]), ("c=1970-02/".to_owned(), vec![1])];
        assert_eq!(folders(days, Granularity::Month), months);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None, Some("a")]));
        let named = [(format!("c={NULL_FOLDER}/"), vec![0, 1]), ("c=a/".to_owned(), vec![2])];
        assert_eq!(folders(texts, Granularity::Day), named);
    }

    #[test]
    fn numbers_are_named_as_they_are() {
        let names = |column: ArrayRef| -> Vec<String> {
            folders(column, Granularity::Day).into_iter().map(|(folder, _)| folder).collect()
        };
        assert_eq!(names(Arc::new(UInt64Array::from(vec![u64::MAX, 0]))), ["c=18446744073709551615/", "c=0/"]);
        assert_eq!(names(Arc::new(BooleanArray::from(vec![true, false]))), ["c=true/", "c=false/"]);
        let decimals = Decimal128Array::from(vec![-150, 7]).with_precision_and_scale(5, 2).unwrap();
        assert_eq!(names(Arc::new(decimals)), ["c=-1.50/", "c=0.07/"]);
    }
}
