//! The judge: the same cells through the crate `postgres`, written as [`rivet_testkit::text`] writes an Arrow value.
//!
//! No line of the driver's decoder is in its way: a value comes through `FromSql` or `postgres_protocol::types`. What
//! the crate has no Rust type for (`numeric` above all) it gives as the text that the server prints.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};

use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, Kind, Type};
use postgres::{Client, NoTls, SimpleQueryMessage};
use postgres_protocol::types as wire;

use crate::support::direct_url;

const NULL: &str = "∅";
/// 2000-01-01, where PostgreSQL's days and microseconds begin.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

pub struct Judge(Client);

impl Judge {
    pub fn connect() -> Self {
        let mut client = Client::connect(&direct_url(), NoTls).unwrap();
        client.batch_execute("SET timezone = UTC; SET intervalstyle = iso_8601; SET datestyle = ISO").unwrap();
        Self(client)
    }

    /// What `value`, an expression, is in each row of `table`, in the order of its column `n`.
    pub fn cells(&mut self, table: &str, value: &str) -> Vec<String> {
        let statement = self.0.prepare(&format!("SELECT {value} FROM {table} ORDER BY n")).unwrap();
        let rows = self.0.query(&statement, &[]).unwrap();
        let decoded: Option<Vec<String>> = rows.iter().map(|row| row.get::<_, Cell>(0).0).collect();
        if let Some(decoded) = decoded {
            return decoded;
        }
        match statement.columns()[0].type_().kind() {
            Kind::Array(_) => self.cells(table, &format!("({value})::text[]")),
            Kind::Composite(fields) => {
                let members = fields.iter().map(|field| format!("({value}).\"{}\"", field.name()));
                self.joined(table, value, members.collect())
            }
            Kind::Range(_) => {
                let parts = ["lower", "upper", "lower_inc", "upper_inc", "isempty"];
                self.joined(table, value, parts.map(|part| format!("{part}({value})")).into())
            }
            Kind::Multirange(_) => {
                let ranges = format!("CASE WHEN {value} IS NOT NULL THEN ARRAY(SELECT unnest({value})) END");
                self.cells(table, &ranges)
            }
            _ => self.printed(table, value),
        }
    }

    /// A value of several, each read by itself.
    fn joined(&mut self, table: &str, value: &str, members: Vec<String>) -> Vec<String> {
        // Not IS NULL, which a row of NULLs is too.
        let there = self.cells(table, &format!("num_nonnulls({value})"));
        let members: Vec<Vec<String>> = members.iter().map(|member| self.cells(table, member)).collect();
        let row = |(row, there): (usize, &String)| {
            let members: Vec<&str> = members.iter().map(|member| member[row].as_str()).collect();
            if there == "1" { format!("({})", members.join(",")) } else { NULL.to_owned() }
        };
        there.iter().enumerate().map(row).collect()
    }

    /// As the server prints it, by a simple query.
    fn printed(&mut self, table: &str, value: &str) -> Vec<String> {
        let messages = self.0.simple_query(&format!("SELECT {value} FROM {table} ORDER BY n")).unwrap();
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or(NULL).to_owned()),
            _ => None,
        };
        messages.iter().filter_map(row).collect()
    }
}

