//! The model of repairs: a committed run, a repair of it, and a third run that is another repair, a
//! repair of the repair, or a run of its own.
//!
//! What `commit.rs` shows of attempts is not shown again: here, every run has one attempt a chunk.
//! What counts is who may remove the parts that two manifests name.

mod explore;

/// Which rules hold. All of them in the code.
#[derive(Clone, Copy)]
pub struct Rules {
    /// A repair looks, once its plan is visible, whether the run it repairs still stands.
    pub looks_at_base: bool,
    /// Whoever removes a run abandons its undecided repairs…
    pub withdraws: bool,
    /// …after marking it.
    pub marks_first: bool,
    /// Parts that a committed repair names are not swept with the run that wrote them.
    pub keeps: bool,
    /// With a repair go the parts that it had taken over.
    pub owns: bool,
    /// A repair stands where the run it repairs stands, not where its id is.
    pub stands: bool,
}

/// What a run is, by its place in the order of ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spec {
    /// The run it repairs.
    pub repairs: Option<u8>,
    /// The chunk that the repair reads again.
    pub reads: u8,
    pub replace: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Decision {
    Undecided,
    Committed([u8; 2]),
    Abandoned,
    /// With the other runs of whose parts it had taken some over.
    Replaced(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Run {
    pub plan: bool,
    /// The part that each chunk's report names.
    pub reports: [Option<u8>; 2],
    pub decision: Decision,
    /// History: was ever committed, was ever abandoned.
    pub was: [bool; 2],
}

/// Part `run * 2 + chunk` is one bit of `parts`; part 6 is of a second attempt in run 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Store {
    pub runs: [Run; 3],
    pub parts: u8,
    pub success: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Actor {
    at: &'static str,
    /// It is the second one to work on the run.
    again: bool,
    /// The run it works on; `target` is the one it removes.
    run: u8,
    target: u8,
    manifest: [u8; 2],
    /// Runs left to look at.
    queue: u8,
    /// Undecided repairs left to abandon.
    rivals: u8,
    keep: u8,
    cursor: u8,
    /// Parts left to delete.
    seen: u8,
    chosen: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    store: Store,
    actors: Vec<Actor>,
    deaths: u8,
}

const DONE: &str = "done";
const MISSING: &str = "missing";

pub fn bits(manifest: [u8; 2]) -> u8 {
    1 << manifest[0] | 1 << manifest[1]
}

fn bit(run: u8) -> u8 {
    1 << run
}

/// The parts that bear a run's name.
fn named(runs: u8) -> u8 {
    (0..3u8).filter(|run| runs & bit(*run) != 0).map(|run| [0b11, 0b100_1100, 0b11_0000][usize::from(run)]).sum()
}

/// The scenario: three runs, and the rules.
#[derive(Clone, Copy)]
pub struct World {
    pub specs: [Spec; 3],
    pub rules: Rules,
}

impl World {
    fn spec(&self, run: u8) -> Spec {
        self.specs[usize::from(run)]
    }
    pub fn first(&self, run: u8) -> u8 {
        match self.spec(run).repairs {
            Some(base) if self.rules.stands => self.first(base),
            _ => run,
        }
    }
    /// Whether they repair one another, whatever the rules.
    pub fn family(&self, run: u8) -> u8 {
        self.spec(run).repairs.map_or(run, |base| self.family(base))
    }
    fn supersedes(&self, one: u8, other: u8) -> bool {
        (self.family(one) == self.family(other) && one > other)
            || (self.spec(one).replace && self.first(one) > self.first(other))
    }
    pub fn latest(&self, store: &Store) -> Option<u8> {
        let committed = (0..3u8).filter(|run| matches!(store.runs[usize::from(*run)].decision, Decision::Committed(_)));
        committed.max_by_key(|run| (self.first(*run), *run))
    }
}

impl Store {
    fn run(&mut self, run: u8) -> &mut Run {
        &mut self.runs[usize::from(run)]
    }
    fn decision(&self, run: u8) -> Decision {
        self.runs[usize::from(run)].decision
    }
    fn decide(&mut self, run: u8, decision: Decision) -> bool {
        let of = self.run(run);
        if of.decision != Decision::Undecided {
            return false;
        }
        of.decision = decision;
        of.was[usize::from(decision == Decision::Abandoned)] = true;
        true
    }
    fn forget(&mut self, run: u8) {
        self.parts &= !named(bit(run));
        let of = self.run(run);
        (of.plan, of.reports) = (false, [None; 2]);
    }
}

/// What the actor does next; a lost answer of a decision aside, which `commit.rs` has.
fn step(world: &World, state: &State, index: usize) -> State {
    let mut next = state.clone();
    let mut me = state.actors[index];
    let store = &mut next.store;
    let spec = world.spec(me.run);
    let own = if me.again { 6 } else { me.run * 2 + spec.reads };
    me.at = match me.at {
        // ---- a run, from its plan on
        "plan.put" => {
            store.run(me.run).plan = true;
            if spec.repairs.is_some() { "repair.base" } else { "attempt.fence" }
        }
        "repair.base" => match store.decision(spec.repairs.unwrap_or_default()) {
            Decision::Committed(_) => "repair.take",
            _ if !world.rules.looks_at_base => "repair.take",
            _ => "abandon.decide",
        },
        "repair.take" => {
            let kept = 1 - spec.reads;
            match store.runs[usize::from(spec.repairs.unwrap_or_default())].reports[usize::from(kept)] {
                Some(part) => {
                    store.run(me.run).reports[usize::from(kept)] = Some(part);
                    "attempt.fence"
                }
                None => DONE,
            }
        }
        "attempt.fence" if store.decision(me.run) == Decision::Undecided => "part.finish",
        "attempt.fence" => DONE,
        "part.finish" => {
            store.parts |= 1 << own;
            "part.fence"
        }
        "part.fence" => match store.decision(me.run) {
            Decision::Undecided => "report.put",
            Decision::Committed(manifest) if manifest.contains(&own) => "commit.begin",
            _ => "attempt.discard",
        },
        "attempt.discard" => {
            store.parts &= !(1 << own);
            "commit.begin"
        }
        "report.put" => {
            let reports = &mut store.run(me.run).reports;
            let winner = *reports[usize::from(spec.reads)].get_or_insert(own);
            if spec.repairs.is_none() {
                // A run of its own has a part for both chunks, for short.
                reports[usize::from(1 - spec.reads)] = Some(own);
            }
            if winner == own { "commit.begin" } else { "attempt.discard" }
        }
        // ---- giving a run up
        "abandon.decide" => match store.decide(me.run, Decision::Abandoned) {
            true => "abandon.list",
            false => "commit.begin",
        },
        "abandon.list" => {
            store.forget(me.run);
            DONE
        }
        // ---- the commit
        "commit.begin" => match store.decision(me.run) {
            Decision::Undecided => "commit.reports",
            Decision::Committed(_) => "commit.sweep",
            _ => DONE,
        },
        "commit.reports" => match store.runs[usize::from(me.run)].reports {
            [Some(one), Some(two)] => {
                me.manifest = [one, two];
                "commit.verify"
            }
            _ => DONE,
        },
        "commit.verify" if store.parts & bits(me.manifest) == bits(me.manifest) => "commit.manifest",
        "commit.verify" if store.decision(me.run) == Decision::Undecided => MISSING,
        "commit.verify" => "commit.begin",
        "commit.manifest" => match store.decide(me.run, Decision::Committed(me.manifest)) {
            true => "commit.sweep",
            false => "commit.begin",
        },
        "commit.sweep" => {
            if let Decision::Committed(manifest) = store.decision(me.run) {
                store.parts &= !named(bit(me.run)) | bits(manifest);
            }
            "replace.runs"
        }
        // ---- what it supersedes, or what supersedes it
        "replace.runs" => {
            let listed = |run: &u8| {
                let of = store.runs[usize::from(*run)];
                *run != me.run && of.decision != Decision::Undecided && of.plan
            };
            me.queue = (0..3).filter(listed).map(bit).sum();
            next_of_queue(world, store, &mut me)
        }
        "replace.success" => {
            store.success = None;
            if world.rules.marks_first { "replace.mark" } else { "repair.list" }
        }
        "replace.mark" => {
            if let Decision::Committed(manifest) = store.decision(me.target) {
                let others = (0..3).filter(|run| *run != me.target && named(bit(*run)) & bits(manifest) != 0);
                let owned = if world.rules.owns { others.map(bit).sum() } else { 0 };
                store.run(me.target).decision = Decision::Replaced(owned);
            }
            if world.rules.marks_first { "repair.list" } else { "replace.list" }
        }
        "repair.list" => {
            let repairs = |run: &u8| {
                let of = store.runs[usize::from(*run)];
                of.plan && of.decision == Decision::Undecided && world.spec(*run).repairs == Some(me.target)
            };
            me.rivals = if world.rules.withdraws { (0..3).filter(repairs).map(bit).sum() } else { 0 };
            after_withdrawal(world, &me)
        }
        "repair.withdraw" => {
            let rival = u8::try_from(me.rivals.trailing_zeros()).unwrap();
            if store.decide(rival, Decision::Abandoned) {
                store.forget(rival);
            }
            me.rivals &= me.rivals - 1;
            after_withdrawal(world, &me)
        }
        // The manifests are read one by one, then the parts are listed.
        "replace.list" if me.cursor < 3 => {
            if me.cursor > me.target
                && let Decision::Committed(manifest) = store.decision(me.cursor)
                && world.spec(me.cursor).repairs.is_some()
                && world.rules.keeps
            {
                me.keep |= bits(manifest);
            }
            me.cursor += 1;
            "replace.list"
        }
        "replace.list" => {
            let owned = match store.decision(me.target) {
                Decision::Replaced(owned) => owned,
                _ => 0,
            };
            me.seen = store.parts & named(owned | bit(me.target)) & !me.keep;
            (me.cursor, me.keep) = (0, 0);
            if me.seen == 0 { "replace.plan" } else { "replace.part" }
        }
        "replace.part" => {
            store.parts &= !(1 << me.seen.trailing_zeros());
            me.seen &= me.seen - 1;
            if me.seen == 0 { "replace.plan" } else { "replace.part" }
        }
        "replace.plan" => {
            let of = store.run(me.target);
            (of.plan, of.reports) = (false, [None; 2]);
            next_of_queue(world, store, &mut me)
        }
        // ---- `_SUCCESS`
        "success.choose" => match world.latest(store) {
            Some(run) => {
                me.chosen = run;
                "success.put"
            }
            None => DONE,
        },
        "success.put" => {
            store.success = Some(me.chosen);
            "success.recheck"
        }
        "success.recheck" if world.latest(store) != Some(me.chosen) => "success.choose",
        _ => DONE,
    };
    next.actors[index] = me.forgetting();
    next
}

fn after_withdrawal(world: &World, me: &Actor) -> &'static str {
    match (me.rivals, world.rules.marks_first) {
        (0, true) => "replace.list",
        (0, false) => "replace.mark",
        _ => "repair.withdraw",
    }
}

/// The next run that must go: one that this one supersedes, or itself.
fn next_of_queue(world: &World, store: &Store, me: &mut Actor) -> &'static str {
    while me.queue != 0 {
        let other = u8::try_from(me.queue.trailing_zeros()).unwrap();
        me.queue &= me.queue - 1;
        let committed = matches!(store.decision(me.run), Decision::Committed(_));
        me.target = match store.decision(other) {
            Decision::Committed(_) if committed && world.supersedes(other, me.run) => me.run,
            Decision::Committed(_) if world.supersedes(me.run, other) => other,
            Decision::Replaced(_) if other < me.run => other,
            _ => continue,
        };
        return "replace.success";
    }
    "success.choose"
}

impl Actor {
    /// Without what it no longer needs, so that equal futures are equal states.
    fn forgetting(mut self) -> Self {
        if !self.at.starts_with("commit.") {
            self.manifest = [0; 2];
        }
        if !self.at.starts_with("replace.") && !self.at.starts_with("repair.") {
            (self.target, self.queue, self.keep, self.cursor, self.seen, self.rivals) = (0, 0, 0, 0, 0, 0);
        }
        if !self.at.starts_with("success.") || self.at == "success.choose" {
            self.chosen = 0;
        }
        self
    }
}
