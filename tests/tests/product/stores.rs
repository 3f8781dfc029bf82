//! Tables to S3, Google Cloud Storage and Azure: what lands there is the table, once, whatever dies.

use std::time::{Duration, Instant};

use rivet_tests::{
    cloud,
    postgres::{self, Database},
    readers, rivet, signatures, sqlite,
    stores::{self, Kind, Place},
};

const ROWS: u64 = 40_000;

fn table() -> Database {
    let mut database = postgres::database();
    database.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, s text, n numeric(12,2), at timestamptz, raw bytea);
         INSERT INTO t SELECT i, CASE i % 7 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE md5(i::text) || ' größe' END,
             i / 100.0, '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 minute', decode(md5(i::text), 'hex')
         FROM generate_series(1, {ROWS}) i;
         ANALYZE t"
    ));
    database
}

/// A project whose export `e` writes table `t` to `place`, in ten chunks by four workers.
fn project(place: &Place, export: &str, destination: &str) -> rivet::Project {
    let project = rivet::project();
    let destination = place.yaml(destination);
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, mode: chunked, chunk_size: 4000, parallel: 4, format: parquet, {export}destination: {destination}}}\n"
    ));
    project
}

fn command(project: &rivet::Project, place: &Place, url: &str, name: &str) -> rivet::Command {
    place.credentials(project.rivet(name)).env("DATABASE_URL", url)
}

fn each_store(test: impl Fn(Kind) + Sync) {
    std::thread::scope(|scope| {
        let running: Vec<_> = stores::ALL
            .map(|kind| {
                (
                    kind,
                    scope.spawn({
                        let test = &test;
                        move || test(kind)
                    }),
                )
            })
            .into();
        let failed: Vec<Kind> =
            running.into_iter().filter_map(|(kind, test)| test.join().is_err().then_some(kind)).collect();
        assert!(failed.is_empty(), "failed: {failed:?}");
    });
}

#[test]
fn a_postgresql_table_lands_as_it_is() {
    let mut database = table();
    let url = database.url();
    let expected = database.canonical("SELECT * FROM t ORDER BY id");
    each_store(|kind| {
        let place = stores::place(kind);
        let project = project(&place, "", "");
        command(&project, &place, &url, "run").arg("--validate").ok();
        place.assert_holds(ROWS, "run");
        let folder = place.fetch();
        readers::assert_same(&expected, &readers::parquet(folder.path()).sorted_by("id"));
        let validated = command(&project, &place, &url, "validate").args(["--depth", "full"]).ok();
        assert!(!validated.stdout.contains("stray"), "{validated}");
    });
}

#[test]
fn a_sqlite_table_lands_as_it_is() {
    let mut database = sqlite::database();
    database.run(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, n REAL);
         WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 5000)
         INSERT INTO t SELECT i, CASE i % 5 WHEN 0 THEN NULL ELSE 'Wort ' || i END, i / 8.0 FROM i",
    );
    let url = database.url();
    let expected = database.rows("SELECT count(*), count(word), sum(id), sum(n) FROM t");
    each_store(|kind| {
        let place = stores::place(kind);
        let project = rivet::project();
        let destination = place.yaml("");
        project.config(&format!("source: {{url: '{url}'}}\nexports:\n  - {{name: e, table: t, format: csv, compression: gzip, verify: content, destination: {destination}}}\n"));
        place.credentials(project.rivet("run")).ok();
        let found =
            readers::sql(place.fetch().path(), "SELECT count(*), count(word), sum(id::bigint), sum(n::double) FROM t");
        let number = |text: &Option<String>| text.as_ref().unwrap().parse::<f64>().unwrap();
        let pairs = found[0].iter().zip(&expected[0]);
        assert!(
            pairs.clone().all(|(found, expected)| number(found) == number(expected)),
            "{kind:?}: {found:?} {expected:?}"
        );
    });
}

#[test]
fn replace_leaves_the_last_run_alone() {
    let database = table();
    let url = database.url();
    each_store(|kind| {
        let place = stores::place(kind);
        let project = project(&place, "write_mode: replace, ", "");
        command(&project, &place, &url, "run").ok();
        let first = place.parts();
        command(&project, &place, &url, "run").ok();
        place.assert_holds(ROWS, "replaced");
        assert!(first.is_disjoint(&place.parts()), "{kind:?}: parts of the first run are still there");
    });
}

