//! stub
use std::io;
use super::state::Session;
use crate::error::SqlError;
use crate::tokens;
use crate::types::{Kind, Type};
pub fn batch_request(session: &mut Session, body: &[u8]) -> io::Result<()> {
    let (_, text) = crate::request::batch(body).map_err(super::malformed)?;
    run(session, &text);
    session.end_batch()
}
pub fn run(session: &mut Session, text: &str) {
    if let Some(number) = text.trim().to_uppercase().strip_prefix("SELECT ").and_then(|n| n.trim().parse::<i32>().ok()) {
        let column = tokens::Column { name: String::new(), ty: Type::new(Kind::Int), nullable: false, identity: false, plain: false, table: vec![] };
        tokens::columns(session.tokens(), &[column]);
        let out = session.tokens();
        out.push(0xd1);
        out.extend(number.to_le_bytes());
        session.done_rows(super::state::SELECT, 1);
    } else if text.trim().to_uppercase().starts_with("SET ") {
        session.done(0, 0, 0);
    } else {
        tokens::error(session.tokens(), &SqlError::syntax(text));
        session.done(tokens::ERROR, 0, 0);
    }
}
