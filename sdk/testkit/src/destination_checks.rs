//! The checks of destinations: one sentence of the contract each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rivet_sdk::{Context, Destination, ErrorKind, HostServices, Object, Result, WriteOptions};

use crate::destination::Place;

/// A sentence of the contract and how it is checked.
pub(crate) type Check = (&'static str, fn(&Place));

pub(crate) const ALL: &[Check] = &[
    ("unknown_options_are_refused", unknown_options_are_refused),
    ("names_come_back_as_given", names_come_back_as_given),
    ("names_that_escape_are_refused", names_that_escape_are_refused),
    ("objects_of_every_size_come_back", objects_of_every_size_come_back),
    ("a_large_object_comes_back", a_large_object_comes_back),
    ("one_of_many_racing_writers_is_first", one_of_many_racing_writers_is_first),
    ("put_replaces_and_put_if_absent_does_not", put_replaces_and_put_if_absent_does_not),
    ("nothing_is_seen_before_finish", nothing_is_seen_before_finish),
    ("abort_leaves_nothing", abort_leaves_nothing),
    ("a_dropped_writer_leaves_nothing", a_dropped_writer_leaves_nothing),
    ("a_finished_writer_takes_no_more", a_finished_writer_takes_no_more),
    ("cancel_stops_a_writer", cancel_stops_a_writer),
    ("a_writer_goes_on_with_less_memory", a_writer_goes_on_with_less_memory),
    ("a_list_is_complete_and_ordered", a_list_is_complete_and_ordered),
    ("a_list_takes_any_prefix", a_list_takes_any_prefix),
    ("reading_stops_at_the_edges", reading_stops_at_the_edges),
    ("what_is_not_there_is_none", what_is_not_there_is_none),
    ("delete_twice_is_delete", delete_twice_is_delete),
    ("places_do_not_see_each_other", places_do_not_see_each_other),
];

/// Bytes that differ everywhere, so that pieces in the wrong order are seen: a block of them again and again, each time
/// with another number before it.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    const BLOCK: usize = 1 << 15;
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut block = Vec::with_capacity(BLOCK);
    while block.len() < BLOCK.min(length) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block.extend_from_slice(&state.to_le_bytes());
    }
    let mut out = Vec::with_capacity(length + block.len() + 8);
    while out.len() < length {
        state = state.wrapping_add(1);
        out.extend_from_slice(&state.to_le_bytes());
        out.extend_from_slice(&block);
    }
    out.truncate(length);
    out
}

fn write(to: &mut dyn Destination, key: &str, body: &[u8]) -> Object {
    let options = WriteOptions::default().with_content_type("application/vnd.apache.parquet".to_owned());
    let mut writer = to.create(key, &options).unwrap();
    // Uneven pieces, as encoders hand them over.
    for piece in body.chunks(777_777) {
        writer.write(piece).unwrap();
    }
    writer.finish().unwrap()
}

fn keys(of: &mut dyn Destination, prefix: &str) -> Vec<String> {
    of.list(prefix).unwrap().into_iter().map(|object| object.key).collect()
}