/// A plan's chunks from several processes at once: one killed and started again, one twice.
#[test]
fn chunks_from_many_processes_are_the_table_once() {
    let database = table();
    let url = database.url();
    each_store(|kind| {
        let place = stores::place(kind);
        let project = rivet::project();
        let destination = place.yaml("");
        project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, mode: chunked, chunk_count: 4, format: parquet, destination: {destination}}}\n"));
        command(&project, &place, &url, "plan").args(["-o", "plan.json"]).ok();
        let sealed = std::fs::read_to_string(project.path("plan.json")).unwrap();
        assert!(
            sealed.contains("STORE_SECRET") && !sealed.contains(&secret(kind)),
            "a plan holds references, no secrets"
        );
        let sealed = |name: &str| {
            let command = rivet::Command::new().folder(project.folder()).args([name, "plan.json"]);
            place.credentials(command).env("DATABASE_URL", &url)
        };
        let apply = |chunk: u32| sealed("apply").args(["--chunk", &chunk.to_string()]).spawn();
        let mut dying = apply(0);
        let start = Instant::now();
        dying.until(|| start.elapsed() > Duration::from_millis(150));
        dying.kill();
        let running: Vec<_> = [0, 1, 2, 2, 3].map(apply).into_iter().collect();
        for one in running {
            let output = one.wait();
            assert_eq!(output.code, Some(0), "{kind:?} {output}");
        }
        sealed("commit").ok();
        sealed("commit").ok();
        sealed("clean").ok();
        place.assert_holds(ROWS, "apply");
    });
}

fn secret(kind: Kind) -> String {
    match kind {
        Kind::S3 => kind.setting("SECRET_KEY"),
        Kind::Gcs => kind.setting("TOKEN"),
        Kind::Azure => kind.setting("KEY"),
    }
}

#[test]
fn killed_at_random_and_resumed_elsewhere_it_is_the_table() {
    let kills = rivet_tests::kills(3, 25);
    let mut database = table();
    let url = database.url();
    let expected = database.canonical("SELECT * FROM t ORDER BY id");
    each_store(|kind| {
        let mut whole = {
            let place = stores::place(kind);
            let started = Instant::now();
            command(&project(&place, "", ""), &place, &url, "run").ok();
            started.elapsed()
        };
        let mut interrupted = 0;
        for kill in 0..kills {
            let place = stores::place(kind);
            let here = project(&place, "", "transfer: {abandoned_after_s: 0}");
            let mut running = command(&here, &place, &url, "run").spawn();
            let at = whole.mul_f64((f64::from(kill) + 0.7) / f64::from(kills + 1));
            let until = Instant::now() + at;
            running.until(|| Instant::now() >= until);
            running.kill();
            // A run that was complete is not resumed: another would begin, and append.
            if place.objects().contains_key("_SUCCESS") {
                // The first run was slower, with more beside it: kills come sooner from here on.
                whole = whole.min(at);
                continue;
            }
            interrupted += 1;
            // Another folder: no state file, no lease, only what lies at the destination.
            let elsewhere = project(&place, "", "transfer: {abandoned_after_s: 0}");
            command(&elsewhere, &place, &url, "run").arg("--resume").ok();
            let what = format!("kill {kill} after {at:?}");
            place.assert_holds(ROWS, &what);
            readers::assert_same(&expected, &readers::parquet(place.fetch().path()).sorted_by("id"));
            assert_eq!(place.unfinished().unwrap_or_default(), Vec::<String>::new(), "{kind:?} {what}");
        }
        assert!(interrupted * 2 >= kills, "{kind:?}: only {interrupted} of {kills} kills came before the end");
    });
}

/// So many rows of 1.3 kB: an upload of several parts.
fn wide_table(rows: u32) -> postgres::Database {
    let mut database = postgres::database();
    database.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, s text);
         INSERT INTO t SELECT i, (SELECT string_agg(md5((i * 100 + j)::text), '') FROM generate_series(1, 40) j)
         FROM generate_series(1, {rows}) i; ANALYZE t"
    ));
    database
}

/// A writer that is asked to stop aborts what it had begun, though its requests are cancelled from then on.
#[test]
fn ctrl_c_leaves_no_upload_unfinished() {
    let database = wide_table(60000);
    let url = database.url();
    for kind in [Kind::S3, Kind::Gcs] {
        let place = stores::place(kind);
        let project = rivet::project();
        let destination = place.yaml("transfer: {part_size_mb: 5}");
        project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, chunk_by: none, format: csv, compression: none, destination: {destination}}}\n"));
        let mut running = command(&project, &place, &url, "run").spawn();
        assert!(running.until(|| !place.unfinished().unwrap().is_empty()), "{kind:?}: no upload was seen");
        let output = running.interrupt();
        assert_eq!(output.code, Some(130), "{kind:?} {output}");
        assert_eq!(place.unfinished().unwrap(), Vec::<String>::new(), "{kind:?}");
        assert!(!place.objects().contains_key("_SUCCESS"), "{kind:?}");
    }
}

