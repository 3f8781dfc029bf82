//! Is what lies at the destination what was written? Sizes by listing, bytes by reading back.

use std::collections::{BTreeMap, BTreeSet};

use rivet_sdk::{Destination, Error, ErrorKind, Result};

use super::decision::{Decision, decision};
use super::keys::{RunKey, parse_part, success};
use super::manifest::taken_over;
use super::success::{is_foreign, own_success};
use crate::plan::{Part, Verify};

/// How much of a part is read at a time.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;

/// How thoroughly [`validate`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names and sizes.
    List,
    /// Also the bytes of the first, the last and at most eight parts between.
    Sample,
    /// Also the bytes of every part.
    Full,
}

/// One part that is not as the manifest says, or a manifest that is not as `_SUCCESS` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The part, or the manifest.
    pub key: String,
    /// What the manifest says.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Problem {
    fn error(&self) -> Error {
        Error::integrity(format!("part {}: expected {}, found {}", self.key, self.expected, self.found))
            .with_code("part_mismatch")
            .with_hint("something else changed or removed the file; run the export again")
            .with_context("object", &self.key)
    }
}

/// What [`validate`] saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validation {
    /// Parts in the manifest.
    pub parts: usize,
    /// Parts whose bytes were read.
    pub read: usize,
    /// Parts that are not as the manifest says.
    pub problems: Vec<Problem>,
    /// Parts of this run that the manifest does not name; `clean` removes them.
    pub strays: Vec<String>,
}

impl Validation {
    /// The first problem as an error, or Ok.
    pub fn result(&self) -> Result<()> {
        self.problems.first().map_or(Ok(()), |problem| Err(problem.error()))
    }
}

/// The commit's own check; the first mismatch is the error.
pub(super) fn verify_parts(
    dest: &mut dyn Destination,
    data_prefix: &str,
    parts: &[&Part],
    verify: Verify,
) -> Result<()> {
    let listed = sizes(dest, data_prefix)?;
    for part in parts {
        let problem = match size_problem(&listed, part) {
            None if verify == Verify::Content => content_problem(dest, part)?,
            other => other,
        };
        if let Some(problem) = problem {
            return Err(problem.error());
        }
    }
    Ok(())
}

/// Compares a committed run's manifest with the destination. Changes nothing.
pub fn validate(dest: &mut dyn Destination, run: &RunKey, depth: Depth) -> Result<Validation> {
    let (manifest, checksum) = match decision(dest, run)? {
        Decision::Committed { manifest, checksum } => (manifest, checksum),
        other => {
            return Err(Error::new(ErrorKind::NotFound, format!("run {} is {}", run.run_id(), other.word()))
                .with_hint("only a committed run can be validated; see `rivet journal`")
                .with_context("export", run.export()));
        }
    };
    let listed = sizes(dest, &manifest.data_prefix)?;
    let mut validation = Validation { parts: manifest.parts.len(), ..Validation::default() };
    let sampled = sample(manifest.parts.len());
    for (index, part) in manifest.parts.iter().enumerate() {
        let part = &part.part;
        let mut problem = size_problem(&listed, part);
        let read = depth == Depth::Full || (depth == Depth::Sample && sampled.contains(&index));
        if problem.is_none() && read {
            validation.read += 1;
            problem = content_problem(dest, part)?;
        }
        validation.problems.extend(problem);
    }
    validation.problems.extend(manifest_problem(dest, run, &manifest.data_prefix, &checksum)?);
    let named: BTreeSet<&str> = manifest.parts.iter().map(|part| part.part.key.as_str()).collect();
    // What a repair did not take over of the runs before it is a stray, too.
    let mut runs: BTreeSet<String> = taken_over(run, &manifest).into_iter().collect();
    runs.extend(manifest.repairs.iter().map(|repairs| repairs.run_id.clone()));
    runs.insert(run.run_id().to_owned());
    let theirs = |key: &str| parse_part(run.export(), key).is_some_and(|part| runs.contains(&part.run_id));
    validation.strays = listed.into_keys().filter(|key| theirs(key) && !named.contains(key.as_str())).collect();
    Ok(validation)
}

/// Whether the manifest is the one that `_SUCCESS` was written for, where that names this run.
fn manifest_problem(
    dest: &mut dyn Destination,
    run: &RunKey,
    data_prefix: &str,
    checksum: &str,
) -> Result<Option<Problem>> {
    let found = match own_success(dest, run.export(), data_prefix) {
        Err(error) if is_foreign(&error) => None,
        read => read?,
    };
    if found.as_ref().is_some_and(|found| !found.is_whole()) {
        return Ok(Some(Problem {
            key: success(data_prefix),
            expected: "the name of a run".to_owned(),
            found: "its beginning only; the next run writes it anew".to_owned(),
        }));
    }
    let named = found.filter(|found| found.run_id == run.run_id());
    Ok(named.and_then(|named| {
        let differs = |name: &str, expected: &str, found: &str| {
            (expected != found).then(|| Problem {
                key: run.manifest(),
                expected: format!("{name} {expected} as `_SUCCESS` has it"),
                found: format!("{name} {found}"),
            })
        };
        let checksum = differs("checksum", &named.manifest_checksum, checksum);
        checksum.or_else(|| differs("key", &named.manifest, &run.manifest()))
    }))
}

fn sizes(dest: &mut dyn Destination, data_prefix: &str) -> Result<BTreeMap<String, u64>> {
    Ok(dest.list(data_prefix)?.into_iter().map(|object| (object.key, object.size_bytes)).collect())
}

fn size_problem(listed: &BTreeMap<String, u64>, part: &Part) -> Option<Problem> {
    let found = listed.get(&part.key).copied();
    (found != Some(part.size_bytes)).then(|| Problem {
        key: part.key.clone(),
        expected: format!("{} bytes", part.size_bytes),
        found: found.map_or_else(|| "no file".to_owned(), |bytes| format!("{bytes} bytes")),
    })
}

fn content_problem(dest: &mut dyn Destination, part: &Part) -> Result<Option<Problem>> {
    let mut crc = 0;
    let mut offset = 0;
    while offset < part.size_bytes {
        let wanted = PIECE_BYTES.min(part.size_bytes - offset);
        let short = |found: String| {
            let expected = format!("{} bytes", part.size_bytes);
            Ok(Some(Problem { key: part.key.clone(), expected, found }))
        };
        let Some(piece) = dest.read_at(&part.key, offset, wanted)? else { return short("no file".to_owned()) };
        if piece.is_empty() {
            return short(format!("{offset} bytes"));
        }
        crc = crc32c::crc32c_append(crc, &piece);
        offset += piece.len() as u64;
    }
    let found = format!("{crc:08x}");
    Ok((!found.eq_ignore_ascii_case(&part.crc32c)).then(|| Problem {
        key: part.key.clone(),
        expected: format!("crc32c {}", part.crc32c),
        found: format!("crc32c {found}"),
    }))
}

/// At most ten positions, spread evenly, ends included.
fn sample(parts: usize) -> BTreeSet<usize> {
    let last = parts.saturating_sub(1);
    (0..10).map(|tenth| tenth * last / 9).collect()
}
