//! Logs in: SCRAM-SHA-256, md5 and clear text, as the server asks.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use rivet_sdk::{Error, ErrorKind, Result, Secret};

use crate::error::{ServerMessage, confused};
use crate::options::Endpoint;
use crate::wire::Wire;

impl Wire {
    /// Answers the server's authentication requests until it is content.
    pub(crate) fn authenticate(&mut self, endpoint: &Endpoint) -> Result<()> {
        let mut scram: Option<ScramSha256> = None;
        let mut credentials_sent = false;
        loop {
            let (tag, body) = self.login_message()?;
            match tag {
                b'R' => {}
                b'E' => {
                    let error = refusal(ServerMessage::parse(&body), credentials_sent);
                    return Err(error
                        .with_context("server", self.server().display())
                        .with_context("user", &endpoint.user));
                }
                b'N' => continue,
                _ => return Err(confused("its answer to the login")),
            }
            let (request, data) = body.split_first_chunk::<4>().ok_or_else(|| confused("the login request"))?;
            let request = i32::from_be_bytes(*request);
            credentials_sent |= matches!(request, 3 | 5 | 11);
            match request {
                0 => return Ok(()),
                3 => {
                    let password = password(endpoint)?;
                    self.send(|out| frontend::password_message(password.expose().as_bytes(), out))?;
                }
                5 => {
                    let salt = data.try_into().map_err(|_| confused("the md5 salt"))?;
                    let hash = md5_hash(endpoint.user.as_bytes(), password(endpoint)?.expose().as_bytes(), salt);
                    self.send(|out| frontend::password_message(hash.as_bytes(), out))?;
                }
                10 => {
                    if !data.split(|byte| *byte == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) {
                        return Err(unsupported("SASL mechanisms other than SCRAM-SHA-256"));
                    }
                    let exchange =
                        ScramSha256::new(password(endpoint)?.expose().as_bytes(), ChannelBinding::unsupported());
                    self.send(|out: &mut BytesMut| {
                        frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), out)
                    })?;
                    scram = Some(exchange);
                }
                11 => {
                    let exchange = scram.as_mut().ok_or_else(|| confused("SASL out of order"))?;
                    exchange.update(data).map_err(|error| failed(&error))?;
                    self.send(|out| frontend::sasl_response(exchange.message(), out))?;
                }
                12 => {
                    let exchange = scram.as_mut().ok_or_else(|| confused("SASL out of order"))?;
                    exchange.finish(data).map_err(|error| failed(&error))?;
                }
                7..=9 => return Err(unsupported("GSSAPI and SSPI")),
                _ => return Err(unsupported("the method the server asks for")),
            }
        }
    }
}

/// pgBouncer has one code for every refusal; in answer to credentials it means those.
fn refusal(message: ServerMessage, credentials_sent: bool) -> Error {
    if credentials_sent && message.code == "08P01" {
        return Error::new(ErrorKind::Auth, format!("the pooler refused the login: {}", message.message))
            .with_code(message.code)
            .with_hint("check the user and the password, and that the pooler knows them");
    }
    message.into_error()
}

fn password(endpoint: &Endpoint) -> Result<&Secret> {
    endpoint.password.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Auth, format!("the server asks for a password of user {}, none is given", endpoint.user))
            .with_hint("add `password_env: NAME_OF_A_VARIABLE`")
    })
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Auth, format!("the login needs {what}, which rivet does not offer"))
        .with_hint("use scram-sha-256, md5, password, cert or trust in pg_hba.conf")
}

fn failed(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Auth, "the server could not prove that it knows the password").with_source(error)
}
