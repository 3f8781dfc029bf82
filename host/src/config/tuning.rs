//! Tuning: the source's keys, the export's over them, the profile's defaults below.

use rivet_sdk::SessionPolicy;

use super::diagnostic::Diagnostic;
use super::fields::Fields;

/// A set of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Nothing is held back.
    Fast,
    /// Time limits, a few retries.
    Balanced,
    /// Paced, with short time limits.
    Safe,
}

/// What is at stake at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A developer's own.
    Local,
    /// A copy that nobody waits for.
    Replica,
    /// People wait for it.
    Production,
}

impl Environment {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "local" => Self::Local,
            "production" => Self::Production,
            _ => Self::Replica,
        }
    }

    fn profile(self) -> Profile {
        match self {
            Self::Local => Profile::Fast,
            Self::Replica => Profile::Balanced,
            Self::Production => Profile::Safe,
        }
    }
}

/// How hard the source may be worked: resolved, nothing left to default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// Where the defaults came from.
    pub profile: Profile,
    /// Most rows of a batch.
    pub batch_rows: usize,
    /// Most bytes of a batch.
    pub batch_bytes: usize,
    /// Pause after every 10 000 rows.
    pub throttle_ms: u64,
    /// Time limits for each statement.
    pub session: SessionPolicy,
    /// Longest one try of a chunk may take.
    pub chunk_deadline_ms: Option<u64>,
    /// Tries of a chunk after the first.
    pub max_retries: u32,
    /// The first pause before a retry.
    pub retry_backoff_ms: u64,
    /// A larger single value is refused.
    pub max_value_bytes: u64,
    /// The fewest workers that the source's pressure may leave; None: it is not looked at.
    pub min_parallel: Option<u32>,
}

/// Bounds of a batch where only its bytes are asked for, and where nothing is.
const ROWS_BY_BYTES: usize = 1 << 20;
const DEFAULT_ROWS: usize = 16_384;
const DEFAULT_BYTES: usize = 8 << 20;
/// The shortest deadline of a chunk that follows from a statement timeout.
const HANGS_AFTER_MS: u64 = 600_000;

/// The tuning of one export. `layers` are the `tuning` blocks, the closest first.
pub fn resolve(environment: Option<Environment>, layers: &[&Fields]) -> Tuning {
    let named = layers.iter().find_map(|layer| layer.text("profile")).map(|name| match name {
        "fast" => Profile::Fast,
        "safe" => Profile::Safe,
        _ => Profile::Balanced,
    });
    let profile = named.or(environment.map(Environment::profile)).unwrap_or(Profile::Balanced);
    let (throttle_ms, statement_s, retries, backoff_ms, lock_s) = match profile {
        Profile::Fast => (0, 0, 1, 1_000, 0),
        Profile::Balanced => (0, 300, 3, 2_000, 30),
        Profile::Safe => (500, 120, 5, 5_000, 10),
    };
    let (batch_rows, batch_bytes) = batch(layers);
    let limit = |seconds: u64| (seconds > 0).then(|| seconds.saturating_mul(1_000));
    let statement_timeout_ms = limit(first(layers, "statement_timeout_s").unwrap_or(statement_s));
    // A chunk that takes many times its statement timeout hangs: the server would have cut it.
    let hangs_ms = || statement_timeout_ms.map(|timeout| timeout.saturating_mul(4).max(HANGS_AFTER_MS));
    Tuning {
        profile,
        batch_rows,
        batch_bytes,
        throttle_ms: first(layers, "throttle_ms").unwrap_or(throttle_ms),
        session: SessionPolicy::new(statement_timeout_ms, limit(first(layers, "lock_timeout_s").unwrap_or(lock_s))),
        chunk_deadline_ms: first(layers, "chunk_deadline_s").map_or_else(hangs_ms, limit),
        max_retries: first(layers, "max_retries").unwrap_or(retries),
        retry_backoff_ms: first(layers, "retry_backoff_ms").unwrap_or(backoff_ms),
        max_value_bytes: first::<u64>(layers, "max_value_mb").unwrap_or(64) << 20,
        min_parallel: adaptive(layers).then(|| first(layers, "min_parallel").unwrap_or(1)),
    }
}

/// What one `tuning` block says that cannot be.
pub fn check(fields: &Fields) -> Option<Diagnostic> {
    (fields.has("batch_size") && fields.has("batch_size_memory_mb")).then(|| {
        fields
            .fault("batch_size_memory_mb", "`batch_size` and `batch_size_memory_mb` are both given")
            .with_hint("keep one of them")
    })
}

fn first<T: TryFrom<i64>>(layers: &[&Fields], name: &str) -> Option<T> {
    layers.iter().find_map(|layer| layer.integer(name))
}

fn adaptive(layers: &[&Fields]) -> bool {
    layers.iter().find_map(|layer| layer.flag("adaptive")).unwrap_or(false)
}

/// The closest layer that names either bound decides on both.
fn batch(layers: &[&Fields]) -> (usize, usize) {
    let named = layers.iter().find(|layer| layer.has("batch_size") || layer.has("batch_size_memory_mb"));
    let (rows, bytes) = match named {
        Some(layer) => match (layer.integer::<usize>("batch_size"), layer.integer::<usize>("batch_size_memory_mb")) {
            (Some(rows), _) => (rows, DEFAULT_BYTES),
            (None, Some(megabytes)) => (ROWS_BY_BYTES, megabytes << 20),
            (None, None) => (DEFAULT_ROWS, DEFAULT_BYTES),
        },
        None => (DEFAULT_ROWS, DEFAULT_BYTES),
    };
    match first::<usize>(layers, "max_batch_memory_mb") {
        Some(most) => (rows, bytes.min(most << 20)),
        None => (rows, bytes),
    }
}
