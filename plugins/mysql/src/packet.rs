//! Pieces of MySQL packets: numbers, lengths, texts, and the answers made of them.

use rivet_sdk::cursor::{Cursor, ReadNumbers as _, Short};
use rivet_sdk::{Error, Result};

use crate::error::confused;

/// What the client and the server tell each other they can do.
pub(crate) mod capability {
    /// Set by MySQL, not set by MariaDB, which then has flags of its own.
    pub const MYSQL: u32 = 1;
    pub const LONG_FLAG: u32 = 1 << 2;
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    /// Packets inside frames packed by zlib.
    pub const COMPRESS: u32 = 1 << 5;
    pub const PROTOCOL_41: u32 = 1 << 9;
    pub const SSL: u32 = 1 << 11;
    pub const TRANSACTIONS: u32 = 1 << 13;
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    pub const CONNECT_ATTRIBUTES: u32 = 1 << 20;
    pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
    pub const DEPRECATE_EOF: u32 = 1 << 24;
    /// The same, packed by zstd.
    pub const ZSTD: u32 = 1 << 26;
    /// Among MariaDB's own: a column's definition names types that MySQL's numbers cannot.
    pub const MARIADB_EXTENDED_METADATA: u32 = 1 << 3;
}

/// Numbers and texts whose lengths stand before them.
pub(crate) trait LengthEncoded<'a> {
    /// A length-encoded integer.
    fn length(&mut self) -> Result<u64, Short>;

    /// A length-encoded text.
    fn sized(&mut self) -> Result<&'a [u8], Short>;
}

impl<'a> LengthEncoded<'a> for Cursor<'a> {
    #[inline]
    fn length(&mut self) -> Result<u64, Short> {
        Ok(match self.u8()? {
            0xFC => self.u16_le()?.into(),
            0xFD => {
                let [a, b, c] = self.array()?;
                u32::from_le_bytes([a, b, c, 0]).into()
            }
            0xFE => self.u64_le()?,
            // NULL, and what begins an error.
            0xFB | 0xFF => return Err(Short),
            short => short.into(),
        })
    }

    #[inline]
    fn sized(&mut self) -> Result<&'a [u8], Short> {
        let length = usize::try_from(self.length()?).map_err(|_| Short)?;
        self.bytes(length)
    }
}

/// A value of a text row; None is NULL.
fn nullable<'a>(row: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Short> {
    if let [0xFB, rest @ ..] = row.rest() {
        *row = Cursor::new(rest);
        return Ok(None);
    }
    row.sized().map(Some)
}

/// Up to a zero byte, which is skipped; or all that is left.
pub(crate) fn until_zero<'a>(parts: &mut Cursor<'a>) -> &'a [u8] {
    let rest = parts.rest();
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (head, tail) = rest.split_at(end);
    *parts = Cursor::new(tail.get(1..).unwrap_or_default());
    head
}

/// A length-encoded integer, appended.
pub(crate) fn put_length(out: &mut Vec<u8>, value: usize) {
    let value = u64::try_from(value).unwrap_or(u64::MAX);
    let bytes = value.to_le_bytes();
    let (lead, count): (Option<u8>, usize) = match value {
        0..=250 => (None, 1),
        251..=0xFFFF => (Some(0xFC), 2),
        0x1_0000..=0xFF_FFFF => (Some(0xFD), 3),
        _ => (Some(0xFE), 8),
    };
    out.extend(lead);
    out.extend(bytes.iter().take(count));
}

/// What the server says first.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    pub version: String,
    pub thread: u32,
    pub capabilities: u32,
    /// MariaDB's own, zero from a MySQL.
    pub extended: u32,
    pub plugin: String,
    pub nonce: Vec<u8>,
}

impl Greeting {
    pub fn parse(body: &[u8]) -> Result<Self> {
        Self::fields(&mut Cursor::new(body)).map_err(|Short| confused("the greeting"))
    }

