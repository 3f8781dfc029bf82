//! The local destination keeps what the trait promises.

use rivet_sdk::ErrorKind;
use tempfile::TempDir;

use super::*;

fn local() -> (TempDir, Local) {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::open(LocalOptions { path: folder.path().join("out") }).unwrap();
    (folder, local)
}

fn keys(local: &mut Local, prefix: &str) -> Vec<String> {
    local.list(prefix).unwrap().into_iter().map(|object| object.key).collect()
}

#[test]
fn an_object_is_invisible_until_finished() {
    let (_folder, mut local) = local();
    let mut writer = local.create("a/b/part.csv", &WriteOptions::default()).unwrap();
    writer.write(b"one").unwrap();
    assert!(keys(&mut local, "").is_empty());
    let object = writer.finish().unwrap();
    assert_eq!((object.key.as_str(), object.size_bytes), ("a/b/part.csv", 3));
    assert_eq!(local.get("a/b/part.csv").unwrap().as_deref(), Some(&b"one"[..]));
    assert_eq!(local.head("a/b/part.csv").unwrap(), Some(object));
    assert!(writer.write(b"more").is_err());
}

#[test]
fn nothing_stays_of_an_aborted_or_dropped_object() {
    let (folder, mut local) = local();
    let mut writer = local.create("part", &WriteOptions::default()).unwrap();
    writer.write(b"one").unwrap();
    writer.abort().unwrap();
    drop(local.create("part", &WriteOptions::default()).unwrap());
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0);
}

#[test]
fn only_the_first_put_if_absent_wins() {
    let (_folder, mut local) = local();
    assert!(local.put_if_absent("_rivet/x/manifest.json", b"1").unwrap());
    assert!(!local.put_if_absent("_rivet/x/manifest.json", b"2").unwrap());
    assert_eq!(local.get("_rivet/x/manifest.json").unwrap().unwrap(), b"1");
    local.put("_rivet/x/manifest.json", b"3").unwrap();
    assert_eq!(local.get("_rivet/x/manifest.json").unwrap().unwrap(), b"3");
}

#[test]
fn a_list_is_ordered_by_key_and_takes_any_prefix() {
    let (_folder, mut local) = local();
    for key in ["b/2", "b-1", "b/1", "a", "b/10/x"] {
        local.put(key, b"").unwrap();
    }
    assert_eq!(keys(&mut local, "b"), ["b-1", "b/1", "b/10/x", "b/2"]);
    assert_eq!(keys(&mut local, "b/1"), ["b/1", "b/10/x"]);
    assert!(keys(&mut local, "none/").is_empty());
}

#[test]
fn reading_a_piece_stops_at_the_end() {
    let (_folder, mut local) = local();
    local.put("a", b"0123456789").unwrap();
    assert_eq!(local.read_at("a", 8, 10).unwrap().unwrap(), b"89");
    assert_eq!(local.read_at("a", 20, 10).unwrap().unwrap(), b"");
    assert_eq!(local.read_at("b", 0, 1).unwrap(), None);
    local.delete("a").unwrap();
    local.delete("a").unwrap();
    assert_eq!(local.get("a").unwrap(), None);
}

#[test]
fn keys_never_leave_the_folder() {
    let (_folder, mut local) = local();
    for key in ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", ".hidden", "a/./b", "a\\b"] {
        assert_eq!(local.put(key, b"").unwrap_err().kind(), ErrorKind::Config, "{key:?}");
    }
}

#[test]
fn a_file_in_the_way_is_named() {
    let (folder, mut local) = local();
    local.put("a", b"").unwrap();
    let error = local.put("a/b", b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("out/a"), "{error}");
    let path = folder.path().join("out/a");
    assert_eq!(Local::open(LocalOptions { path }).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn full_disks_and_closed_doors_are_told_apart() {
    for (errno, kind) in [
        (28, ErrorKind::ResourceExhausted),
        (122, ErrorKind::ResourceExhausted),
        (13, ErrorKind::Permission),
        (30, ErrorKind::Permission),
        (20, ErrorKind::Config),
        (116, ErrorKind::Transient),
    ] {
        let error = file_error("write", Path::new("/data/x"), &io::Error::from_raw_os_error(errno));
        assert_eq!(error.kind(), kind, "errno {errno}");
        assert!(error.message().starts_with("write /data/x: "), "{error}");
    }
}

#[test]
fn only_a_dead_writers_temporary_file_is_removed() {
    let (folder, mut local) = local();
    let _alive = local.create("alive", &WriteOptions::default()).unwrap();
    let dead = folder.path().join(format!("out/.dead.{}.tmp", Ulid::generate()));
    fs::write(&dead, b"x").unwrap();
    fs::write(folder.path().join("out/.theirs.tmp"), b"x").unwrap();
    assert!(local.remove_stale_temps(Duration::from_secs(3600)).unwrap().is_empty());
    assert_eq!(local.remove_stale_temps(Duration::ZERO).unwrap(), [dead]);
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 2);
}
