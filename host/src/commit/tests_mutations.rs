//! Damage of any kind in a control object: it is refused, or changes nothing of what the run holds.

use rivet_sdk::Result;

use super::keys::RunKey;
use super::test_store::{Memory, data_files, part_keys, plan, run_all, run_chunk};
use super::{Decision, Depth, commit, decision, publish_plan, read_plan, recover, validate};
use crate::plan::{Manifest, WriteMode};

/// xorshift64: the same damage in every run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// One bit, one digit, one stretch, one line, one value.
fn damaged(body: &[u8], random: &mut Random) -> Vec<u8> {
    let mut body = body.to_vec();
    let at = random.below(body.len());
    match random.below(7) {
        0 => body[at] ^= 1 << random.below(8),
        1 => {
            let digits: Vec<usize> = (0..body.len()).filter(|at| body[*at].is_ascii_digit()).collect();
            let at = digits[random.below(digits.len())];
            body[at] = b'0' + u8::try_from(random.below(10)).unwrap();
        }
        2 => {
            let end = (at + 1 + random.below(40)).min(body.len());
            body.drain(at..end);
        }
        3 => {
            let end = (at + 1 + random.below(40)).min(body.len());
            let twice = body[at..end].to_vec();
            body.splice(at..at, twice);
        }
        4 => body.truncate(at),
        5 => {
            let mut lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
            let (one, other) = (random.below(lines.len()), random.below(lines.len()));
            lines.swap(one, other);
            body = lines.concat();
        }
        _ => {
            let mut lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
            lines.remove(random.below(lines.len()));
            body = lines.concat();
        }
    }
    body
}

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
    let mut random = Random(0x5eed);
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
    let mut random = Random(0xda_3a6e);
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
