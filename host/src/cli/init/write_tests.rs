//! What `rivet init` writes is what the configuration's parser reads.

use std::path::Path;

use rivet_sdk::arrow_schema::{DataType, Field};
use rivet_sdk::{Error, KeyColumn, Relation, TypeMapping};

use super::*;
use crate::config::{ChunkSize, Config, Variables, parse};

fn table(schema: Option<&str>, name: &str, rows: u64) -> Surveyed {
    let id = KeyColumn::new("id \"x\"", "int").with_nullable(false).with_rangeable(true);
    let text = Field::new("total", DataType::Utf8, true);
    Surveyed {
        table: TableName::new(schema.map(str::to_owned), name),
        kind: "table".into(),
        rows: Some(rows),
        bytes: None,
        keys: vec![Key::new("pk", vec![id]).with_primary(true).with_unique(true)],
        columns: vec![TypeMapping::new("total", "numeric", Fidelity::Text, &text).unwrap()],
        unreadable: Vec::new(),
        error: None,
    }
}

fn written(tables: Vec<Surveyed>, store: Store<'_>) -> (String, Config) {
    let survey = Survey { tables, left_out: vec!["public.v".into()], parts: Vec::new() };
    let source = vec!["url_env: DB".to_owned()];
    let draft = Draft { plugin: "postgres", about: "PostgreSQL 18\n, shop".into(), source, survey: &survey, store };
    let text = draft.to_yaml().unwrap();
    let variables = Variables::new([].into(), "").with_environment([("DB", "postgres://u:pw@h/d")]);
    let config = parse(&text, Path::new("rivet.yaml"), &variables);
    let config = config.unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    (text, config)
}

#[test]
fn the_file_loads_and_large_tables_are_chunked() {
    let (text, config) =
        written(vec![table(Some("public"), "orders", 5), table(None, "events", 9_000_000)], Store::Local);
    assert!(text.starts_with("# PostgreSQL 18 , shop. Written by"), "{text}");
    assert!(text.contains("# columns: {total: \"decimal(38,10)\"}"), "{text}");
    assert!(text.ends_with("# Left out, not a table: public.v\n"), "{text}");
    let [orders, events] = &config.exports[..] else { panic!("{text}") };
    assert_eq!(orders.relation, Relation::Table(TableName::qualified("public", "orders")));
    assert_eq!((orders.parallel, &orders.chunking.column), (1, &None));
    assert_eq!((events.parallel, events.chunking.column.as_deref()), (4, Some("id \"x\"")));
    assert_eq!(events.chunking.size, ChunkSize::Bytes(256 << 20));
}

#[test]
fn odd_names_are_read_back_and_exports_stay_apart() {
    let names =
        ["a.b", "sp ace", "quo\"te", "${x}", "é", "true", "12", ".dot", "sl/ash", "{b}", "#c", "- d", "A", "a: b"];
    let mut tables: Vec<Surveyed> = names.iter().map(|name| table(Some("S.1"), name, 5)).collect();
    tables.extend([table(Some("other"), "A", 5), table(Some("other"), "A", 5)]);
    let expected: Vec<TableName> = tables.iter().map(|table| table.table.clone()).collect();
    let (text, config) = written(tables, Store::Local);
    let found: Vec<TableName> = config.exports.iter().map(|export| export.relation.table().unwrap().clone()).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn every_store_has_its_block() {
    for (store, plugin) in
        [(Store::S3("b"), "s3"), (Store::Gcs("b"), "gcs"), (Store::Azure("b"), "azure"), (Store::Local, "local")]
    {
        let (text, config) = written(vec![table(None, "orders", 5)], store);
        assert_eq!(config.exports[0].destination.plugin, plugin, "{text}");
    }
}

#[test]
fn a_table_that_cannot_be_read_is_a_comment() {
    let refused = Surveyed { error: Some(Error::not_found("gone\n  - name: evil")), ..table(None, "secret", 5) };
    let (text, config) = written(vec![refused, table(None, "orders", 5)], Store::Local);
    assert_eq!(config.exports.len(), 1, "{text}");
    assert!(text.contains("# secret is left out: gone   - name: evil"), "{text}");
}
