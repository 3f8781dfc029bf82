//! Every state of the model of the watermark, and what it must find.

use super::*;
use crate::search::{assert_finds, assert_holds, search};
use rivet::crash::CRASH_POINTS;

const ALL: Rules = Rules {
    replace: false,
    lease: true,
    checks_chain: true,
    names_newest: true,
    withdraws: true,
    adopts: true,
    respects_reset: true,
    swaps: true,
    ties: true,
    by_run: true,
    compares_ties: true,
    cursors: [1, 1, 2, 2],
};

/// Cursors that some rows share: those that were delivered with later ones, or later ones with each other.
const CURSORS: [[u8; 4]; 2] = [[1, 1, 2, 2], [1, 2, 2, 2]];

/// The most rows a table comes to.
const MOST: u8 = 4;

/// Holds at every moment.
fn in_every_state(state: &State) -> Result<(), &'static str> {
    let committed = || state.runs.iter().filter(|run| run.was_committed);
    for row in 1..=MOST {
        for epoch in 0..=state.resets {
            let delivered = committed().filter(|run| run.epoch == epoch && run.delivers & (1 << row) != 0).count();
            if delivered > 1 {
                return Err("a row is delivered twice");
            }
        }
    }
    let reached = |mark: Mark| committed().any(|run| run.to == Some(mark));
    for run in committed() {
        // Every link begins at another one's end, and those go back to the beginning.
        if run.from.is_some_and(|from| !reached(from)) {
            return Err("a run begins where none ended");
        }
    }
    for store in &state.stores {
        if store.watermark.is_some_and(|(mark, _)| !reached(mark)) {
            return Err("a watermark stands beyond what was delivered");
        }
    }
    Ok(())
}

/// After any history, runs with either store take all that is there, once, since the last reset.
fn after_all(state: &State, rules: &Rules) -> Result<(), &'static str> {
    let mut state = state.clone();
    for store in [0, 1, 0] {
        state.actors = vec![actor(Kind::Process(store))];
        while state.actors[0].at != DONE {
            state = step(&state, 0, rules).ok_or("a lease is held by nobody")?;
        }
        in_every_state(&state)?;
    }
    let delivered = |epoch: u8| {
        let all = state.runs.iter().filter(|run| run.was_committed && run.epoch == epoch);
        all.fold(0, |rows, run| rows | run.delivers)
    };
    let table = rules.rows(state.grown, |_| true);
    if state.resets > 0 {
        return if delivered(state.resets) == table { Ok(()) } else { Err("a reset was not heeded") };
    }
    if delivered(0) == table { Ok(()) } else { Err("rows are never delivered") }
}

/// Who took which step.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Step {
    who: Kind,
    at: &'static str,
    killed_before: bool,
}

fn explore(kinds: &[Kind], rules: Rules, most_deaths: u8) -> Result<usize, String> {
    let store = Store { watermark: None, reset_at: None, held_by: None };
    // One row was delivered, and the first store knows of it.
    let (run, known) = (
        Run {
            from: None,
            to: Some(Mark { value: 1, rows: 0b10 }),
            delivers: 0b10,
            after: None,
            decision: Decision::Committed,
            committed_at: 1,
            epoch: 0,
            was_committed: true,
        },
        Store { watermark: Some((Mark { value: 1, rows: 0b10 }, 0)), ..store },
    );
    let begun = State {
        runs: vec![run],
        stores: [known, store],
        grown: 2,
        now: 1,
        resets: 0,
        actors: kinds.iter().copied().map(actor).collect(),
        deaths: 0,
    };
    let new = State { runs: Vec::new(), stores: [store; 2], grown: 2, now: 0, ..begun.clone() };
    let one = |start| {
        search(start, |state: &State| {
            in_every_state(state)?;
            let alive = (0u8..).zip(&state.actors).filter(|(_, me)| me.at != DONE);
            let mut moves = Vec::new();
            for (who, me) in alive {
                assert!(
                    [START, READ, NEWEST, PLAN].contains(&me.at) || CRASH_POINTS.contains(&me.at),
                    "{}: no such step",
                    me.at
                );
                moves.extend(
                    step(state, who, &rules).map(|next| (Step { who: me.kind, at: me.at, killed_before: false }, next)),
                );
                if state.deaths < most_deaths && !matches!(me.kind, Kind::Grow | Kind::Reset(_)) {
                    let mut dead = state.clone();
                    dead.actors[usize::from(who)].at = DONE;
                    dead.settle(who);
                    dead.deaths += 1;
                    moves.push((Step { who: me.kind, at: me.at, killed_before: true }, dead));
                }
            }
            if moves.is_empty() {
                after_all(state, &rules)?;
            }
            Ok(moves)
        })
    };
    Ok(one(new)? + one(begun)?)
}

