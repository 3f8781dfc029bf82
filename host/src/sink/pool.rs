//! The process's encoder threads: one for each core, whatever the number of workers.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::thread;

use rivet_sdk::{Error, ErrorKind, Result};

type Job = Box<dyn FnOnce() + Send>;

/// Threads that encode columns, shared by all workers of the process.
pub(super) struct Pool {
    queue: Arc<Queue>,
    threads: usize,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    added: Condvar,
}

static SHARED: LazyLock<Pool> =
    LazyLock::new(|| Pool::new(thread::available_parallelism().map_or(1, std::num::NonZero::get)));

impl Pool {
    /// The process's pool; its threads start with the first use.
    pub(super) fn shared() -> &'static Self {
        &SHARED
    }

    fn new(wanted: usize) -> Self {
        let queue = Arc::new(Queue::default());
        let mut threads = 0;
        for index in 0..wanted {
            let queue = Arc::clone(&queue);
            let spawned = thread::Builder::new().name(format!("encode-{index}")).spawn(move || queue.work());
            match spawned {
                Ok(_) => threads += 1,
                Err(error) => log::warn!("an encoder thread could not be started: {error}"),
            }
        }
        Self { queue, threads }
    }

    /// Runs `tasks`, in this order as threads become free. The results come in any order.
    pub(super) fn run<T: Send + 'static>(
        &self,
        tasks: impl IntoIterator<Item = Box<dyn FnOnce() -> Result<T> + Send>>,
    ) -> Running<T> {
        let (sender, results) = mpsc::channel();
        let mut pending = 0;
        for task in tasks {
            pending += 1;
            let sender = sender.clone();
            let job: Job = Box::new(move || {
                let result = catch_unwind(AssertUnwindSafe(task))
                    .unwrap_or_else(|_| Err(Error::new(ErrorKind::Panic, "an encoder thread panicked")));
                // A receiver that is gone no longer wants the result.
                let _ = sender.send(result);
            });
            if self.threads == 0 {
                job();
            } else {
                self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
                self.queue.added.notify_one();
            }
        }
        Running { results, pending }
    }
}

impl Queue {
    fn work(&self) {
        loop {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let job = loop {
                match jobs.pop_front() {
                    Some(job) => break job,
                    None => jobs = self.added.wait(jobs).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(jobs);
            job();
        }
    }
}

/// Tasks under way.
pub(super) struct Running<T> {
    results: mpsc::Receiver<Result<T>>,
    pending: usize,
}

impl<T> Running<T> {
    /// Waits for all of them; the first error, if there is one.
    pub(super) fn wait(self) -> Result<Vec<T>> {
        let mut done = Vec::with_capacity(self.pending);
        let mut failed = None;
        for _ in 0..self.pending {
            match self.results.recv() {
                Ok(Ok(result)) => done.push(result),
                Ok(Err(error)) => failed = failed.or(Some(error)),
                Err(_) => failed = failed.or_else(|| Some(Error::internal("an encoder thread vanished"))),
            }
        }
        failed.map_or(Ok(done), Err)
    }
}
