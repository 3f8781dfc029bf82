//! Taking a run's objects away, once it is abandoned or a later run took its place.
//!
//! Runs are ordered by their ids. A committed run is superseded by any later committed run with
//! `write_mode: replace` at the same data prefix. Every committer applies this rule after its
//! own manifest is in place, so whoever comes last sees all, in whatever order they commit.

use std::collections::HashSet;

use rivet_sdk::{Destination, Result};

use super::decision::{Decision, Tombstone, decision, mark_replaced};
use super::finish::sweep;
use super::keys::{ControlObject, RunKey, parse_control, success};
use super::runs::list_runs;
use super::text::now;
use crate::crash::crash_point;
use crate::plan::{Manifest, WriteMode};

/// Removes the runs that this committed run replaces, or itself if a later one replaces it.
pub(super) fn settle_replaced(dest: &mut dyn Destination, run: &RunKey, manifest: &Manifest) -> Result<()> {
    crash_point("replace.runs");
    let prefix = &manifest.data_prefix;
    for other in list_runs(dest, run.export())?.into_iter().filter(|other| other.has_decision && !other.is_tombstone())
    {
        let later = other.key > *run;
        if other.key == *run || (!later && manifest.write_mode == WriteMode::Append) {
            continue;
        }
        match decision(dest, &other.key)? {
            Decision::Committed { manifest: theirs, .. } if theirs.data_prefix == *prefix => {
                if later && theirs.write_mode == WriteMode::Replace {
                    remove_replaced(dest, run, prefix, other.key.run_id())?;
                } else if !later {
                    remove_replaced(dest, &other.key, prefix, run.run_id())?;
                }
            }
            // Its removal stopped half way.
            Decision::Replaced(tombstone) if !later => {
                remove_replaced(dest, &other.key, &tombstone.data_prefix, &tombstone.by)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes a committed run away; `_SUCCESS` goes first, so that it never stands over a mixture.
pub(super) fn remove_replaced(dest: &mut dyn Destination, run: &RunKey, data_prefix: &str, by: &str) -> Result<()> {
    crash_point("replace.success");
    dest.delete(&success(data_prefix))?;
    crash_point("replace.mark");
    if !matches!(decision(dest, run)?, Decision::Replaced(_)) {
        mark_replaced(dest, run, tombstone(run, data_prefix, &format!("replaced by run {by}")))?;
    }
    crash_point("replace.list");
    sweep(dest, run, data_prefix, &HashSet::new(), "replace.part")?;
    remove_control(dest, run, "replace.reports", "replace.plan")
}

/// Takes an abandoned run away.
pub(super) fn remove_abandoned(dest: &mut dyn Destination, run: &RunKey, data_prefix: &str) -> Result<Vec<String>> {
    crash_point("abandon.list");
    let gone = sweep(dest, run, data_prefix, &HashSet::new(), "abandon.part")?;
    remove_control(dest, run, "abandon.reports", "abandon.plan")?;
    Ok(gone)
}

/// Deletes reports, then the plan. The decision stays: it keeps late workers out for good.
fn remove_control(dest: &mut dyn Destination, run: &RunKey, reports: &'static str, plan: &'static str) -> Result<()> {
    for object in dest.list(&run.folder())? {
        if let Some((_, ControlObject::Report(_))) = parse_control(run.export(), &object.key) {
            crash_point(reports);
            dest.delete(&object.key)?;
        }
    }
    crash_point(plan);
    dest.delete(&run.plan())
}

pub(super) fn tombstone(run: &RunKey, data_prefix: &str, by: &str) -> Tombstone {
    Tombstone {
        run_id: run.run_id().to_owned(),
        export: run.export().to_owned(),
        data_prefix: data_prefix.to_owned(),
        at: now(),
        by: by.to_owned(),
    }
}
