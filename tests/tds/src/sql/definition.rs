//! CREATE, ALTER, DROP.

use super::ast::{ColumnDefinition, IndexDefinition, Statement, TableChange};
use super::parser::Parser;
use super::token::Token;
use crate::error::{SqlError, SqlResult};
use crate::types::{Kind, Type};

impl Parser<'_> {
    /// A statement that begins with this word.
    pub fn definition(&mut self, word: &str) -> SqlResult<Statement> {
        self.advance()?;
        match word {
            "CREATE" => self.create(),
            "ALTER" => self.alter(),
            "TRUNCATE" => {
                self.expect("TABLE")?;
                Ok(Statement::Truncate(self.name()?))
            }
            _ => self.drop(),
        }
    }

    fn create(&mut self) -> SqlResult<Statement> {
        if self.take("TABLE") {
            return self.create_table();
        }
        if self.take_all(&["OR", "ALTER"]) && !self.is("VIEW") {
            return Err(self.wrong());
        }
        if self.take("VIEW") {
            let name = self.name()?;
            let columns = if self.is_sign("(") { self.names_in_parentheses()? } else { Vec::new() };
            if self.take("WITH") {
                self.list(|parser| parser.part())?;
            }
            self.expect("AS")?;
            let start = self.place();
            self.query()?;
            return Ok(Statement::CreateView { name, columns, query: self.since(start).to_owned() });
        }
        if self.take("SCHEMA") {
            let name = self.identifier()?;
            if self.take("AUTHORIZATION") {
                self.identifier()?;
            }
            return Ok(Statement::CreateSchema(name));
        }
        if self.take("DATABASE") {
            let name = self.identifier()?;
            let collation = if self.take("COLLATE") { Some(self.part()?) } else { None };
            return Ok(Statement::CreateDatabase { name, collation });
        }
        if self.take("LOGIN") {
            let name = self.identifier()?;
            let mut password = None;
            if self.take("WITH") {
                self.expect("PASSWORD")?;
                self.expect_sign("=")?;
                password = Some(self.text()?);
                while self.sign(",") {
                    self.part()?;
                    self.expect_sign("=")?;
                    self.advance()?;
                }
            }
            return Ok(Statement::CreateLogin { name, password });
        }
        if self.take("USER") {
            let name = self.identifier()?;
            if self.take("FOR") || self.take("FROM") {
                self.expect("LOGIN")?;
                self.identifier()?;
            } else if self.take("WITHOUT") {
                self.expect("LOGIN")?;
            }
            return Ok(Statement::CreateUser { name });
        }
        if self.take("STATISTICS") {
            self.identifier()?;
            self.expect("ON")?;
            self.name()?;
            self.names_in_parentheses()?;
            return Ok(Statement::Nothing);
        }
        let unique = self.take("UNIQUE");
        let clustered = self.clustering();
        self.expect("INDEX")?;
        let name = self.identifier()?;
        self.expect("ON")?;
        let table = self.name()?;
        let mut index = self.index(Some(name), unique, clustered)?;
        if self.take("INCLUDE") {
            index.included = self.names_in_parentheses()?;
        }
        if self.take("WHERE") {
            let start = self.place();
            self.expression()?;
            index.filter = Some(self.since(start).to_owned());
        }
        self.index_options()?;
        Ok(Statement::CreateIndex { table, index })
    }

    fn clustering(&mut self) -> Option<bool> {
        if self.take("CLUSTERED") {
            Some(true)
        } else if self.take("NONCLUSTERED") {
            Some(false)
        } else {
            None
        }
    }

    fn index_options(&mut self) -> SqlResult<()> {
        if self.is("WITH") && self.is_sign_at(1, "(") {
            self.advance()?;
            self.parenthesis()?;
        }
        if self.is("ON") && !self.is_at(1, "DELETE") && !self.is_at(1, "UPDATE") {
            // A filegroup.
            self.advance()?;
            self.part()?;
        }
        Ok(())
    }

    /// `(a, b DESC)` of an index or constraint.
    fn index(&mut self, name: Option<String>, unique: bool, clustered: Option<bool>) -> SqlResult<IndexDefinition> {
        self.expect_sign("(")?;
        let keys = self.list(|parser| {
            let column = parser.identifier()?;
            let descending = parser.take("DESC");
            if !descending {
                parser.take("ASC");
            }
            Ok((column, descending))
        })?;
        self.expect_sign(")")?;
        Ok(IndexDefinition {
            name,
            clustered,
            unique,
            primary: false,
            constraint: false,
            keys,
            included: Vec::new(),
            filter: None,
        })
    }

    fn create_table(&mut self) -> SqlResult<Statement> {
        let name = self.name()?;
        self.expect_sign("(")?;
        let (mut columns, mut indexes) = (Vec::new(), Vec::new());
        loop {
            if self.is_sign(")") {
                break;
            }
            self.element(&mut columns, &mut indexes)?;
            if !self.sign(",") {
                break;
            }
        }
        self.expect_sign(")")?;
        self.index_options()?;
        if self.is("WITH") && self.is_sign_at(1, "(") {
            self.advance()?;
            self.parenthesis()?;
        }
        Ok(Statement::CreateTable { name, columns, indexes })
    }

    /// A column, constraint or index inside CREATE TABLE or ALTER TABLE ADD.
    fn element(&mut self, columns: &mut Vec<ColumnDefinition>, indexes: &mut Vec<IndexDefinition>) -> SqlResult<()> {
        let named = if self.take("CONSTRAINT") { Some(self.identifier()?) } else { None };
        if self.is("PRIMARY") || self.is("UNIQUE") {
            indexes.push(self.key_constraint(named, None)?);
            return Ok(());
        }
        if self.take("CHECK") {
            return self.parenthesis();
        }
        if self.is("FOREIGN") {
            return Err(SqlError::unsupported("foreign keys"));
        }
        if self.is("PERIOD") {
            return Err(SqlError::unsupported("PERIOD FOR SYSTEM_TIME"));
        }
        if self.take("INDEX") {
            let name = self.identifier()?;
            let unique = self.take("UNIQUE");
            let clustered = self.clustering();
            indexes.push(self.index(Some(name), unique, clustered)?);
            return Ok(());
        }
        if named.is_some() {
            return Err(self.wrong());
        }
        columns.push(self.column()?);
        Ok(())
    }

    /// PRIMARY KEY or UNIQUE, of a table or of one column.
    fn key_constraint(&mut self, name: Option<String>, column: Option<&str>) -> SqlResult<IndexDefinition> {
        let primary = self.take("PRIMARY");
        self.expect(if primary { "KEY" } else { "UNIQUE" })?;
        let clustered = self.clustering();
        let mut index = match column {
            Some(column) if !self.is_sign("(") => IndexDefinition {
                name,
                clustered,
                unique: true,
                primary,
                constraint: true,
                keys: vec![(column.to_owned(), false)],
                included: Vec::new(),
                filter: None,
            },
            _ => self.index(name, true, clustered)?,
        };
        index.primary = primary;
        index.constraint = true;
        self.index_options()?;
        Ok(index)
    }

    fn column(&mut self) -> SqlResult<ColumnDefinition> {
        let name = self.identifier()?;
        let mut column = ColumnDefinition {
            name,
            ty: Type::new(Kind::Int),
            collated: false,
            nullable: None,
            identity: None,
            default: None,
            computed: None,
            hidden: false,
            indexes: Vec::new(),
        };
        if self.take("AS") {
            let start = self.place();
            self.expression()?;
            column.computed = Some(self.since(start).to_owned());
            self.take("PERSISTED");
            return Ok(column);
        }
        // `timestamp` alone is a column of that type and name.
        column.ty = self.ty()?;
        let mut constraint = None;
        loop {
            if let Some(collation) = self.collation()? {
                column.ty = column.ty.with_collation(collation);
                column.collated = true;
            } else if self.take_all(&["NOT", "NULL"]) {
                column.nullable = Some(false);
            } else if self.take("NULL") {
                column.nullable = Some(true);
            } else if self.take("IDENTITY") {
                column.identity = Some((1, 1));
                if self.sign("(") {
                    let seed = self.integer()?;
                    self.expect_sign(",")?;
                    column.identity = Some((seed, self.integer()?));
                    self.expect_sign(")")?;
                }
            } else if self.take("CONSTRAINT") {
                constraint = Some(self.identifier()?);
            } else if self.take("DEFAULT") {
                let start = self.place();
                // Not a whole expression: NOT NULL may follow.
                self.default_value()?;
                column.default = Some(self.since(start).to_owned());
            } else if self.is("PRIMARY") || self.is("UNIQUE") {
                let index = self.key_constraint(constraint.take(), Some(&column.name))?;
                column.indexes.push(index);
            } else if self.take("CHECK") {
                self.parenthesis()?;
            } else if self.take("SPARSE") || self.take("ROWGUIDCOL") {
            } else if self.take("HIDDEN") {
                column.hidden = true;
            } else if self.is("REFERENCES") || self.is("GENERATED") {
                return Err(SqlError::unsupported("foreign keys and generated columns"));
            } else {
                return Ok(column);
            }
        }
    }

    fn default_value(&mut self) -> SqlResult<()> {
        self.take("NULL");
        if self.is_sign("(") {
            return self.parenthesis();
        }
        self.sign("-");
        match self.advance()? {
            Token::Word(_) | Token::Quoted(_) if self.is_sign("(") => self.parenthesis(),
            _ => Ok(()),
        }
    }

    fn alter(&mut self) -> SqlResult<Statement> {
        if self.take("DATABASE") {
            let name = if self.take("CURRENT") { None } else { Some(self.identifier()?) };
            self.expect("SET")?;
            let mut words = Vec::new();
            while let Some(Token::Word(word)) = self.peek() {
                words.push(word.to_ascii_uppercase());
                self.advance()?;
            }
            return Ok(Statement::AlterDatabase { name, words });
        }
        if self.take("INDEX") {
            let index = if self.take("ALL") { None } else { Some(self.identifier()?) };
            self.expect("ON")?;
            let table = self.name()?;
            let disable = self.take("DISABLE");
            if !disable {
                self.expect("REBUILD")?;
            }
            return Ok(Statement::AlterIndex { index, table, disable });
        }
        self.expect("TABLE")?;
        let table = self.name()?;
        if self.take("WITH") && !self.take("NOCHECK") {
            self.expect("CHECK")?;
        }
        if self.take("ADD") {
            let (mut columns, mut indexes) = (Vec::new(), Vec::new());
            loop {
                self.element(&mut columns, &mut indexes)?;
                if !self.sign(",") {
                    break;
                }
            }
            return Ok(Statement::AlterTable { table, change: TableChange::Add(columns, indexes) });
        }
        self.expect("DROP")?;
        let change = if self.take("COLUMN") {
            TableChange::DropColumn(self.list(|parser| parser.identifier())?)
        } else {
            self.take("CONSTRAINT");
            TableChange::DropConstraint(self.identifier()?)
        };
        Ok(Statement::AlterTable { table, change })
    }

    fn drop(&mut self) -> SqlResult<Statement> {
        let what = self.part()?.to_ascii_uppercase();
        if !["TABLE", "VIEW", "SCHEMA", "DATABASE", "INDEX", "LOGIN", "USER"].contains(&what.as_str()) {
            self.back_to(self.place() - 1);
            return Err(self.wrong());
        }
        let if_exists = self.take_all(&["IF", "EXISTS"]);
        let names = self.list(Self::name)?;
        let on = if what == "INDEX" && self.take("ON") { Some(self.name()?) } else { None };
        Ok(Statement::Drop { what, names, if_exists, on })
    }
}
