//! The network before a store misbehaves: the export completes, or fails cleanly and resumes; never a wrong
//! or missing row, never a part that is not whole, no upload left behind.

use std::time::Duration;

use rivet_tests::{
    faults::{self, Faults, Proxy},
    postgres::{self, Database},
    rivet,
    stores::{self, Kind, Place},
};

const ROWS: u64 = 30_000;

/// Some 25 MB as CSV, in three chunks: uploads of several parts.
fn table() -> Database {
    let mut database = postgres::database();
    database.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, s text);
         INSERT INTO t SELECT i, (SELECT string_agg(md5((i * 100 + j)::text), '') FROM generate_series(1, 25) j)
         FROM generate_series(1, {ROWS}) i; ANALYZE t"
    ));
    database
}

struct Setup {
    database: Database,
    place: Place,
    proxy: Proxy,
    project: rivet::Project,
}

fn setup(kind: Kind) -> Setup {
    let mut place = stores::place(kind);
    let proxy = faults::proxy(&place.endpoint);
    place.endpoint = proxy.endpoint(&place.endpoint);
    let project = rivet::project();
    let destination = place.yaml("transfer: {part_size_mb: 5, stall_timeout_s: 3, abandoned_after_s: 0}");
    project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, mode: chunked, chunk_size: 10000, parallel: 2, format: csv, compression: none, destination: {destination}}}\n"));
    Setup { database: table(), place, proxy, project }
}

impl Setup {
    fn command(&self, name: &str) -> rivet::Command {
        self.place.credentials(self.project.rivet(name)).env("DATABASE_URL", self.database.url())
    }

    /// Runs under `faults`, resumes without them if need be, and judges what landed. Whether the
    /// first run completed; None if no fault met a connection.
    fn survives(&self, faults: Faults) -> Option<bool> {
        self.proxy.set(faults);
        let output = self.command("run").run();
        let completed = output.code == Some(0);
        if self.proxy.done() == 0 && faults.latency == Duration::ZERO {
            return None;
        }
        self.proxy.set(Faults::default());
        if !completed {
            assert!(output.stderr.contains("hint:"), "{output}");
            self.command("run").arg("--resume").ok();
        }
        self.place.assert_holds(ROWS, &format!("{faults:?}"));
        let validated = self.command("validate").args(["--depth", "full"]).ok();
        assert!(!validated.stdout.contains("stray"), "{validated}");
        // What was initiated although its answer was lost goes with the next run's tidying.
        self.command("run").ok();
        assert_eq!(self.place.unfinished().unwrap_or_default(), Vec::<String>::new(), "{faults:?}");
        Some(completed)
    }
}

/// [`Setup::survives`], in fresh places until a fault met a connection: those that few bytes pass
/// may end before it.
fn survives(kind: Kind, faults: Faults) -> bool {
    let met = (0..5).find_map(|_| setup(kind).survives(faults));
    met.unwrap_or_else(|| panic!("{kind:?}: nothing was done to any connection"))
}

/// Every store in a slow suite; otherwise each fault meets one of them.
fn some(number: usize) -> Vec<Kind> {
    if rivet_tests::slow() { stores::ALL.into() } else { vec![stores::ALL[number]] }
}

#[test]
fn latency_only_takes_time() {
    for kind in some(0) {
        assert!(survives(kind, Faults { latency: Duration::from_millis(5), ..Faults::default() }), "{kind:?}");
    }
}

#[test]
fn cut_connections_are_made_again() {
    for kind in some(1) {
        let faults = Faults { cut_one_in: 3, cut_within: 4 << 20, ..Faults::default() };
        assert!(survives(kind, faults), "{kind:?}");
    }
}

#[test]
fn connections_cut_at_their_first_bytes_are_made_again() {
    for kind in some(2) {
        survives(kind, Faults { cut_one_in: 3, cut_within: 4_000, ..Faults::default() });
    }
}

