//! A complete small SQL driver over the `postgres` crate; `docs/contributing/sql-driver.md` goes through it.
//!
//! It reads tables of PostgreSQL: integers and texts as what they are, everything else as its
//! cast to text. rivet's own driver for PostgreSQL reads the bytes of a COPY where they lie; this one takes rows from a client
//! that somebody else keeps.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator;
use postgres::{CancelToken, Client, Config, NoTls, Row};
use rivet_sdk::arrow_array::ArrayRef;
use rivet_sdk::arrow_array::types::Int64Type;
use rivet_sdk::arrow_schema::DataType;
use rivet_sdk::buffers::{Fixed, Variable, primitive};
use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::sql::columns::{self, Expression, SourceColumn, Target};
use rivet_sdk::sql::rows::{ColumnBuilder, Fault, Rows, Slot};
use rivet_sdk::sql::session::{Stoppable, Stopper, one_value};
use rivet_sdk::sql::{self, Dialect, split};
use rivet_sdk::{
    BatchSink, Context, Description, Error, ErrorKind, ExportRequest, ExportStats, Fidelity, Identity, Interrupt, Key,
    KeyColumn, NativeSplit, OneReadPoint, Relation, Result, Retry, Scalar, Secret, SessionPolicy, Source, SourceDriver,
    Split, SplitBy, SplitRequest, TableFilter, TableName, TableSummary, TypeMapping, WantedType, capability, schema_of,
};

rivet_sdk::plugin! {
    name: "tutorial",
    schemes: ["tutorial"],
    source: TutorialDriver, options: include_str!("../options.schema.json"),
}

/// What the user configures: `source: {type: tutorial, url_env: DATABASE_URL}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct TutorialOptions {
    /// `postgresql://user:password@host/database`; the connection is in plain text.
    pub url: Secret,
}

/// Opens [`Tutorial`] sources.
#[derive(Debug)]
pub struct TutorialDriver;

impl SourceDriver for TutorialDriver {
    type Options = TutorialOptions;
    type Source = Tutorial;
    const CAPABILITIES: &'static [&'static str] =
        &[capability::TABLES, capability::SPLIT_RANGE, capability::COUNT, capability::INTERRUPT];

    fn open(options: TutorialOptions, context: &Context) -> Result<Tutorial> {
        let url = options.url.expose().replacen("tutorial://", "postgresql://", 1);
        let mut config: Config = url.parse().map_err(|error| Error::config("the URL").with_source(&error))?;
        let client = config.connect_timeout(Duration::from_secs(15)).connect(NoTls).map_err(failed)?;
        let stopper = Stopper::of(Stop(client.cancel_token()));
        Ok(Tutorial { client, context: context.clone(), stopper })
    }
}

/// One instance: one connection.
pub struct Tutorial {
    client: Client,
    context: Context,
    stopper: Arc<Stopper<Stop>>,
}

/// What every transaction sets: a value is written in one way whoever logs in, and no row is hidden in silence.
const SETTINGS: &str = "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'iso_8601'; \
     SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 3; SET LOCAL lc_monetary = 'C'; \
     SET LOCAL standard_conforming_strings = on; SET LOCAL row_security = off";

