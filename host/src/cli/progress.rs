//! What a long run shows: a bar on a terminal, a line now and then elsewhere, or JSON events.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::arguments::{self, Global};
use super::print;
use super::print::{bytes, thousands};
use crate::batch::Counters;
use crate::plan::Plan;
use crate::run::{ChunkEvent, Watch};

const BAR_TICK: Duration = Duration::from_millis(120);
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bar,
    Lines,
    Json,
    None,
}

/// Watches one export.
pub struct Display {
    mode: Mode,
    state: Arc<State>,
    ticker: Option<JoinHandle<()>>,
}

struct State {
    export: Mutex<String>,
    counters: Mutex<Arc<Counters>>,
    chunks: AtomicUsize,
    done: AtomicUsize,
    estimated_rows: Mutex<Option<u64>>,
    started: Mutex<Instant>,
    ended: AtomicBool,
}

impl Display {
    /// A display as `--progress` asks for. Several exports at once get lines, not bars.
    pub fn new(how: arguments::Progress, global: &Global, alone: bool) -> Self {
        let mode = match how {
            _ if global.quiet => Mode::None,
            arguments::Progress::None => Mode::None,
            arguments::Progress::Json => Mode::Json,
            arguments::Progress::Bar if alone => Mode::Bar,
            arguments::Progress::Auto if alone && print::is_terminal() => Mode::Bar,
            arguments::Progress::Auto | arguments::Progress::Bar => Mode::Lines,
        };
        let state = State {
            export: Mutex::default(),
            counters: Mutex::default(),
            chunks: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            estimated_rows: Mutex::default(),
            started: Mutex::new(Instant::now()),
            ended: AtomicBool::new(false),
        };
        Self { mode, state: Arc::new(state), ticker: None }
    }

    fn event(&self, value: &serde_json::Value) {
        if self.mode == Mode::Json {
            print::note(&value.to_string());
        }
    }

    fn end(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            // A ticker that panicked has nothing more to show.
            let _ = ticker.join();
        }
    }
}

impl Watch for Display {
    fn planned(&mut self, plan: &Plan, done: usize, counters: &Arc<Counters>) {
        let state = &self.state;
        set(&state.export, plan.export.clone());
        set(&state.counters, Arc::clone(counters));
        set(&state.estimated_rows, plan.chunks.iter().map(|chunk| chunk.estimated_rows).sum());
        set(&state.started, Instant::now());
        state.chunks.store(plan.chunks.len(), Ordering::Relaxed);
        state.done.store(done, Ordering::Relaxed);
        self.event(&json!({ "event": "planned", "export": plan.export, "run_id": plan.run_id, "chunks": plan.chunks.len(), "done": done }));
        let mode = self.mode;
        if mode != Mode::None {
            let state = Arc::clone(state);
            self.ticker = std::thread::Builder::new().name("progress".into()).spawn(move || tick(mode, &state)).ok();
        }
    }

    fn chunk(&mut self, event: &ChunkEvent<'_>) {
        match event {
            ChunkEvent::Done(report) => {
                self.state.done.fetch_add(1, Ordering::Relaxed);
                self.event(&json!({
                    "event": "chunk", "export": report.export, "chunk": report.chunk, "rows": report.rows, "parts": report.parts.len(),
                }));
            }
            ChunkEvent::DoneElsewhere(chunk) => {
                self.state.done.fetch_add(1, Ordering::Relaxed);
                self.event(&json!({ "event": "chunk", "chunk": chunk, "elsewhere": true }));
            }
            ChunkEvent::Retried { chunk, error, delay } => {
                log::warn!("chunk {chunk} is tried again in {:.1} s: {error}", delay.as_secs_f64());
                self.event(&json!({ "event": "retry", "chunk": chunk, "error": error.to_string(), "delay_s": delay.as_secs_f64() }));
            }
        }
    }

    fn committing(&mut self, plan: &Plan) {
        self.end();
        self.event(&json!({ "event": "committing", "export": plan.export, "run_id": plan.run_id }));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.end();
    }
}

fn tick(mode: Mode, state: &State) {
    let bar = (mode == Mode::Bar).then(bar);
    let pause = if mode == Mode::Bar { BAR_TICK } else { LINE_EVERY };
    loop {
        std::thread::park_timeout(pause);
        if state.ended.load(Ordering::SeqCst) {
            break;
        }
        let now = Moment::of(state);
        match (&bar, mode) {
            (Some(bar), _) => {
                bar.set_length(now.chunks as u64);
                bar.set_position(now.done as u64);
                bar.set_prefix(now.export.clone());
                bar.set_message(now.text());
            }
            (None, Mode::Json) => print::note(&now.json().to_string()),
            (None, _) => print::note(&format!("{}: {}/{} chunks, {}", now.export, now.done, now.chunks, now.text())),
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix} [{elapsed_precise}] {bar:20} {pos}/{len}  {wide_msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// What there is to show right now.
struct Moment {
    export: String,
    rows: u64,
    bytes: u64,
    chunks: usize,
    done: usize,
    seconds: f64,
    estimated_rows: Option<u64>,
}

impl Moment {
    fn of(state: &State) -> Self {
        let counters = state.counters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self {
            export: state.export.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            rows: counters.rows.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            chunks: state.chunks.load(Ordering::Relaxed),
            done: state.done.load(Ordering::Relaxed),
            seconds: state.started.lock().unwrap_or_else(PoisonError::into_inner).elapsed().as_secs_f64().max(0.001),
            estimated_rows: *state.estimated_rows.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate for people"
    )]
    fn per_second(&self, amount: u64) -> u64 {
        (amount as f64 / self.seconds) as u64
    }

    fn seconds_left(&self) -> Option<u64> {
        let left = self.estimated_rows?.checked_sub(self.rows)?;
        let rate = self.per_second(self.rows);
        (rate > 0).then(|| left / rate)
    }

    fn text(&self) -> String {
        let rate =
            format!("{} rows/s, {}/s", thousands(self.per_second(self.rows)), bytes(self.per_second(self.bytes)));
        let left = self.seconds_left().map(|left| format!(", about {left} s left")).unwrap_or_default();
        format!("{} rows, {}, {rate}{left}", thousands(self.rows), bytes(self.bytes))
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "event": "progress", "export": self.export, "rows": self.rows, "bytes": self.bytes,
            "chunks": self.chunks, "done": self.done, "seconds": self.seconds, "seconds_left": self.seconds_left(),
        })
    }
}

fn set<T>(slot: &Mutex<T>, value: T) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = value;
}
