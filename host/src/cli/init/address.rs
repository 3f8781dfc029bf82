//! Where `rivet init` finds the database, and how the configuration will name it.

use std::path::Path;

use rivet_sdk::parameters::Parameters;
use rivet_sdk::{Error, Result, Secret};
use serde_json::{Map, Value, json};

use super::super::arguments::InitArguments;
use super::write::scalar;
use crate::config::{self, plugin_options};
use crate::redact;

/// The variable that a configuration names where the command line held a password.
pub const VARIABLE: &str = "DATABASE_URL";

/// The database's URL and how it was given.
pub struct Address {
    /// The URL's scheme.
    pub scheme: String,
    url: Secret,
    given: Given,
}

enum Given {
    Literal,
    Variable(String),
    File(std::path::PathBuf),
}

impl Address {
    /// Reads the URL from the command line, the environment or the file.
    pub fn read(arguments: &InitArguments) -> Result<Self> {
        let (url, given) = match (&arguments.source, &arguments.source_env, &arguments.source_file) {
            (Some(url), ..) => (url.clone(), Given::Literal),
            (_, Some(name), _) => {
                let url = std::env::var(name).map_err(|_| {
                    Error::config(format!("environment variable `{name}` is not set"))
                        .with_hint(format!("export {name}=…"))
                })?;
                (url, Given::Variable(name.clone()))
            }
            (_, _, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Error::config(format!("{}: {}", path.display(), error.kind()))
                        .with_hint("give a file that holds the database's URL")
                })?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                (text.strip_suffix('\r').unwrap_or(text).to_owned(), Given::File(path.clone()))
            }
            (None, None, None) => return Err(Error::config("no source").with_hint("give --source URL")),
        };
        Self::new(url, given)
    }

    fn new(url: String, given: Given) -> Result<Self> {
        let url = Secret::new(url);
        if config::inline_secret(&json!({ "url": url.expose().replace("${", "$${") })).is_some() {
            redact::remember([url.clone()]);
        }
        let scheme = config::scheme_of(url.expose()).ok_or_else(|| {
            Error::config("the source is neither a URL nor an ADO.NET string")
                .with_hint("write postgresql://user@host/database, sqlite:FILE, or Server=…;Database=…;User ID=…")
        })?;
        Ok(Self { scheme, url, given })
    }

    /// Whether the command line held a password, which the configuration must not.
    pub fn has_secret(&self) -> bool {
        matches!(self.given, Given::Literal) && config::inline_secret(&json!({ "url": self.literal() })).is_some()
    }

    /// The URL as a configuration writes it: without meaning for `${`.
    fn literal(&self) -> String {
        self.url.expose().replace("${", "$${")
    }

    /// The plugin's options. A plugin without `url` takes the URL's parameters as options.
    pub fn options(&self, schema: Option<&Value>) -> Result<Value> {
        let Some(schema) = schema else {
            return Err(Error::config(format!("the plugin for `{}:` opens no sources", self.scheme))
                .with_hint("`rivet plugin list` shows what each plugin offers"));
        };
        // A schema that names no options forbids none.
        let is_silent = schema.as_object().is_some_and(serde_json::Map::is_empty);
        if is_silent || plugin_options::is_exact_key(schema, "url") {
            return Ok(json!({ "url": self.literal() }));
        }
        let parameters = self.url.expose().split_once('?').map_or("", |(_, parameters)| parameters);
        let mut map = Map::new();
        // Which there are is for the plugin to say.
        for (key, value) in Parameters::new("the URL", &[]).of_query(parameters)? {
            if map.insert(key.clone(), value.into()).is_some() {
                return Err(Error::config(format!("the URL gives `{key}` twice")).with_hint("keep one of them"));
            }
        }
        let mut options = Value::Object(map);
        plugin_options::coerce(schema, &mut options);
        Ok(options)
    }

    /// The lines of `source` below its `type`, for a configuration in `output`.
    pub fn lines(&self, options: &Value, output: &Path) -> Result<Vec<String>> {
        if options.get("url").is_none() {
            let options = options.as_object().into_iter().flatten();
            return Ok(options.map(|(key, value)| format!("{key}: {value}")).collect());
        }
        Ok(match &self.given {
            Given::Variable(name) => vec![format!("url_env: {}", scalar(name))],
            Given::File(path) => {
                // A relative path in a configuration starts at the configuration's folder.
                let beside = output.parent().is_none_or(|folder| folder.as_os_str().is_empty());
                let path = if beside { Ok(path.clone()) } else { std::path::absolute(path) };
                let path = path.map_err(|error| Error::config(format!("working directory: {error}")))?;
                vec![format!("url_file: {}", scalar(&path.display().to_string()))]
            }
            Given::Literal if self.has_secret() => vec![
                "# The URL that `rivet init` was given; its password has no place in this file.".to_owned(),
                format!("url_env: {VARIABLE}"),
            ],
            Given::Literal => vec![format!("url: {}", scalar(self.url.expose()))],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(url: &str, given: Given, output: &str) -> Vec<String> {
        let address = Address::new(url.to_owned(), given).unwrap();
        let schema = json!({ "properties": { "url": { "type": "string" } } });
        address.lines(&address.options(Some(&schema)).unwrap(), Path::new(output)).unwrap()
    }

    #[test]
    fn a_password_is_never_written() {
        let written = lines("postgresql://me:hunter22@db/shop", Given::Literal, "rivet.yaml");
        assert_eq!(written.last().unwrap(), "url_env: DATABASE_URL");
        assert!(!written.concat().contains("hunter22"));
    }

    #[test]
    fn references_stay_references() {
        assert_eq!(lines("a://b", Given::Literal, "r.yaml"), ["url: \"a://b\""]);
        assert_eq!(lines("a://b:pw@c", Given::Variable("DB".into()), "r.yaml"), ["url_env: DB"]);
        assert_eq!(lines("a://b:pw@c", Given::File("u.txt".into()), "r.yaml"), ["url_file: u.txt"]);
        let elsewhere = lines("a://b:pw@c", Given::File("u.txt".into()), "conf/r.yaml").remove(0);
        assert!(elsewhere.starts_with("url_file: \"/") && elsewhere.ends_with("/u.txt\""), "{elsewhere}");
    }

    #[test]
    fn a_plugin_without_urls_takes_parameters() {
        let address = Address::new("example:?rows=5".to_owned(), Given::Literal).unwrap();
        let schema = json!({ "properties": { "rows": { "type": "integer" } } });
        let options = address.options(Some(&schema)).unwrap();
        assert_eq!(options, json!({ "rows": 5 }));
        assert_eq!(address.lines(&options, Path::new("r.yaml")).unwrap(), ["rows: 5"]);
        assert_eq!(address.options(Some(&json!({}))).unwrap(), json!({ "url": "example:?rows=5" }));
        assert!(Address::new("nothing".to_owned(), Given::Literal).is_err());
        for url in ["example:?rows", "example:?rows=5&rows=6", "example:?rows=%5"] {
            let address = Address::new(url.to_owned(), Given::Literal).unwrap();
            assert!(address.options(Some(&schema)).unwrap_err().message().contains("rows"), "{url}");
        }
    }

    #[test]
    fn an_ado_net_string_is_a_source() {
        let ado = "Server=tcp:h,1433;User ID=u;Password=\"a;b\"";
        assert_eq!(Address::new(ado.to_owned(), Given::Literal).unwrap().scheme, "mssql");
        assert_eq!(lines(ado, Given::Literal, "r.yaml").last().unwrap(), "url_env: DATABASE_URL");
    }
}
