//! Meaning: names found, types derived, SQLite's SQL written.
//!
//! Below, tables are called `t<id>`, their columns `c<id>`, sources of a query `a<n>` and the columns
//! of derived tables `k<n>`: no name of a user ever stands in the SQL, and literals are parameters.

use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};

use crate::catalogue::meta::same;
use crate::engine::Engine;
use crate::error::{SqlError, SqlResult};
use crate::session::env::Env;
use crate::types::{Kind, Type};

mod arithmetic;
mod calls;
mod coerce;
mod condition;
mod expr;
mod from;
pub mod select;
mod set;
mod system;
mod texts;
mod times;

/// An expression with its type.
#[derive(Debug, Clone)]
pub struct Bound {
    pub sql: String,
    pub ty: Type,
    pub nullable: bool,
    /// The column's name, if it is one.
    pub name: Option<String>,
    /// Of a plain column: its table's name parts.
    pub table: Option<Vec<String>>,
    pub identity: bool,
    /// NULL as it is written, which has no type of its own.
    pub untyped: bool,
    /// Neither a column nor COLLATE: its collation gives way.
    pub yields: bool,
}

/// A column that a source offers.
#[derive(Debug, Clone)]
pub struct Offered {
    pub name: String,
    pub sql: String,
    pub ty: Type,
    pub nullable: bool,
    pub identity: bool,
    pub hidden: bool,
    /// The object of which the login may not read it.
    pub denied: Option<String>,
    pub table: Option<Vec<String>>,
}

/// Something in FROM.
#[derive(Debug, Clone)]
pub struct Source {
    /// The alias, or the table's own name parts.
    pub name: Vec<String>,
    pub columns: Vec<Offered>,
}

/// What names may stand for, from inside out.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a> {
    pub parent: Option<&'a Scope<'a>>,
    pub sources: Vec<Source>,
}

/// A query as it will run.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    pub sql: String,
    pub columns: Vec<Bound>,
}

/// A table that has to be filled before a statement runs.
#[derive(Debug, Clone)]
pub struct Fill {
    pub table: String,
    pub declarations: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

struct Common {
    name: String,
    sql: String,
    columns: Vec<Offered>,
}

/// Binds one statement.
pub struct Binder<'a> {
    pub env: Arc<Env>,
    pub engine: &'a Engine,
    pub parameters: Vec<Value>,
    pub fills: Vec<Fill>,
    /// Whether a user's table is read.
    pub reads: bool,
    common: Vec<Common>,
    next: usize,
    depth: usize,
    folds: usize,
}

impl Bound {
    pub fn new(sql: impl Into<String>, ty: Type) -> Self {
        Self {
            sql: sql.into(),
            ty,
            nullable: true,
            name: None,
            table: None,
            identity: false,
            untyped: false,
            yields: true,
        }
    }

    pub fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// The SQL with the collation that its type's order needs.
    pub fn ordered(&self) -> String {
        match self.ty.order() {
            Some(order) => format!("{} COLLATE {order}", self.sql),
            None => self.sql.clone(),
        }
    }
}

impl<'a> Binder<'a> {
    pub fn new(env: Arc<Env>, engine: &'a Engine) -> Self {
        Self {
            env,
            engine,
            parameters: Vec::new(),
            fills: Vec::new(),
            reads: false,
            common: Vec::new(),
            next: 0,
            depth: 0,
            folds: 0,
        }
    }

