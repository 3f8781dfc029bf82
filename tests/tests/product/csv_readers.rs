//! What others read from rivet's CSV, with the options that `docs/reference/csv.md` names for each of them.

use std::process::Command;

use rivet_tests::{mysql, postgres, readers, rivet, sqlite};
use serde_json::Value;

/// Texts that one reader or another takes for something else.
const TEXTS: &[Option<&str>] = &[
    Some("a"),
    Some("\\."),
    None,
    Some(""),
    Some("NULL"),
    Some("null"),
    Some("\\N"),
    Some("\\"),
    Some("ends with \\"),
    Some("\\\""),
    Some("say \"hi\""),
    Some("\""),
    Some("\"\""),
    Some("a,b"),
    Some("two\r\nlines"),
    Some("two\nlines"),
    Some("two\rlines"),
    Some(" blanks "),
    Some("#no comment"),
    Some("\u{feff}mark"),
    Some("é 😀"),
    Some("007"),
    Some("NaN"),
    Some("=1+1"),
    Some("\\.\\."),
    Some("b"),
];

/// The table `one` of a single column, exported as CSV with `options`.
fn exported(column: &str, options: &str) -> rivet::Project {
    let mut database = sqlite::database();
    database.run(&format!("CREATE TABLE one ({column} TEXT)"));
    for text in TEXTS {
        let sql = format!("INSERT INTO one VALUES ({})", text.map_or("NULL".to_owned(), quoted));
        database.run(&sql);
    }
    let project = rivet::project();
    project.config(&format!(
        "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: one, format: csv, compression: none, csv: {{{options}}}, \
         destination: {{type: local, path: '{{out}}'}}}}\n",
        database.url()
    ));
    project.rivet("run").ok();
    project
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn file(project: &rivet::Project) -> String {
    let [file] = &readers::files(project.out())[..] else { panic!("one part") };
    file.to_str().unwrap().to_owned()
}

fn sorted(mut rows: Vec<Option<String>>) -> Vec<Option<String>> {
    rows.sort();
    rows
}

fn expected() -> Vec<Option<String>> {
    sorted(TEXTS.iter().map(|text| text.map(str::to_owned)).collect())
}

/// In PostgreSQL before 18, a line `\.` ends COPY without a word.
#[test]
fn postgresqls_copy_reads_every_row() {
    for column in ["v", "\"\\.\""] {
        let project = exported(column, "");
        let mut database = postgres::database();
        for table in ["by_server", "by_psql"] {
            database.run(&format!("CREATE TABLE {table} (v text)"));
        }
        let mut into = database.connect();
        let mut copy = into.copy_in("COPY by_server FROM STDIN (FORMAT csv, HEADER)").unwrap();
        std::io::copy(&mut std::fs::File::open(file(&project)).unwrap(), &mut copy).unwrap();
        copy.finish().unwrap();
        let psql = format!("\\copy by_psql FROM '{}' (FORMAT csv, HEADER)", file(&project));
        let done = Command::new("psql").args(["-X", "-q", "-d", &database.url(), "-c", &psql]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        for table in ["by_server", "by_psql"] {
            let rows = database.rows(&format!("SELECT v FROM {table}"));
            let rows = rows.into_iter().map(|mut row| row.remove(0)).collect();
            assert_eq!(sorted(rows), expected(), "{table}, the column is {column}");
        }
    }
}

/// To LOAD DATA, the word NULL without quotes is NULL, and an empty field is not.
#[test]
fn mysqls_load_data_reads_every_row() {
    for (options, null) in [("null: 'NULL'", None), ("", Some(String::new()))] {
        let rows = expected().into_iter().map(|text| text.or(null.clone())).collect();
        load_data_reads(&exported("v", options), &sorted(rows));
    }
}

fn load_data_reads(project: &rivet::Project, expected: &[Option<String>]) {
    for server in mysql::servers() {
        let database = server.database();
        database.run("CREATE TABLE t (v varchar(99) CHARACTER SET utf8mb4); SET GLOBAL local_infile = ON");
        let (login, place) = server.url.split_once("://").unwrap().1.split_once('@').unwrap();
        let ((user, password), (host, port)) =
            (login.split_once(':').unwrap(), place.split('/').next().unwrap().split_once(':').unwrap());
        let load = format!(
            "LOAD DATA LOCAL INFILE '{}' INTO TABLE t CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' \
             OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\r\\n' IGNORE 1 LINES",
            file(project)
        );
        let done = Command::new("mariadb")
            .args(["--no-defaults", "--local-infile=1", "--skip-ssl-verify-server-cert", "-h", host, "-P", port])
            .args(["-u", user, &database.name, "-e", &load])
            .env("MYSQL_PWD", password)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        // As hex: the client has escapes of its own.
        let rows = database.rows("SELECT IFNULL(HEX(v), '-') FROM t");
        let text = |hex: &str| {
            let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap());
            String::from_utf8(bytes.collect()).unwrap()
        };
        let rows = rows.iter().map(|row| match row.first().map_or("", String::as_str) {
            "-" => None,
            hex => Some(text(hex)),
        });
        assert_eq!(sorted(rows.collect()), expected, "{}", server.name);
    }
}

#[test]
fn duckdb_and_pyarrow_read_every_row_with_and_without_a_header() {
    for (options, header) in [("", true), ("header: false", false)] {
        let project = exported("v", options);
        let read = readers::csv_with(file(&project), &serde_json::json!({ "header": header }));
        let rows = read.rows.iter().map(|row| row[0].as_str().map(str::to_owned)).collect();
        assert_eq!(sorted(rows), expected(), "{options}");
        assert!(read.rows.iter().all(|row| matches!(row[0], Value::Null | Value::String(_))));
    }
}

/// What a file begins with may be taken for a byte order mark.
#[test]
fn a_first_value_that_begins_with_a_byte_order_mark_keeps_it() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE one (\"\u{feff}v\" TEXT); INSERT INTO one VALUES ('\u{feff}x')");
    for header in [true, false] {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url: '{}'}}\nexports:\n  - {{name: e, table: one, format: csv, compression: none, csv: {{header: {header}}}, \
             destination: {{type: local, path: '{{out}}'}}}}\n",
            database.url()
        ));
        project.rivet("run").ok();
        let bytes = std::fs::read(file(&project)).unwrap();
        assert!(bytes.starts_with(b"\""), "{bytes:?}");
        let read = readers::csv_with(file(&project), &serde_json::json!({ "header": header }));
        assert_eq!(read.rows, [[Value::from("\u{feff}x")]]);
    }
}
