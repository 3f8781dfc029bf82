//! Lists, structs and maps as JSON text.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};
use rivet_sdk::{Error, Result};

use super::column::{Column, Kind, MakeColumn, WriteValue};

/// Writes a list as an array, a struct as an object, a map with text keys as an object and any
/// other map as an array of pairs. NULL is `null`, also inside.
pub(super) fn nested(array: &ArrayRef, column: MakeColumn) -> Result<WriteValue<'_>> {
    match array.data_type() {
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            elements(column(field, list.values())?, |row| range(list.value_offsets(), row))
        }
        DataType::LargeList(field) => {
            let list = array.as_list::<i64>();
            elements(column(field, list.values())?, |row| range(list.value_offsets(), row))
        }
        DataType::FixedSizeList(field, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            elements(column(field, array.as_fixed_size_list().values())?, move |row| row * size..(row + 1) * size)
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let columns =
                columns.map(|(field, array)| Ok((key(field), column(field, array)?))).collect::<Result<Vec<_>>>()?;
            Ok(Box::new(move |row, out| {
                out.push(b'{');
                for (index, (key, column)) in columns.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(key);
                    write_value(column, row, out);
                }
                out.push(b'}');
            }))
        }
        DataType::Map(entries, _) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(Error::protocol("a map's entries are not a struct"));
            };
            let [key_field, value_field] = &fields[..] else {
                return Err(Error::protocol("a map's entries are not pairs"));
            };
            let keys = column(key_field, map.keys())?;
            let values = column(value_field, map.values())?;
            let object = keys.kind == Kind::Text;
            let [open, close] = if object { *b"{}" } else { *b"[]" };
            Ok(Box::new(move |row, out| {
                out.push(open);
                for (index, entry) in range(map.value_offsets(), row).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    if !object {
                        out.push(b'[');
                    }
                    write_value(&keys, entry, out);
                    out.push(if object { b':' } else { b',' });
                    write_value(&values, entry, out);
                    if !object {
                        out.push(b']');
                    }
                }
                out.push(close);
            }))
        }
        other => Err(Error::internal(format!("{other} is not nested"))),
    }
}

fn elements<'a>(column: Column<'a>, range: impl Fn(usize) -> Range<usize> + 'a) -> Result<WriteValue<'a>> {
    Ok(Box::new(move |row, out| {
        out.push(b'[');
        for (index, element) in range(row).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_value(&column, element, out);
        }
        out.push(b']');
    }))
}

fn range<O: Copy + TryInto<usize>>(offsets: &[O], row: usize) -> Range<usize> {
    let at = |index: usize| offsets.get(index).and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
    at(row)..at(row + 1)
}

fn key(field: &Field) -> Vec<u8> {
    let mut key = field.name().clone().into_bytes();
    quote(0, &mut key);
    key.push(b':');
    key
}

fn write_value(column: &Column<'_>, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    let start = out.len();
    column.write(row, out);
    match column.kind {
        Kind::Json | Kind::Boolean => {}
        Kind::Number if out.last().is_some_and(u8::is_ascii_digit) => {}
        // `NaN` and `Infinity` are no JSON numbers.
        Kind::Number | Kind::Plain => {
            out.insert(start, b'"');
            out.push(b'"');
        }
        Kind::Text => quote(start, out),
    }
}

/// Makes a JSON string of what `out` holds from `start`.
fn quote(start: usize, out: &mut Vec<u8>) {
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    if !out[start..].iter().any(special) {
        out.insert(start, b'"');
        out.push(b'"');
        return;
    }
    let text = out.split_off(start);
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
