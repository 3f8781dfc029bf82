//! The private PostgreSQL that the runner started, and databases on it.

use std::{
    fmt::Display,
    io::Read,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use postgres::{Client, NoTls, SimpleQueryMessage};
use serde_json::Value;

use crate::readers::{Column, Table};

/// The URL of the server's own database, as its superuser.
pub fn server() -> String {
    crate::from_runner("RIVET_TEST_POSTGRES_URL")
}

/// The certificate of the authority that signed the server's certificate, which is for `localhost`
/// and 127.0.0.1; the server also answers at 127.0.0.2, where the name doesn't match.
pub fn ca() -> PathBuf {
    crate::from_runner("RIVET_TEST_POSTGRES_CA").into()
}

/// The certificate of an authority that signed nothing here.
pub fn other_ca() -> PathBuf {
    ca().with_file_name("other-ca.crt")
}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// `postgres`, the superuser.
    Superuser,
    /// `reader`: may use schema `public` and select from the tables made there, nothing else.
    Reader,
    /// `tlsonly`: the same rights, refused without TLS.
    TlsOnly,
}

/// Every user's password.
pub const PASSWORD: &str = "secret";

/// A fresh database; dropped with this value.
pub struct Database {
    /// The name it has on the server.
    pub name: String,
    client: Client,
}

/// Makes a database of the test's own.
pub fn database() -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    connect(&server()).batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    let mut client = connect(&url_of(&server(), User::Superuser, &name));
    client
        .batch_execute(
            "GRANT USAGE ON SCHEMA public TO reader, tlsonly;
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader, tlsonly;
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON SEQUENCES TO reader, tlsonly",
        )
        .unwrap();
    Database { name, client }
}

impl Database {
    /// The connection, for what the methods below don't do.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The superuser's URL.
    pub fn url(&self) -> String {
        self.url_as(User::Superuser)
    }

    /// Another user's URL.
    pub fn url_as(&self, user: User) -> String {
        url_of(&server(), user, &self.name)
    }