impl Tutorial {
    /// Runs `work` in a transaction that reads only, under these limits. It is over when this returns.
    fn reading<T>(&mut self, limits: &SessionPolicy, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (statement, lock) = (limits.statement_timeout_ms.unwrap_or(0), limits.lock_timeout_ms.unwrap_or(0));
        let begin = format!(
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; {SETTINGS}; \
             SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock}"
        );
        let begun = self.client.batch_execute(&begin).map_err(failed);
        let outcome = begun.and_then(|()| work(self));
        if outcome.is_err() {
            // Rows that nobody wants may still be under way: the client would wait for all of them.
            let _ = self.client.cancel_token().cancel_query(NoTls);
        }
        if let Err(error) = self.client.batch_execute("ROLLBACK") {
            rivet_sdk::log::debug!("ending a transaction: {error}");
        }
        // The server has one code for a statement that was stopped and for one that took too long.
        outcome.map_err(|error| self.stopper.tell(error, |code| (code == "57014").then_some("57014")))
    }

    /// The columns of a table, in its order.
    fn columns(&mut self, relation: &Relation) -> Result<(Table, Vec<Column>)> {
        let table = self.table(relation)?;
        // This locks the table until the transaction ends: nobody alters it between this look and the rows.
        self.client.prepare(&format!("SELECT FROM {}", sql::table(&Postgres, &table.name))).map_err(failed)?;
        // A constraint against NULL may be there and not valid, since PostgreSQL 18.
        let rows = self.client.query(
            "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull AND NOT EXISTS \
             (SELECT FROM pg_catalog.pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n' \
             AND a.attnum = ANY (n.conkey) AND NOT n.convalidated) \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[&table.oid],
        );
        let column = |row: &Row| Ok(Column { name: get(row, 0)?, source_type: get(row, 1)?, not_null: get(row, 2)? });
        Ok((table, rows.map_err(failed)?.iter().map(column).collect::<Result<_>>()?))
    }

    fn table(&mut self, relation: &Relation) -> Result<Table> {
        let Relation::Table(name) = relation else { return Err(Error::unsupported("the tutorial reads tables only")) };
        let found = self.relations("c.oid = pg_catalog.to_regclass($1)", &sql::table(&Postgres, name))?;
        found.into_iter().next().ok_or_else(|| Error::not_found(format!("no plain table `{name}`")).with_code("42P01"))
    }

    /// Tables and views for which `condition` holds; `$1` in it is `parameter`. A table that others inherit from, or are
    /// partitions of, is left out: what its catalogue says of NULL and of keys need not hold for their rows.
    fn relations(&mut self, condition: &str, parameter: &str) -> Result<Vec<Table>> {
        let sql = format!(
            "SELECT c.oid, n.nspname::text, c.relname::text, CASE c.relkind WHEN 'r' THEN 'table' ELSE 'view' END, \
             CASE WHEN c.reltuples > 0 THEN c.reltuples::int8 END FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'v', 'm') AND NOT c.relhassubclass AND {condition} ORDER BY 2, 3"
        );
        let table = |row: &Row| {
            let name = TableName::qualified(get::<String>(row, 1)?, get::<String>(row, 2)?);
            let rows = get::<Option<i64>>(row, 4)?.map(i64::unsigned_abs);
            Ok(Table { oid: get(row, 0)?, name, kind: get(row, 3)?, rows })
        };
        self.client.query(&sql, &[&parameter]).map_err(failed)?.iter().map(table).collect()
    }

    /// The request with every question about its columns answered.
    fn plan(&mut self, request: &ExportRequest) -> Result<Plan> {
        let (table, available) = self.columns(&request.relation)?;
        let chosen = columns::choose(request, &available)?;
        let keys = self.keys(&table)?;
        let primary = keys.iter().filter(|key| key.primary).flat_map(|key| &key.columns);
        let primary: Vec<String> = primary.map(|column| column.name.clone()).collect();
        Ok(Plan::new(&Postgres, request, chosen, express)?.with_key(&primary))
    }

    /// Indexes over plain columns of all rows.
    fn keys(&mut self, table: &Table) -> Result<Vec<Key>> {
        let rows = self.client.query(
            "SELECT c.relname::text, x.indisprimary, x.indisunique AND x.indimmediate, array_agg(a.attname::text ORDER BY k.n), \
             array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY k.n) \
             FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid \
             JOIN pg_catalog.pg_am m ON m.oid = c.relam AND m.amname = 'btree', \
             unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, n), pg_catalog.pg_attribute a \
             WHERE x.indrelid = $1 AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL AND k.n <= x.indnkeyatts \
             AND a.attrelid = x.indrelid AND a.attnum = k.attnum GROUP BY 1, 2, 3 ORDER BY 2 DESC, 1",
            &[&table.oid],
        );
        let key = |row: &Row| {
            let (names, types): (Vec<String>, Vec<String>) = (get(row, 3)?, get(row, 4)?);
            let columns = names.into_iter().zip(types);
            let columns = columns.map(|(name, of)| KeyColumn::new(name, of.as_str()).with_rangeable(is_integer(&of)));
            Ok(Key::new(get::<String>(row, 0)?, columns.collect()).with_primary(get(row, 1)?).with_unique(get(row, 2)?))
        };
        rows.map_err(failed)?.iter().map(key).collect()
    }

    fn number(&mut self, sql: &str) -> Result<u64> {
        let row = self.client.query_one(sql, &[]).map_err(failed)?;
        u64::try_from(get::<i64>(&row, 0)?).map_err(|error| Error::internal(error.to_string()))
    }
}

