//! The conformance suite over the PostgreSQL driver and a real server.

#![allow(clippy::unwrap_used)]

mod support;

use rivet_plugin_postgres::PostgresDriver;
use rivet_sdk::{Relation, TableName};
use rivet_testkit::{SourceSubject, conformance};

fn main() {
    let schema = support::Schema::new();
    schema.run(
        r#"CREATE TABLE "Order-Items" (id bigint PRIMARY KEY, note text, amount numeric(12,2) NOT NULL, at timestamptz, tags text[]);
           INSERT INTO "Order-Items" SELECT i * 3 - 300, nullif('note ' || i, 'note 7'), i / 7.0, '2024-01-01Z'::timestamptz + i * interval '1 hour',
               ARRAY['a', NULL, i::text] FROM generate_series(1, 700) i;
           CREATE TABLE heap (a integer, b jsonb, c uuid, d date, e bytea);
           INSERT INTO heap SELECT nullif(i % 50, 3), jsonb_build_object('i', i), gen_random_uuid(), '2020-01-01'::date + i, decode(md5(i::text), 'hex')
               FROM generate_series(1, 400) i;
           CREATE INDEX heap_a ON heap (a);
           CREATE TABLE composite (a text, b date, c integer NOT NULL, PRIMARY KEY (a, b));
           INSERT INTO composite SELECT chr(65 + i % 26), '2020-01-01'::date + i, i FROM generate_series(1, 300) i;
           CREATE TABLE empty (id integer PRIMARY KEY);
           ANALYZE"#,
    );
    let tables = ["Order-Items", "heap", "composite", "empty"].map(|name| schema.table(name));
    let query = Relation::Query(format!("SELECT id, note FROM {}.\"Order-Items\" WHERE id > 0; -- done", schema.0));
    let subject = SourceSubject::new(
        "postgres",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        || rivet_sdk::serde_json::json!({ "url": support::url() }),
        tables.into_iter().chain([query]).collect(),
        Relation::Table(TableName::unqualified("nothing_here")),
    );
    conformance::<PostgresDriver>(subject.with_slow(Relation::Query("SELECT 1 AS a FROM pg_sleep(60)".into())));
}
