//! For tests: a store in memory that can be killed at any operation, and runs to fill it with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rivet_sdk::{
    Destination, Error, Object, ObjectWriter, OnUnrepresentable, Relation, Result, SessionPolicy, WriteOptions,
};

use crate::commit::keys::{RunKey, success};
use crate::commit::{
    Decision, Outcome, begin_attempt, commit, decision, fence, publish_plan, publish_report, resume_point, take_over,
};
use crate::crash::crash_point;
use crate::plan::*;

/// When a [`Memory`] dies: at its n-th change, with or without the effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death {
    pub at: usize,
    pub after_effect: bool,
}

/// Objects in memory; clones share them, each with a life of its own.
#[derive(Clone, Default)]
pub(super) struct Memory {
    pub objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub death: Option<Death>,
    changes: Arc<Mutex<usize>>,
}

impl Memory {
    pub fn dying(&self, death: Death) -> Self {
        Self { objects: Arc::clone(&self.objects), death: Some(death), changes: Arc::default() }
    }

    /// A copy of all objects, in a store of its own.
    pub fn copy(&self) -> Self {
        Self { objects: Arc::new(Mutex::new(self.objects.lock().unwrap().clone())), ..Self::default() }
    }

    fn dead() -> Error {
        Error::connection("killed")
    }

    fn change<T>(&self, effect: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> Result<T> {
        let mut changes = self.changes.lock().unwrap();
        let now = *changes;
        *changes += 1;
        let mut objects = self.objects.lock().unwrap();
        match self.death {
            Some(death) if now > death.at || (now == death.at && !death.after_effect) => Err(Self::dead()),
            Some(death) if now == death.at => {
                effect(&mut objects);
                Err(Self::dead())
            }
            _ => Ok(effect(&mut objects)),
        }
    }

    fn look<T>(&self, read: impl FnOnce(&BTreeMap<String, Vec<u8>>) -> T) -> Result<T> {
        if self.death.is_some_and(|death| *self.changes.lock().unwrap() > death.at) {
            return Err(Self::dead());
        }
        Ok(read(&self.objects.lock().unwrap()))
    }
}

fn object(key: &str, body: &[u8]) -> Object {
    Object::new(key, body.len() as u64)
}

impl Destination for Memory {
    fn location(&self) -> String {
        "memory".to_owned()
    }
    fn create(&mut self, key: &str, _: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(MemoryWriter { to: self.clone(), key: key.to_owned(), body: Vec::new() }))
    }
    fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool> {
        self.change(|objects| {
            let absent = !objects.contains_key(key);
            objects.entry(key.to_owned()).or_insert_with(|| body.to_owned());
            absent
        })
    }
    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object> {
        self.change(|objects| objects.insert(key.to_owned(), body.to_owned()))?;
        Ok(object(key, body))
    }
    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        self.look(|objects| objects.get(key).cloned())
    }
    fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
        let (skip, take) = (usize::try_from(offset).unwrap(), usize::try_from(length).unwrap());
        self.look(|objects| objects.get(key).map(|body| body.iter().skip(skip).take(take).copied().collect()))
    }
    fn head(&mut self, key: &str) -> Result<Option<Object>> {
        self.look(|objects| objects.get(key).map(|body| object(key, body)))
    }
    fn list(&mut self, prefix: &str) -> Result<Vec<Object>> {
        self.look(|objects| {
            objects.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(key, body)| object(key, body)).collect()
        })
    }
    fn delete(&mut self, key: &str) -> Result<()> {
        self.change(|objects| objects.remove(key)).map(|_| ())
    }
}

struct MemoryWriter {
    to: Memory,
    key: String,
    body: Vec<u8>,
}

impl ObjectWriter for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.body.extend(bytes);
        Ok(())
    }
    fn finish(&mut self) -> Result<Object> {
        let (key, body) = (self.key.clone(), self.body.clone());
        self.to.put(&key, &body)
    }
    fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A plan of two chunks under `day=1/`; run ids are ordered by `number`.
pub(super) fn plan(number: u8, write_mode: WriteMode) -> Plan {
    let relation = serde_json::json!({"table": {"schema": "public", "name": "orders"}});
    Plan {
        plan_version: PLAN_VERSION,
        run_id: format!("01JD00000000000000000000{number:02}"),
        export: "orders".to_owned(),
        created_at: "2026-01-01T00:00:00Z".to_owned(),
        config_fingerprint: "fingerprint".to_owned(),
        config_fingerprint_v2: None,
        source: SourceSpec {
            plugin: "postgres".to_owned(),
            options: serde_json::json!({"password_env": "PASSWORD"}),
            identity: "id".to_owned(),
            product: "PostgreSQL".to_owned(),
        },
        relation: serde_json::from_value(relation).unwrap_or(Relation::Query("SELECT 1".to_owned())),
        columns: Vec::new(),
        conditions: Vec::new(),
        order_by: Vec::new(),
        quality: None,
        incremental: None,
        repairs: None,
        chunks: (0..2).map(|index| Chunk { index, ..Chunk::whole() }).collect(),
        strategy: Strategy { kind: StrategyKind::None, key: Vec::new(), reason: String::new(), method: String::new() },
        consistency: ConsistencyPolicy::PerChunk,
        one_read_point: rivet_sdk::OneReadPoint::Statement,
        on_unrepresentable: OnUnrepresentable::Fail,
        output: OutputSpec {
            partition: None,
            format: Format::Csv(CsvSpec {
                delimiter: ',',
                quote: '"',
                quote_all: false,
                null: String::new(),
                header: true,
                line_ending: "\n".to_owned(),
            }),
            compression: Compression { codec: Codec::None, level: None },
            max_file_size_bytes: None,
            skip_empty: false,
            exported_at_us: None,
            row_hash: false,
        },
        destination: DestinationSpec {
            plugin: "local".to_owned(),
            options: serde_json::Value::Null,
            place: None,
            data_prefix: "day=1/".to_owned(),
            write_mode,
            verify: Verify::Content,
        },
        execution: Execution {
            parallel: 2,
            min_parallel: None,
            batch_rows: 1,
            batch_bytes: 1,
            session: SessionPolicy::default(),
            max_attempts: 1,
            retry_backoff_ms: 0,
            throttle_ms: 0,
            chunk_deadline_ms: None,
            max_value_bytes: 1,
        },
        requires: Vec::new(),
        made_by: None,
        as_read: Default::default(),
    }
}

