//! Procedure calls as a protocol of their own: sp_executesql, sp_prepare and their kin.

use std::io;

use rusqlite::types::{Value, ValueRef};

use super::run::{self, Frame, Outcome};
use super::state::{Prepared, Session, Variable};
use super::{procedures, transaction};
use crate::error::{SqlError, SqlResult};
use crate::request::{Call, Parameter};
use crate::sql::parser::Parser;
use crate::sql::token::Token;
use crate::tokens::{self, Done};
use crate::types::{Type, cast};

/// An RPC message.
pub fn request(session: &mut Session, body: &[u8]) -> io::Result<()> {
    let calls = crate::request::calls(body).map_err(super::malformed)?;
    let last = calls.len().saturating_sub(1);
    for (at, call) in calls.iter().enumerate() {
        session.set_done(Done::InProcedure);
        let mut output = None;
        let outcome = match transaction::agrees(session, call.transaction) {
            Ok(()) => run_call(session, call, &mut output),
            Err(error) => Err(error.into()),
        };
        let failed = outcome.is_err();
        if !run::settle(session, outcome)? {
            return Ok(());
        }
        let status = i32::from(failed);
        tokens::return_status(session.tokens(), status);
        if let Some((ordinal, handle)) = output {
            let name = call.parameters.get(usize::from(ordinal)).map_or("", |parameter| parameter.name.as_str());
            tokens::return_int(session.tokens(), ordinal, name, handle);
        }
        session.end_procedure(if failed { tokens::ERROR } else { 0 }, at < last);
    }
    session.out.finish()
}

/// Runs a call; `output` is the ordinal and value of the handle that it gives back.
fn run_call(session: &mut Session, call: &Call, output: &mut Option<(u16, i32)>) -> Outcome {
    let name = call.name.rsplit('.').next().unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
    let parameters = &call.parameters[..];
    match name.as_str() {
        "sp_prepare" | "sp_prepexec" => {
            let declared = match parameters.get(1).map(|parameter| &parameter.value) {
                Some(Value::Text(text)) => declarations(text)?,
                _ => Vec::new(),
            };
            let text = match parameters.get(2).map(|parameter| &parameter.value) {
                Some(Value::Text(text)) => text.clone(),
                _ => {
                    return Err(SqlError::new(
                        214,
                        "Procedure expects parameter '@stmt' of type 'ntext/nchar/nvarchar'.",
                    )
                    .into());
                }
            };
            // What does not parse is refused now, not when it runs.
            crate::sql::statement::batch(&text)?;
            let handle = session.next_handle;
            session.next_handle += 1;
            session.prepared.insert(handle, Prepared { parameters: declared, text });
            *output = Some((0, handle));
            if name == "sp_prepexec" {
                run_prepared(session, handle, parameters.get(3..).unwrap_or(&[]))
            } else {
                Ok(())
            }
        }
        "sp_execute" => run_prepared(session, handle(parameters)?, parameters.get(1..).unwrap_or(&[])),
        "sp_unprepare" => match session.prepared.remove(&handle(parameters)?) {
            Some(_) => Ok(()),
            None => Err(unknown_handle().into()),
        },
        _ => procedures::call(session, &name, parameters, 0),
    }
}

fn unknown_handle() -> SqlError {
    SqlError::new(8179, "Could not find prepared statement with that handle.").state(2)
}

fn handle(parameters: &[Parameter]) -> SqlResult<i32> {
    match parameters.first().map(|parameter| &parameter.value) {
        Some(Value::Integer(handle)) => i32::try_from(*handle).map_err(|_| unknown_handle()),
        _ => Err(unknown_handle()),
    }
}

fn run_prepared(session: &mut Session, handle: i32, values: &[Parameter]) -> Outcome {
    let prepared = session.prepared.get(&handle).cloned().ok_or_else(unknown_handle)?;
    let mut frame = Frame { depth: 1, ..Frame::default() };
    supply(&mut frame, &prepared.parameters, values)?;
    run::batch(session, &prepared.text, &mut frame)
}

/// `@a int, @b nvarchar(20) OUTPUT`: folded names without `@`, and types.
pub fn declarations(text: &str) -> SqlResult<Vec<(String, Type)>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut parser = Parser::new(text)?;
    let list = parser.list(|parser| {
        let Token::Variable(name) = parser.advance()? else { return Err(parser.wrong()) };
        parser.take("AS");
        let ty = parser.ty()?;
        if parser.sign("=") {
            parser.expression()?;
        }
        if !parser.take("OUTPUT") {
            parser.take("OUT");
        }
        Ok((name.to_lowercase(), ty))
    })?;
    if parser.is_end() { Ok(list) } else { Err(parser.wrong()) }
}

/// Gives the declared parameters their values, by name or by place.
pub fn supply(frame: &mut Frame, declared: &[(String, Type)], values: &[Parameter]) -> SqlResult<()> {
    if values.len() > declared.len() {
        return Err(SqlError::new(8144, "Procedure or function has too many arguments specified.").state(2));
    }
    for (at, (name, ty)) in declared.iter().enumerate() {
        let by_name = values.iter().find(|value| value.name.trim_start_matches('@').eq_ignore_ascii_case(name));
        let by_place = values.get(at).filter(|value| value.name.is_empty());
        let Some(given) = by_name.or(by_place) else {
            let message = format!("The parameterized query expects the parameter '@{name}', which was not supplied.");
            return Err(SqlError::new(8178, message));
        };
        let value = cast::cast(ValueRef::from(&given.value), &given.ty, ty, None)?;
        frame.variables.insert(name.clone(), Variable { ty: *ty, value });
    }
    Ok(())
}
