//! PRELOGIN and LOGIN7: the two messages before the first statement.

use rivet_sdk::{Error, Result};

use crate::options::Endpoint;

/// What a side says about encryption in PRELOGIN.
pub(crate) mod encryption {
    #[cfg(test)]
    pub const OFF: u8 = 0x00;
    pub const ON: u8 = 0x01;
    pub const NOT_SUPPORTED: u8 = 0x02;
    pub const REQUIRED: u8 = 0x03;
}

/// TDS 7.4: SQL Server 2012 and later.
const TDS_VERSION: u32 = 0x7400_0004;
/// A packet fits one TLS record.
pub(crate) const PACKET_BYTES: u32 = 16_000;
/// `fUseDB`, `fDatabase`, `fSetLang`: a database that cannot be opened ends the login.
const OPTION_FLAGS_1: u8 = 0xE0;
/// `fODBC`: ANSI settings as ODBC clients have them; `fLanguage`: the same for the language.
const OPTION_FLAGS_2: u8 = 0x03;
/// `fReadOnlyIntent`
const READ_ONLY_INTENT: u8 = 0x20;
/// `fExtension`: a list of features follows.
const EXTENSION: u8 = 0x10;
/// The features: texts may be sent in UTF-8 (MS-TDS 2.2.6.4, UTF8_SUPPORT, which has no data), and the list's end.
/// Without it, a server has to send the texts of a UTF-8 collation in something else.
const FEATURES: [u8; 6] = [0x0A, 0, 0, 0, 0, 0xFF];
/// US English, in which messages are written; the session's language is set later.
const LOCALE: u32 = 0x0409;

/// Which of the texts is where the features are.
const EXTENSION_TEXT: usize = 5;

/// The PRELOGIN message.
pub(crate) fn prelogin(encryption: u8, instance: Option<&str>) -> Vec<u8> {
    let mut name = instance.unwrap_or_default().as_bytes().to_vec();
    name.push(0);
    let options: [(u8, &[u8]); 5] = [
        // The driver's own version, which servers ignore.
        (0x00, &[1, 0, 0, 0, 0, 0]),
        (0x01, &[encryption]),
        (0x02, &name),
        (0x03, &[0, 0, 0, 0]),
        // No multiple result sets.
        (0x04, &[0]),
    ];
    let mut at = options.len() * 5 + 1;
    let mut message = Vec::new();
    for (token, value) in options {
        message.push(token);
        message.extend_from_slice(&u16::try_from(at).unwrap_or(u16::MAX).to_be_bytes());
        message.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        at += value.len();
    }
    message.push(0xFF);
    options.iter().for_each(|(_, value)| message.extend_from_slice(value));
    message
}

/// What the server's PRELOGIN says about encryption; None where it is no PRELOGIN.
pub(crate) fn server_encryption(message: &[u8]) -> Option<u8> {
    let mut rest = message;
    loop {
        let (token, after) = rest.split_first()?;
        if *token == 0xFF {
            // A server that does not mention it has none.
            return Some(encryption::NOT_SUPPORTED);
        }
        let (entry, after) = after.split_first_chunk::<4>()?;
        if *token == 0x01 {
            let at = usize::from(u16::from_be_bytes([entry[0], entry[1]]));
            return message.get(at).copied();
        }
        rest = after;
    }
}

