//! Logs in: caching_sha2_password, mysql_native_password, ed25519, sha256_password and clear text
//! over TLS, as the server asks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
use mysql_common::auth::plugins::client_ed25519::ClientEd25519;
use mysql_common::auth::plugins::mysql_native_password::scramble_native;
use mysql_common::auth::plugins::{ChallengeResponsePlugin, Context};
use rivet_sdk::cursor::Cursor;
use rivet_sdk::{Error, ErrorKind, Result};

use crate::error::{ServerMessage, confused};
use crate::options::{Compression, Endpoint};
use crate::packet::{Greeting, capability, put_length, until_zero};
use crate::wire::Wire;

/// utf8mb4_general_ci, which every version knows.
const CHARSET: u8 = 45;
const MAX_PACKET: u32 = 1 << 30;

/// What the server shall spend on zstd: its own default.
const ZSTD_LEVEL: u8 = 3;

const SHA2: &str = "caching_sha2_password";
const NATIVE: &str = "mysql_native_password";
const SHA256: &str = "sha256_password";
const CLEAR: &str = "mysql_clear_password";
const ED25519: &str = "client_ed25519";

/// What we ask for, of what the server offers.
fn capabilities(endpoint: &Endpoint, greeting: &Greeting) -> u32 {
    use capability as c;
    let mut wanted = c::LONG_FLAG
        | c::PROTOCOL_41
        | c::TRANSACTIONS
        | c::SECURE_CONNECTION
        | c::PLUGIN_AUTH
        | c::CONNECT_ATTRIBUTES
        | c::PLUGIN_AUTH_LENENC
        | c::DEPRECATE_EOF;
    // MariaDB looks for its own flags only where MySQL's first one is missing.
    if greeting.extended == 0 {
        wanted |= c::MYSQL;
    }
    if endpoint.database.is_some() {
        wanted |= c::CONNECT_WITH_DB;
    }
    wanted |= compression(endpoint.compression);
    wanted & (greeting.capabilities | c::CONNECT_WITH_DB | c::MYSQL)
}

/// The capability that stands for a compression.
pub(crate) fn compression(wanted: Compression) -> u32 {
    match wanted {
        Compression::None => 0,
        Compression::Zlib => capability::COMPRESS,
        Compression::Zstd => capability::ZSTD,
    }
}

/// Capabilities, packet size, character set, MariaDB's own capabilities.
fn head(endpoint: &Endpoint, greeting: &Greeting, extra: u32) -> Vec<u8> {
    let mut out = (capabilities(endpoint, greeting) | extra).to_le_bytes().to_vec();
    out.extend(MAX_PACKET.to_le_bytes());
    out.push(CHARSET);
    out.extend([0; 19]);
    out.extend((greeting.extended & capability::MARIADB_EXTENDED_METADATA).to_le_bytes());
    out
}

/// The packet after which TLS begins.
pub(crate) fn ssl_request(endpoint: &Endpoint, greeting: &Greeting) -> Vec<u8> {
    let body = head(endpoint, greeting, capability::SSL);
    let mut packet = vec![32, 0, 0, 1];
    packet.extend(body);
    packet
}

impl Wire {
    /// Sends the login and answers the server's questions until it is content. Gives the
    /// capabilities both sides have.
    pub(crate) fn authenticate(&mut self, endpoint: &Endpoint, greeting: &Greeting) -> Result<u32> {
        let private = self.is_private();
        let mut plugin = match greeting.plugin.as_str() {
            known @ (SHA2 | NATIVE | SHA256 | CLEAR) => known.to_owned(),
            _ => NATIVE.to_owned(),
        };
        let mut nonce = greeting.nonce.clone();
        let ssl = if self.tls_version().is_some() { capability::SSL } else { 0 };
        let mut login = head(endpoint, greeting, ssl);
        login.extend(endpoint.user.as_bytes());
        login.push(0);
        let response = first_response(&plugin, &nonce, endpoint, private)?;
        if greeting.can(capability::PLUGIN_AUTH_LENENC) {
            put_length(&mut login, response.len());
        } else {
            login.push(u8::try_from(response.len()).map_err(|_| too_long())?);
        }
        login.extend(response);
        if let Some(database) = &endpoint.database {
            login.extend(database.as_bytes());
            login.push(0);
        }
        if greeting.can(capability::PLUGIN_AUTH) {
            login.extend(plugin.as_bytes());
            login.push(0);
        }
        if greeting.can(capability::CONNECT_ATTRIBUTES) {
            let mut attributes = Vec::new();
            for text in ["program_name", "rivet", "_client_name", "rivet"] {
                put_length(&mut attributes, text.len());
                attributes.extend(text.as_bytes());
            }
            put_length(&mut login, attributes.len());
            login.extend(attributes);
        }
        if endpoint.compression == Compression::Zstd {
            login.push(ZSTD_LEVEL);
        }
        self.send_login(&login)?;
        loop {
            let body = self.login_message()?;
            match body.split_first() {
                Some((0x00, _)) => return Ok(capabilities(endpoint, greeting)),
                Some((0xFF, _)) => {
                    let error = ServerMessage::parse(&body).into_error();
                    return Err(error.with_context("server", endpoint.display()).with_context("user", &endpoint.user));
                }
                Some((0xFE, [])) => return Err(unsupported("mysql_old_password")),
                Some((0xFE, rest)) => {
                    let mut parts = Cursor::new(rest);
                    plugin = String::from_utf8_lossy(until_zero(&mut parts)).into_owned();
                    // Where a zero ends the nonce; this plugin's has 32 bytes of any value.
                    let ended = parts.rest().strip_suffix(&[0]).filter(|_| plugin != ED25519);
                    nonce = ended.unwrap_or(parts.rest()).to_vec();
                    let response = first_response(&plugin, &nonce, endpoint, private)?;
                    self.send_login(&response)?;
                }
                // The quick way worked: an OK follows.
                Some((0x01, [3])) if plugin == SHA2 => {}
                Some((0x01, [4])) if plugin == SHA2 => {
                    let response = if private { clear(endpoint)? } else { vec![2] };
                    self.send_login(&response)?;
                }
                Some((0x01, key)) if (plugin == SHA2 || plugin == SHA256) && !private => {
                    let response = encrypted(endpoint, &nonce, key)?;
                    self.send_login(&response)?;
                }
                _ => return Err(confused("its answer to the login")),
            }
        }
    }
}

