//! What is wrong with a configuration: every fault with its line, column, key and remedy.

use std::fmt;
use std::path::{Path, PathBuf};

use rivet_sdk::{Error, ErrorKind};

/// A place in a file, counted from one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub at: Position,
    /// The key's path (`exports[0].chunk_size`); empty for the document itself.
    pub key: String,
    /// What is wrong. Holds no value that came from a variable or a file.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The file, where it is not the configuration itself (a `query_file`).
    pub file: Option<PathBuf>,
}

impl Diagnostic {
    /// Something wrong with `key`, which stands at `at`.
    pub fn invalid(at: Position, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at, key: key.into(), message: message.into(), hint: None, file: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint if there is one.
    #[must_use]
    pub fn with_hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

/// Every fault of one configuration, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: PathBuf,
    all: Vec<Diagnostic>,
}

impl Diagnostics {
    /// The faults of `file`, sorted by place.
    pub fn new(file: &Path, mut all: Vec<Diagnostic>) -> Self {
        all.sort_by(|left, right| (&left.file, left.at).cmp(&(&right.file, right.at)));
        Self { file: file.to_owned(), all }
    }

    /// `value`, unless there are faults.
    pub fn none_or<T>(file: &Path, all: Vec<Diagnostic>, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if all.is_empty() => Ok(value),
            _ => Err(Self::new(file, all)),
        }
    }

    /// The faults.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.all.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&line(&self.file, one))?;
            if let Some(hint) = &one.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostics> for Error {
    fn from(from: Diagnostics) -> Self {
        let Some((first, rest)) = from.all.split_first() else {
            return Self::config("the configuration is refused");
        };
        let error = Self::new(ErrorKind::Config, line(&from.file, first));
        let error = match &first.hint {
            Some(hint) => error.with_hint(hint.clone()),
            None => error,
        };
        error.with_chain(rest.iter().map(|fault| match &fault.hint {
            Some(hint) => format!("{} (hint: {hint})", line(&from.file, fault)),
            None => line(&from.file, fault),
        }))
    }
}

fn line(file: &Path, one: &Diagnostic) -> String {
    let file = one.file.as_deref().unwrap_or(file).display();
    let key = if one.key.is_empty() { String::new() } else { format!("{}: ", one.key) };
    format!("{file}:{}:{}: {key}{}", one.at.line, one.at.column, one.message)
}

impl Diagnostics {
    /// One fault on one line, its place first.
    pub fn line(&self, one: &Diagnostic) -> String {
        line(&self.file, one)
    }

    /// The file that `one` is in.
    pub fn file_of<'a>(&'a self, one: &'a Diagnostic) -> &'a Path {
        one.file.as_deref().unwrap_or(&self.file)
    }
}

/// `did you mean …?`, if one of `known` is close to `word`.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    rivet_sdk::nearest(word, known).map(|name| format!("did you mean {name}?"))
}

/// The key's path below `parent`.
pub fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_print_in_the_order_of_the_file_with_their_hints() {
        let at = |line, column| Position { line, column };
        let all = vec![
            Diagnostic::invalid(at(9, 3), "exports[0].mode", "no such mode"),
            Diagnostic::invalid(at(2, 5), "source.typ", "unknown key").with_hint("did you mean type?"),
        ];
        let all = Diagnostics::new(Path::new("rivet.yaml"), all);
        assert_eq!(
            all.to_string(),
            "rivet.yaml:2:5: source.typ: unknown key\n  hint: did you mean type?\n\
             rivet.yaml:9:3: exports[0].mode: no such mode"
        );
        let error = Error::from(all);
        assert_eq!((error.kind(), error.chain().len()), (ErrorKind::Config, 1));
    }

    #[test]
    fn only_close_names_are_offered() {
        assert_eq!(nearest("chunk_sise", ["chunk_size", "mode"]), Some("did you mean chunk_size?".to_owned()));
        assert_eq!(nearest("zebra", ["chunk_size", "mode"]), None);
    }
}
