//! Lines of bars that fit a terminal: what counts least is left out first.

use std::time::Duration;

use super::super::print::{bytes, thousands};
use super::moment::{Moment, Phase, per_second};

/// Cells of a bar.
const BAR: usize = 20;
/// Between two pieces of a line.
const GAP: usize = 2;
/// No name is cut below this.
const NAME_AT_LEAST: usize = 8;

/// What all exports of a command have come to.
#[derive(Debug, Clone, Copy)]
pub struct Total {
    pub exports: usize,
    pub over: usize,
    pub failed: usize,
    pub rows: u64,
    pub bytes: u64,
    pub elapsed: Duration,
}

/// A piece of a line, and how much it counts: the lowest number most. None: it is always there.
type Piece = (Option<u8>, String);

/// The lines of those exports, each of at most `width` columns.
pub fn lines(moments: &[Moment], total: Option<&Total>, width: usize) -> Vec<String> {
    let longest = moments.iter().map(|moment| columns(&moment.export)).max().unwrap_or(0);
    let name = longest.min((width / 3).max(NAME_AT_LEAST));
    let exports = moments.iter().map(|moment| of_export(moment, name, width));
    exports.chain(total.map(|total| of_total(total, name, width))).collect()
}

fn of_export(moment: &Moment, name: usize, width: usize) -> String {
    let mut pieces = vec![(None, cut(&moment.export, name)), (Some(0), clock(moment.elapsed))];
    match moment.phase {
        Phase::Plans => pieces.push((Some(1), "planning".to_owned())),
        Phase::Reads => {
            let left = moment.seconds_left().map(|left| (Some(3), format!("about {left} s left")));
            pieces.push((Some(4), bar(moment.done, moment.chunks)));
            pieces.push((Some(1), format!("{}/{}", moment.done, moment.chunks)));
            pieces.extend(amounts(moment.rows, moment.bytes, moment.elapsed));
            pieces.extend(left);
        }
        Phase::Commits => {
            pieces.push((Some(1), "committing".to_owned()));
            pieces.push((Some(2), format!("{} rows", thousands(moment.rows))));
            pieces.push((Some(3), bytes(moment.bytes)));
        }
    }
    fit(pieces, width)
}

fn of_total(total: &Total, name: usize, width: usize) -> String {
    let failed = if total.failed == 0 { String::new() } else { format!(", {} failed", total.failed) };
    let mut pieces = vec![(None, cut("total", name)), (Some(1), clock(total.elapsed))];
    pieces.push((Some(4), bar(total.over, total.exports)));
    pieces.push((Some(0), format!("{}/{} exports{failed}", total.over, total.exports)));
    pieces.extend(amounts(total.rows, total.bytes, total.elapsed));
    fit(pieces, width)
}

fn amounts(rows: u64, size: u64, elapsed: Duration) -> [Piece; 4] {
    [
        (Some(2), format!("{} rows", thousands(rows))),
        (Some(6), bytes(size)),
        (Some(5), format!("{} rows/s", thousands(per_second(rows, elapsed)))),
        (Some(7), format!("{}/s", bytes(per_second(size, elapsed)))),
    ]
}

/// The pieces that fit, in their order. Where one does not, none that counts less is there.
fn fit(pieces: Vec<Piece>, width: usize) -> String {
    let mut by_weight: Vec<&Piece> = pieces.iter().collect();
    by_weight.sort_by_key(|(weight, _)| *weight);
    let mut taken = 0;
    let mut last = None;
    for (weight, text) in by_weight {
        taken += columns(text) + if taken == 0 { 0 } else { GAP };
        if taken > width && weight.is_some() {
            break;
        }
        last = *weight;
    }
    let kept: Vec<String> = pieces.into_iter().filter(|(weight, _)| *weight <= last).map(|(_, text)| text).collect();
    kept.join(&" ".repeat(GAP))
}

/// `done` of `all` as a bar.
fn bar(done: usize, all: usize) -> String {
    let full = (done.min(all) * BAR).checked_div(all).unwrap_or(BAR);
    format!("{}{}", "█".repeat(full), "░".repeat(BAR - full))
}

/// `00:01:02`.
fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A name in exactly so many columns; what is cut off is an ellipsis.
fn cut(name: &str, width: usize) -> String {
    let mut text = name.to_owned();
    if columns(name) > width {
        while columns(&text) >= width && text.pop().is_some() {}
        text.push('…');
    }
    let padding = width.saturating_sub(columns(&text));
    text + &" ".repeat(padding)
}

/// Columns of a terminal. Letters of East Asian scripts take two; those that only may take two are counted so: a line
/// that is too short does no harm.
pub fn columns(text: &str) -> usize {
    let wide = |letter: char| matches!(letter, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{ffdc}' | '\u{1f000}'..);
    text.chars().map(|letter| if wide(letter) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(export: &str, phase: Phase) -> Moment {
        Moment {
            export: export.to_owned(),
            phase,
            rows: 1_234_567,
            bytes: 45_600_000,
            chunks: 8,
            done: 3,
            elapsed: Duration::from_secs(62),
            estimated_rows: Some(3_000_000),
        }
    }

    const TOTAL: Total =
        Total { exports: 300, over: 12, failed: 2, rows: 9_876, bytes: 1_000, elapsed: Duration::from_secs(3_700) };

    #[test]
    fn a_line_keeps_what_counts_and_never_more_than_fits() {
        let phases = [Phase::Plans, Phase::Reads, Phase::Commits];
        let moments = phases.map(|phase| moment("a_table_with_quite_a_long_name", phase));
        for width in 30..220 {
            for line in lines(&moments, Some(&TOTAL), width) {
                assert!(columns(&line) <= width, "{width}: {line}");
            }
        }
        let at = |width| lines(&[moment("orders", Phase::Reads)], Some(&TOTAL), width);
        assert_eq!(
            at(40),
            ["orders  00:01:02  3/8  1 234 567 rows", "total   12/300 exports, 2 failed"].map(String::from)
        );
        assert_eq!(
            at(200)[0],
            "orders  00:01:02  ███████░░░░░░░░░░░░░  3/8  1 234 567 rows  45.6 MB  19 912 rows/s  735.5 kB/s  about 88 s left"
        );
    }

    #[test]
    fn a_name_is_cut_by_columns() {
        assert_eq!([cut("orders", 8), cut("order_items", 8), cut("注文明細", 5)], ["orders  ", "order_i…", "注文…"]);
    }
}
