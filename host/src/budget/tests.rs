use std::sync::mpsc;
use std::thread;

use rivet_sdk::HostServices;

use super::*;

fn never() -> AtomicBool {
    AtomicBool::new(false)
}

#[test]
fn a_request_waits_until_another_share_gives_back() {
    let budget = Budget::new(1600);
    let (first, second) = (budget.share(), budget.share());
    let held: Vec<_> = (0..11).map(|_| first.take(100, &never()).unwrap()).collect();
    let floor = second.take(100, &never()).unwrap();
    let (sent, received) = mpsc::channel();
    let waiter = {
        let second = second.clone();
        thread::spawn(move || sent.send(second.take(100, &never()).map(|held| held.bytes())).unwrap())
    };
    assert!(received.recv_timeout(Duration::from_millis(100)).is_err());
    drop(held);
    assert_eq!(received.recv().unwrap().unwrap(), 100);
    waiter.join().unwrap();
    drop(floor);
    assert_eq!((budget.used(), budget.peak()), (0, 1200));
}

#[test]
fn an_empty_share_is_always_served() {
    let budget = Budget::new(100);
    let shares: Vec<Share> = (0..8).map(|_| budget.share()).collect();
    let held: Vec<MemoryReservation> = shares.iter().map(|share| share.record(90)).collect();
    assert_eq!(budget.used(), 720);
    assert_eq!(budget.share().take(5, &never()).unwrap().bytes(), 5);
    drop(held);
    assert_eq!(budget.used(), 0);
}

#[test]
fn large_values_pass_one_after_the_other() {
    let budget = Budget::new(160);
    let large = budget.share().take(50, &never()).unwrap();
    let (sent, received) = mpsc::channel();
    let other = budget.share();
    let waiter = thread::spawn(move || sent.send(other.take(50, &never()).map(|held| held.bytes())).unwrap());
    assert!(received.recv_timeout(Duration::from_millis(100)).is_err());
    drop(large);
    assert_eq!(received.recv().unwrap().unwrap(), 50);
    waiter.join().unwrap();
}

#[test]
fn what_can_do_with_less_is_told_at_once() {
    let budget = Budget::new(160);
    let services = |share: &Share| InstanceServices::of_destination(share.clone(), Arc::default());
    let (one, other) = (budget.share(), budget.share());
    assert!(services(&one).try_reserve(60));
    assert!(!services(&other).try_reserve(70));
    assert!(services(&other).try_reserve(60));
    services(&one).release(60);
    let waiter = {
        let services = services(&other);
        thread::spawn(move || services.reserve(80))
    };
    while budget.lock().waiting.is_empty() {
        thread::yield_now();
    }
    assert!(!services(&one).try_reserve(10), "overtook somebody who waits");
    services(&other).release(60);
    waiter.join().unwrap().unwrap();
    services(&other).release(80);
    assert_eq!(budget.used(), 0);
}

#[test]
fn waiting_ends_when_cancelled() {
    let budget = Budget::new(100);
    let share = budget.share();
    let _held = share.take(5, &never()).unwrap();
    let _rest = budget.share().record(95);
    let error = share.take(5, &AtomicBool::new(true)).unwrap_err();
    assert_eq!(error.kind(), rivet_sdk::ErrorKind::Cancelled);
    assert_eq!(budget.used(), 100);
}

/// What a queue, its source and its encoder do about one large value, and what others may do
/// meanwhile.
#[test]
fn a_large_value_passes_from_source_to_encoder_under_one_permit() {
    let budget = Budget::new(1600);
    let (lane, other) = (budget.lane(Arc::default()), budget.lane(Arc::default()));
    let services = |lane: &Lane| InstanceServices::of_source(lane.share(), Arc::default());
    let (source, queue) = (services(&lane), lane.share());
    source.reserve(200).unwrap();
    // The source still holds its buffer when the batch is handed over.
    let batch = queue.take(200, &never()).unwrap();
    source.release(200);
    let now = AtomicBool::new(true);
    let cut_off = |share: &Share, bytes| {
        let stop = Arc::new(AtomicBool::new(false));
        let stopper = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(80));
            stopper.store(true, Ordering::SeqCst);
        });
        let refused = share.take(bytes, &stop).is_err();
        thread.join().unwrap();
        refused
    };
    assert!(cut_off(&other.share(), 10), "no other worker's batch comes in, however small");
    assert!(cut_off(&lane.share(), 200), "nor the worker's own next large value");
    assert_eq!(lane.share().take(10, &never()).unwrap().bytes(), 10, "but its small ones do");
    drop(batch);
    assert_eq!(other.share().take(200, &never()).unwrap().bytes(), 200);
    assert!(other.share().take(10, &now).is_err());
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_worker_that_was_given_up_holds_nobody_back() {
    let budget = Budget::new(1600);
    let cancelled = Arc::<AtomicBool>::default();
    let hung = budget.lane(Arc::clone(&cancelled)).share().take(500, &never()).unwrap();
    cancelled.store(true, Ordering::SeqCst);
    assert_eq!(budget.share().take(500, &never()).unwrap().bytes(), 500);
    drop(hung);
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_a_plugin_never_gave_back_is_free_once_it_is_gone() {
    let budget = Budget::new(1600);
    let services = InstanceServices::of_source(budget.share(), Arc::default());
    services.reserve(10).unwrap();
    services.reserve(500).unwrap();
    drop(services);
    assert_eq!(budget.used(), 0);
    assert_eq!(budget.share().take(500, &never()).unwrap().bytes(), 500);
}
