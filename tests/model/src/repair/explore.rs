//! Every state of the model of repairs, and what it must find.

use super::*;
use crate::search::{assert_finds, assert_holds, search};
use rivet::crash::CRASH_POINTS;

const ALL: Rules =
    Rules { looks_at_base: true, withdraws: true, marks_first: true, keeps: true, owns: true, stands: true };

fn actor(run: u8, at: &'static str) -> Actor {
    Actor {
        at,
        again: false,
        run,
        target: 0,
        manifest: [0; 2],
        queue: 0,
        rivals: 0,
        keep: 0,
        cursor: 0,
        seen: 0,
        chosen: 0,
    }
}

/// Holds at every moment, whoever is alive.
fn in_every_state(world: &World, store: &Store) -> Result<(), &'static str> {
    for run in &store.runs {
        if run.was == [true, true] {
            return Err("abandoned and committed");
        }
        if let Decision::Committed(manifest) = run.decision
            && store.parts & bits(manifest) != bits(manifest)
        {
            return Err("a committed part is gone");
        }
    }
    // Its rows are in a repair, or a later run was to replace them.
    let stood_in = (0..3u8).any(|run| store.runs[usize::from(run)].was[0] && world.supersedes(run, 0));
    if matches!(store.runs[0].decision, Decision::Replaced(_)) && !stood_in {
        return Err("replaced before the new manifest");
    }
    match store.success {
        Some(run) if !store.runs[usize::from(run)].was[0] => Err("_SUCCESS names no manifest"),
        _ => Ok(()),
    }
}

/// Holds at the end without a death, and after any history once the next run began.
fn exact(world: &World, store: &Store) -> Result<(), &'static str> {
    let (mut committed, mut parts) = (0u8, 0u8);
    for (index, run) in (0u8..).zip(&store.runs) {
        match run.decision {
            Decision::Committed(manifest) => {
                committed |= bit(index);
                parts |= bits(manifest);
            }
            Decision::Undecided => parts |= store.parts & named(bit(index)),
            _ => {}
        }
    }
    let of_first = (0..3).filter(|run| committed & bit(*run) != 0 && world.family(*run) == 0).count();
    let replaced =
        (1..3u8).any(|run| committed & bit(run) != 0 && world.spec(run).replace && world.spec(run).repairs.is_none());
    if of_first != usize::from(!replaced) {
        return Err("the rows of the first run are not there once");
    }
    if store.parts != parts {
        return Err("parts differ from the manifests");
    }
    if store.success != world.latest(store) {
        return Err("_SUCCESS does not name the latest committed run");
    }
    Ok(())
}

/// What the next run begins with, alone on the store: newest first, unfinished runs are given up,
/// commits and removals are finished.
fn recovered(world: &World, mut store: Store) -> Store {
    for run in [2, 1, 0] {
        let of = store.runs[usize::from(run)];
        let at = match of.decision {
            Decision::Undecided if of.plan => "abandon.decide",
            Decision::Abandoned => "abandon.list",
            Decision::Committed(_) => "commit.begin",
            Decision::Replaced(_) if of.plan => "replace.success",
            _ => continue,
        };
        let mut state = State { store, actors: vec![Actor { target: run, ..actor(run, at) }], deaths: 0 };
        while state.actors[0].at != DONE {
            state = step(world, &state, 0);
        }
        store = state.store;
    }
    store
}

/// Who took which step.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
struct Step {
    run: u8,
    at: &'static str,
    killed_before: bool,
}

fn explore(world: World, actors: Vec<Actor>, most_deaths: u8) -> Result<usize, String> {
    let fresh = Run { plan: false, reports: [None; 2], decision: Decision::Undecided, was: [false; 2] };
    let first =
        Run { plan: true, reports: [Some(0), Some(1)], decision: Decision::Committed([0, 1]), was: [true, false] };
    let store = Store { runs: [first, fresh, fresh], parts: 0b11, success: Some(0) };
    search(State { store, actors, deaths: 0 }, |state| {
        in_every_state(&world, &state.store)?;
        let alive: Vec<(usize, &Actor)> = state.actors.iter().enumerate().filter(|(_, me)| me.at != DONE).collect();
        if alive.is_empty() {
            if state.deaths == 0 {
                exact(&world, &state.store)?;
            }
            let after = recovered(&world, state.store);
            in_every_state(&world, &after)?;
            exact(&world, &after)?;
        }
        let mut moves = Vec::new();
        for (who, me) in alive {
            if me.at == MISSING {
                return Err("a commit misses a part that nobody tampered with");
            }
            assert!(CRASH_POINTS.contains(&me.at), "{}: no such step", me.at);
            moves.push((Step { run: me.run, at: me.at, killed_before: false }, step(&world, state, who)));
            if state.deaths < most_deaths {
                let mut dead = state.clone();
                dead.actors[who] = Actor { at: DONE, ..*me }.forgetting();
                dead.deaths += 1;
                moves.push((Step { run: me.run, at: me.at, killed_before: true }, dead));
            }
        }
        Ok(moves)
    })
}

