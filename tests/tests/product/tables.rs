//! `tables`: an export for each table that a glob matches; `source_group`: one after the other.

use rivet_tests::{mysql, postgres, readers, rivet, sqlite};

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

/// The names of a command's exports, and what it says was left out.
fn exported(output: &rivet::Output) -> (Vec<String>, Vec<(String, String)>) {
    let document = output.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let exports = document["exports"].as_array().unwrap().iter().map(|one| text(&one["export"])).collect();
    let left_out = document["left_out"].as_array().into_iter().flatten();
    (exports, left_out.map(|one| (text(&one["table"]), text(&one["within"]))).collect())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

#[test]
fn rows_of_a_partition_are_not_exported_twice() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE m (id int, d date) PARTITION BY RANGE (d); \
         CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
         CREATE SCHEMA parts; \
         CREATE TABLE parts.m2 PARTITION OF m FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY RANGE (d); \
         CREATE TABLE m2a PARTITION OF parts.m2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01'); \
         INSERT INTO m SELECT i, date '2026-01-01' + i FROM generate_series(0, 40) i; \
         CREATE TABLE parent (id int); CREATE TABLE child (more text) INHERITS (parent); \
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2), (3); CREATE TABLE other AS SELECT 1 AS id",
    );
    let run = |project: &rivet::Project, command: &str| {
        project.rivet(command).arg("--json").env("DATABASE_URL", database.url()).ok()
    };
    let rows = |project: &rivet::Project| count(project, "out");
    let glob = project("{table}", "'public.*'", "{out}/{table}");
    // A partition below one of another schema is left out, too.
    let left_out = pairs(&[("public.child", "public.parent"), ("public.m1", "public.m"), ("public.m2a", "public.m")]);
    let found = run(&glob, "run");
    assert_eq!(exported(&found), (["m", "other", "parent"].map(str::to_owned).to_vec(), left_out.clone()));
    found.says(&["public.m1", "public.m"]);
    assert_eq!(
        (rows(&glob), count(&glob, "out/m"), count(&glob, "out/parent")),
        ("45".into(), "41".into(), "3".into())
    );
    assert_eq!(exported(&run(&glob, "check")).1, left_out);
    let text = glob.rivet("run").env("DATABASE_URL", database.url()).ok();
    text.says(&["left out", "public.m1", "public.m2a", "public.child"]);

    // Without the parent, its partitions are tables like any other.
    let parts = project("{table}", "'public.*', '!m'", "{out}/{table}");
    let names = ["m1", "m2a", "other", "parent"].map(str::to_owned).to_vec();
    assert_eq!(exported(&run(&parts, "run")), (names, pairs(&[("public.child", "public.parent")])));
    // Both by name: the user's right.
    let both = project("{table}", "m, m1, 'public.pare*', child", "{out}/{table}");
    assert_eq!(exported(&run(&both, "run")), (["child", "m", "m1", "parent"].map(str::to_owned).to_vec(), Vec::new()));

    for (arguments, names) in [
        (&["--schema", "public"][..], &["m", "other", "parent"][..]),
        (&["--include", "public.m*"], &["m"]),
        (&["--include", "public.m?"], &["m1"]),
        (&["--table", "m", "--table", "m1"], &["m", "m1"]),
        (&["--include", "public.*", "--exclude", "parent"], &["child", "m", "other"]),
    ] {
        let project = rivet::project();
        let init = rivet::Command::new().folder(project.folder()).env("DATABASE_URL", database.url());
        init.args(["init", "--source-env", "DATABASE_URL"]).args(arguments).ok();
        let yaml = std::fs::read_to_string(project.path("rivet.yaml")).unwrap();
        let mut found: Vec<&str> = yaml.lines().filter_map(|line| line.strip_prefix("  - name: ")).collect();
        found.sort_unstable();
        assert_eq!(found, names, "{arguments:?}: {yaml}");
        assert_eq!(
            yaml.contains("# Left out, its rows are those of"),
            !names.contains(&"m1") || names.contains(&"other")
        );
    }
    let discover = rivet::Command::new().env("DATABASE_URL", database.url());
    let found = discover.args(["init", "--source-env", "DATABASE_URL", "--schema", "public", "--discover"]).ok().json();
    let left_out: Vec<&str> = found["left_out"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(left_out, ["public.child", "public.m1", "public.m2a"]);
}

