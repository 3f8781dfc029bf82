//! Every state of the model of the watermark, and what it must find.

use super::super::model::search::{assert_finds, assert_holds, search};
use super::*;
use crate::crash::CRASH_POINTS;

const ALL: Rules = Rules {
    replace: false,
    lease: true,
    checks_chain: true,
    names_newest: true,
    withdraws: true,
    adopts: true,
    respects_reset: true,
    swaps: true,
};

/// The most rows a table comes to.
const MOST: u8 = 4;

/// Holds at every moment.
fn in_every_state(state: &State) -> Result<(), &'static str> {
    let committed = || state.runs.iter().filter(|run| run.was_committed);
    for row in 1..=MOST {
        for epoch in 0..=state.resets {
            let delivered = committed().filter(|run| run.epoch == epoch && run.from < row && row <= run.to).count();
            if delivered > 1 {
                return Err("a row is delivered twice");
            }
        }
    }
    let reached = |value: u8| committed().any(|run| run.to == value);
    for run in committed() {
        // Every link begins at another one's end, and those go back to the beginning.
        if run.from > 0 && !reached(run.from) {
            return Err("a run begins where none ended");
        }
    }
    for store in &state.stores {
        if store.watermark.is_some_and(|(value, _)| !reached(value)) {
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
    let newest = state.newest().map(|newest| state.run(newest));
    if newest.map_or(0, |run| run.to) != state.grown {
        return Err("rows are never delivered");
    }
    if state.resets > 0 {
        let fresh = |row: u8| {
            let mut all = state.runs.iter().filter(|run| run.was_committed && run.epoch == state.resets);
            all.any(|run| run.from < row && row <= run.to)
        };
        if !(1..=state.grown).all(fresh) {
            return Err("a reset was not heeded");
        }
    }
    Ok(())
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
            from: 0,
            to: 1,
            after: None,
            decision: Decision::Committed,
            committed_at: 1,
            epoch: 0,
            was_committed: true,
        },
        Store { watermark: Some((1, 0)), ..store },
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
    for replace in [false, true] {
        let all = scenarios().into_iter();
        assert_holds(all.map(|(name, kinds)| (name, explore(&kinds, Rules { replace, ..ALL }, 1))));
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
fn adoption_after_a_reset_would_undo_it() {
    finds(Rules { respects_reset: false, ..ALL }, "a reset was not heeded");
}
