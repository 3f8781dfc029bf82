//! Repairs on a local folder, and killed at every change of a store in memory.

use rivet_sdk::Destination;

use super::kill::every_death;
use super::store::{Death, Memory, data_files, part_keys, plan, repair_of, run_all, run_chunk, write_part};
use crate::commit::*;
use crate::destination::{Local, LocalOptions};
use crate::plan::{Manifest, WriteMode};

fn local() -> (tempfile::TempDir, Local) {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::open(LocalOptions { path: folder.path().to_owned() }).unwrap();
    (folder, local)
}

fn words(dest: &mut dyn Destination) -> Vec<&'static str> {
    status(dest, "orders").unwrap().iter().map(|run| run.decision.word()).collect()
}

fn runs_of(manifest: &Manifest) -> Vec<String> {
    let name = |key: &str| keys::parse_part("orders", key).unwrap().run_id;
    manifest.parts.iter().map(|part| name(&part.part.key)).collect()
}

#[test]
fn a_repair_takes_over_what_it_does_not_read_again() {
    for mode in [WriteMode::Append, WriteMode::Replace] {
        let (_folder, mut dest) = local();
        let first = run_all(&mut dest, &plan(1, mode)).unwrap();
        let repair = repair_of(&mut dest, 2, &plan(1, mode), &[1]);
        let second = run_all(&mut dest, &repair).unwrap();
        assert_eq!(runs_of(&second), [&first.run_id, &first.run_id, &repair.run_id, &repair.run_id].map(String::clone));
        assert_eq!((second.rows, second.columns["id"].nulls, second.chunks), (4, 2, 2));
        assert_eq!(words(&mut dest), ["replaced", "committed"]);
        let mut kept = part_keys(&second);
        kept.sort();
        assert_eq!(data_files(&mut dest), kept);
        let run = RunKey::of(&repair).unwrap();
        assert_eq!(
            validate(&mut dest, &run, Depth::Full).unwrap(),
            Validation { parts: 4, read: 4, ..Validation::default() }
        );
        assert_eq!(clean(&mut dest, "orders", "day=1/", false).unwrap(), Cleaned::default());
        assert_eq!(own_success(&mut dest, "orders", "day=1/").unwrap().unwrap().run_id, repair.run_id);
        // The other chunk, then both: what was taken over goes with the repair.
        let third = repair_of(&mut dest, 3, &repair, &[0]);
        let third_manifest = run_all(&mut dest, &third).unwrap();
        assert_eq!(data_files(&mut dest).len(), 4);
        assert!(!runs_of(&third_manifest).contains(&first.run_id));
        run_all(&mut dest, &plan(4, WriteMode::Replace)).unwrap();
        assert_eq!(data_files(&mut dest).len(), 4);
        assert_eq!(words(&mut dest), ["replaced", "replaced", "replaced", "committed"]);
    }
}

#[test]
fn a_repair_of_a_run_that_is_gone_is_given_up() {
    let (_folder, mut dest) = local();
    run_all(&mut dest, &plan(1, WriteMode::Replace)).unwrap();
    let repair = repair_of(&mut dest, 2, &plan(1, WriteMode::Replace), &[0]);
    run_all(&mut dest, &plan(3, WriteMode::Replace)).unwrap();
    assert_eq!(run_all(&mut dest, &repair).unwrap_err().code(), Some("repaired_run_gone"));
    assert_eq!(words(&mut dest), ["replaced", "abandoned", "committed"]);
}

#[test]
fn whoever_replaces_a_run_stops_its_repairs() {
    let (_folder, mut dest) = local();
    run_all(&mut dest, &plan(1, WriteMode::Replace)).unwrap();
    let repair = repair_of(&mut dest, 2, &plan(1, WriteMode::Replace), &[0]);
    publish_plan(&mut dest, &repair).unwrap();
    take_over(&mut dest, &repair).unwrap();
    run_chunk(&mut dest, &repair, 0).unwrap();
    let latest = run_all(&mut dest, &plan(3, WriteMode::Replace)).unwrap();
    assert_eq!(commit(&mut dest, &repair).unwrap_err().code(), Some("run_decided"));
    assert_eq!(data_files(&mut dest), part_keys(&latest));
}

