//! A store's refusals as the SDK's errors: whose fault, where, and what to do.

use std::error::Error as _;

use rivet_sdk::{Error, ErrorKind, Result, Retry, tls};

use crate::answer::{Broken, Refusal};
use crate::identity::NoCredentials;
use crate::options::Secrets;

/// What was being done, for messages and for the permission that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
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

impl Doing {
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
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// What to do.
    pub hint: String,
}

/// A store's own words.
pub struct Words {
    /// What holds objects: `bucket`, `container`.
    pub bucket: &'static str,
    /// The permission that an operation takes.
    pub permission: fn(Doing) -> &'static str,
    /// Where credentials come from, as a hint for when there are none.
    pub credentials: &'static str,
    /// What this store's own codes mean.
    pub advise: fn(&Refusal, Doing) -> Option<Advice>,
}

/// Where something was done.
pub(crate) struct Place<'a> {
    pub words: &'static Words,
    pub bucket: &'a str,
    pub location: &'a str,
    pub secrets: &'a Secrets,
}

impl Place<'_> {
    /// opendal's error while `doing` something to `key`.
    pub fn error(&self, doing: Doing, key: &str, error: &opendal_core::Error) -> Error {
        let what = format!("{} {}{key}", doing.word(), self.location);
        let ours = match cause(error) {
            Cause::Refused(refusal) => self.refused(doing, &what, refusal),
            Cause::Unsigned { text, refused } => {
                let or = if refused { "correct what was refused, or " } else { "" };
                Error::new(ErrorKind::Auth, format!("{}: no credentials: {text}", self.location))
                    .with_hint(format!("{or}{}", self.words.credentials))
            }
            Cause::Other => {
                let kind = match error.kind() {
                    opendal_core::ErrorKind::ConfigInvalid => ErrorKind::Config,
                    opendal_core::ErrorKind::Unsupported => ErrorKind::Unsupported,
                    _ => ErrorKind::Other,
                };
                Error::new(kind, format!("{what}: {}", told(error)))
            }
        };
        ours.map_texts(|text| self.secrets.redact(text))
    }

    fn refused(&self, doing: Doing, what: &str, refusal: &Refusal) -> Error {
        // A store's own words are about what it answered.
        let own = if refusal.broken.is_none() { (self.words.advise)(refusal, doing) } else { None };
        let advice = own.unwrap_or_else(|| self.general(doing, refusal));
        // Where there is no store or no bucket, or nobody is let in, what was to be done there says nothing.
        let any = matches!(refusal.broken, Some(Broken::Connect | Broken::Tls | Broken::Foreign))
            || matches!(advice.kind, ErrorKind::Auth | ErrorKind::Config)
            || self.is_no_bucket(doing, refusal);
        let what = if any { self.location } else { what };
        let mut error = Error::new(advice.kind, format!("{what}: {}", refusal.told())).with_hint(advice.hint);
        if refusal.is_transient() {
            error = error.with_retry(Retry::Transient(refusal.retry_after));
        } else if refusal.broken.is_some() {
            error = error.with_retry(Retry::Permanent);
        }
        match refusal.code.as_str() {
            "" if refusal.status == 0 => error,
            "" => error.with_code(refusal.status.to_string()),
            code => error.with_code(code),
        }
    }

    /// Whether the bucket itself is missing: of an object alone nobody needs to be there to write or to list.
    fn is_no_bucket(&self, doing: Doing, refusal: &Refusal) -> bool {
        let named = matches!(refusal.code.as_str(), "NoSuchBucket" | "ContainerNotFound");
        let whole = matches!(doing, Doing::Write | Doing::List | Doing::ListUploads);
        refusal.broken.is_none() && (named || (refusal.status == 404 && whole))
    }

    fn general(&self, doing: Doing, refusal: &Refusal) -> Advice {
        let Self { words, bucket, .. } = self;
        let noun = words.bucket;
        let permission = (words.permission)(doing);
        let advice = |kind, hint: String| Advice { kind, hint };
        match (refusal.broken, refusal.status, refusal.code.as_str()) {
            (Some(Broken::Connect), ..) => {
                advice(ErrorKind::Connection, "check `endpoint`, the network, and proxies on the way".into())
            }
            (Some(Broken::Tls), ..) => advice(ErrorKind::Connection, tls_hint(refusal)),
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
            _ if self.is_no_bucket(doing, refusal) => {
                advice(ErrorKind::NotFound, format!("there is no {noun} `{bucket}`; check its name, or make it"))
            }
            (None, 401, _) => advice(ErrorKind::Auth, words.credentials.into()),
            // An answer to HEAD says no more than this.
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
            _ if refusal.is_throttling() => {
                advice(ErrorKind::Throttled, "the store asks to slow down; lower `parallel`".into())
            }
            _ => advice(ErrorKind::Other, format!("check `endpoint` and the {noun} `{bucket}`")),
        }
    }
}

fn tls_hint(refusal: &Refusal) -> String {
    match &refusal.tls {
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
    Refused(&'a Refusal),
    Unsigned { text: String, refused: bool },
    Other,
}

fn cause(error: &opendal_core::Error) -> Cause<'_> {
    let mut next = error.source();
    while let Some(one) = next {
        if let Some(refusal) = one.downcast_ref::<Refusal>() {
            return Cause::Refused(refusal);
        }
        if one.is::<reqsign_core::Error>() {
            let refused =
                one.source().and_then(|why| why.downcast_ref::<NoCredentials>()).is_some_and(|why| why.refused);
            return Cause::Unsigned { text: innermost(one), refused };
        }
        next = one.source();
    }
    Cause::Other
}

/// opendal's message and its last cause. Its context is left out: addresses in it may be signed.
fn told(error: &opendal_core::Error) -> String {
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

/// The refusal below opendal's error, if the store or the connection gave one.
pub(crate) fn refusal(error: &opendal_core::Error) -> Option<&Refusal> {
    match cause(error) {
        Cause::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

/// A result of building an operator: what is wrong there is the configuration.
pub fn setup_error<T>(result: opendal_core::Result<T>) -> Result<T> {
    result.map_err(|error| Error::config(told(&error)).with_hint("check the destination's options"))
}