impl Source for Tutorial {
    fn identity(&mut self) -> Result<Identity> {
        let sql = "SELECT current_setting('server_version'), datname::text, oid::text || '@' || \
                   (SELECT system_identifier FROM pg_catalog.pg_control_system()) \
                   FROM pg_catalog.pg_database WHERE datname = current_database()";
        self.reading(&SessionPolicy::PLANNING, |source| {
            let row = source.client.query_one(sql, &[]).map_err(failed)?;
            let (version, database): (String, String) = (get(&row, 0)?, get(&row, 1)?);
            Ok(Identity::new("PostgreSQL", version, format!("postgresql:{}", get::<String>(&row, 2)?), database))
        })
    }

    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        self.reading(&request.session, |source| {
            let plan = source.plan(request)?;
            let schema = schema_of(&plan.mappings()?)?;
            sink.on_schema(Arc::clone(&schema))?;
            let builder = |column: &columns::Planned<Column, Kind>, capacity| Ok(Values::new(*column.kind(), capacity));
            let mut rows = Rows::new(&plan.columns, request, schema, &source.context, sink, builder)?;
            let sql = format!("SELECT {} {}", plan.list(&Postgres), sql::tail(&Postgres, request)?);
            let started = Instant::now();
            let mut answer = source.client.query_raw::<_, &str, _>(&sql, []).map_err(failed)?;
            while let Some(row) = answer.next().map_err(failed)? {
                rows.begin(0)?;
                let (largest, mut received) = (rows.max_value_bytes(), 0);
                for index in 0..rows.width() {
                    match rows.slots().get_mut(index).map_or(Ok(0), |slot| push(slot, &row, index, largest)) {
                        Ok(bytes) => received += bytes,
                        Err(fault) => {
                            let key = plan.key_of(|index, _| printed(&row, index));
                            return Err(rows.refuse(index, fault, key));
                        }
                    }
                }
                rows.end_row(received)?;
            }
            Ok(rows.finish()?.with_longest_statement(started.elapsed()))
        })
    }

    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>> {
        self.reading(&SessionPolicy::PLANNING, |source| {
            let statement = source.client.prepare(sql).map_err(failed)?;
            let rows = source.client.query_raw::<_, &str, _>(&statement, []).map_err(failed)?;
            let rows: Vec<Row> = rows.take(2).collect().map_err(failed)?;
            one_value(statement.columns(), rows.iter().map(|row| [row]))?.map(|(_, row)| scalar(row)).transpose()
        })
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        self.reading(&request.session, |source| source.plan(request)?.mappings())
    }

    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        let user = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND $1 IN ('', n.nspname::text) \
                    AND pg_catalog.has_table_privilege(c.oid, 'SELECT')";
        let schema = filter.schema.as_deref().unwrap_or_default();
        let found = self.reading(&SessionPolicy::PLANNING, |source| source.relations(user, schema))?;
        Ok(found.into_iter().map(|table| TableSummary::new(table.name, table.kind).with_rows(table.rows)).collect())
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        self.reading(&SessionPolicy::PLANNING, |source| {
            let table = source.table(relation)?;
            let keys = source.keys(&table)?;
            Ok(Description::new(Relation::Table(table.name), table.kind)
                .with_keys(keys)
                .with_rows(table.rows)
                .with_native(NativeSplit::Impossible("the tutorial does not cut by blocks".to_owned()))
                .with_one_read_point(OneReadPoint::Statement))
        })
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        let SplitBy::Range { column } = &request.by else {
            return Err(Error::unsupported("the tutorial cuts by ranges of an integer"));
        };
        let of = &request.of;
        self.reading(&of.session, |source| {
            let (_, available) = source.columns(&of.relation)?;
            let key = columns::find_key(std::slice::from_ref(column), &available, &of.relation)?;
            if let Some(column) = key.iter().find(|column| !is_integer(&column.source_type)) {
                return Err(split::no_order(&column.name, &column.source_type, "integers work"));
            }
            let rows =
                source.number(&format!("SELECT count(*) FROM (SELECT 1 {}) AS counted", sql::tail(&Postgres, of)?))?;
            let count = split::wanted(request.into, Some(rows));
            if count <= 1 {
                return Ok(split::whole(Some(rows), "not worth cutting"));
            }
            // The first value of each of `count` parts of about equally many rows, but for the first part's.
            let name = Postgres.name(column);
            let bounds = format!(
                "SELECT DISTINCT k FROM (SELECT min(k)::int8 AS k, n FROM (SELECT {name} AS k, ntile({count}) OVER \
                 (ORDER BY {name}) AS n {} ) AS keys WHERE k IS NOT NULL GROUP BY n) AS parts WHERE n > 1 ORDER BY k",
                sql::tail(&Postgres, of)?
            );
            let found = source.client.query(&bounds, &[]).map_err(failed)?;
            let bounds = found.iter().map(|row| Ok(vec![Scalar::Integer(get::<i64>(row, 0)?.into())]));
            let bounds = bounds.collect::<Result<_>>()?;
            let (nulls, method) = (split::nullable(&key), "a sort of the key");
            Ok(split::even_slices(std::slice::from_ref(column), bounds, nulls, Some(rows), method))
        })
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM (SELECT 1 {}) AS counted", sql::tail(&Postgres, request)?);
        self.reading(&request.session, |source| source.number(&sql))
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        Some(Box::new(Arc::clone(&self.stopper)))
    }
}

