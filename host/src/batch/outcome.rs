//! Two sides of a queue end; which of their errors is the cause?

use rivet_sdk::{Error, ErrorKind, Result};

/// What became of an attempt: the source's result and the encoder's, or the error that caused
/// the other one. A source that was stopped because the encoder failed says `Cancelled`, and an
/// encoder whose source failed has nothing ([`None`]) to show.
pub fn outcome<S, W>(source: Result<S>, encoder: Result<Option<W>>) -> Result<(S, W)> {
    match (source, encoder) {
        (Ok(source), Ok(Some(written))) => Ok((source, written)),
        (Ok(_), Ok(None)) => Err(Error::cancelled("the attempt was stopped before its rows were written")),
        (Err(source), Err(encoder)) if source.kind() == ErrorKind::Cancelled => Err(encoder),
        (Err(source), _) => Err(source),
        (Ok(_), Err(encoder)) => Err(encoder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_not_its_consequence() {
        let full = || Error::new(ErrorKind::ResourceExhausted, "the disk is full");
        let stopped = || Error::cancelled("the rows are no longer wanted");
        let broken = || Error::connection("connection reset");
        assert_eq!(outcome::<(), ()>(Err(stopped()), Err(full())).unwrap_err(), full());
        assert_eq!(outcome::<(), ()>(Ok(()), Err(full())).unwrap_err(), full());
        assert_eq!(outcome::<(), ()>(Err(broken()), Ok(None)).unwrap_err(), broken());
        assert_eq!(outcome(Ok(1), Ok(Some(2))).unwrap(), (1, 2));
    }
}
