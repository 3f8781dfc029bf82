//! What a command says of several exports: a line when one is over, and a table at the end, worst first.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use rivet_sdk::{Error, ErrorKind, Result};

use super::arguments::Global;
use super::print::{self, bytes, duration, thousands};
use super::{summary, table};
use crate::files::explained;
use crate::plan::Consistency;
use crate::redact;
use crate::run::Finished;

/// So many exports of each good kind the table shows, where it does not show all.
const SHOWN: usize = 10;
/// A table of no more rows than this is always whole.
const WHOLE: usize = 20;

/// An export that is over.
#[derive(Debug)]
pub struct Ended {
    pub export: String,
    pub result: Result<Finished>,
    pub elapsed: Duration,
}

/// The worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Failed,
    FailedItsChecks,
    Interrupted,
    Warned,
    Succeeded,
}

impl Ended {
    fn rank(&self) -> Rank {
        match &self.result {
            Err(error) if error.kind() == ErrorKind::Cancelled => Rank::Interrupted,
            Err(_) => Rank::Failed,
            Ok(finished) if !finished.checks.errors.is_empty() => Rank::FailedItsChecks,
            Ok(finished) if !summary::all_warnings(finished).is_empty() => Rank::Warned,
            Ok(_) => Rank::Succeeded,
        }
    }

    pub fn has_failed(&self) -> bool {
        self.rank() <= Rank::Interrupted
    }

    /// Of one that has come to nothing.
    fn failure(&self) -> &'static str {
        if self.rank() == Rank::Interrupted { "interrupted" } else { "failed" }
    }

    fn outcome(&self) -> String {
        let Ok(finished) = &self.result else { return self.failure().to_owned() };
        let status = summary::status(finished);
        match summary::all_warnings(finished).len() {
            0 => status.to_owned(),
            1 => format!("{status}, 1 warning"),
            warnings => format!("{status}, {warnings} warnings"),
        }
    }

    /// The first line of what went wrong.
    fn error(&self) -> Option<String> {
        let error: &Error = match &self.result {
            Err(error) => error,
            Ok(finished) => finished.checks.errors.first()?,
        };
        let text = explained(redact::clean_error(error.clone())).to_string();
        text.lines().next().map(str::to_owned)
    }

    fn parts(&self) -> Option<(u64, u64)> {
        let manifest = self.result.as_ref().ok()?.manifest.as_ref()?;
        Some((manifest.parts.len() as u64, manifest.bytes))
    }

    /// One line, for the moment in which it is over.
    fn line(&self) -> String {
        let Self { export, elapsed, .. } = self;
        let time = duration(*elapsed);
        let error = self.error().unwrap_or_default();
        match (&self.result, self.parts()) {
            (Err(_), _) => format!("{export}: {} after {time}: {error}", self.failure()),
            (Ok(finished), _) if finished.already_committed => {
                format!("{export}: run {} was committed before; nothing to do", finished.plan.run_id)
            }
            (Ok(finished), parts) => {
                let rows = thousands(finished.rows);
                let parts = parts.map(|(parts, size)| format!(", {parts} parts ({})", bytes(size))).unwrap_or_default();
                // Said only where there is something to think of.
                let consistency = finished.manifest.as_ref().filter(|of| of.consistency != Consistency::Snapshot);
                let consistency = consistency.map(summary::consistency).map(|text| format!(", consistency: {text}"));
                let what = format!("{rows} rows{parts} in {time}{}", consistency.unwrap_or_default());
                match error.as_str() {
                    "" => format!("{export}: {what}"),
                    error => format!("{export}: {what}, {}: {error}", summary::status(finished)),
                }
            }
        }
    }
}

/// All exports of one command.
pub struct Outcomes<'a> {
    global: &'a Global,
    /// How many were to be exported.
    exports: usize,
    begun: Instant,
    /// Warnings that were told: the same of each export is told once.
    told: Mutex<HashSet<String>>,
}

impl<'a> Outcomes<'a> {
    pub fn new(global: &'a Global, exports: usize) -> Self {
        Self { global, exports, begun: Instant::now(), told: Mutex::default() }
    }

