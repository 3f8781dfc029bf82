//! The parameters of a URL or a connection string: what becomes of each, as a table.
//!
//! The words that a user copies from another client are honoured as that client does, or refused by name: a driver
//! has one [`Parameters`] with every parameter that the database's own client documents, reads through it, and has
//! its reference page made of it.

use crate::options::percent_decoded;
use crate::{Error, Result, nearest};

/// One parameter, by the names that the database's own clients have for it.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    names: &'static [&'static str],
    fate: Fate,
}

/// What becomes of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It does what it does in the database's own client; the text says what that is.
    Honoured(&'static str),
    /// It ends with an error that names it; the text says what to do instead, and is the error's hint.
    Refused(&'static str),
    /// It can change neither what is read nor how safely; the text says why.
    Irrelevant(&'static str),
}

impl Parameter {
    /// Does what it does in the database's own client. The first name is the one that [`Parameters::find`] gives.
    pub const fn honoured(names: &'static [&'static str], what: &'static str) -> Self {
        Self { names, fate: Fate::Honoured(what) }
    }

    /// Ends with an error, whose hint says what to do instead.
    pub const fn refused(names: &'static [&'static str], instead: &'static str) -> Self {
        Self { names, fate: Fate::Refused(instead) }
    }

    /// Can change neither what is read nor how safely.
    pub const fn irrelevant(names: &'static [&'static str], because: &'static str) -> Self {
        Self { names, fate: Fate::Irrelevant(because) }
    }

    /// All its names; the first is the one to write.
    pub fn names(&self) -> &'static [&'static str] {
        self.names
    }

    /// What becomes of it.
    pub fn fate(&self) -> Fate {
        self.fate
    }
}

/// Every parameter of one kind of URL.
#[derive(Debug, Clone, Copy)]
pub struct Parameters {
    carrier: &'static str,
    lists: &'static [&'static [Parameter]],
    fold: fn(&str) -> String,
}

impl Parameters {
    /// The parameters of `carrier` (`the URL`), as errors call it. Names are compared letter by letter.
    pub const fn new(carrier: &'static str, lists: &'static [&'static [Parameter]]) -> Self {
        Self { carrier, lists, fold: str::to_owned }
    }

    /// With names that are the same where `fold` makes them the same.
    #[must_use]
    pub const fn folded(self, fold: fn(&str) -> String) -> Self {
        Self { fold, ..self }
    }

    /// What carries them, as errors call it.
    pub fn carrier(&self) -> &'static str {
        self.carrier
    }

