//! PRELOGIN and LOGIN7: the first words of a connection (MS-TDS 2.2.6.5 and 2.2.6.4).

use crate::wire::{Malformed, Put, Reader};

/// What a listener says about encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Whatever the client wants: its login only, everything, or nothing.
    Optional,
    /// Everything, or no connection.
    Required,
    /// Nothing.
    NotSupported,
}

/// PRELOGIN's ENCRYPTION values.
pub const OFF: u8 = 0;
pub const ON: u8 = 1;
pub const NOT_SUPPORTED: u8 = 2;
pub const REQUIRED: u8 = 3;

/// What follows PRELOGIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    Clear,
    LoginOnly,
    Everything,
}

impl Encryption {
    /// The answer to a client's ENCRYPTION, and what it means; None where the client has to leave.
    pub fn answer(self, client: u8) -> (u8, Option<Secrecy>) {
        match (self, client) {
            (Self::NotSupported, OFF | NOT_SUPPORTED) => (NOT_SUPPORTED, Some(Secrecy::Clear)),
            (Self::NotSupported, _) => (NOT_SUPPORTED, None),
            (Self::Optional, OFF) => (OFF, Some(Secrecy::LoginOnly)),
            (Self::Optional, NOT_SUPPORTED) => (NOT_SUPPORTED, Some(Secrecy::Clear)),
            (Self::Required, NOT_SUPPORTED) => (REQUIRED, None),
            (Self::Required, OFF) => (REQUIRED, Some(Secrecy::Everything)),
            (_, _) => (ON, Some(Secrecy::Everything)),
        }
    }
}

/// The client's ENCRYPTION option.
pub fn wanted_encryption(body: &[u8]) -> Result<u8, Malformed> {
    let mut options = Reader::new(body);
    loop {
        let token = options.u8()?;
        if token == 0xff {
            return Err(Malformed("PRELOGIN without ENCRYPTION"));
        }
        let place = usize::from(u16::from_be_bytes(options.array()?));
        options.u16()?;
        if token == 1 {
            return body.get(place).copied().ok_or(Malformed("PRELOGIN's ENCRYPTION is missing"));
        }
    }
}

/// The server's PRELOGIN: version, encryption, instance, thread, MARS off.
pub fn prelogin(encryption: u8) -> Vec<u8> {
    let version = [VERSION[0], VERSION[1], VERSION[2], VERSION[3], 0, 0];
    let options: [(u8, &[u8]); 5] = [(0, &version), (1, &[encryption]), (2, &[0]), (3, &[]), (4, &[0])];
    let mut place = u16::try_from(options.len() * 5 + 1).unwrap_or(0);
    let mut body = Vec::new();
    for (token, value) in options {
        let length = u16::try_from(value.len()).unwrap_or(0);
        body.u8(token);
        body.put(&place.to_be_bytes());
        body.put(&length.to_be_bytes());
        place += length;
    }
    body.u8(0xff);
    for (_, value) in options {
        body.put(value);
    }
    body
}

/// 15.0.4430: SQL Server 2019.
pub const VERSION: [u8; 4] = [15, 0, 0x11, 0x4e];

/// What a client says of itself.
#[derive(Debug, Clone)]
pub struct Login {
    pub packet_size: usize,
    pub host: String,
    pub user: String,
    pub password: String,
    pub application: String,
    pub library: String,
    pub language: String,
    pub database: String,
    /// The client wants ODBC's settings, an unlimited TEXTSIZE among them.
    pub odbc: bool,
    pub read_only: bool,
    /// The features it lists, by their numbers; None without a list.
    pub features: Option<Vec<u8>>,
}

impl Login {
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut fixed = Reader::new(body);
        fixed.u32()?;
        let _tds_version = fixed.u32()?;
        let packet_size = usize::try_from(fixed.u32()?).unwrap_or(0);
        fixed.take(12)?;
        let [_, options, type_flags, more_flags] = fixed.array()?;
        fixed.take(8)?;
        let mut text = |secret: bool| -> Result<String, Malformed> {
            let (place, length) = (usize::from(fixed.u16()?), usize::from(fixed.u16()?));
            let bytes = body.get(place..place + length * 2).ok_or(Malformed("LOGIN7 points outside itself"))?;
            let clear: Vec<u8> =
                bytes.iter().map(|byte| if secret { (byte ^ 0xa5).rotate_left(4) } else { *byte }).collect();
            Ok(crate::wire::from_utf16(&clear))
        };
        let host = text(false)?;
        let user = text(false)?;
        let password = text(true)?;
        let application = text(false)?;
        let _server = text(false)?;
        // The extension's offset may point at anything: a length in bytes follows it.
        text(false).map(drop).or(Ok(()))?;
        let library = text(false)?;
        let language = text(false)?;
        let database = text(false)?;
        Ok(Self {
            packet_size,
            host,
            user,
            password,
            application,
            library,
            language,
            database,
            odbc: options & 2 != 0,
            read_only: type_flags & 0x20 != 0,
            features: if more_flags & 0x10 != 0 { Some(features(body)?) } else { None },
        })
    }
}

/// The numbers in the list of features, which stands where four bytes say that ibExtension points at.
fn features(body: &[u8]) -> Result<Vec<u8>, Malformed> {
    const IB_EXTENSION: usize = 56;
    const OUTSIDE: Malformed = Malformed("the features point outside LOGIN7");
    let at = body.get(IB_EXTENSION..IB_EXTENSION + 2).ok_or(OUTSIDE)?;
    let at = usize::from(u16::from_le_bytes([at[0], at[1]]));
    let mut place = Reader::new(body.get(at..).ok_or(OUTSIDE)?);
    let mut list = Reader::new(body.get(usize::try_from(place.u32()?).unwrap_or(usize::MAX)..).ok_or(OUTSIDE)?);
    let mut found = Vec::new();
    loop {
        let feature = list.u8()?;
        if feature == 0xff {
            return Ok(found);
        }
        found.push(feature);
        let length = usize::try_from(list.u32()?).unwrap_or(usize::MAX);
        list.take(length)?;
    }
}

/// UTF8_SUPPORT: the client takes texts in UTF-8.
pub const UTF8_SUPPORT: u8 = 0x0a;