/// The plan of a repair of `base`, which is committed, that reads `chunks` again.
pub(super) fn repair_of(dest: &mut dyn Destination, number: u8, base: &Plan, chunks: &[u32]) -> Plan {
    let found = decision(dest, &RunKey::of(base).unwrap()).unwrap();
    let Decision::Committed { manifest, checksum } = found else { panic!("{found:?}") };
    let repairs = Repairs {
        run_id: manifest.run_id.clone(),
        first: manifest.first().to_owned(),
        first_committed_at: manifest.first_committed_at().to_owned(),
        manifest_checksum: checksum,
        chunks: chunks.to_vec(),
    };
    Plan { repairs: Some(repairs), ..plan(number, base.destination.write_mode) }
}

/// Writes one part of an attempt, as a worker does.
pub(super) fn write_part(
    dest: &mut dyn Destination,
    plan: &Plan,
    chunk: u32,
    attempt: &str,
    number: u32,
) -> Result<Part> {
    let run = RunKey::of(plan)?;
    let key = run.part(&plan.destination.data_prefix, chunk, attempt, number, "csv");
    let body = format!("{} {chunk} {number}\n", plan.run_id);
    let mut writer = dest.create(&key, &WriteOptions::default())?;
    writer.write(body.as_bytes())?;
    crash_point("part.finish");
    let object = writer.finish()?;
    let crc32c = format!("{:08x}", crc32c::crc32c(body.as_bytes()));
    Ok(Part { key, size_bytes: object.size_bytes, rows: 1, crc32c, etag: None })
}

pub(super) fn report(plan: &Plan, chunk: u32, attempt: &str, parts: Vec<Part>) -> Report {
    Report {
        report_version: 1,
        run_id: plan.run_id.clone(),
        export: plan.export.clone(),
        plan_id: plan.id().unwrap(),
        chunk,
        attempt: attempt.to_owned(),
        read_point: None,
        started_at: String::new(),
        finished_at: String::new(),
        rows: parts.iter().map(|part| part.rows).sum(),
        parts,
        columns: BTreeMap::from([("id".to_owned(), ColumnCounts { nulls: 1, ..ColumnCounts::default() })]),
        unique: BTreeMap::new(),
        longest_statement_ms: 3,
        warnings: vec!["slow".to_owned()],
        plan_seal: None,
        left_out: 0,
        ties: None,
        made_by: None,
    }
}

/// A whole attempt of two parts.
pub(super) fn run_chunk(dest: &mut dyn Destination, plan: &Plan, chunk: u32) -> Result<Outcome> {
    let attempt = begin_attempt(dest, plan)?;
    run_attempt(dest, plan, chunk, &attempt)
}

/// The same under a given id.
pub(super) fn run_attempt(dest: &mut dyn Destination, plan: &Plan, chunk: u32, attempt: &str) -> Result<Outcome> {
    let mut parts = Vec::new();
    for number in 1..=2 {
        parts.push(write_part(dest, plan, chunk, attempt, number)?);
        fence(dest, plan, chunk, attempt)?;
    }
    publish_report(dest, plan, &report(plan, chunk, attempt, parts))
}

/// Everything `run` does after planning; on a plan with reports, what `--resume` does.
pub(super) fn run_all(dest: &mut dyn Destination, plan: &Plan) -> Result<Manifest> {
    publish_plan(dest, plan)?;
    take_over(dest, plan)?;
    let done = resume_point(dest, plan)?;
    for chunk in plan.chunks.iter().filter(|chunk| !done.contains(&chunk.index)) {
        run_chunk(dest, plan, chunk.index)?;
    }
    commit(dest, plan)
}

/// Every data file, sorted.
pub(super) fn data_files(dest: &mut dyn Destination) -> Vec<String> {
    let marker = success("day=1/");
    let all = dest.list("day=1/").unwrap().into_iter().map(|object| object.key);
    all.filter(|key| *key != marker).collect()
}

pub(super) fn part_keys(manifest: &Manifest) -> Vec<String> {
    manifest.parts.iter().map(|part| part.part.key.clone()).collect()
}
