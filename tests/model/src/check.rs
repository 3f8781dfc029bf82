//! What must hold in the model: in every state, at the end if nobody died, and after a repair.

use super::commit::{Decision, Rules, Store, bits, parts_of};

/// Holds at every moment, whoever is alive.
pub fn in_every_state(store: &Store) -> Result<(), &'static str> {
    for run in &store.runs {
        if run.was_abandoned && run.first_manifest.is_some() {
            return Err("abandoned and committed");
        }
        if run.manifests > 1 {
            return Err("two manifests");
        }
        if let Decision::Committed(manifest) = run.decision {
            if run.first_manifest != Some(manifest) {
                return Err("two manifests");
            }
            if manifest[0] / 2 % 2 != 0 || manifest[1] / 2 % 2 != 1 {
                return Err("a chunk is not named exactly once");
            }
            if store.parts & bits(manifest) != bits(manifest) {
                return Err("a committed part is gone");
            }
        }
    }
    if store.runs[1].decision == Decision::Replaced {
        return Err("a newer run was replaced");
    }
    if store.runs[0].decision == Decision::Replaced && store.runs[1].first_manifest.is_none() {
        return Err("replaced before the new manifest");
    }
    if let Some(run) = store.success
        && store.runs[usize::from(run)].first_manifest.is_none()
    {
        return Err("_SUCCESS names no manifest");
    }
    Ok(())
}

/// Holds after any history, once `clean` (or the next run's start) went over it.
pub fn after_repair(store: &Store, rules: &Rules) -> Result<(), &'static str> {
    in_every_state(store)?;
    exact(store, rules)
}

/// The directory equals the manifests; `_SUCCESS` names the latest of them. Holds at the end of
/// a history without a death, with no repair at all.
pub fn exact(store: &Store, rules: &Rules) -> Result<(), &'static str> {
    let mut committed = 0;
    for (index, run) in (0u8..).zip(&store.runs) {
        let visible = store.parts & parts_of(index);
        match run.decision {
            Decision::Committed(manifest) if visible != bits(manifest) => return Err("parts differ from the manifest"),
            Decision::Committed(_) => committed += 1,
            Decision::Abandoned | Decision::Replaced if visible != 0 => return Err("parts differ: a dead run's stay"),
            _ => {}
        }
    }
    if rules.replace && committed > 1 {
        return Err("replace left two runs");
    }
    if committed > 0 && store.success != store.latest_committed() {
        return Err("_SUCCESS does not name the latest committed run");
    }
    Ok(())
}
