//! `docs/examples`: every key of the grammar stands in an example, and every example runs as it stands.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use ::rivet::config::{
    grammar,
    keys::{Block, Kind},
    tree,
};
use rivet_tests::{
    drivers::Driver,
    mssql, mysql, postgres, readers,
    rivet::{self, Command, Project},
    sqlite,
    stores::{self, Place},
};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples")
}

/// An example as it was read, variables unexpanded.
fn read(path: &Path) -> Value {
    let mut faults = Vec::new();
    let tree = tree::parse(&std::fs::read_to_string(path).unwrap(), &mut faults);
    assert!(faults.is_empty(), "{}: {faults:?}", path.display());
    tree.unwrap().to_json()
}

fn examples() -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), read(&path)))
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// Notes every key of the grammar that stands in a block; `x_env` and `x_file` stand for `x`.
fn note(block: &'static Block, value: &Value, found: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().unwrap() {
        let referred = || ["_env", "_file"].iter().find_map(|end| block.key(name.strip_suffix(end)?));
        let Some(key) = block.key(name).or_else(referred) else { continue };
        found.insert(format!("{}.{}", block.path, key.name));
        match key.kind {
            Kind::Block(inner) => note(inner, value, found),
            Kind::Blocks(inner) => value.as_array().unwrap().iter().for_each(|value| note(inner, value, found)),
            _ => {}
        }
    }
}

#[test]
fn every_key_of_the_grammar_stands_in_an_example() {
    let mut found = BTreeSet::new();
    for (_, example) in examples() {
        note(&grammar::ROOT, &example, &mut found);
    }
    let keys = grammar::ROOT.all();
    let every = keys.iter().flat_map(|block| block.keys.iter().map(|key| format!("{}.{}", block.path, key.name)));
    let missing: Vec<String> = every.filter(|key| !found.contains(key)).collect();
    assert!(missing.is_empty(), "no example shows {missing:?}");
}

/// Options of plugins that no example shows: they need what no test server has, or are not to be copied.
const WITHOUT_EXAMPLE: [(&str, &[&str]); 7] = [
    ("postgres", &["tls.client_cert_file", "tls.client_key_file"]),
    ("mysql", &["socket", "tls.ca_file", "tls.client_cert_file", "tls.client_key_file"]),
    (
        "mssql",
        &[
            "instance",
            "strict_encryption",
            "trust_server_certificate",
            "application_intent",
            "tls.ca_file",
            "tls.client_cert_file",
            "tls.client_key_file",
        ],
    ),
    ("s3", &["aws_profile", "session_token", "encryption", "encryption.mode", "encryption.kms_key_id"]),
    ("gcs", &["credentials", "storage_class"]),
    ("azure", &["sas_token", "connection_string"]),
    // They switch safety off, or are for a store of one's own authority.
    ("*", &["tls.accept_invalid_certs", "tls.accept_invalid_hostnames", "allow_anonymous", "transfer.ca_file"]),
];

/// The options in a schema's object, but the `x_env` and `x_file` of an `x`.
fn options(schema: &Value, definitions: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    let properties = schema["properties"].as_object().unwrap();
    for (name, property) in properties.iter().filter(|(_, property)| property.is_object()) {
        let refers = |end: &str| name.strip_suffix(end).is_some_and(|name| properties.contains_key(name));
        if refers("_env") || refers("_file") {
            continue;
        }
        found.insert(format!("{prefix}{name}"));
        let cases = property["anyOf"].as_array().into_iter().flatten();
        for reference in cases.chain([property]).filter_map(|case| case["$ref"].as_str()) {
            let inner = &definitions[reference.rsplit('/').next().unwrap()];
            if inner["properties"].is_object() {
                options(inner, definitions, &format!("{prefix}{name}."), found);
            }
        }
    }
}

/// The options in an example's block.
fn shown(block: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    for (name, value) in block.as_object().unwrap() {
        found.insert(format!("{prefix}{name}"));
        for end in ["_env", "_file"] {
            found.extend(name.strip_suffix(end).map(|name| format!("{prefix}{name}")));
        }
        if value.is_object() {
            shown(value, &format!("{prefix}{name}."), found);
        }
    }
}

