//! One worker: a thread that owns its instances and takes a chunk at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rivet_sdk::{Destination, Error, ErrorKind, Interrupt, Result, Source};

use super::attempt::{self, Tools};
use super::pool::{Job, Message};
use crate::plan::Chunk;
use crate::source::Lent;

/// What the pool holds of a worker. The thread is detached: one that hangs is left behind.
pub(super) struct Worker {
    chunks: Sender<Chunk>,
    shared: Arc<Shared>,
    /// The chunk it works on, and since when.
    pub busy: Option<(Chunk, Instant)>,
}

/// What both threads touch.
struct Shared {
    /// Set to stop the running attempt; the worker ends after it.
    fence: Arc<AtomicBool>,
    interrupt: Mutex<Option<Box<dyn Interrupt>>>,
}

impl Worker {
    /// Starts worker number `id`, which answers through `messages`.
    pub fn start(id: u64, job: Arc<Job>, messages: Sender<Message>) -> Result<Self> {
        let shared = Arc::new(Shared { fence: Arc::default(), interrupt: Mutex::default() });
        let (chunks, received) = channel();
        let thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("worker-{id}"))
            .spawn(move || work(id, &job, &thread, &received, &messages))
            .map_err(|error| Error::new(ErrorKind::ResourceExhausted, format!("a worker thread: {error}")))?;
        Ok(Self { chunks, shared, busy: None })
    }

    /// Hands a chunk over.
    pub fn give(&mut self, chunk: Chunk) -> Result<()> {
        self.busy = Some((chunk.clone(), Instant::now()));
        self.chunks.send(chunk).map_err(|_| Error::internal("a worker ended early"))
    }

    /// Stops what it is doing: no row is taken from now on, and the server is asked to stop its
    /// statement, from a thread of its own because asking may hang too.
    pub fn stop(&self) {
        self.shared.fence.store(true, Ordering::SeqCst);
        let interrupt = self.shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(interrupt) = interrupt {
            std::thread::spawn(move || {
                if let Err(error) = interrupt.interrupt() {
                    log::warn!("a statement could not be cancelled on the server: {error}");
                }
            });
        }
    }
}

fn work(id: u64, job: &Job, shared: &Shared, chunks: &Receiver<Chunk>, messages: &Sender<Message>) {
    let mut instances = Instances { source: None, destinations: None };
    while let Ok(chunk) = chunks.recv() {
        let result = instances.attempt(job, shared, &chunk);
        if result.is_err() {
            // After an error nobody knows what state a connection is in: it is not used again.
            instances.source = None;
            shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        if messages.send(Message { worker: id, chunk, result }).is_err() {
            return;
        }
    }
}

struct Instances {
    source: Option<Box<dyn Source>>,
    destinations: Option<(Box<dyn Destination>, Box<dyn Destination>)>,
}

impl Instances {
    fn attempt(&mut self, job: &Job, shared: &Shared, chunk: &Chunk) -> Result<Option<crate::plan::Report>> {
        let lent = Lent { budget: Arc::clone(&job.lent_budget), cancelled: Arc::clone(&shared.fence) };
        if self.source.is_none() {
            let mut source = job.source.open(&lent)?;
            *shared.interrupt.lock().unwrap_or_else(PoisonError::into_inner) = source.interrupt();
            if let Some(snapshot) = &job.snapshot {
                source.join(snapshot)?;
            }
            self.source = Some(source);
        }
        if self.destinations.is_none() {
            self.destinations = Some((job.destination.open(&lent)?, job.destination.open(&lent)?));
        }
        let (Some(source), Some((destination, control))) = (&mut self.source, &mut self.destinations) else {
            return Err(Error::internal("an instance is missing that was just opened"));
        };
        let read_point = job.snapshot.as_ref().map(|snapshot| snapshot.read_point.clone());
        let tools = Tools {
            source: &mut **source,
            destination: &mut **destination,
            control: &mut **control,
            fence: Arc::clone(&shared.fence),
            read_point,
        };
        attempt::run(job, chunk, tools)
    }
}
