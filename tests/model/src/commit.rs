//! The commit protocol as a model, explored exhaustively: every interleaving, a kill before every step.
//!
//! Two runs of one export, two chunks each, up to two attempts a chunk. Actors take one store
//! operation at a time; each step bears the name of the crash point in the code. [`Rules`]
//! switches single rules off, and tests show that the model then finds the
//! flaw: that is how each rule earned its place.

mod explore;

/// Which rules of the protocol hold. All of them in the code.
#[derive(Clone, Copy)]
pub struct Rules {
    pub replace: bool,
    pub one_decision_object: bool,
    pub fence: bool,
    pub tombstones: bool,
    pub order_by_run_id: bool,
    pub success_recheck: bool,
    pub loser_discards: bool,
}

/// What `manifest.json` of a run holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Decision {
    Undecided,
    Committed([u8; 2]),
    Abandoned,
    Replaced,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Run {
    pub plan: bool,
    pub reports: [Option<u8>; 2],
    pub decision: Decision,
    /// Only without `one_decision_object`: the marker beside the manifest.
    pub abandoned_marker: bool,
    /// History, which no actor sees: the manifest ever written, whether it was ever abandoned.
    pub first_manifest: Option<[u8; 2]>,
    pub manifests: u8,
    pub was_abandoned: bool,
}

/// The destination. Attempt `id` belongs to run `id / 4`, chunk `id / 2 % 2`, and writes one
/// part, bit `id` of `parts`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Store {
    pub runs: [Run; 2],
    pub parts: u8,
    pub success: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Attempt(u8),
    Commit,
    Rerun,
    Resume,
    Clean,
}

/// A process or worker: where it is, and what it remembers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Actor {
    kind: Kind,
    at: &'static str,
    run: u8,
    target: u8,
    manifest: [u8; 2],
    seen: u8,
    chosen: u8,
}

const DONE: &str = "done";
const MISSING: &str = "missing";
const WAIT: &str = "wait";
const START: &str = "start";

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    store: Store,
    actors: Vec<Actor>,
    deaths: u8,
}

fn actor(kind: Kind, run: u8, at: &'static str) -> Actor {
    Actor { kind, at, run, target: run, manifest: [0; 2], seen: 0, chosen: 0 }
}
fn attempt(id: u8) -> Actor {
    actor(Kind::Attempt(id), id / 4, "attempt.fence")
}

/// The bits of a run's parts.
pub fn parts_of(run: u8) -> u8 {
    0x0f << (run * 4)
}
pub fn bits(manifest: [u8; 2]) -> u8 {
    1 << manifest[0] | 1 << manifest[1]
}

impl Store {
    fn run(&mut self, run: u8) -> &mut Run {
        &mut self.runs[usize::from(run)]
    }
    pub fn latest_committed(&self) -> Option<u8> {
        (0..2u8).rev().find(|run| matches!(self.runs[usize::from(*run)].decision, Decision::Committed(_)))
    }
    fn decision(&self, run: u8) -> Decision {
        let of = self.runs[usize::from(run)];
        if of.abandoned_marker && of.decision == Decision::Undecided { Decision::Abandoned } else { of.decision }
    }
    /// The put-if-absent of `manifest.json`; false where somebody was first.
    fn decide(&mut self, run: u8, decision: Decision, rules: &Rules) -> bool {
        let of = self.run(run);
        if decision == Decision::Abandoned && !rules.one_decision_object {
            of.was_abandoned = true;
            return !std::mem::replace(&mut of.abandoned_marker, true);
        }
        if of.decision != Decision::Undecided {
            return false;
        }
        of.decision = decision;
        match decision {
            Decision::Committed(manifest) => {
                of.first_manifest.get_or_insert(manifest);
                of.manifests += 1;
            }
            _ => of.was_abandoned = true,
        }
        true
    }
}

