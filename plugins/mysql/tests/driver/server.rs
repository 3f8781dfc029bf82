//! The server's side: errors, cancelling, rights, the catalogue.

use std::time::{Duration, Instant};

use crate::support::{Keep, export, open_url, servers};
use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{
    BatchSink, Error, ErrorKind, ExportRequest, NativeSplit, Relation, Result, Scalar, Source, SplitBy, SplitInto,
    SplitRequest, TableFilter,
};

const NUMBERS: &str = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 900)";

#[test]
fn unknown_hosts_databases_tables_and_columns_are_told_apart() {
    let error = open_url("mysql://u:p@no-such-host.invalid/d").map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("no-such-host.invalid") && error.hint().is_some());
    let error = open_url("mysql://u:p@127.0.0.1:1/d").map(|_| ()).unwrap_err();
    assert!(error.kind() == ErrorKind::Connection && error.is_transient(), "{error:?}");
    for server in servers() {
        let error = open_url(&server.url_of(&server.parts().0, "no_such_database")).map(|_| ()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some("1049")));
        let database = server.database();
        database.run("CREATE TABLE orders (id int)");
        let mut source = server.open();
        let error = source.type_mappings(&database.request("order")).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some("1146")));
        assert!(error.hint().unwrap().contains(".orders"), "{error:?}");
        for (sql, kind, code) in [
            (format!("SELECT nope FROM {}.orders", database.name), ErrorKind::NotFound, Some("1054")),
            ("SELECT * FROM no_such_table".to_owned(), ErrorKind::NotFound, Some("1146")),
            ("SELECT 1 AS a, 2 AS a".to_owned(), ErrorKind::InvalidQuery, Some("1060")),
            ("SELECT ? AS a".to_owned(), ErrorKind::InvalidQuery, None),
            ("SELEC 1".to_owned(), ErrorKind::InvalidQuery, Some("1064")),
        ] {
            let error = source.type_mappings(&ExportRequest::whole(Relation::Query(sql.clone()))).unwrap_err();
            assert_eq!((error.kind(), error.code(), error.is_transient()), (kind, code, false), "{sql}");
            assert!(error.hint().is_some(), "{sql}: {error:?}");
        }
        let none = open_url(&server.url_of(&server.parts().0, ""))
            .unwrap()
            .type_mappings(&ExportRequest::whole(Relation::Table(rivet_sdk::TableName::unqualified("orders"))));
        assert_eq!(none.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn a_table_that_comes_and_goes_is_described_whole_or_not_at_all() {
    for server in servers() {
        let database = server.database();
        let request = database.request("t");
        let mut source = server.open();
        let mut described = 0;
        std::thread::scope(|scope| {
            let coming = scope.spawn(|| database.run(&"CREATE TABLE t (id int NOT NULL); DROP TABLE t;".repeat(400)));
            while !coming.is_finished() {
                match source.type_mappings(&request) {
                    Ok(found) => {
                        assert!(!found[0].field.nullable, "{found:?}");
                        described += 1;
                    }
                    Err(error) => assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some("1146"))),
                }
            }
        });
        assert!(described > 0, "the table was never seen");
    }
}

#[test]
fn an_interrupt_ends_a_running_statement() {
    for server in servers() {
        let mut source = server.open();
        let interrupt = source.interrupt().unwrap();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            interrupt.interrupt().unwrap();
        });
        let started = Instant::now();
        let slow = format!("SELECT SLEEP(0.1) AS s, n FROM ({NUMBERS} SELECT n FROM r) AS t");
        let query = ExportRequest::whole(Relation::Query(slow));
        let error = export(&mut source, &query).map(|_| ()).unwrap_err();
        other.join().unwrap();
        assert!(started.elapsed() < Duration::from_secs(20));
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Cancelled, false), "{error:?}");
    }
}