    /// Every parameter, in the order of the page.
    pub fn iter(&self) -> impl Iterator<Item = &'static Parameter> {
        self.lists.iter().copied().flatten()
    }

    /// The first name of the parameter that is called `name` and honoured; None where it is irrelevant. One that is
    /// refused, or that nobody knows, is an error.
    pub fn find(&self, name: &str) -> Result<Option<&'static str>> {
        let folded = (self.fold)(name);
        let is_it = |parameter: &&Parameter| parameter.names.iter().any(|known| (self.fold)(known) == folded);
        let Some(parameter) = self.iter().find(is_it) else { return Err(self.unknown(name)) };
        match parameter.fate {
            Fate::Honoured(_) => Ok(parameter.names.first().copied()),
            Fate::Irrelevant(because) => {
                log::debug!("{}'s parameter `{name}` changes nothing here: {because}", self.carrier);
                Ok(None)
            }
            Fate::Refused(instead) => {
                Err(Error::config(format!("{}'s parameter `{name}` is not supported", self.carrier)).with_hint(instead))
            }
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let names = || self.iter().flat_map(|parameter| parameter.names.iter().copied());
        let error = Error::config(format!("{}'s parameter `{name}` is unknown", self.carrier));
        match nearest(name, names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => {
                let honoured = self.iter().filter(|parameter| matches!(parameter.fate, Fate::Honoured(_)));
                let honoured: Vec<&str> = honoured.filter_map(|parameter| parameter.names.first().copied()).collect();
                error.with_hint(format!("take it out; what can be said there: {}", honoured.join(", ")))
            }
        }
    }

    /// The refusal of one value of a parameter that is honoured otherwise.
    pub fn refused_value(&self, name: &str, value: &str, instead: impl Into<String>) -> Error {
        Error::config(format!("{}'s `{name}={value}` is not supported", self.carrier)).with_hint(instead)
    }

    /// The parameters behind the `?` of a URL, in their order, with %-codes read. A code that is none, a name without a
    /// value and a value without a name are refused.
    pub fn of_query(&self, query: &str) -> Result<Vec<(String, String)>> {
        let carrier = self.carrier;
        let mut found = Vec::new();
        for text in query.split('&').filter(|text| !text.is_empty()) {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let shown = percent_decoded("query", name)?;
            let malformed = |what: &str| {
                Error::config(format!("{carrier}'s parameter `{shown}` {what}"))
                    .with_hint("write name=value, several with `&` between them, and special characters as %-codes")
            };
            if !text.contains('=') || shown.is_empty() {
                return Err(malformed("has no name or no value"));
            }
            if [name, value].into_iter().any(has_bad_code) {
                return Err(malformed("has a `%` that begins no %-code"));
            }
            let value = percent_decoded("query", value)?;
            if value.contains('\0') {
                return Err(malformed("holds a zero byte"));
            }
            found.push((shown, value));
        }
        Ok(found)
    }

    /// The table for the reference page, as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut out = String::from("| parameter | rivet | |\n|---|---|---|\n");
        for parameter in self.iter() {
            let names: Vec<String> = parameter.names.iter().map(|name| format!("`{name}`")).collect();
            let (fate, words) = match parameter.fate {
                Fate::Honoured(words) => ("honoured", words),
                Fate::Refused(words) => ("refused", words),
                Fate::Irrelevant(words) => ("irrelevant", words),
            };
            out.push_str(&format!("| {} | {fate} | {} |\n", names.join(", "), words.replace('|', "\\|")));
        }
        out
    }
}

fn has_bad_code(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .any(|after| !after.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[Parameter] = &[
        Parameter::honoured(&["ssl-mode", "sslmode"], "how"),
        Parameter::refused(&["service"], "write it out"),
        Parameter::irrelevant(&["keepalives"], "it is only about time"),
    ];
    const ALL: Parameters = Parameters::new("the URL", &[LIST]);

    #[test]
    fn each_parameter_has_its_fate_and_an_unknown_one_is_named() {
        assert_eq!(ALL.find("sslmode").unwrap(), Some("ssl-mode"));
        assert_eq!(ALL.find("keepalives").unwrap(), None);
        let error = ALL.find("service").unwrap_err();
        assert_eq!(error.message(), "the URL's parameter `service` is not supported");
        assert_eq!(error.hint(), Some("write it out"));
        let error = ALL.find("sslmod").unwrap_err();
        assert_eq!(
            (error.message(), error.hint()),
            ("the URL's parameter `sslmod` is unknown", Some("did you mean `sslmode`?"))
        );
        assert!(ALL.find("zzzzzzzz").unwrap_err().hint().unwrap().contains("ssl-mode"));
        assert!(ALL.find("SSLMODE").is_err());
        assert_eq!(ALL.folded(str::to_ascii_lowercase).find("SSLMODE").unwrap(), Some("ssl-mode"));
    }

    #[test]
    fn a_query_is_read_strictly() {
        let read = |query| ALL.of_query(query);
        assert_eq!(read("a=%C3%BC%26&b=").unwrap(), [("a".into(), "ü&".into()), ("b".into(), String::new())]);
        assert_eq!(read("").unwrap(), []);
        for (query, name) in [("sslmode", "sslmode"), ("a=1&x=%4", "x"), ("x=%zz", "x"), ("x=%00", "x"), ("=1", "``")] {
            assert!(read(query).unwrap_err().message().contains(name), "{query}");
        }
    }
}
