//! The words of a text, one after the other.

use super::{Backslash, Brackets, LineEnd, Rules, What};

/// What a stretch of the text is, as far as it matters where a statement ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Blank,
    Comment,
    /// A comment that goes to the end of the text because nothing closes it.
    OpenComment,
    Semicolon,
    Open,
    Close,
    Other,
}

/// Where the text cannot be read, and why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub at: usize,
    pub what: What,
}

impl Fault {
    pub fn new(at: usize, what: What) -> Self {
        Self { at, what }
    }
}

const OPEN_TEXT: What = (
    "has a text or a name whose quote is never closed; it begins here",
    "close the quote; a quote within is written twice: 'it''s'",
);
const OPEN_COMMENT: What = ("has a comment that is never closed; it begins here", "close it with */");
const UNSURE: What = (
    "has a comment that ends elsewhere where the server runs its content than where it skips it; it begins here",
    "write the content without comments, and without */ in texts, or leave the comment out",
);
const NESTED: What = (
    "has a comment that the server may run within another one; it begins here",
    "write one of them, or leave the comment out",
);
const RETURN: What = (
    "has a carriage return without a line feed in a comment of one line, where servers disagree about its end",
    "end the line with a line feed",
);
const ZERO: What = ("holds a zero byte, at which servers stop reading", "remove it");

/// The words of a text.
pub(super) struct Words<'a> {
    rules: &'a Rules,
    sql: &'a str,
    at: usize,
    /// Within a comment whose content may run: where it begins, and where it ends if it is skipped.
    executable: Option<(usize, usize)>,
}

impl<'a> Words<'a> {
    pub fn new(rules: &'a Rules, sql: &'a str) -> Self {
        Self { rules, sql, at: 0, executable: None }
    }

    /// Whether the last word stands in a comment whose content may run.
    pub fn is_executable(&self) -> bool {
        self.executable.is_some()
    }

    fn rest(&self) -> &'a str {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// The next word: its length, and what it is.
    fn word(&mut self, rest: &'a str, first: char) -> Result<(usize, Word), Fault> {
        let rules = self.rules;
        if let Some(opening) = rules.executable_comments.iter().find(|opening| rest.starts_with(**opening)) {
            return self.open_executable(rest, opening.len()).map(|length| (length, Word::Other));
        }
        if let Some((begin, skipped_to)) = self.executable
            && rest.starts_with("*/")
        {
            self.executable = None;
            let end = self.at + 2;
            return if end == skipped_to { Ok((2, Word::Other)) } else { Err(Fault::new(begin, UNSURE)) };
        }
        if self.begins_line_comment(rest) {
            return self.line_comment(rest).map(|length| (length, Word::Comment));
        }
        if rest.starts_with("/*") {
            return match comment(rest, if rules.nested_comments { usize::MAX } else { 0 }) {
                Some(length) => Ok((length, Word::Comment)),
                // At the very end it is no comment there, but two operators.
                None if rules.open_comments && rest.len() > 2 => Ok((rest.len(), Word::OpenComment)),
                None => Err(self.fault(OPEN_COMMENT)),
            };
        }
        let closed = |length: Option<usize>| length.map(|length| (length, Word::Other)).ok_or(OPEN_TEXT);
        let text = matches!(rules.backslash, Backslash::InTexts | Backslash::InOldTexts);
        let quoted = match first {
            '\0' => Err(ZERO),
            '\'' => closed(quoted(rest, '\'', text)),
            '"' => closed(quoted(rest, '"', text && rules.double_quoted_texts)),
            '`' if rules.backticks => closed(quoted(rest, '`', false)),
            '[' if rules.brackets == Brackets::DoubledNames => closed(quoted(rest, ']', false)),
            '[' if rules.brackets == Brackets::Names => closed(rest.find(']').map(|end| end + 1)),
            '$' if rules.dollar_quotes => match dollar_tag(rest) {
                Some(tag) => {
                    let body = rest.get(tag.len()..).unwrap_or_default();
                    closed(body.find(tag).map(|end| end + 2 * tag.len()))
                }
                None => Ok((1, Word::Other)),
            },
            ';' => Ok((1, Word::Semicolon)),
            '(' => Ok((1, Word::Open)),
            ')' => Ok((1, Word::Close)),
            ' ' | '\t' | '\n' | '\r' | '\x0c' => Ok((1, Word::Blank)),
            '\u{feff}' if rules.blank_marks => Ok((first.len_utf8(), Word::Blank)),
            letter if is_name(letter) => closed(self.name(rest)),
            other => Ok((other.len_utf8(), Word::Other)),
        };
        quoted.map_err(|what| self.fault(what))
    }