#[test]
fn a_statement_timeout_is_the_servers() {
    for server in servers() {
        let slow = format!("SELECT COUNT(*) AS c FROM ({NUMBERS} SELECT a.n FROM r AS a, r AS b, r AS c, r AS d) AS t");
        let mut request = ExportRequest::whole(Relation::Query(slow));
        request.session.statement_timeout_ms = Some(300);
        let mut source = server.open();
        let error = source.export(&request, &mut Keep::default()).unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, false), "{error:?}");
        assert!(error.hint().unwrap().contains("statement_timeout_s"));
        assert_eq!(source.query_scalar("SELECT 1").unwrap(), Some(Scalar::Integer(1)));
    }
}

#[test]
fn a_lock_timeout_is_not_tried_again() {
    for server in servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY)");
        let mut other = std::process::Command::new("mariadb")
            .args([
                "--no-defaults",
                "--skip-ssl-verify-server-cert",
                &format!("-u{}", server.parts().0.split(':').next().unwrap()),
            ])
            .args(["-h", "127.0.0.1", "-P", server.parts().1.split(':').nth(1).unwrap()])
            .args([&database.name, "-e", "LOCK TABLES t WRITE; SELECT SLEEP(30)"])
            .env("MYSQL_PWD", server.parts().0.split(':').nth(1).unwrap())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let locked = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = '{}' AND INFO LIKE 'SELECT SLEEP%'",
            database.name
        );
        while server.run(&locked) != "1" {
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut request = database.request("t");
        request.session.lock_timeout_ms = Some(1000);
        let error = server.open().export(&request, &mut Keep::default()).unwrap_err();
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!((error.kind(), error.code(), error.is_transient()), (ErrorKind::Timeout, Some("1205"), false));
        assert!(error.hint().unwrap().contains("lock_timeout_s"));
        let kill =
            format!("SELECT CONCAT('KILL ', ID) FROM information_schema.PROCESSLIST WHERE DB = '{}'", database.name);
        server.run(&server.run(&kill));
    }
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
    for server in servers() {
        let mut source = server.open();
        let thread = source.query_scalar("SELECT CONNECTION_ID()").unwrap().unwrap();
        let query = format!(
            "SELECT a.n AS n, REPEAT('x', 100) AS x FROM ({NUMBERS} SELECT n FROM r) AS a, ({NUMBERS} SELECT n FROM r) AS b, ({NUMBERS} SELECT n FROM r) AS c"
        );
        let request = ExportRequest::whole(Relation::Query(query));
        let started = Instant::now();
        let error = source.export(&request, &mut Stop(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(started.elapsed() < Duration::from_secs(30));
        assert_eq!(
            server.run(&format!("SELECT COMMAND FROM information_schema.PROCESSLIST WHERE ID = {thread}")),
            "Sleep"
        );
        assert_eq!(source.query_scalar("SELECT CONNECTION_ID()").unwrap(), Some(thread));
    }
}

#[test]
fn the_source_only_reads() {
    for server in servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int)");
        let mut source = open_url(&database.url()).unwrap();
        for sql in ["INSERT INTO t VALUES (1)", "DROP TABLE t", "SELECT 1; DROP TABLE t", "SET GLOBAL wait_timeout = 1"]
        {
            assert_eq!(source.query_scalar(sql).unwrap_err().kind(), ErrorKind::InvalidQuery, "{sql}");
            let query = ExportRequest::whole(Relation::Query(sql.into()));
            assert_eq!(source.type_mappings(&query).unwrap_err().kind(), ErrorKind::InvalidQuery, "{sql}");
        }
        assert_eq!(database.run("SELECT COUNT(*) FROM t"), "0");
        assert_eq!(source.query_scalar("SELECT @@in_transaction").map(|_| ()).is_ok(), server.is_mariadb());
    }
}

#[test]
fn a_lost_connection_is_transient_and_opened_anew() {
    for server in servers() {
        let mut source = server.open();
        let thread = source.query_scalar("SELECT CONNECTION_ID()").unwrap().unwrap();
        server.run(&format!("KILL {thread}"));
        let error = source.query_scalar("SELECT 1").unwrap_err();
        assert!(error.is_transient() && error.kind() == ErrorKind::Connection, "{error:?}");
        assert_eq!(source.query_scalar("SELECT 1").unwrap(), Some(Scalar::Integer(1)));
    }
}

