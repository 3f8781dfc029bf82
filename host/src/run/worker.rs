//! One worker: a thread that owns a source and reads chunk after chunk, and one that owns
//! destinations and writes them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rivet_sdk::{Error, Interrupt, Result};

use super::attempt::{self, Destinations, Reading};
use super::job::Job;
use super::message::Message;
use super::read_point;
use super::slot::{InstanceSlot, Slotted};
use crate::batch::{self, ChannelSpec};
use crate::budget::Lane;
use crate::plan::Chunk;
use crate::source::InstanceContext;
use crate::threads;

/// Bytes that wait between a source and its encoder: enough to overlap the two…
const QUEUE_BYTES: u64 = 16 << 20;
/// …and no more than this share of the budget over all workers.
const QUEUES_OF_BUDGET: u64 = 16;

/// What the pool holds of a worker. Its threads are detached: one that hangs is left behind.
pub(super) struct Worker {
    chunks: Sender<Chunk>,
    shared: Arc<Shared>,
    /// Whether it reads, and cannot take a chunk.
    pub reading: bool,
    /// The chunks it reads or writes, and since when.
    pub busy: Vec<(Chunk, Instant)>,
}

/// What all threads touch.
struct Shared {
    /// Set to stop what is running; the worker ends after it.
    cancelled: Arc<AtomicBool>,
    /// Its part of the memory budget.
    lane: Lane,
    interrupt: Mutex<Option<Box<dyn Interrupt>>>,
}

impl Worker {
    /// Starts worker number `id`, which answers through `messages`. With `join_now` it joins the
    /// job's snapshot at once and says so, instead of with its first chunk. With a `slot` it takes
    /// the instance that is there before it opens one of its own.
    pub fn start(
        id: u64,
        job: &Arc<Job>,
        messages: &Sender<Message>,
        join_now: bool,
        slot: Option<InstanceSlot>,
    ) -> Result<Self> {
        let context = match &slot {
            Some(slot) => slot.context.clone(),
            None => InstanceContext::new(&job.budget),
        };
        let interrupt =
            slot.as_ref().and_then(|slot| slot.lock().as_ref().and_then(|slotted| slotted.source.interrupt()));
        let (cancelled, lane) = (context.cancelled.clone(), context.lane.clone());
        let slot = slot.unwrap_or_else(|| InstanceSlot::empty(context));
        let shared = Arc::new(Shared { cancelled, lane, interrupt: Mutex::new(interrupt) });
        let (chunks, received) = channel();
        // One chunk may wait for the writing half, so that its rows are fetched meanwhile.
        let (to_writer, readings) = sync_channel(1);
        let (job_, shared_, messages_) = (Arc::clone(job), Arc::clone(&shared), messages.clone());
        let writer = move || write(id, &job_, &shared_, &readings, &messages_);
        threads::start(&format!("write-{id}"), guarded(id, "writing", messages, writer))?;
        let reader = Reader {
            id,
            job: Arc::clone(job),
            shared: Arc::clone(&shared),
            to_writer,
            messages: messages.clone(),
            slot,
            late: !join_now,
        };
        let reader = move || reader.work(&received, join_now);
        threads::start(&format!("read-{id}"), guarded(id, "reading", messages, reader))?;
        Ok(Self { chunks, shared, reading: join_now, busy: Vec::new() })
    }

    /// Hands a chunk over.
    pub fn give(&mut self, chunk: Chunk) -> Result<()> {
        self.busy.push((chunk.clone(), Instant::now()));
        self.reading = true;
        self.chunks.send(chunk).map_err(|_| Error::internal("a worker ended early"))
    }

    /// Forgets a chunk that has ended. False: it is not this worker's.
    pub fn forget(&mut self, chunk: u32) -> bool {
        let before = self.busy.len();
        self.busy.retain(|(busy, _)| busy.index != chunk);
        self.busy.len() < before
    }

    /// Stops what it is doing: no row is taken from now on, and the server is asked to stop its
    /// statement, from a thread of its own because asking may hang too.
    pub fn stop(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        let interrupt = self.shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(interrupt) = interrupt {
            let ask = move || {
                if let Err(error) = interrupt.interrupt() {
                    log::warn!("a statement could not be cancelled on the server: {error}");
                }
            };
            if let Err(error) = threads::start("interrupt", ask) {
                log::warn!("a statement goes on on the server, for nobody can cancel it: {error}");
            }
        }
    }
}

