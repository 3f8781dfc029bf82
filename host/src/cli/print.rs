//! The only place that writes to stdout and stderr. Secrets are taken out of every message.

#![allow(clippy::print_stdout, reason = "this is the printer")]

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use rivet_sdk::{Error, Result};
use serde::Serialize;

use super::arguments::Color;
use crate::redact;

/// Data for stdout, as it is: it is made of names and numbers, and of errors that were cleaned
/// before; a name that happens to hold a password's letters must stay a name. A closed pipe is the reader's wish, not an error.
pub fn out(text: &str) -> Result<()> {
    let write = || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    };
    match above_the_bars(write) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(rivet_sdk::ErrorKind::ResourceExhausted, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// A line for stdout.
pub fn line(text: &str) -> Result<()> {
    out(&format!("{text}\n"))
}

/// A value as JSON for stdout.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::internal(format!("JSON: {error}")))?;
    line(&text)
}

/// A line for people, to stderr. Nobody is left to tell where stderr is gone.
pub fn note(text: &str) {
    above_the_bars(|| {
        let _ = writeln!(io::stderr().lock(), "{}", redact::clean(text));
    });
}

/// The bars that stand at the lower end of the terminal now. Whoever prints takes them away and puts them back.
static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// From now on everything is printed above these bars; None: there are none any more.
pub fn stand_above(bars: Option<MultiProgress>) {
    *BARS.lock().unwrap_or_else(PoisonError::into_inner) = bars;
}

fn above_the_bars<T>(write: impl FnOnce() -> T) -> T {
    let bars = BARS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// Takes the bars off the terminal for good: the process ends while they are shown.
pub fn take_bars_away() {
    let bars = BARS.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(bars) = bars {
        // The terminal may be gone as well.
        let _ = bars.clear();
        bars.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// Whether people read stderr.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// `text` in red, where colour is wanted.
pub fn red(text: &str, color: Color) -> String {
    paint(text, "31;1", color)
}

/// `text` in cyan, where colour is wanted.
pub fn cyan(text: &str, color: Color) -> String {
    paint(text, "36", color)
}

fn paint(text: &str, code: &str, color: Color) -> String {
    let wanted = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    if wanted { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// `1234567` as `1 234 567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Bytes as `12.3 MB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = number as f64;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A duration as `1.2 s` or `3 min 4 s`.
pub fn duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([thousands(0), thousands(999), thousands(1_234_567)], ["0", "999", "1 234 567"]);
        assert_eq!([bytes(999), bytes(1_234), bytes(45_600_000)], ["999 B", "1.2 kB", "45.6 MB"]);
    }
}
