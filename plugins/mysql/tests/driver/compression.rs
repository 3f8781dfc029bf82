//! The protocol's compression: the server packs, and every value is what it is without.

use crate::support::{Server, export, open_url, open_with, servers};
use rivet_plugin_mysql::{Compression, Mysql, MysqlOptions};
use rivet_sdk::arrow_array::RecordBatch;
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::options::{TlsMode, TlsOptions};
use rivet_sdk::{BatchSink, Error, ErrorKind, ExportRequest, Relation, Result, Scalar, Secret, Source};

fn open(server: &Server, compression: Compression, mode: TlsMode) -> Result<Mysql> {
    let tls = Some(TlsOptions::new(mode));
    open_with(MysqlOptions { url: Some(Secret::new(&server.url)), compression, tls, ..MysqlOptions::default() })
}

/// What the server offers: MariaDB knows zlib only.
fn offered(server: &Server) -> Vec<Compression> {
    if server.is_mariadb() { vec![Compression::Zlib] } else { vec![Compression::Zlib, Compression::Zstd] }
}

/// A counter or a word of the session's own.
fn status(source: &mut Mysql, server: &Server, name: &str) -> String {
    let schema = if server.is_mariadb() { "information_schema" } else { "performance_schema" };
    let sql = format!("SELECT VARIABLE_VALUE FROM {schema}.session_status WHERE VARIABLE_NAME = '{name}'");
    match source.query_scalar(&sql).unwrap() {
        Some(Scalar::Text(text)) => text,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn every_value_arrives_through_every_compression_and_fewer_bytes_travel() {
    for server in servers() {
        let database = server.database();
        // Small rows, NULLs, texts that pack well, bytes that do not, and a value of several frames.
        database.run(
            "CREATE TABLE t (id int PRIMARY KEY, n decimal(20,4), s varchar(200), r varbinary(64), big longblob); \
             INSERT INTO t WITH RECURSIVE d AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM d WHERE i < 99) \
             SELECT a.i * 100 + b.i, IF(b.i % 7 = 0, NULL, a.i / 3), REPEAT(CHAR(97 + b.i % 26), b.i * 2), \
             UNHEX(SHA2(CONCAT(a.i, '/', b.i), 256)), NULL FROM d AS a, d AS b; \
             UPDATE t SET big = REPEAT('0123456789abcdef', 1300000) WHERE id = 4711",
        );
        let mut request = database.request("t");
        request.order_by = vec!["id".into()];
        let mut plain = open(&server, Compression::None, TlsMode::Prefer).unwrap();
        let expected = export(&mut plain, &request).unwrap().0.rows();
        assert_eq!(expected.len(), 10_000);
        assert_eq!(status(&mut plain, &server, "Compression"), "OFF");
        let bytes = |source: &mut Mysql| status(source, &server, "Bytes_sent").parse::<u64>().unwrap();
        let travelled = bytes(&mut plain);
        assert!(travelled > 20_000_000);
        for compression in offered(&server) {
            for mode in [TlsMode::Disable, TlsMode::Require] {
                let mut source = open(&server, compression, mode).unwrap();
                assert_eq!(status(&mut source, &server, "Compression"), "ON");
                if !server.is_mariadb() {
                    let word = if compression == Compression::Zlib { "zlib" } else { "zstd" };
                    assert_eq!(status(&mut source, &server, "Compression_algorithm"), word);
                }
                assert!(export(&mut source, &request).unwrap().0.rows() == expected, "{compression:?} {mode:?}");
                assert!(bytes(&mut source) < travelled / 2, "{compression:?} {mode:?}");
                // The session goes on, and says so.
                assert_eq!(source.count(&request).unwrap(), 10_000);
                assert!(source.identity().unwrap().notes.iter().any(|note| note.subject == "compression"));
            }
        }
    }
}

/// A sink that has enough at the second batch.
struct Enough(u32);

impl BatchSink for Enough {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, _: RecordBatch) -> Result<()> {
        self.0 += 1;
        if self.0 == 2 { Err(Error::cancelled("enough")) } else { Ok(()) }
    }
}

#[test]
fn a_stopped_statement_leaves_a_compressed_session_usable() {
    for server in servers() {
        for compression in offered(&server) {
            let mut source = open(&server, compression, TlsMode::Prefer).unwrap();
            let thread = source.query_scalar("SELECT CONNECTION_ID()").unwrap();
            let numbers =
                "(WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 900) SELECT n FROM r)";
            let query =
                format!("SELECT a.n AS n, REPEAT('x', 100) AS x FROM {numbers} AS a, {numbers} AS b, {numbers} AS c");
            let error = source.export(&ExportRequest::whole(Relation::Query(query)), &mut Enough(0)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            assert_eq!(source.query_scalar("SELECT CONNECTION_ID()").unwrap(), thread);
        }
    }
}

#[test]
fn what_the_server_does_not_offer_is_refused_by_name() {
    for server in servers() {
        assert!(open_url(&format!("{}?compression=zlib", server.url)).is_ok());
        if server.is_mariadb() {
            let error = open(&server, Compression::Zstd, TlsMode::Prefer).map(|_| ()).unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Config, false));
            assert!(error.message().contains("zstd") && error.hint().unwrap().contains("8.0.18"), "{error:?}");
        }
    }
}
