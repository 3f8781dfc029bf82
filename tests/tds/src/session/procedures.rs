//! Stored procedures: those of the system that a client needs, and `rivet_fault`.

use rusqlite::types::Value;

use super::rows;
use super::rpc;
use super::run::{self, Frame, Outcome};
use super::state::Session;
use crate::catalogue::views;
use crate::error::{SqlError, SqlResult};
use crate::faults::Kind as Fault;
use crate::request::Parameter;
use crate::sql::ast::{Expr, Name};
use crate::sql::bind::{Binder, Bound, BoundQuery};

/// EXEC.
pub fn execute(
    session: &mut Session,
    procedure: &Name,
    arguments: &[(Option<String>, Expr)],
    frame: &mut Frame,
) -> Outcome {
    let mut parameters = Vec::new();
    for (name, value) in arguments {
        let (ty, value) = super::value::evaluate(session, value, frame)?;
        let name = name.as_ref().map(|name| format!("@{name}")).unwrap_or_default();
        parameters.push(Parameter { name, output: false, ty, value });
    }
    let name = procedure.last().map(|name| name.to_lowercase()).unwrap_or_default();
    call(session, &name, &parameters, frame.depth)
}

fn words(parameters: &[Parameter], at: usize) -> SqlResult<String> {
    match parameters.get(at).map(|parameter| &parameter.value) {
        Some(Value::Text(text)) => Ok(text.clone()),
        _ => Err(SqlError::new(
            201,
            format!("A procedure expects parameter {} as text, which was not supplied.", at + 1),
        )),
    }
}

fn number(parameters: &[Parameter], at: usize) -> Option<i64> {
    match parameters.get(at).map(|parameter| &parameter.value) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

/// Runs a procedure that answers with rows alone.
pub fn call(session: &mut Session, name: &str, parameters: &[Parameter], depth: usize) -> Outcome {
    match name {
        "sp_executesql" => {
            let text = words(parameters, 0)?;
            let declared = if parameters.len() > 1 { rpc::declarations(&words(parameters, 1)?)? } else { Vec::new() };
            let mut inner = Frame { depth: depth + 1, ..Frame::default() };
            rpc::supply(&mut inner, &declared, parameters.get(2..).unwrap_or(&[]))?;
            run::batch(session, &text, &mut inner)
        }
        "sp_describe_first_result_set" => describe(session, parameters),
        "rivet_fault" => {
            let kind = words(parameters, 0)?;
            let kind = Fault::parse(&kind).ok_or_else(|| SqlError::unsupported(format!("the fault {kind}")))?;
            let (database, spid) = (session.database.name.clone(), session.spid);
            let times = number(parameters, 2).unwrap_or(1);
            session.shared.faults.arm(kind, number(parameters, 1).unwrap_or(0), times, &database, spid);
            session.done(0, 0, 0);
            Ok(())
        }
        "sp_updatestats" | "sp_reset_connection" => Ok(()),
        _ => Err(SqlError::new(2812, format!("Could not find stored procedure '{name}'.")).state(62).into()),
    }
}

/// sp_describe_first_result_set: what the function of that name says, as rows.
fn describe(session: &mut Session, parameters: &[Parameter]) -> Outcome {
    let text = words(parameters, 0)?;
    let declared = if parameters.len() > 1 { words(parameters, 1).ok() } else { None };
    session.engine.functions.clear();
    let env = session.env(&super::state::Variables::default())?;
    let binder = Binder::new(env.clone(), &session.engine);
    let bound = crate::catalogue::sys::described(&binder, &text, declared.as_deref())?;
    let columns = crate::catalogue::sys::description_columns()?;
    let described = bound.map(|bound| bound.columns).unwrap_or_default();
    let rows: Vec<Vec<Value>> =
        described.iter().enumerate().map(|(at, column)| views::described(at, column, &env)).collect();
    let fill = crate::sql::bind::Fill {
        table: "described".to_owned(),
        declarations: (0..columns.len()).map(|at| format!("k{at} BLOB")).collect(),
        rows,
    };
    let columns = columns
        .into_iter()
        .map(|(name, ty, nullable)| Bound { name: Some(name), nullable, ..Bound::new("", ty) })
        .collect();
    let query = BoundQuery { sql: "SELECT * FROM temp.described".to_owned(), columns };
    rows::stream(session, &query, &[], &[fill], false)
}
