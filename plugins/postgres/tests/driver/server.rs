//! The server's side: logins, TLS, errors, cancelling, snapshots, the catalogue.

use std::time::{Duration, Instant};

use crate::support::{Keep, Schema, direct_url, export, open, open_url, psql, psql_is_direct, url};
use rivet_plugin_postgres::PostgresDriver;
use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::options::{ServerOptions, TlsMode, TlsOptions};
use rivet_sdk::{
    BatchSink, Bound, Condition, Context, Error, ErrorKind, ExportRequest, Relation, Result, Scalar, Secret, Source,
    SourceDriver, TableFilter,
};

fn options() -> ServerOptions {
    ServerOptions::from_url(url())
}

fn with_tls(tls: TlsOptions) -> Result<String> {
    let mut options = options();
    options.tls = Some(tls);
    let identity = PostgresDriver::open(options, &Context::detached())?.identity()?;
    Ok(identity.notes.iter().find(|note| note.subject == "TLS").unwrap().text.clone())
}

#[test]
fn a_wrong_password_is_an_auth_error_that_does_not_repeat_it() {
    let (head, tail) = url().split_once('@').map(|(head, tail)| (head.to_owned(), tail.to_owned())).unwrap();
    let user = head.split("//").nth(1).unwrap().split(':').next().unwrap().to_owned();
    let error = open_url(&format!("postgres://{user}:not-the-password@{tail}")).map(|_| ()).unwrap_err();
    // pgBouncer says 08P01 to everything.
    let expected = if psql_is_direct() { "28P01" } else { "08P01" };
    assert_eq!((error.kind(), error.code(), error.is_transient()), (ErrorKind::Auth, Some(expected), false));
    assert!(error.hint().is_some() && !format!("{error:?}").contains("not-the-password"));
}

#[test]
fn unknown_hosts_databases_tables_and_columns_are_told_apart() {
    let error = open_url("postgres://u:p@no-such-host.invalid/d").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("no-such-host.invalid") && error.hint().is_some());
    let error = open_url("postgres://u:p@127.0.0.1:1/d").map(|_| ()).unwrap_err();
    assert!(error.kind() == ErrorKind::Connection && error.is_transient(), "{error:?}");
    let base = direct_url();
    let base = base.split('?').next().unwrap().rsplit_once('/').unwrap().0.to_owned();
    let error = open_url(&format!("{base}/no_such_database")).map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some("3D000")));

    let schema = Schema::new();
    schema.run("CREATE TABLE orders (id int)");
    let error = open().type_mappings(&schema.request("order")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains(".orders"), "{error:?}");
    let query = ExportRequest::whole(Relation::Query(format!("SELECT nope FROM {}.orders", schema.0)));
    assert_eq!(open().type_mappings(&query).unwrap_err().code(), Some("42703"));
    assert_eq!(open().query_scalar("SELEC 1").unwrap_err().kind(), ErrorKind::InvalidQuery);
}

#[test]
fn every_tls_mode_does_what_it_says() {
    let mode = |mode| TlsOptions::new(mode);
    assert!(with_tls(mode(TlsMode::Disable)).unwrap().contains("plain"));
    assert!(with_tls(mode(TlsMode::Prefer)).unwrap().contains("TLS"));
    assert!(with_tls(mode(TlsMode::Require)).unwrap().contains("TLSv1"));
    let error = with_tls(mode(TlsMode::VerifyFull)).unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Connection, false), "{error:?}");
    let mut invalid = mode(TlsMode::VerifyFull);
    invalid.accept_invalid_certs = true;
    assert!(with_tls(invalid).is_ok());
    // The server's own certificate lies beside its data, where the test may read it.
    if let Ok(certificate) = std::env::var("RIVET_TEST_POSTGRES_CA") {
        for mode in [TlsMode::VerifyCa, TlsMode::VerifyFull] {
            let tls = TlsOptions::new(mode).with_ca_file(Some(certificate.clone()));
            assert!(with_tls(tls).unwrap().contains("TLSv1"));
        }
    }
    let missing = mode(TlsMode::VerifyFull).with_ca_file(Some("/no/such/file".to_owned()));
    assert_eq!(with_tls(missing).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_unix_socket_folder_is_a_host() {
    let folder = psql("SHOW unix_socket_directories");
    let port = psql("SHOW port");
    let mut options = ServerOptions::default();
    options.host = Some(folder.split(',').next().unwrap().trim().to_owned());
    options.port = Some(port.parse().unwrap());
    options.user = Some("postgres".into());
    options.password = Some(Secret::new("secret"));
    options.database = Some("postgres".into());
    let identity = PostgresDriver::open(options, &Context::detached()).unwrap().identity().unwrap();
    assert_eq!(identity.user.as_deref(), Some("postgres"));
}

#[test]
fn an_interrupt_ends_a_running_statement() {
    let mut source = open();
    let interrupt = source.interrupt().unwrap();
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        interrupt.interrupt().unwrap();
    });
    let started = Instant::now();
    let query = ExportRequest::whole(Relation::Query("SELECT pg_sleep(60)::text AS s".into()));
    let error = export(&mut source, &query).map(|_| ()).unwrap_err();
    other.join().unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Cancelled, false), "{error:?}");
}