fn first_response(plugin: &str, nonce: &[u8], endpoint: &Endpoint, private: bool) -> Result<Vec<u8>> {
    let password = endpoint.password.as_ref().map(|secret| secret.expose().as_bytes()).unwrap_or_default();
    if password.is_empty() && plugin != CLEAR {
        return Ok(if plugin == SHA256 { vec![0] } else { Vec::new() });
    }
    let bad_nonce = || confused("the nonce of the login");
    Ok(match plugin {
        NATIVE => scramble_native(nonce.get(..20).ok_or_else(bad_nonce)?, password).map(Vec::from).unwrap_or_default(),
        SHA2 => {
            let nonce = nonce.first_chunk::<20>().ok_or_else(bad_nonce)?;
            scramble_sha256(nonce, password).map(Vec::from).unwrap_or_default()
        }
        ED25519 => ed25519(nonce, password)?,
        SHA256 if private => clear(endpoint)?,
        SHA256 => vec![1],
        CLEAR if private => clear(endpoint)?,
        CLEAR => {
            return Err(Error::new(ErrorKind::Auth, "the server asks for the password in clear text, without TLS")
                .with_hint("turn TLS on: `tls: { mode: verify-full }`"));
        }
        other => return Err(unsupported(other)),
    })
}

/// MariaDB's: the nonce, signed by a key that is made of the password.
fn ed25519(nonce: &[u8], password: &[u8]) -> Result<Vec<u8>> {
    struct Login<'a>(&'a [u8]);
    impl Context for Login<'_> {
        fn pass(&self) -> &[u8] {
            self.0
        }
        fn is_ipc_transport(&self) -> bool {
            false
        }
        fn is_tls_transport(&self) -> bool {
            false
        }
        fn scramble(&self) -> &[u8] {
            &[]
        }
        fn server_key_pem(&self) -> Option<&[u8]> {
            None
        }
    }
    match ClientEd25519::default().run(Login(password), nonce) {
        Ok(response) => Ok(response.data().unwrap_or_default().to_vec()),
        Err(_) => Err(confused("the nonce of the login")),
    }
}

/// The password and a zero byte: over TLS or a Unix socket only.
fn clear(endpoint: &Endpoint) -> Result<Vec<u8>> {
    let mut bytes = endpoint.password.as_ref().map(|secret| secret.expose().as_bytes().to_vec()).unwrap_or_default();
    if bytes.contains(&0) {
        return Err(Error::config("the password holds a zero byte, which MySQL cannot take"));
    }
    bytes.push(0);
    Ok(bytes)
}

/// The password under the server's RSA key, for connections that others may listen to.
fn encrypted(endpoint: &Endpoint, nonce: &[u8], key: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = clear(endpoint)?;
    if nonce.is_empty() {
        return Err(confused("the nonce of the login"));
    }
    bytes.iter_mut().zip(nonce.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    // The key comes from the server, and its parser panics where it is malformed.
    match catch_unwind(AssertUnwindSafe(|| mysql_common::crypto::encrypt(&bytes, key))) {
        Ok(Ok(encrypted)) => Ok(encrypted),
        _ => Err(Error::new(ErrorKind::Auth, "the server's RSA key cannot be used for the password")
            .with_hint("use TLS, which needs no such key")),
    }
}

fn too_long() -> Error {
    Error::config("the password is too long for this server")
}

fn unsupported(plugin: &str) -> Error {
    Error::new(ErrorKind::Auth, format!("the login needs the plugin {plugin}, which rivet does not offer"))
        .with_hint("use caching_sha2_password, mysql_native_password or ed25519 for this user")
}
