//! Secrets: where they may stand, whether one stands there in plain sight, and how references
//! to them are replaced at the last moment.

use std::fmt;

use rivet_sdk::options::percent_decoded;
use rivet_sdk::{Error, Result, Secret};
use serde_json::{Map, Value};

use super::diagnostic::join;
use super::variables::{Variables, literal_part};

/// Names of options, or the ends of them, that hold a secret.
const SECRET_NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secret_key",
    "secret_access_key",
    "account_key",
    "sas_token",
    "token",
    "api_key",
    "private_key",
    "credentials",
    "credentials_json",
    "connection_string",
];

/// Names of options whose value is worth reading in a log.
const PLAIN_NAMES: [&str; 12] = [
    "host",
    "port",
    "user",
    "database",
    "schema",
    "region",
    "bucket",
    "prefix",
    "path",
    "endpoint",
    "account_name",
    "type",
];

/// Parameters of URLs and connection strings that hold a secret.
const SECRET_PARAMETERS: [&str; 7] = ["password=", "pwd=", "sslpassword=", "secret=", "token=", "sig=", "accountkey="];

/// Options with every reference replaced. Not to be stored, logged or serialised.
#[derive(Clone)]
pub struct Resolved {
    /// What the plugin gets.
    pub options: Value,
    /// Texts to take out of logs and errors.
    pub secrets: Vec<Secret>,
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolved(*** and {} secrets)", self.secrets.len())
    }
}

/// Replaces `x_env` and `x_file` by `x`, and `${VAR}` in texts. A path (`tls.ca_file`) for which
/// `is_exact_key` holds is an option of that very name and stays as it is. Errors name the key
/// and the variable or file, never a value.
pub fn resolve_secrets(
    options: &Value,
    is_exact_key: impl Fn(&str) -> bool,
    variables: &Variables,
) -> Result<Resolved> {
    let mut resolve = Resolve { is_exact_key: &is_exact_key, variables, secrets: Vec::new() };
    let options = resolve.value(options, "", "")?;
    let mut secrets = resolve.secrets;
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    secrets.dedup();
    Ok(Resolved { options, secrets })
}

/// The options without any secret that stands in plain sight: its key is gone, a URL loses its
/// password. References (`x_env`, `x_file`, `${VAR}`) stay. What is left may be stored.
pub fn without_secrets(options: &Value) -> Value {
    match options {
        Value::Object(entries) => {
            let kept = entries.iter().filter(|(key, value)| {
                inline_secret(&serde_json::json!({ key.as_str(): value })).is_none() || url_secret_of(value).is_some()
            });
            kept.map(|(key, value)| (key.clone(), without_secrets(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        Value::String(text) => match url_secret(text).filter(|secret| !literal_part(secret).is_empty()) {
            Some(secret) => Value::String(text.replace(secret, "***")),
            None => options.clone(),
        },
        plain => plain.clone(),
    }
}

/// The secret part of a value that is a URL or connection string, or holds one.
fn url_secret_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => url_secret(text),
        Value::Array(items) => items.iter().find_map(url_secret_of),
        Value::Object(entries) => entries.values().find_map(url_secret_of),
        _ => None,
    }
}

/// The path of the first option that holds a secret in plain sight: a password in full, a URL
/// with one. References (`x_env`, `x_file`, `${VAR}`) are not.
pub fn inline_secret(options: &Value) -> Option<String> {
    fn find(value: &Value, key: &str, path: &str) -> Option<String> {
        match value {
            Value::String(text) => {
                let literal = literal_part(text);
                let named = is_secret_name(key) && !literal.trim().is_empty();
                (named || url_secret(text).is_some_and(|secret| !literal_part(secret).is_empty()))
                    .then(|| path.to_owned())
            }
            Value::Number(_) => is_secret_name(key).then(|| path.to_owned()),
            Value::Array(items) => {
                let mut items = items.iter().enumerate();
                items.find_map(|(index, item)| find(item, key, &format!("{path}[{index}]")))
            }
            Value::Object(entries) => entries.iter().find_map(|(key, value)| find(value, key, &join(path, key))),
            _ => None,
        }
    }
    find(options, "", "")
}

/// Whether an option of this name and value could hold a secret once it is expanded.
pub(super) fn may_hold_secret(key: &str, text: &str) -> bool {
    is_secret_name(key) || key == "url" || text.contains("://") || url_secret(text).is_some()
}

fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_NAMES
        .iter()
        .any(|name| key.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with(['_', '-'])))
}

/// The part of a URL or connection string that is secret.
fn url_secret(text: &str) -> Option<&str> {
    let password = text.split_once("://").and_then(|(_, rest)| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A password with an unescaped slash still ends at the last `@`.
        let end = if rest.get(..end)?.contains('@') { end } else { rest.find('?').unwrap_or(rest.len()) };
        let (login, _) = rest.get(..end)?.rsplit_once('@')?;
        login.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
    });
    password.or_else(|| connection_string_secret(text)).or_else(|| {
        let lower = text.to_ascii_lowercase();
        SECRET_PARAMETERS.iter().find_map(|name| {
            let (start, _) = lower.match_indices(name).find(|(start, _)| {
                lower.get(..*start).is_some_and(|before| before.is_empty() || before.ends_with(['?', '&', ';', ' ']))
            })?;
            let value = text.get(start + name.len()..)?;
            value.split(['&', ';', ' ']).next().filter(|value| !value.is_empty())
        })
    })
}

