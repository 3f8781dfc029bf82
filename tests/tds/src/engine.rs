//! SQLite as the sessions use it: one connection each, with SQL Server's orders and functions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags};

use crate::catalogue::databases::Database;
use crate::catalogue::meta::Meta;
use crate::error::{SqlError, SqlResult};
use crate::signals::{self, Signals};
use crate::types::order;

/// A function of a statement: T-SQL's, with its types already known.
pub type Function = Arc<dyn Fn(&[ValueRef<'_>]) -> SqlResult<Value> + Send + Sync>;
/// An aggregate: gets all values of its group that are not NULL.
pub type Fold = Arc<dyn Fn(&[Value]) -> SqlResult<Value> + Send + Sync>;

/// The functions of the statement that is running, by their numbers in its text.
#[derive(Clone, Default)]
pub struct Functions {
    calls: Arc<Mutex<Vec<Function>>>,
    folds: Arc<Mutex<Vec<Fold>>>,
}

impl Functions {
    /// Adds a function; `arguments` are SQL. A volatile one is called again for every row.
    pub fn call(&self, function: Function, volatile: bool, arguments: &[&str]) -> String {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(function);
        let mut sql = format!("{}({}", if volatile { "tds_v" } else { "tds_f" }, calls.len() - 1);
        for argument in arguments {
            sql.push_str(", ");
            sql.push_str(argument);
        }
        sql.push(')');
        sql
    }

    /// Adds an aggregate over one argument.
    pub fn fold(&self, fold: Fold, distinct: bool, argument: &str) -> String {
        let mut folds = self.folds.lock().unwrap_or_else(PoisonError::into_inner);
        folds.push(fold);
        // DISTINCT allows no second argument: the number is part of the name.
        let number = folds.len() - 1;
        format!("tds_a{number}({}{argument})", if distinct { "DISTINCT " } else { "" })
    }

    /// Forgets the last statement's.
    pub fn clear(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.folds.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn run(&self, context: &Context<'_>) -> rusqlite::Result<Value> {
        let number = usize::try_from(context.get::<i64>(0)?).unwrap_or(usize::MAX);
        let call = self.calls.lock().unwrap_or_else(PoisonError::into_inner).get(number).cloned();
        let call = call.ok_or_else(|| SqlError::new(50000, "a function of another statement"))?;
        let arguments: Vec<ValueRef<'_>> = (1..context.len()).map(|at| context.get_raw(at)).collect();
        Ok(call(&arguments)?)
    }
}

struct Folding {
    folds: Functions,
    number: usize,
}

impl Aggregate<Vec<Value>, Value> for Folding {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<Value>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, values: &mut Vec<Value>) -> rusqlite::Result<()> {
        let value = Value::try_from(context.get_raw(0))?;
        if value != Value::Null {
            values.push(value);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, values: Option<Vec<Value>>) -> rusqlite::Result<Value> {
        let fold = self.folds.folds.lock().unwrap_or_else(PoisonError::into_inner).get(self.number).cloned();
        let fold = fold.ok_or_else(|| SqlError::new(50000, "an aggregate of another statement"))?;
        Ok(fold(&values.unwrap_or_default())?)
    }
}

/// How many aggregates of its own one statement may have.
const FOLDS: usize = 32;

/// A connection to one database.
pub struct Engine {
    pub sqlite: Connection,
    pub functions: Functions,
    signals: Arc<Signals>,
    meta: Option<(i64, Arc<Meta>)>,
}

impl Engine {
    pub fn open(database: &Database, signals: Arc<Signals>) -> SqlResult<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut sqlite = Connection::open_with_flags(&database.path, flags)?;
        sqlite.execute_batch("PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000")?;
        let functions = Functions::default();
        for (name, compare) in order::ALL {
            sqlite.create_collation(name, compare)?;
        }
        for (name, flags) in [
            ("tds_f", FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC),
            ("tds_v", FunctionFlags::SQLITE_UTF8),
        ] {
            let functions = functions.clone();
            sqlite.create_scalar_function(name, -1, flags, move |context| functions.run(context))?;
        }
        for number in 0..FOLDS {
            let folding = Folding { folds: functions.clone(), number };
            sqlite.create_aggregate_function(
                format!("tds_a{number}").as_str(),
                1,
                FunctionFlags::SQLITE_UTF8,
                folding,
            )?;
        }
        let raised = signals.clone();
        sqlite.progress_handler(1000, Some(move || raised.raised().is_some()))?;
        let mut engine = Self { sqlite, functions, signals, meta: None };
        engine.set_lock_timeout(-1)?;
        Ok(engine)
    }

    /// How long writers wait for each other; forever by default, as on a real server.
    pub fn set_lock_timeout(&mut self, milliseconds: i64) -> SqlResult<()> {
        let time = match u64::try_from(milliseconds) {
            Ok(milliseconds) => Duration::from_millis(milliseconds),
            Err(_) => Duration::from_secs(24 * 3600),
        };
        signals::be_patient(self.signals.clone(), time);
        Ok(self.sqlite.busy_handler(Some(signals::try_again))?)
    }

    /// The database's declarations as they are now.
    pub fn meta(&mut self) -> SqlResult<Arc<Meta>> {
        let version: i64 = self.sqlite.query_row("SELECT version FROM tds_meta", [], |row| row.get(0))?;
        if let Some((known, meta)) = &self.meta
            && *known == version
        {
            return Ok(meta.clone());
        }
        let body: String = self.sqlite.query_row("SELECT body FROM tds_meta", [], |row| row.get(0))?;
        let meta: Meta = serde_json::from_str(&body).map_err(|error| SqlError::new(50000, error.to_string()))?;
        let meta = Arc::new(meta);
        self.meta = Some((version, meta.clone()));
        Ok(meta)
    }

    /// Changes the declarations, together with what `statements` change below. All or nothing.
    pub fn declare(&mut self, meta: &Meta, statements: &[String]) -> SqlResult<()> {
        let outside = self.sqlite.is_autocommit();
        self.sqlite.execute_batch(if outside { "BEGIN IMMEDIATE" } else { "SAVEPOINT tds_declare" })?;
        let outcome = self.declare_inside(meta, statements);
        self.sqlite.execute_batch(match (outside, outcome.is_ok()) {
            (true, true) => "COMMIT",
            (true, false) => "ROLLBACK",
            (false, true) => "RELEASE tds_declare",
            (false, false) => "ROLLBACK TO tds_declare; RELEASE tds_declare",
        })?;
        self.meta = None;
        outcome
    }

    fn declare_inside(&self, meta: &Meta, statements: &[String]) -> SqlResult<()> {
        for statement in statements {
            self.sqlite.execute_batch(statement)?;
        }
        let body = serde_json::to_string(meta).map_err(|error| SqlError::new(50000, error.to_string()))?;
        let known = self.meta.as_ref().map(|(version, _)| *version);
        let changed = self.sqlite.execute(
            "UPDATE tds_meta SET version = version + 1, body = ?1 WHERE version = ?2",
            rusqlite::params![body, known],
        )?;
        if changed == 0 {
            // Somebody else declared something since these declarations were read.
            let message = "Transaction was deadlocked on schema resources with another process. Rerun the transaction.";
            return Err(SqlError::new(1205, message).class(13));
        }
        Ok(())
    }
}
