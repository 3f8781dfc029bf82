//! The pool: hands chunks to workers, retries what may be retried, cuts off what hangs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rivet_sdk::{Error, ErrorKind, Result, Retry};

use super::job::Job;
use super::message::Message;
use super::retry::{self, Next};
use super::slot::InstanceSlot;
use super::watch::ChunkEvent;
use super::worker::Worker;
use crate::plan::{Chunk, Report};
use crate::redact;
use crate::stop::{Stop, interrupted};

/// How often the pool looks at the clock and at the wish to stop.
const TICK: Duration = Duration::from_millis(50);
/// How long workers may take to end once a run stops.
const GRACE: Duration = Duration::from_secs(10);
/// How long workers may take to join a snapshot whose holder waits for them, mostly with a lock.
const JOIN_DEADLINE: Duration = Duration::from_secs(30);
/// The throttle is stated per this many rows.
const THROTTLE_ROWS: u64 = 10_000;

/// Runs `chunks` of the job's plan to their reports. The first error that no retry mends stops
/// the rest; what has a report keeps it.
///
/// Where the job's snapshot can be joined only while its holder waits, all workers join it
/// first, and `joined` lets the holder go on. A `slot` is the first worker's.
pub(super) fn run_chunks(
    job: Job,
    chunks: impl IntoIterator<Item = Chunk>,
    slot: Option<InstanceSlot>,
    stop: &Stop,
    joined: &mut dyn FnMut() -> Result<()>,
    on_event: &mut dyn FnMut(&ChunkEvent<'_>),
) -> Result<Vec<Report>> {
    let (messages, received) = channel();
    let queue: VecDeque<Chunk> = chunks.into_iter().collect();
    let mut pool = Pool {
        job: Arc::new(job),
        messages,
        open: queue.len(),
        queue,
        slot,
        waiting: Vec::new(),
        failures: BTreeMap::new(),
        workers: BTreeMap::new(),
        next_worker: 0,
        throttle_until: Instant::now(),
        reports: Vec::new(),
    };
    // An instance in the slot reads where it should already.
    if pool.slot.is_none() && pool.job.snapshot.as_ref().is_some_and(|snapshot| !snapshot.rejoinable) {
        let outcome = pool.join_all(&received, stop).and_then(|()| joined());
        if let Err(error) = outcome {
            pool.stop(&received);
            return Err(error);
        }
    }
    while pool.open > 0 {
        if stop.is_wanted() {
            pool.stop(&received);
            return Err(interrupted());
        }
        // The pool has a sender of its own: the channel outlives every worker.
        let outcome = pool.hand_out().and_then(|()| match received.recv_timeout(TICK) {
            Ok(message) => pool.hear(message, on_event),
            Err(_) => pool.cut_off_hanging(on_event),
        });
        if let Err(error) = outcome {
            pool.stop(&received);
            return Err(error);
        }
    }
    Ok(pool.reports)
}

struct Pool {
    job: Arc<Job>,
    messages: Sender<Message>,
    /// Chunks without a report.
    open: usize,
    queue: VecDeque<Chunk>,
    /// The first worker's, until that begins.
    slot: Option<InstanceSlot>,
    /// Chunks whose retry is not due yet.
    waiting: Vec<(Instant, Chunk)>,
    /// Failed attempts, by chunk.
    failures: BTreeMap<u32, u32>,
    workers: BTreeMap<u64, Worker>,
    next_worker: u64,
    throttle_until: Instant,
    reports: Vec<Report>,
}

impl Pool {
    fn hand_out(&mut self) -> Result<()> {
        let now = Instant::now();
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(at, _)| *at <= now);
        self.waiting = waiting;
        self.queue.extend(Vec::into_iter(due).map(|(_, chunk)| chunk));
        while now >= self.throttle_until {
            let allowed = self.job.allowance.allowed();
            if self.workers.values().filter(|worker| worker.reading).count() >= allowed {
                return Ok(());
            }
            let Some(chunk) = self.queue.pop_front() else { return Ok(()) };
            let idle = self.workers.iter().filter(|(_, worker)| !worker.reading);
            // One that has nothing to write either comes first.
            let idle = idle.min_by_key(|(_, worker)| worker.busy.len()).map(|(id, worker)| (*id, worker.busy.len()));
            let id = match idle {
                Some((id, 0)) => id,
                _ if self.workers.len() < allowed => self.start_worker(false)?,
                Some((id, _)) => id,
                None => {
                    self.queue.push_front(chunk);
                    return Ok(());
                }
            };
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.give(chunk)?;
            }
        }
        Ok(())
    }

    fn limit(&self) -> usize {
        usize::try_from(self.job.plan.execution.parallel.max(1)).unwrap_or(usize::MAX)
    }

    fn start_worker(&mut self, join_now: bool) -> Result<u64> {
        let id = self.next_worker;
        self.next_worker += 1;
        self.workers.insert(id, Worker::start(id, &self.job, &self.messages, join_now, self.slot.take())?);
        Ok(id)
    }

    /// Starts every worker this run can use, and waits until all of them read at the snapshot.
    fn join_all(&mut self, received: &Receiver<Message>, stop: &Stop) -> Result<()> {
        let wanted = self.limit().min(self.queue.len());
        for _ in 0..wanted {
            self.start_worker(true)?;
        }
        let give_up = Instant::now() + JOIN_DEADLINE;
        let mut joined = 0;
        while joined < wanted {
            if stop.is_wanted() {
                return Err(interrupted());
            }
            if Instant::now() > give_up {
                let seconds = JOIN_DEADLINE.as_secs();
                let text = format!("{joined} of {wanted} workers joined the snapshot within {seconds} s");
                return Err(Error::new(ErrorKind::Timeout, text)
                    .with_hint("the source's lock is given up; a smaller `parallel` needs fewer connections, `consistency: per_chunk` no lock"));
            }
            match received.recv_timeout(TICK) {
                Ok(Message::Joined { worker, result }) => {
                    result.map_err(redact::clean_error)?;
                    joined += 1;
                    if let Some(worker) = self.workers.get_mut(&worker) {
                        worker.reading = false;
                    }
                }
                Ok(Message::Died { worker, error }) => return Err(self.died(worker, error)),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: Message, on_event: &mut dyn FnMut(&ChunkEvent<'_>)) -> Result<()> {
        match message {
            Message::Joined { .. } => Ok(()),
            Message::Read { worker, rows } => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.reading = false;
                    self.throttle(rows);
                }
                Ok(())
            }
            Message::ChunkEnded { worker, chunk, result } => self.chunk_ended(worker, chunk, result, on_event),
            Message::Died { worker, error } => Err(self.died(worker, error)),
        }
    }

    /// Nobody waits any more for a worker that panicked.
    fn died(&mut self, worker: u64, error: Error) -> Error {
        if let Some(worker) = self.workers.remove(&worker) {
            worker.stop();
        }
        error.with_context("export", self.job.plan.export.clone())
    }

    fn chunk_ended(
        &mut self,
        worker: u64,
        chunk: Chunk,
        result: Result<Option<Box<Report>>>,
        on_event: &mut dyn FnMut(&ChunkEvent<'_>),
    ) -> Result<()> {
        // A worker that was cut off may still answer; its chunk is somebody else's now.
        let Some(worker) = self.workers.get_mut(&worker) else { return Ok(()) };
        if !worker.forget(chunk.index) {
            return Err(Error::internal("a worker ended a chunk that it did not have"));
        }
        match result {
            Ok(Some(report)) => {
                self.open -= 1;
                on_event(&ChunkEvent::Done(&report));
                self.reports.push(*report);
                Ok(())
            }
            Ok(None) => {
                self.open -= 1;
                on_event(&ChunkEvent::DoneElsewhere(chunk.index));
                Ok(())
            }
            Err(error) => self.retry(chunk, error, on_event),
        }
    }

    /// Sleeping between statements, never inside one: a server's statement timeout counts the
    /// time it is blocked on us.
    fn throttle(&mut self, rows: u64) {
        let pause = self.job.plan.execution.throttle_ms.saturating_mul(rows) / THROTTLE_ROWS;
        let now = Instant::now();
        self.throttle_until = self.throttle_until.max(now) + Duration::from_millis(pause);
    }

    fn retry(&mut self, chunk: Chunk, error: Error, on_event: &mut dyn FnMut(&ChunkEvent<'_>)) -> Result<()> {
        let error = redact::clean_error(error)
            .with_context("chunk", chunk.index.to_string())
            .with_context("export", self.job.plan.export.clone());
        let failures = self.failures.entry(chunk.index).or_default();
        *failures += 1;
        let execution = &self.job.plan.execution;
        let delay = match retry::next(&error, *failures, execution.max_attempts, execution.retry_backoff_ms) {
            Next::After(delay) => delay,
            Next::Permanent => return Err(retry::resumable(error)),
            // What was transient stays so: the process ends with "temporary, try again".
            Next::Exhausted => {
                return Err(retry::resumable(error.with_context("attempts", execution.max_attempts.to_string())));
            }
        };
        on_event(&ChunkEvent::Retried { chunk: chunk.index, error: &error, delay });
        self.waiting.push((Instant::now() + delay, chunk));
        Ok(())
    }

    fn cut_off_hanging(&mut self, on_event: &mut dyn FnMut(&ChunkEvent<'_>)) -> Result<()> {
        let Some(deadline_ms) = self.job.plan.execution.chunk_deadline_ms else { return Ok(()) };
        let deadline = Duration::from_millis(deadline_ms);
        let hanging: Vec<u64> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.busy.iter().any(|(_, since)| since.elapsed() > deadline))
            .map(|(id, _)| *id)
            .collect();
        for id in hanging {
            let Some(worker) = self.workers.remove(&id) else { continue };
            worker.stop();
            // The oldest is the one that took too long; what came after it only waited.
            let mut busy = worker.busy.into_iter();
            let Some((late, _)) = busy.next() else { continue };
            self.queue.extend(busy.map(|(chunk, _)| chunk));
            self.retry(late, self.too_long(deadline), on_event)?;
        }
        Ok(())
    }

    fn too_long(&self, deadline: Duration) -> Error {
        Error::new(ErrorKind::Timeout, format!("the chunk took longer than {} s", deadline.as_secs()))
            .with_retry(Retry::Transient(None))
            .with_context("plugin", self.job.plan.source.plugin.clone())
            .with_hint("smaller chunks (`chunk_size`) or a higher `tuning.chunk_deadline_s` give it more room")
    }

    /// Stops every worker and waits a while, so that statements are cancelled on the server
    /// and uploads aborted before the process ends.
    fn stop(&mut self, received: &Receiver<Message>) {
        for worker in self.workers.values() {
            worker.stop();
        }
        let give_up = Instant::now() + GRACE;
        while self.workers.values().any(|worker| !worker.busy.is_empty()) && Instant::now() < give_up {
            match received.recv_timeout(TICK) {
                Ok(Message::ChunkEnded { worker, chunk, .. }) => {
                    if let Some(worker) = self.workers.get_mut(&worker) {
                        worker.forget(chunk.index);
                    }
                }
                Ok(Message::Died { worker, error }) => log::warn!("{}", self.died(worker, error)),
                Ok(_) | Err(_) => {}
            }
        }
    }
}
