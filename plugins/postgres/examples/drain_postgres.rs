//! What `decode_postgres` is measured against: the same table through the crate `postgres` into Arrow builders, by
//! ordinary rows or by its reader of a binary COPY: `drain_postgres URL rows|copy`, for lineitem.

#![allow(clippy::unwrap_used)]

use std::error::Error;

use postgres::binary_copy::BinaryCopyOutIter;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, Type};
use postgres::{Client, NoTls};
use rivet_sdk::arrow_array;

use lineitem::Batches;

#[path = "../../../tests/bench/drain_lineitem.rs"]
mod lineitem;

const TYPES: [Type; 16] = [
    Type::INT8,
    Type::INT4,
    Type::INT4,
    Type::INT4,
    Type::NUMERIC,
    Type::NUMERIC,
    Type::NUMERIC,
    Type::NUMERIC,
    Type::BPCHAR,
    Type::BPCHAR,
    Type::DATE,
    Type::DATE,
    Type::DATE,
    Type::VARCHAR,
    Type::VARCHAR,
    Type::VARCHAR,
];

/// A `numeric` in hundredths: the crate has no type for it.
struct Hundredths(i128);

impl<'a> FromSql<'a> for Hundredths {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        // Digits of base 10,000 after four words: how many, the first one's power, the sign, the printed scale.
        let word = |index: usize| i16::from_be_bytes([raw[2 * index], raw[2 * index + 1]]);
        let mut value = (4..raw.len() / 2).fold(0, |value, index| value * 10_000 + i128::from(word(index)));
        let power = 4 * (i32::from(word(1)) + 1 - i32::from(word(0))) + 2;
        let factor = 10_i128.pow(power.unsigned_abs());
        value = if power < 0 { value / factor } else { value * factor };
        Ok(Self(if word(2) == 0 { value } else { -value }))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::NUMERIC
    }
}

/// Days since 1970.
struct Days(i32);

impl<'a> FromSql<'a> for Days {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(postgres_protocol::types::date_from_sql(raw)? + 10_957))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::DATE
    }
}

/// Both kinds of row have the same `get`, and no trait in common.
macro_rules! push {
    ($batches:expr, $row:expr) => {{
        $batches.order.append_option($row.get(0));
        for (builder, index) in $batches.integers.iter_mut().zip(1_usize..) {
            builder.append_option($row.get(index));
        }
        for (builder, index) in $batches.decimals.iter_mut().zip(4_usize..) {
            builder.append_option($row.get::<Option<Hundredths>>(index).map(|value| value.0));
        }
        for (builder, index) in $batches.flags.iter_mut().zip(8_usize..) {
            builder.append_option($row.get::<Option<&str>>(index));
        }
        for (builder, index) in $batches.dates.iter_mut().zip(10_usize..) {
            builder.append_option($row.get::<Option<Days>>(index).map(|value| value.0));
        }
        for (builder, index) in $batches.texts.iter_mut().zip(13_usize..) {
            builder.append_option($row.get::<Option<&str>>(index));
        }
        $batches.end_row();
    }};
}

/// `postgres::Row::get` with one parameter less.
struct Row(postgres::Row);

impl Row {
    fn get<'a, T: FromSql<'a>>(&'a self, index: usize) -> T {
        self.0.get(index)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, way] = &arguments[..] else { panic!("drain_postgres URL rows|copy") };
    let mut client = Client::connect(url, NoTls).unwrap();
    let mut batches = Batches::default();
    match way.as_str() {
        "rows" => {
            let none: [i32; 0] = [];
            let mut rows = client.query_raw("SELECT * FROM lineitem", none).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let row = Row(row);
                push!(batches, row);
            }
        }
        "copy" => {
            let reader = client.copy_out("COPY lineitem TO STDOUT (FORMAT binary)").unwrap();
            let mut rows = BinaryCopyOutIter::new(reader, &TYPES);
            while let Some(row) = rows.next().unwrap() {
                push!(batches, row);
            }
        }
        other => panic!("{other} is neither `rows` nor `copy`"),
    }
    eprintln!("{} rows", batches.finish());
}
