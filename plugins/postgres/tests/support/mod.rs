//! What every test here needs: a connection, a schema of its own, and rows as text.

#![allow(dead_code)]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rivet_plugin_postgres::{Postgres, PostgresDriver};
use rivet_sdk::arrow_array::cast::AsArray;
use rivet_sdk::arrow_array::types::*;
use rivet_sdk::arrow_array::{Array, ArrayRef, RecordBatch};
use rivet_sdk::arrow_schema::{DataType, SchemaRef, TimeUnit};
use rivet_sdk::options::ServerOptions;
use rivet_sdk::{
    BatchSink, Context, ExportRequest, ExportStats, Relation, Result, Secret, Source, SourceDriver, TableName,
};

/// The server under test. `make test` sets it.
pub fn url() -> String {
    std::env::var("RIVET_TEST_POSTGRES_URL")
        .expect("RIVET_TEST_POSTGRES_URL is not set: `make test` starts a PostgreSQL server and sets it")
}

/// The same server for `psql`, where [`url`] leads through a pooler.
pub fn direct_url() -> String {
    std::env::var("RIVET_TEST_POSTGRES_DIRECT_URL").unwrap_or_else(|_| url())
}

/// False where the tests run through a pooler.
pub fn psql_is_direct() -> bool {
    direct_url() == url()
}

pub fn open() -> Postgres {
    open_url(&url()).unwrap()
}

pub fn open_url(url: &str) -> Result<Postgres> {
    PostgresDriver::open(
        ServerOptions { url: Some(Secret::new(url)), ..ServerOptions::default() },
        &Context::detached(),
    )
}

/// Runs SQL as a user would, beside the driver (which only reads). Gives unaligned rows.
pub fn psql(sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &direct_url(), "-c", sql])
        .env("PGOPTIONS", "-c timezone=UTC -c intervalstyle=iso_8601 -c datestyle=ISO")
        .output()
        .expect("psql must be installed");
    assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
}

/// A schema that is dropped with its guard.
pub struct Schema(pub String);

impl Schema {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        psql(&format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}"));
        Self(name)
    }

    /// Runs SQL with this schema first in the path.
    pub fn run(&self, sql: &str) -> String {
        psql(&format!("SET search_path = {}, public; {sql}", self.0))
    }

    pub fn table(&self, name: &str) -> Relation {
        Relation::Table(TableName::qualified(&self.0, name))
    }

    pub fn request(&self, name: &str) -> ExportRequest {
        ExportRequest::whole(self.table(name))
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            psql(&format!("SET client_min_messages = warning; DROP SCHEMA {} CASCADE", self.0));
        }
    }
}

/// Keeps everything.
#[derive(Default)]
pub struct Keep {
    pub schema: Option<SchemaRef>,
    pub batches: Vec<RecordBatch>,
}

impl BatchSink for Keep {
    fn on_schema(&mut self, schema: SchemaRef) -> Result<()> {
        assert!(self.schema.replace(schema).is_none(), "the schema comes once");
        Ok(())
    }

    fn on_batch(&mut self, batch: RecordBatch) -> Result<()> {
        assert_eq!(Some(batch.schema()), self.schema, "a batch has the announced schema");
        self.batches.push(batch);
        Ok(())
    }
}

impl Keep {
    /// Every row's values as text, NULL as `∅`.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |batch: &RecordBatch, index| batch.columns().iter().map(|column| text(column, index)).collect();
        self.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |index| row(batch, index))).collect()
    }

    pub fn column(&self, name: &str) -> Vec<String> {
        let index = self.schema.as_ref().unwrap().index_of(name).unwrap();
        self.rows().into_iter().map(|row| row[index].clone()).collect()
    }

    pub fn data_type(&self, name: &str) -> DataType {
        self.schema.as_ref().unwrap().field_with_name(name).unwrap().data_type().clone()
    }
}

pub fn export(source: &mut Postgres, request: &ExportRequest) -> Result<(Keep, ExportStats)> {
    let mut keep = Keep::default();
    let stats = source.export(request, &mut keep)?;
    assert_eq!(stats.rows, keep.batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    let announced = rivet_sdk::schema_of(&source.type_mappings(request)?)?;
    assert_eq!(Some(announced), keep.schema, "mappings and schema agree");
    Ok((keep, stats))
}

/// One value, written plainly: integers stand for dates and times.
pub fn text(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "∅".to_owned();
    }
    macro_rules! number {
        ($t:ty) => {
            array.as_primitive::<$t>().value(row).to_string()
        };
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Decimal256(..) => array.as_primitive::<Decimal256Type>().value_as_string(row),
        DataType::Date32 => number!(Date32Type),
        DataType::Time64(_) => number!(Time64MicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => number!(TimestampNanosecondType),
        DataType::Timestamp(..) => number!(TimestampMicrosecondType),
        DataType::Duration(_) => number!(DurationMicrosecondType),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
        DataType::List(_) => list(&array.as_list::<i32>().value(row), "[", "]"),
        DataType::Struct(_) => {
            let members = array.as_struct().columns().iter().map(|member| text(member, row));
            format!("({})", members.collect::<Vec<_>>().join(","))
        }
        DataType::Map(..) => {
            let entries: ArrayRef = std::sync::Arc::new(array.as_map().value(row));
            list(&entries, "{", "}")
        }
        other => panic!("no text for {other}"),
    }
}

fn list(values: &ArrayRef, open: &str, close: &str) -> String {
    let values: Vec<String> = (0..values.len()).map(|index| text(values, index)).collect();
    format!("{open}{}{close}", values.join(","))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
