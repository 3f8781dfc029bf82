//! Damage of any kind in a control object: it is refused, or changes nothing of what the run holds.

use rivet_sdk::Result;

use super::store::{Memory, data_files, part_keys, plan, run_all, run_chunk};
use crate::commit::keys::RunKey;
use crate::commit::{Decision, Depth, abandon, commit, decision, publish_plan, read_plan, recover, validate};
use crate::damage::{Random, damaged};
use crate::plan::{Manifest, WriteMode};

fn damage(store: &Memory, random: &mut Random) -> (String, Vec<u8>) {
    let mut objects = store.objects.lock().unwrap();
    let control: Vec<String> =
        objects.keys().filter(|key| key.starts_with("_rivet/") || key.ends_with("_SUCCESS")).cloned().collect();
    let key = control[random.below(control.len())].clone();
    let body = damaged(&objects[&key], random);
    objects.insert(key.clone(), body.clone());
    (key, body)
}

fn rows_of(manifest: &Manifest) -> (u64, Vec<String>, Vec<String>) {
    (manifest.rows, manifest.attempts.clone(), part_keys(manifest))
}

#[test]
fn a_damaged_unfinished_run_is_refused_or_committed_as_it_was() {
    let mut whole = Memory::default();
    let plan = plan(1, WriteMode::Append);
    publish_plan(&mut whole, &plan).unwrap();
    for chunk in 0..2 {
        run_chunk(&mut whole, &plan, chunk).unwrap();
    }
    let run = RunKey::of(&plan).unwrap();
    let expected = rows_of(&commit(&mut whole.copy(), &plan).unwrap());
    let mut random = Random::new(0x5eed);
    let mut refused = 0;
    for _ in 0..500 {
        let mut store = whole.copy();
        let (key, body) = damage(&store, &mut random);
        // What `--resume` does, once all chunks are done.
        let mut resume = || -> Result<Manifest> {
            let found = read_plan(&mut store, &run)?;
            assert_eq!(found, plan, "{key}\n{}", String::from_utf8_lossy(&body));
            commit(&mut store, &found)
        };
        match resume() {
            Ok(manifest) => assert_eq!(rows_of(&manifest), expected, "{key}\n{}", String::from_utf8_lossy(&body)),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 400, "{refused}");
}

#[test]
fn a_damaged_committed_run_is_refused_or_stays_as_it_was() {
    let mut whole = Memory::default();
    let plan = plan(1, WriteMode::Append);
    let manifest = run_all(&mut whole, &plan).unwrap();
    let run = RunKey::of(&plan).unwrap();
    let files = data_files(&mut whole);
    let mut random = Random::new(0xda_3a6e);
    let mut refused = 0;
    for _ in 0..500 {
        let mut store = whole.copy();
        let (key, body) = damage(&store, &mut random);
        // What the next run begins with, what `validate` does, what a second commit does.
        let mut look = || -> Result<Manifest> {
            recover(&mut store, "orders", "a test")?;
            validate(&mut store, &run, Depth::Full)?.result()?;
            commit(&mut store, &plan)?;
            match decision(&mut store, &run)? {
                Decision::Committed { manifest, .. } => Ok(*manifest),
                other => panic!("{}: {key}\n{}", other.word(), String::from_utf8_lossy(&body)),
            }
        };
        match look() {
            Ok(found) => assert_eq!(rows_of(&found), rows_of(&manifest), "{key}\n{}", String::from_utf8_lossy(&body)),
            Err(_) => refused += 1,
        }
        assert_eq!(data_files(&mut store), files, "{key}\n{}", String::from_utf8_lossy(&body));
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_damaged_tombstone_is_refused_or_keeps_its_run_dead() {
    let mut whole = Memory::default();
    let (first, second) = (plan(1, WriteMode::Append), plan(2, WriteMode::Append));
    publish_plan(&mut whole, &first).unwrap();
    run_chunk(&mut whole, &first, 0).unwrap();
    let (given_up, run) = (RunKey::of(&first).unwrap(), RunKey::of(&second).unwrap());
    abandon(&mut whole, &given_up, "a test").unwrap();
    let manifest = run_all(&mut whole, &second).unwrap();
    let files = data_files(&mut whole);
    let key = given_up.manifest();
    let mut random = Random::new(0x70_4b);
    let mut refused = 0;
    for _ in 0..500 {
        let mut store = whole.copy();
        let body = damaged(&store.objects.lock().unwrap()[&key], &mut random);
        store.objects.lock().unwrap().insert(key.clone(), body.clone());
        let text = String::from_utf8_lossy(&body);
        let mut look = || -> Result<()> {
            let dead = decision(&mut store, &given_up)?;
            assert!(matches!(dead, Decision::Abandoned(_)), "{}\n{text}", dead.word());
            recover(&mut store, "orders", "a test")?;
            commit(&mut store, &second)?;
            validate(&mut store, &run, Depth::Full)?.result()
        };
        refused += u32::from(look().is_err());
        assert_eq!(data_files(&mut store), files, "{text}");
        match decision(&mut store, &run).unwrap() {
            Decision::Committed { manifest: found, .. } => assert_eq!(rows_of(&found), rows_of(&manifest), "{text}"),
            other => panic!("{}\n{text}", other.word()),
        }
    }
    assert!(refused > 400, "{refused}");
}
