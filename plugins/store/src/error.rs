//! A store's errors as the SDK's: whose fault, where, and what to do.

use std::error::Error as _;

use rivet_sdk::{Error, ErrorKind, Result, Retry, tls};

use crate::identity::NoCredentials;
use crate::options::Secrets;
use crate::response::{Broken, StoreError};

/// What was asked of the store, for messages and for the permission that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Writing an object.
    Write,
    /// Reading its bytes.
    Read,
    /// Asking whether it is there.
    Look,
    /// Listing a prefix.
    List,
    /// Removing an object.
    Delete,
    /// Giving up an upload.
    Abort,
    /// Listing uploads that nobody completed.
    ListUploads,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Look => "look at",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Abort => "abort the upload of",
            Self::ListUploads => "list the unfinished uploads of",
        }
    }
}

/// A better kind or hint than the general one.
pub struct Advice {
    /// The kind of the error that the user gets.
    pub kind: ErrorKind,
    /// What the user can do, printed after `hint:`.
    pub hint: String,
}

/// What a store's errors are called and mean, for the user.
pub struct ErrorMessages {
    /// What holds objects: `bucket`, `container`.
    pub bucket: &'static str,
    /// The permission that an operation takes.
    pub permission: fn(Operation) -> &'static str,
    /// Where credentials come from, as a hint for when there are none.
    pub credentials: &'static str,
    /// What this store's own codes mean.
    pub advise: fn(&StoreError, Operation) -> Option<Advice>,
}

/// Where something was done.
pub(crate) struct Place<'a> {
    pub messages: &'static ErrorMessages,
    pub bucket: &'a str,
    pub location: &'a str,
    pub secrets: &'a Secrets,
}

impl Place<'_> {
    /// opendal's error while doing `operation` to `key`.
    pub fn error(&self, operation: Operation, key: &str, error: &opendal_core::Error) -> Error {
        let what = format!("{} {}{key}", operation.word(), self.location);
        let ours = match cause(error) {
            Cause::Refused(store_error) => self.refused(operation, &what, store_error),
            Cause::Unsigned { text, refused } => {
                let or = if refused { "correct what was refused, or " } else { "" };
                Error::new(ErrorKind::Auth, format!("{}: no credentials: {text}", self.location))
                    .with_hint(format!("{or}{}", self.messages.credentials))
            }
            Cause::Other => {
                let kind = match error.kind() {
                    opendal_core::ErrorKind::ConfigInvalid => ErrorKind::Config,
                    opendal_core::ErrorKind::Unsupported => ErrorKind::Unsupported,
                    _ => ErrorKind::Other,
                };
                Error::new(kind, format!("{what}: {}", message_with_cause(error)))
            }
        };
        ours.map_texts(|text| self.secrets.redact(text))
    }

    fn refused(&self, operation: Operation, what: &str, store_error: &StoreError) -> Error {
        // A store's own advice is about what it answered.
        let own = if store_error.broken.is_none() { (self.messages.advise)(store_error, operation) } else { None };
        let advice = own.unwrap_or_else(|| self.general(operation, store_error));
        // Where there is no store or no bucket, or nobody is let in, what was to be done there says nothing.
        let any = matches!(store_error.broken, Some(Broken::Connect | Broken::Tls | Broken::Foreign))
            || matches!(advice.kind, ErrorKind::Auth | ErrorKind::Config)
            || self.is_no_bucket(operation, store_error);
        let what = if any { self.location } else { what };
        let mut error =
            Error::new(advice.kind, format!("{what}: {}", store_error.message_with_status())).with_hint(advice.hint);
        if store_error.is_transient() {
            error = error.with_retry(Retry::Transient(store_error.retry_after));
        } else if store_error.broken.is_some() {
            error = error.with_retry(Retry::Permanent);
        }
        match store_error.code.as_str() {
            "" if store_error.status == 0 => error,
            "" => error.with_code(store_error.status.to_string()),
            code => error.with_code(code),
        }
    }

    /// Whether the bucket itself is missing: of an object alone nobody needs to be there to write or to list.
    fn is_no_bucket(&self, operation: Operation, store_error: &StoreError) -> bool {
        let named = matches!(store_error.code.as_str(), "NoSuchBucket" | "ContainerNotFound");
        let whole = matches!(operation, Operation::Write | Operation::List | Operation::ListUploads);
        store_error.broken.is_none() && (named || (store_error.status == 404 && whole))
    }

    fn general(&self, operation: Operation, store_error: &StoreError) -> Advice {
        let Self { messages, bucket, .. } = self;
        let noun = messages.bucket;
        let permission = (messages.permission)(operation);
        let advice = |kind, hint: String| Advice { kind, hint };
        match (store_error.broken, store_error.status, store_error.code.as_str()) {
            (Some(Broken::Connect), ..) => {
                advice(ErrorKind::Connection, "check `endpoint`, the network, and proxies on the way".into())
            }
            (Some(Broken::Tls), ..) => advice(ErrorKind::Connection, tls_hint(store_error)),
            (Some(Broken::Foreign), ..) => advice(
                ErrorKind::Connection,
                "check `endpoint`: its host, its port and its path; or a proxy on the way answers for the store".into(),
            ),
            (Some(Broken::Reset), ..) => {
                advice(ErrorKind::Connection, "the connection keeps breaking; check the network, and that a store answers at `endpoint`, which begins with http:// or https:// as it speaks".into())
            }
            (Some(Broken::Stalled), ..) => {
                advice(ErrorKind::Timeout, "raise `transfer: {stall_timeout_s: …}` if the store is only slow".into())
            }
            (Some(Broken::Damaged), ..) => advice(
                ErrorKind::Integrity,
                "what arrived is not what was sent; check the network, and use https".into(),
            ),
            _ if self.is_no_bucket(operation, store_error) => {
                advice(ErrorKind::NotFound, format!("there is no {noun} `{bucket}`; check its name, or make it"))
            }
            (None, 401, _) => advice(ErrorKind::Auth, messages.credentials.into()),
            // A response to HEAD says no more than this.
            (None, 403, "") => advice(
                ErrorKind::Permission,
                format!("the credentials need {permission} on the {noun} `{bucket}`, or they have expired"),
            ),
            (None, 403, _) => {
                advice(ErrorKind::Permission, format!("the credentials need {permission} on the {noun} `{bucket}`"))
            }
            (None, 404, _) => {
                advice(ErrorKind::NotFound, format!("check that the {noun} `{bucket}` exists, and `endpoint`"))
            }
            (None, 409 | 412, _) => advice(ErrorKind::Conflict, "another writer was first".into()),
            (None, 501, _) => advice(
                ErrorKind::Unsupported,
                "the store does not offer this; rivet needs conditional writes (If-None-Match)".into(),
            ),
            (None, 507, _) => advice(ErrorKind::ResourceExhausted, format!("the {noun} `{bucket}` is full")),
            (None, 429 | 503, _) => {
                advice(ErrorKind::Throttled, "the store asks to slow down; lower `parallel`, or try later".into())
            }
            (None, 500..=599, _) => advice(ErrorKind::Transient, "the store had a failure; try later".into()),
            _ if store_error.is_throttling() => {
                advice(ErrorKind::Throttled, "the store asks to slow down; lower `parallel`".into())
            }
            _ => advice(ErrorKind::Other, format!("check `endpoint` and the {noun} `{bucket}`")),
        }
    }
}

