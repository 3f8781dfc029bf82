//! Folders of `partition_by` whose values are hard to name, on every kind of destination.

use rivet_tests::{postgres, readers, rivet, stores};

fn destinations() -> Vec<Option<stores::Place>> {
    std::iter::once(None).chain(stores::ALL.map(|kind| Some(stores::place(kind)))).collect()
}

fn project(place: Option<&stores::Place>, export: &str, path: &str) -> rivet::Project {
    let project = rivet::project();
    let destination = match place {
        None => format!("{{type: local, path: '{{out}}{path}'}}"),
        Some(place) => place.yaml("").replacen("', endpoint", &format!("{path}', endpoint"), 1),
    };
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{{export}, format: parquet, destination: {destination}}}\n"
    ));
    project
}

fn run(project: &rivet::Project, place: Option<&stores::Place>, database: &postgres::Database) -> rivet::Command {
    let command = project.rivet("run").env("DATABASE_URL", database.url());
    match place {
        Some(place) => place.credentials(command),
        None => command,
    }
}

#[test]
fn blanks_at_the_ends_of_a_value_are_written_as_hive_readers_decode_them() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE pad (id int, code char(4)); INSERT INTO pad VALUES (1, 'a'), (2, 'a b'), (3, ''), (4, 'full'), (5, 'a'); \
         CREATE TABLE odd (id int, code text); INSERT INTO odd VALUES (1, ' lead'), (2, E'tab\\t'), (3, E'nbsp\\u00a0'), (4, ' '), (5, 'in side')",
    );
    for place in destinations() {
        let place = place.as_ref();
        for (table, expected) in
            [("pad", &["    ", "a   ", "a b ", "full"][..]), ("odd", &[" ", " lead", "in side", "nbsp\u{a0}", "tab\t"])]
        {
            let project = project(place, &format!("name: {table}, table: {table}, partition_by: code"), table);
            run(&project, place, &database).ok();
            let fetched = place.map(stores::Place::fetch);
            let folder = match &fetched {
                Some(fetched) => fetched.path().to_owned(),
                None => project.path(&format!("out{table}")),
            };
            let files = readers::files(&folder);
            let files =
                files.iter().map(|file| file.to_str().unwrap()).filter(|file| file.contains(&format!("{table}-")));
            // What Hive's readers decode from the folder's name alone.
            let mut named: Vec<String> =
                files.map(|file| readers::script("hive.py", &[file, "code"]).unwrap()).collect();
            named.sort();
            assert_eq!(named, expected, "{:?}", place.map(|place| place.kind));
        }
    }
}

#[test]
fn a_name_too_long_by_its_value_is_refused_with_its_row() {
    let mut database = postgres::database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, code text)");
    database.run("INSERT INTO t VALUES (1, 'short'), (2, repeat('%', 190)), (3, 'short')");
    for place in destinations() {
        let place = place.as_ref();
        // Each store takes 1,024 bytes, and a folder of a file system 255.
        let path = if place.is_some() { format!("{}/", "p".repeat(99)).repeat(5) } else { String::new() };
        let project = project(place, "name: e, table: t, partition_by: code, order_by: [id]", &path);
        let output = run(&project, place, &database).fails(1);
        output.says(&["`code`", "row 2", "too long", "hint:"]);
        output.never_says("internal");
    }
}

#[test]
fn a_name_that_the_destination_does_not_take_is_refused_before_reading() {
    let mut database = postgres::database();
    // Who reads it is told so.
    database
        .run("CREATE TABLE t (id int); INSERT INTO t VALUES (1); CREATE VIEW trap AS SELECT 1 / (id - 1) AS id FROM t");
    for place in destinations() {
        let place = place.as_ref();
        // Longer than a store's key, or than a file's name; then a folder below that of each value.
        let (long, says, odd) = match place {
            Some(_) => (format!("{}/", "p".repeat(94)).repeat(10) + "{export}/", "cannot name an object", "b /"),
            None => (format!("/{}/", "p".repeat(300)), "too long", ".hidden/"),
        };
        for (export, path, says) in [
            ("name: e, table: trap", long, says),
            ("name: e, table: trap, partition_by: id", format!("/{{partition}}/{odd}"), "cannot name"),
        ] {
            let project = project(place, export, path.trim_start_matches(if place.is_some() { "/" } else { "" }));
            let output = run(&project, place, &database).fails(2);
            output.says(&[says, "hint:"]);
            output.never_says("division by zero");
        }
    }
}
