//! A source that misbehaves on demand: panics, hangs, lies, leaks. Otherwise it generates rows
//! as the example plugin does.
//!
//! `RIVET_HOSTILE` says how ([`order`]). It is an environment variable and not an option, so that a
//! run can be resumed under the same configuration once the plugin behaves again.
//!
//! What safe Rust over the SDK cannot do wrong, a layer between it and the host does ([`raw`]); so its
//! symbols are written out ([`exports`]), not made by `plugin!`.

mod broken;
mod exports;
mod order;
mod raw;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rivet_sdk::arrow_array::{Int64Array, RecordBatch, StringArray};
use rivet_sdk::arrow_schema::{DataType, Field, SchemaRef};
use rivet_sdk::log;
use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::{Deserialize, Deserializer};
use rivet_sdk::{
    BatchSink, Bound, Condition, Context, Description, Error, ExportRequest, ExportStats, Fidelity, Identity,
    Interrupt, Key, KeyColumn, NativeSplit, OneReadPoint, Relation, Result, Scalar, Secret, Slice, Source,
    SourceDriver, Split, SplitBy, SplitInto, SplitRequest, TypeMapping, capability, schema_of,
};

pub use order::{Misbehaviour, Order};

/// What a test configures.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct HostileOptions {
    /// How many rows the table has.
    #[serde(deserialize_with = "rows")]
    pub rows: u32,
    /// What must not be seen.
    pub password: Option<Secret>,
}

fn rows<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<u32, D::Error> {
    if Order::given().is_ok_and(|order| order.is_some_and(|order| order.is(Misbehaviour::PanicInOptions))) {
        panic!("asked to panic in options");
    }
    u32::deserialize(from)
}

/// How often the pressure was read.
static READINGS: AtomicU64 = AtomicU64::new(0);

/// Opens [`Hostile`] sources.
#[derive(Debug)]
pub struct HostileDriver;

impl SourceDriver for HostileDriver {
    type Options = HostileOptions;
    type Source = Hostile;
    const CAPABILITIES: &'static [&'static str] = &[
        capability::SPLIT_RANGE,
        capability::COUNT,
        capability::SNAPSHOT,
        capability::INTERRUPT,
        capability::PRESSURE,
        // Without its rules, as a plugin that was built with an earlier SDK.
        capability::QUERY,
    ];

    fn open(options: HostileOptions, context: &Context) -> Result<Hostile> {
        let order = Order::given()?;
        if order.as_ref().is_some_and(|order| order.is(Misbehaviour::PanicInOpen)) {
            panic!("asked to panic in open");
        }
        Ok(Hostile {
            rows: options.rows.into(),
            password: options.password,
            order,
            context: context.clone(),
            interrupted: Arc::default(),
        })
    }
}

/// One instance.
#[derive(Debug)]
pub struct Hostile {
    rows: i64,
    password: Option<Secret>,
    order: Option<Order>,
    context: Context,
    interrupted: Arc<Interrupted>,
}