/// Stops a statement from another thread, over a connection of its own.
struct Stop(CancelToken);

impl Stoppable for Stop {
    fn stop(&self) -> Result<()> {
        self.0.cancel_query(NoTls).map_err(failed)
    }

    fn give_up(&self, why: &Error) -> Error {
        // This client cannot end its connection from here: the host leaves the instance behind.
        Error::connection("the statement could not be stopped").with_source(why)
    }
}

struct Table {
    oid: u32,
    name: TableName,
    kind: String,
    rows: Option<u64>,
}

/// A column as the catalogue has it.
#[derive(Clone)]
struct Column {
    name: String,
    source_type: String,
    not_null: bool,
}

impl SourceColumn for Column {
    const UNKNOWN_CODE: &'static str = "42703";
    const UNREADABLE_CODE: &'static str = "42501";

    fn name(&self) -> &str {
        &self.name
    }

    fn source_type(&self) -> &str {
        &self.source_type
    }

    fn is_not_null(&self) -> bool {
        self.not_null
    }
}

type Plan = columns::Plan<Column, Kind>;

/// What values become.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Int,
    Text,
}

impl Target for Kind {
    fn data_type(&self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Text => DataType::Utf8,
        }
    }

    fn may_not_fit(&self) -> bool {
        false
    }
}

fn is_integer(source_type: &str) -> bool {
    matches!(source_type, "smallint" | "integer" | "bigint")
}

/// The table of types: what stands in the select list, and what becomes of it.
fn express(name: &str, column: &Column, wanted: Option<WantedType>) -> Result<Expression<Kind>> {
    let text = || Expression::new(format!("{name}::text"), Kind::Text, Fidelity::Text);
    Ok(match (wanted, column.source_type.as_str()) {
        (Some(WantedType::Text), _) => text(),
        (Some(wanted), _) => return Err(columns::cannot_become(column, wanted, "text")),
        (None, "bigint") => Expression::new(name, Kind::Int, Fidelity::Exact),
        (None, "smallint" | "integer") => Expression::new(format!("{name}::int8"), Kind::Int, Fidelity::Compatible),
        // Not as a cast has it: that would take blanks off the end of character(n).
        (None, of) if of == "text" || of.starts_with("character") => Expression::new(name, Kind::Text, Fidelity::Exact),
        (None, _) => text(),
    })
}

/// One column being built.
enum Values {
    Int(Fixed<i64>),
    Text(Variable),
}

