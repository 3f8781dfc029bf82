//! What is demanded of a server's certificate is checked, whichever of URL, `tls` and `environment` demands it.

use std::process::Command;

use rivet_tests::{impostors, mssql, mysql, postgres, rivet, sqlite};

fn run(source: &str, url: &str) -> rivet::Output {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL{source}}}\nexports:\n  - {{name: e, query: 'SELECT 1 AS a', format: parquet, \
         tuning: {{max_retries: 0}}, destination: {{type: local, path: '{{out}}'}}}}\n"
    ));
    project.rivet("run").env("DATABASE_URL", url).run()
}

/// URLs that name an authority which signed nothing, and so must be refused, and the same with the right one.
fn pairs(database: &postgres::Database, others: &[mysql::Database]) -> Vec<(String, String)> {
    let url = database.url();
    let (right, wrong) = (postgres::ca(), postgres::other_ca());
    let mut found: Vec<(String, String)> = ["sslmode=verify-ca&", "sslmode=verify-full&", "sslmode=require&"]
        .iter()
        .map(|mode| {
            let with = |file: &std::path::Path| format!("{url}?{mode}sslrootcert={}", file.display());
            (with(&wrong), with(&right))
        })
        .collect();
    for (wrong, right) in &found {
        // psql is of the same opinion, also of `require` with an authority.
        let psql = |url: &str| Command::new("psql").args(["-X", "-d", url, "-c", "SELECT 1"]).output().unwrap();
        assert!(!psql(wrong).status.success() && psql(right).status.success(), "{wrong}");
    }
    for database in others {
        let Some(right) = database.server.ca() else { continue };
        let wrong = right.with_file_name("other-ca.crt");
        for mode in ["ssl-mode=verify_ca&", ""] {
            let with = |file: &std::path::Path| format!("{}?{mode}ssl-ca={}", database.url(), file.display());
            found.push((with(&wrong), with(&right)));
        }
    }
    found
}

#[test]
fn production_never_weakens_what_a_url_demands() {
    let others: Vec<mysql::Database> = mysql::servers().iter().map(mysql::Server::database).collect();
    for (wrong, right) in pairs(&postgres::database(), &others) {
        for source in ["", ", environment: production", ", tls: {mode: require}"] {
            assert_eq!(run(source, &right).code, Some(0), "{right}{source}");
            let output = run(source, &wrong);
            assert!(output.code != Some(0) && output.stderr.contains("TLS"), "{wrong}{source}: {output}");
        }
    }
    // Nobody here trusts the certificate that the project's own SQL Server has.
    if mssql::is_fixture() {
        let database = mssql::database();
        let url = database.url();
        assert_eq!(run(", environment: production", &url).code, Some(0));
        for encrypt in ["true", "strict"] {
            let output = run(", environment: production", &format!("{url}?encrypt={encrypt}"));
            assert!(output.code != Some(0), "{encrypt}: {output}");
        }
    }
}

#[test]
fn production_refuses_plain_text() {
    let database = postgres::database();
    for mode in ["disable", "prefer"] {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL, environment: production, tls: {{mode: {mode}}}}}\nexports:\n  - {{name: e, \
             query: 'SELECT 1 AS a', format: parquet, destination: {{type: local, path: '{{out}}'}}}}\n"
        ));
        for (command, code) in [("run", 2), ("check", 2), ("plan", 2)] {
            let output = project.rivet(command).env("DATABASE_URL", database.url()).fails(code);
            output.says(&["environment: production", mode, "hint:"]);
        }
        let doctor = project.rivet("doctor").env("DATABASE_URL", database.url()).run();
        assert!(doctor.code != Some(0) && doctor.stdout.contains("environment: production"), "{doctor}");
    }
    let plain = format!("{}?sslmode=disable", database.url());
    let output = run(", environment: production", &plain);
    assert_eq!(output.code, Some(2), "{output}");
    output.says(&["contradict", "hint:"]);
}

#[test]
fn without_tls_it_is_said_that_a_changed_byte_is_not_noticed() {
    let (one, other) = (postgres::database(), mssql::database());
    for url in [format!("{}?sslmode=disable", one.url()), format!("{}?encrypt=disable", other.url())] {
        for source in ["", ", environment: local"] {
            let output = run(source, &url);
            assert_eq!(output.code, Some(0), "{output}");
            assert!(output.to_string().contains("nothing notices a byte that changes on the way"), "{output}");
        }
    }
}

/// As libpq does it; for every driver alike.
#[test]
fn an_authority_that_is_named_is_asked_or_refused() {
    let first = postgres::database();
    let mut servers = vec![(first.url(), Some(postgres::ca()))];
    let others: Vec<mysql::Database> = mysql::servers().iter().map(mysql::Server::database).collect();
    servers.extend(others.iter().map(|database| (database.url(), database.server.ca())));
    let other = mssql::database();
    servers.push((other.url(), mssql::is_fixture().then(|| rivet_tests::from_runner("RIVET_TEST_MSSQL_CA").into())));
    let wrong = impostors::authority();
    for (url, right) in servers {
        let with = |mode: &str, file: &std::path::Path| {
            run(&format!(", tls: {{mode: {mode}, ca_file: '{}'}}", file.display()), &url)
        };
        let refused = with("require", &wrong);
        assert_eq!(refused.code, Some(1), "{url}: {refused}");
        refused.says(&["TLS with", "is signed by nobody who is trusted", "hint:"]);
        if let Some(right) = right {
            let taken = with("require", &right);
            assert_eq!(taken.code, Some(0), "{url}: {taken}");
        }
        for mode in ["prefer", "disable"] {
            let refused = with(mode, &wrong);
            assert_eq!(refused.code, Some(2), "{url} {mode}: {refused}");
            refused.says(&[mode, "counts for nothing", "hint:"]);
        }
    }
}

/// Nothing of it is a row, and yet it decides which rows are read next.
#[test]
fn a_state_store_without_tls_on_another_machine_is_told() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let store = postgres::database();
    // Both reach this machine; only one of them says so.
    let (here, there) = (store.url(), store.url().replace("127.0.0.1", "0.0.0.0"));
    for (url, told) in [
        (format!("{there}?sslmode=disable"), true),
        (format!("{there}?sslmode=require"), false),
        (there, false),
        (format!("{here}?sslmode=disable"), false),
    ] {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url: '{}'}}\nstate: {{url_env: STATE}}\nexports:\n  - {{name: e, table: t, format: parquet, destination: \
             {{type: local, path: '{{out}}'}}}}\n",
            database.url()
        ));
        let output = project.rivet("run").env("STATE", &url).ok();
        let words = "the state store's connection has no TLS";
        assert_eq!(output.stderr.matches(words).count(), usize::from(told), "{url}: {output}");
        output.never_says("secret");
    }
}
