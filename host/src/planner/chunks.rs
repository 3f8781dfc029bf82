//! Decides how an export is cut into chunks, and says why in one line.

use rivet_sdk::{
    Condition, Error, ErrorKind, Key, NativeSplit, OneReadPoint, Result, Source, Split, SplitBy, SplitInto,
    SplitRequest, capability,
};

use super::days;
use super::inputs::whole_request;
use super::wanted::Wanted;
use crate::config::{ChunkBy, ChunkSize};
use crate::destination::DestinationKind;
use crate::plan::{Chunk, ConsistencyPolicy, Strategy, StrategyKind};

/// About how large a chunk is where the user says nothing: large enough that its statement's
/// start costs nothing, small enough to bound a statement and to balance workers.
const AUTO_CHUNK_BYTES: u64 = 256 << 20;
/// A chunk that the planner makes for parallelism alone has at least about this many rows.
const MIN_CHUNK_ROWS: u64 = 10_000;
/// What a row takes, where the source cannot say.
const ROW_BYTES: u64 = 256;

impl Wanted<'_> {
    /// Native ranges move when rows move: they need one read point for all chunks.
    fn has_snapshot(&self) -> bool {
        self.can(capability::SNAPSHOT)
            && self.description.one_read_point == OneReadPoint::Snapshot
            && self.export.consistency != ConsistencyPolicy::PerChunk
    }

    fn size(&self) -> SplitInto {
        match self.export.chunking.size {
            ChunkSize::Rows(rows) => SplitInto::Rows(rows),
            ChunkSize::Count(count) => SplitInto::Count(count.into()),
            ChunkSize::Bytes(bytes) => self.slices_of(bytes),
            ChunkSize::Auto if self.export.parallel == 1 => self.slices_of(AUTO_CHUNK_BYTES),
            ChunkSize::Auto => self.slices_for_workers(),
        }
    }

    /// Every worker gets a few chunks, so that none waits long for the last one; but a chunk
    /// is worth its statement.
    fn slices_for_workers(&self) -> SplitInto {
        let few = u64::from(self.export.parallel) * 4;
        let worth = self.description.rows.map_or(few, |rows| rows.div_ceil(MIN_CHUNK_ROWS));
        match self.slices_of(AUTO_CHUNK_BYTES) {
            SplitInto::Count(count) => SplitInto::Count(count.max(few.min(worth)).max(1)),
            other => other,
        }
    }

    fn slices_of(&self, bytes: u64) -> SplitInto {
        // Without an estimate of bytes, a row is taken for a few hundred.
        let total = self.description.bytes.or(self.description.rows.map(|rows| rows.saturating_mul(ROW_BYTES)));
        SplitInto::Count(total.unwrap_or(0).div_ceil(bytes.max(1)).max(1))
    }
}

/// Along what the source, or we, cut.
enum Cut {
    Source(SplitBy),
    Days(u32),
}

struct Choice {
    by: Cut,
    kind: StrategyKind,
    key: Vec<String>,
    reason: String,
}

/// Cuts the relation. At least one chunk; disjoint, and together every row.
pub(super) fn cut(
    source: &mut dyn Source,
    wanted: &Wanted<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Chunk>, Strategy)> {
    let choice = match choose(wanted)? {
        Ok(choice) => choice,
        Err(reason) => {
            return Ok((
                whole(wanted),
                Strategy { kind: StrategyKind::None, key: Vec::new(), reason, method: String::new() },
            ));
        }
    };
    let mut of = whole_request(wanted.export, wanted.relation);
    of.conditions.extend(wanted.scope.conditions.iter().cloned());
    let Split { slices, method, .. } = match choice.by {
        Cut::Source(by) => source.split(&SplitRequest::new(of, by, wanted.size()))?,
        Cut::Days(days) => days::windows(source, wanted, of, days)?,
    };
    if slices.is_empty() {
        return Err(Error::protocol("the source cut the relation into no slices at all"));
    }
    if wanted.export.parallel > 1 && slices.len() == 1 {
        warnings.push(format!(
            "one chunk keeps one worker busy: `parallel: {}` has no effect here",
            wanted.export.parallel
        ));
    }
    let chunks = slices
        .into_iter()
        .map(|slice| Chunk { condition: slice.condition, estimated_rows: slice.rows, ..Chunk::whole() })
        .collect();
    Ok((numbered(wanted, chunks), Strategy { kind: choice.kind, key: choice.key, reason: choice.reason, method }))
}