#[test]
fn every_option_of_a_plugin_stands_in_an_example_or_in_the_list() {
    let schema = Command::new().args(["schema", "config"]).ok().json();
    let examples = examples();
    let (mut plugins, mut missing) = (0, Vec::new());
    for (role, word) in [("source", 0), ("exports_destination", 1)] {
        for case in schema["$defs"][role]["allOf"].as_array().unwrap() {
            let plugin = case["if"]["properties"]["type"]["const"].as_str().unwrap();
            // What authors begin from, and what breaks its promises.
            if ["example", "folder", "hostile", "tutorial"].contains(&plugin) {
                continue;
            }
            plugins += 1;
            let mut found = BTreeSet::new();
            // An example is named by its source and its destination.
            for (name, example) in &examples {
                if name.split('-').nth(word) == Some(if plugin == "mssql" { "sqlserver" } else { plugin }) {
                    let exports = example["exports"].as_array().unwrap().iter().map(|export| &export["destination"]);
                    let blocks: Vec<&Value> = if word == 0 { vec![&example["source"]] } else { exports.collect() };
                    blocks.into_iter().for_each(|block| shown(block, "", &mut found));
                }
            }
            for (of, names) in WITHOUT_EXAMPLE {
                if of == plugin || of == "*" {
                    found.extend(names.iter().map(|name| (*name).to_owned()));
                }
            }
            let mut all = BTreeSet::new();
            options(&case["then"], &case["then"]["$defs"], "", &mut all);
            missing.extend(all.difference(&found).map(|name| format!("{plugin}: {name}")));
        }
    }
    assert_eq!(plugins, 9, "four sources, three stores, and the host's own two");
    assert!(missing.is_empty(), "no example shows {missing:#?}");
}

/// Makes the shop that all examples read.
fn shop(driver: &mut dyn Driver) {
    let moment = driver.moment();
    driver.run(&format!(
        "CREATE TABLE customers (id int NOT NULL PRIMARY KEY, name varchar(40) NOT NULL, email varchar(60) NULL, \
         note varchar(40) NULL, joined {moment} NOT NULL)"
    ));
    driver.run(&format!(
        "CREATE TABLE orders (id int NOT NULL PRIMARY KEY, customer_id int NOT NULL, status varchar(10) NOT NULL, \
         total decimal(12,2) NOT NULL, ordered_at {moment} NOT NULL, updated_at {moment} NULL)"
    ));
    driver.run(
        "CREATE TABLE order_items (order_id int NOT NULL, line int NOT NULL, price decimal(10,2) NOT NULL, \
         PRIMARY KEY (order_id, line))",
    );
    driver.run("CREATE TABLE events (id int NOT NULL PRIMARY KEY, at_unix int NOT NULL, kind varchar(20) NOT NULL)");
    let customers: Vec<String> = (1..=40)
        .map(|id| {
            let email = if id % 3 == 0 { "NULL".to_owned() } else { driver.text(&format!("c{id}@example.com")) };
            format!(
                "{id}, {}, {email}, NULL, {}",
                driver.text(&format!("Customer {id}; O'Neill")),
                driver.ago(id * 1000)
            )
        })
        .collect();
    driver.insert("customers", &customers);
    let orders: Vec<String> = (1..=300)
        .map(|id| {
            let updated = if id % 3 == 0 { "NULL".to_owned() } else { driver.ago(60_000 + id * 300_000) };
            format!("{id}, {}, 'paid', {id}.25, {}, {updated}", id % 40 + 1, driver.ago(id * 600_000))
        })
        .collect();
    driver.insert("orders", &orders);
    let items: Vec<String> = (1..=300).flat_map(|id| [1, 2].map(|line| format!("{id}, {line}, {id}.5"))).collect();
    driver.insert("order_items", &items);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let events: Vec<String> = (1..=200).map(|id| format!("{id}, {}, 'click'", now - id * 60)).collect();
    driver.insert("events", &events);
}

/// Copies an example into a project, beside what it reads.
fn project(name: &str) -> Project {
    let project = rivet::project();
    project.config(&std::fs::read_to_string(folder().join(name).with_extension("yaml")).unwrap());
    project.write("recent.sql", std::fs::read_to_string(folder().join("recent.sql")).unwrap());
    project
}

/// `DATABASE_URL`, its parts as `DB_…`, and `OUT`.
fn environment(url: &str, project: &Project) -> Vec<(&'static str, String)> {
    let mut found = vec![("DATABASE_URL", url.to_owned()), ("OUT", project.out().to_str().unwrap().to_owned())];
    if let Some((login, rest)) = url.split_once("://").unwrap_or_default().1.rsplit_once('@') {
        let (user, password) = login.split_once(':').unwrap();
        let (address, database) = rest.split_once('/').unwrap();
        let (host, port) = address.rsplit_once(':').unwrap();
        for (name, value) in
            [("DB_HOST", host), ("DB_PORT", port), ("DB_USER", user), ("DB_PASSWORD", password), ("DB_NAME", database)]
        {
            found.push((name, value.to_owned()));
        }
    }
    found
}

/// Where an example's `LAKE_…` variables lead.
fn lake(place: &Place) -> Vec<(&'static str, String)> {
    let setting = |name: &str| place.kind.setting(name);
    let mut found = vec![
        ("LAKE_PREFIX", place.prefix.trim_end_matches('/').to_owned()),
        ("LAKE_ENDPOINT", place.endpoint.clone()),
        ("LAKE_BUCKET", setting("BUCKET")),
    ];
    found.extend(match place.kind {
        stores::Kind::S3 => vec![("LAKE_KEY", setting("ACCESS_KEY")), ("LAKE_SECRET", setting("SECRET_KEY"))],
        stores::Kind::Gcs => vec![("LAKE_TOKEN", setting("TOKEN"))],
        stores::Kind::Azure => vec![
            ("LAKE_CONTAINER", setting("BUCKET")),
            ("LAKE_ACCOUNT", setting("ACCOUNT")),
            ("LAKE_KEY", setting("KEY")),
        ],
    });
    found
}

