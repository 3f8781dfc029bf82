//! What the user writes under `source:` for SQLite, and the file it names.

use std::path::PathBuf;

use rivet_sdk::options::percent_decoded;
use rivet_sdk::parameters::{Parameter, Parameters};
use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{Error, Result};

/// Which database file is read, `path` or `url`, and what is done about its locks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct SqliteOptions {
    /// The database file.
    pub path: Option<String>,
    /// The same as a URL: `sqlite:relative.db`, `sqlite://relative.db`, `sqlite:///absolute.db`.
    /// `%20` stands for a space.
    pub url: Option<String>,
    /// Promises that nobody writes the file while it is read: no lock is taken, and no file is made beside it. For a
    /// database in WAL mode in a folder that cannot be written. A file that changes all the same is refused.
    pub immutable: Option<bool>,
    /// Seconds to wait while another process holds the file's lock. 5 if absent.
    pub busy_timeout_s: Option<u32>,
}

impl SqliteOptions {
    /// The file as the user named it, and whether nobody writes it.
    pub fn file(&self) -> Result<(PathBuf, bool)> {
        match (&self.path, &self.url) {
            (Some(path), None) if !path.is_empty() => Ok((PathBuf::from(path), self.immutable == Some(true))),
            (Some(_), None) => Err(Error::config("`path` is empty").with_hint("name the database file")),
            (None, Some(url)) => {
                let (file, immutable) = file_of(url)?;
                match (immutable, self.immutable) {
                    (Some(one), Some(other)) if one != other => {
                        Err(Error::config("the URL's `immutable` and the source's contradict each other")
                            .with_hint("keep one of them"))
                    }
                    (one, other) => Ok((file, one.or(other) == Some(true))),
                }
            }
            (Some(_), Some(_)) => Err(Error::config("both `path` and `url` are given").with_hint("keep one of them")),
            (None, None) => {
                Err(Error::config("neither `path` nor `url` is given").with_hint("add `path: data.db` to the source"))
            }
        }
    }
}

/// The parameters of SQLite's own URIs.
pub(crate) const PARAMETERS: Parameters = Parameters::new(
    "the SQLite URL",
    &[&[
        Parameter::honoured(&["mode"], "`ro`, as the file is always opened; `rw`, `rwc` and `memory` are refused"),
        Parameter::honoured(&["cache"], "`private`, as each connection's is; `shared` is refused"),
        Parameter::honoured(&["nolock"], "`0`; `1` is refused"),
        Parameter::honoured(&["immutable"], "`1`: as `immutable: true` beside `path`; `0`"),
        Parameter::irrelevant(
            &["psow"],
            "it is about what survives a power failure while somebody writes; rivet only reads",
        ),
        Parameter::refused(&["vfs"], "take it out: files are read as this system has them"),
        Parameter::refused(&["modeof"], "take it out: no file is made"),
    ]],
);

