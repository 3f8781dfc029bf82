//! Bars at the lower end of a terminal: one for each export that runs, and one for all.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::super::print;
use super::layout::{Total, lines};
use super::moment::Moment;

/// Redraws a second, at most.
const RATE: u8 = 20;

/// Columns at the right that stay empty, for the `^C` that a terminal writes at the cursor.
const RIGHT: u16 = 3;

/// What stands below everything that is printed.
pub struct Bars {
    all: MultiProgress,
    terminal: Term,
    /// One for each line, from above.
    shown: Vec<(ProgressBar, String)>,
}

impl Bars {
    pub fn new() -> Self {
        let screen = Box::new(Screen { terminal: Term::buffered_stderr(), line_ended: AtomicBool::new(false) });
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(screen, RATE));
        print::stand_above(Some(all.clone()));
        Self { all, terminal: Term::stderr(), shown: Vec::new() }
    }

    /// Shows those exports, as many as the terminal has room for.
    pub fn draw(&mut self, running: &[Moment], total: Option<&Total>) {
        let (height, width) = self.terminal.size();
        // What is printed above stays in sight.
        let room = usize::from(height).saturating_sub(2 + usize::from(total.is_some())).max(1);
        let running = running.get(..room).unwrap_or(running);
        let lines = lines(running, total, usize::from(width.saturating_sub(RIGHT)));
        while self.shown.len() > lines.len() {
            if let Some((bar, _)) = self.shown.pop() {
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
        }
        for (index, line) in lines.into_iter().enumerate() {
            match self.shown.get_mut(index) {
                Some((_, before)) if *before == line => {}
                Some((bar, before)) => {
                    bar.set_message(line.clone());
                    *before = line;
                }
                None => {
                    let bar = self.all.add(ProgressBar::no_length().with_style(style()));
                    bar.set_message(line.clone());
                    self.shown.push((bar, line));
                }
            }
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.draw(&[], None);
        print::stand_above(None);
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The terminal, for bars that end where their text ends. They come filled up to the last column instead of with an
/// end of line; the `^C` that a terminal writes at the cursor would then begin a line of its own, and a bar would be
/// left behind.
#[derive(Debug)]
struct Screen {
    terminal: Term,
    /// A line was ended, and what comes belongs to the next.
    line_ended: AtomicBool,
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.terminal.size().1
    }

    fn height(&self) -> u16 {
        self.terminal.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.line_ended.store(false, Ordering::Relaxed);
        self.terminal.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.terminal.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.terminal.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.terminal.move_cursor_left(columns)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.terminal.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // What fills up a line, if only with nothing.
        if text.bytes().all(|byte| byte == b' ') {
            self.line_ended.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if self.line_ended.swap(false, Ordering::Relaxed) {
            self.terminal.write_str("\n")?;
        }
        self.terminal.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.terminal.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.terminal.flush()
    }
}
