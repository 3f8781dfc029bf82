//! Paths with tokens: `{date}`, `{export}`, `{table}`, `{run_id}`, `{partition}`.

use rivet_sdk::{Error, Result};

use super::diagnostic::nearest;

/// What stands for the table's name in the export's.
pub(super) const TABLE: &str = "{table}";

const TOKENS: [&str; 5] = ["date", "export", "table", "run_id", "partition"];

/// What stands for the tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The run's day: `2026-01-31`.
    pub date: String,
    /// The export's name.
    pub export: String,
    /// The table's name; None for a query.
    pub table: Option<String>,
    pub run_id: String,
    /// `column=value`; None without `partition_by`.
    pub partition: Option<String>,
}

impl Tokens {
    fn value(&self, token: &str) -> Option<&str> {
        match token {
            "date" => Some(&self.date),
            "export" => Some(&self.export),
            "table" => self.table.as_deref(),
            "run_id" => Some(&self.run_id),
            "partition" => self.partition.as_deref(),
            _ => None,
        }
    }
}

/// A path cut at the last folder before its first token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The folder, as written, with its final `/`: the same for every run.
    pub prefix: String,
    /// The rest: empty, or ends with `/`.
    pub rest: String,
    /// The tokens in it.
    pub tokens: Vec<&'static str>,
}

/// Cuts and checks a path. The error is a message and a hint.
pub fn parse(path: &str) -> Result<Template, (String, Option<String>)> {
    if path.split(['/', '\\']).any(|folder| folder == "..") {
        let hint = "write the folder without it, or as an absolute path".to_owned();
        return Err(("`..` is not allowed in a destination's path".to_owned(), Some(hint)));
    }
    let mut tokens = Vec::new();
    for piece in pieces(path) {
        if let Piece::Token(name) = piece.map_err(|message| (message, None))? {
            let hint =
                || nearest(name, TOKENS).unwrap_or_else(|| format!("the tokens are {{{}}}", TOKENS.join("}, {")));
            let token = TOKENS.into_iter().find(|token| *token == name);
            tokens.push(token.ok_or_else(|| (format!("unknown token `{{{name}}}`"), Some(hint())))?);
        }
    }
    let Some(first) = path.find('{') else {
        return Ok(Template { prefix: path.to_owned(), rest: String::new(), tokens });
    };
    let (before, _) = path.split_at(first);
    let (prefix, rest) = path.split_at(before.rfind('/').map_or(0, |slash| slash + 1));
    let end = if rest.ends_with('/') { "" } else { "/" };
    Ok(Template { prefix: prefix.to_owned(), rest: format!("{rest}{end}"), tokens })
}

/// The template with its tokens replaced. A value that is empty, or could lead out of its
/// folder, is refused.
pub fn expand(template: &str, tokens: &Tokens) -> Result<String> {
    let mut result = String::new();
    for piece in pieces(template) {
        match piece.map_err(Error::config)? {
            Piece::Literal(literal) => result.push_str(literal),
            Piece::Token(name) => {
                let value = tokens.value(name);
                let value = value.ok_or_else(|| Error::config(format!("`{{{name}}}` has no value for this export")))?;
                if !is_file_name(value) {
                    return Err(Error::config(format!("the value of `{{{name}}}` cannot stand in a path"))
                        .with_hint("it is empty, or holds a slash, `..` or a control character")
                        .with_context("value", value.escape_debug().to_string()));
                }
                result.push_str(value);
            }
        }
    }
    if result.split('/').any(|folder| folder == "..") {
        return Err(Error::config("the expanded path leads out of its folder").with_context("path", result));
    }
    Ok(result)
}

/// Whether a name can stand in a path as one piece of it.
pub fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.split('=').any(|piece| piece == ".." || piece == ".")
        && !name.contains(['/', '\\'])
        && !name.contains(char::is_control)
}

enum Piece<'a> {
    Literal(&'a str),
    Token(&'a str),
}

fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, String>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                rest = "";
                return Some(Err("`{` without its `}`".to_owned()));
            };
            rest = after;
            return Some(Ok(Piece::Token(name)));
        }
        let (literal, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        rest = after;
        Some(if literal.contains('}') { Err("`}` without its `{`".to_owned()) } else { Ok(Piece::Literal(literal)) })
    })
}

/// Whether a name can be an export's.
pub(super) fn is_export_name(name: &str) -> bool {
    is_file_name(name) && !name.starts_with('.') && !name.contains(['{', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(path: &str) -> (String, String) {
        let template = parse(path).unwrap();
        (template.prefix, template.rest)
    }

    #[test]
    fn a_path_is_cut_at_the_folder_before_its_first_token() {
        let pair = |prefix: &str, rest: &str| (prefix.to_owned(), rest.to_owned());
        assert_eq!(cut("out/data"), pair("out/data", ""));
        assert_eq!(cut("out/{date}"), pair("out/", "{date}/"));
        assert_eq!(cut("out/d={date}/{export}/"), pair("out/", "d={date}/{export}/"));
        assert_eq!(cut("{export}"), pair("", "{export}/"));
        assert_eq!(cut("/abs/x{run_id}"), pair("/abs/", "x{run_id}/"));
    }

    #[test]
    fn unknown_tokens_and_climbing_paths_are_refused() {
        let fault = |path| parse(path).unwrap_err();
        assert_eq!(fault("o/{dat}"), ("unknown token `{dat}`".to_owned(), Some("did you mean date?".to_owned())));
        assert!(fault("o/{zzzzzz}").1.unwrap().starts_with("the tokens are {date}, {export}"));
        assert_eq!(fault("o/{date").0, "`{` without its `}`");
        assert_eq!(fault("o/date}").0, "`}` without its `{`");
        for path in ["../o", "o/..", "o/../{date}", "..", "o\\..\\p"] {
            assert_eq!(fault(path).0, "`..` is not allowed in a destination's path", "{path}");
        }
        assert!(parse("a..b/..c").is_ok());
    }

    #[test]
    fn values_cannot_lead_out_of_their_folder() {
        let tokens =
            |export: &str| Tokens { export: export.to_owned(), date: "2026-01-31".to_owned(), ..Tokens::default() };
        assert_eq!(expand("d={date}/{export}/", &tokens("a b")).unwrap(), "d=2026-01-31/a b/");
        for bad in ["", "..", "a/b", "a\\b", "a\n"] {
            assert!(expand("{export}/", &tokens(bad)).is_err(), "{bad:?}");
        }
        assert!(expand(".{export}/", &tokens(".")).is_err());
        assert!(expand("{table}/", &tokens("a")).unwrap_err().message().contains("has no value"));
    }
}