/// The file, and what the URL says of its being `immutable`.
fn file_of(url: &str) -> Result<(PathBuf, Option<bool>)> {
    let rest = url.strip_prefix("sqlite:").ok_or_else(|| {
        Error::config(format!("`{url}` is not a SQLite URL")).with_hint("write sqlite:relative.db or sqlite:///abs.db")
    })?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    if rest.contains('#') {
        return Err(Error::config("a SQLite URL has no part behind a `#`")
            .with_hint("a file name with `?` or `#` goes under `path`"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut immutable = None;
    for (given, value) in PARAMETERS.of_query(query)? {
        let Some(name) = PARAMETERS.find(&given)? else { continue };
        let allowed: (&[&str], &str) = match name {
            "mode" => (&["ro"], "take it out: the file is opened read-only, and must be there"),
            "cache" => (&["private"], "take it out: with a shared cache, a reader could see what is not committed"),
            "nolock" => (&["0"], "take it out: without locks, a file that changes is read wrongly"),
            _ => (&["0", "1"], "write 1, or take it out"),
        };
        if !allowed.0.contains(&value.as_str()) {
            return Err(PARAMETERS.refused_value(name, &value, allowed.1));
        }
        if name == "immutable" {
            immutable = Some(value == "1");
        }
    }
    match percent_decoded("file", rest)? {
        name if name.is_empty() => {
            Err(Error::config(format!("`{url}` names no file"))
                .with_hint("write sqlite:relative.db or sqlite:///abs.db"))
        }
        name => Ok((name.into(), immutable)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<PathBuf> {
        SqliteOptions { url: Some(text.into()), ..SqliteOptions::default() }.file().map(|(file, _)| file)
    }

    #[test]
    fn urls_name_files() {
        for (text, file) in [
            ("sqlite:data.db", "data.db"),
            ("sqlite://data.db", "data.db"),
            ("sqlite:///var/data.db", "/var/data.db"),
            ("sqlite:/var/data.db", "/var/data.db"),
            ("sqlite:my%20data.db", "my data.db"),
            ("sqlite:100%.db", "100%.db"),
        ] {
            assert_eq!(url(text).unwrap(), PathBuf::from(file), "{text}");
        }
    }

    /// None of SQLite's own parameters is read and forgotten.
    #[test]
    fn every_parameter_does_what_its_table_says() {
        use rivet_sdk::parameters::Fate;
        let documented =
            "vfs mode cache psow nolock immutable modeof".split(' ').collect::<std::collections::BTreeSet<_>>();
        let known = PARAMETERS.iter().map(|parameter| parameter.names()[0]).collect();
        assert_eq!(documented, known);
        for (text, taken) in [
            ("mode=ro", true),
            ("mode=rw", false),
            ("mode=memory", false),
            ("cache=private", true),
            ("cache=shared", false),
            ("nolock=0", true),
            ("nolock=1", false),
            ("immutable=0", true),
            ("immutable=1", true),
            ("immutable=2", false),
            ("psow=1", true),
            ("vfs=unix-dotfile", false),
            ("modeof=x", false),
            ("mode", false),
        ] {
            let found = url(&format!("sqlite:a.db?{text}"));
            assert_eq!(found.is_ok(), taken, "{text}");
            let name = text.split('=').next().unwrap();
            if let Err(error) = found {
                assert!(error.message().contains(name) && error.hint().is_some(), "{error}");
            }
        }
        for parameter in PARAMETERS.iter() {
            if let Fate::Refused(instead) = parameter.fate() {
                let error = url(&format!("sqlite:a.db?{}=1", parameter.names()[0])).unwrap_err();
                assert_eq!(error.hint(), Some(instead));
            }
        }
    }

    #[test]
    fn a_file_that_nobody_writes_is_said_to_be_one_in_either_place() {
        let said = |text: &str, immutable| {
            let url = Some(format!("sqlite:a.db{text}"));
            SqliteOptions { url, immutable, ..SqliteOptions::default() }.file().map(|(_, immutable)| immutable)
        };
        for (text, immutable, found) in [
            ("", None, false),
            ("?immutable=1", None, true),
            ("", Some(true), true),
            ("?immutable=0", Some(false), false),
        ] {
            assert_eq!(said(text, immutable).unwrap(), found, "{text} {immutable:?}");
        }
        assert!(said("?immutable=1", Some(false)).unwrap_err().hint().is_some());
    }

    #[test]
    fn urls_page() {
        rivet_testkit::check_urls_page(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/urls.md"),
            "sqlite",
            &PARAMETERS,
        );
    }

    #[test]
    fn what_names_no_file_is_refused() {
        for text in ["sqlite:", "sqlite://", "postgres://x", "sqlite:a.db?mode=rw", "sqlite:a.db#x", "sqlite:%ff"] {
            assert!(url(text).is_err(), "{text}");
        }
        assert!(SqliteOptions::default().file().is_err());
    }
}
