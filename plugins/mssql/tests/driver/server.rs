//! The server's side: errors, cancelling, rights, the catalogue.

use std::time::{Duration, Instant};

use crate::support::{Database, Keep, export, fixture, open_url, server, url_of};
use rivet_plugin_mssql::Mssql;
use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{BatchSink, Error, ErrorKind, ExportRequest, Relation, Result, Scalar, Source, TableFilter};

fn refused(url: &str) -> Error {
    open_url(url).map(|_| ()).unwrap_err()
}

#[test]
fn unknown_hosts_databases_tables_and_columns_are_told_apart() {
    let error = refused("mssql://u:p@no-such-host.invalid/d");
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("no-such-host.invalid") && error.hint().is_some());
    let error = refused("mssql://u:p@127.0.0.1:1/d");
    assert!(error.kind() == ErrorKind::Connection && error.is_transient(), "{error:?}");
    let error = refused(&url_of(&server().url, None, "no_such_database"));
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some("4060")));

    let database = Database::new();
    database.run("CREATE TABLE orders (id int)");
    let mut source = database.open();
    let error = source.type_mappings(&database.request("order")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("dbo.orders"), "{error:?}");
    let query = |sql: &str| ExportRequest::whole(Relation::Query(sql.into()));
    let error = source.type_mappings(&query("SELECT nope FROM orders")).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some("207")));
    let error = source.type_mappings(&query("SELECT id FROM nothing")).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some("208")));
    assert_eq!(source.query_scalar("SELEC 1 AS x").unwrap_err().kind(), ErrorKind::InvalidQuery);
}

fn large(database: &Database) -> ExportRequest {
    database.run("CREATE TABLE big (id int NOT NULL PRIMARY KEY)");
    database.insert("big", (0..1000).map(|i| i.to_string()));
    // A thousand million rows: nobody waits for the end.
    ExportRequest::whole(Relation::Query(
        "SELECT a.id AS a, b.id AS b, c.id AS c FROM big AS a CROSS JOIN big AS b CROSS JOIN big AS c".into(),
    ))
}

/// Takes batches until it has had enough, and says so.
struct Stop {
    batches: u32,
    limit: u32,
}

impl BatchSink for Stop {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, _: RecordBatch) -> Result<()> {
        self.batches += 1;
        if self.batches == self.limit { Err(Error::cancelled("enough")) } else { Ok(()) }
    }
}

#[test]
fn an_interrupt_ends_a_running_statement() {
    let database = Database::new();
    let request = large(&database);
    for url in [database.url(), format!("{}?encrypt=disable", database.url())] {
        let mut source = open_url(&url).unwrap();
        let interrupt = source.interrupt().unwrap();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            interrupt.interrupt().unwrap();
        });
        let started = Instant::now();
        let error = source.export(&request, &mut Stop { batches: 0, limit: u32::MAX }).unwrap_err();
        other.join().unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Cancelled, false), "{error:?}");
    }
}