#[test]
fn a_stalled_connection_is_given_up() {
    for kind in some(0) {
        let faults = Faults { stall_one_in: 3, cut_within: 1 << 20, ..Faults::default() };
        assert!(survives(kind, faults), "{kind:?}");
    }
}

#[test]
fn a_busy_store_is_asked_again() {
    for kind in some(1) {
        survives(kind, Faults { busy_one_in: 2, ..Faults::default() });
    }
}

/// In the body of a part: the checksum that goes along, or the answer's, does not fit, and the part
/// is sent again.
#[test]
fn a_flipped_byte_is_caught() {
    for kind in stores::ALL {
        let completed = survives(kind, Faults { flip_at: Some(3 << 20), ..Faults::default() });
        // Azurite calls a wrong checksum `InvalidOperation`, which is no reason to try again.
        assert!(completed || kind == Kind::Azure, "{kind:?}");
    }
}

/// The first part is on the wire before the last row is read.
#[test]
fn upload_overlaps_reading() {
    let mut setup = setup(Kind::S3);
    let destination = setup.place.yaml("transfer: {part_size_mb: 5}");
    setup.project.config(&format!("source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, query: 'SELECT id, s FROM t UNION ALL SELECT -1, pg_sleep(6)::text', chunk_by: none, format: csv, compression: none, tuning: {{batch_size: 500}}, destination: {destination}}}\n"));
    let reading = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";
    let mut running = setup.command("run").spawn();
    let seen = running.until(|| setup.proxy.sent() > 5 << 20 && setup.database.value(reading).unwrap() != "0");
    assert!(seen, "no part was on the wire while the statement ran");
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output}");
}

/// Each store's own words for credentials that are no longer good.
fn expired(kind: Kind) -> &'static str {
    match kind {
        Kind::S3 => {
            "403 Forbidden\r\nContent-Type: application/xml\r\n\r\n<?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        }
        Kind::Gcs => {
            "401 Unauthorized\r\nContent-Type: application/json\r\n\r\n{\"error\":{\"code\":401,\"message\":\"Invalid Credentials\",\"errors\":[{\"reason\":\"authError\",\"message\":\"Invalid Credentials\"}]}}"
        }
        Kind::Azure => {
            "403 Forbidden\r\nx-ms-error-code: AuthenticationFailed\r\nContent-Type: application/xml\r\n\r\n<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Signature not valid in the specified time frame</Message></Error>"
        }
    }
}

/// Nothing is tried again in vain, what landed stays, and new credentials let `--resume` end it.
#[test]
fn credentials_that_expire_half_way_stop_the_run_and_resume_ends_it() {
    for kind in stores::ALL {
        let setup = setup(kind);
        setup.proxy.set(Faults { refused_after: Some((12 << 20, expired(kind))), ..Faults::default() });
        let output = setup.command("run").run();
        assert_eq!(output.code, Some(1), "{kind:?} {output}");
        output.says(&["expired", "hint:", "--resume"]);
        setup.proxy.set(Faults::default());
        setup.command("run").arg("--resume").ok();
        setup.place.assert_holds(ROWS, "expired credentials");
    }
}

#[test]
fn a_clock_that_is_wrong_is_told_before_a_row_is_read() {
    let skewed = "403 Forbidden\r\nContent-Type: application/xml\r\n\r\n<?xml version=\"1.0\"?><Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message></Error>";
    let setup = setup(Kind::S3);
    setup.proxy.set(Faults { refused_after: Some((0, skewed)), ..Faults::default() });
    let output = setup.command("run").run();
    assert_eq!(output.code, Some(1), "{output}");
    output.says(&["RequestTimeTooSkewed", "clock", "hint:"]);
    assert!(setup.place.objects().is_empty());
    let doctor = setup.command("doctor").run();
    assert!(doctor.stdout.contains("[FAIL]") && doctor.stdout.contains("clock"), "{doctor}");
}
