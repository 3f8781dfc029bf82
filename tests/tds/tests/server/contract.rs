//! The statements that the SQL Server plugin sends, each answered as a real server answers it.

use crate::support::{self, Server, Session};

fn tables(client: &mut Session) {
    client
        .run("CREATE TABLE [dbo].[t] ([id] int NOT NULL PRIMARY KEY, [d] decimal(38,10) NULL, [n] nvarchar(50) NULL, [v] varchar(20) COLLATE Polish_CI_AS NULL, [x] xml NULL)")
        .run("CREATE UNIQUE NONCLUSTERED INDEX [ix] ON [dbo].[t] ([d], [n]) WHERE [d] IS NOT NULL")
        .run("INSERT INTO t (id, d, n, v) VALUES (1, 1.5, N'Ä', N'żółw'), (2, -3, NULL, 'b'), (3, 10.0000000001, N'z', NULL)");
}

#[test]
fn the_session_says_what_was_set() {
    let server = Server::start();
    let mut client = server.client();
    client.run(
        "SET QUOTED_IDENTIFIER, ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, XACT_ABORT ON; \
         SET NUMERIC_ROUNDABORT OFF; SET IMPLICIT_TRANSACTIONS OFF; SET ROWCOUNT 0; SET TEXTSIZE -1; SET LANGUAGE us_english; \
         SET DATEFORMAT ymd; SET DEADLOCK_PRIORITY LOW; SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    );
    let rows = client.rows(
        "SELECT @@TEXTSIZE, CONVERT(nvarchar(23), CAST('2003-02-01' AS datetime), 126), CAST(SESSIONPROPERTY('QUOTED_IDENTIFIER') AS int), \
         CAST(SESSIONPROPERTY('ANSI_NULLS') AS int), CAST(SESSIONPROPERTY('ARITHABORT') AS int), \
         CAST(SESSIONPROPERTY('CONCAT_NULL_YIELDS_NULL') AS int), \
         (SELECT CAST(transaction_isolation_level AS int) FROM sys.dm_exec_sessions WHERE session_id = @@SPID)",
    );
    assert_eq!(rows[0].get::<i32, _>(0), Some(i32::MAX));
    assert_eq!(rows[0].get::<&str, _>(1), Some("2003-02-01T00:00:00"));
    for at in 2..6 {
        assert_eq!(rows[0].get::<i32, _>(at), Some(1));
    }
    assert_eq!(rows[0].get::<i32, _>(6), Some(2));
    let rows = client.rows("SET LOCK_TIMEOUT 10000; SELECT @@LOCK_TIMEOUT");
    assert_eq!(rows[0].get::<i32, _>(0), Some(10_000));
}

#[test]
fn the_server_says_who_it_is() {
    let server = Server::start();
    let mut client = server.client();
    let rows = client.rows(
        "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), CAST(SERVERPROPERTY('Edition') AS nvarchar(128)), \
         CAST(SERVERPROPERTY('EngineEdition') AS int), CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)), DB_NAME(), SUSER_SNAME(), \
         CAST(IS_SRVROLEMEMBER('sysadmin') AS int), CAST(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') AS int)",
    );
    assert_eq!(rows[0].get::<&str, _>(4), Some("master"));
    assert_eq!(rows[0].get::<&str, _>(5), Some("sa"));
    assert_eq!(rows[0].get::<i32, _>(6), Some(1));
    let rows = client.rows(
        "SELECT CAST(database_id AS int), CAST(service_broker_guid AS nvarchar(36)), CONVERT(nvarchar(30), create_date, 126), \
         CAST(snapshot_isolation_state AS int), CAST(is_read_committed_snapshot_on AS int), CAST(compatibility_level AS int), \
         collation_name FROM sys.databases WHERE database_id = DB_ID()",
    );
    assert_eq!(rows[0].get::<i32, _>(0), Some(1));
    assert_eq!(rows[0].get::<&str, _>(6), Some("SQL_Latin1_General_CP1_CI_AS"));
    let rows = client.rows(
        "SELECT cntr_value FROM sys.dm_os_performance_counters WHERE counter_name = N'Log Flush Waits/sec' AND instance_name = N'_Total'",
    );
    assert_eq!(rows[0].get::<i64, _>(0), Some(42));
}

#[test]
fn the_catalogue_knows_tables_columns_and_keys() {
    let server = Server::start();
    let mut client = server.client();
    tables(&mut client);
    let rows = client.rows(
        "SELECT s.name, o.name, o.type, (SELECT SUM(p.rows) FROM sys.partitions AS p WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)), \
         (SELECT SUM(a.used_pages) FROM sys.partitions AS p JOIN sys.allocation_units AS a ON a.container_id = p.partition_id \
         WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)) \
         FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 \
         AND s.name = N'dbo' ORDER BY s.name, o.name",
    );
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<&str, _>(1), Some("t"));
    assert_eq!(rows[0].get::<&str, _>(2), Some("U "));
    assert_eq!(rows[0].get::<i64, _>(3), Some(3));
    assert_eq!(rows[0].get::<i64, _>(4), Some(1));
    let rows = client.rows(
        "SELECT TOP (1) o.object_id, s.name, o.name, o.type FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id \
         WHERE o.name = N't' AND o.type IN ('U', 'V') AND s.name IN (SCHEMA_NAME(), N'dbo') \
         ORDER BY CASE WHEN s.name = SCHEMA_NAME() THEN 0 ELSE 1 END",
    );
    let id = rows[0].get::<i32, _>(0).unwrap();
    let rows = client.rows(
        "SELECT name, is_hidden, is_nullable, system_type_name, user_type_name, max_length, precision, scale, collation_name, \
         CAST(COLLATIONPROPERTY(collation_name, 'CodePage') AS int), error_number, error_message \
         FROM sys.dm_exec_describe_first_result_set(N'SELECT * FROM [dbo].[t]', NULL, 0) ORDER BY column_ordinal",
    );
    let types: Vec<&str> = rows.iter().map(|row| row.get(3).unwrap()).collect();
    assert_eq!(types, ["int", "decimal(38,10)", "nvarchar(50)", "varchar(20)", "xml"]);
    assert_eq!(rows[0].get::<bool, _>(2), Some(false));
    assert_eq!(rows[3].get::<i32, _>(9), Some(1250));
    let rows = client.rows(
        "SELECT error_number, error_message FROM sys.dm_exec_describe_first_result_set(N'SELECT nope FROM [dbo].[t]', NULL, 0)",
    );
    assert_eq!(rows[0].get::<i32, _>(0), Some(207));
    let keys = format!(
        "SELECT i.index_id, i.name, CAST(i.is_primary_key AS int), CAST(i.is_unique AS int), c.name, t.name, CAST(c.max_length AS int), \
         CAST(c.precision AS int), CAST(c.scale AS int), CAST(c.is_nullable AS int) FROM sys.indexes AS i \
         JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id \
         JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id \
         JOIN sys.types AS t ON t.user_type_id = c.system_type_id \
         WHERE i.object_id = {id} AND i.type IN (1, 2) AND i.is_disabled = 0 AND i.is_hypothetical = 0 AND i.has_filter = 0 \
         AND ic.key_ordinal > 0 ORDER BY i.is_primary_key DESC, i.index_id, ic.key_ordinal"
    );
    let rows = client.rows(&keys);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<&str, _>(4), Some("id"));
    assert_eq!(rows[0].get::<&str, _>(5), Some("int"));
    assert_eq!(client.error("SELECT TOP (0) * FROM [dbo].[nope]"), 208);
}

