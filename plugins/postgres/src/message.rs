//! The results in the server's messages.

use std::io;

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::{DataRowBody, RowDescriptionBody};
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

/// The columns of a RowDescription.
pub(crate) fn columns(body: &RowDescriptionBody) -> Result<Vec<ResultColumn>> {
    let columns = body.fields().map(|field| {
        Ok(ResultColumn { name: field.name().to_owned(), oid: field.type_oid(), typmod: field.type_modifier() })
    });
    columns.collect().map_err(|error| short(&error))
}

/// The values of a DataRow in text form.
pub(crate) fn row(body: &DataRowBody) -> Result<Vec<Option<String>>> {
    let values: Vec<_> = body.ranges().collect().map_err(|error| short(&error))?;
    values
        .into_iter()
        .map(|range| {
            let Some(range) = range else { return Ok(None) };
            let text = body.buffer().get(range).unwrap_or_default().to_vec();
            String::from_utf8(text).map(Some).map_err(|_| Error::data("the server sent text that is not UTF-8"))
        })
        .collect()
}

fn short(error: &io::Error) -> Error {
    confused(format!("a short message ({error})"))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use postgres_protocol::message::backend::Message;

    use super::*;

    fn message(tag: u8, body: &[u8]) -> Message {
        let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
        let mut bytes = BytesMut::from(&[&[tag][..], &length, body].concat()[..]);
        Message::parse(&mut bytes).unwrap().unwrap()
    }

    fn row_of(body: &[u8]) -> Result<Vec<Option<String>>> {
        let Message::DataRow(body) = message(b'D', body) else { panic!("not a row") };
        row(&body)
    }

    #[test]
    fn short_messages_are_errors_not_panics() {
        let Message::RowDescription(body) = message(b'T', b"\0\x02a") else { panic!("not a description") };
        assert!(columns(&body).is_err());
        assert!(row_of(b"\0\x01\0\0\0\x05ab").is_err());
        assert!(row_of(b"\0\x01").is_err());
        assert!(row_of(b"\0\x01\0\0\0\x01\xff").is_err());
        assert_eq!(row_of(b"\0\x02\xff\xff\xff\xff\0\0\0\x01x").unwrap(), [None, Some("x".to_owned())]);
    }
}
