//! `rivet plugin verify -c`: the conformance kit over a plugin, with the options of a configuration.

use rivet_tests::{
    rivet, sqlite,
    stores::{self, Kind},
};

/// Checks of the kit alone, by half.
fn checks(verified: &serde_json::Value, half: &str) -> Vec<(String, bool)> {
    let all = verified["checks"].as_array().unwrap().iter();
    let told = all.map(|check| (check["check"].as_str().unwrap().to_owned(), check["ok"].as_bool().unwrap()));
    told.filter(|(what, _)| what.starts_with(&format!("{half}: "))).collect()
}

#[test]
fn a_source_is_checked_with_the_tables_of_the_configuration() {
    let mut database = sqlite::database();
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT);
         WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 900) INSERT INTO t SELECT i, 'x' || i FROM i",
    );
    let project = rivet::project();
    let url = database.url();
    project.config(&format!("source: {{url: '{url}'}}\nexports:\n  - {{name: e, table: t, format: csv, destination: {{type: local, path: out}}}}\n"));
    let verify = |more: &[&str]| {
        rivet::Command::new().args(["plugin", "verify", "sqlite", "-c"]).arg(project.path("rivet.yaml")).args(more)
    };
    let told = verify(&[]).ok();
    assert!(told.stdout.contains("[OK]   source: slices are the table"), "{told}");
    let verified = verify(&["--json"]).ok().json();
    let found = checks(&verified, "source");
    assert!(found.len() >= 15 && found.iter().all(|(_, ok)| *ok), "{found:?}");
    let useless =
        rivet::Command::new().args(["plugin", "verify", "example", "-c"]).arg(project.path("rivet.yaml")).fails(2);
    useless.says(&["has no use for the plugin `example`", "hint:"]);
}

#[test]
fn a_source_that_breaks_the_contract_fails_in_its_line() {
    let project = rivet::project();
    project.config("source: {type: hostile, rows: 600}\nexports:\n  - {name: e, table: numbers, format: csv, destination: {type: local, path: out}}\n");
    let verified = rivet::Command::new()
        .args(["plugin", "verify", "hostile", "--json", "-c"])
        .arg(project.path("rivet.yaml"))
        .env("RIVET_HOSTILE", "other-schema")
        .fails(1)
        .json();
    let found = checks(&verified, "source");
    assert!(found.contains(&("source: schema is the mappings".to_owned(), false)), "{found:?}");
}

#[test]
fn a_destination_is_checked_in_a_folder_of_its_own_that_goes_away() {
    let database = sqlite::database();
    // Each store passes the kit in its own conformance test: here it is the command that counts.
    for kind in [Kind::S3, Kind::Azure] {
        let place = stores::place(kind);
        let project = rivet::project();
        let (url, destination) = (database.url(), place.yaml("transfer: {part_size_mb: 5}"));
        project.config(&format!(
            "source: {{url: '{url}'}}\nexports:\n  - {{name: e, table: t, format: csv, destination: {destination}}}\n"
        ));
        let command = rivet::Command::new()
            .args(["plugin", "verify", kind.name(), "--json", "-c"])
            .arg(project.path("rivet.yaml"));
        let verified = place.credentials(command).ok().json();
        let found = checks(&verified, "destination");
        assert!(found.len() >= 17 && found.iter().all(|(_, ok)| *ok), "{kind:?} {found:?}");
        assert!(place.objects().is_empty(), "{kind:?}: {:?}", place.objects());
        if kind != Kind::Azure {
            assert_eq!(place.unfinished(), Some(Vec::new()), "{kind:?}");
        }
    }
}
