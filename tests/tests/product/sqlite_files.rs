//! SQLite files that cannot be opened as usual: what is wrong is said, and `immutable: true` reads what does not change.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rivet_tests::{readers, rivet};
use rusqlite::Connection;

/// A project with a database in a folder of its own.
struct Files {
    project: rivet::Project,
}

impl Files {
    fn new(source: &str) -> Self {
        let project = rivet::project();
        fs::create_dir(project.path("data")).unwrap();
        let files = Self { project };
        files.configure(source);
        files
    }

    fn configure(&self, source: &str) {
        self.project.config(&format!(
            "source: {{type: sqlite, path: '{}'{source}}}\nexports:\n  - {{name: e, table: t, format: parquet, destination: \
             {{type: local, path: '{{out}}'}}}}\n",
            self.file("").display()
        ));
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.project.path(&format!("data/shop #1?.db{suffix}"))
    }

    fn connect(&self) -> Connection {
        Connection::open(self.file("")).unwrap()
    }

    /// In WAL mode, closed cleanly.
    fn wal(&self) {
        let connection = self.connect();
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
            )
            .unwrap();
    }

    fn close(&self) {
        fs::set_permissions(self.file(""), Permissions::from_mode(0o444)).unwrap();
        fs::set_permissions(self.project.path("data"), Permissions::from_mode(0o555)).unwrap();
    }

    /// A command for which permissions count, also where root runs the tests.
    fn command(&self, command: &str) -> rivet::Command {
        let line = self.project.rivet(command);
        if !rustix::process::geteuid().is_root() {
            return line;
        }
        let wrapper = self.project.write(
            "rivet.sh",
            format!(
                "#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search {} \"$@\"\n",
                rivet::binary().display()
            ),
        );
        fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
        line.program(wrapper)
    }

    fn ids(&self) -> Vec<Vec<Option<String>>> {
        readers::sql(self.project.out(), "SELECT id FROM t ORDER BY id")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::set_permissions(self.project.path("data"), Permissions::from_mode(0o755));
    }
}

fn rows(ids: &[&str]) -> Vec<Vec<Option<String>>> {
    ids.iter().map(|id| vec![Some((*id).to_owned())]).collect()
}

#[test]
fn a_wal_database_in_a_folder_that_cannot_be_written_is_named_and_read_as_immutable() {
    let files = Files::new("");
    files.wal();
    files.close();
    let folder = files.project.path("data");
    for command in ["run", "check", "doctor"] {
        let refused = files.command(command).run();
        assert_ne!(refused.code, Some(0));
        let said = format!("{}{}", refused.stdout, refused.stderr);
        for words in
            ["is in WAL mode", &format!("its folder {} cannot be written", folder.display()), "immutable: true"]
        {
            assert!(said.contains(words), "{command}: {words}\n{said}");
        }
    }
    files.configure(", immutable: true");
    files.command("run").ok();
    assert_eq!(files.ids(), rows(&["1", "2"]));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "nothing is made beside it");
}

#[test]
fn changes_that_immutable_would_not_see_are_refused() {
    let files = Files::new(", immutable: true");
    files.wal();
    let writer = files.connect();
    writer.execute_batch("INSERT INTO t VALUES (3)").unwrap();
    let log = fs::metadata(files.file("-wal")).unwrap().len();
    assert!(log > 0);
    files.command("run").fails(2).says(&["-wal", &format!("{log} bytes of changes"), "hint:"]);
    // Closed, the log is gone, and what it held is in the file.
    drop(writer);
    files.command("run").ok();
    assert_eq!(files.ids(), rows(&["1", "2", "3"]));
}

#[test]
fn a_file_that_changes_though_it_was_promised_not_to_is_refused() {
    let files = Files::new(", immutable: true");
    let writer = files.connect();
    writer
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
             WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2000000) INSERT INTO t SELECT n, 'v' FROM r",
        )
        .unwrap();
    let run = files.command("run").spawn();
    let started = std::time::Instant::now();
    // Its first part grows, under a hidden name.
    let grows = || {
        let entries = fs::read_dir(files.project.out()).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".tmp"))
    };
    while !grows() && started.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    writer.execute_batch("UPDATE t SET v = 'w' WHERE id = 2000000").unwrap();
    let refused = run.wait();
    assert_ne!(refused.code, Some(0), "{refused}");
    refused.says(&["was written while it was read", "immutable: true"]);
}

#[test]
fn a_write_that_was_cut_off_is_named() {
    let files = Files::new("");
    let writer = files.connect();
    writer
        .execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
        .unwrap();
    writer
        .execute_batch(
            "BEGIN; WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 20000)
             INSERT INTO t SELECT n, hex(randomblob(50)) FROM r",
        )
        .unwrap();
    // As a machine leaves it that loses its power in the middle: file and journal, and nobody who holds them.
    let other = Files::new("");
    for suffix in ["", "-journal"] {
        fs::copy(files.file(suffix), other.file(suffix)).unwrap();
    }
    other.close();
    let refused = other.command("run").run();
    assert_ne!(refused.code, Some(0));
    refused.says(&["was cut off", "rolled back", "hint:"]);
}