/// The LOGIN7 message, with or without a list of features.
pub(crate) fn login(endpoint: &Endpoint, server: &str, features: bool) -> Result<Vec<u8>> {
    const FIXED_BYTES: usize = 94;
    const EXTENSION_BYTES: usize = 4;
    let password: Vec<u8> =
        utf16(endpoint.password.expose()).into_iter().map(|byte| byte.rotate_left(4) ^ 0xA5).collect();
    let computer = match &endpoint.workstation {
        Some(name) => name.clone(),
        None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    };
    let texts = [
        utf16(&computer),
        utf16(&endpoint.user),
        password,
        utf16(&endpoint.application_name),
        utf16(server),
        // Where the features are; filled in below.
        if features { vec![0; EXTENSION_BYTES] } else { Vec::new() },
        utf16("rivet"),
        Vec::new(),
        utf16(&endpoint.database),
    ];
    for (text, name) in texts.iter().zip(["workstation id", "user", "password", "application_name", "host"]) {
        if text.len() > 256 {
            return Err(Error::config(format!("`{name}` is longer than 128 characters")));
        }
    }
    let mut message = vec![0; 4];
    message.extend_from_slice(&TDS_VERSION.to_le_bytes());
    message.extend_from_slice(&PACKET_BYTES.to_le_bytes());
    message.extend_from_slice(&0x0100_0000_u32.to_le_bytes());
    message.extend_from_slice(&std::process::id().to_le_bytes());
    message.extend_from_slice(&[0; 4]);
    let type_flags = if endpoint.read_only_intent { READ_ONLY_INTENT } else { 0 };
    let extension = if features { EXTENSION } else { 0 };
    message.extend_from_slice(&[OPTION_FLAGS_1, OPTION_FLAGS_2, type_flags, extension]);
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&LOCALE.to_le_bytes());
    let mut at = FIXED_BYTES;
    let mut place = |message: &mut Vec<u8>, characters: usize, bytes: usize| {
        message.extend_from_slice(&u16::try_from(at).unwrap_or(u16::MAX).to_le_bytes());
        message.extend_from_slice(&u16::try_from(characters).unwrap_or(u16::MAX).to_le_bytes());
        at += bytes;
    };
    for (index, text) in texts.iter().enumerate() {
        // The extension's length is in bytes.
        let units = if index == EXTENSION_TEXT { text.len() } else { text.len() / 2 };
        place(&mut message, units, text.len());
    }
    // The client's id (a network address), then SSPI, a file to attach and a new password: none.
    message.extend_from_slice(&[0; 6]);
    for _ in 0..3 {
        place(&mut message, 0, 0);
    }
    message.extend_from_slice(&[0; 4]);
    let mut extension_at = message.len();
    for (index, text) in texts.iter().enumerate() {
        if index < EXTENSION_TEXT {
            extension_at += text.len();
        }
        message.extend_from_slice(text);
    }
    if features {
        let at = u32::try_from(message.len()).unwrap_or(u32::MAX);
        message.splice(extension_at..extension_at + EXTENSION_BYTES, at.to_le_bytes());
        message.extend_from_slice(&FEATURES);
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    message.splice(..4, length.to_le_bytes());
    Ok(message)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use rivet_sdk::Secret;

    use super::*;
    use crate::options::MssqlOptions;

    #[test]
    fn prelogin_names_what_follows_where_it_lies() {
        let message = prelogin(encryption::ON, None);
        assert_eq!(message[..5], [0, 0, 26, 0, 6]);
        assert_eq!(message[5..10], [1, 0, 32, 0, 1]);
        assert_eq!(server_encryption(&message), Some(encryption::ON));
        // MS-TDS 4.2, "Pre-Login Response" of a server that can encrypt.
        let answer = [
            0, 0, 0x1A, 0, 6, 1, 0, 0x20, 0, 1, 2, 0, 0x21, 0, 1, 3, 0, 0x22, 0, 0, 4, 0, 0x22, 0, 1, 0xFF, 9, 0, 0, 0,
            0, 0, 0, 0, 0,
        ];
        assert_eq!(server_encryption(&answer), Some(encryption::OFF));
        assert_eq!(server_encryption(&[1, 2]), None);
        assert_eq!(server_encryption(b"HTTP/1.1"), None);
    }

    #[test]
    fn login_places_every_text_and_hides_the_password() {
        let options = MssqlOptions {
            url: Some(Secret::new("mssql://me:secret@h/shop?applicationIntent=ReadOnly")),
            ..MssqlOptions::default()
        };
        let endpoint = Endpoint::new(options).unwrap();
        let message = login(&endpoint, "h", true).unwrap();
        let length = u32::from_le_bytes(message[..4].try_into().unwrap());
        assert_eq!(usize::try_from(length).unwrap(), message.len());
        assert_eq!(message[26] & READ_ONLY_INTENT, READ_ONLY_INTENT);
        let text = |index: usize| {
            let entry = &message[36 + index * 4..];
            let at = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
            let units = usize::from(u16::from_le_bytes([entry[2], entry[3]]));
            message[at..at + units * 2].to_vec()
        };
        assert_eq!((text(1), text(8)), (utf16("me"), utf16("shop")));
        // MS-TDS 2.2.6.4: halves swapped, then exclusive or with A5.
        assert_eq!(text(2)[..4], [0x92, 0xA5, 0xF3, 0xA5]);
        assert!(!message.windows(12).any(|window| window == utf16("secret")));
        // MS-TDS 2.2.6.4: an offset and a length of four bytes, and there the offset of the features.
        assert_eq!(message[27] & EXTENSION, EXTENSION);
        let at = usize::from(u16::from_le_bytes([message[56], message[57]]));
        assert_eq!(message[58..60], [4, 0]);
        let at = u32::from_le_bytes(message[at..at + 4].try_into().unwrap());
        assert_eq!(message[usize::try_from(at).unwrap()..], FEATURES);
        let plain = login(&endpoint, "h", false).unwrap();
        assert_eq!((plain[27], plain[58], plain.len()), (0, 0, message.len() - FEATURES.len() - 4));
    }
}