fn own(replace: bool) -> Spec {
    Spec { repairs: None, reads: 0, replace }
}

fn repair_of(run: u8, reads: u8, replace: bool) -> Spec {
    Spec { repairs: Some(run), reads, replace }
}

/// Histories as users make them, without leases; each under append and under replace.
fn scenarios(replace: bool) -> Vec<(&'static str, [Spec; 3], Vec<Actor>)> {
    let (base, repair) = (own(replace), repair_of(0, 0, replace));
    let start = |run| actor(run, "plan.put");
    let again = Actor { again: true, ..actor(1, "repair.base") };
    let (rerun, late) = (actor(1, "abandon.decide"), actor(1, "commit.begin"));
    let (own, second, third) = (own(replace), repair_of(0, 1, replace), repair_of(1, 1, replace));
    vec![
        ("a repair, resumed elsewhere", [base, repair, own], vec![start(1), again]),
        ("a repair and a rerun that gives it up", [base, repair, own], vec![start(1), rerun]),
        ("the same, and the rerun's run", [base, repair, own], vec![start(1), rerun, start(2)]),
        ("two repairs at once", [base, repair, second], vec![start(1), start(2)]),
        ("a repair of the repair", [base, repair, third], vec![start(1), start(2)]),
        ("the same, and a second commit", [base, repair, third], vec![start(1), start(2), late]),
        ("a repair beside a later run", [base, repair, own], vec![start(1), start(2)]),
        ("the same, and a second commit of the repair", [base, repair, own], vec![start(1), start(2), late]),
        ("a repair beside an earlier plan", [base, own, repair], vec![start(1), start(2)]),
        ("a replacing plan beside a repair", MIXED, vec![start(1), start(2)]),
    ]
}

/// Under append, a plan that was made under replace.
const MIXED: [Spec; 3] = [
    Spec { repairs: None, reads: 0, replace: false },
    Spec { repairs: None, reads: 0, replace: true },
    Spec { repairs: Some(0), reads: 0, replace: false },
];

/// Two deaths among two, one among three: what a debug build explores in seconds.
fn holds(replace: bool) {
    assert_holds(scenarios(replace).into_iter().map(|(name, specs, actors)| {
        let most_deaths = if actors.len() == 3 { 1 } else { 2 };
        (name, explore(World { specs, rules: ALL }, actors, most_deaths))
    }));
}

#[test]
fn repairs_hold_in_every_interleaving_with_two_deaths() {
    holds(false);
}

#[test]
fn repairs_of_replaced_runs_hold_in_every_interleaving_with_two_deaths() {
    holds(true);
}

fn finds(rules: Rules, flaw: &str) {
    let all = [false, true].into_iter().flat_map(scenarios);
    assert_finds(flaw, all.map(|(name, specs, actors)| (name, explore(World { specs, rules }, actors, 0))));
}

#[test]
fn a_repair_that_does_not_look_at_what_it_repairs_names_parts_that_are_gone() {
    finds(Rules { looks_at_base: false, ..ALL }, "a commit misses a part");
}

#[test]
fn a_replacer_that_leaves_repairs_undecided_takes_their_parts_away() {
    finds(Rules { withdraws: false, ..ALL }, "a commit misses a part");
}

#[test]
fn a_repair_that_begins_between_the_look_and_the_mark_is_not_seen() {
    finds(Rules { marks_first: false, ..ALL }, "a commit misses a part");
}

#[test]
fn parts_taken_over_must_not_go_with_the_run_that_wrote_them() {
    finds(Rules { keeps: false, ..ALL }, "a committed part is gone");
}

#[test]
fn parts_taken_over_go_with_the_last_repair() {
    finds(Rules { owns: false, ..ALL }, "parts differ");
}

#[test]
fn a_repair_that_stands_where_its_id_is_outlives_the_run_that_replaced_its_rows() {
    finds(Rules { stands: false, ..ALL }, "the rows of the first run are not there once");
}
