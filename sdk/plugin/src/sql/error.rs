//! Errors of a database server: what it refused, and what of its answer makes no sense.

use std::fmt::Display;

use crate::{Error, ErrorKind, Retry};

/// What a driver's errors call its database.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// Before the server's own words: `MySQL`.
    pub name: &'static str,
    /// `MySQL's protocol`.
    pub protocol: &'static str,
    /// What listens where it should: `a MySQL or MariaDB server`.
    pub server: &'static str,
    /// Whom the server lets in: `account`.
    pub login: &'static str,
    /// Where a user tries a query: `the mysql client`.
    pub tool: &'static str,
}

impl Product {
    /// What the server refused, in its own words and under its own code. `class`: what that code means, and whether to
    /// try again where it is not the kind's own decision. `hint`: what to do; None where there is no more to say of the
    /// code than of its kind.
    pub fn refused(
        &self,
        code: String,
        message: &str,
        class: (ErrorKind, Option<Retry>),
        hint: Option<String>,
    ) -> Error {
        let (kind, retry) = class;
        let mut error = Error::new(kind, format!("{}: {message}", self.name)).with_code(code);
        if let Some(retry) = retry {
            error = error.with_retry(retry);
        }
        match hint.or_else(|| self.of_kind(kind)) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    fn of_kind(&self, kind: ErrorKind) -> Option<String> {
        let Self { tool, login, .. } = self;
        Some(match kind {
            ErrorKind::InvalidQuery | ErrorKind::NotFound => {
                format!("run the export's query in {tool} to find the place")
            }
            ErrorKind::Data => {
                format!("a row holds what the query cannot compute with: run it in {tool} to find the row")
            }
            ErrorKind::Unsupported => {
                "this server does not do that: write the query otherwise, or take a newer one".to_owned()
            }
            ErrorKind::Auth => format!("the server does not let this {login} in: ask its administrator"),
            ErrorKind::Permission => "grant the user SELECT on what the query names".to_owned(),
            ErrorKind::ResourceExhausted => "the server has no room left: lower `parallel`, and see its log".to_owned(),
            ErrorKind::Other => "the server's log says more".to_owned(),
            _ => return None,
        })
    }

    /// The server said something that the protocol does not allow here.
    pub fn confused(&self, what: impl Display) -> Error {
        Error::connection(format!("the server's answer is not {}: {what}", self.protocol))
            .with_retry(Retry::Permanent)
            .with_hint(format!("check that host and port are those of {}", self.server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCT: Product = Product {
        name: "Base",
        protocol: "Base's protocol",
        server: "a Base server",
        login: "account",
        tool: "the base client",
    };

    #[test]
    fn a_refusal_has_the_servers_words_and_a_hint() {
        let refused = |kind, hint: Option<&str>| {
            PRODUCT.refused("7".to_owned(), "no such thing", (kind, None), hint.map(str::to_owned))
        };
        let error = refused(ErrorKind::Auth, None);
        assert_eq!((error.message(), error.code()), ("Base: no such thing", Some("7")));
        assert!(error.hint().unwrap().contains("this account"));
        assert_eq!(refused(ErrorKind::Auth, Some("ask me")).hint(), Some("ask me"));
        assert!(refused(ErrorKind::Data, None).hint().unwrap().contains("the base client"));
        // What is tried again by itself asks for nothing.
        assert_eq!(refused(ErrorKind::Transient, None).hint(), None);
        assert!(PRODUCT.confused("a dot").message().ends_with("Base's protocol: a dot"));
    }
}