impl Values {
    fn new(kind: Kind, capacity: usize) -> Self {
        match kind {
            Kind::Int => Self::Int(Fixed::new(capacity)),
            Kind::Text => Self::Text(Variable::new(capacity)),
        }
    }
}

impl ColumnBuilder for Values {
    const GROWTH: usize = 1;

    fn push_null(&mut self) {
        match self {
            Self::Int(values) => values.push_null(),
            Self::Text(values) => values.push_null(),
        }
    }

    fn variable_bytes(&self) -> usize {
        if let Self::Text(values) = self { values.data.len() } else { 0 }
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        match self {
            Self::Int(values) => Ok(primitive::<Int64Type>(values, &DataType::Int64)),
            Self::Text(values) => values.text(),
        }
    }
}

/// Gives a value to its column: how many bytes it has. A value that is not what was planned is malformed.
fn push(slot: &mut Slot<'_, Values>, row: &Row, index: usize, largest: usize) -> Result<usize, Fault> {
    match &mut slot.builder {
        Values::Int(values) => {
            if let Some(number) = row.try_get(index).map_err(|_| Fault::Malformed)? {
                values.push(number);
                return Ok(8);
            }
        }
        Values::Text(values) => match row.try_get::<_, Option<&str>>(index).map_err(|_| Fault::Malformed)? {
            Some(text) if text.len() > largest => return Err(Fault::TooLarge(text.len())),
            Some(text) => return Ok(values.push(text.as_bytes()).map(|()| text.len())?),
            None => {}
        },
    }
    slot.push_null().map(|()| 1)
}

/// A number or a text for an error message.
fn printed(row: &Row, index: usize) -> Option<String> {
    let number = || row.try_get::<_, i64>(index).ok().map(|number| number.to_string());
    row.try_get(index).ok().or_else(number)
}

/// The only value of a row.
fn scalar(row: &Row) -> Result<Scalar> {
    let of = row.columns().first().map_or("", |column| column.type_().name());
    Ok(match of {
        "int8" => get::<Option<i64>>(row, 0)?.map_or(Scalar::Null, |value| Scalar::Integer(value.into())),
        "text" => get::<Option<String>>(row, 0)?.map_or(Scalar::Null, Scalar::Text),
        other => return Err(Error::unsupported(format!("the query returns a {other}")).with_hint("cast it to text")),
    })
}

/// A value of an answer of the catalogue.
fn get<'r, T: postgres::types::FromSql<'r>>(row: &'r Row, index: usize) -> Result<T> {
    row.try_get(index).map_err(|error| Error::internal("an answer in another form").with_source(&error))
}

/// PostgreSQL's SQL.
struct Postgres;

impl Dialect for Postgres {
    fn literal(&self, value: &Scalar) -> Result<String> {
        match value {
            // Without a type it takes the column's own. Only integers are cut.
            Scalar::Integer(value) => Ok(format!("'{value}'")),
            other => Err(Error::unsupported(format!("a bound of {other:?}"))),
        }
    }
}

/// What the server or the connection says, by its code and not by its text: the kind decides what the host does.
fn failed(error: postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else {
        return Error::connection("the connection to PostgreSQL failed").with_source(&error);
    };
    let code = said.code().code();
    let kind = match (code, code.get(..2).unwrap_or_default()) {
        ("42501", _) => ErrorKind::Permission,
        ("42P01" | "42703" | "3D000" | "3F000", _) => ErrorKind::NotFound,
        ("57014" | "55P03", _) => ErrorKind::Timeout,
        ("40001" | "40P01", _) => ErrorKind::Transient,
        (_, "28") => ErrorKind::Auth,
        (_, "53") => ErrorKind::ResourceExhausted,
        (_, "08" | "57") => ErrorKind::Connection,
        (_, "42") => ErrorKind::InvalidQuery,
        (_, "22") => ErrorKind::Data,
        _ => ErrorKind::Other,
    };
    let error = Error::new(kind, said.message()).with_code(code).with_source(&error);
    if kind == ErrorKind::ResourceExhausted { error.with_retry(Retry::Transient(None)) } else { error }
}
