//! The parser's tools and names.

use super::ast::{Expr, Name};
use super::token::{Placed, Token, tokens};
use crate::error::{SqlError, SqlResult};

/// Walks over tokens.
pub struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
}

/// Words that cannot be a name without brackets.
const RESERVED: [&str; 92] = [
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASE",
    "CHECK",
    "COLLATE",
    "COMMIT",
    "CONSTRAINT",
    "CONVERT",
    "CREATE",
    "CROSS",
    "CURRENT_TIMESTAMP",
    "CURRENT_USER",
    "DEFAULT",
    "DELETE",
    "DENY",
    "DESC",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXEC",
    "EXECUTE",
    "EXISTS",
    "FETCH",
    "FOR",
    "FROM",
    "FULL",
    "GRANT",
    "GROUP",
    "HAVING",
    "IDENTITY",
    "IF",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "KILL",
    "LEFT",
    "LIKE",
    "MERGE",
    "NOT",
    "NULL",
    "NULLIF",
    "OF",
    "OFF",
    "ON",
    "OPTION",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PIVOT",
    "PRIMARY",
    "PRINT",
    "RAISERROR",
    "REVOKE",
    "RIGHT",
    "ROLLBACK",
    "SAVE",
    "SELECT",
    "SESSION_USER",
    "SET",
    "SYSTEM_USER",
    "TABLE",
    "TABLESAMPLE",
    "THEN",
    "TOP",
    "TRUNCATE",
    "TRY_CONVERT",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USE",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
];

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> SqlResult<Self> {
        Ok(Self { text, tokens: tokens(text)?, at: 0 })
    }

    pub fn peek(&self) -> Option<&Token> {
        self.peek_at(0)
    }

    pub fn peek_at(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|placed| &placed.token)
    }

    pub fn advance(&mut self) -> SqlResult<Token> {
        let token = self.peek().cloned().ok_or_else(|| self.wrong())?;
        self.at += 1;
        Ok(token)
    }

    pub fn is_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub fn place(&self) -> usize {
        self.at
    }

    pub fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// The line of the next token.
    pub fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |placed| placed.line)
    }

    /// The text from a place to here.
    pub fn since(&self, place: usize) -> &'a str {
        let start = self.tokens.get(place).map_or(self.text.len(), |placed| placed.start);
        let end = self.tokens.get(self.at.wrapping_sub(1)).map_or(start, |placed| placed.end);
        self.text.get(start..end.max(start)).unwrap_or("")
    }

    /// 102 at the next token.
    pub fn wrong(&self) -> SqlError {
        let near = match self.tokens.get(self.at).or(self.tokens.last()) {
            Some(placed) => self.text.get(placed.start..placed.end).unwrap_or(""),
            None => "",
        };
        let near: String = near.chars().take(60).collect();
        SqlError { line: self.line(), ..SqlError::syntax(near) }
    }

    pub fn is(&self, word: &str) -> bool {
        self.is_at(0, word)
    }

    pub fn is_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    /// Takes a keyword if it is there.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    /// Takes several keywords if they all are there.
    pub fn take_all(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.is_at(ahead, word));
        self.at += if found { words.len() } else { 0 };
        found
    }

    pub fn expect(&mut self, word: &str) -> SqlResult<()> {
        if self.take(word) { Ok(()) } else { Err(self.wrong()) }
    }

    pub fn is_sign(&self, sign: &str) -> bool {
        self.is_sign_at(0, sign)
    }

    pub fn is_sign_at(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.peek_at(ahead), Some(Token::Sign(found)) if *found == sign)
    }

    pub fn sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    pub fn expect_sign(&mut self, sign: &str) -> SqlResult<()> {
        if self.sign(sign) { Ok(()) } else { Err(self.wrong()) }
    }

    /// Whether a name may begin here.
    pub fn is_name(&self) -> bool {
        match self.peek() {
            Some(Token::Quoted(_)) => true,
            Some(Token::Word(word)) => !is_reserved(word),
            _ => false,
        }
    }

    pub fn identifier(&mut self) -> SqlResult<String> {
        if !self.is_name() {
            return Err(self.wrong());
        }
        match self.advance()? {
            Token::Quoted(name) | Token::Word(name) => Ok(name),
            _ => Err(self.wrong()),
        }
    }

    /// `a.b.c`; an empty part as in `db..t` is the default.
    pub fn name(&mut self) -> SqlResult<Name> {
        let mut name = vec![self.identifier()?];
        while self.sign(".") {
            if self.is_sign(".") {
                name.push(String::new());
            } else {
                name.push(self.part()?);
            }
        }
        Ok(name)
    }

    /// A part after a point, where reserved words are no surprise.
    pub fn part(&mut self) -> SqlResult<String> {
        match self.advance()? {
            Token::Quoted(name) | Token::Word(name) => Ok(name),
            _ => {
                self.at -= 1;
                Err(self.wrong())
            }
        }
    }

    /// `(a, b)`
    pub fn names_in_parentheses(&mut self) -> SqlResult<Vec<String>> {
        self.expect_sign("(")?;
        let names = self.list(|parser| parser.identifier())?;
        self.expect_sign(")")?;
        Ok(names)
    }

    /// Things between commas.
    pub fn list<T>(&mut self, mut thing: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let mut things = vec![thing(self)?];
        while self.sign(",") {
            things.push(thing(self)?);
        }
        Ok(things)
    }

    pub fn text(&mut self) -> SqlResult<String> {
        match self.advance()? {
            Token::Text(text, _) => Ok(text),
            _ => {
                self.at -= 1;
                Err(self.wrong())
            }
        }
    }

    pub fn integer<T: std::str::FromStr>(&mut self) -> SqlResult<T> {
        let negative = self.sign("-");
        match self.advance()? {
            Token::Number(digits) => {
                let digits = if negative { format!("-{digits}") } else { digits };
                digits.parse().map_err(|_| SqlError::syntax(digits))
            }
            _ => {
                self.at -= 1;
                Err(self.wrong())
            }
        }
    }

    /// A literal or variable that stands for a number of rows.
    pub fn simple_value(&mut self) -> SqlResult<Expr> {
        match self.advance()? {
            Token::Number(digits) => Ok(Expr::Integer(digits)),
            Token::Variable(name) => Ok(Expr::Variable(name)),
            _ => {
                self.at -= 1;
                Err(self.wrong())
            }
        }
    }
}

pub fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}