fn unknown_options_are_refused(place: &Place) {
    let mut options = place.options();
    options.as_object_mut().unwrap().insert("no_such_option".into(), 1.into());
    let error = place.open_with(&options, &Context::detached()).err().expect("an unknown option was accepted");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

const NAMES: [&str; 12] = [
    "plain.parquet",
    "with space.parquet",
    "a+b.parquet",
    "100%.parquet",
    "%41.parquet",
    "größe 数据 🦀.parquet",
    "day=2026-01-02/part 1+1.parquet",
    "a&b=c?d#e;f,g.parquet",
    "it's \"quoted\" (1) [2] {3}.parquet",
    "tilde~dash-under_score.parquet",
    "col=a%2Fb/x.parquet",
    "deep/er/and/deep er/still.parquet",
];

fn names_come_back_as_given(place: &Place) {
    let mut to = place.open();
    for (number, name) in NAMES.iter().enumerate() {
        let body = bytes(number as u64, 100 + number);
        let written = write(&mut *to, name, &body);
        assert_eq!((written.key.as_str(), written.size_bytes), (*name, body.len() as u64));
        assert_eq!(to.get(name).unwrap().as_deref(), Some(&body[..]), "{name}");
        assert_eq!(to.head(name).unwrap().unwrap().size_bytes, body.len() as u64, "{name}");
        let control = format!("control/{name}");
        assert!(to.put_if_absent(&control, b"1").unwrap(), "{name}");
        assert!(!to.put_if_absent(&control, b"2").unwrap(), "{name}");
        assert_eq!(to.get(&control).unwrap().unwrap(), b"1", "{name}");
        assert_eq!(keys(&mut *to, &control), [control], "{name}");
    }
    let mut expected: Vec<String> =
        NAMES.iter().flat_map(|name| [(*name).to_owned(), format!("control/{name}")]).collect();
    expected.sort();
    assert_eq!(keys(&mut *to, ""), expected);
    for name in &expected {
        to.delete(name).unwrap();
        assert_eq!(to.head(name).unwrap(), None, "{name}");
    }
    assert_eq!(keys(&mut *to, ""), Vec::<String>::new());
}

fn names_that_escape_are_refused(place: &Place) {
    let mut to = place.open();
    for name in ["", "/absolute", "../above", "a/../../above", "a//b", "a/", "a/./b", "a\\b", "a\0b"] {
        assert_eq!(to.put(name, b"").unwrap_err().kind(), ErrorKind::Config, "{name:?}");
        assert_eq!(to.head(name).unwrap_err().kind(), ErrorKind::Config, "{name:?}");
        let created = to.create(name, &WriteOptions::default());
        assert_eq!(created.err().map(|error| error.kind()), Some(ErrorKind::Config), "{name:?}");
    }
}

fn objects_of_every_size_come_back(place: &Place) {
    let mut to = place.open();
    let part = place.subject.part_bytes;
    for length in [0, 1, part - 1, part, part + 1, 2 * part, 3 * part + 12_345] {
        let (key, body) = (format!("{length}.bin"), bytes(length as u64, length));
        assert_eq!(write(&mut *to, &key, &body).size_bytes, length as u64);
        assert_eq!(to.head(&key).unwrap().unwrap().size_bytes, length as u64);
        assert!(to.get(&key).unwrap().unwrap() == body, "{length} bytes came back as others");
    }
    to.put("empty", b"").unwrap();
    assert_eq!(to.get("empty").unwrap().unwrap(), b"");
}

fn a_large_object_comes_back(place: &Place) {
    const PIECE: usize = 4 << 20;
    let mut to = place.open();
    let mut writer = to.create("large", &WriteOptions::default()).unwrap();
    for number in 0..50u64 {
        writer.write(&bytes(number, PIECE)).unwrap();
    }
    assert_eq!(writer.finish().unwrap().size_bytes, 50 * PIECE as u64);
    for number in 0..50u64 {
        let piece = to.read_at("large", number * PIECE as u64, PIECE as u64).unwrap().unwrap();
        assert!(piece == bytes(number, PIECE), "piece {number} came back as another");
    }
}

/// The rounds run side by side: a store may let the writers of one key through one by one, SeaweedFS one a second.
fn one_of_many_racing_writers_is_first(place: &Place) {
    const RACERS: usize = 6;
    std::thread::scope(|scope| {
        for round in 0..6 {
            scope.spawn(move || one_of_these_is_first(place, &format!("race-{round}"), RACERS));
        }
    });
}

fn one_of_these_is_first(place: &Place, key: &str, racers: usize) {
    let barrier = std::sync::Barrier::new(racers);
    let winners: Vec<String> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..racers)
            .map(|racer| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let (mut to, body) = (place.open(), format!("racer {racer}"));
                    barrier.wait();
                    to.put_if_absent(key, body.as_bytes()).unwrap().then_some(body)
                })
            })
            .collect();
        racers.into_iter().filter_map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(winners.len(), 1, "{winners:?} each believe they were first");
    assert_eq!(place.open().get(key).unwrap().unwrap(), winners[0].as_bytes());
}

