//! A user's query, as it may stand in `FROM (…)`.

use rivet_sdk::{Error, ErrorKind, Result};

/// The query without trailing semicolons and comments. It is refused where it would end the brackets
/// around it, or the statement: what stands in brackets after FROM can only read.
pub(crate) fn single(sql: &str) -> Result<&str> {
    let refused = |what: &str| {
        Error::new(ErrorKind::InvalidQuery, format!("the query {what}"))
            .with_hint("`query` must be one SELECT that can stand in FROM (…)")
    };
    let mut end = 0;
    let mut depth = 0_usize;
    let mut semicolon = false;
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let at = sql.len() - rest.len();
        let (length, meaning) = match first {
            '-' if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => match comment(rest) {
                Some(length) => (length, false),
                None => return Err(refused("has a comment that is never closed")),
            },
            '\'' | '"' => (quoted(rest, first).ok_or_else(|| refused("has a quote that is never closed"))?, true),
            '[' => (quoted(rest, ']').ok_or_else(|| refused("has a bracket that is never closed"))?, true),
            space if space.is_whitespace() => (space.len_utf8(), false),
            ';' => {
                semicolon = true;
                (1, false)
            }
            other => {
                match other {
                    '(' => depth += 1,
                    ')' => depth = depth.checked_sub(1).ok_or_else(|| refused("closes a bracket it never opened"))?,
                    _ => {}
                }
                (other.len_utf8(), true)
            }
        };
        if meaning {
            if semicolon {
                return Err(refused("is more than one statement"));
            }
            end = at + length;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    match (depth, end) {
        (0, 0) => Err(refused("is empty")),
        (0, _) => Ok(sql.get(..end).unwrap_or(sql)),
        _ => Err(refused("leaves a bracket open")),
    }
}

/// Comments nest in T-SQL.
fn comment(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
}

/// To the closing quote; two of them stand for one.
fn quoted(text: &str, close: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        if character == close && characters.next_if(|(_, next)| *next == close).is_none() {
            return Some(index + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_trimmed_and_its_texts_are_left_alone() {
        for (sql, trimmed) in [
            ("select 1 as a;", "select 1 as a"),
            ("select 1 as [a--b] ; -- done;\n ; /* a /* b */ ; */ ", "select 1 as [a--b]"),
            ("select ')' as a, [x]];] from [t)] -- )", "select ')' as a, [x]];] from [t)]"),
            ("select 'it''s;' as a", "select 'it''s;' as a"),
            ("select \"a;\" from t", "select \"a;\" from t"),
        ] {
            assert_eq!(single(sql).unwrap(), trimmed, "{sql}");
        }
    }

    #[test]
    fn what_could_leave_its_brackets_is_refused() {
        for sql in [
            "",
            " -- nothing\n;",
            "select 1 as a) as x; drop table t; --",
            "select 1 as a; drop table t",
            "select 1 as a) as x cross join (select 2 as b",
            "select (1 as a",
            "select 'a",
            "select [a",
            "select 1 /* open",
        ] {
            assert!(single(sql).is_err(), "{sql}");
        }
    }
}