fn whole(wanted: &Wanted<'_>) -> Vec<Chunk> {
    let estimated_rows = wanted.description.rows.filter(|_| wanted.scope.conditions.is_empty());
    numbered(wanted, vec![Chunk { estimated_rows, ..Chunk::whole() }])
}

/// The chunks with their indexes, and last the rows that stand beside the others.
fn numbered(wanted: &Wanted<'_>, mut chunks: Vec<Chunk>) -> Vec<Chunk> {
    let beside = |condition: &Condition| Chunk { condition: Some(condition.clone()), beside: true, ..Chunk::whole() };
    let of_boundary = |(boundary, condition)| Chunk { boundary: Some(boundary), ..beside(condition) };
    let further: Vec<Chunk> = wanted.scope.boundary.chunks(&chunks).map(of_boundary).collect();
    chunks.extend(wanted.scope.beside.iter().map(beside));
    chunks.extend(further);
    for (chunk, index) in chunks.iter_mut().zip(0..) {
        chunk.index = index;
    }
    chunks
}

/// The way to cut, or why the export stays whole.
fn choose(wanted: &Wanted<'_>) -> Result<Result<Choice, String>> {
    if wanted.export.destination.kind == DestinationKind::Stdout {
        return Ok(Err("standard output takes one chunk".into()));
    }
    if wanted.scope.is_empty {
        return Ok(Err("no row is to be read".into()));
    }
    match wanted.export.chunking.by {
        ChunkBy::Keyset => keyset(wanted, "`chunk_by: keyset`").map(Ok),
        ChunkBy::Days(days) => {
            let Some(column) = &wanted.export.chunking.column else {
                return Err(Error::config("`chunk_by: days` needs `chunk_column`"));
            };
            let reason = format!("`chunk_by_days: {days}`");
            Ok(Ok(Choice { by: Cut::Days(days), kind: StrategyKind::Days, key: vec![column.clone()], reason }))
        }
        ChunkBy::None => Ok(Err("`chunk_by: none`".into())),
        ChunkBy::Range => range(wanted, "`chunk_by: range`").map(Ok),
        ChunkBy::Native => native(wanted, "`chunk_by: native`").map(Ok),
        ChunkBy::Auto => automatic(wanted),
    }
}

fn automatic(wanted: &Wanted<'_>) -> Result<Result<Choice, String>> {
    if wanted.export.chunking.column.is_some() {
        return range(wanted, "`chunk_column`").map(Ok);
    }
    if wanted.scope.is_small && wanted.export.chunking.size == ChunkSize::Auto {
        return Ok(Err("the rows since the watermark".into()));
    }
    if !wanted.can(capability::SPLIT_RANGE) && !wanted.can(capability::SPLIT_NATIVE) {
        return Ok(Err("this source cannot be cut".into()));
    }
    if let Some(choice) = ranged_key(wanted) {
        return Ok(Ok(choice));
    }
    if let Some(choice) = unique_key(wanted) {
        return Ok(Ok(choice));
    }
    if wanted.relation.table().is_none() {
        return Ok(Err("a query has no key; name one with `chunk_column`".into()));
    }
    let no_key = "no key with a type that ranges can use";
    if !wanted.can(capability::SPLIT_NATIVE) {
        return Ok(Err(no_key.into()));
    }
    Ok(match (&wanted.description.native, wanted.has_snapshot()) {
        (NativeSplit::Impossible(why), _) => Err(format!("{no_key}, and no physical ranges: {why}")),
        (NativeSplit::Possible, false) => Err(format!("{no_key}, and physical ranges need a shared snapshot")),
        (NativeSplit::Possible, true) => Ok(native_choice(no_key.into())),
    })
}

/// The first column of the primary key, else of another index.
fn ranged_key(wanted: &Wanted<'_>) -> Option<Choice> {
    if !wanted.can(capability::SPLIT_RANGE) {
        return None;
    }
    let mut keys: Vec<_> = wanted.description.keys.iter().collect();
    keys.sort_by_key(|key| (!key.primary, !key.unique, key.columns.len()));
    let usable = keys.into_iter().filter_map(|key| Some((key, key.columns.first()?)));
    let (key, column) = usable.into_iter().find(|(_, column)| column.rangeable)?;
    let what = match (key.primary, key.columns.len()) {
        (true, 1) => "the primary key".to_owned(),
        (true, _) => format!("the first column of the primary key `{}`", key.name),
        (false, _) => format!("the first column of the index `{}`", key.name),
    };
    Some(Choice {
        by: Cut::Source(SplitBy::Range { column: column.name.clone() }),
        kind: StrategyKind::Range,
        key: vec![column.name.clone()],
        reason: format!("`{}` is {what}", column.name),
    })
}

