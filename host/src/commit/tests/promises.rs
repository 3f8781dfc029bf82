//! Each promise of the commit, on a local folder.

use std::fs;

use rivet_sdk::{Destination, ErrorKind, WriteOptions};
use tempfile::TempDir;

use super::store::{data_files, part_keys, plan, report, run_all, run_chunk, write_part};
use crate::commit::keys::{RunKey, new_attempt_id, success};
use crate::commit::*;
use crate::destination::{Local, LocalOptions};
use crate::plan::{Plan, Verify, WriteMode};

fn local() -> (TempDir, Local) {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::open(LocalOptions { path: folder.path().to_owned() }).unwrap();
    (folder, local)
}

fn append() -> Plan {
    plan(1, WriteMode::Append)
}

fn put(dest: &mut dyn Destination, key: &str, body: &[u8]) {
    dest.put(key, body).unwrap();
}

#[test]
fn a_commit_may_be_repeated() {
    let (_folder, mut dest) = local();
    let first = run_all(&mut dest, &append()).unwrap();
    assert_eq!((first.chunks, first.rows, first.columns["id"].nulls), (2, 4, 2));
    let files = dest.list("").unwrap();
    assert_eq!(commit(&mut dest, &append()).unwrap(), first);
    assert_eq!(run_all(&mut dest, &append()).unwrap(), first);
    assert_eq!(dest.list("").unwrap(), files);
    assert_eq!(data_files(&mut dest), part_keys(&first));
    let said = own_success(&mut dest, "orders", "day=1/").unwrap().unwrap();
    assert_eq!((said.run_id.as_str(), said.export.as_str()), (append().run_id.as_str(), "orders"));
}

