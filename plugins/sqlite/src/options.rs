//! What the user writes under `source:` for SQLite, and the file it names.

use std::path::PathBuf;

use rivet_sdk::options::percent_decoded;
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
    /// The file as the user named it.
    pub fn file(&self) -> Result<PathBuf> {
        match (&self.path, &self.url) {
            (Some(path), None) if !path.is_empty() => Ok(PathBuf::from(path)),
            (Some(_), None) => Err(Error::config("`path` is empty").with_hint("name the database file")),
            (None, Some(url)) => file_of(url),
            (Some(_), Some(_)) => Err(Error::config("both `path` and `url` are given").with_hint("keep one of them")),
            (None, None) => {
                Err(Error::config("neither `path` nor `url` is given").with_hint("add `path: data.db` to the source"))
            }
        }
    }
}

fn file_of(url: &str) -> Result<PathBuf> {
    let rest = url.strip_prefix("sqlite:").ok_or_else(|| {
        Error::config(format!("`{url}` is not a SQLite URL")).with_hint("write sqlite:relative.db or sqlite:///abs.db")
    })?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    if rest.contains(['?', '#']) {
        return Err(Error::config("a SQLite URL takes no parameters")
            .with_hint("options are keys of the source; a file name with `?` or `#` goes under `path`"));
    }
    match percent_decoded("file", rest)? {
        name if name.is_empty() => {
            Err(Error::config(format!("`{url}` names no file"))
                .with_hint("write sqlite:relative.db or sqlite:///abs.db"))
        }
        name => Ok(name.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<PathBuf> {
        SqliteOptions { url: Some(text.into()), ..SqliteOptions::default() }.file()
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

    #[test]
    fn what_names_no_file_is_refused() {
        for text in ["sqlite:", "sqlite://", "postgres://x", "sqlite:a.db?mode=rw", "sqlite:%ff"] {
            assert!(url(text).is_err(), "{text}");
        }
        assert!(SqliteOptions::default().file().is_err());
    }
}
