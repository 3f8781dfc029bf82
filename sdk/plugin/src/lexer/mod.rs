//! Reads a user's query as its database reads it: where comments, texts and names end.
//!
//! Databases differ in this: `10--5` is a comment to PostgreSQL and a sum to MySQL, `/* a /* b */` is closed for one and
//! open for the other. A driver names the [`Rules`] of its session, and [`single`] makes of the text what may stand in
//! brackets. Nothing is cut but a semicolon and what follows it: a mistake about a comment can end in an error of the
//! server, never in another query.

mod words;

use self::words::{Fault, Word, Words};
use crate::{Error, ErrorKind, Result};

/// How a database cuts SQL into words. The fields differ from [`Rules::standard`] where the database does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub struct Rules {
    /// `/*` within a comment opens another one.
    pub nested_comments: bool,
    /// A comment that is never closed goes to the end of the text.
    pub open_comments: bool,
    /// `--` begins a comment only before a blank, a control character, or the end.
    pub dashes_need_blank: bool,
    /// `#` begins a comment to the end of its line.
    pub hash_comments: bool,
    /// What ends a comment of one line.
    pub line_end: LineEnd,
    /// What opens a comment whose content the database may run.
    pub executable_comments: &'static [&'static str],
    /// Where a backslash takes the meaning from the character after it.
    pub backslash: Backslash,
    /// `"…"` is a text, to which [`Rules::backslash`] applies; else a name.
    pub double_quoted_texts: bool,
    /// `` `…` `` is a name.
    pub backticks: bool,
    /// Whether `[…]` is a name.
    pub brackets: Brackets,
    /// `$tag$…$tag$` is a text.
    pub dollar_quotes: bool,
    /// A byte order mark is a blank, wherever it stands.
    pub blank_marks: bool,
}

/// What ends a comment of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineEnd {
    /// A line feed.
    Feed,
    /// A line feed, or a carriage return.
    FeedOrReturn,
    /// A line feed. A carriage return without one is refused: it is not written down what it does.
    FeedAlone,
}

/// Where a backslash takes the meaning from the character after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backslash {
    /// Nowhere.
    Nowhere,
    /// In `E'…'`.
    InEscapeTexts,
    /// In `E'…'`, and in every text but `B'…'` and `X'…'`.
    InOldTexts,
    /// In every text.
    InTexts,
}

/// Whether `[…]` is a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Brackets {
    /// It is not.
    Other,
    /// It is, and ends at the first `]`.
    Names,
    /// It is, and `]]` stands for a bracket in it.
    DoubledNames,
}

impl Rules {
    /// Standard SQL: texts in `'…'`, names in `"…"`, quotes doubled; `--` and `/* */`, which does not nest.
    pub const fn standard() -> Self {
        Self {
            nested_comments: false,
            open_comments: false,
            dashes_need_blank: false,
            hash_comments: false,
            line_end: LineEnd::Feed,
            executable_comments: &[],
            backslash: Backslash::Nowhere,
            double_quoted_texts: false,
            backticks: false,
            brackets: Brackets::Other,
            dollar_quotes: false,
            blank_marks: false,
        }
    }

    /// PostgreSQL, by the session's `standard_conforming_strings`.
    pub const fn postgresql(standard_conforming_strings: bool) -> Self {
        Self {
            nested_comments: true,
            line_end: LineEnd::FeedOrReturn,
            backslash: if standard_conforming_strings { Backslash::InEscapeTexts } else { Backslash::InOldTexts },
            dollar_quotes: true,
            ..Self::standard()
        }
    }

    /// MySQL, by the session's `sql_mode`.
    pub fn mysql(sql_mode: &str) -> Self {
        let is_on = |mode: &str| sql_mode.split(',').any(|on| on.trim().eq_ignore_ascii_case(mode));
        Self {
            dashes_need_blank: true,
            hash_comments: true,
            executable_comments: &["/*!"],
            backslash: if is_on("NO_BACKSLASH_ESCAPES") { Backslash::Nowhere } else { Backslash::InTexts },
            double_quoted_texts: !is_on("ANSI_QUOTES"),
            backticks: true,
            ..Self::standard()
        }
    }