    fn fields(parts: &mut Cursor<'_>) -> Result<Self, Short> {
        if parts.u8()? != 10 {
            return Err(Short);
        }
        let version = String::from_utf8_lossy(until_zero(parts)).into_owned();
        let thread = parts.u32_le()?;
        let mut nonce = parts.bytes(8)?.to_vec();
        parts.u8()?;
        let low = parts.u16_le()?;
        let (mut capabilities, mut extended, mut plugin) = (u32::from(low), 0, String::new());
        if !parts.is_at_end() {
            parts.u8()?;
            parts.u16_le()?;
            capabilities |= u32::from(parts.u16_le()?) << 16;
            let length = parts.u8()?;
            parts.bytes(6)?;
            extended = parts.u32_le()?;
            if capabilities & capability::MYSQL != 0 {
                extended = 0;
            }
            let second = usize::from(length.saturating_sub(8).max(13));
            let second = parts.bytes(second.min(parts.rest().len()))?;
            nonce.extend(second.iter().take_while(|byte| **byte != 0));
            plugin = String::from_utf8_lossy(until_zero(parts)).into_owned();
        }
        Ok(Self { version, thread, capabilities, extended, plugin, nonce })
    }

    /// Whether the server has said that it can.
    pub fn can(&self, capability: u32) -> bool {
        self.capabilities & capability != 0
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultColumn {
    pub name: String,
    /// MySQL's number of the type.
    pub code: u8,
    pub flags: u16,
    /// 63 is `binary`.
    pub charset: u16,
    /// Bytes of the longest value as text.
    pub length: u32,
    pub decimals: u8,
    /// MariaDB's word for a type without a number: `uuid`, `inet6`, `json`.
    pub extended: Option<String>,
}

impl ResultColumn {
    pub fn parse(body: &[u8], extended: bool) -> Result<Self> {
        Self::fields(&mut Cursor::new(body), extended).map_err(|Short| confused("a column's definition"))
    }

    fn fields(parts: &mut Cursor<'_>, has_extended: bool) -> Result<Self, Short> {
        for _ in 0..4 {
            parts.sized()?;
        }
        let name = String::from_utf8_lossy(parts.sized()?).into_owned();
        parts.sized()?;
        let mut extended = None;
        if has_extended {
            let mut words = Cursor::new(parts.sized()?);
            while let Ok(kind) = words.u8() {
                let word = String::from_utf8_lossy(words.sized()?).into_owned();
                // 0 is a type's name, 1 a format's; `json` is a format of longtext.
                if kind <= 1 {
                    extended = Some(word);
                }
            }
        }
        parts.length()?;
        let charset = parts.u16_le()?;
        let length = parts.u32_le()?;
        let code = parts.u8()?;
        let flags = parts.u16_le()?;
        let decimals = parts.u8()?;
        Ok(Self { name, code, flags, charset, length, decimals, extended })
    }

    /// Whether it is a part of the primary key.
    pub fn is_in_primary_key(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Whether it is a part of a key.
    pub fn is_in_a_key(&self) -> bool {
        self.flags & 0x400E != 0
    }

    /// Whether the integer, float or decimal is unsigned.
    pub fn unsigned(&self) -> bool {
        self.flags & 32 != 0
    }
}

/// An answer with rows, read whole.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub columns: Vec<ResultColumn>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The first value, if there is one and it is not NULL.
    pub fn value(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

/// A row of the text protocol.
pub(crate) fn text_row(body: &[u8], columns: usize) -> Result<Vec<Option<String>>> {
    let mut parts = Cursor::new(body);
    (0..columns)
        .map(|_| match nullable(&mut parts) {
            Ok(Some(bytes)) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(Error::data("the server sent text that is not UTF-8")),
            },
            Ok(None) => Ok(None),
            Err(Short) => Err(confused("a short row")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_back_in_every_width() {
        for value in [0_usize, 250, 251, 0xFFFF, 0x1_0000, 0xFF_FFFF, 0x100_0000, 1 << 33] {
            let mut bytes = Vec::new();
            put_length(&mut bytes, value);
            let mut parts = Cursor::new(&bytes);
            assert_eq!(parts.length(), Ok(u64::try_from(value).unwrap()));
            assert!(parts.is_at_end());
        }
        assert_eq!(Cursor::new(&[0xFC, 1]).length(), Err(Short));
        assert_eq!(Cursor::new(&[0xFE]).sized(), Err(Short));
    }

    #[test]
    fn a_truncated_greeting_or_definition_is_refused() {
        let greeting = b"\x0a8.0.1\0\x01\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xff\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0";
        let parsed = Greeting::parse(greeting).unwrap();
        assert_eq!(
            (parsed.nonce.as_slice(), parsed.plugin.as_str()),
            (&b"abcdefghijklmnopqrst"[..], "caching_sha2_password")
        );
        for end in 0..14 {
            assert!(Greeting::parse(&greeting[..end]).is_err(), "{end}");
        }
        assert!(ResultColumn::parse(b"\x03def\0\0\0", false).is_err());
    }
}