/// The secret of an ADO.NET string or one like it, as it is written: without the quotes around it.
fn connection_string_secret(text: &str) -> Option<&str> {
    const NAMES: [&str; 5] = ["password", "pwd", "accountkey", "sharedaccesskey", "sharedaccesssignature"];
    let mut rest = text.trim_start_matches([';', ' ']);
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, after) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inside = after.get(1..)?;
                let end = end_of_quoted(inside, quote).unwrap_or(inside.len());
                (inside.get(..end)?, inside.get(end..)?)
            }
            _ => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        let name: String =
            name.to_ascii_lowercase().chars().filter(|letter| !matches!(letter, ' ' | '_' | '-')).collect();
        if NAMES.contains(&name.as_str()) && !value.trim().is_empty() {
            return Some(value.trim_end());
        }
        rest = after.split_once(';').map_or("", |(_, rest)| rest).trim_start_matches([';', ' ']);
    }
    None
}

/// Where the quote stands that ends a text: not one of two.
fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut quotes = text.match_indices(quote).map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        if quotes.next_if(|next| *next == at + 1).is_none() {
            return Some(at);
        }
    }
    None
}

struct Resolve<'a> {
    is_exact_key: &'a dyn Fn(&str) -> bool,
    variables: &'a Variables,
    secrets: Vec<Secret>,
}

impl Resolve<'_> {
    fn value(&mut self, value: &Value, key: &str, path: &str) -> Result<Value> {
        match value {
            Value::String(text) => {
                let expanded = self.expanded(text, path)?;
                if is_secret_name(key) {
                    self.secrets.push(Secret::new(&expanded));
                }
                self.keep_url_secret(&expanded);
                Ok(Value::String(expanded))
            }
            Value::Array(items) => items.iter().map(|item| self.value(item, key, path)).collect(),
            Value::Object(entries) => self.object(entries, path),
            other => Ok(other.clone()),
        }
    }

    fn object(&mut self, entries: &Map<String, Value>, path: &str) -> Result<Value> {
        let mut result = Map::new();
        for (key, value) in entries {
            let place = join(path, key);
            let (name, value) = match (value, reference(key)) {
                (Value::String(text), Some((base, is_file))) if !(self.is_exact_key)(&place) => {
                    let from = self.expanded(text, &place)?;
                    (base, Value::String(self.referred(base, &from, is_file, &place)?))
                }
                _ => (key.as_str(), self.value(value, key, &place)?),
            };
            if result.insert(name.to_owned(), value).is_some() {
                return Err(Error::config(format!("`{}` is given twice", join(path, name)))
                    .with_hint(format!("keep one of {name}, {name}_env and {name}_file")));
            }
        }
        Ok(Value::Object(result))
    }

    fn referred(&mut self, base: &str, from: &str, is_file: bool, place: &str) -> Result<String> {
        let text = if is_file {
            self.variables
                .read_file(from)
                .map_err(|error| Error::config(format!("`{place}`: file `{from}` cannot be read: {}", error.kind())))?
        } else {
            self.variables.environment(from).ok_or_else(|| {
                Error::config(format!("`{place}`: environment variable `{from}` is not set"))
                    .with_hint(format!("export {from}=…"))
            })?
        };
        if !PLAIN_NAMES.contains(&base) {
            self.secrets.push(Secret::new(&text));
        }
        self.keep_url_secret(&text);
        Ok(text)
    }

    fn expanded(&mut self, text: &str, place: &str) -> Result<String> {
        self.variables.expand(text).map_err(|error| {
            let (message, hint) = error.texts();
            Error::config(format!("`{place}`: {message}")).with_hint(hint)
        })
    }

    fn keep_url_secret(&mut self, text: &str) {
        if let Some(secret) = url_secret(text) {
            self.secrets.extend([Secret::new(secret), Secret::new(text)]);
            // In a connection string, a quote inside of quotes is written twice.
            self.secrets.extend(["\"", "'"].map(|quote| Secret::new(secret.replace(&quote.repeat(2), quote))));
            // One that is not UTF-8 cannot stand in any text.
            self.secrets.extend(percent_decoded("password", secret).ok().map(Secret::new));
        }
    }
}