    /// MariaDB, by the session's `sql_mode`.
    pub fn mariadb(sql_mode: &str) -> Self {
        let brackets = sql_mode.split(',').any(|on| on.trim().eq_ignore_ascii_case("MSSQL"));
        Self {
            executable_comments: &["/*!", "/*M!"],
            brackets: if brackets { Brackets::DoubledNames } else { Brackets::Other },
            ..Self::mysql(sql_mode)
        }
    }

    /// SQLite.
    pub const fn sqlite() -> Self {
        Self { open_comments: true, backticks: true, brackets: Brackets::Names, blank_marks: true, ..Self::standard() }
    }

    /// SQL Server, under QUOTED_IDENTIFIER ON.
    pub const fn sqlserver() -> Self {
        Self {
            nested_comments: true,
            line_end: LineEnd::FeedAlone,
            brackets: Brackets::DoubledNames,
            ..Self::standard()
        }
    }
}

/// The one statement in `sql`, as it may stand in brackets of which the closing one begins a line: without its
/// semicolon and what follows it, and otherwise as it was written.
///
/// # Errors
///
/// `InvalidQuery`, with line and column, where there is no statement or a second one, where a quote, a comment or a
/// bracket stays open, where a bracket is closed that the text never opened, and where the end of a comment depends on
/// the server's version.
pub fn single<'a>(rules: &Rules, sql: &'a str) -> Result<&'a str> {
    let mut words = Words::new(rules, sql);
    let mut end = None;
    let mut depth: Vec<usize> = Vec::new();
    let mut has_meaning = false;
    while let Some(word) = words.next() {
        let (at, word) = word.map_err(|fault| refused(sql, fault))?;
        match word {
            Word::Blank | Word::Comment => {}
            // To the end of the text: our closing bracket would be in it.
            Word::OpenComment => end = end.or(Some(at)),
            Word::Semicolon if words.is_executable() => return Err(refused(sql, Fault::new(at, EXECUTED_SEMICOLON))),
            Word::Semicolon => end = end.or(Some(at)),
            _ if end.is_some() && has_meaning => return Err(refused(sql, Fault::new(at, SECOND))),
            Word::Open => depth.push(at),
            Word::Close if depth.pop().is_none() => return Err(refused(sql, Fault::new(at, NEVER_OPENED))),
            Word::Close | Word::Other => {}
        }
        if matches!(word, Word::Open | Word::Close | Word::Other) {
            // A semicolon before the statement.
            if end.is_some() {
                return Err(refused(sql, Fault::new(at, EMPTY_FIRST)));
            }
            has_meaning = true;
        }
    }
    if let Some(at) = depth.pop() {
        return Err(refused(sql, Fault::new(at, NEVER_CLOSED)));
    }
    if !has_meaning {
        return Err(Error::new(ErrorKind::InvalidQuery, "the query is empty")
            .with_hint("write one SELECT; comments alone return nothing"));
    }
    Ok(sql.get(..end.unwrap_or(sql.len())).unwrap_or(sql))
}

/// What is wrong, and what to do.
type What = (&'static str, &'static str);

const SECOND: What = (
    "has a second statement, which begins here",
    "keep one SELECT; `WITH … AS (…)` gives a name to what another statement would prepare",
);
const EMPTY_FIRST: What = ("has a semicolon before its statement", "leave the semicolon out");
const NEVER_OPENED: What = ("closes a bracket that it never opened", "remove the bracket, or open it");
const NEVER_CLOSED: What = ("opens a bracket that is never closed", "close the bracket");
const EXECUTED_SEMICOLON: What =
    ("ends within a comment that the server may run", "write the semicolon behind the comment, or leave it out");

fn refused(sql: &str, fault: Fault) -> Error {
    let before = sql.get(..fault.at).unwrap_or(sql);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let (what, hint) = fault.what;
    Error::new(ErrorKind::InvalidQuery, format!("the query {what} (line {line}, column {column})")).with_hint(hint)
}

#[cfg(test)]
mod tests;
