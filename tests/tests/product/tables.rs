//! `tables`: an export for each table that a glob matches; `source_group`: one after the other.

use rivet_tests::{mysql, postgres, readers, rivet};

fn database() -> postgres::Database {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE order_items AS SELECT i AS id, i * 2 AS n FROM generate_series(1, 300) i; \
         CREATE TABLE order_notes AS SELECT i AS id, i * 3 AS n FROM generate_series(1, 200) i; \
         CREATE TABLE customers AS SELECT 7 AS id; CREATE TABLE \"order\\x\" (id int); \
         CREATE VIEW order_view AS SELECT 1 AS id; \
         CREATE SCHEMA archive; CREATE TABLE archive.order_items AS SELECT 1 AS id",
    );
    database
}

fn project(name: &str, globs: &str, path: &str) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nparallel_exports: true\nexports:\n  - {{name: '{name}', tables: [{globs}], \
         format: parquet, source_group: one, destination: {{type: local, path: '{path}'}}}}\n"
    ));
    project
}

fn count(project: &rivet::Project, folder: &str) -> String {
    readers::sql(project.path(folder), "SELECT count(*) FROM t")[0][0].clone().unwrap()
}

#[test]
fn each_match_is_an_export_of_its_own() {
    let database = database();
    let project = project("shop_{table}", "'public.order_*', '!*view', order_view, customers", "{out}/{table}");
    let rivet = |arguments: &[&str]| {
        let (command, rest) = arguments.split_first().unwrap();
        project.rivet(command).args(rest).env("DATABASE_URL", database.url())
    };
    // The view is left out by the second glob, though the third names it.
    rivet(&["run"]).fails(1).says(&["no table matches `order_view`", "hint:"]);
    project.config(&std::fs::read_to_string(project.path("rivet.yaml")).unwrap().replace("'!*view', ", ""));
    let names = |output: rivet::Output| {
        let exports = output.json()["exports"].clone();
        let names = exports.as_array().unwrap().iter().map(|one| one["export"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let all = ["shop_customers", "shop_order_items", "shop_order_notes", "shop_order_view"];
    assert_eq!(names(rivet(&["run", "--json"]).ok()), all);
    assert_eq!(
        ["order_items", "order_notes", "customers", "order_view"].map(|table| count(&project, &format!("out/{table}"))),
        ["300", "200", "1", "1"]
    );
    rivet(&["run", "-e", "shop_order_items", "--resume"]).ok().says(&["no unfinished run to resume"]);
    assert_eq!((count(&project, "out/order_items"), count(&project, "out/order_notes")), ("600".into(), "200".into()));
    assert_eq!(names(rivet(&["validate", "--json"]).ok()), all);
    rivet(&["check"]).ok();
    assert!(rivet(&["doctor"]).ok().stdout.contains("tables: 4 match"));
    rivet(&["run", "-e", "shop_order_itms"]).fails(2).says(&["did you mean shop_order_items?"]);
    let state = rivet::Command::new().args(["state", "reset", "-e", "shop_order_notes", "-c"]);
    state
        .arg(project.path("rivet.yaml"))
        .folder(project.folder())
        .env("DATABASE_URL", database.url())
        .ok()
        .says(&["has no watermark"]);
    rivet(&["plan", "-e", "shop_order_notes", "-o", "plan.json"]).ok();
    let plan = rivet::Command::new().folder(project.folder()).env("DATABASE_URL", database.url());
    plan.args(["apply", "plan.json", "-c", "rivet.yaml"]).ok();
    assert_eq!(count(&project, "out/order_notes"), "400");
}

#[test]
fn what_globs_cannot_mean_is_refused() {
    let database = database();
    for (name, globs, path, code, says) in [
        ("{table}", "ordr_items", "{out}/{table}", 1, "did you mean public.order_items?".replace("public.", "")),
        ("{table}", "'order_*'", "{out}/{table}", 2, "would both be the export `order_items`".to_owned()),
        ("shop", "customers", "{out}/{table}", 2, "put `{table}` into it".to_owned()),
        ("{table}", "customers", "{out}", 2, "every table's export would have the same destination".to_owned()),
        ("{table}", "'public.order\\x'", "{out}/{table}", 1, "no table matches".to_owned()),
        ("{table}", "'public.order?x'", "{out}/{table}", 2, "cannot name an export".to_owned()),
        ("{table}", "'!x'", "{out}/{table}", 2, "no glob takes a table".to_owned()),
    ] {
        let project = project(name, globs, path);
        project.rivet("run").env("DATABASE_URL", database.url()).fails(code).says(&[&says, "hint:"]);
        assert!(!project.out().exists(), "{globs}");
    }
}

/// A MySQL URL names one database: what names none stays in it, beside others that the login may read.
#[test]
fn globs_and_init_stay_in_the_database_that_a_mysql_url_names() {
    for server in mysql::servers() {
        let (here, there) = (server.database(), server.database());
        here.run("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE `a.b` AS SELECT 2 AS id");
        there.run("CREATE TABLE orders AS SELECT 3 AS id; CREATE TABLE other AS SELECT 4 AS id");
        let url = here.url();
        let exports = |globs: &str| {
            let project = project("{table}", globs, "{out}/{table}");
            let output = project.rivet("run").arg("--json").env("DATABASE_URL", &url).run();
            let told = output.json()["exports"].clone();
            let named = told.as_array().unwrap().iter().map(|one| one["export"].as_str().unwrap().to_owned());
            (named.collect::<Vec<_>>(), project)
        };
        let (names, landed) = exports("'*', '!*.b'");
        assert_eq!(names, ["orders"], "{}", server.name);
        assert_eq!(readers::sql(landed.path("out/orders"), "SELECT id FROM t"), [[Some("1".to_owned())]]);
        assert_eq!(exports(&format!("'{}.*'", there.name)).0, ["orders", "other"], "{}", server.name);
        assert_eq!(exports(&format!("'or*', '{}.ot*'", there.name)).0, ["orders", "other"], "{}", server.name);
        let project = project("{table}", "'othe?'", "{out}/{table}");
        let refused = project.rivet("run").env("DATABASE_URL", &url).run();
        refused.says(&["no table matches `othe?`", &format!("write `{}.other`", there.name)]);

        let init = |arguments: &[&str]| {
            let init = rivet::Command::new().args(["init", "--source-env", "DATABASE_URL"]).args(arguments);
            init.env("DATABASE_URL", &url).run()
        };
        let tables = |arguments: &[&str]| {
            let found = init(&[arguments, &["--discover"]].concat()).json()["tables"].clone();
            let name = |one: &serde_json::Value| {
                format!("{}.{}", one["schema"].as_str().unwrap(), one["name"].as_str().unwrap())
            };
            found.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
        };
        let of = |database: &mysql::Database, names: &[&str]| {
            names.iter().map(|name| format!("{}.{name}", database.name)).collect::<Vec<_>>()
        };
        assert_eq!(tables(&[]), of(&here, &["a.b", "orders"]), "{}", server.name);
        assert_eq!(tables(&["--include", "o*"]), of(&here, &["orders"]));
        assert_eq!(tables(&["--table", "orders"]), of(&here, &["orders"]));
        assert_eq!(tables(&["--schema", &there.name]), of(&there, &["orders", "other"]));
        assert_eq!(tables(&["--include", &format!("{}.*", there.name)]), of(&there, &["orders", "other"]));
        assert_eq!(tables(&["--table", &format!("{}.other", there.name)]), of(&there, &["other"]));
        init(&["--table", "other", "-o", "-"])
            .says(&["no table `other`", &format!("did you mean {}.other", there.name)]);

        // A URL without a database names none to stay in.
        let everywhere = url.rsplit_once('/').unwrap().0.to_owned() + "/";
        let init =
            rivet::Command::new().args(["init", "--source-env", "DATABASE_URL", "--include", "ot*", "--discover"]);
        let found = init.env("DATABASE_URL", everywhere).ok().json()["tables"].clone();
        assert_eq!(found[0]["schema"], there.name.as_str());
    }
}
