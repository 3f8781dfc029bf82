//! `rivet plugin new`: a plugin that builds, passes the conformance suite and exports, to begin from.
//!
//! The templates are the smallest plugins of this repository, as they are built and tested here;
//! only their name changes.

use std::fs;
use std::path::{Path, PathBuf};

use rivet_sdk::{Error, ErrorKind, Result, SDK_VERSION};

use super::super::arguments::{PluginKind, PluginNewArguments};
use super::super::exit::Outcome;
use super::super::print;
use crate::destination::BUILT_IN;

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

pub fn new(arguments: &PluginNewArguments) -> Outcome {
    let name = checked(&arguments.name)?;
    let (template, kind) = match arguments.kind {
        PluginKind::Source => (SOURCE, "source"),
        PluginKind::Destination => (DESTINATION, "destination"),
    };
    let folder = arguments.path.clone().unwrap_or_else(|| PathBuf::from(format!("rivet-plugin-{name}")));
    if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(Error::config(format!("{} is there already", folder.display()))
            .with_hint("give another folder with --path")
            .into());
    }
    let sdk = match &arguments.sdk {
        Some(path) => Some(sdk_at(path)?),
        None => sdk_of_checkout(),
    };
    let files = [
        ("Cargo.toml", manifest(name, kind, sdk.as_deref())),
        ("src/lib.rs", library(&template, name, kind)),
        ("options.schema.json", template.renamed(template.options_schema, name)),
        ("tests/conformance.rs", template.renamed(template.conformance, name)),
        ("rivet.yaml", template.renamed(template.config, name)),
        ("README.md", readme(name, kind)),
        (".gitignore", "target/\nout/\n.rivet_state.db*\n".to_owned()),
    ];
    for (path, content) in files {
        write(&folder.join(path), &content)?;
    }
    print::note(&format!("{}: a {kind} that exports as it is", folder.display()));
    print::note("hint: README.md says how to build, verify and run it; src/lib.rs is where your code goes");
    Ok(())
}

impl Template {
    /// The text with the new plugin's name wherever the template's stands for itself: prose stays.
    fn renamed(&self, text: &str, name: &str) -> String {
        let mut text = text.replace(&camel(self.name), &camel(name));
        for place in ["\"", "rivet_plugin_", "rivet-plugin-", "type: "] {
            text = text.replace(&format!("{place}{}", self.name), &format!("{place}{name}"));
        }
        text
    }
}

/// A name that a crate, a library and a configuration can all have.
fn checked(name: &str) -> Result<&str> {
    let first = name.chars().next().is_some_and(|first| first.is_ascii_lowercase());
    let rest = name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if !(first && rest) {
        return Err(Error::config(format!("{name:?} cannot name a plugin")).with_hint(
            "lower-case letters, digits and `_`, beginning with a letter: the library is librivet_plugin_NAME.so",
        ));
    }
    if BUILT_IN.contains(&name) {
        return Err(Error::config(format!("`{name}` is rivet's own destination")).with_hint("choose another name"));
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

/// The SDK's sources, `sdk/` of a checkout.
fn sdk_at(path: &Path) -> Result<PathBuf> {
    let absolute = fs::canonicalize(path).ok().filter(|path| path.join("plugin/Cargo.toml").is_file());
    absolute.ok_or_else(|| {
        Error::config(format!("--sdk {}: there is no plugin/Cargo.toml in it", path.display()))
            .with_hint("give the folder `sdk` of a checkout of rivet")
    })
}

/// The SDK that this very program was built with, where it lies in its checkout's target folder.
fn sdk_of_checkout() -> Option<PathBuf> {
    let executable = std::env::current_exe().ok()?;
    sdk_at(&executable.ancestors().nth(3)?.join("sdk")).ok()
}

fn manifest(name: &str, kind: &str, sdk: Option<&Path>) -> String {
    let dependency = |krate: &str, folder: &str| match sdk {
        Some(sdk) => format!("{krate} = {{ path = {:?} }}", sdk.join(folder)),
        None => format!("{krate} = \"{SDK_VERSION}\""),
    };
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
{}

[dev-dependencies]
{}

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
"#,
        dependency("rivet-sdk", "plugin"),
        dependency("rivet-testkit", "testkit"),
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
cargo test                                                    # the conformance suite
cargo build --release
rivet plugin verify {name} -c rivet.yaml --plugin-dir target/release
rivet run -c rivet.yaml --plugin-dir target/release
```

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
    use super::{camel, checked};

    #[test]
    fn names_are_those_of_a_library() {
        for name in ["", "My", "a-b", "9a", "a b", "../x", "größe", "local", "stdout"] {
            assert!(checked(name).is_err(), "{name}");
        }
        assert!(checked("my_db2").is_ok());
        assert_eq!(camel("my_db2"), "MyDb2");
    }
}