    fn fault(&self, what: What) -> Fault {
        Fault::new(self.at, what)
    }

    /// A name, a keyword or a number, and the text that it is the prefix of.
    fn name(&self, rest: &str) -> Option<usize> {
        // `1E'…'` was a number and a text to PostgreSQL 14.
        if let Some(digits) = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0) {
            return Some(digits);
        }
        let inside = |c: char| is_name(c) || (c == '$' && self.rules.dollar_quotes);
        let length = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default();
        let text = rest.get(length..).unwrap_or_default();
        let prefixes = matches!(self.rules.backslash, Backslash::InEscapeTexts | Backslash::InOldTexts);
        if !prefixes || !text.starts_with('\'') {
            return Some(length);
        }
        if name.eq_ignore_ascii_case("e") {
            return escape_text(text).map(|text| length + text);
        }
        if name.eq_ignore_ascii_case("b") || name.eq_ignore_ascii_case("x") {
            return quoted(text, '\'', false).map(|text| length + text);
        }
        Some(length)
    }

    fn begins_line_comment(&self, rest: &str) -> bool {
        match rest.strip_prefix("--") {
            None => self.rules.hash_comments && rest.starts_with('#'),
            Some(after) if self.rules.dashes_need_blank => {
                after.chars().next().is_none_or(|c| c == ' ' || c.is_ascii_control())
            }
            Some(_) => true,
        }
    }

    fn line_comment(&self, rest: &str) -> Result<usize, Fault> {
        let feed = rest.find('\n').unwrap_or(rest.len());
        let line = rest.get(..feed).unwrap_or(rest);
        match self.rules.line_end {
            LineEnd::Feed => Ok(feed),
            LineEnd::FeedOrReturn => Ok(line.find('\r').unwrap_or(feed)),
            LineEnd::FeedAlone if line.strip_suffix('\r').unwrap_or(line).contains('\r') => Err(self.fault(RETURN)),
            LineEnd::FeedAlone => Ok(feed),
        }
    }

    fn open_executable(&mut self, rest: &str, opening: usize) -> Result<usize, Fault> {
        if self.executable.is_some() {
            return Err(self.fault(NESTED));
        }
        // Servers that skip it count one level of comments in it.
        let skipped = comment(rest, 1).ok_or_else(|| self.fault(OPEN_COMMENT))?;
        self.executable = Some((self.at, self.at + skipped));
        Ok(opening)
    }
}

impl Iterator for Words<'_> {
    type Item = Result<(usize, Word), Fault>;

    /// Where the next word begins, and what it is.
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return self.executable.take().map(|(begin, _)| Err(Fault::new(begin, OPEN_COMMENT)));
        };
        let at = self.at;
        Some(self.word(rest, first).map(|(length, word)| {
            self.at += length;
            (at, word)
        }))
    }
}

/// Letters beyond ASCII are a part of names everywhere.
fn is_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii()
}

/// To the end of a comment in which others are counted down to this depth.
fn comment(text: &str, nested: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" if depth <= nested => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// To the closing quote; two of them stand for one, and a backslash for what follows it where it `escapes`.
fn quoted(text: &str, close: char, escapes: bool) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && escapes {
            characters.next()?;
        } else if character == close && characters.next_if(|(_, next)| *next == close).is_none() {
            return Some(at + 1);
        }
    }
    None
}

/// To the end of `'…'` after an E. It goes on in the next quotes if there is a line's end between them.
fn escape_text(text: &str) -> Option<usize> {
    let mut end = quoted(text, '\'', true)?;
    while let Some(gap) = continued(text.get(end..).unwrap_or_default()) {
        end += gap;
        end += quoted(text.get(end..).unwrap_or_default(), '\'', true)?;
    }
    Some(end)
}

/// Blanks and comments of one line up to the next quote, if there is a line's end among them.
fn continued(text: &str) -> Option<usize> {
    let mut at = 0;
    let mut has_line_end = false;
    loop {
        let rest = text.get(at..)?;
        match rest.chars().next()? {
            '\'' if has_line_end => return Some(at),
            '\n' | '\r' => {
                has_line_end = true;
                at += 1;
            }
            ' ' | '\t' | '\x0b' | '\x0c' => at += 1,
            '-' if rest.starts_with("--") => at += rest.find(['\n', '\r'])?,
            _ => return None,
        }
    }
}

/// `$tag$` at the beginning of a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text.get(1..)?.find('$')? + 1;
    let tag = text.get(1..end)?;
    let is_tag = tag.chars().all(is_name) && !tag.starts_with(|c: char| c.is_ascii_digit());
    if is_tag { text.get(..=end) } else { None }
}
