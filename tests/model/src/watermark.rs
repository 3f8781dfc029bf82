//! The model of an incremental export's watermark: where runs begin, what they may commit, how the
//! state store follows; with kills, lost stores, resets, and two runs at once.
//!
//! The table holds the rows `1..=grown`, some of which share a cursor. A run reads those from its start, which it
//! shares with rows that runs before delivered, to the greatest cursor there was when it was planned; rows that come
//! until it reads are seen, too. Chunks, parts and `_SUCCESS` are not here: `commit.rs` has them.

mod explore;

/// Which rules hold. All of them in the code.
#[derive(Clone, Copy)]
pub struct Rules {
    pub replace: bool,
    /// A process with a state store holds the export's lease there.
    pub lease: bool,
    /// A plan that does not begin where the newest run ended is refused.
    pub checks_chain: bool,
    /// A plan from the beginning names the newest run that it knew of.
    pub names_newest: bool,
    /// Before its decision, a run abandons those that are undecided, and looks at the chain again.
    pub withdraws: bool,
    /// A run begins with the move that an earlier one owes.
    pub adopts: bool,
    /// Not after a reset.
    pub respects_reset: bool,
    /// The store's move is a compare-and-swap.
    pub swaps: bool,
    /// Rows at the watermark are read again, and those that were delivered left out.
    pub ties: bool,
    /// With ties, a plan must follow the newest run itself, not only a run that ended at the same value.
    pub by_run: bool,
    /// What was delivered at the watermark is a part of it, wherever two are compared.
    pub compares_ties: bool,
    /// The rows' cursors, which only grow.
    pub cursors: [u8; 4],
}

impl Rules {
    fn cursor(&self, row: u8) -> u8 {
        self.cursors[usize::from(row - 1)]
    }

    /// The rows of a table with cursors in a range, as bits.
    fn rows(&self, grown: u8, wanted: impl Fn(u8) -> bool) -> u8 {
        (1..=grown).filter(|row| wanted(self.cursor(*row))).map(|row| 1 << row).sum()
    }

    fn same(&self, one: Option<Mark>, other: Option<Mark>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => one.value == other.value && (!self.compares_ties || one.rows == other.rows),
            (None, None) => true,
            _ => false,
        }
    }
}

/// A cursor's value, and the rows delivered there, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mark {
    pub value: u8,
    pub rows: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Decision {
    Undecided,
    Committed,
    Abandoned,
    Replaced,
}

/// A run; ids grow with the place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Run {
    /// Rows up to here were delivered before.
    pub from: Option<Mark>,
    /// The greatest cursor when it was planned, and the rows there when it read.
    pub to: Option<Mark>,
    /// The rows it delivers, as bits.
    pub delivers: u8,
    /// The newest run that the planner knew of.
    pub after: Option<u8>,
    pub decision: Decision,
    /// When it was committed, and how often the watermark had been reset when it was planned.
    pub committed_at: u8,
    pub epoch: u8,
    pub was_committed: bool,
}

/// A state store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Store {
    /// Where it stands, and the run that came there.
    pub watermark: Option<(Mark, u8)>,
    /// When it was reset, if that was its last move.
    pub reset_at: Option<u8>,
    pub held_by: Option<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub runs: Vec<Run>,
    pub stores: [Store; 2],
    pub grown: u8,
    /// Counts commits and resets.
    pub now: u8,
    pub resets: u8,
    actors: Vec<Actor>,
    deaths: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    /// `rivet run`, with this state store.
    Process(u8),
    /// A plan sealed and applied without any store.
    Sealed,
    /// The user's `rivet state reset`, with this store and its lease.
    Reset(u8),
    /// Somebody writes to the table.
    Grow,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Actor {
    kind: Kind,
    at: &'static str,
    run: u8,
    stored: Option<(Mark, u8)>,
    newest: Option<u8>,
    from: Option<Mark>,
    to: u8,
    epoch: u8,
    rivals: u8,
}

const DONE: &str = "done";
const START: &str = "start";
const READ: &str = "read";
const NEWEST: &str = "newest";
const PLAN: &str = "plan";

