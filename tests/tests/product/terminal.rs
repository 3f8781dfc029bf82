//! What a person sees of several exports: on a terminal that is emulated, and where there is none.

use std::{path::Path, process};

use rivet_tests::{
    rivet::{self, Project},
    sqlite,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What was seen on a terminal.
#[derive(Debug, Deserialize)]
struct Seen {
    code: i32,
    /// Every screen that differed from the one before it.
    frames: Vec<Vec<String>>,
    /// All lines at the end, with those that scrolled away.
    end: Vec<String>,
    /// Whether the cursor is shown at the end.
    cursor: bool,
    /// What was sent to it.
    bytes: String,
}

impl Seen {
    fn ends_with_line(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.end.iter().any(|line| holds(line))
    }

    /// Nothing of a bar is left, and no line was torn by one.
    #[track_caller]
    fn is_clean(&self) {
        assert!(self.cursor, "{self:#?}");
        for bar in ["█", "░", "total ", "planning", "committing"] {
            assert!(!self.ends_with_line(|line| line.contains(bar)), "`{bar}` is left\n{:#?}", self.end);
        }
    }
}

struct Terminal {
    columns: u16,
    environment: Vec<(&'static str, &'static str)>,
    arguments: Vec<&'static str>,
    stdout: Option<&'static str>,
    interrupt: Option<&'static str>,
    resize: Option<[u16; 2]>,
}

fn terminal(columns: u16) -> Terminal {
    Terminal { columns, environment: Vec::new(), arguments: Vec::new(), stdout: None, interrupt: None, resize: None }
}

impl Terminal {
    fn run(self, project: &Project) -> Seen {
        let plugins = rivet::plugins();
        let (program, config) = (rivet::binary(), project.path("rivet.yaml"));
        let mut command = vec![text(&program), "--plugin-dir".into(), text(&plugins), "run".into()];
        command.extend(["-c".to_owned(), text(&config)]);
        command.extend(self.arguments.iter().map(|argument| (*argument).to_owned()));
        let environment: serde_json::Map<String, Value> =
            self.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let call = json!({
            "command": command, "columns": self.columns, "rows": 30, "environment": environment,
            "folder": project.folder(), "stdout": self.stdout.map(|name| project.path(name)),
            "interrupt": self.interrupt, "resize": self.resize,
        });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/readers/terminal.py");
        let python = std::env::var_os("RIVET_TEST_PYTHON").unwrap();
        let output = process::Command::new(python).arg(script).arg(call.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Exports of so many tables of 20 000 rows, read slowly enough to be watched; of the one that is called `missing`
/// there is no table.
fn shop(exports: &[&str], at_once: usize) -> (Project, sqlite::Database) {
    let mut database = sqlite::database();
    let project = rivet::project();
    let mut yaml = format!(
        "source: {{type: sqlite, path: {}, tuning: {{throttle_ms: 400}}}}\nparallel_exports: {at_once}\nexports:\n",
        database.path().display()
    );
    for name in exports {
        if *name != "missing" {
            database.run(&format!(
                "CREATE TABLE {name} (id INTEGER PRIMARY KEY, a TEXT);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                 INSERT INTO {name} SELECT i, 'value ' || i FROM n"
            ));
        }
        yaml.push_str(&format!(
            "  - {{name: {name}, table: {name}, mode: chunked, chunk_size: 5000, format: parquet, destination: {{type: local, path: '{{out}}/{name}'}}}}\n"
        ));
    }
    project.config(&yaml);
    (project, database)
}

const EXPORTS: [&str; 5] = ["orders", "missing", "customers", "order_items_of_every_year", "events"];

/// Whether a line is the bar of an export that is being read, in four chunks.
fn is_bar(line: &str, export: &str) -> bool {
    line.split_whitespace().next() == Some(export) && line.contains("/4")
}

#[test]
fn several_exports_have_a_bar_each_and_end_in_a_table() {
    for columns in [40, 80, 200] {
        let (project, _database) = shop(&EXPORTS, 2);
        let seen = terminal(columns).run(&project);
        assert_eq!(seen.code, 1, "{seen:#?}");
        let is_total = |line: &String| line.starts_with("total ") && line.contains("/5 exports");
        let of_two = seen.frames.iter().find(|frame| {
            let has_bar = |name: &&&str| frame.iter().any(|line| is_bar(line, name));
            frame.iter().any(is_total) && EXPORTS.iter().filter(has_bar).count() == 2
        });
        assert!(of_two.is_some(), "{columns}: {:#?}", seen.frames);
        for frame in &seen.frames {
            let running = frame.iter().filter(|line| line.contains("/4") || line.ends_with("planning")).count();
            assert!(running <= 2, "only those that run have bars: {frame:#?}");
        }
        seen.is_clean();
        assert!(seen.ends_with_line(|line| line.starts_with("5 exports: 1 failed, 4 succeeded")), "{:#?}", seen.end);
        if columns == 200 {
            // Each folds into one line, in the order in which they are over; the table begins with the worst.
            for name in ["orders", "customers", "order_items_of_every_year", "events"] {
                let folded =
                    seen.end.iter().filter(|line| line.starts_with(&format!("{name}: 20 000 rows, 4 parts (")));
                assert_eq!(folded.count(), 1, "{:#?}", seen.end);
            }
            let header = seen.end.iter().position(|line| line.starts_with("EXPORT ")).unwrap();
            assert!(seen.end[header + 1].starts_with("missing "), "{:#?}", seen.end);
            assert!(seen.end[header + 1].contains("no table `missing`"), "{:#?}", seen.end);
            // Colour for what failed, and for the word before the error.
            assert!(seen.bytes.contains("\u{1b}[31;1mmissing: failed"), "{:?}", seen.bytes);
        }
        assert!(seen.end.iter().all(|line| line.chars().count() <= usize::from(columns)), "{:#?}", seen.end);
    }
}

#[test]
fn log_lines_and_summaries_stand_above_the_bars() {
    let (project, _database) = shop(&["orders", "customers", "events"], 2);
    let seen = Terminal { arguments: vec!["-v"], ..terminal(120) }.run(&project);
    assert_eq!(seen.code, 0, "{seen:#?}");
    seen.is_clean();
    for name in ["orders", "customers", "events"] {
        let whole = [format!("info: {name}: removed 0 unfinished objects of dead writers"), format!("{name}: done")];
        assert!(whole.iter().all(|line| seen.ends_with_line(|other| other == line)), "{:#?}", seen.end);
    }
    assert_eq!(seen.end.iter().filter(|line| *line == "  rows         20 000").count(), 3, "{:#?}", seen.end);
}

#[test]
fn one_export_has_one_bar_and_its_whole_summary() {
    let (project, _database) = shop(&["orders"], 1);
    let seen = terminal(80).run(&project);
    assert_eq!(seen.code, 0, "{seen:#?}");
    assert!(seen.frames.iter().any(|frame| frame.iter().any(|line| is_bar(line, "orders"))), "{:#?}", seen.frames);
    assert!(!seen.bytes.contains("total"), "{:#?}", seen.frames);
    seen.is_clean();
    assert_eq!(seen.end[0], "orders: done", "{:#?}", seen.end);
    assert!(seen.ends_with_line(|line| line == "  rows         20 000"), "{:#?}", seen.end);
}

#[test]
fn a_terminal_may_be_resized_while_bars_are_drawn() {
    let (project, _database) = shop(&["orders", "customers"], 2);
    let seen = Terminal { resize: Some([120, 30]), ..terminal(60) }.run(&project);
    assert_eq!(seen.code, 0, "{seen:#?}");
    seen.is_clean();
    let wide = |frame: &Vec<String>| frame.iter().any(|line| line.starts_with("total ") && line.chars().count() > 60);
    assert!(seen.frames.iter().any(wide), "{:#?}", seen.frames);
}

#[test]
fn no_bar_where_none_is_wanted() {
    let (project, _database) = shop(&["orders", "missing"], 2);
    let plain = |terminal: Terminal| {
        let seen = terminal.run(&project);
        assert_eq!(seen.code, 1, "{seen:#?}");
        seen
    };
    let no_color = plain(Terminal { environment: vec![("NO_COLOR", "1")], ..terminal(80) });
    no_color.is_clean();
    assert!(no_color.bytes.contains("total") && !no_color.bytes.contains("\u{1b}[31"), "{:?}", no_color.bytes);
    for (terminal, what) in [
        (Terminal { environment: vec![("TERM", "dumb")], ..terminal(80) }, "TERM=dumb"),
        (Terminal { arguments: vec!["--progress", "none"], ..terminal(80) }, "--progress none"),
        (Terminal { arguments: vec!["--progress", "json"], ..terminal(80) }, "--progress json"),
    ] {
        let seen = plain(terminal);
        assert!(!seen.bytes.contains("░") && !seen.bytes.contains("\u{1b}[2K"), "{what}: {:?}", seen.bytes);
        assert!(seen.ends_with_line(|line| line.starts_with("2 exports: 1 failed")), "{what}: {:#?}", seen.end);
    }
    let quiet = plain(Terminal { arguments: vec!["-q"], ..terminal(80) });
    assert!(
        quiet.end.iter().all(|line| line.starts_with("error: ") || line.starts_with("hint: ") || quiet.end.len() <= 3)
    );
    assert!(!quiet.bytes.contains("orders"), "{:?}", quiet.bytes);
    let output = project.rivet("run").fails(1);
    assert!(!output.stderr.contains('\u{1b}') && !output.stderr.contains('░'), "{output}");
    assert!(output.stderr.contains("\n2 exports: 1 failed, 1 succeeded"), "{output}");
    let asked = project.rivet("run").args(["--progress", "bar"]).fails(1);
    assert!(!asked.stderr.contains('\u{1b}'), "{asked}");
}

#[test]
fn ctrl_c_leaves_a_clean_terminal_and_says_what_was_not_begun() {
    let (project, _database) = shop(&["orders", "customers", "events"], 1);
    let seen = Terminal { interrupt: Some("/4 "), ..terminal(100) }.run(&project);
    assert_eq!(seen.code, 130, "{seen:#?}");
    seen.is_clean();
    assert!(seen.ends_with_line(|line| line.starts_with("3 exports: 1 interrupted, 2 not begun;")), "{:#?}", seen.end);
}

#[test]
fn rows_on_the_terminal_leave_no_room_for_bars() {
    let (project, database) = shop(&["orders"], 1);
    let to_stdout = format!(
        "source: {{type: sqlite, path: {}, tuning: {{throttle_ms: 400}}}}\n\
         exports: [{{name: orders, table: orders, mode: chunked, chunk_size: 5000, format: csv, compression: none, destination: {{type: stdout}}}}]\n",
        database.path().display()
    );
    project.config(&to_stdout);
    let seen = terminal(80).run(&project);
    assert_eq!(seen.code, 0, "{seen:#?}");
    assert!(
        !seen.bytes.contains("00:00:0") && seen.end.iter().any(|line| line == "20000,value 20000"),
        "{:#?}",
        seen.end
    );
    let seen = Terminal { stdout: Some("rows.csv"), ..terminal(80) }.run(&project);
    assert!(seen.bytes.contains("orders  00:00:0"), "{:?}", seen.bytes);
    seen.is_clean();
    let rows = std::fs::read_to_string(project.path("rows.csv")).unwrap();
    assert_eq!(rows.lines().count(), 20_001);
}

#[test]
fn of_many_exports_the_table_shows_what_matters() {
    let mut database = sqlite::database();
    let project = rivet::project();
    database.run("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)");
    let names: Vec<String> = (0..30).map(|number| format!("export_{number}")).collect();
    let exports: String = names
        .iter()
        .map(|name| {
            let table = if name.ends_with('7') { "missing" } else { "t" };
            format!("  - {{name: {name}, table: {table}, format: parquet, destination: {{type: local, path: '{{out}}/{name}'}}}}\n")
        })
        .collect();
    project.config(&format!(
        "source: {{type: sqlite, path: {}}}\nparallel_exports: 4\nexports:\n{exports}",
        database.path().display()
    ));
    let output = project.rivet("run").fails(1);
    let table: Vec<&str> = output.stderr.lines().skip_while(|line| !line.starts_with("EXPORT ")).collect();
    let rows = |word: &str| table.iter().filter(|line| line.split_whitespace().nth(1) == Some(word)).count();
    assert_eq!((rows("failed"), rows("succeeded")), (3, 10), "{output}");
    assert!(table.iter().any(|line| line.starts_with("… and 17 more that succeeded")), "{output}");
    assert!(table.iter().any(|line| line.starts_with("30 exports: 3 failed, 27 succeeded; 27 rows")), "{output}");
    let whole = project.rivet("run").arg("-v").fails(1);
    let table: Vec<&str> = whole.stderr.lines().skip_while(|line| !line.starts_with("EXPORT ")).collect();
    assert_eq!(table.iter().filter(|line| line.starts_with("export_")).count(), 30, "{whole}");
}