fn tls_hint(store_error: &StoreError) -> String {
    match &store_error.tls {
        Some(fault) if fault.cause == tls::Cause::Plain => {
            "check the port in `endpoint`; a store without TLS is named with http://".into()
        }
        Some(fault) => fault.hint(
            "name the authority that signed it: `transfer: { ca_file: … }`; a certificate that signed itself can be named \
             there if it was made with CA:FALSE",
        ),
        None => "check `endpoint`, and `transfer: { ca_file: … }`".into(),
    }
}

enum Cause<'a> {
    Refused(&'a StoreError),
    Unsigned { text: String, refused: bool },
    Other,
}

fn cause(error: &opendal_core::Error) -> Cause<'_> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(store_error) = cause.downcast_ref::<StoreError>() {
            return Cause::Refused(store_error);
        }
        if cause.is::<reqsign_core::Error>() {
            let refused =
                cause.source().and_then(|why| why.downcast_ref::<NoCredentials>()).is_some_and(|why| why.refused);
            return Cause::Unsigned { text: innermost(cause), refused };
        }
        next = cause.source();
    }
    Cause::Other
}

/// opendal's message and its last cause. Its context is left out: addresses in it may be signed.
fn message_with_cause(error: &opendal_core::Error) -> String {
    match error.source() {
        Some(source) => format!("{}: {}", error.message(), innermost(source)),
        None => error.message().to_owned(),
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// The store's error below opendal's, if the store or the connection gave one.
pub(crate) fn store_error(error: &opendal_core::Error) -> Option<&StoreError> {
    match cause(error) {
        Cause::Refused(store_error) => Some(store_error),
        _ => None,
    }
}

/// A result of building an operator: what is wrong there is the configuration.
pub fn setup_error<T>(result: opendal_core::Result<T>) -> Result<T> {
    result.map_err(|error| Error::config(message_with_cause(&error)).with_hint("check the destination's options"))
}