/// A writer that died with an upload under way: invisible, and gone after `clean`.
#[test]
fn clean_aborts_what_a_dead_writer_left() {
    let database = wide_table(30000);
    let url = database.url();
    for kind in [Kind::S3, Kind::Gcs] {
        let place = stores::place(kind);
        let project = rivet::project();
        let destination = place.yaml("transfer: {part_size_mb: 5, abandoned_after_s: 0}");
        project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, chunk_by: none, format: csv, compression: none, destination: {destination}}}\n"));
        command(&project, &place, &url, "plan").args(["-o", "plan.json"]).ok();
        let sealed = |name: &str| {
            let command = rivet::Command::new().folder(project.folder()).args([name, "plan.json"]);
            place.credentials(command).env("DATABASE_URL", &url)
        };
        let mut dying = sealed("apply").spawn();
        assert!(dying.until(|| !place.unfinished().unwrap().is_empty()), "{kind:?}: no upload was seen");
        dying.kill();
        if place.unfinished().unwrap().is_empty() {
            // It had just completed: nothing to clean.
            continue;
        }
        assert!(place.parts().is_empty(), "{kind:?}: a part is visible before it is whole");
        sealed("clean").ok().says(&["1 unfinished"]);
        assert_eq!(place.unfinished().unwrap(), Vec::<String>::new(), "{kind:?}");
    }
}

/// Tags, class and media type, on objects of one request and on uploads of several parts.
#[test]
fn objects_bear_what_was_asked() {
    let database = table();
    let url = database.url();
    for (kind, class, header) in [
        (Kind::S3, "storage_class: STANDARD_IA", Some(("x-amz-storage-class", "STANDARD_IA"))),
        (Kind::Gcs, "storage_class: NEARLINE", None),
        (Kind::Azure, "access_tier: cool", Some(("x-ms-access-tier", "Cool"))),
    ] {
        // Google's objects have no tags.
        let tagged = kind != Kind::Gcs;
        let tags = if tagged { ", tags: {team: 'data lake/1', cost centre: '42'}" } else { "" };
        let place = stores::place(kind);
        let yaml = |folder: &str| {
            let yaml = place.yaml(&format!("{class}{tags}, transfer: {{part_size_mb: 5}}"));
            yaml.replace(&place.prefix, &format!("{}{folder}/", place.prefix))
        };
        let query = "query: 'SELECT id, repeat(md5(id::text), 60) AS s FROM t'";
        let project = rivet::project();
        project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: small, table: t, format: parquet, destination: {}}}\n  - {{name: large, {query}, format: csv, compression: none, destination: {}}}\n", yaml("small"), yaml("large")));
        command(&project, &place, &url, "run").ok();
        let objects = place.objects();
        assert!(objects.values().any(|size| *size > 6 << 20), "{kind:?}: no upload of several parts: {objects:?}");
        let tags = if tagged { place.tags() } else { Default::default() };
        assert_eq!(tags.len(), if tagged { objects.len() } else { 0 });
        for (key, tags) in tags {
            let expected = [("cost centre", "42"), ("team", "data lake/1")];
            assert_eq!(tags, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into(), "{kind:?} {key}");
        }
        let headers = place.headers();
        assert_eq!(headers.len(), objects.len());
        for (key, headers) in headers {
            let found = |name: &str| headers.get(name).map(String::as_str);
            if let Some((name, value)) = header {
                assert_eq!(found(name), Some(value), "{key} {headers:?}");
            }
            let media = if key.ends_with(".parquet") {
                "application/vnd.apache.parquet"
            } else if key.ends_with(".csv") {
                "text/csv"
            } else {
                "application/json"
            };
            assert!(found("content-type").is_some_and(|found| found.starts_with(media)), "{key} {headers:?}");
        }
        command(&project, &place, &url, "validate").args(["--depth", "full"]).ok();
    }
}