#[test]
fn a_sink_that_stops_leaves_no_statement_and_the_session_goes_on() {
    let database = Database::new();
    let request = large(&database);
    let mut source = database.open();
    let session = source.query_scalar("SELECT @@SPID AS s").unwrap();
    let started = Instant::now();
    let error = source.export(&request, &mut Stop { batches: 0, limit: 2 }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(source.query_scalar("SELECT @@SPID AS s").unwrap(), session);
}

#[test]
fn the_source_only_reads() {
    let database = Database::new();
    database.run("CREATE TABLE t (id int)");
    let mut source = database.open();
    for sql in [
        "INSERT INTO t VALUES (1)",
        "SELECT 1 AS a; INSERT INTO t VALUES (1)",
        "SELECT 1 AS a) AS x; INSERT INTO t VALUES (1); --",
        "SELECT * INTO u FROM t",
    ] {
        assert_eq!(source.query_scalar(sql).unwrap_err().kind(), ErrorKind::InvalidQuery, "{sql}");
        let request = ExportRequest::whole(Relation::Query(sql.into()));
        assert!(source.export(&request, &mut Keep::default()).is_err(), "{sql}");
    }
    assert_eq!(database.int("SELECT COUNT(*) FROM t"), 0);
}

#[test]
fn scalars_are_typed() {
    let database = Database::new();
    let mut source = database.open();
    for (sql, value) in [
        ("SELECT 42", Scalar::Integer(42)),
        ("SELECT CAST(1.50 AS decimal(9,2)) AS n", Scalar::Decimal("1.50".into())),
        ("SELECT CAST(1 AS bit)", Scalar::Boolean(true)),
        ("SELECT CAST('2024-02-29' AS date)", Scalar::Date("2024-02-29".into())),
        (
            "SELECT CAST('2024-02-29T12:00:00.1234567' AS datetime2(7))",
            Scalar::Timestamp("2024-02-29 12:00:00.1234567".into()),
        ),
        (
            "SELECT CAST('2024-02-29T12:00:00+02:00' AS datetimeoffset(0))",
            Scalar::Instant("2024-02-29 12:00:00+02:00".into()),
        ),
        ("SELECT N'grüße';", Scalar::Text("grüße".into())),
        ("SELECT CAST(NULL AS int)", Scalar::Null),
        ("SELECT 0x00ff", Scalar::Bytes("00ff".into())),
    ] {
        assert_eq!(source.query_scalar(sql).unwrap(), Some(value), "{sql}");
    }
    database.run("CREATE TABLE t (id int); CREATE TABLE u (id int); INSERT INTO u VALUES (1), (2)");
    assert_eq!(source.query_scalar("SELECT id FROM t").unwrap(), None);
    assert_eq!(source.query_scalar("SELECT id FROM u").unwrap_err().kind(), ErrorKind::InvalidQuery);
}

#[test]
fn the_catalogue_describes_tables_keys_and_sizes() {
    let database = Database::new();
    database.run(
        "CREATE TABLE t (id bigint NOT NULL CONSTRAINT pk PRIMARY KEY, a nvarchar(20) NOT NULL, b int NULL, c int NOT NULL); \
         CREATE UNIQUE INDEX uc ON t (c); CREATE UNIQUE INDEX filtered ON t (b) WHERE b > 0; \
         CREATE INDEX plain ON t (b, a)",
    );
    database.insert("t", (0..1000).map(|i| format!("{i}, N'{i}', {i}, {i}")));
    database.run("CREATE VIEW v AS SELECT id FROM t");
    let mut source = database.open();
    let tables = source.tables(&TableFilter::in_schema(Some("dbo".into()))).unwrap();
    let names: Vec<_> = tables.iter().map(|table| (table.table.name.as_str(), table.kind.as_str())).collect();
    assert_eq!(names, [("t", "table"), ("v", "view")]);
    let found = source.describe(&database.table("t")).unwrap();
    assert_eq!(found.rows, Some(1000));
    assert!(found.bytes.unwrap() >= 8192);
    let keys: Vec<_> = found.keys.iter().map(|key| (key.name.as_str(), key.primary, key.unique)).collect();
    assert_eq!(keys, [("pk", true, true), ("uc", false, true), ("plain", false, false)]);
    let id = &found.keys[0].columns[0];
    assert_eq!((id.name.as_str(), id.source_type.as_str(), id.nullable, id.rangeable), ("id", "bigint", false, true));
    let plain = &found.keys[2].columns;
    assert!(plain[0].nullable && !plain[1].rangeable && plain[1].source_type == "nvarchar(20)");
    let query = source.describe(&Relation::Query("SELECT id FROM t".into())).unwrap();
    assert_eq!((query.kind.as_str(), query.rows), ("query", None));
}

#[test]
fn a_key_is_not_called_unique_without_a_member_that_ranges_cannot_use() {
    let database = Database::new();
    database.run("CREATE TABLE h (a int NOT NULL, h hierarchyid NOT NULL, CONSTRAINT pk PRIMARY KEY (a, h))");
    database.run("CREATE TABLE v (a int NOT NULL, v sql_variant NOT NULL, CONSTRAINT vu UNIQUE (a, v))");
    database.run("CREATE TABLE lone (h hierarchyid NOT NULL CONSTRAINT lone_pk PRIMARY KEY)");
    database
        .run("CREATE TABLE plain (a int NOT NULL, b datetime2(3) NOT NULL, CONSTRAINT plain_pk PRIMARY KEY (a, b))");
    database.run("INSERT INTO h VALUES (1, '/1/'), (1, '/2/'), (2, '/1/'), (2, '/2/'), (2, '/3/')");
    let mut source = database.open();
    let mut keys = |table: &str| -> Vec<(Vec<String>, bool, bool)> {
        let keys = source.describe(&database.table(table)).unwrap().keys;
        let named = |key: rivet_sdk::Key| {
            (key.columns.into_iter().map(|column| column.name).collect(), key.primary, key.unique)
        };
        keys.into_iter().map(named).collect()
    };
    assert_eq!(keys("h"), [(vec!["a".to_owned()], false, false)]);
    assert_eq!(keys("v"), [(vec!["a".to_owned()], false, false)]);
    assert_eq!(keys("lone"), []);
    assert_eq!(keys("plain"), [(vec!["a".to_owned(), "b".to_owned()], true, true)]);
    let by = rivet_sdk::SplitBy::Keyset { key: vec!["a".into()] };
    let request = database.request("h");
    let error =
        source.split(&rivet_sdk::SplitRequest::new(request.clone(), by, rivet_sdk::SplitInto::Count(3))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert_eq!(export(&mut source, &request).unwrap().0.rows().len(), 5);
}

#[test]
fn odd_names_are_quoted() {
    let database = Database::new();
    database.run("CREATE TABLE [Order \"Items] (größe]] int)".replace("größe]]", "[größe]]]").as_str());
    database.run("INSERT INTO [Order \"Items] VALUES (7)");
    let (keep, _) = export(&mut database.open(), &database.request("Order \"Items")).unwrap();
    assert_eq!(keep.column("größe]"), ["7"]);
}

#[test]
fn identity_is_the_databases_own() {
    let (one, other) = (Database::new(), Database::new());
    let (first, second) = (one.open().identity().unwrap(), one.open().identity().unwrap());
    assert_eq!(first.id, second.id);
    assert_ne!(first.id, other.open().identity().unwrap().id);
    assert_eq!((first.product.as_str(), first.database.as_str()), ("SQL Server", one.name.as_str()));
    assert!(first.version.starts_with(|c: char| c.is_ascii_digit()));
    assert!(one.open().pressure().unwrap().is_some());
}

#[test]
fn where_the_database_allows_it_sessions_read_snapshots() {
    let database = Database::new();
    let level = "SELECT CAST(transaction_isolation_level AS int) FROM sys.dm_exec_sessions WHERE session_id = @@SPID";
    let note = |source: &mut Mssql| {
        let notes = source.identity().unwrap().notes;
        notes.into_iter().find(|note| note.subject == "isolation").unwrap()
    };
    database.run("CREATE TABLE t (id int)");
    let request = database.request("t");
    let mut source = database.open();
    assert_eq!(export(&mut source, &request).unwrap().1.warnings.len(), 1);
    assert!(source.query_scalar(level).unwrap() == Some(Scalar::Integer(2)) && note(&mut source).warning);
    database.run(&format!("ALTER DATABASE {} SET ALLOW_SNAPSHOT_ISOLATION ON", database.name));
    let mut source = database.open();
    assert_eq!(source.query_scalar(level).unwrap(), Some(Scalar::Integer(5)));
    assert!(note(&mut source).text.starts_with("SNAPSHOT"));
    assert!(export(&mut source, &request).unwrap().1.warnings.is_empty());
    assert_eq!(source.snapshot(4).unwrap(), None, "no read point for several sessions is claimed");
}

#[test]
fn select_alone_is_enough_and_without_it_the_table_is_refused() {
    if fixture().is_none() {
        return;
    }
    let database = Database::new();
    database.run("CREATE TABLE open_to_all (id int NOT NULL PRIMARY KEY); CREATE TABLE closed (id int); INSERT INTO open_to_all VALUES (1), (2)");
    database.run("CREATE USER reader FOR LOGIN reader");
    database.run("GRANT SELECT ON dbo.open_to_all TO reader");
    let mut source = open_url(&url_of(&server().url, Some("reader:Secret_1"), &database.name)).unwrap();
    let request = database.request("open_to_all");
    let (keep, _) = export(&mut source, &request).unwrap();
    assert_eq!(keep.rows().len(), 2);
    assert!(source.describe(&request.relation).unwrap().keys[0].primary);
    assert_eq!(source.pressure().unwrap(), None);
    assert!(source.identity().unwrap().notes.iter().any(|note| note.subject == "VIEW SERVER STATE"));
    let error = source.export(&database.request("closed"), &mut Keep::default()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("229")), "{error:?}");
    assert!(error.hint().unwrap().contains("GRANT SELECT"));
}

fn faulty(fault: &str) -> Option<(Database, Mssql, ExportRequest)> {
    fixture()?;
    let database = Database::new();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY)");
    database.insert("t", (0..5000).map(|i| i.to_string()));
    let source = database.open();
    database.run(&format!("EXEC rivet_fault {fault}"));
    let request = database.request("t");
    Some((database, source, request))
}