#[test]
fn a_repair_stands_where_the_run_it_repairs_stands() {
    let (_folder, mut dest) = local();
    run_all(&mut dest, &plan(1, WriteMode::Append)).unwrap();
    let repair = repair_of(&mut dest, 3, &plan(1, WriteMode::Append), &[0]);
    let later = run_all(&mut dest, &plan(2, WriteMode::Append)).unwrap();
    run_all(&mut dest, &repair).unwrap();
    assert_eq!(words(&mut dest), ["replaced", "committed", "committed"]);
    assert_eq!(data_files(&mut dest).len(), 8);
    assert_eq!(own_success(&mut dest, "orders", "day=1/").unwrap().unwrap().run_id, later.run_id);
    let newest = newest_committed(&mut dest, "orders", |_| true).unwrap().unwrap().0;
    assert_eq!(newest.run_id, later.run_id);
}

#[test]
fn strays_of_the_repaired_run_are_told() {
    let (_folder, mut dest) = local();
    run_all(&mut dest, &plan(1, WriteMode::Append)).unwrap();
    let repair = repair_of(&mut dest, 2, &plan(1, WriteMode::Append), &[0, 1]);
    run_all(&mut dest, &repair).unwrap();
    write_part(&mut dest, &plan(1, WriteMode::Append), 0, "ZOMBIE", 1).unwrap();
    let found = validate(&mut dest, &RunKey::of(&repair).unwrap(), Depth::List).unwrap();
    assert_eq!((found.problems.len(), found.strays.len()), (0, 1));
    assert_eq!(clean(&mut dest, "orders", "day=1/", false).unwrap().parts, found.strays);
}

/// The rows of each chunk are there once, by one manifest.
fn assert_exact(dest: &mut dyn Destination, case: &str) {
    let committed: Vec<Manifest> = status(dest, "orders")
        .unwrap()
        .into_iter()
        .filter_map(|run| match run.decision {
            Decision::Committed { manifest, .. } => Some(*manifest),
            Decision::Undecided => panic!("{case}: {:?}", run.objects),
            _ => None,
        })
        .collect();
    let [manifest] = &committed[..] else { panic!("{case}: {} runs", committed.len()) };
    let mut named = part_keys(manifest);
    named.sort();
    assert_eq!(data_files(dest), named, "{case}");
    assert_eq!(named.len(), 4, "{case}");
    assert_eq!(own_success(dest, "orders", "day=1/").unwrap().unwrap().run_id, manifest.run_id, "{case}");
    let run = RunKey::new("orders", &manifest.run_id).unwrap();
    assert_eq!(validate(dest, &run, Depth::Full).unwrap().problems, [], "{case}");
}

/// What the next process does: `run --resume` where something is unfinished, else the start of any.
fn go_on(dest: &mut dyn Destination, resume: bool) -> rivet_sdk::Result<()> {
    if resume && let Some(run) = unfinished(dest, "orders")?.pop() {
        let plan = read_plan(dest, &run.key)?;
        run_all(dest, &plan)?;
    }
    recover(dest, "orders", "test").map(|_| ())
}

#[test]
fn a_repair_killed_at_any_change_and_again_leaves_the_rows_once() {
    for mode in [WriteMode::Append, WriteMode::Replace] {
        let mut before = Memory::default();
        run_all(&mut before, &plan(1, mode)).unwrap();
        let base = repair_of(&mut before, 2, &plan(1, mode), &[0]);
        run_all(&mut before, &base).unwrap();
        // A repair of a repair: it takes over, and gives up, parts of two runs.
        let repair = repair_of(&mut before, 3, &base, &[1]);
        for resume in [false, true] {
            let deaths = every_death(0, 1, |first: Death| {
                let store = before.copy();
                let died = run_all(&mut store.dying(first), &repair).is_err();
                every_death(first.at % 3, 3, |second| {
                    let mut store = store.copy();
                    let died = go_on(&mut store.dying(second), resume).is_err();
                    let case = format!("{mode:?} resume {resume} {first:?} {second:?}");
                    go_on(&mut store, resume).unwrap_or_else(|error| panic!("{case}: {error:?}"));
                    assert_exact(&mut store, &case);
                    died
                });
                died
            });
            assert!(deaths > 12, "only {deaths} changes were killed");
        }
    }
}
