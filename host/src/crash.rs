//! Named places at which a test can kill the process: `RIVET_CRASH_AT=<name>[:n]`. Only a build with `debug_assertions`
//! has them: nothing in a release's environment may end a run.

/// Every crash point, in the order in which a run passes them. Each lies *before* the step it
/// names, so a kill there means: everything earlier happened, this step did not. The commit
/// model uses the same names for the same steps.
pub const CRASH_POINTS: &[&str] = &[
    // a plain run's start
    "abandon.decide",
    "abandon.list",
    "abandon.part",
    "abandon.reports",
    "abandon.plan",
    "probe.again",
    "probe.delete",
    "plan.put",
    // a repair's start
    "repair.base",
    "repair.take",
    // an attempt
    "attempt.fence",
    "part.finish",
    "part.fence",
    "report.put",
    "attempt.discard",
    // the commit
    "commit.begin",
    "commit.reports",
    "commit.verify",
    "chain.list",
    "chain.withdraw",
    "chain.check",
    "commit.manifest",
    "commit.sweep",
    "commit.dead_part",
    "replace.runs",
    "replace.success",
    "replace.mark",
    "repair.list",
    "repair.withdraw",
    "replace.list",
    "replace.part",
    "replace.reports",
    "replace.plan",
    "success.choose",
    "success.put",
    "success.recheck",
    // after the commit
    "watermark.advance",
    // inside the local destination
    "local.fsync",
    "local.rename",
    "local.link",
    "local.unlink_temp",
    "local.fsync_folder",
];

/// The environment variable that arms one crash point.
#[cfg(any(debug_assertions, test))]
pub const CRASH_VARIABLE: &str = "RIVET_CRASH_AT";

#[cfg(debug_assertions)]
pub use armed::crash_point;

/// Nothing: this build has no crash points.
#[cfg(not(debug_assertions))]
pub fn crash_point(_name: &'static str) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{CRASH_POINTS, CRASH_VARIABLE};

    struct Armed {
        name: String,
        remaining: AtomicU64,
    }

    /// Aborts the process here if [`CRASH_VARIABLE`] names this point, at its n-th passing (default
    /// 1). Nothing is flushed, no destructor runs: for files it is what `kill -9` is.
    pub fn crash_point(name: &'static str) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        debug_assert!(CRASH_POINTS.contains(&name), "{name} is missing from CRASH_POINTS");
        let armed = ARMED.get_or_init(|| std::env::var(CRASH_VARIABLE).ok().and_then(|text| parse(&text)));
        if let Some(armed) = armed
            && armed.name == name
            && armed.remaining.fetch_sub(1, Ordering::SeqCst) == 1
        {
            std::process::abort();
        }
    }

    fn parse(text: &str) -> Option<Armed> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let remaining = AtomicU64::new(count.parse().ok()?);
        Some(Armed { name: name.to_owned(), remaining })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_may_name_its_passing() {
            let armed = parse("commit.dead_part:3").expect("armed");
            assert_eq!((armed.name.as_str(), armed.remaining.into_inner()), ("commit.dead_part", 3));
            assert!(parse("commit.sweep:soon").is_none());
        }
    }
}
