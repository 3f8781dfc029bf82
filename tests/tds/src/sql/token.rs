//! T-SQL's words.

use crate::error::{SqlError, SqlResult};

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A bare word: keyword or name.
    Word(String),
    /// `[name]` or `"name"`.
    Quoted(String),
    /// `@name`, `@@name`; without the first `@`.
    Variable(String),
    /// `'…'`, or `N'…'`.
    Text(String, bool),
    /// `0x…`.
    Binary(Vec<u8>),
    /// Digits, perhaps with a point.
    Number(String),
    /// Digits with an exponent.
    Float(String),
    /// `$1.50`.
    Money(String),
    /// An operator or other sign.
    Sign(&'static str),
}

/// A token and where it begins and ends in the text.
#[derive(Debug, Clone)]
pub struct Placed {
    pub token: Token,
    pub start: usize,
    pub end: usize,
    pub line: u32,
}

const SIGNS: [&str; 34] = [
    "<>", "<=", ">=", "!=", "!<", "!>", "::", "+=", "-=", "*=", "/=", "%=", "||", "(", ")", ",", ".", ";", "=", "<",
    ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", "{", "}", "?", ":",
];

/// Cuts a batch into tokens. Comments nest.
pub fn tokens(text: &str) -> SqlResult<Vec<Placed>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let start = at;
        let token = if first.is_whitespace() || first == '\u{feff}' || first == '\0' {
            line += u32::from(first == '\n');
            at += first.len_utf8();
            continue;
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if rest.starts_with("/*") {
            let length = comment(rest)?;
            line += u32::try_from(rest[..length].matches('\n').count()).unwrap_or(0);
            at += length;
            continue;
        } else if first == '\'' || ((first == 'N' || first == 'n') && rest[1..].starts_with('\'')) {
            let national = first != '\'';
            let (text, length) = quoted(&rest[usize::from(national)..], '\'')?;
            at += length + usize::from(national);
            Token::Text(text, national)
        } else if first == '[' {
            let (name, length) = quoted(rest, ']')?;
            at += length;
            Token::Quoted(name)
        } else if first == '"' {
            let (name, length) = quoted(rest, '"')?;
            at += length;
            Token::Quoted(name)
        } else if rest.starts_with("0x") || rest.starts_with("0X") {
            let digits = rest[2..].find(|char: char| !char.is_ascii_hexdigit()).unwrap_or(rest.len() - 2);
            at += 2 + digits;
            Token::Binary(hex(&rest[2..2 + digits]).ok_or_else(|| SqlError::syntax(rest))?)
        } else if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|next: char| next.is_ascii_digit()))
        {
            let (token, length) = number(rest);
            at += length;
            token
        } else if first == '$' && rest[1..].starts_with(|next: char| next.is_ascii_digit()) {
            let (token, length) = number(&rest[1..]);
            at += length + 1;
            match token {
                Token::Number(digits) => Token::Money(digits),
                _ => return Err(SqlError::syntax(rest)),
            }
        } else if first == '@' {
            let length = rest[1..].find(|char: char| !is_name(char)).unwrap_or(rest.len() - 1);
            at += 1 + length;
            Token::Variable(rest[1..=length].to_owned())
        } else if is_name(first) {
            let length = rest.find(|char: char| !is_name(char)).unwrap_or(rest.len());
            at += length;
            Token::Word(rest[..length].to_owned())
        } else if rest.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("%%physloc%%")) {
            at += 11;
            Token::Word("%%physloc%%".to_owned())
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            at += sign.len();
            Token::Sign(sign)
        } else {
            return Err(SqlError::syntax(first));
        };
        line += u32::try_from(text[start..at].matches('\n').count()).unwrap_or(0);
        tokens.push(Placed { token, start, end: at, line });
    }
    Ok(tokens)
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '#' | '$' | '@')
}

fn comment(text: &str) -> SqlResult<usize> {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Ok(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Err(SqlError::new(113, "Missing end comment mark '*/'.").class(15))
}

/// What stands between quotes, and the length with them; a doubled quote stands for itself.
fn quoted(text: &str, close: char) -> SqlResult<(String, usize)> {
    let mut inside = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char != close {
            inside.push(char);
        } else if chars.peek().is_some_and(|(_, next)| *next == close) {
            chars.next();
            inside.push(close);
        } else {
            return Ok((inside, at + char.len_utf8()));
        }
    }
    Err(SqlError::new(105, format!("Unclosed quotation mark after the character string '{inside}'.")).class(15))
}

fn number(text: &str) -> (Token, usize) {
    let digits =
        |from: usize| text[from..].find(|char: char| !char.is_ascii_digit()).map_or(text.len(), |length| from + length);
    let mut end = digits(0);
    if text[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let after = digits(end + 1 + sign);
        if after > end + 1 + sign {
            return (Token::Float(text[..after].to_owned()), after);
        }
    }
    (Token::Number(text[..end].to_owned()), end)
}

/// Bytes of hexadecimal digits; an odd one out comes first.
pub fn hex(digits: &str) -> Option<Vec<u8>> {
    let padded = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    (0..padded.len()).step_by(2).map(|at| u8::from_str_radix(padded.get(at..at + 2)?, 16).ok()).collect()
}