/// The primary key, else the smallest proven unique one without NULLs.
fn unique_key(wanted: &Wanted<'_>) -> Option<Choice> {
    if !wanted.can(capability::SPLIT_KEYSET) {
        return None;
    }
    let proven =
        |key: &&Key| key.unique && !key.columns.is_empty() && key.columns.iter().all(|column| !column.nullable);
    let mut keys: Vec<_> = wanted.description.keys.iter().filter(proven).collect();
    keys.sort_by_key(|key| (!key.primary, key.columns.len()));
    let key = keys.first()?;
    let columns: Vec<String> = key.columns.iter().map(|column| column.name.clone()).collect();
    let what = if key.primary { "the primary key" } else { "a unique key" };
    Some(Choice {
        by: Cut::Source(SplitBy::Keyset { key: columns.clone() }),
        kind: StrategyKind::Keyset,
        reason: format!("`{}` is {what}", columns.join(", ")),
        key: columns,
    })
}

fn keyset(wanted: &Wanted<'_>, because: &str) -> Result<Choice> {
    if !wanted.can(capability::SPLIT_KEYSET) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{because}: this source cannot be cut by a unique key"),
        )
        .with_hint("use `chunk_by: auto`"));
    }
    let key = &wanted.export.chunking.key;
    if key.is_empty() {
        return unique_key(wanted).ok_or_else(|| {
            Error::config(format!("{because}: {} has no full unique index over NOT NULL columns", wanted.relation))
                .with_hint("use `chunk_by: auto`")
        });
    }
    // The source proves it, and refuses a key that is not unique.
    let by = Cut::Source(SplitBy::Keyset { key: key.clone() });
    Ok(Choice { by, kind: StrategyKind::Keyset, key: key.clone(), reason: because.to_owned() })
}

fn range(wanted: &Wanted<'_>, because: &str) -> Result<Choice> {
    if !wanted.can(capability::SPLIT_RANGE) {
        return Err(Error::new(ErrorKind::Unsupported, format!("{because}: this source cannot be cut by ranges"))
            .with_hint("use `chunk_by: none`"));
    }
    let Some(column) = &wanted.export.chunking.column else {
        return ranged_key(wanted).ok_or_else(|| {
            Error::config(format!("{because}: {} has no key with a type that ranges can use", wanted.relation))
                .with_hint("name a column with `chunk_column`, or use `chunk_by: auto`")
        });
    };
    // An excluded column may still be the key; the source knows all its columns and refuses
    // unknown ones. What it does not know as a key is worth a word.
    let indexed =
        wanted.description.keys.iter().any(|key| key.columns.first().is_some_and(|first| &first.name == column));
    let known = wanted.columns.iter().any(|planned| &planned.mapping.name == column);
    let reason = if indexed || !known {
        because.to_owned()
    } else {
        format!("{because}; no index starts with it, so every chunk reads the whole table")
    };
    let by = Cut::Source(SplitBy::Range { column: column.clone() });
    Ok(Choice { by, kind: StrategyKind::Range, key: vec![column.clone()], reason })
}

fn native(wanted: &Wanted<'_>, because: &str) -> Result<Choice> {
    if !wanted.can(capability::SPLIT_NATIVE) {
        return Err(Error::new(ErrorKind::Unsupported, format!("{because}: this source has no physical ranges"))
            .with_hint("use `chunk_by: auto`"));
    }
    if let NativeSplit::Impossible(why) = &wanted.description.native {
        return Err(Error::config(format!("{because}: {} has no physical ranges: {why}", wanted.relation))
            .with_hint("use `chunk_by: auto`"));
    }
    if !wanted.has_snapshot() {
        return Err(Error::config(format!(
            "{because}: rows move between physical ranges, so all chunks must share a snapshot"
        ))
        .with_hint("drop `consistency: per_chunk`, or use `chunk_by: range`"));
    }
    Ok(native_choice(because.to_owned()))
}

fn native_choice(reason: String) -> Choice {
    Choice { by: Cut::Source(SplitBy::Native), kind: StrategyKind::Native, key: Vec::new(), reason }
}
