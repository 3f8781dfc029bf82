//! Whose fault an error is, and what trying again is worth.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whose fault an error is. The host maps each kind to an exit code and a retry decision.
///
/// Which kind a method returns for which failure stands at the methods of [`crate::Source`] and [`crate::Destination`].
/// Take it from the server's code, not from its text.
///
/// A kind crosses the boundary as a number, so a host meets kinds newer than itself as
/// [`ErrorKind::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// None of the others.
    Other,
    /// An option or a configured value is wrong.
    Config,
    /// The login was refused.
    Auth,
    /// The login was accepted, the operation is not allowed.
    Permission,
    /// A database, table, column, bucket or object does not exist.
    NotFound,
    /// Something is there already that must not be.
    AlreadyExists,
    /// The server refused the statement's text.
    InvalidQuery,
    /// A column's type cannot be exported as asked.
    UnsupportedType,
    /// A value cannot be represented, or is malformed.
    Data,
    /// The connection could not be made, or broke.
    Connection,
    /// A time limit passed.
    Timeout,
    /// The server asks to slow down.
    Throttled,
    /// The server says: try again (deadlock victim, serialization failure, restart).
    Transient,
    /// Another writer got there first.
    Conflict,
    /// Disk, memory, connections or quota are used up.
    ResourceExhausted,
    /// The host asked to stop.
    Cancelled,
    /// The plugin does not offer this.
    Unsupported,
    /// What was read back is not what was written.
    Integrity,
    /// A defect of the plugin or the host.
    Internal,
    /// The plugin panicked. The instance is unusable afterwards.
    Panic,
    /// The other side of the boundary broke the contract.
    Protocol,
    /// A kind this side does not know yet.
    Unknown(u32),
}

pub(super) const KINDS: [ErrorKind; 21] = [
    ErrorKind::Other,
    ErrorKind::Config,
    ErrorKind::Auth,
    ErrorKind::Permission,
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::InvalidQuery,
    ErrorKind::UnsupportedType,
    ErrorKind::Data,
    ErrorKind::Connection,
    ErrorKind::Timeout,
    ErrorKind::Throttled,
    ErrorKind::Transient,
    ErrorKind::Conflict,
    ErrorKind::ResourceExhausted,
    ErrorKind::Cancelled,
    ErrorKind::Unsupported,
    ErrorKind::Integrity,
    ErrorKind::Internal,
    ErrorKind::Panic,
    ErrorKind::Protocol,
];

impl ErrorKind {
    /// The number that crosses the boundary. Numbers are never reused.
    pub fn code(self) -> u32 {
        match self {
            Self::Unknown(code) => code,
            known => {
                KINDS.iter().zip(0u32..).find_map(|(kind, code)| (*kind == known).then_some(code)).unwrap_or(u32::MAX)
            }
        }
    }

    /// The kind behind a number from the boundary.
    pub fn from_code(code: u32) -> Self {
        usize::try_from(code).ok().and_then(|index| KINDS.get(index).copied()).unwrap_or(Self::Unknown(code))
    }

    /// What retrying is worth where the plugin says nothing else.
    pub fn default_retry(self) -> Retry {
        match self {
            Self::Connection | Self::Throttled | Self::Transient => Retry::Transient(None),
            _ => Retry::Permanent,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(code) => write!(f, "unknown({code})"),
            known => known.serialize(f),
        }
    }
}

/// Whether trying the same thing again may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// It fails again: the export ends.
    Permanent,
    /// It may succeed: the chunk is read again after the delay that the server asked for, or where that is None after one
    /// of the host's own, which grow.
    Transient(Option<Duration>),
}
