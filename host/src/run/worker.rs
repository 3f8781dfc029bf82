//! One worker: a thread that owns a source and reads chunk after chunk, and one that owns
//! destinations and writes them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rivet_sdk::{Error, Interrupt, Result, Source};

use super::attempt::{self, Ends, Reading};
use super::pool::{Job, Message};
use super::read_point;
use crate::batch::{self, ChannelSpec};
use crate::plan::Chunk;
use crate::source::Lent;
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
    /// What its instances are lent. The flag in that is set to stop what is running; the worker ends after it.
    lent: Lent,
    interrupt: Mutex<Option<Box<dyn Interrupt>>>,
}

impl Worker {
    /// Starts worker number `id`, which answers through `messages`. With `join_now` it joins the
    /// job's snapshot at once and says so, instead of with its first chunk. With a `seat` it takes
    /// the instance that sits there before it opens one of its own.
    pub fn start(
        id: u64,
        job: &Arc<Job>,
        messages: &Sender<Message>,
        join_now: bool,
        seat: Option<Seat>,
    ) -> Result<Self> {
        let lent = match &seat {
            Some(seat) => seat.lent.clone(),
            None => Lent::new(&job.lent_budget),
        };
        let interrupt = seat.as_ref().and_then(|seat| seat.open().as_ref().and_then(|open| open.source.interrupt()));
        let seat = seat.unwrap_or_else(|| Seat::empty(lent.clone()));
        let shared = Arc::new(Shared { lent, interrupt: Mutex::new(interrupt) });
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
            seat,
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

    /// Forgets a chunk that is settled. False: it is not this worker's.
    pub fn settled(&mut self, chunk: u32) -> bool {
        let before = self.busy.len();
        self.busy.retain(|(busy, _)| busy.index != chunk);
        self.busy.len() < before
    }

    /// Stops what it is doing: no row is taken from now on, and the server is asked to stop its
    /// statement, from a thread of its own because asking may hang too.
    pub fn stop(&self) {
        self.shared.lent.cancelled.store(true, Ordering::SeqCst);
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
    fn lent(&self) -> Lent {
        self.lent.clone()
    }
}

/// The reading half.
struct Reader {
    /// Stands first: what sits there is closed before the job, and with it the last share in its connection, goes.
    seat: Seat,
    id: u64,
    job: Arc<Job>,
    shared: Arc<Shared>,
    to_writer: SyncSender<Reading>,
    messages: Sender<Message>,
    /// Whether it is too late to join a snapshot that all had to join together.
    late: bool,
}

/// An instance, and the read point it reads at, if it is one that chunks share.
struct Open {
    source: Box<dyn Source>,
    read_point: Option<String>,
}

/// Where a worker's instance sits. The planner's is put there where one worker reads it all, and comes back from there
/// once the chunks are read: who may have one connection only exports with it.
#[derive(Clone)]
pub struct Seat {
    open: Arc<Mutex<Option<Open>>>,
    /// What the instance was lent.
    lent: Lent,
}

impl Seat {
    /// With an instance that was lent this. It reads at `read_point`, if it holds one for itself.
    pub(super) fn of(source: Box<dyn Source>, lent: Lent, read_point: Option<String>) -> Self {
        Self { open: Arc::new(Mutex::new(Some(Open { source, read_point }))), lent }
    }

    fn empty(lent: Lent) -> Self {
        Self { open: Arc::default(), lent }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance, unless it was lost, or its worker hangs.
    pub(super) fn leave(&self) -> Option<Box<dyn Source>> {
        self.open.try_lock().ok()?.take().map(|open| open.source)
    }
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
                    .send(Message::Settled { worker: self.id, chunk, result: Err(error) })
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
        if self.seat.open().is_some() {
            return Ok(());
        }
        let mut source = self.job.source.open(&self.shared.lent())?;
        *self.shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = source.interrupt();
        let read_point = match &self.job.snapshot {
            None => None,
            Some(snapshot) => {
                let late = self.late && !snapshot.rejoinable;
                read_point::join(&self.job.plan, snapshot, &mut *source, late)?
            }
        };
        self.late = true;
        *self.seat.open() = Some(Open { source, read_point });
        Ok(())
    }

    /// Reads one chunk; its rows, or None where nobody listens any more.
    fn read(&mut self, chunk: Chunk) -> Option<u64> {
        let seat = self.seat.clone();
        let mut seated = seat.open();
        let open = seated.as_mut()?;
        let (sender, batches) = batch::channel(ChannelSpec {
            schema: Arc::clone(&self.job.schema),
            share: self.shared.lent.lane.share(),
            capacity_bytes: QUEUE_BYTES.min(
                self.job.lent_budget.limit() / QUEUES_OF_BUDGET / u64::from(self.job.plan.execution.parallel.max(1)),
            ),
            fence: Arc::clone(&self.shared.lent.cancelled),
            counters: Arc::clone(&self.job.counters),
        });
        let (done, exported) = channel();
        let reading = Reading {
            chunk: chunk.clone(),
            batches,
            lane: self.shared.lent.lane.clone(),
            exported,
            read_point: open.read_point.clone(),
            started_at: jiff::Timestamp::now(),
        };
        self.to_writer.send(reading).ok()?;
        let result = attempt::read(&self.job, &chunk, &mut *open.source, sender);
        let result = result.map_err(|error| read_point::explain(&self.job.plan, error));
        let rows = result.as_ref().map_or(0, |(_, rows)| *rows);
        if result.is_err() {
            // After an error nobody knows what state a connection is in: it is not used again.
            *seated = None;
            self.shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        // The writing half may have given up already; it has said why.
        let _ = done.send(result);
        Some(rows)
    }
}

/// The writing half.
fn write(id: u64, job: &Job, shared: &Shared, readings: &Receiver<Reading>, messages: &Sender<Message>) {
    let lent = shared.lent();
    let open = || Ok(Ends { parts: job.destination.open(&lent)?, control: job.destination.open(&lent)? });
    let mut ends: Option<Ends> = None;
    while let Ok(reading) = readings.recv() {
        let chunk = reading.chunk.clone();
        let opened = match ends.take() {
            Some(ends) => Ok(ends),
            None => open(),
        };
        let result = opened.and_then(|opened| attempt::write(job, reading, ends.insert(opened)));
        if messages.send(Message::Settled { worker: id, chunk, result }).is_err() {
            return;
        }
    }
}
