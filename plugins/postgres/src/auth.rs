//! Logs in: SCRAM-SHA-256, md5 and clear text, as the server asks.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AUTHENTICATION_TAG, Message};
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
            let (tag, message) = self.login_message()?;
            let message = message.map_err(|_| match tag {
                AUTHENTICATION_TAG => unsupported("the method the server asks for"),
                _ => confused("its answer to the login"),
            })?;
            match message {
                Message::ErrorResponse(body) => {
                    let error = refusal(ServerMessage::of(body.fields()), credentials_sent);
                    return Err(error
                        .with_context("server", self.server().display())
                        .with_context("user", &endpoint.user));
                }
                Message::NoticeResponse(_) => {}
                Message::AuthenticationOk => return Ok(()),
                Message::AuthenticationCleartextPassword => {
                    credentials_sent = true;
                    let password = password(endpoint)?;
                    self.send(|out| frontend::password_message(password.expose().as_bytes(), out))?;
                }
                Message::AuthenticationMd5Password(body) => {
                    credentials_sent = true;
                    let password = password(endpoint)?.expose().as_bytes();
                    let hash = md5_hash(endpoint.user.as_bytes(), password, body.salt());
                    self.send(|out| frontend::password_message(hash.as_bytes(), out))?;
                }
                Message::AuthenticationSasl(body) => {
                    let known = body.mechanisms().any(|name| Ok(name == SCRAM_SHA_256));
                    if !known.map_err(|_| confused("the login request"))? {
                        return Err(unsupported("SASL mechanisms other than SCRAM-SHA-256"));
                    }
                    let exchange =
                        ScramSha256::new(password(endpoint)?.expose().as_bytes(), ChannelBinding::unsupported());
                    self.send(|out: &mut BytesMut| {
                        frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), out)
                    })?;
                    scram = Some(exchange);
                }
                Message::AuthenticationSaslContinue(body) => {
                    credentials_sent = true;
                    let exchange = scram.as_mut().ok_or_else(|| confused("SASL out of order"))?;
                    exchange.update(body.data()).map_err(|error| failed(&error))?;
                    self.send(|out| frontend::sasl_response(exchange.message(), out))?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let exchange = scram.as_mut().ok_or_else(|| confused("SASL out of order"))?;
                    exchange.finish(body.data()).map_err(|error| failed(&error))?;
                }
                Message::AuthenticationGss | Message::AuthenticationGssContinue(_) | Message::AuthenticationSspi => {
                    return Err(unsupported("GSSAPI and SSPI"));
                }
                Message::AuthenticationKerberosV5 | Message::AuthenticationScmCredential => {
                    return Err(unsupported("the method the server asks for"));
                }
                _ => return Err(confused("its answer to the login")),
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
