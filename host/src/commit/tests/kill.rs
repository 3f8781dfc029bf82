//! The code itself, killed at every change of the store, twice over, then rerun or resumed.

use rivet_sdk::Destination;

use super::store::{Death, Memory, data_files, part_keys, plan, run_all};
use crate::commit::keys::RunKey;
use crate::commit::{Decision, Depth, own_success, read_plan, recover, status, unfinished, validate};
use crate::plan::{Manifest, WriteMode};

/// The directory is the manifests, `_SUCCESS` names the latest, every part is whole.
fn assert_exact(dest: &mut dyn Destination, latest: &Manifest, case: &str) {
    let mut named = Vec::new();
    for run in status(dest, "orders").unwrap() {
        if let Decision::Committed { manifest, .. } = &run.decision {
            named.extend(part_keys(manifest));
            let found = validate(dest, &run.objects.key, Depth::Full).unwrap();
            assert!(found.problems.is_empty() && found.strays.is_empty(), "{case}: {found:?}");
            assert_eq!(manifest.attempts.len(), 2, "{case}");
        }
        assert_ne!(run.decision, Decision::Undecided, "{case}");
    }
    named.sort();
    assert_eq!(data_files(dest), named, "{case}");
    let success = own_success(dest, "orders", "day=1/").unwrap().expect("a _SUCCESS");
    assert_eq!(success.run_id, latest.run_id, "{case}");
    if latest.write_mode == WriteMode::Replace {
        assert_eq!(named.len(), 4, "{case}");
    }
}

/// What the next process does, either way.
fn go_on(dest: &mut dyn Destination, mode: WriteMode, resume: bool, number: u8) -> rivet_sdk::Result<Manifest> {
    if resume && let Some(run) = unfinished(dest, "orders")?.pop() {
        let plan = read_plan(dest, &run.key)?;
        return run_all(dest, &plan);
    }
    recover(dest, "orders", "test")?;
    run_all(dest, &plan(number, mode))
}

/// Deaths at every `step`-th change from `first`, until a case survives; how many changes.
pub(super) fn every_death(first: usize, step: usize, mut case: impl FnMut(Death) -> bool) -> usize {
    let mut at = first;
    while case(Death { at, after_effect: false }) | case(Death { at, after_effect: true }) {
        at += step;
    }
    at
}

/// Each death of the first process meets a quarter of the deaths of the second, another quarter
/// each time.
#[test]
fn a_run_killed_at_any_change_and_again_ends_exact() {
    for mode in [WriteMode::Append, WriteMode::Replace] {
        let mut before = Memory::default();
        run_all(&mut before, &plan(0, mode)).unwrap();
        for resume in [false, true] {
            let deaths = every_death(0, 1, |first| {
                let store = before.copy();
                let died = run_all(&mut store.dying(first), &plan(1, mode)).is_err();
                every_death(first.at % 4, 4, |second| {
                    let mut store = store.copy();
                    let died = go_on(&mut store.dying(second), mode, resume, 2).is_err();
                    let case = format!("{mode:?} resume {resume} {first:?} {second:?}");
                    let latest = go_on(&mut store, mode, resume, 3).unwrap_or_else(|error| panic!("{case}: {error:?}"));
                    assert_exact(&mut store, &latest, &case);
                    died
                });
                died
            });
            assert!(deaths > 8, "only {deaths} changes were killed");
        }
    }
}

#[test]
fn the_latest_run_is_found_by_its_id() {
    let mut store = Memory::default();
    let first = run_all(&mut store, &plan(1, WriteMode::Append)).unwrap();
    run_all(&mut store, &plan(2, WriteMode::Append)).unwrap();
    let found = crate::commit::find_run(&mut store, "orders", Some(&first.run_id)).unwrap();
    assert_eq!(found, RunKey::new("orders", &first.run_id).unwrap());
    assert_eq!(
        crate::commit::find_run(&mut store, "orders", None).unwrap().run_id(),
        plan(2, WriteMode::Append).run_id
    );
    assert!(crate::commit::find_run(&mut store, "orders", Some("01JD")).is_err());
}
