//! What becomes of values, above all of those that contradict their column.

use std::path::PathBuf;

use rivet_plugin_sqlite::{Sqlite, SqliteDriver, SqliteOptions};
use rivet_sdk::arrow_array::cast::AsArray;
use rivet_sdk::arrow_array::types::TimestampMicrosecondType;
use rivet_sdk::arrow_array::{Array, RecordBatch};
use rivet_sdk::arrow_schema::{DataType, SchemaRef, TimeUnit};
use rivet_sdk::{
    BatchSink, Bound, ColumnRequest, Condition, Context, Error, ErrorKind, ExportRequest, ExportStats,
    OnUnrepresentable, Relation, Result, Scalar, SessionPolicy, Source, SourceDriver, TableName,
};

struct Fixture {
    source: Sqlite,
    _folder: tempfile::TempDir,
}

fn fixture(sql: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    Fixture { source: open(file).unwrap(), _folder: folder }
}

fn open(file: PathBuf) -> Result<Sqlite> {
    let options = SqliteOptions { path: Some(file.display().to_string()), ..SqliteOptions::default() };
    SqliteDriver::open(options, &Context::detached())
}

fn table() -> ExportRequest {
    ExportRequest::whole(Relation::Table(TableName::unqualified("t")))
}

/// The whole table, but for this.
fn with(change: impl FnOnce(&mut ExportRequest)) -> ExportRequest {
    let mut request = table();
    change(&mut request);
    request
}

fn wanting(column: &str, wanted: &str) -> ExportRequest {
    let column = ColumnRequest::new(column, Some(wanted.parse().unwrap()));
    with(|request| request.columns = vec![column])
}

#[derive(Default)]
struct Batches(Vec<RecordBatch>);

impl BatchSink for Batches {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        self.0.push(batch);
        Ok(())
    }
}

impl Fixture {
    fn export(&mut self, request: &ExportRequest) -> (RecordBatch, ExportStats) {
        let mut sink = Batches::default();
        let stats = self.source.export(request, &mut sink).unwrap();
        (sink.0.pop().unwrap(), stats)
    }

    fn refused(&mut self, request: &ExportRequest) -> Error {
        self.source.export(request, &mut Batches::default()).unwrap_err()
    }
}

#[test]
fn a_contradicting_cell_is_refused_with_its_row_and_remedy() {
    for (declared, cell) in [
        ("INTEGER", "'abc'"),
        ("INTEGER", "1.5"),
        ("REAL", "'nan'"),
        ("BLOB", "'text'"),
        ("BOOLEAN", "2"),
        ("DECIMAL(4,2)", "1.005"),
        ("DATE", "'2024-01-01 10:00'"),
        ("DATETIME", "'yesterday'"),
        ("DATETIME", "1704067200000"),
        ("JSON", "'{'"),
        ("UUID", "x'00'"),
        ("TEXT", "x'00'"),
        ("TEXT", "CAST(x'ff' AS TEXT)"),
    ] {
        let sql = format!("CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared}); INSERT INTO t VALUES (42, {cell})");
        let mut fixture = fixture(&sql);
        let error = fixture.refused(&table());
        assert_eq!(error.kind(), ErrorKind::Data, "{declared} {cell}: {error:?}");
        assert!(error.to_string().contains("`c`") && error.to_string().contains("id = 42"), "{error}");
        let hint = error.hint().unwrap();
        let remedy = if hint.contains("{c: binary}") { "binary" } else { "text" };
        assert!(hint.contains(&format!("columns: {{c: {remedy}}}")), "{hint}");
        assert_eq!(fixture.export(&wanting("c", remedy)).1.rows, 1, "the remedy works: {declared} {cell}");

        let request = with(|request| request.on_unrepresentable = OnUnrepresentable::Null);
        let (batch, stats) = fixture.export(&request);
        assert!(batch.column(1).is_null(0));
        assert_eq!((stats.columns[0].name.as_str(), stats.columns[0].unrepresentable), ("c", 1));
    }
}