impl State {
    fn newest(&self) -> Option<u8> {
        (0u8..).zip(&self.runs).filter(|(_, run)| run.decision == Decision::Committed).map(|(id, _)| id).last()
    }
    fn run(&self, id: u8) -> Run {
        self.runs[usize::from(id)]
    }
    fn undecided(&self, but: Option<u8>) -> u8 {
        let found = (0u8..).zip(&self.runs).filter(|(id, run)| run.decision == Decision::Undecided && Some(*id) != but);
        found.map(|(id, _)| 1 << id).sum()
    }
    fn abandon(&mut self, id: u8) {
        let run = &mut self.runs[usize::from(id)];
        if run.decision == Decision::Undecided {
            run.decision = Decision::Abandoned;
        }
    }
    /// Whether run `id` begins where the newest committed one ended.
    fn follows(&self, id: u8, rules: &Rules) -> bool {
        let run = self.run(id);
        let Some(newest) = self.newest().filter(|_| rules.checks_chain) else { return true };
        let by_run = run.after == Some(newest);
        match run.from {
            None => !rules.names_newest || by_run,
            Some(from) => {
                let from_its_end = Some(from.value) == self.run(newest).to.map(|to| to.value);
                from_its_end && (by_run || !rules.ties || !rules.by_run)
            }
        }
    }
}