#[test]
fn rows_of_a_merge_table_are_not_exported_twice() {
    for server in mysql::servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE one (id int) ENGINE = MyISAM; CREATE TABLE `t``wo` (id int) ENGINE = MyISAM; \
             CREATE TABLE plain (id int); INSERT INTO one VALUES (1), (2); INSERT INTO `t``wo` VALUES (3); \
             CREATE TABLE merged (id int) ENGINE = MERGE UNION = (one, `t``wo`)",
        );
        let project = project("{table}", &format!("'{}.*'", database.name), "{out}/{table}");
        let found = project.rivet("run").arg("--json").env("DATABASE_URL", database.url()).ok();
        let name = |table: &str| format!("{}.{table}", database.name);
        let left_out = vec![(name("one"), name("merged")), (name("t`wo"), name("merged"))];
        let expected = (["merged", "plain"].map(str::to_owned).to_vec(), left_out);
        assert_eq!(exported(&found), expected, "{}", server.name);
        assert_eq!(count(&project, "out/merged"), "3");
    }
}

#[test]
fn rows_of_an_index_over_a_table_are_not_exported_twice() {
    let mut database = sqlite::database();
    database.run(
        "CREATE TABLE posts (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO posts VALUES (1, 'a'), (2, 'b'); \
         CREATE VIRTUAL TABLE posts_index USING fts5(body, content = 'posts', content_rowid='id'); \
         CREATE VIRTUAL TABLE words USING fts5vocab(posts_index, row); \
         CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('n')",
    );
    let project = project("{table}", "'*'", "{out}/{table}");
    let found = project.rivet("run").arg("--json").env("DATABASE_URL", database.url()).ok();
    let left_out = pairs(&[("posts_index", "posts"), ("words", "posts")]);
    assert_eq!(exported(&found), (["notes", "posts"].map(str::to_owned).to_vec(), left_out));
}

#[test]
fn columns_are_left_out_renamed_and_retyped_where_a_table_has_them() {
    let mut database = postgres::database();
    database.run(
        "CREATE TABLE a (id int, ssn text, n int); CREATE TABLE b (id int, n numeric(5,2)); CREATE TABLE c (id int, ssn text); \
         INSERT INTO a VALUES (1, 's', 7); INSERT INTO b VALUES (1, 2.5); INSERT INTO c VALUES (1, 's')",
    );
    let config = |more: &str| {
        let project = rivet::project();
        project.config(&format!(
            "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: '{{table}}', tables: ['public.*'], {more}, format: parquet, \
             destination: {{type: local, path: '{{out}}/{{table}}'}}}}\n"
        ));
        project
    };
    let project = config("exclude: [ssn], columns: {n: text}, rename: {n: number}");
    project.rivet("run").env("DATABASE_URL", database.url()).ok();
    let columns = |table: &str| -> Vec<(String, String)> {
        let table = readers::parquet(project.path(&format!("out/{table}")));
        table.columns.into_iter().map(|column| (column.name, column.kind)).collect()
    };
    assert_eq!(columns("a"), pairs(&[("id", "int"), ("number", "text")]));
    assert_eq!(columns("b"), pairs(&[("id", "int"), ("number", "text")]));
    assert_eq!(columns("c"), pairs(&[("id", "int")]));
    project.rivet("check").env("DATABASE_URL", database.url()).ok();
    for (more, says) in [
        ("exclude: [ssn, snn]", "`exclude` names a column `snn` that none of the tables has"),
        ("columns: {nn: text}", "`columns` names a column `nn` that none of the tables has"),
        ("rename: {nope: x}", "`rename` names a column `nope` that none of the tables has"),
    ] {
        let project = config(more);
        let output = project.rivet("run").env("DATABASE_URL", database.url()).fails(2);
        output.says(&[says, "hint:"]);
        assert!(!project.out().exists(), "{more}");
    }
}
