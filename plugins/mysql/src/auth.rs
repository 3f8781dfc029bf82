//! Logs in: caching_sha2_password, mysql_native_password, ed25519, parsec, sha256_password and clear text over TLS, as
//! the server asks.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mysql_common::auth::plugins::{AuthProc, ChallengeResponsePlugin as _, Context};
use mysql_common::constants::{CapabilityFlags, MariadbCapabilities};
use mysql_common::io::ParseBuf;
use mysql_common::packets::{AuthPlugin, AuthSwitchRequest, HandshakeResponse, SslRequest};
use mysql_common::proto::MySerialize as _;
use rivet_sdk::{Error, ErrorKind, Result};

use crate::error::{ServerMessage, confused};
use crate::options::{Compression, Endpoint};
use crate::packet::Greeting;
use crate::wire::Wire;

/// utf8mb4_general_ci, which every version knows.
const CHARSET: u8 = 45;
/// Any version by which `mysql_common` takes that one.
const WITH_UTF8MB4: (u16, u16, u16) = (5, 7, 0);
const MAX_PACKET: u32 = 1 << 30;

/// What the server shall spend on zstd: its own default.
const ZSTD_LEVEL: u8 = 3;

/// What we ask for, of what the server offers.
fn capabilities(endpoint: &Endpoint, greeting: &Greeting) -> CapabilityFlags {
    use CapabilityFlags as C;
    let mut wanted = C::CLIENT_LONG_FLAG
        | C::CLIENT_PROTOCOL_41
        | C::CLIENT_TRANSACTIONS
        | C::CLIENT_SECURE_CONNECTION
        | C::CLIENT_PLUGIN_AUTH
        | C::CLIENT_CONNECT_ATTRS
        | C::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
        | C::CLIENT_DEPRECATE_EOF
        | compression(endpoint.compression);
    // MariaDB looks for its own flags only where MySQL's first one is missing.
    wanted.set(C::CLIENT_LONG_PASSWORD, greeting.extended.is_empty());
    wanted.set(C::CLIENT_CONNECT_WITH_DB, endpoint.database.is_some());
    wanted & (greeting.capabilities | C::CLIENT_CONNECT_WITH_DB | C::CLIENT_LONG_PASSWORD)
}

/// The capability that stands for a compression.
pub(crate) fn compression(wanted: Compression) -> CapabilityFlags {
    match wanted {
        Compression::None => CapabilityFlags::empty(),
        Compression::Zlib => CapabilityFlags::CLIENT_COMPRESS,
        Compression::Zstd => CapabilityFlags::CLIENT_ZSTD_COMPRESSION_ALGORITHM,
    }
}

/// MariaDB's own, as far as we know what to do with them.
fn extended(greeting: &Greeting) -> MariadbCapabilities {
    greeting.extended & MariadbCapabilities::MARIADB_CLIENT_EXTENDED_METADATA
}

/// The packet after which TLS begins.
pub(crate) fn ssl_request(endpoint: &Endpoint, greeting: &Greeting) -> Vec<u8> {
    let capabilities = capabilities(endpoint, greeting) | CapabilityFlags::CLIENT_SSL;
    let mut packet = vec![32, 0, 0, 1];
    SslRequest::new(capabilities, MAX_PACKET, CHARSET)
        .with_mariadb_capabilities(extended(greeting))
        .serialize(&mut packet);
    packet
}

