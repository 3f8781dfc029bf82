//! What a client asks: batches, procedure calls and transactions.

use rusqlite::types::Value;

use crate::types::{Type, decode};
use crate::wire::{Malformed, Reader, from_utf16};

/// The transaction a request says it runs in.
fn transaction(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let total = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    let mut headers = Reader::new(reader.take(total.checked_sub(4).ok_or(Malformed("ALL_HEADERS are too short"))?)?);
    let mut descriptor = 0;
    while !headers.is_empty() {
        let length = usize::try_from(headers.u32()?).unwrap_or(usize::MAX);
        let mut header = Reader::new(headers.take(length.checked_sub(4).ok_or(Malformed("a header is too short"))?)?);
        if header.u16()? == 2 {
            descriptor = header.u64()?;
        }
    }
    Ok(descriptor)
}

/// A batch: its transaction and its text.
pub fn batch(body: &[u8]) -> Result<(u64, String), Malformed> {
    let mut reader = Reader::new(body);
    let transaction = transaction(&mut reader)?;
    Ok((transaction, from_utf16(reader.rest())))
}

/// A procedure call.
#[derive(Debug)]
pub struct Call {
    pub transaction: u64,
    pub name: String,
    pub parameters: Vec<Parameter>,
}

#[derive(Debug, Clone)]
pub struct Parameter {
    /// With its `@`, or empty.
    pub name: String,
    pub output: bool,
    pub ty: Type,
    pub value: Value,
}

/// The procedures that have a number.
const NUMBERED: [&str; 15] = [
    "sp_cursor",
    "sp_cursoropen",
    "sp_cursorprepare",
    "sp_cursorexecute",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
    "sp_cursorfetch",
    "sp_cursoroption",
    "sp_cursorclose",
    "sp_executesql",
    "sp_prepare",
    "sp_execute",
    "sp_prepexec",
    "sp_prepexecrpc",
    "sp_unprepare",
];

/// The calls of one RPC message.
pub fn calls(body: &[u8]) -> Result<Vec<Call>, Malformed> {
    let mut reader = Reader::new(body);
    let transaction = transaction(&mut reader)?;
    let mut calls = Vec::new();
    loop {
        let name = match reader.u16()? {
            0xffff => {
                let number = usize::from(reader.u16()?);
                let name =
                    number.checked_sub(1).and_then(|at| NUMBERED.get(at)).ok_or(Malformed("no such procedure"))?;
                (*name).to_owned()
            }
            length => reader.utf16(usize::from(length))?,
        };
        reader.u16()?;
        let mut parameters = Vec::new();
        // 0x80 and 0xff stand between the calls of one message.
        while let Some(next) = reader.rest().first() {
            if matches!(next, 0x80 | 0xfe | 0xff) {
                break;
            }
            parameters.push(parameter(&mut reader)?);
        }
        calls.push(Call { transaction, name, parameters });
        if reader.is_empty() {
            return Ok(calls);
        }
        reader.u8()?;
        if reader.is_empty() {
            return Ok(calls);
        }
    }
}

fn parameter(reader: &mut Reader<'_>) -> Result<Parameter, Malformed> {
    let length = usize::from(reader.u8()?);
    let name = reader.utf16(length)?;
    let output = reader.u8()? & 1 != 0;
    let (ty, value) = decode::parameter(reader)?;
    Ok(Parameter { name, output, ty, value })
}

/// What a transaction request wants (MS-TDS 2.2.6.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transaction {
    Begin { isolation: u8 },
    Commit { then_begin: bool },
    Rollback { savepoint: String, then_begin: bool },
    Save { name: String },
}

pub fn transaction_request(body: &[u8]) -> Result<(u64, Transaction), Malformed> {
    let mut reader = Reader::new(body);
    let descriptor = transaction(&mut reader)?;
    let name = |reader: &mut Reader<'_>| -> Result<String, Malformed> {
        let bytes = usize::from(reader.u8()?);
        Ok(from_utf16(reader.take(bytes)?))
    };
    let wanted = match reader.u16()? {
        5 => {
            let isolation = reader.u8()?;
            Transaction::Begin { isolation }
        }
        7 => {
            name(&mut reader)?;
            Transaction::Commit { then_begin: reader.u8()? & 1 != 0 }
        }
        8 => {
            let savepoint = name(&mut reader)?;
            Transaction::Rollback { savepoint, then_begin: reader.u8()? & 1 != 0 }
        }
        9 => Transaction::Save { name: name(&mut reader)? },
        _ => return Err(Malformed("an unknown transaction request")),
    };
    Ok((descriptor, wanted))
}