fn put_replaces_and_put_if_absent_does_not(place: &Place) {
    let mut to = place.open();
    assert!(to.put_if_absent("a/b.json", b"1").unwrap());
    assert!(!to.put_if_absent("a/b.json", b"1").unwrap(), "the same body is no reason to win twice");
    assert_eq!(to.put("a/b.json", b"33").unwrap().size_bytes, 2);
    assert_eq!(to.get("a/b.json").unwrap().unwrap(), b"33");
    to.delete("a/b.json").unwrap();
    assert!(to.put_if_absent("a/b.json", b"4").unwrap());
}

fn nothing_is_seen_before_finish(place: &Place) {
    let (mut to, mut reader) = (place.open(), place.open());
    let body = bytes(7, 4 * place.subject.part_bytes);
    let mut writer = to.create("late", &WriteOptions::default()).unwrap();
    for piece in body.chunks(1 << 20) {
        writer.write(piece).unwrap();
        assert_eq!(reader.head("late").unwrap(), None);
    }
    assert_eq!(reader.get("late").unwrap(), None);
    assert_eq!(keys(&mut *reader, ""), Vec::<String>::new());
    writer.finish().unwrap();
    assert!(reader.get("late").unwrap().unwrap() == body);
    assert_eq!(keys(&mut *reader, ""), ["late"]);
}

fn half_written(place: &Place, to: &mut dyn Destination) -> Box<dyn rivet_sdk::ObjectWriter> {
    let mut writer = to.create("half", &WriteOptions::default()).unwrap();
    for piece in bytes(3, 4 * place.subject.part_bytes + 1).chunks(1 << 20) {
        writer.write(piece).unwrap();
    }
    writer
}

fn nothing_stayed(place: &Place) {
    let mut looker = place.open();
    assert_eq!(keys(&mut *looker, ""), Vec::<String>::new());
    assert_eq!(looker.tidy().unwrap(), 0, "something unfinished stayed behind");
}

fn abort_leaves_nothing(place: &Place) {
    let mut to = place.open();
    let mut writer = half_written(place, &mut *to);
    writer.abort().unwrap();
    assert!(writer.write(b"more").is_err());
    drop(writer);
    to.create("never written", &WriteOptions::default()).unwrap().abort().unwrap();
    nothing_stayed(place);
}

fn a_dropped_writer_leaves_nothing(place: &Place) {
    let mut to = place.open();
    drop(half_written(place, &mut *to));
    drop(to.create("never written", &WriteOptions::default()).unwrap());
    nothing_stayed(place);
}

fn a_finished_writer_takes_no_more(place: &Place) {
    let mut to = place.open();
    let mut writer = to.create("done", &WriteOptions::default()).unwrap();
    writer.write(b"x").unwrap();
    writer.finish().unwrap();
    assert!(writer.write(b"y").is_err());
    assert!(writer.finish().is_err());
    drop(writer);
    assert_eq!(to.get("done").unwrap().unwrap(), b"x");
}

struct Stop(AtomicBool);

impl HostServices for Stop {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn reserve(&self, _: u64) -> Result<()> {
        Ok(())
    }

    fn try_reserve(&self, _: u64) -> bool {
        true
    }

    fn release(&self, _: u64) {}
}

/// Where writing waits for nothing, it may finish all the same; but it leaves all or nothing.
fn cancel_stops_a_writer(place: &Place) {
    let stop = Arc::new(Stop(AtomicBool::new(false)));
    let mut to = place.open_with(&place.options(), &Context::new(stop.clone())).unwrap();
    let mut writer = half_written(place, &mut *to);
    stop.0.store(true, Ordering::SeqCst);
    if let Err(error) = writer.write(&bytes(1, 4 * place.subject.part_bytes)) {
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error:?}");
    }
    drop(writer);
    nothing_stayed(place);
}

/// A host without memory to spare: who asks to wait is served, who asks whether there is more is not.
#[derive(Default)]
struct Tight {
    held: AtomicU64,
}