/// Every way the actor at `index` may go on, its death aside.
fn steps(state: &State, index: usize, rules: &Rules) -> Vec<State> {
    let mut next = state.clone();
    let mut me = state.actors[index];
    let mut more = Vec::new();
    let mut spawn = Vec::new();
    let store = &mut next.store;
    me.at = match (me.at, me.kind) {
        // ---- an attempt
        ("attempt.fence", _) => match store.decision(me.run) {
            Decision::Undecided => "part.finish",
            _ => DONE,
        },
        ("part.finish", Kind::Attempt(id)) => {
            store.parts |= 1 << id;
            "part.fence"
        }
        ("part.fence", Kind::Attempt(id)) => match store.decision(me.run) {
            _ if !rules.fence => "report.put",
            Decision::Undecided => "report.put",
            Decision::Committed(manifest) if manifest.contains(&id) => DONE,
            _ => "attempt.discard",
        },
        ("report.put", Kind::Attempt(id)) => {
            let report = &mut store.run(me.run).reports[usize::from(id / 2 % 2)];
            match *report {
                None => {
                    *report = Some(id);
                    // The answer may be lost: the same step is taken again.
                    more.push(me);
                    DONE
                }
                Some(winner) if winner == id => DONE,
                Some(_) if rules.loser_discards => "attempt.discard",
                Some(_) => DONE,
            }
        }
        ("attempt.discard", Kind::Attempt(id)) => {
            store.parts &= !(1 << id);
            DONE
        }
        // ---- a plain run, a resumed run, and clean: look first
        (START, kind) => {
            let of = store.runs[usize::from(me.run)];
            match (store.decision(me.run), kind) {
                (Decision::Committed(_), _) => "commit.begin",
                (Decision::Abandoned, Kind::Rerun | Kind::Clean) => "abandon.list",
                (Decision::Replaced, Kind::Rerun | Kind::Clean) => "replace.list",
                (Decision::Undecided, Kind::Rerun) if of.plan => "abandon.decide",
                (Decision::Undecided, Kind::Resume) => {
                    for (chunk, report) in (0u8..).zip(of.reports) {
                        if report.is_none() {
                            spawn.push(attempt(me.run * 4 + chunk * 2 + 1));
                        }
                    }
                    WAIT
                }
                (_, Kind::Rerun) => "plan.put",
                _ => DONE,
            }
        }
        ("abandon.decide", _) => match store.decide(me.run, Decision::Abandoned, rules) {
            true => "abandon.list",
            false => START,
        },
        ("abandon.list", _) => {
            me.seen = store.parts & parts_of(me.run);
            if me.seen == 0 { "abandon.reports" } else { "abandon.part" }
        }
        ("abandon.part", _) => {
            store.parts &= !(1 << me.seen.trailing_zeros());
            me.seen &= me.seen - 1;
            if me.seen == 0 { "abandon.reports" } else { "abandon.part" }
        }
        ("abandon.reports", _) => {
            store.run(me.run).reports = [None; 2];
            "abandon.plan"
        }
        ("abandon.plan", _) => {
            store.run(me.run).plan = false;
            if !rules.tombstones {
                store.run(me.run).decision = Decision::Undecided;
            }
            if me.kind == Kind::Rerun { "plan.put" } else { DONE }
        }
        ("plan.put", _) => {
            me.run = 1;
            store.run(1).plan = true;
            spawn.extend([attempt(4), attempt(6)]);
            WAIT
        }
        (WAIT, _) => {
            let busy = state.actors.iter().any(|other| {
                let mine = matches!(other.kind, Kind::Attempt(id) if me.kind == Kind::Rerun || id % 2 == 1);
                mine && other.run == me.run && other.at != DONE
            });
            if busy {
                return Vec::new();
            }
            "commit.begin"
        }
        // ---- the commit of me.run
        ("commit.begin", _) => match store.decision(me.run) {
            Decision::Undecided => "commit.reports",
            Decision::Committed(manifest) => {
                me.manifest = manifest;
                "commit.sweep"
            }
            _ => DONE,
        },
        ("commit.reports", _) => match store.runs[usize::from(me.run)].reports {
            [Some(first), Some(second)] => {
                me.manifest = [first, second];
                "commit.verify"
            }
            _ => DONE,
        },
        ("commit.verify", _) if store.parts & bits(me.manifest) == bits(me.manifest) => "commit.manifest",
        // Gone because the run was decided meanwhile, or an error that nobody should see.
        ("commit.verify", _) if store.decision(me.run) == Decision::Undecided => MISSING,
        ("commit.verify", _) => "commit.begin",
        ("commit.manifest", _) => {
            if store.decide(me.run, Decision::Committed(me.manifest), rules) {
                more.push(me);
                "commit.sweep"
            } else {
                "commit.begin"
            }
        }
        ("commit.sweep", _) => {
            me.seen = store.parts & parts_of(me.run) & !bits(me.manifest);
            if me.seen == 0 { "replace.runs" } else { "commit.dead_part" }
        }
        ("commit.dead_part", _) => {
            store.parts &= !(1 << me.seen.trailing_zeros());
            me.seen &= me.seen - 1;
            if me.seen == 0 { "replace.runs" } else { "commit.dead_part" }
        }
        ("replace.runs", _) => {
            let other = 1 - me.run;
            let committed = matches!(store.decision(other), Decision::Committed(_));
            me.target = if rules.order_by_run_id { me.run.min(other) } else { other };
            match store.decision(me.target) {
                Decision::Committed(_) if rules.replace && committed => "replace.success",
                Decision::Replaced if store.runs[usize::from(me.target)].plan => "replace.success",
                _ => "success.choose",
            }
        }
        ("replace.success", _) => {
            store.success = None;
            "replace.mark"
        }
        ("replace.mark", _) => {
            store.run(me.target).decision = Decision::Replaced;
            "replace.list"
        }
        ("replace.list", _) => {
            me.seen = store.parts & parts_of(me.target);
            if me.seen == 0 { "replace.reports" } else { "replace.part" }
        }
        ("replace.part", _) => {
            store.parts &= !(1 << me.seen.trailing_zeros());
            me.seen &= me.seen - 1;
            if me.seen == 0 { "replace.reports" } else { "replace.part" }
        }
        ("replace.reports", _) => {
            store.run(me.target).reports = [None; 2];
            "replace.plan"
        }
        ("replace.plan", _) => {
            store.run(me.target).plan = false;
            if !rules.tombstones {
                store.run(me.target).decision = Decision::Undecided;
            }
            "success.choose"
        }
        ("success.choose", _) => match store.latest_committed() {
            Some(run) => {
                me.chosen = run;
                "success.put"
            }
            None => finished(&mut me),
        },
        ("success.put", _) => {
            store.success = Some(me.chosen);
            "success.recheck"
        }
        ("success.recheck", _) if rules.success_recheck && store.latest_committed() != Some(me.chosen) => {
            "success.choose"
        }
        ("success.recheck", _) => finished(&mut me),
        _ => return Vec::new(),
    };
    next.actors[index] = me.forgetting();
    next.actors.extend(spawn);
    let mut all = Vec::from([next.clone()]);
    for lost in more {
        let mut again = next.clone();
        again.actors[index] = lost;
        all.push(again);
    }
    all
}

impl Actor {
    /// Without what it no longer needs, so that equal futures are equal states.
    fn forgetting(mut self) -> Self {
        if self.at == DONE || self.at == WAIT || self.at == "plan.put" || self.at.starts_with("success.") {
            (self.manifest, self.seen, self.target) = ([0; 2], 0, self.run);
        }
        if self.at.starts_with("replace.") {
            self.manifest = [0; 2];
        }
        if self.at == DONE {
            self.chosen = 0;
        }
        self
    }
}

/// A rerun that had to finish the earlier run's commit goes on with its own.
fn finished(me: &mut Actor) -> &'static str {
    if me.kind == Kind::Rerun && me.run == 0 { "plan.put" } else { DONE }
}
