//! Bars at the lower end of a terminal: one for each export that runs, and one for all.

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::print;
use super::layout::{Total, lines};
use super::moment::Moment;

/// Redraws a second, at most.
const RATE: u8 = 20;

/// What stands below everything that is printed.
pub struct Bars {
    all: MultiProgress,
    terminal: Term,
    /// One for each line, from above.
    shown: Vec<(ProgressBar, String)>,
}

impl Bars {
    pub fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
        print::stand_above(Some(all.clone()));
        Self { all, terminal: Term::stderr(), shown: Vec::new() }
    }

    /// Shows those exports, as many as the terminal has room for.
    pub fn draw(&mut self, running: &[Moment], total: Option<&Total>) {
        let (height, width) = self.terminal.size();
        // What is printed above stays in sight, and nothing ends in the last column, where a terminal would wrap.
        let room = usize::from(height).saturating_sub(2 + usize::from(total.is_some())).max(1);
        let running = running.get(..room).unwrap_or(running);
        let lines = lines(running, total, usize::from(width).saturating_sub(1));
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
    ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}
