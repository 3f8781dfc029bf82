//! What every test here needs: servers, a database of its own on each, and rows as text.

#![allow(dead_code)]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rivet_plugin_mysql::{Mysql, MysqlDriver, MysqlOptions};
use rivet_sdk::arrow_array::cast::AsArray;
use rivet_sdk::arrow_array::types::*;
use rivet_sdk::arrow_array::{Array, ArrayRef, RecordBatch};
use rivet_sdk::arrow_schema::{DataType, SchemaRef, TimeUnit};
use rivet_sdk::{
    BatchSink, Context, ExportRequest, ExportStats, Relation, Result, Secret, Source, SourceDriver, TableName,
};

/// A server under test. `make test` starts MariaDB and MySQL; a variable may also name any other.
#[derive(Debug, Clone)]
pub struct Server {
    /// `MARIADB` or `MYSQL`, as in RIVET_TEST_MYSQL_URL.
    pub name: &'static str,
    /// As a user who may do everything.
    pub url: String,
}

/// Every server there is; at least one.
pub fn servers() -> Vec<Server> {
    let found: Vec<Server> = ["MARIADB", "MYSQL"].into_iter().filter_map(server).collect();
    assert!(
        !found.is_empty(),
        "neither RIVET_TEST_MARIADB_URL nor RIVET_TEST_MYSQL_URL is set: `make test` starts servers and sets them"
    );
    found
}

/// The server of this name.
pub fn server(name: &'static str) -> Option<Server> {
    let url = std::env::var(format!("RIVET_TEST_{name}_URL")).ok()?;
    Some(Server { name, url })
}

impl Server {
    /// A fact that only the servers of `make test` have: `CA`, `SOCKET`, `PID`.
    pub fn fact(&self, fact: &str) -> Option<String> {
        std::env::var(format!("RIVET_TEST_{}_{fact}", self.name)).ok()
    }

    /// `user:password`, `host:port`.
    pub fn parts(&self) -> (String, String) {
        let rest = self.url.split_once("://").unwrap().1;
        let (login, place) = rest.split_once('@').unwrap();
        (login.to_owned(), place.split('/').next().unwrap().to_owned())
    }

    /// The URL for another user, or database.
    pub fn url_of(&self, login: &str, database: &str) -> String {
        format!("mysql://{login}@{}/{database}", self.parts().1)
    }

    pub fn open(&self) -> Mysql {
        open_url(&self.url).unwrap()
    }

    pub fn is_mariadb(&self) -> bool {
        self.run("SELECT VERSION()").contains("MariaDB")
    }

    /// Runs SQL as a user would, beside the driver (which only reads). Gives tab-separated rows.
    pub fn run(&self, sql: &str) -> String {
        self.run_in("", sql)
    }

    fn run_in(&self, database: &str, sql: &str) -> String {
        let (login, place) = self.parts();
        let (user, password) = login.split_once(':').unwrap_or((&login, ""));
        let (host, port) = place.split_once(':').unwrap_or((&place, "3306"));
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"])
            .args(["--init-command", "SET time_zone = '+00:00', sql_mode = ''"])
            .args(["-h", host, "-P", port, "-u", user, "--skip-ssl-verify-server-cert", "--max-allowed-packet=512M"])
            .env("MYSQL_PWD", password)
            .args((!database.is_empty()).then_some(database))
            .args(["-e", sql])
            .output()
            .expect("the mariadb client must be installed");
        assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// A database of the test's own.
    pub fn database(&self) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        Database { server: self.clone(), name }
    }
}

pub fn open_url(url: &str) -> Result<Mysql> {
    open_with(MysqlOptions { url: Some(Secret::new(url)), ..MysqlOptions::default() })
}

pub fn open_with(options: MysqlOptions) -> Result<Mysql> {
    MysqlDriver::open(options, &Context::detached())
}

/// A database that is dropped with its guard.
pub struct Database {
    pub server: Server,
    pub name: String,
}

impl Database {
    /// Runs SQL in it.
    pub fn run(&self, sql: &str) -> String {
        self.server.run_in(&self.name, sql)
    }

    pub fn url(&self) -> String {
        self.server.url_of(&self.server.parts().0, &self.name)
    }

    pub fn table(&self, name: &str) -> Relation {
        Relation::Table(TableName::qualified(&self.name, name))
    }

    pub fn request(&self, name: &str) -> ExportRequest {
        ExportRequest::whole(self.table(name))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server.run(&format!("DROP DATABASE {}", self.name));
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

pub fn export(source: &mut Mysql, request: &ExportRequest) -> Result<(Keep, ExportStats)> {
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
        DataType::UInt64 => number!(UInt64Type),
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
        DataType::List(_) => {
            let values = array.as_list::<i32>().value(row);
            let values: Vec<String> = (0..values.len()).map(|index| text(&values, index)).collect();
            format!("[{}]", values.join(","))
        }
        other => panic!("no text for {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
