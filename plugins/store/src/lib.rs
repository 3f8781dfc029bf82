//! What rivet's object store plugins share: everything but options, credentials and quirks.
//!
//! opendal writes and signs the requests of each store; this crate carries them ([`Wire`]):
//! time limits, retries, checksums of what is sent, and errors whose code and kind are typed.
//! On top stands [`Store`], the SDK's `Destination`: objects stream as multipart uploads with a
//! bounded number of parts in flight, and what is visible is whole.

#![forbid(unsafe_code)]

mod digest;
mod error;
mod exchange;
mod genuine;
mod hidden;
mod identity;
mod key;
mod listing;
mod options;
mod pages;
mod parts;
mod pending;
mod response;
mod runtime;
mod store;
mod tags;
mod wire;
mod writer;

pub use digest::Dialect;
pub use error::{Advice, ErrorMessages, Operation, setup_error};
pub use identity::Ways;
pub use key::{prefix, required};
pub use listing::ListApi;
pub use options::{Secrets, TransferOptions};
pub use pending::{MultipartApi, SignRequest, encoded};
pub use response::StoreError;
pub use runtime::wait;
pub use store::{Setup, Store};
pub use tags::Tags;
pub use wire::Wire;

/// What this crate's log records are of. The host shows those of a plugin's own crate and of the SDK; this crate is a
/// part of several plugins.
const LOG: &str = "rivet_sdk::store";

/// The base64 text of `bytes`.
pub fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Whether `text` is base64.
pub fn is_base64(text: &str) -> bool {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.decode(text).is_ok()
}
