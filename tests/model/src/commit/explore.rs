//! Every state of the model, and what it must find.

use super::*;
use crate::check::{after_repair, exact, in_every_state};
use crate::search::{assert_finds, assert_holds, search};
use rivet::crash::CRASH_POINTS;

const APPEND: Rules = Rules {
    replace: false,
    one_decision_object: true,
    fence: true,
    tombstones: true,
    order_by_run_id: true,
    success_recheck: true,
    loser_discards: true,
};
const REPLACE: Rules = Rules { replace: true, ..APPEND };

fn commit(run: u8) -> Actor {
    actor(Kind::Commit, run, "commit.begin")
}
/// `rivet run` on another machine, any time after run 0 began.
fn rerun() -> Actor {
    actor(Kind::Rerun, 0, START)
}
fn resume() -> Actor {
    actor(Kind::Resume, 0, START)
}

/// `clean` alone on the store, to its end.
fn repaired(mut store: Store, rules: &Rules) -> Store {
    for run in [0, 1] {
        let mut state = State { store, actors: vec![actor(Kind::Clean, run, START)], deaths: 0 };
        while let Some(next) = steps(&state, 0, rules).into_iter().next() {
            state = next;
        }
        store = state.store;
    }
    store
}

/// Who took which step.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Step {
    who: Kind,
    of_run: u8,
    at: &'static str,
    killed_before: bool,
}

/// Explores everything; the number of states, or the first violation and the way to it.
fn explore(actors: &[Actor], rules: Rules, most_deaths: u8) -> Result<usize, String> {
    let fresh = Run {
        plan: false,
        reports: [None; 2],
        decision: Decision::Undecided,
        abandoned_marker: false,
        first_manifest: None,
        manifests: 0,
        was_abandoned: false,
    };
    let store = Store { runs: [Run { plan: true, ..fresh }, fresh], parts: 0, success: None };
    let start = State { store, actors: actors.to_vec(), deaths: 0 };
    search(start, |state| {
        let alive = || state.actors.iter().enumerate().filter(|(_, me)| me.at != DONE);
        let step = |me: &Actor, killed_before| Step { who: me.kind, of_run: me.run, at: me.at, killed_before };
        let mut moves = Vec::new();
        for (who, me) in alive() {
            assert!(
                [START, WAIT, MISSING].contains(&me.at) || CRASH_POINTS.contains(&me.at),
                "{}: no such step",
                me.at
            );
            moves.extend(steps(state, who, &rules).into_iter().map(|next| (step(me, false), next)));
        }
        in_every_state(&state.store)?;
        if alive().any(|(_, me)| me.at == MISSING) {
            return Err("a commit misses a part that nobody tampered with");
        }
        if moves.is_empty() {
            if state.deaths == 0 {
                exact(&state.store, &rules)?;
            }
            after_repair(&repaired(state.store, &rules), &rules)?;
        }
        if state.deaths < most_deaths {
            for (who, me) in alive() {
                let mut dead = state.clone();
                dead.actors[who] = Actor { at: DONE, ..*me }.forgetting();
                dead.deaths += 1;
                moves.push((step(me, true), dead));
            }
        }
        Ok(moves)
    })
}

/// The scenario with too many states for a debug build; there it is explored without deaths.
const WIDEST: &str = "a zombie commit, then a rerun";

/// Runs as users make them happen; each is explored under append and under replace.
fn scenarios() -> Vec<(&'static str, Vec<Actor>)> {
    vec![
        ("a run and a plain rerun", vec![attempt(0), attempt(2), commit(0), rerun()]),
        ("apply of each chunk on two machines", vec![attempt(0), attempt(1), attempt(2), commit(0), commit(0)]),
        ("resume beside the living", vec![attempt(0), attempt(2), commit(0), resume()]),
        ("two resumes' commits and a zombie", vec![attempt(0), attempt(2), attempt(3), commit(0), commit(0)]),
        (WIDEST, vec![attempt(0), attempt(2), commit(0), commit(0), rerun()]),
        ("two machines' plans at once", vec![attempt(0), attempt(2), attempt(4), attempt(6), commit(0), commit(1)]),
    ]
}

fn holds(most_deaths: u8) {
    for (name, actors) in scenarios() {
        for rules in [APPEND, REPLACE] {
            let most_deaths = if name == WIDEST && most_deaths == 1 { 0 } else { most_deaths };
            assert_holds([(name, explore(&actors, rules, most_deaths))]);
        }
    }
}

#[test]
fn the_protocol_holds_in_every_interleaving_with_one_death() {
    holds(1);
}

#[test]
#[ignore = "half a minute of CPU: the slow suite `models`"]
fn the_protocol_holds_in_every_interleaving_with_two_deaths() {
    holds(2);
}

fn finds(rules: Rules, flaw: &str) {
    assert_finds(flaw, scenarios().into_iter().map(|(name, actors)| (name, explore(&actors, rules, 1))));
}

#[test]
fn a_marker_beside_the_manifest_lets_both_win() {
    finds(Rules { one_decision_object: false, ..APPEND }, "abandoned and committed");
}

#[test]
fn without_the_fence_late_parts_stay() {
    finds(Rules { fence: false, loser_discards: false, ..APPEND }, "parts differ");
}

#[test]
fn without_tombstones_a_zombie_commit_writes_a_second_manifest() {
    finds(Rules { tombstones: false, ..REPLACE }, "two manifests");
}

#[test]
fn without_an_order_of_runs_a_late_commit_removes_the_newer_run() {
    finds(Rules { order_by_run_id: false, ..REPLACE }, "a newer run was replaced");
}

#[test]
fn without_the_recheck_success_names_an_older_run() {
    finds(Rules { success_recheck: false, ..APPEND }, "_SUCCESS");
}
