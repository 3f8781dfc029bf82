//! The judge: the same cells through the crate `mysql`, written as [`rivet_testkit::text`] writes an Arrow value.
//!
//! Rows come over the binary protocol as the crate's own `Value`s; no line of the driver's decoder is in their way.

use jiff::civil::date;
use mysql::consts::ColumnType;
use mysql::prelude::Queryable;
use mysql::{Column, Conn, Opts, OptsBuilder, Value};

use crate::support::Server;

/// The character set of what is no text.
const BINARY: u16 = 63;

pub struct Judge(Conn);

impl Judge {
    pub fn connect(server: &Server) -> Self {
        let opts = OptsBuilder::from_opts(Opts::from_url(&server.url).unwrap()).prefer_socket(false);
        let mut connection = Conn::new(opts).unwrap();
        connection.query_drop("SET time_zone = '+00:00'").unwrap();
        Self(connection)
    }

    /// What the column `v`, of the type `of`, is in each row of `table`, in the order of its column `n`.
    pub fn cells(&mut self, table: &str, of: &str) -> Vec<String> {
        let rows = self.0.exec_iter(format!("SELECT v FROM {table} ORDER BY n"), ()).unwrap();
        let column = rows.columns().as_ref()[0].clone();
        rows.map(|row| text(&column, of, row.unwrap().as_ref(0).unwrap())).collect()
    }
}

fn text(column: &Column, of: &str, value: &Value) -> String {
    match value {
        Value::NULL => "∅".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bytes(bytes) => from_bytes(column, of, bytes),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let [month, day] = [*month, *day].map(|part| i8::try_from(part).unwrap());
            let days = date(i16::try_from(*year).unwrap(), month, day)
                .since((jiff::Unit::Day, date(1970, 1, 1)))
                .unwrap()
                .get_days();
            if column.column_type() == ColumnType::MYSQL_TYPE_DATE {
                return days.to_string();
            }
            let seconds = i64::from(*hour) * 3600 + i64::from(*minute) * 60 + i64::from(*second);
            ((i64::from(days) * 86_400 + seconds) * 1_000_000 + i64::from(*micros)).to_string()
        }
        Value::Time(negative, days, hour, minute, second, micros) => {
            let seconds = i64::from(*days) * 86_400 + i64::from(*hour) * 3600;
            let seconds = seconds + i64::from(*minute) * 60 + i64::from(*second);
            let sign = if *negative { -1 } else { 1 };
            (sign * (seconds * 1_000_000 + i64::from(*micros))).to_string()
        }
    }
}

fn from_bytes(column: &Column, of: &str, bytes: &[u8]) -> String {
    match column.column_type() {
        ColumnType::MYSQL_TYPE_BIT => {
            let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            if column.column_length() == 1 { (number == 1).to_string() } else { number.to_string() }
        }
        // Well-known binary follows the four bytes of the SRID.
        ColumnType::MYSQL_TYPE_GEOMETRY => hex(&bytes[4..]),
        ColumnType::MYSQL_TYPE_VECTOR => {
            let floats = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()).to_string());
            format!("[{}]", floats.collect::<Vec<_>>().join(","))
        }
        ColumnType::MYSQL_TYPE_STRING | ColumnType::MYSQL_TYPE_VAR_STRING | ColumnType::MYSQL_TYPE_BLOB
            if column.character_set() == BINARY =>
        {
            hex(bytes)
        }
        // MariaDB prints it; Arrow has its sixteen bytes.
        _ if of == "uuid" => std::str::from_utf8(bytes).unwrap().replace('-', ""),
        _ => std::str::from_utf8(bytes).unwrap().to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
