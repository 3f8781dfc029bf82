//! A table that somebody else has locked: it holds up nobody who does not want it, and whoever does is told which it is.

use std::thread;
use std::time::{Duration, Instant};

use rivet_tests::{mysql, postgres, readers, rivet, sqlite};

fn project(source: &str, export: &str) -> rivet::Project {
    let project = rivet::project();
    project.config(&format!(
        "source: {{url_env: DATABASE_URL, tuning: {{max_retries: 0, {source}}}}}\nexports:\n  - {{{export}, format: csv, \
         destination: {{type: local, path: '{{out}}/{{export}}'}}}}\n"
    ));
    project
}

/// A database with the tables `held`, which is locked, `other` and `others`.
struct Locked {
    url: String,
    /// Lets go of it.
    release: Box<dyn FnOnce() + Send>,
    _database: Box<dyn std::any::Any + Send>,
}

const TABLES: &str = "CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held VALUES (1), (2); \
                      CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1), (2), (3); \
                      CREATE TABLE others (id int PRIMARY KEY)";

fn postgresql() -> Locked {
    let mut database = postgres::database();
    database.run(TABLES);
    let mut holder = database.connect();
    holder.batch_execute("BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE").unwrap();
    let release = move || holder.batch_execute("ROLLBACK").unwrap();
    Locked { url: database.url(), release: Box::new(release), _database: Box::new(database) }
}

fn mysql(server: &mysql::Server) -> Locked {
    let database = server.database();
    database.run(TABLES);
    let (server, name) = (server.clone(), database.name.clone());
    let (of, within) = (server.clone(), name.clone());
    let holds = format!("LOCK TABLES held WRITE; DO GET_LOCK('{name}', 0); DO SLEEP(120)");
    thread::spawn(move || of.try_query(&within, &holds));
    let holder = format!("SELECT IFNULL(IS_USED_LOCK('{name}'), 0)");
    let id = move || server.query("", &holder).concat().concat();
    while id() == "0" {
        thread::sleep(Duration::from_millis(20));
    }
    let server = database.server.clone();
    let release = move || drop(server.try_query("", &format!("KILL {}", id())));
    Locked { url: database.url(), release: Box::new(release), _database: Box::new(database) }
}

fn locked() -> Vec<Locked> {
    std::iter::once(postgresql()).chain(mysql::servers().iter().map(mysql)).collect()
}

#[test]
fn a_locked_table_holds_up_nobody_who_does_not_want_it() {
    for place in locked() {
        let began = Instant::now();
        let init = rivet::Command::new().args(["init", "--source-env", "DATABASE_URL", "--table", "other", "-o", "-"]);
        let output = init.env("DATABASE_URL", &place.url).ok();
        assert!(output.stdout.contains("name: other"), "{output}");
        let project = project("lock_timeout_s: 60", "name: '{table}', tables: ['oth*']");
        let output = project.rivet("run").env("DATABASE_URL", &place.url).ok();
        assert_eq!(readers::files(project.out()).len(), 2, "{output}");
        let discovered = rivet::Command::new().args(["init", "--source-env", "DATABASE_URL", "--discover"]);
        let discovered = discovered.env("DATABASE_URL", &place.url).spawn();
        assert!(began.elapsed() < Duration::from_secs(8), "{}: {:?}", place.url, began.elapsed());
        // Everything is wanted: the locked one is named, and listed with what can be known of it.
        (place.release)();
        let listed = discovered.wait().json();
        let names: Vec<&str> =
            listed["tables"].as_array().unwrap().iter().map(|table| table["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["held", "other", "others"], "{listed}");
    }
}

#[test]
fn a_locked_table_that_is_wanted_is_waited_for_as_long_as_its_export_may_and_named() {
    let export = "name: e, table: held";
    let checked = |place: Locked| {
        let limited = project("lock_timeout_s: 1", export);
        let began = Instant::now();
        let output = limited.rivet("check").env("DATABASE_URL", &place.url).fails(1);
        output.says(&["held", "lock_timeout_s"]);
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}\n{output}", began.elapsed());
        // A longer one is kept by planning, too, which gave up after ten seconds whatever was set.
        let patient = project("lock_timeout_s: 60", export);
        let mut running = patient.rivet("run").env("DATABASE_URL", &place.url).spawn();
        let asked = Instant::now();
        running.until(|| asked.elapsed() > Duration::from_secs(12));
        assert!(!running.has_ended(), "it gave up: {}", running.wait());
        (place.release)();
        let output = running.wait();
        assert_eq!(output.code, Some(0), "{output}");
        let found = readers::files(patient.out());
        assert_eq!(found.len(), 1, "{output}");
    };
    thread::scope(|scope| {
        for place in locked() {
            scope.spawn(move || checked(place));
        }
    });
}

/// SQLite locks a file as a whole: whoever wants anything of it waits.
#[test]
fn a_locked_file_is_waited_for_as_long_as_its_export_may() {
    let mut database = sqlite::database();
    database.run(TABLES);
    let holder = rusqlite::Connection::open(database.path()).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let url = database.url();
    let began = Instant::now();
    let short = project("lock_timeout_s: 1", "name: e, table: held");
    let output = short.rivet("check").env("DATABASE_URL", &url).run();
    assert_ne!(output.code, Some(0), "{output}");
    output.says(&["database is locked", "lock_timeout_s"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let long = project("lock_timeout_s: 60", "name: e, table: held");
    let running = long.rivet("run").env("DATABASE_URL", &url).spawn();
    thread::sleep(Duration::from_secs(7));
    holder.execute_batch("ROLLBACK").unwrap();
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output}");
}
