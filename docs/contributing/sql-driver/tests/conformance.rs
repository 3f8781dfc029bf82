//! The conformance suite over the tutorial's driver and a real server.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rivet_plugin_tutorial::TutorialDriver;
use rivet_sdk::{Relation, TableName};
use rivet_testkit::{SourceSubject, conformance};

fn main() {
    let url = std::env::var("RIVET_TEST_POSTGRES_URL").expect("`make test` starts a PostgreSQL server and sets it");
    let schema = format!("tutorial_{}", std::process::id());
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    let tables = format!(
        r#"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path = {schema};
           CREATE TABLE "Order-Items" (id bigint PRIMARY KEY, note text, paid boolean NOT NULL, ratio real, at timestamptz, price numeric(12,2));
           INSERT INTO "Order-Items" SELECT i * 3 - 300, nullif('note ' || i, 'note 7'), i % 2 = 0, i / 7.0,
               '2024-01-01Z'::timestamptz + i * interval '1 hour', i / 100.0 FROM generate_series(1, 700) i;
           CREATE TABLE heap (a integer, b jsonb, c uuid, d date, e bytea, f double precision, g smallint);
           INSERT INTO heap SELECT nullif(i % 50, 3), jsonb_build_object('i', i), gen_random_uuid(), '2020-01-01'::date + i,
               decode(md5(i::text), 'hex'), i / 3.0, -i FROM generate_series(1, 400) i;
           CREATE TABLE empty (id integer PRIMARY KEY);
           CREATE VIEW slow AS SELECT 1 AS a FROM pg_sleep(60);
           ANALYZE"#
    );
    client.batch_execute(&tables).unwrap();
    let table = |name: &str| Relation::Table(TableName::qualified(schema.as_str(), name));
    let subject = SourceSubject::new(
        "tutorial",
        concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
        move || rivet_sdk::serde_json::json!({ "url": url }),
        ["Order-Items", "heap", "empty"].map(table).into(),
        table("nothing_here"),
    );
    conformance::<TutorialDriver>(subject.with_slow(table("slow")));
}