/// `rivet check`, then `rivet run`, whose summary must have these rows, export by export.
#[track_caller]
fn runs(project: &Project, environment: &[(&'static str, String)], rows: &[(&str, u64)]) {
    let rivet = |command: &str| {
        environment.iter().fold(project.rivet(command), |command, (name, value)| command.env(name, value))
    };
    rivet("check").ok();
    let output = rivet("run").args(["--json", "--validate"]).ok();
    let summary = output.json();
    let told: BTreeSet<(String, u64)> = summary["exports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["export"].as_str().unwrap().to_owned(), one["rows"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, rows.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect(), "{output}");
}

/// What DuckDB counts in the files of each export below a folder.
#[track_caller]
fn landed(folder: &Path, rows: &[(&str, u64)]) {
    let files = readers::files(folder);
    for (export, rows) in rows {
        let theirs = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{export}-"));
        let count = |path: &PathBuf| -> u64 {
            readers::sql(path, "SELECT count(*) FROM t")[0][0].as_ref().unwrap().parse().unwrap()
        };
        assert_eq!(files.iter().filter(theirs).map(count).sum::<u64>(), *rows, "{export}: {files:?}");
    }
}

#[track_caller]
fn lands_in_a_folder(name: &str, driver: &mut dyn Driver, more: &[(&'static str, String)], rows: &[(&str, u64)]) {
    shop(driver);
    let project = project(name);
    let environment = [environment(&driver.url(), &project), more.to_vec()].concat();
    runs(&project, &environment, rows);
    landed(&project.out(), rows);
}

#[track_caller]
fn lands_in_a_store(
    name: &str,
    driver: &mut dyn Driver,
    store: stores::Kind,
    more: &[(&'static str, String)],
    rows: &[(&str, u64)],
) {
    shop(driver);
    let (project, place) = (project(name), stores::place(store));
    let environment = [environment(&driver.url(), &project), lake(&place), more.to_vec()].concat();
    runs(&project, &environment, rows);
    landed(place.fetch().path(), rows);
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn postgres_local() {
    let state = postgres::database();
    let more = [("STATE_URL", state.url()), ("MOST_ID", "100".to_owned())];
    let rows = [
        ("customers", 40),
        ("orders", 300),
        ("order_items", 600),
        ("orders_by_day", 300),
        ("orders_by_blocks", 300),
        ("orders_by_month", 300),
        ("orders_changed", 300),
        ("events_of_the_week", 200),
        ("totals", 40),
        ("recent", 100),
    ];
    lands_in_a_folder("postgres-local", &mut postgres::database(), &more, &rows);
}

#[test]
fn postgres_gcs() {
    let more = [("DB_CA", path(&postgres::ca()))];
    let rows = [("shop_customers", 40), ("shop_orders", 300), ("shop_order_items", 600)];
    lands_in_a_store("postgres-gcs", &mut postgres::database(), stores::Kind::Gcs, &more, &rows);
}

#[test]
fn mysql_s3() {
    for server in mysql::servers() {
        lands_in_a_store("mysql-s3", &mut server.database(), stores::Kind::S3, &[], &[("orders", 300)]);
    }
}

#[test]
fn mysql_local() {
    for server in mysql::servers() {
        lands_in_a_folder("mysql-local", &mut server.database(), &[], &[("customers", 40)]);
    }
}

#[test]
fn sqlserver_azure() {
    lands_in_a_store("sqlserver-azure", &mut mssql::database(), stores::Kind::Azure, &[], &[("orders", 300)]);
}

#[test]
fn sqlserver_local() {
    lands_in_a_folder("sqlserver-local", &mut mssql::database(), &[], &[("order_items", 600)]);
}

#[test]
fn sqlite_local() {
    let mut database = sqlite::database();
    let more = [
        ("DB_PATH", path(&database.path())),
        ("PLUGIN_DIR", path(&rivet::plugins())),
        ("SLACK_WEBHOOK_URL", "http://127.0.0.1:9/slack".to_owned()),
        ("RUN_WEBHOOK_URL", "http://127.0.0.1:9/runs".to_owned()),
    ];
    lands_in_a_folder("sqlite-local", &mut database, &more, &[("customers", 40), ("orders", 300)]);
}

#[test]
fn sqlite_stdout() {
    let mut database = sqlite::database();
    shop(&mut database);
    let project = project("sqlite-stdout");
    project.rivet("check").env("DATABASE_URL", Driver::url(&database)).ok();
    let output = project.rivet("run").env("DATABASE_URL", Driver::url(&database)).ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!((lines.len(), lines[0]), (201, "id,at_unix,kind"));
}
