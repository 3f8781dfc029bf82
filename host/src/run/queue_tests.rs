//! What begins when: the decision on its own, then with threads that wait for each other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};

use super::*;

fn waiting<'a>(all: &[(&'a str, Option<&'a str>, u32)]) -> Vec<Waiting<'a, &'a str>> {
    all.iter()
        .map(|(item, group, connections)| Waiting { item: *item, group: *group, connections: *connections })
        .collect()
}

/// Who is admitted one after the other while nothing ends.
fn begin(all: &[Waiting<'_, &str>], connections: Option<u32>, places: &mut [Place]) -> Vec<usize> {
    let mut begun = Vec::new();
    while let Some(index) = admitted(all, connections, places) {
        places[index] = Place::Runs;
        begun.push(index);
    }
    begun
}

#[test]
fn exports_begin_in_order_as_long_as_their_connections_fit() {
    let all = waiting(&[("a", None, 3), ("b", None, 3), ("c", None, 3)]);
    let mut places = [Place::Waits; 3];
    assert_eq!(begin(&all, Some(7), &mut places), [0, 1]);
    places[1] = Place::IsOver;
    assert_eq!(begin(&all, Some(7), &mut places), [2]);
    assert_eq!(begin(&all, None, &mut [Place::Waits; 3]), [0, 1, 2]);
}

#[test]
fn a_large_export_is_not_overtaken_by_small_ones() {
    let all = waiting(&[("small", None, 2), ("large", None, 6), ("small too", None, 2)]);
    let mut places = [Place::Waits; 3];
    assert_eq!(begin(&all, Some(6), &mut places), [0]);
    places[0] = Place::IsOver;
    assert_eq!(begin(&all, Some(6), &mut places), [1]);
    places[1] = Place::IsOver;
    assert_eq!(begin(&all, Some(6), &mut places), [2]);
}

#[test]
fn a_group_runs_one_at_a_time_and_others_pass_it() {
    let all = waiting(&[("a", Some("g"), 2), ("b", Some("g"), 2), ("c", None, 2), ("d", Some("h"), 2)]);
    let mut places = [Place::Waits; 4];
    assert_eq!(begin(&all, None, &mut places), [0, 2, 3]);
    places[2] = Place::IsOver;
    assert_eq!(begin(&all, None, &mut places), [0; 0]);
    places[0] = Place::IsOver;
    assert_eq!(begin(&all, None, &mut places), [1]);
}

#[test]
fn what_never_fits_runs_alone_rather_than_never() {
    let all = waiting(&[("a", None, 9), ("b", None, 1)]);
    assert_eq!(begin(&all, Some(4), &mut [Place::Waits; 2]), [0]);
    assert_eq!(begin(&all, Some(4), &mut [Place::Runs, Place::Waits]), [0; 0]);
}

#[test]
fn so_many_run_at_once_and_no_more() {
    let all = waiting(&[("", None, 1); 12]);
    let (now, most, meet) = (AtomicU32::new(0), AtomicU32::new(0), Barrier::new(3));
    let limits = Limits { exports: 3, connections: None };
    let results = run_queue(&all, limits, &Stop::default(), |_, _held| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Nobody passes unless three are in here.
        meet.wait();
        now.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    assert_eq!((results.len(), most.into_inner()), (12, 3));
    assert!(results.iter().all(|result| matches!(result, Some(Ok(())))));
}

#[test]
fn one_at_a_time_is_in_order_and_the_results_are_too() {
    let all = waiting(&[("a", None, 1), ("b", Some("g"), 1), ("c", None, 1), ("d", Some("g"), 1)]);
    for exports in [1, 4] {
        let begun = Mutex::new(Vec::new());
        let limits = Limits { exports, connections: Some(1) };
        let results = run_queue(&all, limits, &Stop::default(), |item, _held| {
            begun.lock().unwrap().push(*item);
            Ok(*item)
        });
        assert_eq!(begun.into_inner().unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(
            results.into_iter().map(|result| result.unwrap().unwrap()).collect::<Vec<_>>(),
            ["a", "b", "c", "d"]
        );
    }
}

#[test]
fn a_panic_is_an_error_of_its_export_and_stalls_nobody() {
    let all = waiting(&[("a", Some("g"), 2), ("panics", Some("g"), 2), ("b", Some("g"), 2), ("c", None, 2)]);
    let limits = Limits { exports: 2, connections: Some(2) };
    let results = run_queue(&all, limits, &Stop::default(), |item, _held| {
        assert_ne!(*item, "panics");
        Ok(())
    });
    let ended: Vec<bool> = results.iter().map(|result| matches!(result, Some(Ok(())))).collect();
    assert_eq!(ended, [true, false, true, true]);
    assert!(results[1].as_ref().unwrap().as_ref().unwrap_err().message().contains("panicked"));
}

#[test]
fn nothing_begins_once_stopping_is_wanted() {
    let all = waiting(&[("a", None, 1), ("b", None, 1), ("c", None, 1)]);
    let stop = Stop::default();
    let results = run_queue(&all, Limits { exports: 2, connections: Some(1) }, &stop, |_, _held| {
        stop.want();
        Ok(())
    });
    let begun: Vec<bool> = results.iter().map(Option::is_some).collect();
    assert_eq!(begun, [true, false, false]);
}

#[test]
fn connections_count_until_they_are_closed() {
    let all = waiting(&[("a", None, 1), ("b", None, 1)]);
    let open = AtomicU32::new(0);
    thread::scope(|scope| {
        let (open, limits) = (&open, Limits { exports: 2, connections: Some(1) });
        run_queue(&all, limits, &Stop::default(), |_, permit| {
            assert_eq!(open.fetch_add(1, Ordering::SeqCst), 0);
            // Something goes on with the connection when the export is over.
            scope.spawn(move || {
                thread::sleep(TICK);
                open.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            });
            Ok(())
        })
        .into_iter()
        .for_each(|result| result.unwrap().unwrap());
    });
}