#[test]
fn instants_are_utc() {
    let mut fixture = fixture("CREATE TABLE t (c TIMESTAMPTZ); INSERT INTO t VALUES ('1970-01-01T02:00:01+02:00')");
    let (batch, _) = fixture.export(&table());
    assert_eq!(batch.schema().field(0).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0), 1_000_000);
}

#[test]
fn not_null_is_required_only_where_nothing_becomes_null() {
    let mut fixture = fixture(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT);
         CREATE TABLE u (k TEXT PRIMARY KEY); INSERT INTO u VALUES (NULL)",
    );
    let mut nullable = |request: &ExportRequest| -> Vec<bool> {
        fixture.source.type_mappings(request).unwrap().iter().map(|mapping| mapping.field.nullable).collect()
    };
    assert_eq!(nullable(&table()), [false, false, true]);
    let null = with(|request| request.on_unrepresentable = OnUnrepresentable::Null);
    assert_eq!(nullable(&null), [false, true, true]);
    assert_eq!(nullable(&ExportRequest::whole(Relation::Table(TableName::unqualified("u")))), [true]);
}

#[test]
fn senseless_overrides_are_refused() {
    let mut fixture = fixture("CREATE TABLE t (c INTEGER, b BLOB)");
    for (column, wanted) in [("c", "json"), ("c", "duration"), ("b", "date")] {
        let error = fixture.source.type_mappings(&wanting(column, wanted)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
}

#[test]
fn large_values_are_refused_by_name() {
    let mut fixture = fixture("CREATE TABLE t (c TEXT); INSERT INTO t VALUES (hex(zeroblob(1000)))");
    let error = fixture.refused(&with(|request| request.max_value_bytes = 100));
    assert!(error.to_string().contains("`c`") && error.to_string().contains("2000 bytes"), "{error}");
}

#[test]
fn numbers_are_compared_with_dates_as_the_instants_that_they_are() {
    let mut fixture = fixture("CREATE TABLE t (c DATETIME); INSERT INTO t VALUES (1704067199), (1704067200)");
    let from = Some(Bound::inclusive(vec![Scalar::Date("2024-01-01".into())]));
    let conditions = vec![Condition::Range { key: vec!["c".into()], from, to: None }];
    let (batch, _) = fixture.export(&with(|request| request.conditions = conditions));
    let cells = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(cells.values()[..], [1_704_067_200_000_000]);
}

#[test]
fn a_long_statement_meets_its_limit_and_an_interrupt() {
    let mut fixture = fixture("CREATE TABLE t (c)");
    let endless = "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i) SELECT CAST(1 AS INTEGER) AS n FROM i WHERE i < 0";
    let column = ColumnRequest::new("n", Some("int8".parse().unwrap()));
    let mut request = ExportRequest::whole(Relation::Query(endless.into()));
    request.columns = vec![column];
    request.session = SessionPolicy::new(Some(50), None);
    let error = fixture.refused(&request);
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, false), "{error:?}");

    request.session = SessionPolicy::default();
    let stop = fixture.source.interrupt().unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        stop.interrupt().unwrap();
    });
    assert_eq!(fixture.refused(&request).kind(), ErrorKind::Cancelled);
    thread.join().unwrap();
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    assert_eq!(open(file.clone()).err().unwrap().kind(), ErrorKind::NotFound);
    assert!(!file.exists(), "opening created it");
    std::fs::write(&file, "not a database, but long enough to be read as its header ".repeat(40)).unwrap();
    let error = open(file).err().unwrap();
    assert!(error.to_string().contains("not a database") && error.hint().is_some(), "{error:?}");
}

#[test]
fn missing_names_come_with_the_nearest() {
    let mut fixture = fixture("CREATE TABLE orders (price TEXT); CREATE TABLE t (c)");
    let error = fixture.source.query_scalar("DELETE FROM t").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error:?}");
    for relation in [Relation::Table(TableName::unqualified("order")), Relation::Query("SELECT * FROM order_s".into())]
    {
        let error = fixture.source.type_mappings(&ExportRequest::whole(relation)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
        assert!(error.hint().unwrap().contains("orders"), "{error:?}");
    }
}