impl Wire {
    /// Sends the login and answers the server's questions until it is content. Gives the
    /// capabilities both sides have.
    pub(crate) fn authenticate(&mut self, endpoint: &Endpoint, greeting: &Greeting) -> Result<CapabilityFlags> {
        let plugin = match &greeting.plugin {
            Some(
                known @ (AuthPlugin::CachingSha2Password
                | AuthPlugin::MysqlNativePassword
                | AuthPlugin::Sha256Password
                | AuthPlugin::MysqlClearPassword),
            ) => known.clone(),
            _ => AuthPlugin::MysqlNativePassword,
        };
        let private = self.is_private();
        let agreed = capabilities(endpoint, greeting);
        let (mut login, response) = Login::begin(endpoint, private, &plugin, &greeting.nonce)?;
        if !greeting.can(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) && response.len() > 255 {
            return Err(Error::config("the password is too long for this server"));
        }
        let mut flags = agreed;
        flags.set(CapabilityFlags::CLIENT_SSL, self.tls_version().is_some());
        let attributes = [("program_name", "rivet"), ("_client_name", "rivet")];
        let packet = HandshakeResponse::new(
            Some(response),
            WITH_UTF8MB4,
            Some(endpoint.user.as_bytes()),
            endpoint.database.as_ref().map(String::as_bytes),
            greeting.can(CapabilityFlags::CLIENT_PLUGIN_AUTH).then_some(plugin),
            flags,
            greeting
                .can(CapabilityFlags::CLIENT_CONNECT_ATTRS)
                .then(|| HashMap::from(attributes.map(|(name, value)| (name.to_owned(), value.to_owned())))),
            MAX_PACKET,
        );
        let mut body = Vec::new();
        packet.with_mariadb_ext_capabilities(extended(greeting)).serialize(&mut body);
        if endpoint.compression == Compression::Zstd {
            body.push(ZSTD_LEVEL);
        }
        self.send_login(&body)?;
        loop {
            let body = self.login_message()?;
            let response = match body.split_first() {
                Some((0x00, _)) => return Ok(agreed),
                Some((0xFF, _)) => {
                    let error = ServerMessage::parse(&body).into_error();
                    return Err(error.with_context("server", endpoint.display()).with_context("user", &endpoint.user));
                }
                Some((0xFE, [])) => return Err(unsupported(&AuthPlugin::MysqlOldPassword)),
                Some((0xFE, _)) => {
                    let Ok(switch) = ParseBuf(&body).parse::<AuthSwitchRequest<'_>>(()) else {
                        return Err(confused("its answer to the login"));
                    };
                    let response;
                    (login, response) = Login::begin(endpoint, private, &switch.auth_plugin(), switch.plugin_data())?;
                    Some(response)
                }
                Some((0x01, data)) => login.more(data)?,
                // MariaDB puts no 0x01 before what cannot be mistaken for another packet.
                Some((b'P', _)) if login.is_parsec() => login.more(&body)?,
                _ => return Err(confused("its answer to the login")),
            };
            if let Some(response) = response {
                self.send_login(&response)?;
            }
        }
    }
}

/// A conversation by a plugin's rules.
struct Login<'a> {
    password: &'a [u8],
    /// Whether nobody else can listen.
    private: bool,
    nonce: Vec<u8>,
    steps: AuthProc,
}

impl<'a> Login<'a> {
    /// Begins it. Gives the first response too.
    fn begin(endpoint: &'a Endpoint, private: bool, plugin: &AuthPlugin<'_>, nonce: &[u8]) -> Result<(Self, Vec<u8>)> {
        let password = endpoint.password.as_ref().map(|secret| secret.expose().as_bytes()).unwrap_or_default();
        let steps = match plugin {
            AuthPlugin::Other(_) | AuthPlugin::MysqlOldPassword if !password.is_empty() => {
                return Err(unsupported(plugin));
            }
            AuthPlugin::MysqlClearPassword if !private => {
                return Err(Error::new(ErrorKind::Auth, "the server asks for the password in clear text, without TLS")
                    .with_hint("turn TLS on: `tls: { mode: verify-full }`"));
            }
            // Nothing else is asked for where there is no password.
            AuthPlugin::Other(_) => AuthProc::MysqlNativePassword(Default::default()),
            known => known.init().map_err(|_| unsupported(plugin))?,
        };
        let mut login = Self { password, private, nonce: nonce.to_vec(), steps };
        let response = match plugin {
            AuthPlugin::MysqlClearPassword | AuthPlugin::Parsec => login.step(nonce)?,
            AuthPlugin::Sha256Password if password.is_empty() => Some(vec![0]),
            _ if password.is_empty() => None,
            _ => login.step(nonce)?,
        };
        Ok((login, response.unwrap_or_default()))
    }

    /// The next response; None where nothing is sent.
    fn step(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>> {
        if matches!(self.steps, AuthProc::MysqlClearPassword(_) | AuthProc::Sha256Password(_)) {
            self.check()?;
        }
        let transport = Transport { password: self.password, private: self.private, nonce: &self.nonce };
        match self.steps.run(transport, challenge) {
            Ok(response) => Ok(response.data().map(<[u8]>::to_vec)),
            Err(_) => Err(confused("the nonce of the login")),
        }
    }

    /// The same for what the server says later: that the quick way worked, or did not, its RSA key, or a salt.
    fn more(&mut self, data: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check()?;
        let transport = Transport { password: self.password, private: self.private, nonce: &self.nonce };
        // The key comes from the server, and its parser panics where it is malformed.
        match catch_unwind(AssertUnwindSafe(|| self.steps.run(transport, data))) {
            Ok(Ok(response)) => Ok(response.data().map(<[u8]>::to_vec)),
            _ if data.len() > 1 && !self.is_parsec() => {
                Err(Error::new(ErrorKind::Auth, "the server's RSA key cannot be used for the password")
                    .with_hint("use TLS, which needs no such key"))
            }
            _ => Err(confused("its answer to the login")),
        }
    }

    /// A password that is sent itself, and not a hash of it, ends with a zero.
    fn check(&self) -> Result<()> {
        match self.password.contains(&0) && !self.is_parsec() {
            true => Err(Error::config("the password holds a zero byte, which MySQL cannot take")),
            false => Ok(()),
        }
    }

    fn is_parsec(&self) -> bool {
        matches!(self.steps, AuthProc::Parsec(_))
    }
}

struct Transport<'a> {
    password: &'a [u8],
    private: bool,
    nonce: &'a [u8],
}