#[test]
fn missing_reports_are_listed() {
    let (_folder, mut dest) = local();
    publish_plan(&mut dest, &append()).unwrap();
    run_chunk(&mut dest, &append(), 1).unwrap();
    let error = commit(&mut dest, &append()).unwrap_err();
    assert_eq!(error.code(), Some("missing_reports"));
    assert_eq!(error.message(), "no report yet for chunk 0");
    assert_eq!(resume_point(&mut dest, &append()).unwrap().into_iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn the_second_attempt_of_a_chunk_loses_and_deletes_its_parts() {
    let (_folder, mut dest) = local();
    publish_plan(&mut dest, &append()).unwrap();
    assert_eq!(run_chunk(&mut dest, &append(), 0).unwrap(), Outcome::Won);
    let files = data_files(&mut dest);
    assert_eq!(run_chunk(&mut dest, &append(), 0).unwrap(), Outcome::Lost);
    assert_eq!(data_files(&mut dest), files);
}

#[test]
fn publishing_again_finds_out_that_it_won() {
    let (_folder, mut dest) = local();
    publish_plan(&mut dest, &append()).unwrap();
    let part = write_part(&mut dest, &append(), 0, "A1", 1).unwrap();
    let report = report(&append(), 0, "A1", vec![part]);
    assert_eq!(publish_report(&mut dest, &append(), &report).unwrap(), Outcome::Won);
    assert_eq!(publish_report(&mut dest, &append(), &report).unwrap(), Outcome::Won);
    assert_eq!(data_files(&mut dest).len(), 1);
}

#[test]
fn a_report_names_only_its_own_parts() {
    let (_folder, mut dest) = local();
    publish_plan(&mut dest, &append()).unwrap();
    let part = write_part(&mut dest, &append(), 0, "A1", 1).unwrap();
    let wrong = report(&append(), 0, "A2", vec![part]);
    assert_eq!(publish_report(&mut dest, &append(), &wrong).unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn a_late_attempt_deletes_its_part_and_stops() {
    let (_folder, mut dest) = local();
    let manifest = run_all(&mut dest, &append()).unwrap();
    let late = new_attempt_id();
    write_part(&mut dest, &append(), 0, &late, 1).unwrap();
    assert_eq!(begin_attempt(&mut dest, &append()).unwrap_err().code(), Some("run_decided"));
    assert_eq!(fence(&mut dest, &append(), 0, &late).unwrap_err().code(), Some("run_decided"));
    assert_eq!(data_files(&mut dest), part_keys(&manifest));
    // The attempt that counts is told to stop too, and loses nothing.
    assert!(fence(&mut dest, &append(), 0, &manifest.attempts[0]).is_err());
    assert_eq!(data_files(&mut dest), part_keys(&manifest));
}

#[test]
fn the_commit_removes_dead_attempts_and_nothing_else() {
    let (_folder, mut dest) = local();
    put(&mut dest, "day=1/theirs.csv", b"x");
    put(&mut dest, "day=1/orders-2024.csv", b"x");
    publish_plan(&mut dest, &append()).unwrap();
    write_part(&mut dest, &append(), 0, "DEAD", 1).unwrap();
    let manifest = run_all(&mut dest, &append()).unwrap();
    let mut expected = part_keys(&manifest);
    expected.extend(["day=1/orders-2024.csv".to_owned(), "day=1/theirs.csv".to_owned()]);
    expected.sort();
    assert_eq!(data_files(&mut dest), expected);
}

#[test]
fn append_leaves_earlier_runs_and_replace_removes_them() {
    let (_folder, mut dest) = local();
    run_all(&mut dest, &append()).unwrap();
    run_all(&mut dest, &plan(2, WriteMode::Append)).unwrap();
    assert_eq!(data_files(&mut dest).len(), 8);
    let third = run_all(&mut dest, &plan(3, WriteMode::Replace)).unwrap();
    assert_eq!(data_files(&mut dest), part_keys(&third));
    let words: Vec<&str> = status(&mut dest, "orders").unwrap().iter().map(|run| run.decision.word()).collect();
    assert_eq!(words, ["replaced", "replaced", "committed"]);
    assert!(list_runs(&mut dest, "orders").unwrap()[0].is_tombstone());
}

#[test]
fn replace_leaves_other_prefixes_alone() {
    let (_folder, mut dest) = local();
    let mut yesterday = append();
    yesterday.destination.data_prefix = "day=0/".to_owned();
    let kept = run_all(&mut dest, &yesterday).unwrap();
    run_all(&mut dest, &plan(2, WriteMode::Replace)).unwrap();
    let key = RunKey::new("orders", &kept.run_id).unwrap();
    assert_eq!(validate(&mut dest, &key, Depth::Full).unwrap().problems, []);
}

#[test]
fn a_run_that_commits_after_a_later_replace_gives_way() {
    let (_folder, mut dest) = local();
    let early = plan(1, WriteMode::Replace);
    publish_plan(&mut dest, &early).unwrap();
    run_chunk(&mut dest, &early, 0).unwrap();
    run_chunk(&mut dest, &early, 1).unwrap();
    let late = run_all(&mut dest, &plan(2, WriteMode::Replace)).unwrap();
    commit(&mut dest, &early).unwrap();
    assert_eq!(data_files(&mut dest), part_keys(&late));
    assert_eq!(own_success(&mut dest, "orders", "day=1/").unwrap().unwrap().run_id, late.run_id);
    assert_eq!(commit(&mut dest, &early).unwrap_err().code(), Some("run_decided"));
}

#[test]
fn an_abandoned_run_never_commits_and_a_committed_one_is_never_abandoned() {
    let (_folder, mut dest) = local();
    let key = RunKey::of(&append()).unwrap();
    publish_plan(&mut dest, &append()).unwrap();
    run_chunk(&mut dest, &append(), 0).unwrap();
    assert!(matches!(abandon(&mut dest, &key, "rerun").unwrap(), Decision::Abandoned(_)));
    assert!(data_files(&mut dest).is_empty());
    assert_eq!(run_all(&mut dest, &append()).unwrap_err().code(), Some("run_decided"));
    let second = plan(2, WriteMode::Append);
    let manifest = run_all(&mut dest, &second).unwrap();
    let decision = abandon(&mut dest, &RunKey::of(&second).unwrap(), "rerun").unwrap();
    assert_eq!(decision.word(), "committed");
    assert_eq!(data_files(&mut dest), part_keys(&manifest));
}

#[test]
fn a_foreign_success_is_refused() {
    let (_folder, mut dest) = local();
    check_destination(&mut dest, &append()).unwrap();
    put(&mut dest, &success("day=1/"), b"");
    assert_eq!(check_destination(&mut dest, &append()).unwrap_err().code(), Some("foreign_success"));
    dest.delete(&success("day=1/")).unwrap();
    run_all(&mut dest, &append()).unwrap();
    check_destination(&mut dest, &plan(2, WriteMode::Append)).unwrap();
    let mut other = plan(2, WriteMode::Append);
    other.export = "customers".to_owned();
    assert_eq!(check_destination(&mut dest, &other).unwrap_err().code(), Some("foreign_success"));
}

#[test]
fn of_two_exports_that_began_at_one_prefix_the_first_keeps_its_success() {
    let (_folder, mut dest) = local();
    let (one, mut other) = (plan(1, WriteMode::Replace), plan(1, WriteMode::Replace));
    other.export = "customers".to_owned();
    check_destination(&mut dest, &one).unwrap();
    check_destination(&mut dest, &other).unwrap();
    run_all(&mut dest, &other).unwrap();
    let theirs = dest.get(&success("day=1/")).unwrap();

    let error = run_all(&mut dest, &one).unwrap_err();
    assert_eq!(error.code(), Some("foreign_success"));
    assert!(error.message().contains("is committed and its manifest stands"), "{error}");
    let key = RunKey::of(&one).unwrap();
    assert_eq!(validate(&mut dest, &key, Depth::Full).unwrap().problems, []);
    assert_eq!(recover(&mut dest, "orders", "a later run").unwrap(), []);
    let next = plan(2, WriteMode::Replace);
    let refused = check_destination(&mut dest, &next).unwrap_err();
    assert_eq!((refused.code(), refused.kind()), (Some("foreign_success"), error.kind()));
    // One that was planned before replaces its own rows all the same.
    let error = run_all(&mut dest, &next).unwrap_err();
    assert!(error.message().contains(&next.run_id), "{error}");
    assert_eq!(decision(&mut dest, &key).unwrap().word(), "replaced");
    assert_eq!(dest.get(&success("day=1/")).unwrap(), theirs);

    dest.delete(&success("day=1/")).unwrap();
    assert_eq!(recover(&mut dest, "orders", "a later run").unwrap().len(), 1);
    assert_eq!(own_success(&mut dest, "orders", "day=1/").unwrap().unwrap().run_id, next.run_id);
    check_destination(&mut dest, &plan(3, WriteMode::Replace)).unwrap();
}

#[test]
fn a_replace_plan_older_than_what_is_there_is_refused() {
    let (_folder, mut dest) = local();
    run_all(&mut dest, &plan(2, WriteMode::Append)).unwrap();
    let old = plan(1, WriteMode::Replace);
    assert_eq!(check_destination(&mut dest, &old).unwrap_err().code(), Some("stale_plan"));
    assert!(new_run_id(&mut dest, "orders").unwrap() > plan(2, WriteMode::Append).run_id);
}

#[test]
fn the_same_plan_may_be_published_again_and_no_other() {
    let (_folder, mut dest) = local();
    publish_plan(&mut dest, &append()).unwrap();
    publish_plan(&mut dest, &append()).unwrap();
    assert_eq!(read_plan(&mut dest, &RunKey::of(&append()).unwrap()).unwrap(), append());
    let mut changed = append();
    changed.created_at = "later".to_owned();
    assert_eq!(publish_plan(&mut dest, &changed).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_changed_part_is_found_by_size_or_by_content() {
    for (verify, found_before_commit) in [(Verify::Size, false), (Verify::Content, true)] {
        let (_folder, mut dest) = local();
        let mut plan = append();
        plan.destination.verify = verify;
        publish_plan(&mut dest, &plan).unwrap();
        run_chunk(&mut dest, &plan, 0).unwrap();
        run_chunk(&mut dest, &plan, 1).unwrap();
        let key = data_files(&mut dest).remove(0);
        let body = dest.get(&key).unwrap().unwrap();
        put(&mut dest, &key, &body.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>());
        assert_eq!(commit(&mut dest, &plan).is_err(), found_before_commit);
        put(&mut dest, &key, b"short");
        let error = match verify {
            Verify::Size => {
                validate(&mut dest, &RunKey::of(&plan).unwrap(), Depth::List).unwrap().result().unwrap_err()
            }
            Verify::Content => commit(&mut dest, &plan).unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert_eq!(error.message(), format!("part {key}: expected {} bytes, found 5 bytes", body.len()));
    }
}

#[test]
fn validate_tells_missing_changed_and_stray_parts() {
    let (_folder, mut dest) = local();
    let manifest = run_all(&mut dest, &append()).unwrap();
    let keys = part_keys(&manifest);
    let body = dest.get(&keys[0]).unwrap().unwrap();
    put(&mut dest, &keys[0], &body.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>());
    dest.delete(&keys[1]).unwrap();
    write_part(&mut dest, &append(), 0, "STRAY", 1).unwrap();
    let run = RunKey::of(&append()).unwrap();
    assert_eq!(validate(&mut dest, &run, Depth::List).unwrap().problems.len(), 1);
    let full = validate(&mut dest, &run, Depth::Full).unwrap();
    assert_eq!((full.problems.len(), full.strays.len(), full.read), (2, 1, 3));
    assert!(full.problems[0].found.starts_with("crc32c "));
    assert_eq!(full.problems[1].found, "no file");
}

#[test]
fn clean_removes_strays_of_decided_runs_only() {
    let (_folder, mut dest) = local();
    run_all(&mut dest, &append()).unwrap();
    write_part(&mut dest, &append(), 0, "STRAY", 1).unwrap();
    let unfinished = plan(2, WriteMode::Append);
    publish_plan(&mut dest, &unfinished).unwrap();
    run_chunk(&mut dest, &unfinished, 0).unwrap();
    write_part(&mut dest, &plan(3, WriteMode::Append), 0, "X", 1).unwrap();
    let wet = clean(&mut dest, "orders", "day=1/", true).unwrap();
    assert_eq!((wet.parts.len(), wet.unfinished.len(), wet.unknown.len()), (1, 2, 1));
    assert_eq!(data_files(&mut dest).len(), 8);
    assert_eq!(clean(&mut dest, "orders", "day=1/", false).unwrap(), wet);
    assert_eq!(data_files(&mut dest).len(), 7);
}

#[test]
fn a_store_that_ignores_put_if_absent_is_refused() {
    struct Careless(Local);
    impl Destination for Careless {
        fn location(&self) -> String {
            self.0.location()
        }
        fn create(&mut self, key: &str, how: &WriteOptions) -> rivet_sdk::Result<Box<dyn rivet_sdk::ObjectWriter>> {
            self.0.create(key, how)
        }
        fn put_if_absent(&mut self, key: &str, body: &[u8]) -> rivet_sdk::Result<bool> {
            self.0.put(key, body).map(|_| true)
        }
        fn put(&mut self, key: &str, body: &[u8]) -> rivet_sdk::Result<rivet_sdk::Object> {
            self.0.put(key, body)
        }
        fn get(&mut self, key: &str) -> rivet_sdk::Result<Option<Vec<u8>>> {
            self.0.get(key)
        }
        fn read_at(&mut self, key: &str, offset: u64, length: u64) -> rivet_sdk::Result<Option<Vec<u8>>> {
            self.0.read_at(key, offset, length)
        }
        fn head(&mut self, key: &str) -> rivet_sdk::Result<Option<rivet_sdk::Object>> {
            self.0.head(key)
        }
        fn list(&mut self, prefix: &str) -> rivet_sdk::Result<Vec<rivet_sdk::Object>> {
            self.0.list(prefix)
        }
        fn delete(&mut self, key: &str) -> rivet_sdk::Result<()> {
            self.0.delete(key)
        }
    }
    let (folder, dest) = local();
    let error = check_destination(&mut Careless(dest), &append()).unwrap_err();
    assert_eq!(error.code(), Some("no_put_if_absent"));
    assert_eq!(fs::read_dir(folder.path().join("_rivet/orders")).unwrap().count(), 0);
}
