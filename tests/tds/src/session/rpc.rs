//! stub
use std::io;
use super::state::Session;
use crate::tokens::{self, Done};
use rusqlite::types::Value;
pub fn request(session: &mut Session, body: &[u8]) -> io::Result<()> {
    let calls = crate::request::calls(body).map_err(super::malformed)?;
    for call in calls {
        session.set_done(Done::InProcedure);
        if let Some(Value::Text(text)) = call.parameters.first().map(|p| p.value.clone()) { super::run::run(session, &text); }
        tokens::return_status(session.tokens(), 0);
        session.end_procedure(0, false);
    }
    session.out.finish()
}
