//! Queries.

use super::ast::{Body, Call, Expr, From, Item, Join, Query, Select, With};
use super::parser::Parser;
use super::token::Token;
use crate::error::{SqlError, SqlResult};

impl Parser<'_> {
    /// A query with all that may surround it.
    pub fn query(&mut self) -> SqlResult<Query> {
        let mut with = Vec::new();
        if self.take("WITH") {
            with = self.list(|parser| {
                let name = parser.identifier()?;
                let columns = if parser.is_sign("(") { parser.names_in_parentheses()? } else { Vec::new() };
                parser.expect("AS")?;
                parser.expect_sign("(")?;
                let query = parser.query()?;
                parser.expect_sign(")")?;
                Ok(With { name, columns, query })
            })?;
        }
        let body = self.body()?;
        let mut query = Query { with, body, order: Vec::new(), offset: None, fetch: None };
        if self.take_all(&["ORDER", "BY"]) {
            query.order = self.orders()?;
            if self.take("OFFSET") {
                query.offset = Some(self.expression()?);
                if !self.take("ROWS") {
                    self.expect("ROW")?;
                }
                if self.take("FETCH") {
                    if !self.take("NEXT") {
                        self.expect("FIRST")?;
                    }
                    query.fetch = Some(self.expression()?);
                    if !self.take("ROWS") {
                        self.expect("ROW")?;
                    }
                    self.expect("ONLY")?;
                }
            }
        }
        if self.is("FOR") {
            return Err(SqlError::unsupported("FOR XML, FOR JSON and FOR BROWSE"));
        }
        if self.take("OPTION") {
            self.parenthesis()?;
        }
        Ok(query)
    }

    /// Skips what stands in parentheses.
    pub fn parenthesis(&mut self) -> SqlResult<()> {
        self.expect_sign("(")?;
        let mut depth = 1;
        while depth > 0 {
            match self.advance()? {
                Token::Sign("(") => depth += 1,
                Token::Sign(")") => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn body(&mut self) -> SqlResult<Body> {
        let mut left = self.intersection()?;
        loop {
            let operator = if self.take("UNION") {
                if self.take("ALL") { "UNION ALL" } else { "UNION" }
            } else if self.take("EXCEPT") {
                "EXCEPT"
            } else {
                return Ok(left);
            };
            left = Body::Set(operator, Box::new(left), Box::new(self.intersection()?));
        }
    }

    fn intersection(&mut self) -> SqlResult<Body> {
        let mut left = self.operand()?;
        while self.take("INTERSECT") {
            left = Body::Set("INTERSECT", Box::new(left), Box::new(self.operand()?));
        }
        Ok(left)
    }

    fn operand(&mut self) -> SqlResult<Body> {
        if self.sign("(") {
            let query = self.query()?;
            self.expect_sign(")")?;
            return Ok(Body::Nested(Box::new(query)));
        }
        if self.take("VALUES") {
            return Ok(Body::Values(self.rows()?));
        }
        Ok(Body::Select(Box::new(self.select()?)))
    }

    /// The rows of VALUES.
    pub fn rows(&mut self) -> SqlResult<Vec<Vec<Expr>>> {
        self.list(|parser| {
            parser.expect_sign("(")?;
            let row = parser.list(|parser| if parser.take("DEFAULT") { Ok(default()) } else { parser.expression() })?;
            parser.expect_sign(")")?;
            Ok(row)
        })
    }

    fn select(&mut self) -> SqlResult<Select> {
        self.expect("SELECT")?;
        let distinct = self.take("DISTINCT");
        if !distinct {
            self.take("ALL");
        }
        let top = if self.take("TOP") {
            let count = if self.sign("(") {
                let count = self.expression()?;
                self.expect_sign(")")?;
                count
            } else {
                self.simple_value()?
            };
            if self.is("PERCENT") || (self.is("WITH") && self.is_at(1, "TIES")) {
                return Err(SqlError::unsupported("TOP … PERCENT and TOP … WITH TIES"));
            }
            Some(count)
        } else {
            None
        };
        let items = self.list(Self::item)?;
        if self.is("INTO") {
            return Err(SqlError::unsupported("SELECT … INTO"));
        }
        let from = if self.take("FROM") { self.list(Self::source)? } else { Vec::new() };
        let filter = if self.take("WHERE") { Some(self.expression()?) } else { None };
        let group = if self.take_all(&["GROUP", "BY"]) { self.list(Self::expression)? } else { Vec::new() };
        let having = if self.take("HAVING") { Some(self.expression()?) } else { None };
        Ok(Select { distinct, top, items, from, filter, group, having })
    }

    fn item(&mut self) -> SqlResult<Item> {
        if self.sign("*") {
            return Ok(Item::Star(Vec::new()));
        }
        // `t.*`
        let start = self.place();
        if self.is_name() {
            let mut name = vec![self.identifier()?];
            while self.sign(".") {
                if self.sign("*") {
                    return Ok(Item::Star(name));
                }
                if !matches!(self.peek(), Some(Token::Word(_) | Token::Quoted(_))) {
                    break;
                }
                name.push(self.part()?);
            }
            self.back_to(start);
        }
        if let (Some(Token::Variable(name)), true) = (self.peek().cloned(), self.is_sign_at(1, "=")) {
            self.advance()?;
            self.advance()?;
            return Ok(Item::Assign { variable: name, value: self.expression()? });
        }
        // `alias = value`
        if self.is_name() && self.is_sign_at(1, "=") {
            let name = self.identifier()?;
            self.expect_sign("=")?;
            return Ok(Item::Value { value: self.expression()?, name: Some(name) });
        }
        let value = self.expression()?;
        let name = self.alias()?;
        Ok(Item::Value { value, name })
    }

    /// `AS name`, `name`, or for a column also `'name'`.
    fn alias(&mut self) -> SqlResult<Option<String>> {
        if self.take("AS") {
            return match self.peek() {
                Some(Token::Text(..)) => Ok(Some(self.text()?)),
                _ => Ok(Some(self.part()?)),
            };
        }
        if self.is_name() && !self.is_statement() { Ok(Some(self.identifier()?)) } else { Ok(None) }
    }

    /// Whether the next word begins a statement or goes on with this one, and so is no alias.
    fn is_statement(&self) -> bool {
        ["WITH", "GO", "DECLARE", "WAITFOR", "THROW", "OFFSET", "WHILE", "RETURN", "TRY"]
            .iter()
            .any(|word| self.is(word))
    }

    /// One item of FROM, joins and all.
    pub fn source(&mut self) -> SqlResult<From> {
        let mut left = self.single()?;
        loop {
            let kind = if self.take("JOIN") || self.take_all(&["INNER", "JOIN"]) {
                Join::Inner
            } else if self.take_all(&["LEFT", "JOIN"]) || self.take_all(&["LEFT", "OUTER", "JOIN"]) {
                Join::Left
            } else if self.take_all(&["RIGHT", "JOIN"]) || self.take_all(&["RIGHT", "OUTER", "JOIN"]) {
                Join::Right
            } else if self.take_all(&["FULL", "JOIN"]) || self.take_all(&["FULL", "OUTER", "JOIN"]) {
                Join::Full
            } else if self.take_all(&["CROSS", "JOIN"]) {
                Join::Cross
            } else if self.take_all(&["CROSS", "APPLY"]) {
                Join::CrossApply
            } else if self.take_all(&["OUTER", "APPLY"]) {
                Join::OuterApply
            } else {
                return Ok(left);
            };
            let right = self.single()?;
            let conditional = !matches!(kind, Join::Cross | Join::CrossApply | Join::OuterApply);
            let on = if conditional {
                self.expect("ON")?;
                Some(self.expression()?)
            } else {
                None
            };
            left = From::Join { kind, left: Box::new(left), right: Box::new(right), on };
        }
    }

    fn single(&mut self) -> SqlResult<From> {
        if self.is_sign("(") {
            let start = self.place();
            self.sign("(");
            if !(self.is("SELECT") || self.is("WITH") || self.is("VALUES") || self.is_sign("(")) {
                let inside = self.source()?;
                self.expect_sign(")")?;
                return Ok(inside);
            }
            // `((SELECT …) UNION …)` against `((a JOIN b …) JOIN c …)`.
            let query = match self.query() {
                Ok(query) if self.is_sign(")") => query,
                outcome => {
                    let failure = outcome.err();
                    self.back_to(start);
                    self.sign("(");
                    let inside = self.source().map_err(|error| failure.unwrap_or(error))?;
                    self.expect_sign(")")?;
                    return Ok(inside);
                }
            };
            self.expect_sign(")")?;
            let (alias, columns) = self.derived_alias()?;
            return Ok(From::Query { query: Box::new(query), alias, columns });
        }
        let name = self.name()?;
        if self.is_sign("(") {
            self.sign("(");
            let arguments = if self.is_sign(")") { Vec::new() } else { self.list(Self::expression)? };
            self.expect_sign(")")?;
            let (alias, columns) = self.derived_alias()?;
            return Ok(From::Function { name, arguments, alias, columns });
        }
        if self.is("TABLESAMPLE") {
            return Err(SqlError::unsupported("TABLESAMPLE"));
        }
        let mut alias = self.alias()?;
        if self.is("WITH") && self.is_sign_at(1, "(") {
            self.advance()?;
            self.parenthesis()?;
            if alias.is_none() {
                alias = self.alias()?;
            }
        }
        Ok(From::Table { name, alias })
    }

    fn derived_alias(&mut self) -> SqlResult<(Option<String>, Vec<String>)> {
        let alias = self.alias()?;
        let columns = if alias.is_some() && self.is_sign("(") { self.names_in_parentheses()? } else { Vec::new() };
        Ok((alias, columns))
    }
}

/// DEFAULT among VALUES, spelled as a call that only INSERT understands.
pub fn default() -> Expr {
    Expr::Call(Call {
        name: vec!["DEFAULT".to_owned(), String::new()],
        arguments: Vec::new(),
        distinct: false,
        star: false,
        over: None,
        within: Vec::new(),
    })
}

pub fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Call(call) if call.name.len() == 2 && call.name[0] == "DEFAULT" && call.name[1].is_empty())
}