fn reference(key: &str) -> Option<(&str, bool)> {
    let found = match key.strip_suffix("_env") {
        Some(base) => (base, false),
        None => (key.strip_suffix("_file")?, true),
    };
    (!found.0.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn variables() -> Variables {
        Variables::new(BTreeMap::new(), std::env::temp_dir()).with_environment([
            ("PW", "hunter22"),
            ("URL", "postgres://u:p%40ss9@h/d"),
            ("HOST", "db1"),
        ])
    }

    fn resolved(options: Value, exact: &[&str]) -> Result<Resolved> {
        resolve_secrets(&options, |path| exact.contains(&path), &variables())
    }

    #[test]
    fn references_become_values_and_the_values_are_listed_for_redaction() {
        let options = json!({"password_env": "PW", "host_env": "HOST", "port": 5, "tls": {"ca_file": "/ca.pem"}});
        let all = resolved(options, &["tls.ca_file"]).unwrap();
        assert_eq!(
            all.options,
            json!({"password": "hunter22", "host": "db1", "port": 5, "tls": {"ca_file": "/ca.pem"}})
        );
        let texts: Vec<&str> = all.secrets.iter().map(Secret::expose).collect();
        assert_eq!(texts, ["hunter22"]);
        assert_eq!(format!("{all:?}"), "Resolved(*** and 1 secrets)");
    }

    #[test]
    fn the_password_of_a_url_is_redacted_as_written_and_decoded() {
        let all = resolved(json!({"url_env": "URL"}), &[]).unwrap();
        let texts: Vec<&str> = all.secrets.iter().map(Secret::expose).collect();
        assert_eq!(texts, ["postgres://u:p%40ss9@h/d", "p%40ss9", "p@ss9"]);
        let all = resolved(json!({"url": "mysql://u:${PW}@h/d"}), &[]).unwrap();
        assert_eq!(all.options, json!({"url": "mysql://u:hunter22@h/d"}));
        assert!(all.secrets.iter().any(|secret| secret.expose() == "hunter22"));
    }

    #[test]
    fn a_file_loses_one_final_line_ending() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "geheim\n\n").unwrap();
        let all = resolved(json!({"password_file": file.path()}), &[]).unwrap();
        assert_eq!(all.options, json!({"password": "geheim\n"}));
    }

    #[test]
    fn what_is_missing_is_named_and_values_never_are() {
        let message = |options| resolved(options, &[]).unwrap_err().to_string();
        assert_eq!(
            message(json!({"tls": {"key_env": "NOPE"}})),
            "`tls.key_env`: environment variable `NOPE` is not set"
        );
        assert_eq!(
            message(json!({"password_file": "/nope"})),
            "`password_file`: file `/nope` cannot be read: entity not found"
        );
        assert_eq!(message(json!({"password": "hunter22", "password_env": "PW"})), "`password` is given twice");
        assert_eq!(message(json!({"user": "${NOPE}"})), "`user`: variable `NOPE` is not set");
    }

    #[test]
    fn secrets_in_plain_sight_are_found() {
        for (options, key) in [
            (json!({"password": "x"}), "password"),
            (json!({"a": {"Secret_Key": "x"}}), "a.Secret_Key"),
            (json!({"account_key": "${A}x"}), "account_key"),
            (json!({"password": 12345}), "password"),
            (json!({"url": "postgres://u:pw@h/d"}), "url"),
            (json!({"url": "postgres://u:p/w@h/d"}), "url"),
            (json!({"dsn": "Server=h;Password=x"}), "dsn"),
            (json!({"url": "postgres://h/d?user=a&password=x"}), "url"),
            (json!({"list": ["a", "s3://k:v@b"]}), "list[1]"),
        ] {
            assert_eq!(inline_secret(&options).as_deref(), Some(key), "{options}");
        }
    }

    #[test]
    fn the_password_of_a_connection_string_is_found_whole() {
        for (text, secret) in [
            ("Server=h;Password=a b&c;Encrypt=true", Some("a b&c")),
            ("Server=h; Pwd = \"a;b\"\"c\" ;Encrypt=true", Some("a;b\"\"c")),
            ("PWD='x=1;y';Server=h", Some("x=1;y")),
            ("AccountName=n;AccountKey=ab==;EndpointSuffix=e", Some("ab==")),
            ("Server=h;Password=;Encrypt=true", None),
            ("Server=h;Integrated Security=SSPI", None),
        ] {
            assert_eq!(url_secret(text), secret, "{text}");
        }
        let all = resolved(json!({"url": "Server=h;Pwd=\"a;b\"\"c\""}), &[]).unwrap();
        let texts: Vec<&str> = all.secrets.iter().map(Secret::expose).collect();
        assert!(texts.contains(&"a;b\"c") && texts.contains(&"a;b\"\"c"), "{texts:?}");
    }

    #[test]
    fn references_are_not_secrets_in_plain_sight() {
        for options in [
            json!({"password_env": "PW", "secret_key_env": "S", "sas_token_file": "/run/s"}),
            json!({"password": "${PW}", "url": "postgres://u:${PW}@h/d", "host": "h"}),
            json!({"url": "postgres://u@h/d?sslmode=require", "path": "/a:b@c", "user": "token_user"}),
            json!({"url": "postgres://h/d?password=${PW}"}),
        ] {
            assert_eq!(inline_secret(&options), None, "{options}");
        }
    }
}
