//! Which run may follow another.

use rivet_sdk::{ErrorKind, Scalar};

use super::store::{Memory, plan, run_all};
use crate::commit::{RunKey, check_chain, decision, publish_plan};
use crate::plan::ties::{Remembered, TiesEnd, TiesSpec};
use crate::plan::{IncrementalSpec, Plan, WriteMode};

/// A run from one value to another.
fn link(number: u8, from: Option<i128>, to: i128, fingerprints: (&str, Option<&str>)) -> Plan {
    let values = |value: i128| vec![Scalar::Integer(value)];
    let incremental = IncrementalSpec {
        cursor: vec!["id".to_owned()],
        coalesced: false,
        fingerprint: fingerprints.0.to_owned(),
        fingerprint_v2: fingerprints.1.map(str::to_owned),
        rows_fingerprint: None,
        after: None,
        from: from.map(values),
        to: Some(values(to)),
        at_risk: None,
        recount: None,
        ties: None,
    };
    Plan { incremental: Some(incremental), ..plan(number, WriteMode::Append) }
}

#[test]
fn where_one_knew_a_single_form_it_is_not_told_that_two_are_different() {
    let mut store = Memory::default();
    run_all(&mut store, &link(1, None, 5, ("old form", None))).unwrap();
    let refused = |plan: &Plan| {
        let error = check_chain(&mut store.copy(), plan).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, Some("watermark_moved")));
        error.message().to_owned()
    };
    let same = refused(&link(2, Some(3), 9, ("old form", Some("new form"))));
    assert!(same.ends_with("has delivered rows of this plan already"), "{same}");
    let untold = refused(&link(2, Some(3), 9, ("another", Some("new form"))));
    assert!(untold.ends_with("cannot be told"), "{untold}");
    // Both knew one form: they are of different things.
    check_chain(&mut store.copy(), &link(2, Some(3), 9, ("another", None))).unwrap();
    check_chain(&mut store.copy(), &link(2, Some(5), 9, ("another", Some("new form")))).unwrap();
}

#[test]
fn a_run_with_ties_follows_the_run_it_was_planned_after_and_no_other_of_the_same_end() {
    let mut store = Memory::default();
    let with_ties = |number, from, to, after: Option<&Plan>, before: Option<Remembered>| {
        let mut plan = link(number, from, to, ("f", None));
        let incremental = plan.incremental.as_mut().unwrap();
        incremental.after = after.map(|after| after.run_id.clone());
        incremental.ties = Some(TiesSpec { before, end: TiesEnd::Greatest { columns: 1 } });
        plan
    };
    let first = with_ties(1, None, 5, None, None);
    let manifest = run_all(&mut store, &first).unwrap();
    let Some(crate::plan::ties::Ties::Remembered(known)) = manifest.ties else { panic!("{:?}", manifest.ties) };
    let second = with_ties(2, Some(5), 5, Some(&first), Some(known.clone()));
    check_chain(&mut store.copy(), &second).unwrap();
    let other = Remembered { rows: [("00".repeat(16), 1)].into(), ..known.clone() };
    let forgetful = with_ties(2, Some(5), 5, Some(&first), Some(other));
    assert_eq!(check_chain(&mut store.copy(), &forgetful).unwrap_err().code(), Some("watermark_moved"));
    // The third was planned beside the second, and ends where that does.
    run_all(&mut store, &second).unwrap();
    let third = with_ties(3, Some(5), 5, Some(&first), Some(known));
    assert_eq!(check_chain(&mut store.copy(), &third).unwrap_err().code(), Some("watermark_moved"));
    publish_plan(&mut store, &third).unwrap();
    assert_eq!(decision(&mut store, &RunKey::of(&third).unwrap()).unwrap().word(), "unfinished");
}