#[test]
fn keys_are_split_and_compared_in_their_own_order() {
    let server = Server::start();
    let mut client = server.client();
    client.run("CREATE TABLE k (a decimal(12,2) NOT NULL, b nvarchar(10) NOT NULL, PRIMARY KEY (a, b))");
    client.run(
        "INSERT INTO k SELECT CAST(value AS decimal(12,2)) / 2, CONCAT(N'k', value % 3) FROM GENERATE_SERIES(1, 1000)",
    );
    let rows = client.rows(
        "SELECT [a], [b] FROM (SELECT [a], [b], ROW_NUMBER() OVER (ORDER BY [a], [b]) AS [rivet_n] FROM [dbo].[k] \
         WHERE [a] IS NOT NULL AND [b] IS NOT NULL) AS [rivet_keys] WHERE [rivet_n] > 1 AND ([rivet_n] - 1) % 250 = 0 ORDER BY [rivet_n]",
    );
    let keys: Vec<String> =
        rows.iter().map(|row| row.get::<tiberius::numeric::Numeric, _>(0).unwrap().to_string()).collect();
    assert_eq!(keys, ["125.50", "250.50", "375.50"]);
    let count = |client: &mut Session, filter: &str| {
        client.rows(&format!("SELECT COUNT_BIG(*) FROM [dbo].[k] WHERE {filter}"))[0].get::<i64, _>(0).unwrap()
    };
    assert_eq!(
        count(&mut client, "[a] >= CAST('125.50' AS decimal(12,2)) AND [a] < CAST('250.50' AS decimal(12,2))"),
        250
    );
    assert_eq!(count(&mut client, "[a] < 9"), 17);
    let composite =
        "(([a] > CAST('500.00' AS decimal(12,2))) OR ([a] = CAST('500.00' AS decimal(12,2)) AND [b] >= N'K1'))";
    assert_eq!(count(&mut client, composite), 1);
    let rows = client.rows("SELECT COUNT_BIG(*) FROM (SELECT TOP (7) 1 AS [one] FROM [dbo].[k]) AS [rivet_count]");
    assert_eq!(rows[0].get::<i64, _>(0), Some(7));
    let rows = client.rows("SELECT [v] FROM (\nSELECT MAX(a) FROM k\n) AS [rivet_query] ([v])");
    assert_eq!(rows[0].get::<tiberius::numeric::Numeric, _>(0).unwrap().to_string(), "500.00");
    let rows = client.rows("SELECT a, b FROM k ORDER BY a OFFSET 5 ROWS FETCH NEXT 2 ROWS ONLY");
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_reader_reads_what_was_granted() {
    let server = Server::start();
    let mut client = server.client();
    tables(&mut client);
    let as_reader = |config: &mut tiberius::Config| {
        config.authentication(tiberius::AuthMethod::sql_server("reader", support::PASSWORD));
    };
    let mut reader = server.client_with(as_reader).unwrap();
    assert_eq!(reader.error("SELECT * FROM dbo.t"), 229);
    assert_eq!(reader.error("SELECT cntr_value FROM sys.dm_os_performance_counters"), 300);
    client.run("GRANT SELECT ON dbo.t TO reader");
    assert_eq!(reader.rows("SELECT * FROM dbo.t").len(), 3);
    assert_eq!(reader.error("DELETE FROM dbo.t"), 229);
}

#[test]
fn a_login_behind_a_proxy_sets_nothing() {
    let server = Server::start();
    let swallow = |config: &mut tiberius::Config| {
        config.authentication(tiberius::AuthMethod::sql_server("swallow", support::PASSWORD));
    };
    let mut client = server.client_with(swallow).unwrap();
    let rows = client.rows("SET LOCK_TIMEOUT 10000; SELECT @@LOCK_TIMEOUT");
    assert_eq!(rows[0].get::<i32, _>(0), Some(-1));
}

#[test]
fn a_login_of_a_language_reads_dates_in_its_order() {
    let server = Server::start();
    let german = |config: &mut tiberius::Config| {
        config.authentication(tiberius::AuthMethod::sql_server("deutsch", support::PASSWORD));
    };
    let mut client = server.client_with(german).unwrap();
    // As SQL Server has it: even ISO dates turn round in the old types, and only there.
    let read = "SELECT CONVERT(nvarchar(23), CAST('2003-02-01' AS datetime), 126), CAST(@@LANGUAGE AS nvarchar(50)), \
                CONVERT(nvarchar(10), CAST('2003-02-01' AS date), 126), CONVERT(nvarchar(23), CAST('20030201' AS datetime), 126), \
                CONVERT(nvarchar(23), CAST('2003-02-01T00:00:00' AS datetime), 126)";
    let texts = |sql: &str, client: &mut Session| -> Vec<String> {
        let rows = client.rows(sql);
        (0..5).map(|at| rows[0].get::<&str, _>(at).unwrap().to_owned()).collect()
    };
    let (turned, straight) = ("2003-01-02T00:00:00", "2003-02-01T00:00:00");
    assert_eq!(texts(read, &mut client), [turned, "Deutsch", "2003-02-01", straight, straight]);
    assert_eq!(client.error("SELECT CAST('2003-02-13' AS datetime)"), 241);
    client.run("SET LANGUAGE us_english; SET DATEFORMAT ymd");
    assert_eq!(texts(read, &mut client), [straight, "us_english", "2003-02-01", straight, straight]);
}

#[test]
fn faults_strike_once_and_others_only() {
    let server = Server::start();
    let mut tester = server.client();
    tables(&mut tester);
    let mut client = server.client();
    tester.run("EXEC rivet_fault 'error', 1205");
    assert_eq!(tester.rows("SELECT * FROM t").len(), 3);
    assert_eq!(client.error("SELECT * FROM t"), 1205);
    assert_eq!(client.rows("SELECT * FROM t").len(), 3);
    tester.run("EXEC rivet_fault 'block', 60");
    assert_eq!(client.error("SET LOCK_TIMEOUT 100; SELECT * FROM t"), 1222);
    tester.run("EXEC rivet_fault 'deadlock', 1");
    assert_eq!(client.error("SELECT * FROM t"), 1205);
    tester.run("EXEC rivet_fault 'kill', 1");
    assert_eq!(client.error("SELECT * FROM t"), 596);
    tester.run("EXEC rivet_fault 'disconnect', 2");
    let mut client = server.client();
    assert!(client.try_rows("SELECT * FROM t").unwrap_err().code().is_none());
    tester.run("EXEC rivet_fault 'login', 40501");
    assert_eq!(support::failure(server.client_with(|_| {}).err().unwrap()), 40501);
    server.client();
}