#[test]
fn a_connection_that_breaks_between_rows_is_transient_and_opened_anew() {
    for (fault, code) in [("'disconnect', 700", None), ("'kill', 700", Some("596")), ("'deadlock', 700", Some("1205"))]
    {
        let Some((_database, mut source, request)) = faulty(fault) else { return };
        let error = source.export(&request, &mut Keep::default()).unwrap_err();
        assert_eq!((error.is_transient(), error.code()), (true, code), "{fault}: {error:?}");
        let (keep, _) = export(&mut source, &request).unwrap();
        assert_eq!(keep.rows().len(), 5000, "{fault}");
    }
}

#[test]
fn waiting_for_a_lock_ends_at_the_lock_timeout_and_is_not_tried_again() {
    let Some((_database, mut source, mut request)) = faulty("'block', 60") else { return };
    request.session.lock_timeout_ms = Some(200);
    let error = source.export(&request, &mut Keep::default()).unwrap_err();
    assert_eq!((error.kind(), error.code(), error.is_transient()), (ErrorKind::Timeout, Some("1222"), false));
    assert!(error.hint().unwrap().contains("lock_timeout_s"));
}

#[test]
fn a_statement_that_keeps_us_waiting_is_stopped_and_the_session_goes_on() {
    let Some((_database, mut source, mut request)) = faulty("'block', 60") else { return };
    request.session.statement_timeout_ms = Some(200);
    let started = Instant::now();
    let error = source.export(&request, &mut Keep::default()).unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, false), "{error:?}");
    assert!(error.hint().unwrap().contains("statement_timeout_s") && started.elapsed() < Duration::from_secs(30));
    request.session.statement_timeout_ms = None;
    assert_eq!(export(&mut source, &request).unwrap().0.rows().len(), 5000);
}