/// A half of a worker, whatever becomes of it: where it panics, the pool hears of it.
fn guarded(
    id: u64,
    half: &'static str,
    messages: &Sender<Message>,
    work: impl FnOnce() + Send + 'static,
) -> impl FnOnce() + Send + 'static {
    let messages = messages.clone();
    move || {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
            // Nobody listens any more once the run is over.
            let _ = messages.send(Message::Died { worker: id, error: attempt::panicked(half, &*payload) });
        }
    }
}

impl Shared {
    fn instance_context(&self) -> InstanceContext {
        InstanceContext { lane: self.lane.clone(), cancelled: Arc::clone(&self.cancelled), stop: None }
    }
}

/// The reading half.
struct Reader {
    /// Stands first: what is there is closed before the job, and with it the last share in its connection, goes.
    slot: InstanceSlot,
    id: u64,
    job: Arc<Job>,
    shared: Arc<Shared>,
    to_writer: SyncSender<Reading>,
    messages: Sender<Message>,
    /// Whether it is too late to join a snapshot that all had to join together.
    late: bool,
}

impl Reader {
    fn work(mut self, chunks: &Receiver<Chunk>, join_now: bool) {
        if join_now {
            let result = self.open();
            if self.messages.send(Message::Joined { worker: self.id, result }).is_err() {
                return;
            }
        }
        while let Ok(chunk) = chunks.recv() {
            let rows = match self.open() {
                Ok(()) => self.read(chunk),
                Err(error) => self
                    .messages
                    .send(Message::ChunkEnded { worker: self.id, chunk, result: Err(error) })
                    .is_ok()
                    .then_some(0),
            };
            let Some(rows) = rows else { return };
            if self.messages.send(Message::Read { worker: self.id, rows }).is_err() {
                return;
            }
        }
    }

    fn open(&mut self) -> Result<()> {
        if self.slot.lock().is_some() {
            return Ok(());
        }
        let mut source = self.job.source.open(&self.shared.instance_context())?;
        *self.shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = source.interrupt();
        let read_point = match &self.job.snapshot {
            None => None,
            Some(snapshot) => {
                let late = self.late && !snapshot.rejoinable;
                read_point::join(&self.job.plan, snapshot, &mut *source, late)?
            }
        };
        self.late = true;
        *self.slot.lock() = Some(Slotted { source, read_point });
        Ok(())
    }

    /// Reads one chunk; its rows, or None where nobody listens any more.
    fn read(&mut self, chunk: Chunk) -> Option<u64> {
        let slot = self.slot.clone();
        let mut slotted = slot.lock();
        let filled = slotted.as_mut()?;
        let (sender, batches) = batch::channel(ChannelSpec {
            schema: Arc::clone(&self.job.schema),
            share: self.shared.lane.share(),
            capacity_bytes: QUEUE_BYTES
                .min(self.job.budget.limit() / QUEUES_OF_BUDGET / u64::from(self.job.plan.execution.parallel.max(1))),
            cancelled: Arc::clone(&self.shared.cancelled),
            counters: Arc::clone(&self.job.counters),
        });
        let (done, exported) = channel();
        let reading = Reading {
            chunk: chunk.clone(),
            batches,
            lane: self.shared.lane.clone(),
            exported,
            read_point: filled.read_point.clone(),
            started_at: jiff::Timestamp::now(),
        };
        self.to_writer.send(reading).ok()?;
        let result = attempt::read(&self.job, &chunk, &mut *filled.source, sender);
        let result = result.map_err(|error| read_point::explain(&self.job.plan, error));
        let rows = result.as_ref().map_or(0, |(_, rows)| *rows);
        if result.is_err() {
            // After an error nobody knows what state a connection is in: it is not used again.
            *slotted = None;
            self.shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        // The writing half may have given up already; it has said why.
        let _ = done.send(result);
        Some(rows)
    }
}

/// The writing half.
fn write(id: u64, job: &Job, shared: &Shared, readings: &Receiver<Reading>, messages: &Sender<Message>) {
    let context = shared.instance_context();
    let open = || Ok(Destinations { parts: job.destination.open(&context)?, control: job.destination.open(&context)? });
    let mut destinations: Option<Destinations> = None;
    while let Ok(reading) = readings.recv() {
        let chunk = reading.chunk.clone();
        let opened = match destinations.take() {
            Some(destinations) => Ok(destinations),
            None => open(),
        };
        let result = opened.and_then(|opened| attempt::write(job, reading, destinations.insert(opened)));
        if messages.send(Message::ChunkEnded { worker: id, chunk, result }).is_err() {
            return;
        }
    }
}