    /// The superuser's URL through pgBouncer, which lends connections by transaction.
    pub fn url_pooled(&self) -> String {
        url_of(&crate::from_runner("RIVET_TEST_PGBOUNCER_URL"), User::Superuser, &self.name)
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        let server = server();
        let address = server.rsplit_once('@').unwrap().1.split_once('/').unwrap().0;
        address.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// Runs statements as the superuser.
    pub fn run(&mut self, sql: &str) -> &mut Self {
        self.client.batch_execute(sql).unwrap_or_else(|error| panic!("{}\n{sql}", text_of(&error)));
        self
    }

    /// Another connection as the superuser, e.g. for a writer on a thread of its own.
    pub fn connect(&self) -> Client {
        connect(&self.url())
    }

    /// The rows of a query, each value as the server prints it.
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let messages = self.client.simple_query(sql).unwrap_or_else(|error| panic!("{}\n{sql}", text_of(&error)));
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
            _ => None,
        });
        rows.collect()
    }

    /// The first value of a query's only row.
    pub fn value(&mut self, sql: &str) -> Option<String> {
        self.rows(sql).into_iter().next().and_then(|row| row.into_iter().next().flatten())
    }

    /// What `COPY (sql) TO STDOUT` prints, with options such as `FORMAT csv`.
    pub fn copy_out(&mut self, sql: &str, options: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let copy = format!("COPY ({sql}) TO STDOUT ({options})");
        self.client
            .copy_out(&copy)
            .unwrap_or_else(|error| panic!("{}", text_of(&error)))
            .read_to_end(&mut bytes)
            .unwrap();
        bytes
    }

    /// A query's result in the readers' canonical form: what a faithful export of it must hold.
    ///
    /// The server itself makes the form, from its catalogue's types. Arrays, composites, ranges,
    /// domains and enums included; what has no form of its own is the server's text. A column
    /// whose export takes another form (an override, a policy) is written that way in the query.
    pub fn canonical(&mut self, sql: &str) -> Table {
        // An export's text doesn't depend on the session: nor does what it is compared with.
        self.run(
            "SET timezone = 'UTC'; SET intervalstyle = 'iso_8601'; SET datestyle = 'ISO'; SET extra_float_digits = 1",
        );
        let prepared = self.client.prepare(sql).unwrap_or_else(|error| panic!("{}\n{sql}", text_of(&error)));
        let described: Vec<(String, u32)> =
            prepared.columns().iter().map(|column| (column.name().to_owned(), column.type_().oid())).collect();
        let mut columns = Vec::new();
        let mut select = Vec::new();
        for (number, (name, oid)) in described.into_iter().enumerate() {
            let form = self.form(oid, &format!("r.c{number}"));
            columns.push(Column { name, kind: form.kind.to_owned(), readers: Vec::new() });
            select.push(format!("to_jsonb({})::text", form.sql));
        }
        let names: Vec<String> = (0..columns.len()).map(|number| format!("c{number}")).collect();
        let rows = self.rows(&format!("SELECT {} FROM ({sql}) AS r({})", select.join(", "), names.join(", ")));
        let parse = |value: Option<String>| value.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        Table { columns, rows: rows.into_iter().map(|row| row.into_iter().map(parse).collect()).collect() }
    }

    /// The kind of a type and the expression, text or jsonb, that gives a value's canonical form.
    fn form(&mut self, oid: u32, value: &str) -> Form {
        let about = self.client.query_one(
            "SELECT t.typname::text, t.typtype::text, t.typbasetype, t.typrelid, t.typcategory::text, t.typelem,
                    coalesce((SELECT rngsubtype FROM pg_range WHERE rngtypid = t.oid), 0::oid),
                    coalesce((SELECT rngtypid FROM pg_range WHERE rngmultitypid = t.oid), 0::oid)
             FROM pg_type AS t WHERE t.oid = $1",
            &[&oid],
        );
        let about = about.unwrap();
        let (name, class): (String, String) = (about.get(0), about.get(1));
        let (base, relation, category): (u32, u32, String) = (about.get(2), about.get(3), about.get(4));
        let (element, bound, range): (u32, u32, u32) = (about.get(5), about.get(6), about.get(7));
        match (class.as_str(), name.as_str()) {
            ("d", _) => self.form(base, value),
            ("r", _) => {
                let (lower, upper) = (self.form(bound, &format!("lower({value})")), self.form(bound, &format!("upper({value})")));
                Form::new(
                    "struct",
                    value,
                    format!(
                        "jsonb_build_object('lower', {}, 'upper', {}, 'lower_inclusive', lower_inc({value})::text,
                                            'upper_inclusive', upper_inc({value})::text, 'empty', isempty({value})::text)",
                        lower.sql, upper.sql
                    ),
                )
            }
            ("m", _) => {
                let one = self.form(range, "e.e");
                let items = format!("jsonb_agg({} ORDER BY e.n)", one.sql);
                let set = format!("unnest({value}) WITH ORDINALITY AS e(e, n)");
                let sql = format!("CASE WHEN {value} IS NOT NULL THEN (SELECT coalesce({items}, '[]') FROM {set}) END");
                Form { kind: "list", sql }
            }
            ("c", _) => {
                let fields = self.client.query(
                    "SELECT attname::text, quote_ident(attname), atttypid FROM pg_attribute
                     WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                    &[&relation],
                );
                let fields: Vec<String> = fields
                    .unwrap()
                    .iter()
                    .map(|field| {
                        let form = self.form(field.get(2), &format!("({value}).{}", field.get::<_, &str>(1)));
                        format!("jsonb_build_object('{}', {})", field.get::<_, &str>(0).replace('\'', "''"), form.sql)
                    })
                    .collect();
                // `IS NULL` also holds for a row of NULLs, which is a value.
                let text = format!("CASE WHEN num_nulls({value}) = 0 THEN {} END", fields.join(" || "));
                Form { kind: "struct", sql: text }
            }
            (_, "bool") => Form::text("boolean", format!("{value}::text")),
            (_, "int2" | "int4" | "int8" | "oid" | "xid") => Form::text("int", format!("{value}::text")),
            (_, "float4") => Form::text("float32", format!("{value}::text")),
            (_, "float8") => Form::text("float64", format!("{value}::text")),
            (_, "numeric") => Form::text("decimal", format!("{value}::text")),
            (_, "money") => Form::text("decimal", format!("{value}::numeric::text")),
            (_, "bytea") => Form::text("binary", format!("encode({value}, 'hex')")),
            (_, "uuid") => Form::text("uuid", format!("{value}::text")),
            (_, "date") => Form::text("date", format!("({value} - date '1970-01-01')::text")),
            (_, "time") => Form::text("time_us", format!("trunc(extract(epoch FROM {value}) * 1000000)::text")),
            (_, "timestamp") => Form::text("timestamp_us", format!("trunc(extract(epoch FROM {value}) * 1000000)::text")),
            (_, "timestamptz") => Form::text("timestamptz_us", format!("trunc(extract(epoch FROM {value}) * 1000000)::text")),
            (_, "hstore") => Form {
                kind: "map",
                sql: format!(
                    "CASE WHEN {value} IS NOT NULL THEN (SELECT coalesce(jsonb_agg(jsonb_build_array(e.key, e.value)), '[]')
                     FROM each({value}) AS e) END"
                ),
            },
            // Fixed-length types such as point have elements too, but are no arrays.
            _ if category == "A" && element != 0 => self.list(element, value),
            // What the server prints; a cast to text drops a char's padding and adds an inet's mask.
            _ => Form::text("text", format!("CASE WHEN {value} IS NOT NULL THEN format('%s', {value}) END")),
        }
    }

    fn list(&mut self, element: u32, value: &str) -> Form {
        let one = self.form(element, "e.e");
        // A set of composites would unfold into their fields: it is indexed instead.
        Form {
            kind: "list",
            sql: format!(
                "CASE WHEN {value} IS NOT NULL THEN (SELECT coalesce(jsonb_agg({} ORDER BY e.n), '[]')
                 FROM (SELECT ({value})[n] AS e, n FROM generate_subscripts({value}, 1) AS n) AS e) END",
                one.sql
            ),
        }
    }
}

struct Form {
    kind: &'static str,
    sql: String,
}

impl Form {
    fn text(kind: &'static str, sql: String) -> Self {
        Self { kind, sql }
    }

    fn new(kind: &'static str, value: &str, sql: String) -> Self {
        Self { kind, sql: format!("CASE WHEN {value} IS NOT NULL THEN {sql} END") }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // In a panicking test the server may be the reason: the runner removes everything anyway.
        if let Ok(mut client) = Client::connect(&server(), NoTls) {
            let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

/// A connection without TLS.
pub fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap_or_else(|error| panic!("{}", text_of(&error)))
}

fn url_of(server: &str, user: User, database: &str) -> String {
    let address = server.rsplit_once('@').unwrap().1.split_once('/').unwrap().0;
    let user = match user {
        User::Superuser => "postgres",
        User::Reader => "reader",
        User::TlsOnly => "tlsonly",
    };
    format!("postgresql://{user}:{PASSWORD}@{address}/{database}")
}

/// The server's own words, which the error's `Display` leaves out.
fn text_of(error: &postgres::Error) -> impl Display {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |server| format!("{}: {}", server.code().code(), server.message()))
}
