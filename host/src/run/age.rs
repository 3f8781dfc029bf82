//! How old a sealed plan may be when its rows are read.
//!
//! Its chunks, bounds and columns are those of a table that has lived on since; an incremental
//! plan's upper bound stands where it stood. So reading by an old plan has to be asked for.

use std::time::Duration;

use jiff::Timestamp;
use rivet_sdk::{Error, Result};

/// Refuses a plan made at `created_at` once it is older than `limit`. One from the future was made
/// by another clock.
pub(super) fn check(created_at: &str, limit: Duration, now: Timestamp) -> Result<()> {
    let made: Timestamp = created_at.parse().map_err(|_| {
        Error::config(format!("the plan's `created_at` is no time: `{created_at}`"))
            .with_hint("`rivet plan -o FILE` writes a plan")
    })?;
    let age = match Duration::try_from(now.duration_since(made)) {
        Ok(age) if age > limit => age,
        // Within the limit, or below zero.
        _ => return Ok(()),
    };
    Err(Error::config(format!(
        "the plan is {} old, and may be {}: it was made at {created_at}",
        in_words(age),
        in_words(limit)
    ))
    .with_hint("make a new plan, or allow more with `--max-age`; `rivet commit` takes a plan of any age"))
}

/// In the greatest unit of which there are at least two; cut, not rounded.
fn in_words(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..2 => format!("{} ms", age.as_millis()),
        2..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(made: &str, limit: Duration) -> Option<String> {
        let now = "2026-03-02T12:00:00Z".parse().unwrap();
        check(made, limit, now).err().map(|error| error.message().to_owned())
    }

    #[test]
    fn a_plan_is_refused_from_its_limit_on() {
        let day = Duration::from_secs(86_400);
        assert_eq!(refused("2026-03-01T12:00:00Z", day), None);
        assert_eq!(
            refused("2026-03-01T11:59:59.999Z", day).unwrap(),
            "the plan is 24 h old, and may be 24 h: it was made at 2026-03-01T11:59:59.999Z"
        );
        assert!(refused("2026-02-20T12:00:00Z", day).unwrap().starts_with("the plan is 10 days old, and may be 24 h"));
        assert_eq!(refused("2026-02-20T12:00:00Z", 11 * day), None);
        assert_eq!(refused("2026-03-02T12:00:01Z", Duration::ZERO), None, "made by another clock");
        assert_eq!(refused("2000-03-02T12:00:01Z", Duration::MAX), None);
        assert!(refused("yesterday", day).unwrap().contains("`yesterday`"));
    }
}