    /// Tells of an export that is over: of one alone all there is to say, of one of several a line.
    pub fn tell(&self, ended: &Ended) {
        if self.global.quiet {
            return;
        }
        // Held while lines are printed, so that those of two exports do not mix.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &ended.result {
            Ok(finished) if self.exports == 1 || self.global.verbose > 0 => summary::print(finished),
            Err(_) if self.exports == 1 => {}
            result => {
                let line = ended.line();
                print::note(&if ended.has_failed() { print::red(&line, self.global.color) } else { line });
                let warnings = result.as_ref().map(summary::all_warnings).unwrap_or_default();
                for warning in warnings.into_iter().filter(|warning| told.insert(warning.clone())) {
                    print::note(&format!("  warning: {warning}"));
                }
            }
        }
    }

    /// The table of all, where there are several.
    pub fn conclude(&self, ended: &[Ended]) {
        if self.global.quiet || self.exports < 2 {
            return;
        }
        let width = print::is_terminal().then(|| usize::from(Term::stderr().size().1));
        let text = self.table(ended, width.unwrap_or(usize::MAX));
        text.lines().for_each(print::note);
    }

    fn table(&self, ended: &[Ended], width: usize) -> String {
        let mut sorted: Vec<(Rank, &Ended)> = ended.iter().map(|one| (one.rank(), one)).collect();
        sorted.sort_by_key(|(rank, one)| (*rank, std::cmp::Reverse(one.elapsed)));
        let count = |rank: Rank| sorted.iter().filter(|(of, _)| *of == rank).count();
        let counts = [Rank::Failed, Rank::FailedItsChecks, Rank::Interrupted, Rank::Warned, Rank::Succeeded].map(count);
        let is_whole = self.global.verbose > 0 || sorted.len() <= WHOLE;
        let mut left_out = 0;
        let mut rank_before = None;
        let mut of_rank = 0;
        let mut shown = Vec::new();
        for (rank, one) in &sorted {
            of_rank = if rank_before == Some(*rank) { of_rank + 1 } else { 1 };
            rank_before = Some(*rank);
            if is_whole || *rank <= Rank::Interrupted || of_rank <= SHOWN {
                shown.push(*one);
            } else {
                left_out += 1;
            }
        }
        let mut text = rows(&shown, width);
        if left_out > 0 {
            text.push_str(&format!("… and {} more that succeeded (-v shows them)\n", thousands(left_out)));
        }
        text.push_str(&self.sum(ended, counts));
        text.push('\n');
        text
    }

    fn sum(&self, ended: &[Ended], [failed, failed_checks, interrupted, warned, succeeded]: [usize; 5]) -> String {
        let not_begun = self.exports.saturating_sub(ended.len());
        let words = [
            (failed, "failed"),
            (failed_checks, "committed, failed their checks"),
            (interrupted, "interrupted"),
            (not_begun, "not begun"),
            (warned, "succeeded with warnings"),
            (succeeded, "succeeded"),
        ];
        let counted = words.iter().filter(|(count, _)| *count > 0);
        let counted: Vec<String> =
            counted.map(|(count, word)| format!("{} {word}", thousands(*count as u64))).collect();
        let rows: u64 = ended.iter().filter_map(|one| one.result.as_ref().ok()).map(|finished| finished.rows).sum();
        let size: u64 = ended.iter().filter_map(Ended::parts).map(|(_, size)| size).sum();
        format!(
            "{} exports: {}; {} rows, {} in {}",
            thousands(self.exports as u64),
            counted.join(", "),
            thousands(rows),
            bytes(size),
            duration(self.begun.elapsed())
        )
    }
}

/// The table's lines, none wider than `width`.
fn rows(shown: &[&Ended], width: usize) -> String {
    let cells = |one: &&Ended| {
        let finished = one.result.as_ref().ok();
        let number = |text: Option<String>| table::or_dash(text.unwrap_or_default());
        [
            one.export.clone(),
            one.outcome(),
            number(finished.map(|finished| thousands(finished.rows))),
            number(one.parts().map(|(parts, _)| thousands(parts))),
            number(one.parts().map(|(_, size)| bytes(size))),
            duration(one.elapsed),
            String::new(),
        ]
    };
    let header = ["export", "outcome", "rows", "parts", "size", "time", "error"];
    let mut full: Vec<[String; 7]> = shown.iter().map(cells).collect();
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let is_narrow = widest(&table::render("", header, &full)) > width;
    for (row, one) in full.iter_mut().zip(shown) {
        row[6] = one.error().unwrap_or_default();
    }
    let text = if is_narrow {
        let rows: Vec<[String; 4]> = full
            .into_iter()
            .map(|[export, outcome, .., time, error]| [outcome, time, cut(&export, width / 2), error])
            .collect();
        table::render("", ["outcome", "time", "export", "error"], &rows)
    } else if full.iter().all(|row| row[6].is_empty()) {
        let rows: Vec<[String; 6]> = full
            .into_iter()
            .map(|[export, outcome, rows, parts, size, time, _]| [export, outcome, rows, parts, size, time])
            .collect();
        table::render("", ["export", "outcome", "rows", "parts", "size", "time"], &rows)
    } else {
        table::render("", header, &full)
    };
    text.lines().map(|line| cut(line, width) + "\n").collect()
}

fn cut(line: &str, width: usize) -> String {
    match line.chars().count() > width {
        true => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => line.to_owned(),
    }
}