/// What the actor does next; None while it must wait.
fn step(state: &State, index: u8, rules: &Rules) -> Option<State> {
    let mut next = state.clone();
    let mut me = state.actors[usize::from(index)];
    let store = match me.kind {
        Kind::Process(store) | Kind::Reset(store) => Some(usize::from(store)),
        _ => None,
    };
    me.at = match (me.at, me.kind) {
        (START, Kind::Grow) => {
            next.grown += 1;
            DONE
        }
        (START, Kind::Reset(_)) => {
            if rules.lease && state.stores[store?].held_by.is_some() {
                return None;
            }
            next.now += 1;
            next.resets += 1;
            let store = &mut next.stores[store?];
            (store.watermark, store.reset_at) = (None, Some(next.now));
            DONE
        }
        (START, Kind::Process(_)) if rules.lease => {
            let held_by = &mut next.stores[store?].held_by;
            if held_by.is_some() {
                return None;
            }
            *held_by = Some(index);
            "abandon.decide"
        }
        (START, Kind::Process(_)) => "abandon.decide",
        (START, Kind::Sealed) => NEWEST,
        // ---- a plain run gives up what is unfinished, one after the other
        ("abandon.decide", _) => match state.undecided(None) {
            0 => READ,
            left => {
                next.abandon(u8::try_from(left.trailing_zeros()).unwrap());
                "abandon.decide"
            }
        },
        // ---- where it begins
        (READ, _) => {
            me.stored = state.stores[store?].watermark;
            NEWEST
        }
        (NEWEST, _) => {
            (me.newest, me.epoch) = (state.newest(), state.resets);
            let ahead = me.newest.filter(|newest| {
                let run = state.run(*newest);
                match (me.stored, store) {
                    _ if run.to.is_none() || !rules.adopts => false,
                    (Some((mark, by)), _) => by < *newest && !rules.same(Some(mark), run.to),
                    (None, Some(store)) => {
                        let reset = state.stores[store].reset_at.is_some_and(|at| at >= run.committed_at);
                        !(reset && rules.respects_reset)
                    }
                    (None, None) => true,
                }
            });
            match (ahead, me.kind) {
                (Some(_), Kind::Process(_)) => "watermark.advance",
                (Some(newest), _) => {
                    me.from = state.run(newest).to;
                    PLAN
                }
                (None, _) => {
                    me.from = store.and_then(|store| state.stores[store].watermark).map(|(mark, _)| mark);
                    PLAN
                }
            }
        }
        // The move that an earlier run owes; where somebody else was faster, theirs stands.
        ("watermark.advance", Kind::Process(_)) if me.run == u8::MAX => {
            let newest = me.newest?;
            let store = &mut next.stores[store?];
            if store.watermark == me.stored || !rules.swaps {
                let ahead = state.run(newest).to.map(|to| (to, newest));
                (store.watermark, store.reset_at) = (ahead, None);
            }
            me.from = store.watermark.map(|(mark, _)| mark);
            PLAN
        }
        (PLAN, _) => {
            me.to = rules.cursor(state.grown).max(me.from.map_or(0, |from| from.value));
            "plan.put"
        }
        ("plan.put", _) => {
            me.run = u8::try_from(next.runs.len()).unwrap();
            let Actor { from, to, newest: after, epoch, .. } = me;
            let (decision, was_committed) = (Decision::Undecided, false);
            let to = Some(Mark { value: to, rows: 0 });
            next.runs.push(Run { from, to, delivers: 0, after, decision, committed_at: 0, epoch, was_committed });
            "report.put"
        }
        // ---- its rows, as they are by now
        ("report.put", _) => {
            let run = &mut next.runs[usize::from(me.run)];
            let to = me.to;
            let from = run.from.unwrap_or(Mark { value: 0, rows: 0 });
            let begins = |cursor: u8| if rules.ties { cursor >= from.value } else { cursor > from.value };
            run.delivers = rules.rows(state.grown, |cursor| begins(cursor) && cursor <= to) & !from.rows;
            run.to = Some(Mark { value: to, rows: rules.rows(state.grown, |cursor| cursor == to) });
            "commit.begin"
        }
        // ---- the commit
        ("commit.begin", _) if state.run(me.run).decision != Decision::Undecided => DONE,
        ("commit.begin", _) if state.follows(me.run, rules) => {
            if rules.withdraws {
                "chain.list"
            } else {
                "commit.manifest"
            }
        }
        ("commit.begin", _) => DONE,
        ("chain.list", _) => {
            me.rivals = state.undecided(Some(me.run));
            if me.rivals == 0 { "chain.check" } else { "chain.withdraw" }
        }
        ("chain.withdraw", _) => {
            next.abandon(u8::try_from(me.rivals.trailing_zeros()).unwrap());
            me.rivals &= me.rivals - 1;
            if me.rivals == 0 { "chain.check" } else { "chain.withdraw" }
        }
        ("chain.check", _) if state.follows(me.run, rules) => "commit.manifest",
        ("chain.check", _) => DONE,
        ("commit.manifest", _) => {
            let run = &mut next.runs[usize::from(me.run)];
            if run.decision != Decision::Undecided {
                DONE
            } else {
                next.now += 1;
                (run.decision, run.was_committed, run.committed_at) = (Decision::Committed, true, next.now);
                if rules.replace { "replace.mark" } else { "watermark.advance" }
            }
        }
        ("replace.mark", _) => {
            let earlier = next.runs.iter_mut().take(usize::from(me.run));
            earlier.filter(|run| run.decision == Decision::Committed).for_each(|run| run.decision = Decision::Replaced);
            "watermark.advance"
        }
        ("watermark.advance", Kind::Process(_)) => {
            let run = state.run(me.run);
            let store = &mut next.stores[store?];
            let stands = store.watermark.map(|(mark, _)| mark);
            if (rules.same(stands, run.from) || !rules.swaps) && !rules.same(stands, run.to) {
                (store.watermark, store.reset_at) = (run.to.map(|to| (to, me.run)), None);
            }
            DONE
        }
        _ => DONE,
    };
    next.actors[usize::from(index)] = me;
    next.settle(index);
    Some(next)
}

impl State {
    /// One that is done, or dead, holds nothing and remembers nothing.
    fn settle(&mut self, index: u8) {
        let me = &mut self.actors[usize::from(index)];
        if me.at == DONE {
            *me = Actor { at: DONE, ..actor(me.kind) };
            for store in &mut self.stores {
                store.held_by = store.held_by.filter(|holder| *holder != index);
            }
        }
    }
}

fn actor(kind: Kind) -> Actor {
    Actor { kind, at: START, run: u8::MAX, stored: None, newest: None, from: None, to: 0, epoch: 0, rivals: 0 }
}
