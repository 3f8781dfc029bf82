//! How far one export has come, and how that is said.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::super::print::{bytes, thousands};
use crate::batch::Counters;
use crate::plan::Plan;

/// One export, as its workers leave it behind.
pub struct State {
    export: String,
    begun: Instant,
    reading: Mutex<Option<Reading>>,
    pub done: AtomicUsize,
    pub commits: AtomicBool,
    /// When a line last told of it.
    told: Mutex<Instant>,
}

/// What is known since the plan was made.
#[derive(Clone)]
struct Reading {
    counters: Arc<Counters>,
    chunks: usize,
    estimated_rows: Option<u64>,
    started: Instant,
}

impl State {
    pub fn new(export: &str) -> Self {
        let now = Instant::now();
        Self {
            export: export.to_owned(),
            begun: now,
            reading: Mutex::default(),
            done: AtomicUsize::new(0),
            commits: AtomicBool::new(false),
            told: Mutex::new(now),
        }
    }

    pub fn planned(&self, plan: &Plan, done: usize, counters: &Arc<Counters>) {
        let reading = Reading {
            counters: Arc::clone(counters),
            chunks: plan.chunks.len(),
            estimated_rows: plan.chunks.iter().map(|chunk| chunk.estimated_rows).sum(),
            started: Instant::now(),
        };
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = reading.started;
        self.done.store(done, Ordering::Relaxed);
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
    }

    /// Whether it is read, and no line told of it for so long; then one does now.
    pub fn is_due(&self, every: Duration) -> bool {
        let is_read = self.reading.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = is_read && !self.commits.load(Ordering::SeqCst) && told.elapsed() >= every;
        if is_due {
            *told = Instant::now();
        }
        is_due
    }

    pub fn now(&self) -> Moment {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let counters = reading.as_ref().map(|reading| &reading.counters);
        let phase = match (&reading, self.commits.load(Ordering::SeqCst)) {
            (None, _) => Phase::Plans,
            (Some(_), false) => Phase::Reads,
            (Some(_), true) => Phase::Commits,
        };
        Moment {
            export: self.export.clone(),
            phase,
            rows: counters.map_or(0, |counters| counters.rows.load(Ordering::Relaxed)),
            bytes: counters.map_or(0, |counters| counters.bytes.load(Ordering::Relaxed)),
            chunks: reading.as_ref().map_or(0, |reading| reading.chunks),
            done: self.done.load(Ordering::Relaxed),
            elapsed: reading.as_ref().map_or(self.begun, |reading| reading.started).elapsed(),
            estimated_rows: reading.and_then(|reading| reading.estimated_rows),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Plans,
    Reads,
    Commits,
}

/// What there is to show right now.
#[derive(Debug, Clone)]
pub struct Moment {
    pub export: String,
    pub phase: Phase,
    pub rows: u64,
    pub bytes: u64,
    pub chunks: usize,
    pub done: usize,
    pub elapsed: Duration,
    pub estimated_rows: Option<u64>,
}

impl Moment {
    pub fn rows_per_second(&self) -> u64 {
        per_second(self.rows, self.elapsed)
    }

    pub fn bytes_per_second(&self) -> u64 {
        per_second(self.bytes, self.elapsed)
    }

    pub fn seconds_left(&self) -> Option<u64> {
        self.estimated_rows?.checked_sub(self.rows)?.checked_div(self.rows_per_second())
    }

    /// A line for logs.
    pub fn line(&self) -> String {
        let rate = format!("{} rows/s, {}/s", thousands(self.rows_per_second()), bytes(self.bytes_per_second()));
        let left = self.seconds_left().map(|left| format!(", about {left} s left")).unwrap_or_default();
        let Self { export, done, chunks, .. } = self;
        format!("{export}: {done}/{chunks} chunks, {} rows, {}, {rate}{left}", thousands(self.rows), bytes(self.bytes))
    }

    pub fn json(&self) -> serde_json::Value {
        json!({
            "event": "progress", "export": self.export, "rows": self.rows, "bytes": self.bytes,
            "chunks": self.chunks, "done": self.done, "seconds": self.elapsed.as_secs_f64().max(0.001),
            "seconds_left": self.seconds_left(),
        })
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
pub fn per_second(amount: u64, elapsed: Duration) -> u64 {
    (amount as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}