#[test]
fn a_statement_that_somebody_else_stops_is_no_cancel_of_ours() {
    for server in servers() {
        let mut source = server.open();
        let thread = source.query_scalar("SELECT CONNECTION_ID()").unwrap().unwrap();
        let other = server.clone();
        let killer = std::thread::spawn(move || {
            let busy = format!(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = {thread} AND STATE LIKE '%sleep%'"
            );
            while other.run(&busy) != "1" {
                std::thread::sleep(Duration::from_millis(50));
            }
            other.run(&format!("KILL QUERY {thread}"));
        });
        let slow = format!("SELECT n, SLEEP(0.1) AS s FROM ({NUMBERS} SELECT n FROM r) AS t");
        let error = export(&mut source, &ExportRequest::whole(Relation::Query(slow))).map(|_| ()).unwrap_err();
        killer.join().unwrap();
        assert_eq!((error.kind(), error.code(), error.is_transient()), (ErrorKind::Other, Some("1317"), false));
        assert!(error.hint().is_some());
    }
}

#[test]
fn select_alone_is_enough_and_doctor_says_what_more_buys() {
    for server in servers() {
        let database = server.database();
        database.run("CREATE TABLE t (id int PRIMARY KEY, g geometry, v varchar(9) CHARACTER SET sjis); INSERT INTO t VALUES (1, NULL, 'x'); ANALYZE TABLE t; CREATE TABLE hidden (id int); CREATE VIEW shown AS SELECT * FROM hidden; INSERT INTO hidden VALUES (1), (2)");
        let user = format!("r{}", std::process::id());
        server.run(&format!("CREATE USER {user} IDENTIFIED BY 'p'; GRANT SELECT ON {0}.t TO {user}; GRANT SELECT ON {0}.shown TO {user}", database.name));
        let mut source = open_url(&server.url_of(&format!("{user}:p"), &database.name)).unwrap();
        let request = database.request("t");
        assert_eq!(export(&mut source, &request).unwrap().1.rows, 1);
        assert_eq!(source.count(&request).unwrap(), 1);
        assert!(source.pressure().unwrap().is_some());
        let described = source.describe(&database.table("t")).unwrap();
        assert!(described.keys[0].primary && described.rows.is_some() && described.native != NativeSplit::Possible);
        // A view over what the user may not see cannot be explained, and is read all the same.
        let over = Relation::Query("SELECT * FROM shown".into());
        assert_eq!(source.describe(&over).unwrap().rows, None);
        let by = SplitBy::Range { column: "id".into() };
        let of = database.request("shown");
        assert_eq!(source.split(&SplitRequest::new(of, by, SplitInto::Count(2))).unwrap().slices.len(), 3);
        assert_eq!(export(&mut source, &ExportRequest::whole(over)).unwrap().1.rows, 2);
        assert!(source.snapshot(4).unwrap().is_none(), "no RELOAD, no snapshot");
        assert_eq!(source.count(&request).unwrap(), 1, "and the session goes on");
        let identity = source.identity().unwrap();
        assert!(identity.notes.iter().any(|note| note.subject == "snapshot" && note.text.contains("RELOAD")));
        assert!(!identity.notes.iter().any(|note| note.subject == "rights" && note.warning));
        let error = source.export(&database.request("hidden"), &mut Keep::default()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Permission) && error.hint().is_some(),
            "{error:?}"
        );
        let query = ExportRequest::whole(Relation::Query("SELECT * FROM hidden".into()));
        let error = source.type_mappings(&query).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, Some("1142")));
        server.run(&format!("GRANT RELOAD ON *.* TO {user}"));
        let mut source = open_url(&server.url_of(&format!("{user}:p"), &database.name)).unwrap();
        assert!(source.snapshot(1).unwrap().is_some());
        source.release().unwrap();
        server.run(&format!("DROP USER {user}"));
    }
}