/// A value as text; None where the crate has no Rust type for it, or for what is in it.
struct Cell(Option<String>);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        decoded(of, raw).map(Self)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(NULL.to_owned())))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn decoded(of: &Type, raw: &[u8]) -> Result<Option<String>, Box<dyn Error + Sync + Send>> {
    if *of == Type::INT2_VECTOR {
        let members: Vec<i16> = Vec::from_sql(of, raw)?;
        return Ok(Some(members.iter().map(i16::to_string).collect::<Vec<_>>().join(" ")));
    }
    match of.kind() {
        Kind::Domain(inner) => return decoded(inner, raw),
        Kind::Enum(_) => return Ok(Some(wire::text_from_sql(raw)?.to_owned())),
        Kind::Array(_) => {
            let members: Option<Vec<String>> = Vec::<Cell>::from_sql(of, raw)?.into_iter().map(|cell| cell.0).collect();
            return Ok(members.map(|members| format!("[{}]", members.join(","))));
        }
        Kind::Range(bound) => return range(bound, raw),
        Kind::Simple => {}
        _ => return Ok(None),
    }
    Ok(Some(match *of {
        Type::BOOL => wire::bool_from_sql(raw)?.to_string(),
        Type::INT2 => wire::int2_from_sql(raw)?.to_string(),
        Type::INT4 => wire::int4_from_sql(raw)?.to_string(),
        Type::INT8 => wire::int8_from_sql(raw)?.to_string(),
        Type::OID => wire::oid_from_sql(raw)?.to_string(),
        Type::FLOAT4 => wire::float4_from_sql(raw)?.to_string(),
        Type::FLOAT8 => wire::float8_from_sql(raw)?.to_string(),
        Type::MONEY => {
            let cents = wire::int8_from_sql(raw)?;
            let sign = if cents < 0 { "-" } else { "" };
            format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
        }
        Type::CHAR => match wire::char_from_sql(raw)? {
            0 => String::new(),
            byte => char::from(u8::try_from(byte)?).to_string(),
        },
        Type::XML | Type::JSON => wire::text_from_sql(raw)?.to_owned(),
        Type::BYTEA => hex(wire::bytea_from_sql(raw)),
        Type::UUID => hex(&wire::uuid_from_sql(raw)?),
        Type::DATE => (wire::date_from_sql(raw)? + EPOCH_DAYS).to_string(),
        Type::TIME => wire::time_from_sql(raw)?.to_string(),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => (wire::timestamp_from_sql(raw)? + EPOCH_MICROS).to_string(),
        Type::MACADDR => wire::macaddr_from_sql(raw)?.map(|byte| format!("{byte:02x}")).join(":"),
        Type::BIT | Type::VARBIT => bits(&wire::varbit_from_sql(raw)?),
        Type::PG_LSN => {
            let lsn = wire::lsn_from_sql(raw)?;
            format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
        }
        Type::INET => inet(&wire::inet_from_sql(raw)?),
        Type::POINT => {
            let point = wire::point_from_sql(raw)?;
            format!("({},{})", point.x(), point.y())
        }
        _ if of.name() == "hstore" => {
            let pair = |(key, value): (&str, Option<&str>)| Ok(format!("({key},{})", value.unwrap_or(NULL)));
            format!("{{{}}}", wire::hstore_from_sql(raw)?.map(pair).collect::<Vec<_>>()?.join(","))
        }
        _ if <&str as FromSql>::accepts(of) => <&str>::from_sql(of, raw)?.to_owned(),
        _ => return Ok(None),
    }))
}

/// Lower and upper end, whether each belongs to it, whether it is empty.
fn range(bound: &Type, raw: &[u8]) -> Result<Option<String>, Box<dyn Error + Sync + Send>> {
    let end = |end: wire::RangeBound<Option<&[u8]>>| {
        let (value, inclusive) = match end {
            wire::RangeBound::Unbounded => return Ok(Some((NULL.to_owned(), false))),
            wire::RangeBound::Inclusive(value) => (value, true),
            wire::RangeBound::Exclusive(value) => (value, false),
        };
        decoded(bound, value.unwrap_or_default()).map(|value| value.map(|value| (value, inclusive)))
    };
    let (lower, upper) = match wire::range_from_sql(raw)? {
        wire::Range::Empty => return Ok(Some(format!("({NULL},{NULL},false,false,true)"))),
        wire::Range::Nonempty(lower, upper) => (end(lower)?, end(upper)?),
    };
    let both = lower.zip(upper);
    let text = |((lower, lower_in), (upper, upper_in))| format!("({lower},{upper},{lower_in},{upper_in},false)");
    Ok(both.map(text))
}

/// With the network's bits, unless all are; ::1.2.3.4 as the server spells it, and Rust no longer does.
fn inet(of: &wire::Inet) -> String {
    let address = match of.addr() {
        IpAddr::V6(six) => match six.segments() {
            [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                format!("::{}", Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
            }
            _ => six.to_string(),
        },
        four => four.to_string(),
    };
    let whole = if of.addr().is_ipv4() { 32 } else { 128 };
    if of.netmask() == whole { address } else { format!("{address}/{}", of.netmask()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bits(of: &wire::Varbit) -> String {
    let bit = |index: usize| if of.bytes()[index / 8] & (0x80 >> (index % 8)) != 0 { '1' } else { '0' };
    (0..of.len()).map(bit).collect()
}
