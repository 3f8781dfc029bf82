//! Statements.

use super::ast::{Expr, Grantee, Setting, Source, Statement};
use super::parser::Parser;
use super::token::Token;
use crate::error::{SqlError, SqlResult};

/// Parses a whole batch.
pub fn batch(text: &str) -> SqlResult<Vec<(u32, Statement)>> {
    let mut parser = Parser::new(text)?;
    let mut statements = Vec::new();
    loop {
        while parser.sign(";") {}
        if parser.is_end() {
            return Ok(statements);
        }
        let line = parser.line();
        statements.push((line, parser.statement()?));
    }
}

impl Parser<'_> {
    pub fn statement(&mut self) -> SqlResult<Statement> {
        let statement = self.statement_without_end()?;
        while self.sign(";") {}
        Ok(statement)
    }

    fn statement_without_end(&mut self) -> SqlResult<Statement> {
        let Some(Token::Word(word)) = self.peek() else {
            if self.is_sign("(") {
                return Ok(Statement::Select(self.query()?));
            }
            return Err(self.wrong());
        };
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "SELECT" => Ok(Statement::Select(self.query()?)),
            "WITH" => Ok(Statement::Select(self.query()?)),
            "INSERT" => self.insert(),
            "UPDATE" => self.update(),
            "DELETE" => self.delete(),
            "CREATE" | "ALTER" | "DROP" | "TRUNCATE" => self.definition(&word),
            "GRANT" | "DENY" | "REVOKE" => self.grant(&word),
            "BEGIN" => self.begin(),
            _ => {
                self.advance()?;
                self.small(&word)
            }
        }
    }

    /// Statements of a few words, the first taken.
    fn small(&mut self, word: &str) -> SqlResult<Statement> {
        match word {
            "SET" => self.set(),
            "DECLARE" => self.declare(),
            "IF" => {
                let condition = self.expression()?;
                let then = Box::new(self.statement()?);
                let otherwise = if self.take("ELSE") { Some(Box::new(self.statement()?)) } else { None };
                Ok(Statement::If(condition, then, otherwise))
            }
            "WHILE" => {
                let condition = self.expression()?;
                Ok(Statement::While(condition, Box::new(self.statement()?)))
            }
            "COMMIT" => {
                self.transaction_name();
                Ok(Statement::Commit)
            }
            "ROLLBACK" => Ok(Statement::Rollback(self.transaction_name())),
            "SAVE" => {
                let name = self.transaction_name().ok_or_else(|| self.wrong())?;
                Ok(Statement::Save(name))
            }
            "USE" => Ok(Statement::Use(self.identifier()?)),
            "PRINT" => Ok(Statement::Print(self.expression()?)),
            "RAISERROR" => {
                self.expect_sign("(")?;
                let parts = self.list(Self::expression)?;
                self.expect_sign(")")?;
                if self.take("WITH") {
                    self.list(|parser| parser.part())?;
                }
                Ok(Statement::Raise(parts))
            }
            "THROW" => {
                let parts = if self.is_end() || self.is_sign(";") { Vec::new() } else { self.list(Self::expression)? };
                Ok(Statement::Throw(parts))
            }
            "WAITFOR" => {
                self.expect("DELAY")?;
                Ok(Statement::Wait(self.expression()?))
            }
            "KILL" => Ok(Statement::Kill(self.expression()?)),
            "RETURN" => {
                if matches!(self.peek(), Some(Token::Number(_) | Token::Sign("-"))) {
                    self.integer::<i32>()?;
                }
                Ok(Statement::Return)
            }
            "EXEC" | "EXECUTE" => self.execute(),
            "CHECKPOINT" => Ok(Statement::Nothing),
            _ => {
                // A procedure alone at the start of a batch needs no EXEC.
                self.back_to(self.place() - 1);
                if self.place() == 0 && self.is_name() && word.starts_with("SP_") {
                    return self.execute();
                }
                Err(self.wrong())
            }
        }
    }

    fn transaction_name(&mut self) -> Option<String> {
        if !self.take("TRANSACTION") && !self.take("TRAN") {
            self.take("WORK");
        }
        if self.is_name() && matches!(self.peek(), Some(Token::Quoted(_) | Token::Word(_))) && !self.begins_statement()
        {
            return self.identifier().ok();
        }
        None
    }

    fn begins_statement(&self) -> bool {
        ["SELECT", "DECLARE", "WAITFOR", "THROW", "WITH", "GO", "RETURN", "WHILE"].iter().any(|word| self.is(word))
    }

    fn begin(&mut self) -> SqlResult<Statement> {
        self.expect("BEGIN")?;
        if self.take("TRANSACTION") || self.take("TRAN") {
            if self.is_name() && !self.begins_statement() {
                self.identifier()?;
            }
            return Ok(Statement::Begin);
        }
        if self.take("TRY") {
            let tried = self.block(&["END", "TRY"])?;
            self.expect("BEGIN")?;
            self.expect("CATCH")?;
            return Ok(Statement::Try(tried, self.block(&["END", "CATCH"])?));
        }
        Ok(Statement::Block(self.block(&["END"])?))
    }

    fn block(&mut self, end: &[&str]) -> SqlResult<Vec<Statement>> {
        let mut statements = Vec::new();
        while self.sign(";") {}
        while !self.take_all(end) {
            statements.push(self.statement()?);
        }
        Ok(statements)
    }

    fn declare(&mut self) -> SqlResult<Statement> {
        let variables = self.list(|parser| {
            let Token::Variable(name) = parser.advance()? else { return Err(parser.wrong()) };
            parser.take("AS");
            let ty = parser.ty()?;
            let value = if parser.sign("=") { Some(parser.expression()?) } else { None };
            Ok((name, ty, value))
        })?;
        Ok(Statement::Declare(variables))
    }

    fn set(&mut self) -> SqlResult<Statement> {
        if let Some(Token::Variable(name)) = self.peek().cloned() {
            self.advance()?;
            self.expect_sign("=")?;
            return Ok(Statement::Assign(name, self.expression()?));
        }
        if self.take_all(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
            let mut level = self.part()?.to_ascii_uppercase();
            if !matches!(level.as_str(), "SNAPSHOT" | "SERIALIZABLE") {
                level = format!("{level} {}", self.part()?.to_ascii_uppercase());
            }
            return Ok(Statement::Set(vec!["ISOLATION".to_owned()], Setting::Word(level)));
        }
        if self.take("IDENTITY_INSERT") {
            let table = self.name()?;
            let on = self.on_or_off()?;
            let mut words = vec!["IDENTITY_INSERT".to_owned()];
            words.extend(table);
            return Ok(Statement::Set(words, on));
        }
        // `SET STATISTICS IO ON` has a word more.
        if self.take("STATISTICS") {
            self.list(|parser| parser.part())?;
            return Ok(Statement::Set(vec!["STATISTICS".to_owned()], self.on_or_off()?));
        }
        let names = self.list(|parser| parser.part())?;
        if self.is("ON") || self.is("OFF") {
            return Ok(Statement::Set(names, self.on_or_off()?));
        }
        let value = match self.peek() {
            Some(Token::Word(_)) => Setting::Word(self.part()?),
            _ => Setting::Value(self.expression()?),
        };
        Ok(Statement::Set(names, value))
    }

    fn on_or_off(&mut self) -> SqlResult<Setting> {
        if self.take("ON") {
            return Ok(Setting::On);
        }
        self.expect("OFF")?;
        Ok(Setting::Off)
    }

    fn execute(&mut self) -> SqlResult<Statement> {
        if self.sign("(") {
            let text = self.expression()?;
            self.expect_sign(")")?;
            return Ok(Statement::ExecuteText(text));
        }
        let procedure = self.name()?;
        let mut arguments = Vec::new();
        if !self.is_end() && !self.is_sign(";") && !self.is("SELECT") {
            arguments = self.list(|parser| {
                let named = matches!(parser.peek(), Some(Token::Variable(_))) && parser.is_sign_at(1, "=");
                let name = match (named, parser.peek().cloned()) {
                    (true, Some(Token::Variable(name))) => {
                        parser.advance()?;
                        parser.expect_sign("=")?;
                        Some(name)
                    }
                    _ => None,
                };
                let value = if parser.is_name() {
                    // A bare word is a text.
                    Expr::Text(parser.identifier()?, true)
                } else {
                    parser.expression()?
                };
                if !parser.take("OUTPUT") {
                    parser.take("OUT");
                }
                Ok((name, value))
            })?;
        }
        Ok(Statement::Execute { procedure, arguments })
    }

    fn insert(&mut self) -> SqlResult<Statement> {
        self.expect("INSERT")?;
        self.take("INTO");
        let table = self.name()?;
        self.hints()?;
        let columns =
            if self.is_sign("(") && !self.is_at(1, "SELECT") { self.names_in_parentheses()? } else { Vec::new() };
        if self.is("OUTPUT") {
            return Err(SqlError::unsupported("OUTPUT"));
        }
        if self.is("EXEC") || self.is("EXECUTE") {
            return Err(SqlError::unsupported("INSERT … EXEC"));
        }
        let source = if self.take_all(&["DEFAULT", "VALUES"]) {
            Source::Defaults
        } else {
            Source::Query(Box::new(self.query()?))
        };
        Ok(Statement::Insert { table, columns, source })
    }

    fn hints(&mut self) -> SqlResult<()> {
        if self.is("WITH") && self.is_sign_at(1, "(") {
            self.advance()?;
            self.parenthesis()?;
        }
        Ok(())
    }

    fn update(&mut self) -> SqlResult<Statement> {
        self.expect("UPDATE")?;
        if self.take("STATISTICS") {
            self.name()?;
            if self.is_name() {
                self.identifier()?;
            } else if self.is_sign("(") {
                self.parenthesis()?;
            }
            if self.take("WITH") {
                self.list(|parser| {
                    parser.part()?;
                    if parser.sign("=") || matches!(parser.peek(), Some(Token::Number(_))) {
                        parser.advance()?;
                        parser.take("PERCENT");
                        parser.take("ROWS");
                    }
                    Ok(())
                })?;
            }
            return Ok(Statement::Nothing);
        }
        let table = self.name()?;
        self.hints()?;
        self.expect("SET")?;
        let sets = self.list(|parser| {
            let mut name = parser.name()?;
            let operator = ["+=", "-=", "*=", "/=", "%="].into_iter().find(|sign| parser.is_sign(sign));
            let column = name.pop().unwrap_or_default();
            if let Some(operator) = operator {
                parser.sign(operator);
                let before = Box::new(Expr::Column(vec![column.clone()]));
                let sign = ["+", "-", "*", "/", "%"].into_iter().find(|sign| operator.starts_with(sign)).unwrap_or("+");
                return Ok((column, Expr::Arithmetic(sign, before, Box::new(parser.expression()?))));
            }
            parser.expect_sign("=")?;
            Ok((column, parser.expression()?))
        })?;
        let from = if self.take("FROM") { self.list(Self::source)? } else { Vec::new() };
        let filter = if self.take("WHERE") { Some(self.expression()?) } else { None };
        Ok(Statement::Update { table, sets, from, filter })
    }

    fn delete(&mut self) -> SqlResult<Statement> {
        self.expect("DELETE")?;
        if self.is("TOP") {
            return Err(SqlError::unsupported("DELETE TOP"));
        }
        self.take("FROM");
        let table = self.name()?;
        self.hints()?;
        let from = if self.take("FROM") { self.list(Self::source)? } else { Vec::new() };
        let filter = if self.take("WHERE") { Some(self.expression()?) } else { None };
        Ok(Statement::Delete { table, from, filter })
    }

    fn grant(&mut self, word: &str) -> SqlResult<Statement> {
        self.advance()?;
        let mut columns = None;
        let permissions = self.list(|parser| {
            let mut permission = parser.part()?;
            if parser.is_sign("(") {
                columns = Some(parser.names_in_parentheses()?);
            }
            while !parser.is("ON") && !parser.is("TO") && !parser.is("FROM") && !parser.is_sign(",") {
                permission = format!("{permission} {}", parser.part()?);
            }
            Ok(permission.to_ascii_uppercase())
        })?;
        let on = if self.take("ON") {
            let class = if self.is_sign_at(1, "::") {
                let class = self.part()?.to_ascii_uppercase();
                self.expect_sign("::")?;
                class
            } else {
                "OBJECT".to_owned()
            };
            let name = self.name()?;
            if self.is_sign("(") {
                columns = Some(self.names_in_parentheses()?);
            }
            match class.as_str() {
                "OBJECT" => Grantee::Object(name),
                "SCHEMA" => Grantee::Schema(name.last().cloned().unwrap_or_default()),
                "DATABASE" => Grantee::Whole,
                _ => return Err(self.wrong()),
            }
        } else {
            Grantee::Whole
        };
        if !self.take("TO") {
            self.expect("FROM")?;
        }
        let to = self.list(|parser| parser.part())?;
        Ok(Statement::Grant { permissions, columns, on, to, denied: word == "DENY", revoked: word == "REVOKE" })
    }
}
