//! Checks of time: a statement ends when it is interrupted, and when its limit passes.

use std::thread;
use std::time::{Duration, Instant};

use rivet_sdk::{ErrorKind, ExportRequest, SessionPolicy, capability};

use crate::Opened;
use crate::checks::Check;
use crate::rows::Collected;

pub(crate) const ALL: &[Check] = &[
    ("interrupt_stops_a_statement", interrupt_stops_a_statement),
    ("a_statement_keeps_its_limit", a_statement_keeps_its_limit),
    ("planning_takes_other_limits", planning_takes_other_limits),
];

/// How long a statement that is to end may take to.
const SOON: Duration = Duration::from_secs(10);

fn interrupt_stops_a_statement(opened: &Opened) {
    if !opened.can(capability::INTERRUPT) {
        return;
    }
    let mut source = opened.open();
    let interrupt = source.interrupt().expect("`interrupt` is declared, and there is no handle");
    let Some(slow) = &opened.subject.slow else {
        // Nothing runs that it could stop: it must do no harm, and not wait.
        let began = Instant::now();
        interrupt.interrupt().unwrap();
        assert!(began.elapsed() < SOON, "interrupt() took {:?}", began.elapsed());
        return;
    };
    let mut request = ExportRequest::whole(slow.clone());
    request.session = SessionPolicy::new(None, None);
    thread::scope(|scope| {
        let asking = scope.spawn(move || {
            thread::sleep(Duration::from_millis(700));
            let began = Instant::now();
            interrupt.interrupt().unwrap();
            assert!(began.elapsed() < SOON, "interrupt() took {:?}", began.elapsed());
        });
        let began = Instant::now();
        let error = source.export(&request, &mut Collected::default()).expect_err("an interrupted export finished");
        assert!(began.elapsed() < SOON, "the statement went on for {:?}", began.elapsed());
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
        asking.join().unwrap();
    });
}

fn a_statement_keeps_its_limit(opened: &Opened) {
    let Some(slow) = opened.subject.slow.as_ref().filter(|_| opened.can(capability::LIMITS)) else { return };
    let mut source = opened.open();
    let mut request = ExportRequest::whole(slow.clone());
    request.session = SessionPolicy::new(Some(1_000), None);
    let began = Instant::now();
    let error = source.export(&request, &mut Collected::default()).expect_err("a limit of one second was not kept");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("statement_timeout_s")), "{error:?}");
    assert!(began.elapsed() < SessionPolicy::CLIENT_GRACE + SOON, "{:?}", began.elapsed());
    // And the instance goes on.
    assert!(source.identity().is_ok());
}

/// A source that does not heed them takes them all the same.
fn planning_takes_other_limits(opened: &Opened) {
    let mut source = opened.open();
    source.limit(&SessionPolicy::new(Some(60_000), None)).unwrap();
    source.limit(&SessionPolicy::new(None, Some(1_000))).unwrap();
    assert!(source.identity().is_ok());
}