#[test]
fn a_statement_timeout_is_the_servers() {
    let mut request = ExportRequest::whole(Relation::Query("SELECT pg_sleep(60)::text AS s".into()));
    request.session.statement_timeout_ms = Some(200);
    let mut source = open();
    let mut keep = Keep::default();
    let error = source.export(&request, &mut keep).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Timeout, Some("57014")));
    assert!(error.hint().is_some());
    assert_eq!(source.query_scalar("SELECT 1").unwrap(), Some(Scalar::Integer(1)));
}

struct Stop(u32);

impl BatchSink for Stop {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, _: RecordBatch) -> Result<()> {
        self.0 += 1;
        if self.0 == 2 { Err(Error::cancelled("enough")) } else { Ok(()) }
    }
}

#[test]
fn a_sink_that_stops_leaves_no_statement_and_no_transaction() {
    let mut source = open();
    let pid = source.query_scalar("SELECT pg_backend_pid()").unwrap().unwrap();
    // Made while it is read: in FROM, the server would first write all of them to its disk.
    let query = "SELECT generate_series(1, 100000000) AS i";
    let request = ExportRequest::whole(Relation::Query(query.into()));
    let started = Instant::now();
    let error = source.export(&request, &mut Stop(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(psql(&format!("SELECT state FROM pg_stat_activity WHERE pid = {pid}")), "idle");
    assert_eq!(source.query_scalar("SELECT pg_backend_pid()").unwrap(), Some(pid));
}

/// A chunk by a key that has an index is read by it; without one, the table is read from its beginning to its end, and
/// not by way of another index, row by row.
#[test]
fn an_index_is_read_where_it_leads_to_the_rows_and_no_other() {
    let schema = Schema::new();
    let reads = |table: &str, relation: &str, key: &str| {
        schema.run(&format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, v int); \
             INSERT INTO {table} SELECT i, i FROM generate_series(1, 50000) i ORDER BY md5(i::text); \
             CREATE VIEW v_{table} AS SELECT * FROM {table}; ANALYZE {table}"
        ));
        let mut request = schema.request(relation);
        let from = Bound::inclusive(vec![Scalar::Integer(1000)]);
        let to = Bound::exclusive(vec![Scalar::Integer(11_000)]);
        request.conditions = vec![Condition::Range { key: vec![key.into()], from: Some(from), to: Some(to) }];
        // The order is another index's, which is a way to every row.
        request.order_by = vec!["id".into()];
        assert_eq!(export(&mut open(), &request).unwrap().1.rows, 10_000, "{relation} {key}");
        // The server counts when a session ends, or some time later.
        let count = format!(
            "SELECT seq_scan, coalesce(idx_scan, 0) FROM pg_stat_user_tables \
             WHERE relid = '{table}'::regclass"
        );
        for _ in 0..100 {
            match schema.run(&count).as_str() {
                "0|0" | "1|0" => std::thread::sleep(Duration::from_millis(50)),
                found => return found.to_owned(),
            }
        }
        panic!("the server counts nothing");
    };
    // Making the primary key's index was the first scan.
    assert_eq!(reads("a", "a", "id"), "1|1");
    assert_eq!(reads("b", "b", "v"), "2|0");
    assert_eq!(reads("c", "v_c", "v"), "2|0");
}

