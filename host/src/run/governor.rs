//! How many workers may take a chunk while the source is under pressure: `tuning.adaptive`.
//!
//! An instance of its own, and so one connection more for as long as the run reads, looks at the
//! source's pressure counter every few seconds. While the counter grows, half as many workers
//! may take a chunk, down to `min_parallel`; after a while of calm, one more, up to `parallel`.
//! What is being read is never interrupted. Where the counter cannot be read, nothing moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rivet_sdk::{Result, capability};

use crate::plan::Plan;
use crate::source::{InstanceContext, SourceFactory};
use crate::threads;

/// How often the counter is read.
const INTERVAL: Duration = Duration::from_secs(2);
/// Readings without growth before one more worker is allowed.
const CALM: u32 = 5;

/// How many workers may take a chunk, and the fewest there ever were.
#[derive(Debug)]
pub(super) struct Allowance {
    allowed: AtomicU32,
    lowest: AtomicU32,
    /// Whether the source's pressure could be read once, and whether it could not.
    known: AtomicBool,
    unknown: AtomicBool,
}

impl Allowance {
    /// All of a run's workers.
    pub fn of(workers: u32) -> Arc<Self> {
        let workers = workers.max(1);
        let (number, flag) = (|| AtomicU32::new(workers), || AtomicBool::new(false));
        Arc::new(Self { allowed: number(), lowest: number(), known: flag(), unknown: flag() })
    }

