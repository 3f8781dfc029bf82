//! `rivet plugin new`: a plugin that builds, passes the conformance suite and exports, to begin from.
//!
//! The templates are the smallest plugins of this repository, as they are built and tested here;
//! only their name changes.

use std::fs;
use std::path::{Path, PathBuf};

use rivet_sdk::{Error, ErrorKind, Result};

use super::super::arguments::{PluginKind, PluginNewArguments};
use super::super::exit::Outcome;
use super::super::print;
use super::sdk::{CARGO_CONFIG, Sdk, requirement};
use crate::destination::BUILT_IN;
use crate::source::Plugins;

/// The names of the plugins that rivet comes with, and of the templates.
const PRODUCT: [&str; 9] = ["azure", "example", "folder", "gcs", "mssql", "mysql", "postgres", "s3", "sqlite"];

/// As long as a name can be with room for the crate's name and the library's.
const LONGEST: usize = 40;

/// What a plugin of one kind begins as.
struct Template {
    /// The name it has in this repository, in all of its files.
    name: &'static str,
    library: &'static str,
    options_schema: &'static str,
    conformance: &'static str,
    /// A configuration that runs.
    config: &'static str,
}

const SOURCE: Template = Template {
    name: "example",
    library: include_str!("../../../../plugins/example/src/lib.rs"),
    options_schema: include_str!("../../../../plugins/example/options.schema.json"),
    conformance: include_str!("../../../../plugins/example/tests/conformance.rs"),
    config: "\
source: {type: example, rows: 1000}
exports:
  - name: numbers
    table: numbers
    format: parquet
    destination: {type: local, path: ./out}
",
};

const DESTINATION: Template = Template {
    name: "folder",
    library: include_str!("../../../../plugins/folder/src/lib.rs"),
    options_schema: include_str!("../../../../plugins/folder/options.schema.json"),
    conformance: include_str!("../../../../plugins/folder/tests/conformance.rs"),
    config: "\
source: {type: example, rows: 1000}    # rivet's own generated rows
exports:
  - name: numbers
    table: numbers
    format: parquet
    destination: {type: folder, path: ./out}
",
};

pub fn new(arguments: &PluginNewArguments, plugins: &Plugins) -> Outcome {
    let (template, kind) = match arguments.kind {
        PluginKind::Source => (SOURCE, "source"),
        PluginKind::Destination => (DESTINATION, "destination"),
    };
    let name = checked(&arguments.name, &template)?;
    if let Ok((path, _)) = plugins.search().locate(name) {
        return Err(Error::config(format!("there is a plugin `{name}` already: {}", path.display()))
            .with_hint("choose another name")
            .into());
    }
    let folder = arguments.path.clone().unwrap_or_else(|| PathBuf::from(format!("rivet-plugin-{name}")));
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(Error::config(format!("{} is there already", folder.display()))
            .with_hint("give another folder with --path")
            .into());
    }
    let sdk = Sdk::find(arguments.sdk.as_deref())?;
    let files = [
        ("Cargo.toml", manifest(name, kind)),
        ("src/lib.rs", library(&template, name, kind)),
        ("options.schema.json", template.renamed(template.options_schema, name)),
        ("tests/conformance.rs", template.renamed(template.conformance, name)),
        ("rivet.yaml", template.renamed(template.config, name)),
        ("README.md", readme(name, kind)),
        (".gitignore", format!("/{CARGO_CONFIG}\ntarget/\nout/\n.rivet_state.db*\n")),
    ];
    for (path, content) in files {
        write(&folder.join(path), &content)?;
    }
    sdk.write(&folder)?;
    print::note(&format!("{}: a {kind} that exports as it is", folder.display()));
    print::note("hint: README.md says how to build, verify and run it; src/lib.rs is where your code goes");
    Ok(())
}

impl Template {
    /// The words of its code, without its comments.
    fn words(&self) -> impl Iterator<Item = &'static str> {
        let code = self.library.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_'))
    }

    /// The types that are named for a plugin.
    fn types(&self, name: &str) -> Vec<String> {
        let own = camel(self.name);
        self.words().filter_map(|word| word.strip_prefix(&own).map(|rest| camel(name) + rest)).collect()
    }

    /// The text with the new plugin's name wherever the template's stands for itself: prose stays.
    fn renamed(&self, text: &str, name: &str) -> String {
        let mut text = text.replace(&camel(self.name), &camel(name));
        for place in ["\"", "rivet_plugin_", "rivet-plugin-", "type: "] {
            text = text.replace(&format!("{place}{}", self.name), &format!("{place}{name}"));
        }
        text
    }
}

