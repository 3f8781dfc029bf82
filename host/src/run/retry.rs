//! Where it is decided whether something that failed is tried again, and when.
//!
//! A chunk, and planning, are tried `chunk_max_attempts` times while their errors are transient. A run whose read point
//! is lost starts again from a new plan.

use std::time::Duration;

use rivet_sdk::{Error, ErrorKind, Retry};

use super::read_point;

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt, after this pause.
    After(Duration),
    /// Nothing: another attempt would fail for the same reason.
    Permanent,
    /// Nothing: that was the last one.
    Exhausted,
}

/// What follows the attempt that failed with `error`, which was number `failures`, the first being 1. `first_ms` is the
/// first pause, where the error asks for none of its own.
pub(super) fn next(error: &Error, failures: u32, max_attempts: u32, first_ms: u64) -> Next {
    match error.retry() {
        Retry::Transient(_) if failures >= max_attempts => Next::Exhausted,
        Retry::Transient(asked) => Next::After(asked.unwrap_or_else(|| backoff(first_ms, failures))),
        _ => Next::Permanent,
    }
}

/// Whether the whole run begins again, with a new plan, after the attempt number `attempt` at it.
pub(super) fn run_again(error: &Error, attempt: u32, max_attempts: u32) -> bool {
    read_point::is_lost(error) && attempt < max_attempts
}

/// Says that the run can be continued, where that helps.
pub(super) fn resumable(error: Error) -> Error {
    // What the configuration must answer for would be refused by a resume.
    let outside = matches!(
        error.kind(),
        ErrorKind::Auth | ErrorKind::Permission | ErrorKind::Connection | ErrorKind::Throttled | ErrorKind::Transient
    );
    match error.hint().map(str::to_owned) {
        _ if !outside && matches!(error.retry(), Retry::Permanent) => error,
        None => error.with_hint("`rivet run --resume` continues this run once the cause is gone"),
        Some(hint) if outside && !hint.contains("--resume") => {
            error.with_hint(format!("{hint}; then `rivet run --resume` continues this run"))
        }
        Some(_) => error,
    }
}

/// Doubles from `first_ms`, up to a minute, with up to half of it cut off at random so that
/// workers do not come back all at once.
fn backoff(first_ms: u64, failures: u32) -> Duration {
    let full = first_ms.saturating_mul(1 << (failures - 1).min(16)).min(60_000);
    let noise = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), failures);
    Duration::from_millis(full - noise % (full / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_its_jitter_and_a_minute() {
        for (failures, full) in [(1, 100), (2, 200), (5, 1_600), (30, 60_000)] {
            let delay = u64::try_from(backoff(100, failures).as_millis()).unwrap();
            assert!((full / 2..=full).contains(&delay), "{failures}: {delay}");
        }
    }
}