impl Source for Hostile {
    fn identity(&mut self) -> Result<Identity> {
        Ok(Identity::new("Hostile", env!("CARGO_PKG_VERSION"), format!("hostile:{}", self.rows), "generated"))
    }

    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        let schema = schema_of(&self.mappings(request)?)?;
        let ids = self.ids(request)?;
        let due = self.order.as_ref().and_then(|order| order.due(&ids));
        let mut stats = ExportStats::default();
        match due {
            Some(Misbehaviour::NoSchema) => return Ok(stats),
            Some(Misbehaviour::BatchBeforeSchema) => sink.on_batch(good_batch(&schema, ids.clone())?)?,
            Some(Misbehaviour::OtherSchema) => sink.on_schema(broken::other_schema(&schema))?,
            _ => {}
        }
        sink.on_schema(Arc::clone(&schema))?;
        let step = i64::try_from(request.batch.rows.clamp(1, 1 << 16)).unwrap_or(1);
        let mut next = ids.start;
        while next < ids.end {
            self.context.check()?;
            let part = next..ids.end.min(next + step);
            next = part.end;
            let batch = match due {
                Some(how) => broken::batch(how, &schema, part)?,
                None => good_batch(&schema, part)?,
            };
            stats.rows += batch.num_rows() as u64;
            sink.on_batch(batch)?;
            if let Some(how) = due {
                self.misbehave(how, &schema, sink, &mut stats)?;
            }
        }
        Ok(stats)
    }

    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>> {
        match sql {
            "count" => Ok(Some(Scalar::Integer(self.rows.into()))),
            other => Err(Error::unsupported(format!("only `count` is answered, not `{other}`"))),
        }
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        if self.order.as_ref().is_some_and(|order| order.is(Misbehaviour::PanicInTypeMappings)) {
            panic!("asked to panic in type_mappings");
        }
        self.mappings(request)
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        check_table(relation)?;
        while self.order.as_ref().is_some_and(|order| order.is(Misbehaviour::HangInDescribe)) {
            std::thread::sleep(Duration::from_secs(3600));
        }
        let id = KeyColumn::new("id", "bigint").with_nullable(false).with_rangeable(true);
        Ok(Description::new(relation.clone(), "table")
            .with_keys(vec![Key::new("numbers_pk", vec![id]).with_primary(true).with_unique(true)])
            .with_rows(u64::try_from(self.rows).ok())
            .with_native(NativeSplit::Impossible("generated rows have no place".into()))
            .with_one_read_point(OneReadPoint::Snapshot))
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        if !matches!(&request.by, SplitBy::Range { column } if column == "id") {
            return Err(Error::unsupported("only ranges of `id` are cut"));
        }
        let rows = u64::try_from(self.rows).unwrap_or_default();
        let count = match request.into {
            SplitInto::Count(count) => count.clamp(1, rows.max(1)),
            SplitInto::Rows(size) => rows.div_ceil(size.max(1)).max(1),
            other => return Err(Error::unsupported(format!("cannot split into {other:?}"))),
        };
        let size = rows.div_ceil(count).max(1);
        let edge = |index: u64| vec![Scalar::Integer((index * size).into())];
        let slices = (0..count).map(|index| {
            let range = || Condition::Range {
                key: vec!["id".into()],
                from: (index > 0).then(|| Bound::inclusive(edge(index))),
                to: (index + 1 < count).then(|| Bound::exclusive(edge(index + 1))),
            };
            Slice::new((count > 1).then(range), Some(rows.saturating_sub(index * size).min(size)))
        });
        Ok(Split::new(slices.collect(), "arithmetic"))
    }

    fn snapshot(&mut self, _: u32) -> Result<Option<rivet_sdk::Snapshot>> {
        Ok(Some(rivet_sdk::Snapshot::new("always", "generated rows never change").with_rejoinable(true)))
    }

    fn join(&mut self, _: &rivet_sdk::Snapshot) -> Result<()> {
        Ok(())
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let ids = self.ids(request)?;
        Ok(u64::try_from(ids.end - ids.start).unwrap_or_default())
    }

    fn pressure(&mut self) -> Result<Option<u64>> {
        Ok(match self.order.as_ref() {
            Some(order) if order.is(Misbehaviour::Pressure) => Some(READINGS.fetch_add(1, Ordering::SeqCst)),
            Some(order) if order.is(Misbehaviour::PressureUnread) => None,
            _ => Some(0),
        })
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        match self.order.as_ref() {
            Some(order) if order.is(Misbehaviour::Hang) => None,
            Some(order) if order.is(Misbehaviour::PanicInInterrupt) => Some(Box::new(PanickingInterrupt)),
            _ => Some(Box::new(Waker(Arc::clone(&self.interrupted)))),
        }
    }
}

impl Hostile {
    /// What happens after a batch.
    fn misbehave(
        &self,
        how: Misbehaviour,
        schema: &SchemaRef,
        sink: &mut dyn BatchSink,
        stats: &mut ExportStats,
    ) -> Result<()> {
        let password = self.password.as_ref().map(Secret::expose).unwrap_or_default();
        match how {
            Misbehaviour::PanicInExport => panic!("asked to panic in export"),
            Misbehaviour::PanicWithPayload => std::panic::panic_any(Grenade(2)),
            Misbehaviour::PanicInThread => {
                let thread = std::thread::spawn(|| panic!("asked to panic in a thread"));
                if thread.join().is_err() {
                    log::warn!("a thread is gone");
                }
            }
            Misbehaviour::Hang | Misbehaviour::PanicInInterrupt => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            Misbehaviour::HangUntilInterrupted => {
                self.interrupted.wait();
                log::warn!("the statement was interrupted");
                return Err(Error::cancelled("interrupted"));
            }
            Misbehaviour::Slow | Misbehaviour::Pressure => std::thread::sleep(Duration::from_millis(20)),
            Misbehaviour::SchemaTwice => sink.on_schema(Arc::clone(schema))?,
            Misbehaviour::WrongCount => stats.rows += 1,
            Misbehaviour::Fail => {
                let kind = self.order.as_ref().map_or(rivet_sdk::ErrorKind::Data, Order::kind);
                return Err(Error::new(kind, "asked to fail").with_hint("stop asking"));
            }
            Misbehaviour::LeakInPieces => {
                for piece in password.as_bytes().chunks(16) {
                    log::warn!(target: "some_client::wire", "{}", String::from_utf8_lossy(piece));
                }
            }
            Misbehaviour::LeakInLog => log::warn!("logged in with {password}"),
            Misbehaviour::LeakInError => {
                return Err(Error::connection(format!("cannot log in with {password}"))
                    .with_hint(format!("try another password than {password}"))
                    .with_context("password", password)
                    .with_chain([format!("{password} was refused")])
                    .with_code(format!("P-{password}"))
                    .with_retry(rivet_sdk::Retry::Permanent));
            }
            Misbehaviour::LeakInPanic => panic!("no one may know {password}"),
            Misbehaviour::LeakInWarning => stats.warnings.push(format!("logged in with {password}")),
            _ => {}
        }
        Ok(())
    }

