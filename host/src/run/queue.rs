//! Which export begins when: in order, so many at once, over so many connections, and one at a
//! time where a group says so.
//!
//! The first waiting export whose group is free is next. Until its connections are free too,
//! nothing behind it begins: a large export is not overtaken for ever by small ones. Whatever
//! runs ends some day and needs nothing more until then, so the next one's turn always comes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rivet_sdk::{Error, Result};

use crate::source::ConnectionPermit;
use crate::stop::Stop;

/// How often who waits looks at the wish to stop.
const TICK: Duration = Duration::from_millis(50);
/// How long the connections of an export that is over may take to close.
const GRACE: Duration = Duration::from_secs(10);

/// An export that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a, T> {
    /// What it is.
    pub item: T,
    /// Never two of one group at once.
    pub group: Option<&'a str>,
    /// The most connections it will hold.
    pub connections: u32,
}

/// What all exports together may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Exports at once.
    pub exports: usize,
    /// Connections at once.
    pub connections: Option<u32>,
}

/// Does `work` for each of `waiting`; the results in the same order. None: it had not begun when
/// stopping was wanted. A panic is that item's error.
///
/// `work` gives what it opens a share of [`ConnectionPermit`]: the connections count until all of them are gone.
pub fn run_queue<T: Sync, R: Send>(
    waiting: &[Waiting<'_, T>],
    limits: Limits,
    stop: &Stop,
    work: impl Fn(&T, ConnectionPermit) -> Result<R> + Sync,
) -> Vec<Option<Result<R>>> {
    let queue = Queue {
        waiting,
        limits,
        stop,
        places: Mutex::new(vec![Place::Waits; waiting.len()]),
        changed: Condvar::new(),
        results: Mutex::new(std::iter::repeat_with(|| None).take(waiting.len()).collect()),
    };
    thread::scope(|scope| {
        // This thread is one of them, so that there is one.
        for number in 1..limits.exports.min(waiting.len()) {
            let spawned = thread::Builder::new().name(format!("export-{number}")).spawn_scoped(scope, || {
                queue.serve(&work);
            });
            if let Err(error) = spawned {
                log::warn!("only {number} exports run at once: {error}");
                break;
            }
        }
        queue.serve(&work);
    });
    queue.results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waits,
    Runs,
    IsOver,
}

struct Queue<'a, T, R> {
    waiting: &'a [Waiting<'a, T>],
    limits: Limits,
    stop: &'a Stop,
    places: Mutex<Vec<Place>>,
    changed: Condvar,
    results: Mutex<Vec<Option<Result<R>>>>,
}

impl<T, R> Queue<'_, T, R> {
    fn serve(&self, work: &impl Fn(&T, ConnectionPermit) -> Result<R>) {
        while let Some((index, next)) = self.next() {
            let (permit, closed) = channel();
            let done = catch_unwind(AssertUnwindSafe(|| work(&next.item, ConnectionPermit::new(permit))));
            let result = done.unwrap_or_else(|_| Err(Error::internal("an export's thread panicked")));
            if let Some(slot) = self.results.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                *slot = Some(result);
            }
            let somebody_waits = || self.places().contains(&Place::Waits);
            if somebody_waits() && closed.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
                log::warn!("connections of an export that is over are still open; the next one begins");
            }
            self.set(index, Place::IsOver);
        }
    }

    /// Waits for the next one that may begin. None: nothing is left to begin.
    fn next(&self) -> Option<(usize, &Waiting<'_, T>)> {
        let mut places = self.places();
        loop {
            if self.stop.is_wanted() || !places.contains(&Place::Waits) {
                return None;
            }
            if let Some(index) = admitted(self.waiting, self.limits.connections, &places)
                && let (Some(place), Some(next)) = (places.get_mut(index), self.waiting.get(index))
            {
                *place = Place::Runs;
                return Some((index, next));
            }
            places = self.changed.wait_timeout(places, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn set(&self, index: usize, to: Place) {
        if let Some(place) = self.places().get_mut(index) {
            *place = to;
        }
        self.changed.notify_all();
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who may begin now.
fn admitted<T>(waiting: &[Waiting<'_, T>], connections: Option<u32>, places: &[Place]) -> Option<usize> {
    let running: Vec<&Waiting<'_, T>> =
        waiting.iter().zip(places).filter(|(_, place)| **place == Place::Runs).map(|(export, _)| export).collect();
    let is_free = |group: Option<&str>| group.is_none() || running.iter().all(|other| other.group != group);
    let mut waits = waiting.iter().enumerate().zip(places).filter(|(_, place)| **place == Place::Waits);
    let ((index, next), _) = waits.find(|((_, export), _)| is_free(export.group))?;
    let taken = running.iter().fold(0_u32, |sum, export| sum.saturating_add(export.connections));
    // On its own, whoever is next may always begin: what can never fit was refused before.
    let fits = connections.is_none_or(|limit| running.is_empty() || taken.saturating_add(next.connections) <= limit);
    fits.then_some(index)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
