//! Which texts can name an object, and which cannot.

use rivet_sdk::{Error, Result};

/// The longest key every store takes, in bytes.
const LONGEST: usize = 1024;

/// `value`, which option `name` must give.
pub fn required(name: &str, value: &str) -> Result<()> {
    if value.trim().is_empty() {
        return Err(Error::config(format!("`{name}` is empty")).with_hint(format!("give the {name}'s name")));
    }
    Ok(())
}

/// A configured prefix as `a/b/`, or nothing for the whole bucket.
pub fn prefix(text: Option<&str>) -> Result<String> {
    let text = text.unwrap_or_default().trim_matches('/');
    if text.is_empty() {
        return Ok(String::new());
    }
    check("prefix", "", text)?;
    Ok(format!("{text}/"))
}

/// Refuses a key that stores would read in different ways, that leaves the prefix, or that is too long with it.
pub(crate) fn check(what: &str, prefix: &str, key: &str) -> Result<()> {
    let length = prefix.len() + key.len();
    if length > LONGEST {
        return Err(Error::config(format!(
            "{what} {key:?} cannot name an object: {length} bytes are too long, stores take {LONGEST}"
        ))
        .with_hint("shorten the prefix, or the export's name"));
    }
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.trim() == part;
    if key.split('/').all(plain) && !key.contains(|c: char| c.is_control() || c == '\\') {
        return Ok(());
    }
    Err(Error::config(format!("{what} {key:?} cannot name an object")).with_hint(
        "its parts between slashes are not empty, `.` or `..`, and have no spaces at their ends, control characters or backslashes",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_with_one_slash_or_are_nothing() {
        for (text, expected) in [("", ""), ("/", ""), ("a", "a/"), ("/a/b/", "a/b/"), ("a b/ü+%", "a b/ü+%/")] {
            assert_eq!(prefix(Some(text)).unwrap(), expected, "{text:?}");
        }
        assert_eq!(prefix(None).unwrap(), "");
    }

    #[test]
    fn what_leaves_the_prefix_or_reads_in_two_ways_is_refused() {
        for text in ["../a", "a/../b", "a//b", "a/./b", " a", "a\nb", "a/b ", "a\\b"] {
            assert!(prefix(Some(text)).is_err(), "{text:?}");
        }
        assert!(check("key", "", &"k".repeat(LONGEST + 1)).is_err());
        assert!(check("key", "a/", &"k".repeat(LONGEST - 2)).is_ok());
        assert!(check("key", "a/", &"k".repeat(LONGEST - 1)).is_err());
    }
}