    /// A name nobody has yet.
    fn fresh(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}{}", self.next)
    }

    /// A value that goes beside the SQL, not into it.
    pub fn parameter(&mut self, value: Value) -> String {
        self.parameters.push(value);
        format!("?{}", self.parameters.len())
    }

    /// A function over expressions; NULL in any of them is NULL.
    fn function(
        &self,
        ty: Type,
        arguments: &[&Bound],
        run: impl Fn(&[ValueRef<'_>]) -> SqlResult<Value> + Send + Sync + 'static,
    ) -> Bound {
        let run = move |values: &[ValueRef<'_>]| {
            if values.iter().any(|value| matches!(value, ValueRef::Null)) { Ok(Value::Null) } else { run(values) }
        };
        let mut bound = self.raw_function(ty, arguments, false, run);
        bound.nullable = arguments.iter().any(|argument| argument.nullable);
        bound
    }

    /// A function that sees its NULLs.
    fn raw_function(
        &self,
        ty: Type,
        arguments: &[&Bound],
        volatile: bool,
        run: impl Fn(&[ValueRef<'_>]) -> SqlResult<Value> + Send + Sync + 'static,
    ) -> Bound {
        let sql: Vec<&str> = arguments.iter().map(|argument| argument.sql.as_str()).collect();
        Bound::new(self.engine.functions.call(Arc::new(run), volatile, &sql), ty)
    }

    /// An aggregate of our own.
    fn fold(
        &mut self,
        ty: Type,
        argument: &Bound,
        distinct: bool,
        run: impl Fn(&[Value]) -> SqlResult<Value> + Send + Sync + 'static,
    ) -> SqlResult<Bound> {
        self.folds += 1;
        if self.folds > 30 {
            return Err(SqlError::unsupported("so many aggregates in one statement"));
        }
        let argument = if distinct { argument.ordered() } else { argument.sql.clone() };
        Ok(Bound::new(self.engine.functions.fold(Arc::new(run), distinct, &argument), ty))
    }

    /// Evaluates an expression that needs no row.
    pub fn evaluate(&mut self, bound: &Bound) -> SqlResult<Value> {
        let mut statement = self.engine.sqlite.prepare(&format!("SELECT {}", bound.sql))?;
        bind_parameters(&mut statement, &self.parameters)?;
        let mut rows = statement.raw_query();
        let row = rows.next()?.ok_or_else(|| SqlError::new(50000, "no value"))?;
        Ok(row.get(0)?)
    }

    fn column(&self, scope: &Scope<'_>, name: &[String]) -> SqlResult<Bound> {
        let (column, qualifier) = name.split_last().ok_or_else(|| SqlError::invalid_column(""))?;
        let mut level = Some(scope);
        while let Some(here) = level {
            let mut found = here
                .sources
                .iter()
                .filter(|source| qualifies(&source.name, qualifier))
                .flat_map(|source| source.columns.iter().filter(|offered| same(&offered.name, column)));
            if let Some(offered) = found.next() {
                if found.next().is_some() {
                    return Err(SqlError::new(209, format!("Ambiguous column name '{column}'.")));
                }
                return self.permitted(offered);
            }
            level = here.parent;
        }
        let mut level = Some(scope);
        while let Some(here) = level {
            if qualifier.is_empty() || here.sources.iter().any(|source| qualifies(&source.name, qualifier)) {
                return Err(SqlError::invalid_column(column));
            }
            level = here.parent;
        }
        Err(SqlError::new(4104, format!("The multi-part identifier \"{}\" could not be bound.", name.join("."))))
    }
}

impl Binder<'_> {
    /// The column; 230 where the login may not read it.
    fn permitted(&self, offered: &Offered) -> SqlResult<Bound> {
        let Some(object) = &offered.denied else { return Ok(offered.bound()) };
        let text = format!(
            "The SELECT permission was denied on the column '{}' of the object '{object}', database '{}', schema 'dbo'.",
            offered.name, self.env.database.name
        );
        Err(SqlError::new(230, text).class(14))
    }
}

impl Offered {
    pub fn bound(&self) -> Bound {
        Bound {
            sql: self.sql.clone(),
            ty: self.ty,
            nullable: self.nullable,
            name: Some(self.name.clone()),
            table: self.table.clone(),
            identity: self.identity,
            untyped: false,
            yields: false,
        }
    }
}

/// Whether `t`, `s.t` or `d.s.t` means the source.
fn qualifies(source: &[String], qualifier: &[String]) -> bool {
    if qualifier.len() > source.len() {
        // More was said than is known: an alias has one part, a table without schema is dbo's.
        return source.len() == 1
            && qualifier.len() == 2
            && same(&qualifier[0], "dbo")
            && qualifier.last().is_some_and(|last| same(last, &source[0]));
    }
    source[source.len() - qualifier.len()..].iter().zip(qualifier).all(|(a, b)| same(a, b))
}

/// Binds only those parameters that the statement uses.
pub fn bind_parameters(statement: &mut rusqlite::Statement<'_>, parameters: &[Value]) -> SqlResult<()> {
    for (at, value) in parameters.iter().enumerate().take(statement.parameter_count()) {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    Ok(())
}

/// The type of a text literal or result.
fn text_type(units: usize, national: bool) -> Type {
    let (kind, limit) = if national { (Kind::NVarChar, 4000) } else { (Kind::VarChar, 8000) };
    let length = if units > limit { crate::types::MAX } else { u16::try_from(units.max(1)).unwrap_or(1) };
    Type::of_length(kind, length)
}
