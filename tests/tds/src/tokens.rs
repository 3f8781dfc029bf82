//! The tokens of an answer (MS-TDS 2.2.7).

use crate::error::SqlError;
use crate::types::collation::Collation;
use crate::types::{Kind, Type, typeinfo};
use crate::wire::Put;

const SERVER: &str = "rivet-tds";

/// DONE's status bits.
pub const MORE: u16 = 1;
pub const ERROR: u16 = 2;
pub const IN_TRANSACTION: u16 = 4;
pub const COUNT: u16 = 0x10;
pub const ATTENTION: u16 = 0x20;

/// Which DONE: of a batch's statement, of a procedure, of a statement in a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Statement = 0xfd,
    Procedure = 0xfe,
    InProcedure = 0xff,
}

pub fn done(into: &mut Vec<u8>, kind: Done, status: u16, command: u16, rows: u64) {
    into.u8(match kind {
        Done::Statement => 0xfd,
        Done::Procedure => 0xfe,
        Done::InProcedure => 0xff,
    });
    into.u16(status);
    into.u16(command);
    into.u64(rows);
}

/// A token with its length before it.
fn token(into: &mut Vec<u8>, code: u8, body: &[u8]) {
    into.u8(code);
    into.u16(u16::try_from(body.len()).unwrap_or(u16::MAX));
    into.put(body);
}

pub fn error(into: &mut Vec<u8>, error: &SqlError) {
    message(into, 0xaa, error);
}

/// A message that is not an error: INFO.
pub fn info(into: &mut Vec<u8>, number: i32, class: u8, text: &str) {
    message(into, 0xab, &SqlError { number, state: 1, class, message: text.to_owned(), line: 1 });
}

fn message(into: &mut Vec<u8>, code: u8, error: &SqlError) {
    let mut body = Vec::new();
    body.put(&error.number.to_le_bytes());
    body.u8(error.state);
    body.u8(error.class);
    body.us_varchar(&error.message);
    body.b_varchar(SERVER);
    body.b_varchar("");
    body.u32(error.line);
    token(into, code, &body);
}

pub fn login_ack(into: &mut Vec<u8>) {
    let mut body = vec![1];
    body.put(&[0x74, 0, 0, 4]);
    body.b_varchar("Microsoft SQL Server");
    body.put(&crate::login::VERSION);
    token(into, 0xad, &body);
}

/// FEATUREEXTACK: texts come in UTF-8.
pub fn utf8_support(into: &mut Vec<u8>) {
    into.put(&[0xae, crate::login::UTF8_SUPPORT, 1, 0, 0, 0, 1, 0xff]);
}

/// ENVCHANGE with two texts: database (1), language (2), packet size (4).
pub fn environment(into: &mut Vec<u8>, kind: u8, new: &str, old: &str) {
    let mut body = vec![kind];
    body.b_varchar(new);
    body.b_varchar(old);
    token(into, 0xe3, &body);
}

/// ENVCHANGE 7: the database's collation.
pub fn collation(into: &mut Vec<u8>, collation: Collation) {
    let mut body = vec![7, 5];
    body.put(&collation.wire());
    body.u8(0);
    token(into, 0xe3, &body);
}

/// ENVCHANGE 8, 9, 10: a transaction begins, commits or rolls back.
pub fn transaction(into: &mut Vec<u8>, kind: u8, new: u64, old: u64) {
    let mut body = vec![kind];
    for descriptor in [new, old] {
        if descriptor == 0 {
            body.u8(0);
        } else {
            body.u8(8);
            body.u64(descriptor);
        }
    }
    token(into, 0xe3, &body);
}

/// ENVCHANGE 20: go to another server.
pub fn routing(into: &mut Vec<u8>, port: u16, host: &str) {
    let mut target = vec![0];
    target.u16(port);
    target.us_varchar(host);
    let mut body = vec![20];
    body.u16(u16::try_from(target.len()).unwrap_or(u16::MAX));
    body.put(&target);
    body.u16(0);
    token(into, 0xe3, &body);
}

pub fn return_status(into: &mut Vec<u8>, status: i32) {
    into.u8(0x79);
    into.put(&status.to_le_bytes());
}

/// An int output parameter.
pub fn return_int(into: &mut Vec<u8>, ordinal: u16, name: &str, value: i32) {
    into.u8(0xac);
    into.u16(ordinal);
    into.b_varchar(name);
    into.u8(1);
    into.u32(0);
    into.u16(1);
    typeinfo::put(into, &Type::new(Kind::Int), true);
    into.u8(4);
    into.put(&value.to_le_bytes());
}

/// A column of a result.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub ty: Type,
    pub nullable: bool,
    pub identity: bool,
    /// A plain column of a table, or computed.
    pub plain: bool,
    /// Where a text, ntext or image comes from.
    pub table: Vec<String>,
}

pub fn columns(into: &mut Vec<u8>, columns: &[Column]) {
    into.u8(0x81);
    into.u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
    for column in columns {
        into.u32(typeinfo::user_type(&column.ty));
        let updateable = if column.plain && !column.identity && column.ty.kind != Kind::RowVersion { 0x8 } else { 0 };
        into.u16(
            u16::from(column.nullable)
                | u16::from(column.ty.is_text() && column.ty.collation.is_case_sensitive()) << 1
                | updateable
                | u16::from(column.identity) << 4
                | u16::from(!column.plain) << 5,
        );
        typeinfo::put(into, &column.ty, column.nullable);
        if matches!(column.ty.kind, Kind::Text | Kind::NText | Kind::Image) {
            into.u8(u8::try_from(column.table.len()).unwrap_or(0));
            for part in &column.table {
                into.us_varchar(part);
            }
        }
        into.b_varchar(&column.name);
    }
}