impl HostServices for Tight {
    fn is_cancelled(&self) -> bool {
        false
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        self.held.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn try_reserve(&self, _: u64) -> bool {
        false
    }

    fn release(&self, bytes: u64) {
        let held = self.held.fetch_sub(bytes, Ordering::SeqCst);
        assert!(held >= bytes, "{bytes} bytes were released of {held}");
    }
}

fn a_writer_goes_on_with_less_memory(place: &Place) {
    let tight = Arc::new(Tight::default());
    let body = bytes(11, 5 * place.subject.part_bytes + 1);
    {
        let mut to = place.open_with(&place.options(), &Context::new(tight.clone())).unwrap();
        write(&mut *to, "tight", &body);
        half_written(place, &mut *to).abort().unwrap();
    }
    assert!(place.open().get("tight").unwrap().unwrap() == body);
    assert_eq!(tight.held.load(Ordering::SeqCst), 0, "memory was not given back");
}

fn a_list_is_complete_and_ordered(place: &Place) {
    // Three pages of a thousand, which is what most stores answer at once.
    const OBJECTS: usize = 2_100;
    let key = |number: usize| format!("many/{}/{number:05}", number % 7);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let mut to = place.open();
                for number in (thread..OBJECTS).step_by(8) {
                    to.put(&key(number), &bytes(number as u64, number % 50)).unwrap();
                }
            });
        }
    });
    let listed = place.open().list("many/").unwrap();
    let mut expected: Vec<(String, u64)> = (0..OBJECTS).map(|number| (key(number), (number % 50) as u64)).collect();
    expected.sort();
    let found: Vec<(String, u64)> = listed.iter().map(|object| (object.key.clone(), object.size_bytes)).collect();
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "the list is not what was put, in order");
}

fn a_list_takes_any_prefix(place: &Place) {
    let mut to = place.open();
    for key in ["b/2", "b-1", "b/1", "a", "b/10/x", "b 1/x"] {
        to.put(key, b"x").unwrap();
    }
    assert_eq!(keys(&mut *to, ""), ["a", "b 1/x", "b-1", "b/1", "b/10/x", "b/2"]);
    assert_eq!(keys(&mut *to, "b"), ["b 1/x", "b-1", "b/1", "b/10/x", "b/2"]);
    assert_eq!(keys(&mut *to, "b/"), ["b/1", "b/10/x", "b/2"]);
    assert_eq!(keys(&mut *to, "b/1"), ["b/1", "b/10/x"]);
    assert_eq!(keys(&mut *to, "b "), ["b 1/x"]);
    assert_eq!(keys(&mut *to, "none/"), Vec::<String>::new());
    let (listed, head) = (to.list("a").unwrap().remove(0), to.head("a").unwrap().unwrap());
    assert_eq!((listed.size_bytes, listed.etag), (head.size_bytes, head.etag));
}

fn reading_stops_at_the_edges(place: &Place) {
    let mut to = place.open();
    to.put("a", b"0123456789").unwrap();
    to.put("empty", b"").unwrap();
    for (offset, length, expected) in
        [(0, 10, "0123456789"), (0, 4, "0123"), (9, 1, "9"), (8, 10, "89"), (10, 1, ""), (20, 10, ""), (3, 0, "")]
    {
        let found = to.read_at("a", offset, length).unwrap().unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), expected, "{length} from {offset}");
    }
    assert_eq!(to.read_at("a", 5, u64::MAX - 1).unwrap().unwrap(), b"56789");
    assert_eq!(to.read_at("empty", 0, 10).unwrap().unwrap(), b"");
    assert_eq!(to.read_at("none", 0, 1).unwrap(), None);
}

fn what_is_not_there_is_none(place: &Place) {
    let mut to = place.open();
    assert_eq!(to.get("none/at/all").unwrap(), None);
    assert_eq!(to.head("none/at/all").unwrap(), None);
    assert_eq!(keys(&mut *to, ""), Vec::<String>::new());
    assert!(!to.location().is_empty());
}

fn delete_twice_is_delete(place: &Place) {
    let mut to = place.open();
    to.put("a", b"x").unwrap();
    to.put("ab", b"x").unwrap();
    to.delete("a").unwrap();
    to.delete("a").unwrap();
    to.delete("never/there").unwrap();
    assert_eq!(keys(&mut *to, ""), ["ab"]);
}

fn places_do_not_see_each_other(place: &Place) {
    let (mut one, mut other) = (place.open(), place.beside("other").open());
    one.put("a", b"1").unwrap();
    other.put("b", b"2").unwrap();
    assert_eq!((keys(&mut *one, ""), keys(&mut *other, "")), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert_eq!(other.get("a").unwrap(), None);
}