/// Histories as users make them.
fn scenarios() -> Vec<(&'static str, Vec<Kind>)> {
    use Kind::{Grow, Process, Reset, Sealed};
    vec![
        ("two runs of one store", vec![Process(0), Process(0), Grow]),
        ("a run with another store, or the first one lost", vec![Process(0), Process(1), Grow]),
        ("a sealed plan beside a run", vec![Process(0), Sealed, Grow]),
        ("two sealed plans", vec![Sealed, Sealed, Process(1)]),
        ("a reset between runs", vec![Process(0), Reset(0), Grow]),
    ]
}

#[test]
fn every_row_is_delivered_once_in_every_interleaving_with_a_death() {
    for (replace, cursors) in [false, true].into_iter().flat_map(|replace| CURSORS.map(|cursors| (replace, cursors))) {
        let all = scenarios().into_iter();
        assert_holds(all.map(|(name, kinds)| (name, explore(&kinds, Rules { replace, cursors, ..ALL }, 1))));
    }
}

/// The decision objects alone keep the promise: the lease saves work. But a reset is nobody's
/// decision: it needs the lease.
#[test]
fn without_a_lease_rows_are_still_delivered_once() {
    let all = scenarios().into_iter().filter(|(_, kinds)| !kinds.contains(&Kind::Reset(0)));
    assert_holds(all.map(|(name, kinds)| (name, explore(&kinds, Rules { lease: false, ..ALL }, 1))));
}

fn finds(rules: Rules, flaw: &str) {
    assert_finds(flaw, scenarios().into_iter().map(|(name, kinds)| (name, explore(&kinds, rules, 1))));
}

#[test]
fn without_the_chain_two_plans_deliver_the_same_rows() {
    finds(Rules { checks_chain: false, withdraws: false, ..ALL }, "a row is delivered twice");
}

#[test]
fn a_look_at_the_chain_alone_lets_two_runs_pass() {
    finds(Rules { withdraws: false, ..ALL }, "a row is delivered twice");
}

#[test]
fn first_plans_that_do_not_name_the_newest_run_are_both_committed() {
    finds(Rules { names_newest: false, ..ALL }, "a row is delivered twice");
}

#[test]
fn without_adoption_another_store_delivers_everything_again() {
    finds(Rules { adopts: false, ..ALL }, "a row is delivered twice");
}

#[test]
fn a_reset_beside_a_run_may_be_lost_without_the_lease() {
    finds(Rules { lease: false, ..ALL }, "a reset was not heeded");
}

#[test]
fn without_memory_of_ties_later_ones_are_lost() {
    finds(Rules { ties: false, ..ALL }, "rows are never delivered");
}

#[test]
fn a_chain_by_values_alone_delivers_ties_twice() {
    finds(Rules { by_run: false, ..ALL }, "a row is delivered twice");
}

#[test]
fn a_store_that_compares_values_alone_forgets_ties() {
    finds(Rules { compares_ties: false, ..ALL }, "a row is delivered twice");
}

#[test]
fn adoption_after_a_reset_would_undo_it() {
    finds(Rules { respects_reset: false, ..ALL }, "a reset was not heeded");
}