#[test]
fn an_interrupt_reaches_a_statement_that_waits() {
    let Some((_database, mut source, request)) = faulty("'block', 60") else { return };
    let interrupt = source.interrupt().unwrap();
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        interrupt.interrupt().unwrap();
    });
    let started = Instant::now();
    let error = source.export(&request, &mut Keep::default()).unwrap_err();
    other.join().unwrap();
    assert!(error.kind() == ErrorKind::Cancelled && started.elapsed() < Duration::from_secs(30), "{error:?}");
}

#[test]
fn azure_asks_for_patience() {
    for number in [40501, 49918] {
        let Some((database, _source, _)) = faulty(&format!("'login', {number}")) else { return };
        let error = refused(&database.url());
        assert_eq!((error.is_transient(), error.code()), (true, Some(number.to_string().as_str())), "{error:?}");
        assert!(open_url(&database.url()).is_ok());
    }
}

#[test]
fn a_login_is_followed_to_where_the_gateway_sends_it() {
    let Some(fixture) = fixture() else { return };
    let port = fixture.none.rsplit(':').next().unwrap().split('/').next().unwrap();
    let Some((database, _source, request)) = faulty(&format!("'route', {port}")) else { return };
    let mut routed = database.open();
    assert!(routed.identity().unwrap().notes.iter().any(|note| note.subject == "TLS" && note.text.contains("plain")));
    assert_eq!(routed.count(&request).unwrap(), 5000);
}

#[test]
fn a_table_that_is_dropped_or_retyped_is_noticed() {
    let database = Database::new();
    database.run("CREATE TABLE t (id int NOT NULL)");
    let mut source = database.open();
    let request = database.request("t");
    source.type_mappings(&request).unwrap();
    database.run("DROP TABLE t");
    let error = source.export(&request, &mut Keep::default()).unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::NotFound, false), "{error:?}");
}
