//! A text that must not be seen.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A secret option. Prints as `***`, cannot be serialised, is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Whoever calls this keeps it out of messages and logs.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` with every occurrence of this secret replaced by `***`.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        redact(text, self.expose())
    }
}

/// `text` with every occurrence of `secret` replaced by `***`. Secrets shorter than four
/// bytes are left alone: they would tear ordinary words apart.
pub fn redact<'a>(text: &'a str, secret: &str) -> Cow<'a, str> {
    if secret.len() < 4 || !text.contains(secret) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(secret, "***"))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let secret = String::deserialize(from).map(Self::new)?;
        COLLECTED.with_borrow_mut(|collected| {
            if let Some(texts) = collected {
                texts.extend(secret_texts(secret.expose()));
            }
        });
        Ok(secret)
    }
}

thread_local! {
    static COLLECTED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs `work` and returns, beside its result, every secret text deserialised meanwhile on
/// this thread: what must be taken out of the instance's messages.
pub(crate) fn collect<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    COLLECTED.set(Some(Vec::new()));
    let result = work();
    (result, COLLECTED.take().unwrap_or_default())
}

/// The texts to hide for one secret: itself and, where it is a URL with a password, the
/// password as written and percent-decoded. A whole URL is not hidden beyond its password.
pub fn secret_texts(secret: &str) -> Vec<String> {
    let Some((_, rest)) = secret.split_once("://") else { return vec![secret.to_owned()] };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    // A password with an unescaped slash still ends at the last `@`.
    let places = [authority, rest.split('?').next().unwrap_or(rest), rest];
    let Some(login) = places.iter().find_map(|place| Some(place.rsplit_once('@')?.0)) else { return Vec::new() };
    let Some((_, password)) = login.split_once(':') else { return Vec::new() };
    let mut texts = vec![password.to_owned(), percent_decode(password)];
    // What an unescaped `@` cuts off may be taken for a host and told as one.
    texts.extend(password.split('@').skip(1).map(str::to_owned));
    texts.dedup();
    texts
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let value = code.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter22");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.redact("postgres://u:hunter22@h/d"), "postgres://u:***@h/d");
    }

    #[test]
    fn the_password_of_a_url_is_hidden_in_both_spellings() {
        assert_eq!(secret_texts("postgres://u:p%40ss@h:5/d?x=1"), ["p%40ss", "p@ss"]);
        assert_eq!(secret_texts("postgres://u@h/d"), Vec::<String>::new());
        assert_eq!(secret_texts("postgres://u:pa/ss@h/d?x=1"), ["pa/ss"]);
        assert_eq!(secret_texts("postgres://u:pa@ss@h/d"), ["pa@ss", "ss"]);
        assert_eq!(secret_texts("plain"), ["plain"]);
    }

    #[test]
    fn secrets_read_during_collect_are_known() {
        let (parsed, texts) = collect(|| serde_json::from_str::<Secret>("\"geheim\"").unwrap());
        assert_eq!((parsed.expose(), &texts[..]), ("geheim", &["geheim".to_owned()][..]));
    }
}