    /// How many may take a chunk now.
    pub fn allowed(&self) -> usize {
        usize::try_from(self.allowed.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// The fewest that ever might; None where the source's pressure had no word in it, for it could not be read.
    pub fn lowest(&self) -> Option<u32> {
        let unknown = self.unknown.load(Ordering::Relaxed) && !self.known.load(Ordering::Relaxed);
        (!unknown).then(|| self.lowest.load(Ordering::Relaxed))
    }

    fn set(&self, workers: u32) {
        self.allowed.store(workers, Ordering::Relaxed);
        self.lowest.fetch_min(workers, Ordering::Relaxed);
    }
}

/// Decides, reading by reading.
#[derive(Debug)]
struct Governor {
    least: u32,
    most: u32,
    allowed: u32,
    /// The last reading; None where there was none.
    before: Option<u64>,
    /// Readings since it last grew, or since the last worker was added.
    calm: u32,
}

impl Governor {
    fn new(least: u32, most: u32) -> Self {
        Self { least: least.clamp(1, most.max(1)), most, allowed: most, before: None, calm: 0 }
    }

    /// Takes a reading; how many workers may take a chunk from now on.
    fn observe(&mut self, counter: Option<u64>) -> u32 {
        let before = std::mem::replace(&mut self.before, counter);
        match (before, counter) {
            (Some(before), Some(now)) if now > before => {
                self.calm = 0;
                self.allowed = (self.allowed / 2).max(self.least);
            }
            (Some(before), Some(now)) if now == before => {
                self.calm += 1;
                if self.calm >= CALM {
                    self.calm = 0;
                    self.allowed = self.most.min(self.allowed + 1);
                }
            }
            // The first reading, one after a gap, or a server that counts afresh: nothing to compare with.
            _ => self.calm = 0,
        }
        self.allowed
    }
}

/// Watches until it is dropped.
pub(super) struct Watcher {
    _over: Sender<()>,
    cancelled: Arc<AtomicBool>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }
}

/// Begins to watch the source, where the plan asks for it and there is something to watch.
pub(super) fn watch(
    plan: &Plan,
    source: &SourceFactory,
    context: InstanceContext,
    allowance: &Arc<Allowance>,
) -> Result<Option<Watcher>> {
    let (most, Some(least)) = (plan.execution.parallel, plan.execution.min_parallel) else { return Ok(None) };
    if least >= most || plan.chunks.len() < 2 {
        return Ok(None);
    }
    let manifest = source.manifest();
    if !manifest.capabilities.iter().any(|name| name == capability::PRESSURE) {
        log::warn!("{}: `adaptive` moves nothing: the plugin `{}` reads no pressure", plan.export, manifest.name);
        return Ok(None);
    }
    let (over, ended) = channel();
    let cancelled = Arc::clone(&context.cancelled);
    let (export, source, allowance) = (plan.export.clone(), source.clone(), Arc::clone(allowance));
    // Detached: a source that hangs here must not hold up the run.
    threads::start("governor", move || {
        if let Err(error) = govern(&export, &source, &context, &allowance, Governor::new(least, most), &ended)
            && !context.cancelled.load(Ordering::SeqCst)
        {
            allowance.unknown.store(true, Ordering::Relaxed);
            log::warn!("{export}: the source's pressure cannot be read, the number of workers stays: {error}");
        }
    })?;
    Ok(Some(Watcher { _over: over, cancelled }))
}

fn govern(
    export: &str,
    source: &SourceFactory,
    context: &InstanceContext,
    allowance: &Allowance,
    mut governor: Governor,
    ended: &Receiver<()>,
) -> Result<()> {
    let mut source = source.open(context)?;
    let mut unreadable = false;
    loop {
        let counter = source.pressure()?;
        let noted = if counter.is_some() { &allowance.known } else { &allowance.unknown };
        noted.store(true, Ordering::Relaxed);
        if counter.is_none() && !unreadable {
            unreadable = true;
            log::warn!("{export}: this login cannot read the source's pressure; the number of workers stays");
        }
        let before = governor.allowed;
        let now = governor.observe(counter);
        if now != before {
            allowance.set(now);
            let why = if now < before { "the source's pressure grows" } else { "the source is calm" };
            log::info!("{export}: {why}: {now} of {} workers may take a chunk, {before} before", governor.most);
        }
        if ended.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(least: u32, most: u32, readings: &[Option<u64>]) -> Vec<u32> {
        let mut governor = Governor::new(least, most);
        readings.iter().map(|reading| governor.observe(*reading)).collect()
    }

    #[test]
    fn growth_halves_down_to_the_least() {
        assert_eq!(moves(2, 16, &[5, 5, 6, 7, 9, 20].map(Some)), [16, 16, 8, 4, 2, 2]);
        assert_eq!(moves(3, 4, &[1, 2, 3].map(Some)), [4, 3, 3]);
    }

    #[test]
    fn calm_adds_one_at_a_time_up_to_the_most() {
        let mut readings = vec![Some(1), Some(2)];
        readings.resize(2 + 3 * CALM as usize, Some(2));
        let moved = moves(1, 4, &readings);
        let after = |calm: usize| moved[1 + calm * CALM as usize];
        assert_eq!([after(0), after(1), after(2), after(3)], [2, 3, 4, 4]);
        assert_eq!(moved[CALM as usize], 2, "not before the calm is long enough");
    }

    #[test]
    fn growth_ends_a_calm() {
        let mut readings = vec![Some(1), Some(2)];
        readings.extend(std::iter::repeat_n(Some(2), CALM as usize - 1));
        readings.extend([Some(3), Some(3)]);
        assert_eq!(moves(1, 8, &readings).last(), Some(&2));
    }

    #[test]
    fn what_cannot_be_compared_moves_nothing() {
        assert_eq!(moves(1, 8, &[None; 20]), [8; 20]);
        // A gap, and a server that counts from zero again.
        assert_eq!(moves(1, 8, &[Some(1), None, Some(9), Some(2), Some(3)]), [8, 8, 8, 8, 4]);
    }

    #[test]
    fn the_least_is_never_more_than_the_most_nor_none() {
        assert_eq!(moves(9, 4, &[Some(1), Some(2)]), [4, 4]);
        assert_eq!(moves(0, 4, &[1, 2, 3, 4].map(Some)), [4, 2, 1, 1]);
    }
}
