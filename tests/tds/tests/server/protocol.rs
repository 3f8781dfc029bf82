//! Requests, cancellation and transactions.

use std::time::Duration;

use futures_util::StreamExt;
use tiberius::{Command, IsolationLevel};

use crate::support::{self, Server, Session};

#[test]
fn parameters_travel_by_type() {
    let server = Server::start();
    let mut client = server.client();
    let rows = client.runtime.block_on(async {
        let sql = "SELECT @P1 + 1, @P2, @P3, @P4, CAST(@P5 AS nvarchar(10))";
        let parameters: [&dyn tiberius::ToSql; 5] =
            [&41_i32, &"żółw", &1.5_f64, &&b"\x00\xff"[..], &Option::<i32>::None];
        client.client.query(sql, &parameters).await.unwrap().into_first_result().await.unwrap()
    });
    assert_eq!(rows[0].get::<i32, _>(0), Some(42));
    assert_eq!(rows[0].get::<&str, _>(1), Some("żółw"));
    assert_eq!(rows[0].get::<f64, _>(2), Some(1.5));
    assert_eq!(rows[0].get::<&[u8], _>(3), Some(&b"\x00\xff"[..]));
    assert_eq!(rows[0].get::<&str, _>(4), None);
}

#[test]
fn an_attention_ends_rows() {
    let server = Server::start();
    let mut client = server.client();
    let endless = "SELECT a.value FROM GENERATE_SERIES(1, 100000) AS a CROSS JOIN GENERATE_SERIES(1, 100000) AS b";
    client.runtime.block_on(async {
        // tiberius can only be left between two rows.
        let mut rows = client.client.simple_query(endless).await.unwrap().into_row_stream();
        for _ in 0..1000 {
            rows.next().await.unwrap().unwrap();
        }
        drop(rows);
        client.client.cancel_query().await.unwrap();
    });
    assert_eq!(client.rows("SELECT 7")[0].get::<i32, _>(0), Some(7));
}

#[test]
fn an_attention_ends_work_and_waiting() {
    let server = Server::start();
    let (mut client, mut other) = (server.client(), server.client());
    other.run("CREATE TABLE t (n int)").run("BEGIN TRANSACTION").run("INSERT INTO t VALUES (1)");
    for endless in [
        "SELECT COUNT_BIG(*) FROM GENERATE_SERIES(1, 100000) AS a CROSS JOIN GENERATE_SERIES(1, 100000) AS b WHERE a.value + b.value = 0",
        "WAITFOR DELAY '01:00:00'",
        "INSERT INTO t VALUES (2)",
    ] {
        client.runtime.block_on(async {
            let waited = tokio::time::timeout(Duration::from_millis(300), async {
                client.client.simple_query(endless).await?.into_results().await
            });
            assert!(waited.await.is_err(), "{endless}");
            client.client.cancel_query().await.unwrap();
        });
        assert_eq!(client.rows("SELECT 7")[0].get::<i32, _>(0), Some(7), "{endless}");
    }
    other.run("COMMIT");
    assert_eq!(client.rows("SELECT * FROM t").len(), 1);
}

#[test]
fn a_killed_session_ends() {
    let server = Server::start();
    let (mut victim, mut killer) = (server.client(), server.client());
    let spid = victim.rows("SELECT @@SPID")[0].get::<i16, _>(0).unwrap();
    killer.run(&format!("KILL {spid}"));
    assert!(victim.try_rows("SELECT 1").is_err());
    assert_eq!(killer.error("KILL 4242"), 6106);
}

#[test]
fn transactions_commit_and_roll_back() {
    let server = Server::start();
    let (mut a, mut b) = (server.client(), server.client());
    a.run("CREATE TABLE t (n int NOT NULL)");
    a.runtime.block_on(a.client.begin_transaction()).unwrap();
    a.run("INSERT INTO t VALUES (1)");
    assert_eq!(a.rows("SELECT @@TRANCOUNT")[0].get::<i32, _>(0), Some(1));
    assert_eq!(b.rows("SELECT * FROM t").len(), 0);
    a.runtime.block_on(a.client.rollback_transaction()).unwrap();
    assert_eq!(a.rows("SELECT * FROM t").len(), 0);
    a.run("BEGIN TRANSACTION").run("INSERT INTO t VALUES (1)").run("COMMIT");
    assert_eq!(b.rows("SELECT * FROM t").len(), 1);
    // READ COMMITTED sees what came meanwhile; SNAPSHOT does not.
    assert_eq!(b.error("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; SELECT * FROM t"), 3952);
    a.run("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON");
    b.runtime.block_on(b.client.begin_transaction_with_isolation(IsolationLevel::Snapshot)).unwrap();
    assert_eq!(b.rows("SELECT * FROM t").len(), 1);
    a.run("INSERT INTO t VALUES (2)");
    assert_eq!(b.rows("SELECT * FROM t").len(), 1);
    b.runtime.block_on(b.client.commit_transaction()).unwrap();
    assert_eq!(b.rows("SELECT * FROM t").len(), 2);
}

#[test]
fn writers_wait_for_each_other() {
    let server = Server::start();
    let (mut a, mut b) = (server.client(), server.client());
    a.run("CREATE TABLE t (n int NOT NULL)").run("BEGIN TRANSACTION").run("INSERT INTO t VALUES (1)");
    assert_eq!(b.error("SET LOCK_TIMEOUT 100; INSERT INTO t VALUES (2)"), 1222);
    a.run("COMMIT");
    b.run("INSERT INTO t VALUES (2)");
}

