//! Errors: what failed, whose fault it is, whether trying again may help, and what to do.

mod kind;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::kind::{ErrorKind, Retry};

/// The result every method of a plugin returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a plugin or of the host.
///
/// `message` says what failed, [`Error::hint`] says what to do, `context` names where
/// (export, chunk, table, column, object). None of them may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Inner {
    #[serde(with = "kind_code")]
    kind: ErrorKind,
    retry: Retry,
    #[serde(default)]
    code: Option<String>,
    message: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    context: Vec<(String, String)>,
    #[serde(default)]
    chain: Vec<String>,
}

/// A kind crosses the boundary as its number.
mod kind_code {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::ErrorKind;

    pub fn serialize<S: Serializer>(kind: &ErrorKind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(kind.code())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ErrorKind, D::Error> {
        u32::deserialize(from).map(ErrorKind::from_code)
    }
}

impl Error {
    /// An error of `kind`, with the retry decision that goes with it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: kind.default_retry(),
            code: None,
            message: message.into(),
            hint: None,
            context: Vec::new(),
            chain: Vec::new(),
        }))
    }

    /// Overrides whether trying again may help.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// The server's own code: a SQLSTATE, an error number, an HTTP status.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// What the user can do about it. Printed on a line of its own, after `hint:`.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Where it happened: `("table", "public.orders")`. Outer context comes last; what is already said is not said
    /// twice.
    #[must_use]
    pub fn with_context(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let place = (name.into(), value.into());
        if !self.0.context.contains(&place) {
            self.0.context.push(place);
        }
        self
    }

    /// Where time ran out, names the table that was waited for: a server's word that a lock was not to be had does not.
    #[must_use]
    pub fn late_for(self, relation: &crate::Relation) -> Self {
        if self.kind() == ErrorKind::Timeout { self.with_relation(relation) } else { self }
    }

    /// Names the table that was read, unless something did already.
    #[must_use]
    pub fn with_relation(self, relation: &crate::Relation) -> Self {
        if self.context().iter().any(|(name, _)| name == "table") {
            return self;
        }
        self.with_context("table", relation.to_string())
    }

    /// The causes below `message`, nearest first.
    #[must_use]
    pub fn with_chain(mut self, chain: impl IntoIterator<Item = String>) -> Self {
        self.0.chain.extend(chain);
        self
    }

    /// Adds `source` and everything below it to the chain.
    #[must_use]
    pub fn with_source(mut self, source: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(source);
        while let Some(error) = cause {
            let text = error.to_string();
            if !self.0.message.contains(&text) && self.0.chain.last() != Some(&text) {
                self.0.chain.push(text);
            }
            cause = error.source();
        }
        self
    }

    /// Rewrites every text of the error, to take secrets out of it.
    #[must_use]
    pub fn map_texts(mut self, mut rewrite: impl FnMut(&str) -> String) -> Self {
        let inner = &mut *self.0;
        inner.message = rewrite(&inner.message);
        inner.code = inner.code.as_deref().map(&mut rewrite);
        inner.hint = inner.hint.as_deref().map(&mut rewrite);
        for (_, value) in &mut inner.context {
            *value = rewrite(value);
        }
        for cause in &mut inner.chain {
            *cause = rewrite(cause);
        }
        self
    }

    /// The error as it crosses the boundary.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0)
            .unwrap_or_else(|_| format!("{{\"kind\":{},\"message\":\"\"}}", self.0.kind.code()))
    }

    /// The error behind a text from the boundary.
    pub fn from_json(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(inner) => Self(Box::new(inner)),
            Err(_) => Self::protocol(format!("an error that cannot be read: {text}")),
        }
    }

    /// The kind, from which the host takes its exit code.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again may help.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether trying again may help, without the delay.
    pub fn is_transient(&self) -> bool {
        matches!(self.0.retry, Retry::Transient(_))
    }

    /// The server's own code, if there was one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// What failed, without causes and places.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it; None where nobody knows.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where it happened, innermost first.
    pub fn context(&self) -> &[(String, String)] {
        &self.0.context
    }

    /// The causes below the message, nearest first.
    pub fn chain(&self) -> &[String] {
        &self.0.chain
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for cause in &self.0.chain {
            write!(f, ": {cause}")?;
        }
        if let Some(code) = &self.0.code {
            write!(f, " [{code}]")?;
        }
        for (index, (name, value)) in self.0.context.iter().enumerate() {
            let lead = if index == 0 { " (" } else { ", " };
            write!(f, "{lead}{name} {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind)?;
        if let Some(hint) = &self.0.hint {
            write!(f, "; hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::new(ErrorKind::Internal, error.to_string())
    }
}

macro_rules! shorthand {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        impl Error {
            $($(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self::new(ErrorKind::$kind, message)
            })*
        }
    };
}

shorthand! {
    /// An option or configured value is wrong.
    config => Config;
    /// A value cannot be represented, or is malformed.
    data => Data;
    /// The connection could not be made, or broke.
    connection => Connection;
    /// Something named does not exist.
    not_found => NotFound;
    /// The plugin does not offer this.
    unsupported => Unsupported;
    /// A defect of ours.
    internal => Internal;
    /// The other side of the boundary broke the contract.
    protocol => Protocol;
    /// The host asked to stop.
    cancelled => Cancelled;
    /// What was read back is not what was written.
    integrity => Integrity;
}

impl Error {
    /// For a source: a row holds NULL in a column that the catalogue says holds none. Add where: the row, its key.
    pub fn unexpected_null(column: &str) -> Self {
        Self::data(format!("column `{column}` is NOT NULL in the catalogue, and a row holds NULL"))
            .with_hint("export it with `query: SELECT * FROM …`: any column of a query may be NULL")
            .with_context("column", column)
    }

    /// For a source: the login may read `relation`, but for these of its columns, which an export or its key needs.
    pub fn unreadable_columns(relation: &crate::Relation, columns: &[&str]) -> Self {
        let list = columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
        let (noun, it) = if columns.len() == 1 { ("column", "it") } else { ("columns", "them") };
        let error = Self::new(ErrorKind::Permission, format!("the login may not read the {noun} {list} of {relation}"))
            .with_hint(format!(
                "grant the login SELECT on {it}, or leave {it} out: `exclude: [{}]`",
                columns.join(", ")
            ));
        columns.iter().fold(error, |error, column| error.with_context("column", *column))
    }

    /// For a source: the server sends `found` where `column` is of the type `of`, and the bytes would be misread. Add
    /// where, if it is one value.
    pub fn in_another_form(column: &str, of: &str, found: &str) -> Self {
        Self::data(format!("column `{column}` ({of}) arrives as {found}, which would be misread"))
            .with_hint(format!("cast it to its type in a `query`, or leave it out: `exclude: [{column}]`"))
            .with_context("column", column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_boundary() {
        for kind in kind::KINDS.into_iter().chain([ErrorKind::Unknown(900)]) {
            let error = Error::new(kind, "m").with_code("42P01").with_hint("h").with_context("table", "t");
            assert_eq!(Error::from_json(&error.to_json()), error);
        }
    }

    #[test]
    fn an_error_reads_as_one_line() {
        let error = Error::config("port must be a number")
            .with_code("22P02")
            .with_context("key", "source.port")
            .with_context("file", "rivet.yaml");
        assert_eq!(error.to_string(), "port must be a number [22P02] (key source.port, file rivet.yaml)");
    }
}
