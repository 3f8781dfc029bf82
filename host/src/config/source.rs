//! `source`: which plugin, its options, and what is at stake.

use super::diagnostic::Diagnostic;
use super::fields::Fields;
use super::plugin_block::{PluginBlock, entry};
use super::schema::Role;
use super::tree::{Entry, Node, Value};
use super::tuning::{self, Environment};
use super::variables::Variables;

/// Which plugin reads the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourcePlugin {
    /// The plugin of this name.
    Name(String),
    /// The plugin that serves this URL scheme.
    Scheme(String),
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Which plugin.
    pub plugin: SourcePlugin,
    /// Its options, references unexpanded.
    pub block: PluginBlock,
    /// The most connections at once; None: nobody counts them.
    pub max_connections: Option<u32>,
    /// What is at stake; None if the user does not say.
    pub environment: Option<Environment>,
}

/// Reads `source`.
pub fn read(source: &Fields, variables: &Variables, faults: &mut Vec<Diagnostic>) -> Option<SourceConfig> {
    check_address(source, faults);
    if let Some(tuning) = source.fields("tuning") {
        faults.extend(tuning::check(tuning));
    }
    let node = Node { at: source.at, value: Value::Map(source.rest.clone()) };
    let block = PluginBlock::new(Role::Source, &source.path, node, variables, faults);
    let plugin = match source.text("type") {
        Some(name) => Some(SourcePlugin::Name(name.to_owned())),
        None if source.has("type") => None,
        None => scheme(source, variables).map(SourcePlugin::Scheme).map_err(|fault| faults.push(*fault)).ok(),
    };
    let environment = source.text("environment").map(Environment::named);
    let max_connections = source.integer("max_connections");
    Some(SourceConfig { plugin: plugin?, block, max_connections, environment })
}

fn check_address(source: &Fields, faults: &mut Vec<Diagnostic>) {
    let urls: Vec<&Entry> = ["url", "url_env", "url_file"].iter().filter_map(|key| entry(&source.rest, key)).collect();
    let Some(first) = urls.first() else { return };
    for (second, also) in urls.iter().skip(1).map(|second| (*second, "keep one of url, url_env and url_file")).chain(
        ["host", "port", "user", "password", "password_env", "password_file", "database"]
            .iter()
            .filter_map(|key| entry(&source.rest, key))
            .take(1)
            .map(|part| (part, "keep one: a URL, or host, port, user, password and database")),
    ) {
        let message = format!("`{}` and `{}` are both given", first.key, second.key);
        faults.push(Diagnostic::invalid(second.at, source.key(&second.key), message).with_hint(also));
    }
}

/// The URL's scheme. The URL itself is looked at and forgotten.
fn scheme(source: &Fields, variables: &Variables) -> Result<String, Box<Diagnostic>> {
    let given = ["url", "url_env", "url_file"].iter().find_map(|key| entry(&source.rest, key));
    let Some(given) = given else {
        let fault = Diagnostic::invalid(source.at, source.key("type"), "this key is required where there is no URL");
        return Err(Box::new(fault.with_hint("add the plugin's name, such as type: postgres")));
    };
    let fault = |message: String| {
        let fault = Diagnostic::invalid(given.node.at, source.key(&given.key), message);
        Box::new(fault.with_hint("set it, or add the plugin's name, such as type: postgres"))
    };
    let Value::Text { text, .. } = &given.node.value else {
        return Err(fault(format!("expected text, found {}", given.node.value.described())));
    };
    let text = variables.expand(text).map_err(|error| fault(error.texts().0))?;
    let url = match given.key.as_str() {
        "url_env" => {
            variables.environment(&text).ok_or_else(|| fault(format!("environment variable `{text}` is not set")))?
        }
        "url_file" => variables
            .read_file(&text)
            .map_err(|error| fault(format!("file `{text}` cannot be read: {}", error.kind())))?,
        _ => text,
    };
    scheme_of(&url)
        .ok_or_else(|| fault("neither a URL, with a scheme such as postgresql://, nor an ADO.NET string".to_owned()))
}

/// The scheme of a URL. An ADO.NET string, `Server=…;Database=…`, has SQL Server's.
pub fn scheme_of(url: &str) -> Option<String> {
    match url.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => Some(scheme.to_ascii_lowercase()),
        _ if names_a_server(url) => Some("mssql".to_owned()),
        _ => None,
    }
}

/// Whether one of the keywords of a connection string is SqlClient's for the server.
fn names_a_server(text: &str) -> bool {
    text.split(';').filter_map(|part| part.split_once('=')).any(|(keyword, _)| {
        let keyword: String = keyword.to_ascii_lowercase().split_whitespace().collect();
        ["server", "datasource", "address", "addr", "networkaddress"].contains(&keyword.as_str())
    })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}