    fn mappings(&self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        check_table(&request.relation)?;
        let all = [
            ("id", "bigint", Field::new("id", DataType::Int64, false)),
            ("word", "text", Field::new("word", DataType::Utf8, true)),
        ];
        let known = |name: &str| all.iter().any(|(known, ..)| *known == name);
        if let Some(unknown) = request.columns.iter().find(|column| !known(&column.name)) {
            return Err(Error::not_found(format!("no column `{}`", unknown.name)).with_hint("columns: id, word"));
        }
        if let Some(column) = request.columns.iter().find(|column| column.wanted.is_some()) {
            return Err(Error::config(format!("`{}` cannot be converted", column.name)).with_hint("leave it as it is"));
        }
        let wanted = |name: &str| {
            let listed = !request.columns_complete || request.columns.iter().any(|column| column.name == name);
            listed && !request.exclude.iter().any(|excluded| excluded == name)
        };
        all.iter()
            .filter(|(name, ..)| wanted(name))
            .map(|(name, source_type, field)| TypeMapping::new(name, source_type, Fidelity::Exact, field))
            .collect()
    }

    /// The ids that meet the request's conditions.
    fn ids(&self, request: &ExportRequest) -> Result<Range<i64>> {
        let (mut start, mut end) = (0, self.rows);
        for condition in &request.conditions {
            match condition {
                Condition::Range { key, from, to } if key == &["id"] => {
                    if let Some(bound) = from {
                        start = start.max(id_of(bound)? + i64::from(!bound.inclusive));
                    }
                    if let Some(bound) = to {
                        end = end.min(id_of(bound)? + i64::from(bound.inclusive));
                    }
                }
                Condition::Nothing | Condition::Null { .. } | Condition::IsNull { .. } => end = start,
                other => return Err(Error::unsupported(format!("cannot select by {other:?}"))),
            }
        }
        if let Some(limit) = request.limit {
            end = end.min(start.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX)));
        }
        Ok(start..end.max(start))
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if self.order.as_ref().is_some_and(|order| order.is(Misbehaviour::PanicInDrop)) {
            panic!("asked to panic in drop");
        }
    }
}

/// A panic's payload that panics again when it is dropped, this many times.
struct Grenade(u32);

impl Drop for Grenade {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Grenade(self.0 - 1));
        }
    }
}

#[derive(Debug, Default)]
struct Interrupted {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Interrupted {
    fn wait(&self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        while !*asked {
            asked = self.changed.wait(asked).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Waker(Arc<Interrupted>);

impl Interrupt for Waker {
    fn interrupt(&self) -> Result<()> {
        *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
        Ok(())
    }
}

struct PanickingInterrupt;

impl Interrupt for PanickingInterrupt {
    fn interrupt(&self) -> Result<()> {
        panic!("asked to panic in interrupt")
    }
}

impl Drop for PanickingInterrupt {
    fn drop(&mut self) {
        panic!("asked to panic when the interrupt is dropped")
    }
}

fn id_of(bound: &Bound) -> Result<i64> {
    match &bound.values[..] {
        [Scalar::Integer(id)] => i64::try_from(*id).map_err(|error| Error::data(format!("bound {id}: {error}"))),
        other => Err(Error::data(format!("ids are integers, not {other:?}"))),
    }
}

fn check_table(relation: &Relation) -> Result<()> {
    match relation.table() {
        Some(table) if table.name == "numbers" => Ok(()),
        _ => Err(Error::not_found(format!("no table `{relation}`")).with_hint("there is one table: numbers")),
    }
}

/// A batch as it should be: every fifth word is NULL.
fn good_batch(schema: &SchemaRef, ids: Range<i64>) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        "id" => Arc::new(Int64Array::from_iter_values(ids.clone())) as _,
        _ => Arc::new(StringArray::from_iter(ids.clone().map(|id| (id % 5 != 4).then(|| format!("row {id}"))))) as _,
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
}