#[test]
fn scalars_are_typed() {
    for server in servers() {
        let mut source = server.open();
        for (sql, value) in [
            ("SELECT 42", Scalar::Integer(42)),
            ("SELECT CAST(18446744073709551615 AS UNSIGNED)", Scalar::Integer(u64::MAX.into())),
            ("SELECT 1.50", Scalar::Decimal("1.50".into())),
            ("SELECT 1.5e0", Scalar::Float("1.5".into())),
            ("SELECT DATE '2024-02-29'", Scalar::Date("2024-02-29".into())),
            ("SELECT TIMESTAMP '2024-02-29 12:00:00'", Scalar::Timestamp("2024-02-29 12:00:00".into())),
            ("SELECT 'x';", Scalar::Text("x".into())),
            ("SELECT NULL", Scalar::Null),
        ] {
            assert_eq!(source.query_scalar(sql).unwrap(), Some(value), "{sql}");
        }
        assert_eq!(source.query_scalar("SELECT 1 FROM DUAL WHERE 1 = 0").unwrap(), None);
        let many = "SELECT 1 UNION ALL SELECT 2";
        assert_eq!(source.query_scalar(many).unwrap_err().kind(), ErrorKind::InvalidQuery);
        assert_eq!(source.query_scalar("SELECT 3").unwrap(), Some(Scalar::Integer(3)));
    }
}

#[test]
fn the_catalogue_describes_tables_keys_and_sizes() {
    for server in servers() {
        let database = server.database();
        database.run(
            "CREATE TABLE t (id bigint PRIMARY KEY, a varchar(50) NOT NULL, b int, c int UNIQUE, e enum('x', 'y') NOT NULL, \
             UNIQUE KEY prefix (a(3), id), KEY plain (b, a), UNIQUE KEY choice (e, id)); \
             CREATE VIEW v AS SELECT 1 AS one; CREATE TABLE p (k int) PARTITION BY HASH (k) PARTITIONS 2",
        );
        if !server.is_mariadb() {
            database.run("CREATE UNIQUE INDEX functional ON t ((LOWER(a)), id); CREATE UNIQUE INDEX hidden ON t (a, b) INVISIBLE");
        }
        database.run(&format!("INSERT INTO t {NUMBERS} SELECT n, CONCAT('a', n), n, n, 'x' FROM r; ANALYZE TABLE t"));
        let mut source = server.open();
        let tables = source.tables(&TableFilter::in_schema(Some(database.name.clone()))).unwrap();
        let names: Vec<_> = tables.iter().map(|table| (table.table.name.as_str(), table.kind.as_str())).collect();
        assert_eq!(names, [("p", "partitioned table"), ("t", "table"), ("v", "view")]);
        let found = source.describe(&database.table("t")).unwrap();
        assert!((800..1000).contains(&found.rows.unwrap()), "{:?}", found.rows);
        assert!(found.bytes.unwrap() >= 16_384);
        let keys: Vec<_> = found.keys.iter().map(|key| (key.name.as_str(), key.primary, key.unique)).collect();
        assert_eq!(keys, [("PRIMARY", true, true), ("c", false, true), ("plain", false, false)], "{}", server.name);
        let id = &found.keys[0].columns[0];
        assert_eq!((id.name.as_str(), id.nullable, id.rangeable), ("id", false, true));
        assert!(found.keys[1].columns[0].nullable && !found.keys[2].columns[1].rangeable);
        let query = source.describe(&Relation::Query(format!("SELECT * FROM {}.t", database.name))).unwrap();
        assert!(query.kind == "query" && query.rows.unwrap() > 500);
    }
}

#[test]
fn identity_is_the_databases_own() {
    for server in servers() {
        let (first, second) = (server.open().identity().unwrap(), server.open().identity().unwrap());
        assert_eq!(first.id, second.id);
        assert_eq!(first.product, if server.is_mariadb() { "MariaDB" } else { "MySQL" });
        assert!(first.pooler.is_none() && first.version.starts_with(|c: char| c.is_ascii_digit()));
        let database = server.database();
        assert_ne!(open_url(&database.url()).unwrap().identity().unwrap().id, first.id);
    }
}