impl Context for Transport<'_> {
    fn pass(&self) -> &[u8] {
        self.password
    }

    fn is_ipc_transport(&self) -> bool {
        false
    }

    /// A Unix socket is as good as TLS, and `sha256_password` asks for TLS alone.
    fn is_tls_transport(&self) -> bool {
        self.private
    }

    fn scramble(&self) -> &[u8] {
        self.nonce
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

fn unsupported(plugin: &AuthPlugin<'_>) -> Error {
    let name = String::from_utf8_lossy(plugin.as_bytes());
    Error::new(ErrorKind::Auth, format!("the login needs the plugin {name}, which rivet does not offer"))
        .with_hint("use caching_sha2_password, mysql_native_password or ed25519 for this user")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use ring::pbkdf2::{PBKDF2_HMAC_SHA512, derive};
    use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
    use rivet_sdk::Secret;

    use super::*;
    use crate::options::MysqlOptions;

    fn endpoint(password: &str) -> Endpoint {
        let url = format!("mysql://me:{password}@db/shop");
        Endpoint::new(MysqlOptions { url: Some(Secret::new(url)), ..MysqlOptions::default() }).unwrap()
    }

    /// What a server of MariaDB 11.6 or later does with the answer, by another library.
    fn takes(password: &str, nonce: &[u8], salt: &[u8], answer: &[u8]) -> bool {
        let mut seed = [0; 32];
        derive(
            PBKDF2_HMAC_SHA512,
            NonZeroU32::new(1024 << salt[1]).unwrap(),
            &salt[2..],
            password.as_bytes(),
            &mut seed,
        );
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let (scramble, signature) = answer.split_at(32);
        UnparsedPublicKey::new(&ED25519, key.public_key()).verify(&[nonce, scramble].concat(), signature).is_ok()
    }

    #[test]
    fn parsec_signs_both_nonces_with_a_key_made_of_password_and_salt() {
        let nonce = [7; 32];
        for factor in [0, 3] {
            let salt = [&[b'P', factor][..], b"eighteen bytes are"].concat();
            let endpoint = endpoint("secret");
            let (mut login, first) = Login::begin(&endpoint, false, &AuthPlugin::Parsec, &nonce).unwrap();
            assert_eq!(first, b"");
            let answer = login.more(&salt).unwrap().unwrap();
            assert!(takes("secret", &nonce, &salt, &answer));
            assert!(!takes("another", &nonce, &salt, &answer) && !takes("secret", &[8; 32], &salt, &answer));
            assert!(login.more(&salt).is_err(), "the conversation is over");
        }
        let endpoint = endpoint("secret");
        for odd in [&b"Q\x01eighteen bytes are"[..], b"P\x01short", b""] {
            let (mut login, _) = Login::begin(&endpoint, false, &AuthPlugin::Parsec, &nonce).unwrap();
            assert_eq!(login.more(odd).unwrap_err().kind(), ErrorKind::Connection);
        }
        assert!(Login::begin(&endpoint, false, &AuthPlugin::Parsec, &nonce[1..]).is_err());
    }

    #[test]
    fn a_password_itself_is_sent_only_where_nobody_listens() {
        let endpoint = endpoint("secret");
        let begin = |private, plugin| Login::begin(&endpoint, private, &plugin, &[7; 20]).map(|(_, first)| first);
        assert_eq!(begin(true, AuthPlugin::MysqlClearPassword).unwrap(), b"secret\0");
        assert_eq!(begin(false, AuthPlugin::MysqlClearPassword).unwrap_err().kind(), ErrorKind::Auth);
        assert_eq!(begin(true, AuthPlugin::Sha256Password).unwrap(), b"secret\0");
        // It asks for the server's key.
        assert_eq!(begin(false, AuthPlugin::Sha256Password).unwrap(), [1]);
        let (mut login, _) = Login::begin(&endpoint, false, &AuthPlugin::CachingSha2Password, &[7; 20]).unwrap();
        assert_eq!(login.more(&[4]).unwrap(), Some(vec![2]));
        assert_eq!(login.more(b"no key").unwrap_err().kind(), ErrorKind::Auth);
        let (mut login, _) = Login::begin(&endpoint, true, &AuthPlugin::CachingSha2Password, &[7; 20]).unwrap();
        assert_eq!(login.more(&[4]).unwrap(), Some(b"secret\0".to_vec()));
        let unknown = AuthPlugin::Other(b"authentication_kerberos_client".into());
        assert!(begin(true, unknown).unwrap_err().message().contains("authentication_kerberos_client"));
    }
}
