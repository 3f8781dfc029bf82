//! What a kill or a crash of the machine leaves at the destination, and what the next run makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rivet_tests::stores::{self, Kind};
use rivet_tests::{readers, rivet, sqlite};
use serde_json::Value;

const ULID: &str = "01M8P584JMYA7691RRSY0EJMMG";

fn project(database: &mut sqlite::Database, more: &str, destination: &str) -> rivet::Project {
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3), (4)");
    let project = rivet::project();
    project.config(&format!(
        "source: {{type: sqlite, path: '{}'}}\nexports:\n  - {{name: e, table: t, format: parquet, {more}, destination: \
         {{type: {destination}, path: '{{out}}'}}}}\n",
        database.path().display()
    ));
    project
}

fn every_file(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(every_file(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

fn probes(project: &rivet::Project) -> Vec<PathBuf> {
    let is_probe = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.contains("probe-") || name.contains("rivet-doctor-")
    };
    every_file(&project.out()).into_iter().filter(is_probe).collect()
}

fn ids(project: &rivet::Project) -> Vec<Vec<Option<String>>> {
    readers::sql(project.out(), "SELECT count(*), count(DISTINCT id) FROM t")
}

fn count(rows: &str, distinct: &str) -> Vec<Vec<Option<String>>> {
    vec![vec![Some(rows.to_owned()), Some(distinct.to_owned())]]
}

#[test]
fn what_a_killed_probe_left_is_removed_by_the_next_run() {
    if !rivet::has_crash_points() {
        return;
    }
    for destination in ["local", "folder"] {
        for point in ["probe.again", "probe.delete"] {
            let mut database = sqlite::database();
            let project = project(&mut database, "mode: full, write_mode: replace", destination);
            let killed = project.rivet("run").env("RIVET_CRASH_AT", point).run();
            assert_eq!(killed.code, None, "{killed}");
            assert_eq!(probes(&project).len(), 1, "{point}");
            project.rivet("run").ok();
            assert_eq!(probes(&project), [] as [PathBuf; 0], "{point}");
            assert_eq!(ids(&project), count("4", "4"));
        }
        // Of a killed `rivet doctor`, too: by a run, and by the next doctor. What is named otherwise stays.
        let mut database = sqlite::database();
        let project = project(&mut database, "mode: full", destination);
        for command in ["run", "doctor"] {
            for what in ["once", "streamed"] {
                project.write(&format!("out/rivet-doctor-{ULID}-{what}"), "first");
            }
            project.write("out/rivet-doctor-notes.txt", "mine");
            project.rivet(command).ok();
            assert_eq!(probes(&project), [project.out().join("rivet-doctor-notes.txt")], "{command}");
        }
    }
}

#[test]
fn a_success_marker_that_was_cut_off_is_its_exports_own() {
    for mode in ["append", "replace"] {
        let mut database = sqlite::database();
        let project = project(&mut database, &format!("mode: full, write_mode: {mode}"), "local");
        project.rivet("run").ok();
        let marker = project.out().join("_SUCCESS");
        let mut rows = 4;
        for cut in [1, 2, 20, 60, 150] {
            let body = fs::read(&marker).unwrap();
            assert!(body.len() > 200, "{}", body.len());
            fs::write(&marker, &body[..cut]).unwrap();
            project.rivet("validate").fails(3).says(&["_SUCCESS", "its beginning only", "writes it anew"]);
            project.rivet("run").ok();
            rows = if mode == "append" { rows + 4 } else { 4 };
            assert_eq!(ids(&project), count(&rows.to_string(), "4"), "{cut}");
            let whole: Value = serde_json::from_slice(&fs::read(&marker).unwrap()).unwrap();
            assert!(project.out().join(whole["manifest"].as_str().unwrap()).exists());
            project.rivet("validate").ok();
        }
        // Its last byte is a line's end; and a run that has its manifest is finished by --resume.
        let body = fs::read(&marker).unwrap();
        fs::write(&marker, &body[..body.len() - 2]).unwrap();
        project.rivet("run").arg("--resume").ok();
        assert_eq!(fs::read(&marker).unwrap(), body);
        assert_eq!(ids(&project), count(&rows.to_string(), "4"));
    }
}

#[test]
fn a_success_marker_of_somebody_else_stays_and_so_does_an_empty_one() {
    let mut database = sqlite::database();
    let project = project(&mut database, "mode: full", "local");
    let marker = project.write("out/_SUCCESS", "");
    let refused = |body: &[u8]| {
        fs::write(&marker, body).unwrap();
        project.rivet("run").fails(1).says(&["foreign_success", "was not written by rivet", "hint:"]);
        assert_eq!(fs::read(&marker).unwrap(), body);
    };
    // Before the first run, nothing can be its beginning.
    refused(b"");
    refused(b"{");
    fs::remove_file(&marker).unwrap();
    project.rivet("run").ok();
    let body = fs::read(&marker).unwrap();
    refused(b"");
    refused(b"{x");
    let run = body.windows(9).position(|text| text == b"\"run_id\":").map(|at| at + 12).unwrap();
    let mut other = body[..run + 20].to_vec();
    other[run + 5] = b'U';
    refused(&other);
}

#[test]
fn a_damaged_manifest_has_a_remedy_that_works() {
    for more in ["mode: full", "mode: incremental, cursor_column: id"] {
        for damage in ["cut", "changed", "empty"] {
            let mut database = sqlite::database();
            let project = project(&mut database, more, "local");
            project.rivet("run").ok();
            let manifest = every_file(&project.out()).into_iter().find(|path| path.ends_with("manifest.json")).unwrap();
            let body = fs::read_to_string(&manifest).unwrap();
            let damaged = match damage {
                "cut" => body[..body.len() / 2].to_owned(),
                "changed" => body.replacen("\"rows\": 4", "\"rows\": 5", 1),
                _ => String::new(),
            };
            assert_ne!(damaged, body);
            fs::write(&manifest, damaged).unwrap();
            let refused = project.rivet("run").fails(3);
            refused.says(&["manifest.json", "hint:", "restore it", "remove it, and `rivet run --resume`"]);
            fs::remove_file(&manifest).unwrap();
            project.rivet("run").arg("--resume").ok();
            assert_eq!(ids(&project), count("4", "4"), "{more} {damage}");
            project.rivet("validate").args(["--depth", "full"]).ok();
            if more != "mode: full" {
                database.run("INSERT INTO t VALUES (5)");
                project.rivet("run").ok();
                assert_eq!(ids(&project), count("5", "5"));
            }
        }
    }
}

#[test]
fn running_out_of_file_descriptors_is_said_wherever_it_happens() {
    let mut database = sqlite::database();
    let project = project(&mut database, "mode: chunked, chunk_size: 1, parallel: 3", "local");
    let mut said = 0;
    for limit in 4..40 {
        let wrapper = project
            .write("rivet.sh", format!("#!/bin/sh\nulimit -n {limit}\nexec {} \"$@\"\n", rivet::binary().display()));
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let output = project.rivet("run").program(wrapper).run();
        let text = format!("{}{}", output.stdout, output.stderr);
        // Below that, not even the program's own libraries can be loaded.
        if output.code == Some(127) || text.contains("error while loading shared libraries") {
            continue;
        }
        if output.code == Some(0) {
            break;
        }
        assert!(text.contains("open files") && text.contains("ulimit -n"), "{limit}: {output}");
        said += 1;
    }
    assert!(said > 5, "{said}");
    assert_eq!(ids(&project), count("4", "4"));
}

#[test]
fn what_a_killed_probe_left_in_a_bucket_is_removed_by_the_next_run() {
    if !rivet::has_crash_points() {
        return;
    }
    let of = |kind: Kind, point: &str| {
        let place = stores::place(kind);
        let export = stores::export(&place.yaml(""));
        let run = || place.credentials(export.project.rivet("run"));
        let probes = || place.objects().into_keys().filter(|key| key.contains("probe-")).count();
        let killed = run().env("RIVET_CRASH_AT", point).run();
        assert_eq!(killed.code, None, "{kind:?} {point}: {killed}");
        assert_eq!(probes(), 1, "{kind:?} {point}");
        run().ok();
        assert_eq!(probes(), 0, "{kind:?} {point}");
        place.assert_holds(3, point);
    };
    std::thread::scope(|scope| {
        for kind in stores::ALL {
            scope.spawn(move || ["probe.again", "probe.delete"].map(|point| of(kind, point)));
        }
    });
}
