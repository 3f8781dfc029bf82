//! Breadth first over every state of a model.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::rc::Rc;

struct Seen<S, L> {
    state: Rc<S>,
    from: usize,
    label: Option<L>,
}

/// Looks at every state that can be reached: `look` judges one and gives what may follow. How many
/// states there are; or the first flaw, the shortest way to it, and the state.
pub fn search<S: Eq + Hash + Debug, L: Debug>(
    start: S,
    look: impl Fn(&S) -> Result<Vec<(L, S)>, &'static str>,
) -> Result<usize, String> {
    let start = Rc::new(start);
    let mut known = HashSet::from([Rc::clone(&start)]);
    let mut seen = vec![Seen { state: start, from: 0, label: None }];
    let mut at = 0;
    while at < seen.len() {
        let state = Rc::clone(&seen[at].state);
        let followers = look(&state).map_err(|flaw| {
            let (mut way, mut from) = (Vec::new(), at);
            while let Some(label) = &seen[from].label {
                way.push(format!("{label:?}"));
                from = seen[from].from;
            }
            way.reverse();
            format!("{flaw}\n  {}\n  {state:?}", way.join("\n  "))
        })?;
        for (label, follower) in followers {
            let follower = Rc::new(follower);
            if known.insert(Rc::clone(&follower)) {
                seen.push(Seen { state: follower, from: at, label: Some(label) });
            }
        }
        at += 1;
    }
    Ok(seen.len())
}

/// None of these histories has a flaw.
pub fn assert_holds<'a>(explored: impl IntoIterator<Item = (&'a str, Result<usize, String>)>) {
    for (name, result) in explored {
        match result {
            Ok(states) => eprintln!("{name}: {states} states"),
            Err(flaw) => panic!("{name}: {flaw}"),
        }
    }
}

/// One of these histories has this flaw; what else is found in those before it is told where none has.
pub fn assert_finds<'a>(flaw: &str, explored: impl IntoIterator<Item = (&'a str, Result<usize, String>)>) {
    let mut others = Vec::new();
    let finds = explored.into_iter().any(|(name, result)| match result {
        Err(text) if text.starts_with(flaw) => true,
        Err(text) => {
            others.push(format!("{name}: {text}"));
            false
        }
        Ok(_) => false,
    });
    assert!(finds, "the model no longer finds: {flaw}\n{}", others.join("\n"));
}