/// A name that a crate, a library and a configuration can all have, and the template's types.
fn checked<'a>(name: &'a str, template: &Template) -> Result<&'a str> {
    let first = name.chars().next().is_some_and(|first| first.is_ascii_lowercase());
    let rest = name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if !(first && rest) || name.len() > LONGEST {
        return Err(Error::config(format!("{name:?} cannot name a plugin")).with_hint(format!(
            "at most {LONGEST} lower-case letters, digits and `_`, beginning with a letter: the library is \
             librivet_plugin_NAME.so"
        )));
    }
    if BUILT_IN.contains(&name) {
        return Err(Error::config(format!("`{name}` is rivet's own destination")).with_hint("choose another name"));
    }
    if PRODUCT.contains(&name) {
        return Err(Error::config(format!("`{name}` is a plugin of rivet's own")).with_hint("choose another name"));
    }
    if let Some(taken) =
        template.types(name).into_iter().find(|new| new == "Self" || template.words().any(|word| word == new))
    {
        return Err(Error::config(format!("{name:?} cannot name a plugin: its type `{taken}` would be another's"))
            .with_hint("choose another name"));
    }
    Ok(name)
}

/// `my_store` as `MyStore`.
fn camel(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split('_').map(capital).collect()
}

fn manifest(name: &str, kind: &str) -> String {
    let requirement = requirement();
    format!(
        r#"[package]
name = "rivet-plugin-{name}"
version = "0.1.0"
description = "A rivet {kind}: {name}."
edition = "2024"
license = "Apache-2.0"

[lib]
crate-type = ["cdylib", "rlib"]

[dependencies]
rivet-sdk = "{requirement}"

[dev-dependencies]
rivet-testkit = "{requirement}"

[[test]]
name = "conformance"
harness = false

# A panic must stay inside the plugin: rivet refuses one that aborts.
[profile.dev]
panic = "unwind"

[profile.release]
panic = "unwind"

# A workspace of its own, wherever it lies.
[workspace]
"#
    )
}

/// The template's code below a first line of its own.
fn library(template: &Template, name: &str, kind: &str) -> String {
    let about: usize =
        template.library.lines().take_while(|line| line.starts_with("//!")).map(|line| line.len() + 1).sum();
    let code = template.library.get(about..).unwrap_or_default();
    format!("//! The rivet {kind} `{name}`.\n{}", template.renamed(code, name))
}

fn readme(name: &str, kind: &str) -> String {
    format!(
        "\
# rivet-plugin-{name}

A {kind} for rivet.

```sh
rivet plugin sdk                                              # after a clone: where this machine has rivet's SDK
cargo test                                                    # the conformance suite
rivet plugin verify {name} -c rivet.yaml --plugin-dir target/debug
rivet run -c rivet.yaml --plugin-dir target/debug
cargo build --release                                         # for users: target/release
```

`rivet plugin sdk` writes `.cargo/config.toml`, which is this machine's and not committed; the crates of the SDK are
not fetched from anywhere. Where `CARGO_TARGET_DIR` or a workspace says that cargo builds elsewhere, the library is in
`debug` and `release` there, and `--plugin-dir` wants that folder.

`RIVET_BLESS=1 cargo test` writes `options.schema.json` anew when the options have changed. Users put
`librivet_plugin_{name}.so` into `~/.local/share/rivet/plugins`, or wherever `--plugin-dir` says.
"
    )
}

fn write(path: &Path, content: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).and_then(|()| fs::write(path, content)).map_err(|error| {
        Error::new(ErrorKind::Other, format!("{}: {error}", path.display()))
            .with_hint("choose a folder that can be written with --path")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_a_library() {
        for template in [&SOURCE, &DESTINATION] {
            for name in ["", "My", "a-b", "9a", "a b", "../x", "größe", "local", "stdout", &"a".repeat(41)] {
                assert!(checked(name, template).is_err(), "{name}");
            }
            for name in ["my_db2", "test", "core", "std", "fn", "a_"] {
                assert!(checked(name, template).is_ok(), "{name}");
            }
            // Their types are those of the language or the SDK.
            for name in ["self", "result", "error", "context"] {
                assert!(checked(name, template).is_err(), "{name}");
            }
        }
        assert!(checked("source", &SOURCE).is_err() && checked("destination", &DESTINATION).is_err());
        assert_eq!(camel("my_db2"), "MyDb2");
    }

    #[test]
    fn the_products_plugins_are_all_taken() {
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
        for entry in fs::read_dir(plugins).unwrap() {
            let folder = entry.unwrap().path();
            let name = folder.file_name().unwrap().to_str().unwrap();
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            if manifest.contains(&format!("name = \"rivet-plugin-{name}\"")) {
                assert!(checked(name, &SOURCE).is_err(), "{name}");
            }
        }
    }
}