/// The test's Google store forgets an object's class: what is asked of it is looked at.
#[test]
fn every_new_object_at_google_is_asked_for_in_its_class() {
    let database = table();
    let front = cloud::front(|request| signatures::gcs(request, &Kind::Gcs.setting("TOKEN")));
    let place = stores::Place { endpoint: front.url(), ..stores::place(Kind::Gcs) };
    let project = rivet::project();
    let destination = place.yaml("storage_class: NEARLINE, transfer: {part_size_mb: 5}");
    let query = "query: 'SELECT id, repeat(md5(id::text), 60) AS s FROM t'";
    project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, {query}, format: csv, compression: none, destination: {destination}}}\n"));
    command(&project, &place, &database.url(), "run").ok();
    let seen = front.seen();
    let starts = |name: &str| seen.iter().filter(|request| request.method == "POST" && request.has(name)).collect();
    let (whole, in_parts): (Vec<_>, Vec<_>) = (starts("uploadType"), starts("uploads"));
    assert!(!whole.is_empty() && !in_parts.is_empty(), "{} {}", whole.len(), in_parts.len());
    for request in whole {
        let body = String::from_utf8_lossy(&request.body);
        assert!(body.contains(r#""storageClass":"NEARLINE""#), "{} {body}", request.path);
    }
    for request in in_parts {
        assert_eq!(request.header("x-goog-storage-class"), "NEARLINE", "{}", request.path);
    }
}

/// What cannot work says so before a row is read, naming bucket and key, and no secret.
#[test]
fn wrong_settings_are_told_with_a_remedy() {
    let database = table();
    let url = database.url();
    for kind in stores::ALL {
        let place = stores::place(kind);
        let bucket = kind.setting("BUCKET");
        let attempt = |yaml: String, environment: &[(&str, &str)]| {
            let project = rivet::project();
            project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, format: parquet, tuning: {{max_retries: 0}}, destination: {yaml}}}\n"));
            let mut run = command(&project, &place, &url, "run");
            let mut doctor = command(&project, &place, &url, "doctor");
            for (name, value) in environment {
                run = run.env(name, value);
                doctor = doctor.env(name, value);
            }
            let output = run.run();
            assert_ne!(output.code, Some(0), "{kind:?} {yaml}\n{output}");
            assert!(output.stderr.contains("hint:"), "{kind:?} {yaml}\n{output}");
            output.never_says(&secret(kind));
            if output.code != Some(2) {
                let found = doctor.run();
                assert!(found.code != Some(0) && found.stdout.contains("[FAIL]"), "{kind:?} {yaml}\n{found}");
                found.never_says(&secret(kind));
            }
            output
        };
        let missing = attempt(place.yaml("").replace(&format!("bucket: {bucket},"), "bucket: nosuchbucket,"), &[]);
        assert!(missing.stderr.contains("nosuchbucket"), "{kind:?} {missing}");
        // `local` takes it: here, another key is the remedy.
        let path = attempt(place.yaml("").replace("prefix: ", "path: "), &[]);
        path.says(&["path: unknown key", "prefix"]).never_says("did you mean path");
        let wrong = attempt(place.yaml(""), &[("STORE_SECRET", "d3JvbmdrZXktd3JvbmdrZXk=")]);
        assert!(
            wrong.stderr.contains("auth") || wrong.stderr.contains("key") || wrong.stderr.contains("credentials"),
            "{kind:?} {wrong}"
        );
        wrong.never_says("d3JvbmdrZXktd3JvbmdrZXk=");
        let endpoint = place.endpoint.clone();
        let nobody = attempt(place.yaml("transfer: {retries: 1}").replace(&endpoint, "http://127.0.0.1:9"), &[]);
        nobody.says(&["no connection to http://127.0.0.1:9", "endpoint"]);
        let escaping = attempt(place.yaml("").replace(&place.prefix, "a/../../b/"), &[]);
        assert_eq!(escaping.code, Some(2), "{kind:?} {escaping}");
        if kind == Kind::S3 {
            let reader = attempt(place.yaml(""), &[("STORE_USER", "readerkey"), ("STORE_SECRET", "readersecret")]);
            reader.says(&["s3:PutObject", "s3://rivet/"]).never_says("readersecret");
            let blind = attempt(place.yaml(""), &[("STORE_USER", "blindkey"), ("STORE_SECRET", "blindsecret")]);
            blind.says(&["s3:ListBucket", "rivet"]).never_says("blindsecret");
            let unknown = attempt(place.yaml(""), &[("STORE_USER", "nobodyskey")]);
            unknown.says(&["does not know this access key"]);
        }
        assert!(place.objects().is_empty(), "{kind:?}: something was left: {:?}", place.objects());
    }
}
