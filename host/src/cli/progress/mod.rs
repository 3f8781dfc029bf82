//! What a long command shows of its exports: bars on a terminal, a line now and then elsewhere, or JSON events.

mod bars;
mod layout;
mod moment;

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use self::bars::Bars;
use self::layout::Total;
use self::moment::{Moment, State};
use super::arguments::{self, Global};
use super::print;
use crate::batch::Counters;
use crate::plan::Plan;
use crate::run::{ChunkEvent, Watch};
use crate::threads;

/// How often bars are drawn, and how often is looked whether a line is due.
const TICK: Duration = Duration::from_millis(120);
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bars,
    Lines,
    Json,
    None,
}

/// Shows all exports of one command.
pub struct Progress {
    mode: Mode,
    board: Arc<Mutex<Board>>,
    ended: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

/// Those that run, and what became of the others.
struct Board {
    mode: Mode,
    running: Vec<Arc<State>>,
    over: Total,
    begun: Instant,
    bars: Option<Bars>,
}

impl Progress {
    /// Shows so many exports as `--progress` asks for. `to_stdout`: one of them is written to standard output.
    pub fn new(how: arguments::Progress, global: &Global, exports: usize, to_stdout: bool) -> Self {
        // Rows and bars on one terminal would be unreadable, both.
        let has_room = print::is_terminal() && can_move() && !(to_stdout && std::io::stdout().is_terminal());
        let mode = match how {
            _ if global.quiet => Mode::None,
            arguments::Progress::None => Mode::None,
            arguments::Progress::Json => Mode::Json,
            arguments::Progress::Auto | arguments::Progress::Bar if has_room => Mode::Bars,
            arguments::Progress::Auto | arguments::Progress::Bar => Mode::Lines,
        };
        let over = Total { exports, over: 0, failed: 0, rows: 0, bytes: 0, elapsed: Duration::ZERO };
        let bars = (mode == Mode::Bars).then(Bars::new);
        let board = Arc::new(Mutex::new(Board { mode, running: Vec::new(), over, begun: Instant::now(), bars }));
        let ended = Arc::new(AtomicBool::new(false));
        let ticker = (mode != Mode::None).then(|| {
            let (board, ended) = (Arc::clone(&board), Arc::clone(&ended));
            threads::start("progress", move || {
                while !ended.load(Ordering::SeqCst) {
                    lock(&board).show();
                    std::thread::park_timeout(TICK);
                }
            })
        });
        // Without the thread nothing is shown, and everything goes on.
        Self { mode, board, ended, ticker: ticker.and_then(Result::ok) }
    }

    /// Shows this export, until its display is gone.
    pub fn of(&self, export: &str) -> Display {
        let state = Arc::new(State::new(export));
        lock(&self.board).running.push(Arc::clone(&state));
        Display { mode: self.mode, state, board: Arc::clone(&self.board), failed: true }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            // A ticker that panicked has nothing more to show.
            let _ = ticker.join();
        }
        lock(&self.board).bars = None;
    }
}

impl Board {
    fn show(&mut self) {
        match (self.mode, &mut self.bars) {
            (_, Some(bars)) => {
                let running: Vec<Moment> = self.running.iter().map(|state| state.now()).collect();
                let mut total = Total { elapsed: self.begun.elapsed(), ..self.over };
                for moment in &running {
                    total.rows += moment.rows;
                    total.bytes += moment.bytes;
                }
                bars.draw(&running, (total.exports > 1).then_some(&total));
            }
            (mode, None) => {
                let due = self.running.iter().filter(|state| state.is_due(LINE_EVERY)).map(|state| state.now());
                due.for_each(|now| {
                    print::note(&if mode == Mode::Json { now.json().to_string() } else { now.line() });
                });
            }
        }
    }

    fn end(&mut self, state: &Arc<State>, failed: bool) {
        self.running.retain(|other| !Arc::ptr_eq(other, state));
        let now = state.now();
        self.over.over += 1;
        self.over.failed += usize::from(failed);
        self.over.rows += now.rows;
        self.over.bytes += now.bytes;
        if self.bars.is_some() {
            self.show();
        }
    }
}

/// Watches one export.
pub struct Display {
    mode: Mode,
    state: Arc<State>,
    board: Arc<Mutex<Board>>,
    failed: bool,
}

impl Display {
    /// The export is over. Dropped without this, it has failed.
    pub fn end(mut self, failed: bool) {
        self.failed = failed;
    }

    fn event(&self, value: &serde_json::Value) {
        if self.mode == Mode::Json {
            print::note(&value.to_string());
        }
    }
}

impl Watch for Display {
    fn planned(&mut self, plan: &Plan, done: usize, counters: &Arc<Counters>) {
        self.state.planned(plan, done, counters);
        self.event(&json!({ "event": "planned", "export": plan.export, "run_id": plan.run_id, "chunks": plan.chunks.len(), "done": done }));
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
        self.state.commits.store(true, Ordering::SeqCst);
        self.event(&json!({ "event": "committing", "export": plan.export, "run_id": plan.run_id }));
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        lock(&self.board).end(&self.state, self.failed);
    }
}

/// Whether the terminal can move its cursor. Without its name nobody knows.
fn can_move() -> bool {
    std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb")
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}
