//! Expressions.

use super::ast::{Call, Expr, Order, Over};
use super::parser::{Parser, is_reserved};
use super::token::Token;
use crate::error::SqlResult;
use crate::types::{Kind, Type};

/// Names that are functions without parentheses.
const NILADIC: [&str; 5] = ["CURRENT_TIMESTAMP", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "USER"];

impl Parser<'_> {
    /// A value or a condition.
    pub fn expression(&mut self) -> SqlResult<Expr> {
        let mut left = self.conjunction()?;
        while self.take("OR") {
            left = Expr::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> SqlResult<Expr> {
        let mut left = self.negation()?;
        while self.take("AND") {
            left = Expr::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> SqlResult<Expr> {
        if self.take("NOT") {
            return Ok(Expr::Not(Box::new(self.negation()?)));
        }
        self.predicate()
    }

    fn predicate(&mut self) -> SqlResult<Expr> {
        if self.take("EXISTS") {
            self.expect_sign("(")?;
            let query = self.query()?;
            self.expect_sign(")")?;
            return Ok(Expr::Exists(Box::new(query)));
        }
        let left = self.sum()?;
        for (sign, meaning) in [
            ("=", "="),
            ("<>", "<>"),
            ("!=", "<>"),
            ("<=", "<="),
            (">=", ">="),
            ("!<", ">="),
            ("!>", "<="),
            ("<", "<"),
            (">", ">"),
        ] {
            if self.sign(sign) {
                return Ok(Expr::Compare(meaning, Box::new(left), Box::new(self.sum()?)));
            }
        }
        if self.take("IS") {
            let not = self.take("NOT");
            self.expect("NULL")?;
            return Ok(Expr::IsNull(Box::new(left), not));
        }
        let not = (self.is_at(1, "IN") || self.is_at(1, "LIKE") || self.is_at(1, "BETWEEN")) && self.take("NOT");
        if self.take("BETWEEN") {
            let low = self.sum()?;
            self.expect("AND")?;
            return Ok(Expr::Between(Box::new(left), Box::new(low), Box::new(self.sum()?), not));
        }
        if self.take("LIKE") {
            let pattern = self.sum()?;
            let escape = if self.take("ESCAPE") { Some(Box::new(self.sum()?)) } else { None };
            return Ok(Expr::Like(Box::new(left), Box::new(pattern), escape, not));
        }
        if self.take("IN") {
            self.expect_sign("(")?;
            let found = if self.is("SELECT") || self.is("WITH") {
                Expr::InQuery(Box::new(left), Box::new(self.query()?), not)
            } else {
                Expr::In(Box::new(left), self.list(Self::expression)?, not)
            };
            self.expect_sign(")")?;
            return Ok(found);
        }
        Ok(left)
    }

    fn sum(&mut self) -> SqlResult<Expr> {
        let mut left = self.product()?;
        loop {
            let Some(sign) = ["+", "-", "&", "|", "^"].into_iter().find(|sign| self.is_sign(sign)) else {
                return Ok(left);
            };
            self.sign(sign);
            left = Expr::Arithmetic(sign, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> SqlResult<Expr> {
        let mut left = self.unary()?;
        loop {
            let Some(sign) = ["*", "/", "%"].into_iter().find(|sign| self.is_sign(sign)) else { return Ok(left) };
            self.sign(sign);
            left = Expr::Arithmetic(sign, Box::new(left), Box::new(self.unary()?));
        }
    }

    fn unary(&mut self) -> SqlResult<Expr> {
        if self.sign("-") {
            return Ok(Expr::Negate(Box::new(self.unary()?)));
        }
        if self.sign("~") {
            return Ok(Expr::Invert(Box::new(self.unary()?)));
        }
        if self.sign("+") {
            return self.unary();
        }
        self.postfix()
    }

    /// A value and what follows it closely: COLLATE, AT TIME ZONE, `.Method()`.
    fn postfix(&mut self) -> SqlResult<Expr> {
        let mut value = self.primary()?;
        loop {
            if self.take("COLLATE") {
                value = Expr::Collate(Box::new(value), self.part()?);
            } else if self.is("AT") && self.is_at(1, "TIME") {
                self.take_all(&["AT", "TIME", "ZONE"]);
                value = Expr::AtTimeZone(Box::new(value), Box::new(self.primary()?));
            } else if self.is_sign(".") {
                self.sign(".");
                let method = self.part()?;
                let arguments = if self.is_sign("(") { self.arguments()? } else { Vec::new() };
                value = Expr::Method(Box::new(value), method, arguments);
            } else {
                return Ok(value);
            }
        }
    }

    fn arguments(&mut self) -> SqlResult<Vec<Expr>> {
        self.expect_sign("(")?;
        let arguments = if self.is_sign(")") { Vec::new() } else { self.list(Self::expression)? };
        self.expect_sign(")")?;
        Ok(arguments)
    }

    fn primary(&mut self) -> SqlResult<Expr> {
        if self.sign("(") {
            let inside = if self.is("SELECT") || self.is("WITH") {
                Expr::Scalar(Box::new(self.query()?))
            } else {
                self.expression()?
            };
            self.expect_sign(")")?;
            return Ok(inside);
        }
        let plain = match self.peek() {
            Some(Token::Number(digits)) if digits.contains('.') => Some(Expr::Decimal(digits.clone())),
            Some(Token::Number(digits)) => Some(Expr::Integer(digits.clone())),
            Some(Token::Float(digits)) => Some(Expr::Float(digits.clone())),
            Some(Token::Money(digits)) => Some(Expr::Money(digits.clone())),
            Some(Token::Text(text, national)) => Some(Expr::Text(text.clone(), *national)),
            Some(Token::Binary(bytes)) => Some(Expr::Binary(bytes.clone())),
            Some(Token::Variable(name)) => Some(Expr::Variable(name.clone())),
            _ => None,
        };
        if let Some(plain) = plain {
            self.advance()?;
            return Ok(plain);
        }
        if self.take("NULL") {
            return Ok(Expr::Null);
        }
        if self.is("CASE") {
            return self.case();
        }
        for (word, forgiving) in [("CAST", false), ("TRY_CAST", true)] {
            if self.is(word) && self.is_sign_at(1, "(") {
                self.advance()?;
                return self.cast(forgiving);
            }
        }
        for (word, forgiving) in [("CONVERT", false), ("TRY_CONVERT", true)] {
            if self.is(word) && self.is_sign_at(1, "(") {
                self.advance()?;
                return self.convert(forgiving);
            }
        }
        if let Some(niladic) = NILADIC.iter().find(|name| self.is(name))
            && !self.is_sign_at(1, ".")
        {
            self.advance()?;
            return Ok(Expr::Call(call(vec![(*niladic).to_owned()], Vec::new())));
        }
        if self.is_sign_at(1, "::") {
            let ty = self.ty()?;
            self.expect_sign("::")?;
            let method = self.part()?;
            let arguments = if self.is_sign("(") { self.arguments()? } else { Vec::new() };
            return Ok(Expr::Static(ty, method, arguments));
        }
        if let Some(Token::Word(word)) = self.peek()
            && is_reserved(word)
            && self.is_sign_at(1, "(")
            && ["LEFT", "RIGHT", "NULLIF"].iter().any(|name| name.eq_ignore_ascii_case(word))
        {
            let name = vec![self.part()?];
            return self.call(name);
        }
        let mut name = self.name()?;
        if !self.is_sign("(") {
            return Ok(Expr::Column(name));
        }
        // `t.c.Method()` against `schema.function()`: methods are known by their names.
        if name.len() > 1 && name.last().is_some_and(|last| is_method(last)) {
            let method = name.pop().unwrap_or_default();
            let arguments = self.arguments()?;
            return Ok(Expr::Method(Box::new(Expr::Column(name)), method, arguments));
        }
        self.call(name)
    }

    fn call(&mut self, name: Vec<String>) -> SqlResult<Expr> {
        self.expect_sign("(")?;
        let mut made = call(name, Vec::new());
        if self.sign("*") {
            made.star = true;
        } else if !self.is_sign(")") {
            made.distinct = self.take("DISTINCT");
            if !made.distinct {
                self.take("ALL");
            }
            made.arguments = self.list(Self::expression)?;
        }
        self.expect_sign(")")?;
        if self.is("WITHIN") {
            self.take_all(&["WITHIN", "GROUP"]);
            self.expect_sign("(")?;
            self.expect("ORDER")?;
            self.expect("BY")?;
            made.within = self.orders()?;
            self.expect_sign(")")?;
        }
        if self.take("OVER") {
            made.over = Some(self.over()?);
        }
        Ok(Expr::Call(made))
    }

    fn over(&mut self) -> SqlResult<Over> {
        self.expect_sign("(")?;
        let mut over = Over { partition: Vec::new(), order: Vec::new(), frame: None };
        if self.take_all(&["PARTITION", "BY"]) {
            over.partition = self.list(Self::expression)?;
        }
        if self.take_all(&["ORDER", "BY"]) {
            over.order = self.orders()?;
        }
        if self.is("ROWS") || self.is("RANGE") {
            // The words are the same in SQLite.
            let start = self.place();
            while !self.is_sign(")") {
                match self.advance()? {
                    Token::Word(_) | Token::Number(_) => {}
                    _ => return Err(self.wrong()),
                }
            }
            over.frame = Some(self.since(start).to_owned());
        }
        self.expect_sign(")")?;
        Ok(over)
    }

    /// ORDER BY's list.
    pub fn orders(&mut self) -> SqlResult<Vec<Order>> {
        self.list(|parser| {
            let by = parser.expression()?;
            let descending = parser.take("DESC");
            if !descending {
                parser.take("ASC");
            }
            Ok(Order { by, descending })
        })
    }

    fn case(&mut self) -> SqlResult<Expr> {
        self.expect("CASE")?;
        let operand = if self.is("WHEN") { None } else { Some(Box::new(self.expression()?)) };
        let mut branches = Vec::new();
        while self.take("WHEN") {
            let when = self.expression()?;
            self.expect("THEN")?;
            branches.push((when, self.expression()?));
        }
        let otherwise = if self.take("ELSE") { Some(Box::new(self.expression()?)) } else { None };
        self.expect("END")?;
        if branches.is_empty() {
            return Err(self.wrong());
        }
        Ok(Expr::Case(operand, branches, otherwise))
    }

    fn cast(&mut self, forgiving: bool) -> SqlResult<Expr> {
        self.expect_sign("(")?;
        let value = Box::new(self.expression()?);
        self.expect("AS")?;
        let ty = self.cast_type()?;
        self.expect_sign(")")?;
        Ok(Expr::Cast { value, ty, style: None, forgiving })
    }

    /// A type whose length, where none is written, is thirty.
    fn cast_type(&mut self) -> SqlResult<Type> {
        let start = self.place();
        let mut ty = self.ty()?;
        let sized = matches!(
            ty.kind,
            Kind::Char | Kind::VarChar | Kind::NChar | Kind::NVarChar | Kind::Binary | Kind::VarBinary
        );
        if sized && ty.length == 1 && !self.since(start).contains('(') {
            ty.length = 30;
        }
        Ok(ty)
    }

    fn convert(&mut self, forgiving: bool) -> SqlResult<Expr> {
        self.expect_sign("(")?;
        let ty = self.cast_type()?;
        self.expect_sign(",")?;
        let value = Box::new(self.expression()?);
        let style = if self.sign(",") { Some(Box::new(self.expression()?)) } else { None };
        self.expect_sign(")")?;
        Ok(Expr::Cast { value, ty, style, forgiving })
    }
}

fn call(name: Vec<String>, arguments: Vec<Expr>) -> Call {
    Call { name, arguments, distinct: false, star: false, over: None, within: Vec::new() }
}

fn is_method(name: &str) -> bool {
    ["ToString", "STAsBinary", "STAsText", "AsBinaryZM", "GetAncestor", "GetLevel", "value", "query", "exist"]
        .iter()
        .any(|method| method.eq_ignore_ascii_case(name))
}
