//! Pieces of MySQL packets: numbers, lengths, texts, and the answers made of them.

use mysql_common::constants::{CapabilityFlags, MariadbCapabilities};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, HandshakePacket};
use rivet_sdk::cursor::{Cursor, ReadNumbers as _, Short};
use rivet_sdk::{Error, Result};

use crate::error::confused;

/// The version of the protocol that has been spoken since MySQL 3.21.
const PROTOCOL: u8 = 10;
/// Where a greeting has the nonce's length, counted from the zero that ends the server's version.
const NONCE_LENGTH_AT: usize = 21;

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

/// What the server says first.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    pub version: String,
    pub thread: u32,
    pub capabilities: CapabilityFlags,
    /// MariaDB's own, none from a MySQL.
    pub extended: MariadbCapabilities,
    /// How its logins are, unless the user's is another.
    pub plugin: Option<AuthPlugin<'static>>,
    pub nonce: Vec<u8>,
}

impl Greeting {
    pub fn parse(body: &[u8]) -> Result<Self> {
        // The crate subtracts eight from the nonce's length as from a signed byte: these would be too small for one.
        let version_end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
        let nonce_length = body.get(version_end + NONCE_LENGTH_AT).filter(|length| !(0x80..0x88).contains(*length));
        let parsed = nonce_length.map(|_| ParseBuf(body).parse::<HandshakePacket<'_>>(()));
        let Some(Ok(packet)) = parsed else { return Err(confused("the greeting")) };
        if packet.protocol_version() != PROTOCOL {
            return Err(confused("the greeting"));
        }
        let capabilities = packet.capabilities();
        // Set by MySQL, not set by MariaDB, which then has flags of its own.
        let is_mysql = capabilities.contains(CapabilityFlags::CLIENT_LONG_PASSWORD);
        Ok(Self {
            version: packet.server_version_str().into_owned(),
            thread: packet.connection_id(),
            capabilities,
            extended: if is_mysql { MariadbCapabilities::empty() } else { packet.mariadb_ext_capabilities() },
            plugin: packet.auth_plugin().map(AuthPlugin::into_owned),
            nonce: packet.nonce(),
        })
    }

    /// Whether the server has said that it can.
    pub fn can(&self, capability: CapabilityFlags) -> bool {
        self.capabilities.contains(capability)
    }

    /// Whether columns come with what MariaDB adds to their types.
    pub fn extends_metadata(&self) -> bool {
        self.extended.contains(MariadbCapabilities::MARIADB_CLIENT_EXTENDED_METADATA)
    }
}

/// A column of a result. `mysql_common` has none that would do: its own refuses types that it does not know, and the
/// words that MariaDB puts before a type's number.
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
    use mysql_common::io::BufMutExt as _;

    use super::*;

    #[test]
    fn lengths_read_back_in_every_width() {
        for value in [0_usize, 250, 251, 0xFFFF, 0x1_0000, 0xFF_FFFF, 0x100_0000, 1 << 33] {
            let mut bytes = Vec::new();
            bytes.put_lenenc_int(u64::try_from(value).unwrap());
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
            (parsed.nonce.as_slice(), parsed.plugin),
            (&b"abcdefghijklmnopqrst"[..], Some(AuthPlugin::CachingSha2Password))
        );
        for end in 0..14 {
            assert!(Greeting::parse(&greeting[..end]).is_err(), "{end}");
        }
        for length in 0..=u8::MAX {
            let mut odd = greeting.to_vec();
            odd[27] = length;
            assert_eq!(Greeting::parse(&odd).is_err(), (44..0x88).contains(&length), "{length}");
        }
        assert!(ResultColumn::parse(b"\x03def\0\0\0", false).is_err());
    }
}