#[test]
fn the_source_only_reads() {
    let schema = Schema::new();
    schema.run("CREATE TABLE t (id int)");
    let mut source = open();
    let error = source.query_scalar(&format!("INSERT INTO {}.t VALUES (1) RETURNING id", schema.0)).unwrap_err();
    assert_eq!(error.code(), Some("25006"));
    let error = source.query_scalar(&format!("COMMIT; INSERT INTO {}.t VALUES (1)", schema.0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidQuery);
    assert_eq!(schema.run("SELECT count(*) FROM t"), "0");
}

#[test]
fn a_lost_connection_is_transient_and_opened_anew() {
    if !psql_is_direct() {
        eprintln!("skipped: a pooler gives the next statement another server connection");
        return;
    }
    let mut source = open();
    let pid = source.query_scalar("SELECT pg_backend_pid()").unwrap().unwrap();
    psql(&format!("SELECT pg_terminate_backend({pid}, 2000)"));
    let error = source.query_scalar("SELECT 1").unwrap_err();
    assert!(error.is_transient() && error.kind() == ErrorKind::Connection, "{error:?}");
    assert_eq!(error.code(), Some("57P01"), "the server's own last word: {error:?}");
    assert_eq!(source.query_scalar("SELECT 1").unwrap(), Some(Scalar::Integer(1)));
}

#[test]
fn a_snapshot_is_one_read_point_for_holder_and_others() {
    let schema = Schema::new();
    schema.run("CREATE TABLE t AS SELECT 1 AS id");
    let (mut holder, mut worker) = (open(), open());
    let snapshot = holder.snapshot(1).unwrap().unwrap();
    schema.run("INSERT INTO t VALUES (2)");
    let request = schema.request("t");
    assert_eq!(worker.count(&request).unwrap(), 2);
    worker.join(&snapshot).unwrap();
    for source in [&mut holder, &mut worker] {
        assert_eq!(source.count(&request).unwrap(), 1);
        assert_eq!(export(source, &request).unwrap().1.rows, 1);
        assert!(source.query_scalar("SELECT 1/0").is_err());
        assert_eq!(source.count(&request).unwrap(), 1, "an error in between does not end the read point");
    }
    assert!(snapshot.rejoinable && snapshot.read_point.starts_with("LSN "));
    open().join(&snapshot).unwrap();
    holder.release().unwrap();
    assert!(open().join(&snapshot).is_err());
    worker.release().unwrap();
    assert_eq!(worker.count(&request).unwrap(), 2);
    assert_eq!(holder.count(&request).unwrap(), 2);
}

#[test]
fn scalars_are_typed() {
    let mut source = open();
    for (sql, value) in [
        ("SELECT 42", Scalar::Integer(42)),
        ("SELECT 1.50::numeric", Scalar::Decimal("1.50".into())),
        ("SELECT true", Scalar::Boolean(true)),
        ("SELECT date '2024-02-29'", Scalar::Date("2024-02-29".into())),
        ("SELECT timestamptz '2024-02-29 12:00+02'", Scalar::Instant("2024-02-29 10:00:00+00".into())),
        ("SELECT 'x';", Scalar::Text("x".into())),
        ("SELECT NULL::int", Scalar::Null),
        ("SELECT '\\x00ff'::bytea", Scalar::Bytes("00ff".into())),
    ] {
        assert_eq!(source.query_scalar(sql).unwrap(), Some(value), "{sql}");
    }
    assert_eq!(source.query_scalar("SELECT 1 WHERE false").unwrap(), None);
    assert!(source.query_scalar("SELECT 1 FROM generate_series(1, 1000000)").is_err());
}

#[test]
fn the_catalogue_describes_tables_keys_and_sizes() {
    let schema = Schema::new();
    schema.run(
        "CREATE TABLE t (id int8 PRIMARY KEY, a text NOT NULL, b int, c int UNIQUE); \
         CREATE UNIQUE INDEX partial ON t (b) WHERE b > 0; CREATE UNIQUE INDEX expression ON t (lower(a)); \
         ALTER TABLE t ADD CONSTRAINT late UNIQUE (a) DEFERRABLE; CREATE INDEX plain ON t (b, a); \
         INSERT INTO t SELECT i, i::text, i, i FROM generate_series(1, 1000) i; ANALYZE t; CREATE VIEW v AS SELECT 1",
    );
    let mut source = open();
    let tables = source.tables(&TableFilter::in_schema(Some(schema.0.clone()))).unwrap();
    let names: Vec<_> = tables.iter().map(|table| (table.table.name.as_str(), table.kind.as_str())).collect();
    assert_eq!(names, [("t", "table"), ("v", "view")]);
    let found = source.describe(&schema.table("t")).unwrap();
    assert_eq!(found.rows, Some(1000));
    assert!(found.bytes.unwrap() >= 8192);
    let keys: Vec<_> = found.keys.iter().map(|key| (key.name.as_str(), key.primary, key.unique)).collect();
    assert_eq!(
        keys,
        [("t_pkey", true, true), ("t_c_key", false, true), ("late", false, false), ("plain", false, false)]
    );
    let id = &found.keys[0].columns[0];
    assert_eq!((id.name.as_str(), id.nullable, id.rangeable), ("id", false, true));
    assert!(found.keys[1].columns[0].nullable && !found.keys[2].columns[0].rangeable);
    let query = source.describe(&Relation::Query("SELECT * FROM generate_series(1, 7) AS i".into())).unwrap();
    assert_eq!((query.kind.as_str(), query.rows), ("query", Some(7)));
}

#[test]
fn identity_is_the_databases_own() {
    let (first, second) = (open().identity().unwrap(), open().identity().unwrap());
    assert_eq!(first.id, second.id);
    assert_eq!((first.product.as_str(), first.pooler.is_none()), ("PostgreSQL", psql_is_direct()));
    assert!(first.version.starts_with(|c: char| c.is_ascii_digit()));
    assert!(open().pressure().unwrap().is_some());
}

#[test]
fn a_table_without_the_right_is_a_permission_error() {
    let schema = Schema::new();
    let role = format!("r_{}", schema.0);
    schema.run(&format!("CREATE TABLE t (id int); CREATE ROLE {role} LOGIN PASSWORD 'role password'; GRANT USAGE ON SCHEMA {} TO {role}", schema.0));
    let url = direct_url();
    let tail = url.split_once('@').unwrap().1;
    let mut source = open_url(&format!("postgres://{role}:role%20password@{tail}")).unwrap();
    let mut keep = Keep::default();
    let error = source.export(&schema.request("t"), &mut keep).unwrap_err();
    schema.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("42501")), "{error:?}");
    assert!(error.hint().is_some());
}
