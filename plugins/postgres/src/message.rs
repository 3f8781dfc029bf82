//! The bodies of the server's control messages, taken apart.

use rivet_sdk::{Error, Result};

use crate::error::confused;

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultColumn {
    pub name: String,
    pub oid: u32,
    pub typmod: i32,
}

/// A result in text form.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub columns: Vec<ResultColumn>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// The process and the secret that a cancel request needs.
pub(crate) fn backend_key(body: &[u8]) -> Result<(i32, i32)> {
    let mut reader = Reader(body);
    Ok((reader.i32()?, reader.i32()?))
}

/// RowDescription.
pub(crate) fn row_description(body: &[u8]) -> Result<Vec<ResultColumn>> {
    let mut reader = Reader(body);
    let count = reader.i16()?;
    (0..count)
        .map(|_| {
            let name = reader.text()?;
            let (_table, _number) = (reader.i32()?, reader.i16()?);
            let oid = u32::from_be_bytes(reader.i32()?.to_be_bytes());
            let _size = reader.i16()?;
            let typmod = reader.i32()?;
            let _format = reader.i16()?;
            Ok(ResultColumn { name, oid, typmod })
        })
        .collect()
}

/// DataRow, in text form.
pub(crate) fn data_row(body: &[u8]) -> Result<Vec<Option<String>>> {
    let mut reader = Reader(body);
    let count = reader.i16()?;
    (0..count)
        .map(|_| match usize::try_from(reader.i32()?) {
            Err(_) => Ok(None),
            Ok(length) => String::from_utf8(reader.bytes(length)?.to_vec())
                .map(Some)
                .map_err(|_| Error::data("the server sent text that is not UTF-8")),
        })
        .collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length).ok_or_else(|| confused("a short message"))?;
        self.0 = tail;
        Ok(head)
    }

    fn i16(&mut self) -> Result<i16> {
        let bytes = self.bytes(2)?;
        Ok(bytes.try_into().map(i16::from_be_bytes).unwrap_or_default())
    }

    fn i32(&mut self) -> Result<i32> {
        let bytes = self.bytes(4)?;
        Ok(bytes.try_into().map(i32::from_be_bytes).unwrap_or_default())
    }

    fn text(&mut self) -> Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(|| confused("an endless name"))?;
        let text = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.bytes(1)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_messages_are_errors_not_panics() {
        assert!(row_description(b"\0\x02a").is_err());
        assert!(data_row(b"\0\x01\0\0\0\x05ab").is_err());
        assert!(data_row(b"").is_err());
        assert!(backend_key(b"\0\0").is_err());
        assert_eq!(data_row(b"\0\x02\xff\xff\xff\xff\0\0\0\x01x").unwrap(), [None, Some("x".to_owned())]);
    }
}
