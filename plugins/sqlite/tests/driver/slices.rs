//! The union of a table's slices is the table, whatever its keys.

use proptest::prelude::*;
use rivet_plugin_sqlite::{SqliteDriver, SqliteOptions};
use rivet_sdk::arrow_array::{Array, Int64Array, RecordBatch};
use rivet_sdk::arrow_schema::SchemaRef;
use rivet_sdk::{
    BatchSink, ColumnRequest, Context, ExportRequest, Relation, Result, Source, SourceDriver, SplitBy, SplitInto,
    SplitRequest, TableName,
};

#[derive(Default)]
struct Ids(Vec<i64>);

impl BatchSink for Ids {
    fn on_schema(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        self.0.extend(ids.values());
        Ok(())
    }
}

/// A key of any storage class, as SQL.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("NULL".to_owned()),
        any::<i64>().prop_map(|key| key.to_string()),
        (-5_i64..5).prop_map(|key| key.to_string()),
        (-1e9_f64..1e9).prop_map(|key| format!("{key:?}")),
        Just("9e999".to_owned()),
        "[a-cA-Cß' ]{0,3}".prop_map(|key| format!("'{}'", key.replace('\'', "''"))),
        prop::collection::vec(any::<u8>(), 0..3)
            .prop_map(|key| format!("X'{}'", key.iter().map(|b| format!("{b:02x}")).collect::<String>())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn slices_are_the_table(
        keys in prop::collection::vec(key(), 0..80),
        declared in prop::sample::select(vec!["", "INTEGER", "TEXT", "NUMERIC", "REAL", "BLOB", "TEXT COLLATE NOCASE"]),
        into in prop_oneof![(1_u64..9).prop_map(SplitInto::Count), (1_u64..30).prop_map(SplitInto::Rows)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("slices.db");
        let writer = rusqlite::Connection::open(&file).unwrap();
        writer.execute_batch(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, k {declared}); CREATE INDEX i ON t(k)")).unwrap();
        for key in &keys {
            writer.execute(&format!("INSERT INTO t (k) VALUES ({key})"), []).unwrap();
        }
        let options = SqliteOptions { path: Some(file.display().to_string()), ..SqliteOptions::default() };
        let mut source = SqliteDriver::open(options, &Context::detached()).unwrap();
        let mut request = ExportRequest::whole(Relation::Table(TableName::unqualified("t")));
        request.columns = vec![ColumnRequest::new("id", None)];
        request.columns_complete = true;
        for column in ["id", "k"] {
            let by = SplitBy::Range { column: column.into() };
            let split = source.split(&SplitRequest::new(request.clone(), by, into)).unwrap();
            let mut ids = Ids::default();
            for slice in split.slices {
                let mut part = request.clone();
                part.conditions.extend(slice.condition);
                source.export(&part, &mut ids).unwrap();
            }
            ids.0.sort_unstable();
            let all: Vec<i64> = (1..).take(keys.len()).collect();
            prop_assert_eq!(ids.0, all, "by {}", column);
        }
    }
}
