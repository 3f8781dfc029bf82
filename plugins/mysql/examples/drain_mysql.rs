//! What `decode_mysql` is measured against: the same table through the crate `mysql`, the rows of its binary protocol
//! read by reference into Arrow builders: `drain_mysql URL`, for lineitem.

#![allow(clippy::unwrap_used)]

use mysql::prelude::Queryable;
use mysql::{Conn, Opts, OptsBuilder, Row, Value};
use rivet_sdk::arrow_array;

use lineitem::Batches;

#[path = "../../../tests/bench/drain_lineitem.rs"]
mod lineitem;

fn push(batches: &mut Batches, row: &Row) {
    let value = |index| row.as_ref(index).unwrap();
    batches.order.append_value(integer(value(0)));
    for (builder, index) in batches.integers.iter_mut().zip(1_usize..) {
        builder.append_value(i32::try_from(integer(value(index))).unwrap());
    }
    for (builder, index) in batches.decimals.iter_mut().zip(4_usize..) {
        builder.append_value(hundredths(text(value(index))));
    }
    for (builder, index) in batches.flags.iter_mut().zip(8_usize..) {
        builder.append_value(text(value(index)));
    }
    for (builder, index) in batches.dates.iter_mut().zip(10_usize..) {
        builder.append_value(days(value(index)));
    }
    for (builder, index) in batches.texts.iter_mut().zip(13_usize..) {
        builder.append_value(text(value(index)));
    }
    batches.end_row();
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("{other:?} is no integer"),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).unwrap(),
        other => panic!("{other:?} is no text"),
    }
}

/// A decimal with two digits after its point arrives as text.
fn hundredths(text: &str) -> i128 {
    let (digits, negative) = text.strip_prefix('-').map_or((text, false), |digits| (digits, true));
    let value = digits.bytes().filter(u8::is_ascii_digit).fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    i128::from(if negative { -value } else { value })
}

/// Days since 1970, of the Gregorian calendar, whose years here begin with March.
fn days(value: &Value) -> i32 {
    let Value::Date(year, month, day, ..) = *value else { panic!("{value:?} is no date") };
    let [year, month, day] = [i32::from(year), i32::from(month), i32::from(day)];
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url] = &arguments[..] else { panic!("drain_mysql URL") };
    let opts = OptsBuilder::from_opts(Opts::from_url(url).unwrap()).prefer_socket(false);
    let mut connection = Conn::new(opts).unwrap();
    let mut batches = Batches::default();
    for row in connection.exec_iter("SELECT * FROM lineitem", ()).unwrap() {
        push(&mut batches, &row.unwrap());
    }
    eprintln!("{} rows", batches.finish());
}
