//! `${VAR}`: parameters first, then the environment.
//!
//! `$${` stands for a literal `${`. A lone `$`, `$1` or `$$` is left as it is, so SQL keeps its
//! placeholders and dollar quotes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the values of variables, and the files of `*_file`, come from.
#[derive(Clone, Default)]
pub struct Variables {
    params: BTreeMap<String, String>,
    environment: Option<BTreeMap<String, String>>,
    base_dir: PathBuf,
}

/// Why a text cannot be expanded. Neither case holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexpanded {
    /// The variable has no value.
    Unset(String),
    /// `${` is not followed by a name and `}`.
    Malformed,
}

impl Unexpanded {
    /// What failed, and what to do.
    pub fn texts(&self) -> (String, String) {
        match self {
            Self::Unset(name) => (
                format!("variable `{name}` is not set"),
                format!("pass --param {name}=…, set it in the environment, or write $${{ for a literal ${{"),
            ),
            Self::Malformed => (
                "`${` is not followed by a variable's name and `}`".to_owned(),
                "write ${NAME}, or $${ for a literal ${".to_owned(),
            ),
        }
    }
}

impl Variables {
    /// The process's environment below `params`; relative `*_file` paths start at `base_dir`.
    pub fn new(params: BTreeMap<String, String>, base_dir: impl Into<PathBuf>) -> Self {
        Self { params, environment: None, base_dir: base_dir.into() }
    }

    /// Replaces the process's environment.
    #[must_use]
    pub fn with_environment<K: Into<String>, V: Into<String>>(
        mut self,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment = Some(environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        self
    }

    /// The folder relative paths start at.
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// A parameter's value.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params.get(name).cloned()
    }

    /// An environment variable's value; None also where it is not UTF-8.
    pub fn environment(&self, name: &str) -> Option<String> {
        match &self.environment {
            Some(fixed) => fixed.get(name).cloned(),
            None => std::env::var(name).ok(),
        }
    }

    /// The value of `${name}`.
    pub fn lookup(&self, name: &str) -> Option<String> {
        self.param(name).or_else(|| self.environment(name))
    }

    /// `text` with its variables replaced.
    pub fn expand(&self, text: &str) -> Result<String, Unexpanded> {
        let mut result = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece? {
                Piece::Literal(literal) => result.push_str(literal),
                Piece::Variable(name) => {
                    result.push_str(&self.lookup(name).ok_or_else(|| Unexpanded::Unset(name.to_owned()))?);
                }
            }
        }
        Ok(result)
    }

    /// `text` with its parameters replaced, everything else still to be expanded.
    pub fn expand_params(&self, text: &str) -> Result<String, Unexpanded> {
        let mut result = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece? {
                Piece::Literal(literal) => result.push_str(&escape(literal)),
                Piece::Variable(name) => match self.param(name) {
                    Some(value) => result.push_str(&escape(&value)),
                    None => result.extend(["${", name, "}"]),
                },
            }
        }
        Ok(result)
    }

    /// A file's text without one final line ending.
    pub fn read_file(&self, path: &str) -> std::io::Result<String> {
        let mut text = std::fs::read_to_string(self.base_dir.join(path))?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }
}

/// `text` such that expanding it gives `text` back.
pub fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

/// The names of the variables in `text`.
pub fn names(text: &str) -> Vec<&str> {
    pieces(text)
        .filter_map(|piece| match piece {
            Ok(Piece::Variable(name)) => Some(name),
            _ => None,
        })
        .collect()
}

/// What stands in `text` beside its variables.
pub fn literal_part(text: &str) -> String {
    pieces(text)
        .filter_map(|piece| match piece {
            Ok(Piece::Literal(literal)) => Some(literal),
            _ => None,
        })
        .collect()
}

enum Piece<'a> {
    Literal(&'a str),
    Variable(&'a str),
}

fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, Unexpanded>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix("$${") {
            rest = after;
            return Some(Ok(Piece::Literal("${")));
        }
        if let Some(after) = rest.strip_prefix("${") {
            let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_name(name)) else {
                rest = "";
                return Some(Err(Unexpanded::Malformed));
            };
            rest = after;
            return Some(Ok(Piece::Variable(name)));
        }
        let end = [rest.find("$${"), rest.find("${")].into_iter().flatten().min().unwrap_or(rest.len());
        let (literal, after) = rest.split_at(end);
        rest = after;
        Some(Ok(Piece::Literal(literal)))
    })
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables::new(BTreeMap::from([("DAY".to_owned(), "${X}".to_owned())]), ".")
            .with_environment([("DAY", "env"), ("PW", "hunter22")])
    }

    #[test]
    fn parameters_come_before_the_environment_and_values_are_not_expanded_again() {
        assert_eq!(variables().expand("a ${DAY} $1 $$ ${PW}").unwrap(), "a ${X} $1 $$ hunter22");
        assert_eq!(variables().expand("$${DAY}").unwrap(), "${DAY}");
    }

    #[test]
    fn an_unset_or_malformed_variable_is_an_error() {
        assert_eq!(variables().expand("${NOPE}"), Err(Unexpanded::Unset("NOPE".to_owned())));
        for bad in ["${", "${}", "${A-B}", "${A:-x}"] {
            assert_eq!(variables().expand(bad), Err(Unexpanded::Malformed), "{bad}");
        }
    }

    #[test]
    fn expanding_parameters_first_changes_nothing_in_the_end() {
        let text = "$${DAY} ${DAY} ${PW}";
        let once = variables().expand_params(text).unwrap();
        assert_eq!(once, "$${DAY} $${X} ${PW}");
        assert_eq!(variables().expand(&once), variables().expand(text));
    }
}