#[test]
fn databases_are_apart() {
    let server = Server::start();
    let mut client = server.client();
    client.run("CREATE DATABASE [My db]");
    let mut other = server.client_with(|config| config.database("my DB")).unwrap();
    other.run("CREATE TABLE t (n int)");
    assert_eq!(other.text("SELECT DB_NAME()"), "My db");
    assert_eq!(client.error("SELECT * FROM t"), 208);
    assert_eq!(client.error("DROP DATABASE [My db]"), 3702);
    client.run("ALTER DATABASE [My db] SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE [My db]");
    assert!(other.try_rows("SELECT 1").is_err());
    assert_eq!(client.error("USE [My db]"), 911);
}

#[test]
fn what_is_not_understood_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    for (sql, number) in [
        ("SELEKT 1", 102),
        ("SELECT 1 FROM", 102),
        ("SELECT nope", 207),
        ("SELECT * FROM nope", 208),
        ("SELECT nope(1)", 195),
        ("SELECT a.b FROM sys.tables", 4104),
        ("SELECT name INTO x FROM sys.tables", 102),
        ("SELECT 1 / 0", 8134),
        ("SELECT CAST('x' AS int)", 245),
        ("SELECT CAST('2020-13-01' AS date)", 241),
        ("SELECT CAST(300 AS tinyint)", 8115),
        ("SELECT @x", 137),
        ("EXEC nope", 2812),
        ("RAISERROR('mine', 16, 1)", 50_000),
        ("THROW 51234, 'mine', 1", 51_234),
        ("SELECT CAST('a' AS decimal(5,2))", 8114),
        ("SELECT * FROM (SELECT 1) AS x", 8155),
    ] {
        assert_eq!(client.error(sql), number, "{sql}");
    }
    let rows = client.rows("BEGIN TRY SELECT 1 / 0 END TRY BEGIN CATCH SELECT 5 END CATCH");
    assert!(rows.is_empty() || rows[0].get::<i32, _>(0) == Some(5));
}

#[test]
fn packets_are_as_large_as_agreed() {
    let server = Server::start();
    for size in [512, 4096, 32_767] {
        let mut client = server.client_with(|config| config.packet_size(size)).unwrap();
        let rows = client.rows("SELECT REPLICATE(N'x', 3000), value FROM GENERATE_SERIES(1, 100)");
        assert_eq!(rows.len(), 100);
        assert!(rows.iter().all(|row| row.get::<&str, _>(0).unwrap().len() == 3000));
    }
}

#[test]
fn recursion_views_and_windows() {
    let server = Server::start();
    let mut client = server.client();
    let rows = client
        .rows("WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT SUM(i), COUNT(*) FROM n");
    assert_eq!(rows[0].get::<i32, _>(0), Some(5050));
    client
        .run("CREATE SCHEMA [odd schema]")
        .run("CREATE TABLE [odd schema].[select] ([from] int NOT NULL, [a]]b] nvarchar(5))");
    client.run("INSERT INTO [odd schema].[select] VALUES (1, N'x'), (2, NULL)");
    client.run("CREATE VIEW v AS SELECT [from] AS f, [a]]b] FROM [odd schema].[select] WHERE [from] > 1");
    let rows = client.rows("SELECT f, [a]]b] FROM dbo.v");
    assert_eq!(rows[0].get::<i32, _>(0), Some(2));
    assert_eq!(client.rows("SELECT name FROM sys.views")[0].get::<&str, _>(0), Some("v"));
    let rows = client.rows("DECLARE @i int = 0, @s nvarchar(50) = N''; WHILE @i < 3 BEGIN SET @i = @i + 1; SET @s = CONCAT(@s, @i) END; SELECT @s");
    assert_eq!(rows[0].get::<&str, _>(0), Some("123"));
}

#[test]
fn statements_are_prepared_run_and_forgotten() {
    let server = Server::start();
    let mut client = server.client();
    let results = |client: &mut Session, name: &'static str, bind: &dyn Fn(&mut Command<'static>)| {
        let mut command = Command::new(name);
        bind(&mut command);
        client.runtime.block_on(async { command.exec(&mut client.client).await?.into_command_result().await })
    };
    let prepared = results(&mut client, "sp_prepexec", &|command| {
        command.bind_out_param("@handle", Option::<i32>::None);
        command.bind_param("@params", "@n int");
        command.bind_param("@stmt", "SELECT @n + 1");
        command.bind_param("@n", 41);
    });
    let prepared = prepared.unwrap();
    assert_eq!(prepared.to_query_result(0).unwrap()[0].get::<i32, _>(0), Some(42));
    let handle = prepared.try_return_value::<i32>("@handle").unwrap().unwrap();
    let again = results(&mut client, "sp_execute", &|command| {
        command.bind_param("@handle", handle);
        command.bind_param("@n", 1);
    });
    assert_eq!(again.unwrap().to_query_result(0).unwrap()[0].get::<i32, _>(0), Some(2));
    let forget = |command: &mut Command<'static>| command.bind_param("@handle", handle);
    results(&mut client, "sp_unprepare", &forget).unwrap();
    assert_eq!(support::failure(results(&mut client, "sp_unprepare", &forget).err().unwrap()), 8179);
}
