//! Generated rows: the smallest complete rivet plugin, and the template of new ones.
//!
//! It serves one table, `numbers`: an `id` that counts from zero, an exact `amount`, and a
//! nullable `word`. Its slices are ranges of `id`.

#![forbid(unsafe_code)]

use std::sync::Arc;

use rivet_sdk::arrow_array::{Decimal128Array, Int64Array, RecordBatch, StringArray};
use rivet_sdk::arrow_schema::{DataType, Field, SchemaRef};
use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{
    BatchSink, Bound, Bounds, BoundsRequest, Condition, Context, Description, Error, ExportRequest, ExportStats,
    Fidelity, Identity, Key, KeyColumn, NativeSplit, OneReadPoint, Relation, Result, Scalar, Slice, Source,
    SourceDriver, Split, SplitBy, SplitInto, SplitRequest, TableFilter, TableName, TableSummary, TypeMapping,
    capability, schema_of,
};

rivet_sdk::plugin! {
    name: "example",
    schemes: ["example"],
    source: ExampleDriver, options: include_str!("../options.schema.json"),
}

/// What the user configures: `source: {type: example, rows: 1000}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct ExampleOptions {
    /// How many rows the table has.
    #[serde(default = "default_rows")]
    pub rows: u32,
}

fn default_rows() -> u32 {
    1000
}

/// Opens [`Example`] sources.
#[derive(Debug)]
pub struct ExampleDriver;

impl SourceDriver for ExampleDriver {
    type Options = ExampleOptions;
    type Source = Example;
    const CAPABILITIES: &'static [&'static str] =
        &[capability::TABLES, capability::SPLIT_RANGE, capability::BOUNDS, capability::COUNT, capability::SNAPSHOT];

    fn open(options: ExampleOptions, context: &Context) -> Result<Example> {
        Ok(Example { rows: i64::from(options.rows), context: context.clone() })
    }
}

/// One instance: here without a connection.
#[derive(Debug)]
pub struct Example {
    rows: i64,
    context: Context,
}

impl Source for Example {
    fn identity(&mut self) -> Result<Identity> {
        Ok(Identity::new("Example", env!("CARGO_PKG_VERSION"), format!("example:{}", self.rows), "generated"))
    }

    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        let mappings = self.type_mappings(request)?;
        let schema = schema_of(&mappings)?;
        sink.on_schema(Arc::clone(&schema))?;
        let (mut next, end) = self.id_range(request)?;
        let mut stats = ExportStats::default();
        let step =
            i64::try_from(request.batch.rows.clamp(1, 1 << 16)).map_err(|error| Error::internal(error.to_string()))?;
        while next < end {
            self.context.check()?;
            let ids = next..end.min(next + step);
            next = ids.end;
            let batch = rows(&schema, ids)?;
            stats.rows += batch.num_rows() as u64;
            sink.on_batch(batch)?;
        }
        Ok(stats)
    }

    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>> {
        match sql {
            "count" => Ok(Some(Scalar::Integer(self.rows.into()))),
            other => Err(Error::unsupported(format!("the example answers only `count`, not `{other}`"))),
        }
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        check_table(&request.relation)?;
        if let Some(column) = request.columns.iter().find(|column| column.wanted.is_some()) {
            return Err(Error::config(format!("the example cannot convert `{}`", column.name))
                .with_hint("drop it from `columns`"));
        }
        let all = [
            ("id", "bigint", Field::new("id", DataType::Int64, false)),
            ("amount", "decimal(12,2)", Field::new("amount", DataType::Decimal128(12, 2), false)),
            ("word", "text", Field::new("word", DataType::Utf8, true)),
        ];
        let wanted = |name: &str| {
            let listed = !request.columns_complete || request.columns.iter().any(|column| column.name == name);
            listed && !request.exclude.iter().any(|excluded| excluded == name)
        };
        if let Some(unknown) = request.columns.iter().find(|column| all.iter().all(|(name, ..)| *name != column.name)) {
            return Err(
                Error::not_found(format!("no column `{}`", unknown.name)).with_hint("columns: id, amount, word")
            );
        }
        all.iter()
            .filter(|(name, ..)| wanted(name))
            .map(|(name, source_type, field)| TypeMapping::new(name, source_type, Fidelity::Exact, field))
            .collect()
    }

    fn tables(&mut self, _: &TableFilter) -> Result<Vec<TableSummary>> {
        let rows = u64::try_from(self.rows).ok();
        Ok(vec![TableSummary::new(TableName::unqualified("numbers"), "table").with_rows(rows)])
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        check_table(relation)?;
        let id = KeyColumn::new("id", "bigint").with_nullable(false).with_rangeable(true);
        Ok(Description::new(relation.clone(), "table")
            .with_keys(vec![Key::new("numbers_pk", vec![id]).with_primary(true).with_unique(true)])
            .with_rows(u64::try_from(self.rows).ok())
            .with_native(NativeSplit::Impossible("generated rows have no place".into()))
            .with_one_read_point(OneReadPoint::Snapshot))
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        match &request.by {
            SplitBy::Range { column } if column == "id" => {}
            other => return Err(Error::unsupported(format!("the example splits by ranges of `id`, not by {other:?}"))),
        }
        let rows = u64::try_from(self.rows).map_err(|error| Error::internal(error.to_string()))?;
        let count = match request.into {
            SplitInto::Count(count) => count.clamp(1, rows.max(1)),
            SplitInto::Rows(size) => rows.div_ceil(size.max(1)).max(1),
            other => return Err(Error::unsupported(format!("the example cannot split into {other:?}"))),
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

    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        if request.key != ["id"] {
            return Err(Error::unsupported("the example has one key: id"));
        }
        let (start, end) = self.id_range(&request.of)?;
        let value = |id: i64| (start < end).then(|| vec![Scalar::Integer(id.into())]);
        Ok(Bounds::new(value(start), value(end - 1), 0))
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let (start, end) = self.id_range(request)?;
        Ok(u64::try_from(end - start).unwrap_or_default())
    }
}

impl Example {
    /// The half-open range of ids that meet the request's conditions.
    fn id_range(&self, request: &ExportRequest) -> Result<(i64, i64)> {
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
                other => return Err(Error::unsupported(format!("the example cannot select by {other:?}"))),
            }
        }
        if let Some(limit) = request.limit {
            end = end.min(start.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX)));
        }
        Ok((start, end.max(start)))
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
        _ => Err(Error::not_found(format!("no table `{relation}`")).with_hint("the example has one table: numbers")),
    }
}

fn rows(schema: &SchemaRef, ids: std::ops::Range<i64>) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        "id" => Ok(Arc::new(Int64Array::from_iter_values(ids.clone())) as _),
        "amount" => {
            let amounts = Decimal128Array::from_iter_values(ids.clone().map(|id| i128::from(id) * 7 % 1_000_000));
            Ok(Arc::new(amounts.with_precision_and_scale(12, 2)?) as _)
        }
        _ => Ok(Arc::new(StringArray::from_iter(ids.clone().map(word))) as _),
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_>>()?)?)
}

/// Every fifth word is NULL, and every seventh empty: they must not become the same.
fn word(id: i64) -> Option<String> {
    match id {
        id if id % 5 == 4 => None,
        id if id % 7 == 0 => Some(String::new()),
        id => Some(format!("row {id}")),
    }
}
