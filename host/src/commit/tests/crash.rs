//! A real process, killed at each crash point on a real folder, then a plain run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::store::{data_files, part_keys, plan, repair_of, run_all, run_attempt, run_chunk, write_part};
use crate::commit::{check_destination, commit, own_success, publish_plan, recover, take_over};
use crate::crash::{CRASH_POINTS, CRASH_VARIABLE};
use crate::destination::{Local, LocalOptions};
use crate::plan::{IncrementalSpec, Plan, WriteMode};

const FOLDER_VARIABLE: &str = "RIVET_TEST_FOLDER";

fn local(folder: &Path) -> Local {
    Local::open(LocalOptions { path: folder.to_owned() }).unwrap()
}

/// A link of an incremental export's chain.
fn link(number: u8) -> Plan {
    let incremental = IncrementalSpec {
        cursor: vec!["id".to_owned()],
        coalesced: false,
        fingerprint: "f".to_owned(),
        fingerprint_v2: None,
        rows_fingerprint: None,
        after: None,
        from: None,
        to: None,
        at_risk: None,
        recount: None,
        ties: None,
    };
    Plan { incremental: Some(incremental), ..plan(number, WriteMode::Replace) }
}

/// Passes every crash point: it abandons a run, begins to repair another and replaces it, stops a
/// rival, loses an attempt, and finds the part of a dead one.
#[test]
#[ignore = "started by the test below"]
fn victim() {
    let mut dest = local(&PathBuf::from(std::env::var(FOLDER_VARIABLE).unwrap()));
    recover(&mut dest, "orders", "victim").unwrap();
    let repair = repair_of(&mut dest, 3, &plan(1, WriteMode::Append), &[1]);
    publish_plan(&mut dest, &repair).unwrap();
    take_over(&mut dest, &repair).unwrap();
    check_destination(&mut dest, &link(4)).unwrap();
    publish_plan(&mut dest, &link(4)).unwrap();
    let plan = link(5);
    publish_plan(&mut dest, &plan).unwrap();
    write_part(&mut dest, &plan, 0, "DEAD", 1).unwrap();
    for chunk in [0, 0, 1] {
        run_chunk(&mut dest, &plan, chunk).unwrap();
    }
    commit(&mut dest, &plan).unwrap();
}

#[test]
fn a_kill_at_every_crash_point_leaves_a_folder_that_the_next_run_puts_right() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: this build has no crash points, as a release has none");
        return;
    }
    // The watermark moves after the commit, and is no part of it.
    for point in CRASH_POINTS.iter().filter(|point| !point.starts_with("watermark.")) {
        let folder = tempfile::tempdir().unwrap();
        let mut dest = local(folder.path());
        run_all(&mut dest, &plan(1, WriteMode::Append)).unwrap();
        publish_plan(&mut dest, &plan(2, WriteMode::Append)).unwrap();
        run_attempt(&mut dest, &plan(2, WriteMode::Append), 0, "A").unwrap();
        let killed = Command::new(std::env::current_exe().unwrap())
            .args(["commit::tests::crash::victim", "--exact", "--ignored"])
            .env(CRASH_VARIABLE, point)
            .env(FOLDER_VARIABLE, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(killed.code(), None, "{point} was not passed");

        recover(&mut dest, "orders", "next").unwrap();
        let next = run_all(&mut dest, &plan(6, WriteMode::Replace)).unwrap();
        assert_eq!(data_files(&mut dest), part_keys(&next), "{point}");
        assert_eq!(own_success(&mut dest, "orders", "day=1/").unwrap().unwrap().run_id, next.run_id, "{point}");
        dest.remove_stale_temps(std::time::Duration::ZERO).unwrap();
        let hidden = std::fs::read_dir(folder.path().join("day=1")).unwrap().flatten();
        let temps = hidden.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).count();
        assert_eq!(temps, 0, "{point} left temporary files");
    }
}
