//! The reference page of the configuration, made from the table of keys.

use super::grammar;
use super::keys::{Block, Key, Kind, Support};

/// `docs/reference/config.md`.
pub fn reference_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for block in grammar::ROOT.all() {
        page.push_str(&section(block));
    }
    page
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from host/src/config/grammar.rs: RIVET_BLESS=1 cargo test -p rivet config -->

One YAML file describes one source and its exports. `rivet check -c FILE` reads it and names \
every fault with its line and column; `rivet schema config` prints its JSON Schema, with the \
options of the plugins that are installed.

- `${VAR}` in a value takes `--param VAR=…` first, then the environment; a variable without a \
value is an error. `$${` stands for a literal `${`. Comments are not searched; the text of a \
`query_file` is.
- Every key that takes text, `x`, may be given as `x_env` (the name of an environment variable) \
or `x_file` (the path of a file, which loses one final line ending) instead. That is how secrets \
are given. A key that exists under that very name, such as `query_file`, keeps its own meaning.
- Relative paths start at the file's own folder, except the `path` of a source or a destination, which starts at \
the working directory.
- `MB` is a million bytes and `MiB` 1 048 576; keys that end in `_mb` count MiB.
";

fn section(block: &Block) -> String {
    let title = if block.path.is_empty() { "The file".to_owned() } else { format!("`{}`", block.path) };
    let rows: String = block.keys.iter().map(row).collect();
    format!("\n## {title}\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}", block.doc)
}

fn row(key: &Key) -> String {
    let support = match key.support {
        Support::Full => String::new(),
        Support::Accepted => " *Accepted for rivet-cli's sake.*".to_owned(),
    };
    let default = match key.default {
        "" if key.required => "required".to_owned(),
        other => cell(other),
    };
    format!("| `{}` | {} | {default} | {}{support} |\n", key.name, cell(&value(key.kind)), cell(key.doc))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn value(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Secret => "text, secret".to_owned(),
        Kind::Character => "a character".to_owned(),
        Kind::Bool => "true, false".to_owned(),
        Kind::FlagOrInteger(least, most) => format!("true, false, or {least} to {most}"),
        Kind::Integer(least, i64::MAX) => format!("{least} or more"),
        Kind::Integer(least, most) => format!("{least} to {most}"),
        Kind::Number(least) => format!("a number from {least}"),
        Kind::Choice(words) => words.join(", "),
        Kind::Size => "a size".to_owned(),
        Kind::Duration => "a duration".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::TextOrTexts => "text, or list of texts".to_owned(),
        Kind::Choices(words) => format!("list of {}", words.join(", ")),
        Kind::TextByName => "names with a text each".to_owned(),
        Kind::NumberByName => "names with a number each".to_owned(),
        Kind::Block(block) => format!("[`{}`](#{})", block.path, anchor(block)),
        Kind::Blocks(block) => format!("list of [`{}`](#{})", block.path, anchor(block)),
    }
}

fn anchor(block: &Block) -> String {
    block.path.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_committed_page_is_fresh() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/config.md");
        if std::env::var_os("RIVET_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, reference_markdown()).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == reference_markdown(), "stale: RIVET_BLESS=1 cargo test -p rivet config");
    }
}
