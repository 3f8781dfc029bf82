//! A destination whose disk is full: a clean failure, nothing half-visible, and `--resume` once there is room.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use rivet_tests::{
    readers,
    rivet::{self, Project},
};
use serde_json::Value;

const ROWS: u64 = 300_000;

/// A small file system in memory. Unmounted with this value.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// None, said aloud, where the system lets nobody mount.
    fn new(path: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let size = format!("size={size}");
        match Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output() {
            Ok(done) if done.status.success() => Some(Self { path }),
            Ok(done) => {
                eprintln!("skipped: no disk can be mounted here: {}", String::from_utf8_lossy(&done.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: no disk can be mounted here: mount: {error}");
                None
            }
        }
    }

    fn grow(&self, size: &str) {
        let remount = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &remount]).arg(&self.path).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

/// Ten chunks of about a megabyte; the state is kept on another disk.
fn configure(project: &Project, out: &Path) {
    project.config(&format!(
        "
source: {{type: example, rows: {ROWS}}}
exports:
  - name: numbers
    table: numbers
    mode: chunked
    chunk_column: id
    chunk_size: 30000
    parallel: 2
    format: csv
    compression: none
    destination: {{type: local, path: '{}'}}
",
        out.display()
    ));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The parts that reports name, with their sizes.
fn reported(files: &[PathBuf]) -> BTreeMap<String, u64> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let reports = files.iter().filter(|path| name(path).starts_with("report-"));
    let parts = reports.flat_map(|path| json(path)["parts"].as_array().unwrap().clone());
    parts.map(|part| (part["key"].as_str().unwrap().to_owned(), part["size_bytes"].as_u64().unwrap())).collect()
}

fn is_the_table(out: &Path) {
    let found =
        readers::sql(out, "SELECT count(*), count(DISTINCT id), sum(id), sum(CAST(amount AS DECIMAL(18,2))) FROM t");
    let cents: u64 = (0..ROWS).map(|id| id * 7 % 1_000_000).sum();
    let expected = [
        ROWS.to_string(),
        ROWS.to_string(),
        (ROWS * (ROWS - 1) / 2).to_string(),
        format!("{}.{:02}", cents / 100, cents % 100),
    ];
    assert_eq!(found[0], expected.map(Some));
}

#[test]
fn a_disk_that_fills_up_in_the_middle_is_resumed_once_there_is_room() {
    let project = rivet::project();
    let Some(disk) = Disk::new(project.path("disk"), "4m") else { return };
    let out = disk.path.join("out");
    configure(&project, &out);

    let output = project.rivet("run").fails(1);
    output.says(&["No space left on device", out.to_str().unwrap(), "hint: free space on the disk", "--resume"]);

    // Whole parts with their reports, and the plan: nothing else, and nothing that says it is complete.
    let files = files_below(&out);
    let parts = reported(&files);
    assert!((1..10).contains(&parts.len()), "{parts:?}");
    let relative = |path: &PathBuf| path.strip_prefix(&out).unwrap().to_str().unwrap().to_owned();
    let data: BTreeMap<String, u64> = files
        .iter()
        .filter(|path| !relative(path).starts_with("_rivet/"))
        .map(|path| (relative(path), path.metadata().unwrap().len()))
        .collect();
    assert_eq!(data, parts);
    for path in files.iter().map(relative).filter(|path| path.starts_with("_rivet/")) {
        let name = path.rsplit('/').next().unwrap();
        assert!(name == "plan.json" || name.starts_with("report-"), "{path}");
    }

    disk.grow("64m");
    project.rivet("run").arg("--resume").ok();
    is_the_table(&out);
    let files = files_below(&out);
    let manifest = json(files.iter().find(|path| path.ends_with("manifest.json")).unwrap());
    let named: BTreeSet<&str> =
        manifest["parts"].as_array().unwrap().iter().map(|part| part["key"].as_str().unwrap()).collect();
    assert!(parts.keys().all(|key| named.contains(key.as_str())), "what had landed was written again");
    assert_eq!(reported(&files).keys().map(String::as_str).collect::<BTreeSet<_>>(), named);
}

#[test]
fn a_disk_that_is_full_from_the_start_takes_nothing() {
    let project = rivet::project();
    let Some(disk) = Disk::new(project.path("disk"), "1m") else { return };
    let filler = disk.path.join("filler");
    // Until nothing fits any more.
    assert!(std::fs::write(&filler, vec![1; 2 << 20]).is_err());
    let out = disk.path.join("out");
    configure(&project, &out);
    let output = project.rivet("run").fails(1);
    output.says(&["No space left on device", out.to_str().unwrap(), "hint: free space on the disk"]);
    assert_eq!(files_below(&disk.path), [filler]);

    disk.grow("64m");
    project.rivet("run").arg("--resume").ok();
    is_the_table(&out);
}
