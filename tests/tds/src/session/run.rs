//! Batches: statement after statement.

use std::io;
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};

use super::state::{Session, Variable, Variables};
use super::value::{evaluate, holds, integer_of, text_of};
use super::{ddl, dml, procedures, rows, settings, transaction};
use crate::error::{SqlError, SqlResult};
use crate::signals::Signal;
use crate::sql::ast::{Body, Expr, Item, Query, Statement};
use crate::sql::bind::{Binder, Fill, Scope};
use crate::sql::statement;
use crate::tokens::{self, Done};
use crate::types::{Kind, Type, cast, encode};

/// Why a statement did not end well.
#[derive(Debug)]
pub enum Failure {
    /// The client is told, and goes on.
    Sql(SqlError),
    /// Somebody stops it.
    Stop(Signal),
    /// The connection breaks off.
    Cut,
    Io(io::Error),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub type Outcome<T = ()> = Result<T, Failure>;

/// What a batch or procedure has of its own.
#[derive(Debug, Default)]
pub struct Frame {
    pub variables: Variables,
    pub depth: usize,
    pub returned: bool,
}

/// A batch that a client sent.
pub fn batch_request(session: &mut Session, body: &[u8]) -> io::Result<()> {
    let (descriptor, text) = crate::request::batch(body).map_err(super::malformed)?;
    session.set_done(Done::Statement);
    let outcome = match transaction::agrees(session, descriptor) {
        Ok(()) => batch(session, &text, &mut Frame::default()),
        Err(error) => {
            fail(session, &error);
            Ok(())
        }
    };
    if settle(session, outcome)? { session.end_batch() } else { Ok(()) }
}

/// What an outcome means for the connection: whether the answer goes on to its end.
pub fn settle(session: &mut Session, outcome: Outcome) -> io::Result<bool> {
    let failure = match outcome {
        Ok(()) => return Ok(true),
        Err(failure) => failure,
    };
    session.publish();
    match failure {
        Failure::Sql(error) => {
            fail(session, &error);
            Ok(true)
        }
        // The loop of requests finds the attention itself, and ends the message with it.
        Failure::Stop(Signal::Attention) => {
            session.abandon();
            if session.settings.is_on("XACT_ABORT") {
                transaction::forget(session);
            }
            Ok(false)
        }
        Failure::Stop(Signal::Killed) => {
            session.abandon();
            let message = "Cannot continue the execution because the session is in the kill state.";
            tokens::error(session.out.buffer(), &SqlError::new(596, message).class(21));
            tokens::done(session.out.buffer(), Done::Statement, tokens::ERROR, 0, 0);
            session.out.finish()?;
            Ok(false)
        }
        Failure::Stop(Signal::Gone) => Err(io::ErrorKind::ConnectionAborted.into()),
        Failure::Cut => {
            session.out.push()?;
            Err(io::Error::other("cut on demand"))
        }
        Failure::Io(error) => Err(error),
    }
}

/// Writes an error and the DONE of what failed.
pub fn fail(session: &mut Session, error: &SqlError) {
    session.last_error = error.number;
    tokens::error(session.tokens(), error);
    session.done(tokens::ERROR, 0, 0);
}

/// Errors after which a batch goes on with its next statement.
const MILD: [i32; 8] = [515, 544, 2601, 2627, 2628, 8115, 8134, 8152];

/// Runs the statements of a text.
pub fn batch(session: &mut Session, text: &str, frame: &mut Frame) -> Outcome {
    if frame.depth > 32 {
        return Err(
            SqlError::new(217, "Maximum stored procedure, function, trigger, or view nesting level exceeded.").into()
        );
    }
    let statements = match statement::batch(text) {
        Ok(statements) => statements,
        Err(error) => {
            fail(session, &error);
            return Ok(());
        }
    };
    if let Some(entry) = session.shared.sessions().get_mut(&session.spid) {
        entry.status = "running";
    }
    for (line, statement) in &statements {
        match execute(session, statement, frame) {
            Err(Failure::Sql(error)) => {
                let error = SqlError { line: error.line.max(*line), ..error };
                let aborts = session.settings.is_on("XACT_ABORT") || !MILD.contains(&error.number);
                if error.number == 1205 || (aborts && session.settings.is_on("XACT_ABORT")) {
                    transaction::forget(session);
                }
                fail(session, &error);
                if aborts {
                    break;
                }
            }
            outcome => outcome?,
        }
        if frame.returned {
            break;
        }
    }
    if let Some(entry) = session.shared.sessions().get_mut(&session.spid) {
        entry.status = "sleeping";
    }
    Ok(())
}

fn check(session: &Session) -> Outcome {
    match session.signals.raised() {
        Some(signal) => Err(Failure::Stop(signal)),
        None => Ok(()),
    }
}

/// Runs one statement.
pub fn execute(session: &mut Session, statement: &Statement, frame: &mut Frame) -> Outcome {
    check(session)?;
    let outcome = execute_inside(session, statement, frame);
    // SQLite was interrupted: what it says of that is nobody's concern.
    if let (Err(Failure::Sql(_)), Some(signal)) = (&outcome, session.signals.raised()) {
        return Err(Failure::Stop(signal));
    }
    outcome
}

fn execute_inside(session: &mut Session, statement: &Statement, frame: &mut Frame) -> Outcome {
    match statement {
        Statement::Select(query) if assigns(query) => assign_select(session, query, frame),
        Statement::Select(query) => select(session, query, frame),
        Statement::Insert { table, columns, source } => dml::insert(session, table, columns, source, frame),
        Statement::Update { table, sets, from, filter } => {
            dml::update(session, table, sets, from, filter.as_ref(), frame)
        }
        Statement::Delete { table, from, filter } => dml::delete(session, table, from, filter.as_ref(), frame),
        Statement::Truncate(table) => dml::truncate(session, table, frame),
        Statement::Declare(variables) => {
            for (name, ty, value) in variables {
                let ty = if ty.is_text() { ty.with_collation(session.engine.meta()?.collation) } else { *ty };
                frame.variables.insert(name.to_lowercase(), Variable { ty, value: Value::Null });
                if let Some(value) = value {
                    assign(session, name, value, frame)?;
                }
            }
            Ok(())
        }
        Statement::Assign(name, value) => assign(session, name, value, frame),
        Statement::Set(names, setting) => settings::set(session, names, setting, frame),
        Statement::If(condition, then, otherwise) => {
            if holds(session, condition, frame)? {
                execute(session, then, frame)
            } else {
                otherwise.as_ref().map_or(Ok(()), |otherwise| execute(session, otherwise, frame))
            }
        }
        Statement::While(condition, body) => {
            while holds(session, condition, frame)? && !frame.returned {
                execute(session, body, frame)?;
            }
            Ok(())
        }
        Statement::Block(statements) => block(session, statements, frame),
        Statement::Try(tried, caught) => match block(session, tried, frame) {
            Err(Failure::Sql(error)) => {
                session.last_error = error.number;
                block(session, caught, frame)
            }
            outcome => outcome,
        },
        Statement::Begin => transaction::begin(session),
        Statement::Commit => transaction::commit(session),
        Statement::Rollback(savepoint) => transaction::rollback(session, savepoint.as_deref()),
        Statement::Save(name) => transaction::save(session, name),
        Statement::Use(name) => ddl::change_database(session, name),
        Statement::Print(value) => {
            let text = text_of(session, value, frame)?;
            tokens::info(session.tokens(), 0, 0, &text.unwrap_or_default());
            Ok(())
        }
        Statement::Raise(parts) => raise(session, parts, frame),
        Statement::Throw(parts) => {
            let [number, message, _] = &parts[..] else {
                return Err(SqlError::new(session.last_error.max(50_000), "thrown again").into());
            };
            let number = integer_of(session, number, frame)?;
            let message = text_of(session, message, frame)?.unwrap_or_default();
            Err(SqlError::new(i32::try_from(number).unwrap_or(50_000), message).into())
        }
        Statement::Wait(time) => wait(session, time, frame),
        Statement::Kill(spid) => {
            let number = integer_of(session, spid, frame)?;
            if !session.login.eq_ignore_ascii_case(super::ADMINISTRATOR) {
                return Err(SqlError::new(6102, "User does not have permission to use the KILL statement.").into());
            }
            let spid = u16::try_from(number).unwrap_or(0);
            if spid == session.spid {
                return Err(SqlError::new(6104, "Cannot use KILL to kill your own process.").into());
            }
            if !session.shared.kill(spid) {
                return Err(SqlError::new(6106, format!("Process ID {number} is not an active process ID.")).into());
            }
            session.done(0, 0, 0);
            Ok(())
        }
        Statement::Return => {
            frame.returned = true;
            Ok(())
        }
        Statement::Execute { procedure, arguments } => procedures::execute(session, procedure, arguments, frame),
        Statement::ExecuteText(text) => {
            let text = text_of(session, text, frame)?.unwrap_or_default();
            batch(session, &text, &mut Frame { depth: frame.depth + 1, ..Frame::default() })
        }
        Statement::Nothing => {
            session.done(0, 0, 0);
            Ok(())
        }
        _ => ddl::define(session, statement, frame),
    }
}

fn block(session: &mut Session, statements: &[Statement], frame: &mut Frame) -> Outcome {
    for statement in statements {
        execute(session, statement, frame)?;
        if frame.returned {
            break;
        }
    }
    Ok(())
}

/// Binds something and hands it over with its parameters.
pub fn bind<T>(
    session: &mut Session,
    frame: &Frame,
    bind: impl FnOnce(&mut Binder<'_>) -> SqlResult<T>,
) -> SqlResult<(T, Vec<Value>, Vec<Fill>, bool)> {
    session.engine.functions.clear();
    let env = session.env(&frame.variables)?;
    let mut binder = Binder::new(env, &session.engine);
    let bound = bind(&mut binder)?;
    Ok((bound, binder.parameters, binder.fills, binder.reads))
}

fn select(session: &mut Session, query: &Query, frame: &Frame) -> Outcome {
    let (bound, parameters, fills, reads) = bind(session, frame, |binder| binder.query(&Scope::default(), query))?;
    rows::stream(session, &bound, &parameters, &fills, reads)
}

fn assigns(query: &Query) -> bool {
    matches!(&query.body, Body::Select(select) if select.items.iter().any(|item| matches!(item, Item::Assign { .. })))
}

/// `SELECT @a = x, @b = y FROM …`: the last row stays.
fn assign_select(session: &mut Session, query: &Query, frame: &mut Frame) -> Outcome {
    let mut query = query.clone();
    let mut targets = Vec::new();
    if let Body::Select(select) = &mut query.body {
        for item in &mut select.items {
            let Item::Assign { variable, value } = item else {
                return Err(SqlError::new(141, "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.").class(15).into());
            };
            targets.push(variable.to_lowercase());
            *item = Item::Value { value: value.clone(), name: None };
        }
    }
    let (bound, parameters, fills, _) = bind(session, frame, |binder| binder.query(&Scope::default(), &query))?;
    let found = rows::collect(session, &bound, &parameters, &fills)?;
    if let Some(last) = found.last() {
        for ((target, value), column) in targets.iter().zip(last).zip(&bound.columns) {
            store(frame, target, ValueRef::from(value), &column.ty)?;
        }
    }
    session.done_rows(super::state::SELECT, u64::try_from(found.len()).unwrap_or(0));
    Ok(())
}

fn store(frame: &mut Frame, name: &str, value: ValueRef<'_>, from: &Type) -> SqlResult<()> {
    let Some(variable) = frame.variables.get_mut(name) else {
        return Err(SqlError::new(137, format!("Must declare the scalar variable \"@{name}\".")).class(15));
    };
    variable.value = cast::cast(value, from, &variable.ty, None)?;
    Ok(())
}

fn assign(session: &mut Session, name: &str, value: &Expr, frame: &mut Frame) -> Outcome {
    let (ty, value) = evaluate(session, value, frame)?;
    store(frame, &name.to_lowercase(), ValueRef::from(&value), &ty)?;
    Ok(())
}

fn raise(session: &mut Session, parts: &[Expr], frame: &Frame) -> Outcome {
    let [message, class, state, ..] = parts else { return Err(SqlError::syntax("RAISERROR").into()) };
    let (ty, value) = evaluate(session, message, frame)?;
    let class = u8::try_from(integer_of(session, class, frame)?).unwrap_or(16);
    let state = u8::try_from(integer_of(session, state, frame)?).unwrap_or(1);
    let (number, text) = match value {
        Value::Integer(number) => (i32::try_from(number).unwrap_or(50_000), format!("Message {number}.")),
        value => {
            let wide = Type::of_length(Kind::NVarChar, 2048);
            let text = cast::cast(ValueRef::from(&value), &ty, &wide, None)?;
            (50_000, encode::text(&wide, ValueRef::from(&text))?.to_owned())
        }
    };
    if class <= 10 {
        tokens::info(session.tokens(), number, class, &text);
        session.done(0, 0, 0);
        return Ok(());
    }
    Err(SqlError::new(number, text).class(class).state(state).into())
}

fn wait(session: &mut Session, time: &Expr, frame: &Frame) -> Outcome {
    let text = text_of(session, time, frame)?.unwrap_or_default();
    let ticks = crate::types::temporal::parse(&text).map(|moment| moment.ticks);
    let ticks = ticks.ok_or_else(|| {
        SqlError::new(148, format!("Incorrect time syntax in time string '{text}' used with WAITFOR.")).class(15)
    })?;
    // What came before is on its way while we wait.
    session.tokens();
    session.out.push()?;
    match session.signals.wait(Duration::from_nanos(ticks * 100)) {
        Some(signal) => Err(Failure::Stop(signal)),
        None => {
            session.done(0, 0, 0);
            Ok(())
        }
    }
}
