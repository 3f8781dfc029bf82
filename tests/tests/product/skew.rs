//! Plugins that were built against another SDK than this rivet's: an honest one works, whatever arrow
//! and allocator it brings, and however old it is; one whose interface differs is refused.
//!
//! `tests/skew/build` makes most of them: they need workspaces of their own, because features and
//! versions unify within one. `tests/fixtures/abi-*` are plugins as they were when a version was frozen.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use rivet_tests::{
    readers,
    rivet::{self, Project},
};

static PLUGINS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = rivet::target().join("skew");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("skew/build");
    assert!(Command::new(script).arg(&folder).status().unwrap().success(), "tests/skew/build failed");
    folder.join("plugins")
});

fn project(plugin: &str) -> Project {
    let project = rivet::project();
    project.config(&format!(
        "
source: {{type: {plugin}, rows: 30000}}
exports:
  - name: numbers
    table: numbers
    mode: chunked
    chunk_column: id
    chunk_size: 10000
    parallel: 2
    format: parquet
    destination: {{type: local, path: '{{out}}'}}
"
    ));
    project
}

/// Every row is there, as the example makes them.
fn exports(plugin: &str, folder: &Path) {
    let project = project(plugin);
    let output = project.rivet("run").plugins(&[folder]).arg("--untrusted-plugins").ok();
    let facts = "SELECT count(*), count(DISTINCT id), sum(id), sum(amount), count(word), sum(length(word)) FROM t";
    let words = (0..30_000).filter(|id| id % 5 != 4);
    let letters: usize = words.clone().filter(|id| id % 7 != 0).map(|id| format!("row {id}").len()).sum();
    let cents: u64 = (0..30_000).map(|id| id * 7 % 1_000_000).sum();
    let expected = [
        "30000".to_owned(),
        "30000".to_owned(),
        (30_000_u64 * 29_999 / 2).to_string(),
        format!("{}.{:02}", cents / 100, cents % 100),
        words.count().to_string(),
        letters.to_string(),
    ];
    assert_eq!(readers::sql(project.out(), facts)[0], expected.map(Some), "{output}");
}

#[test]
#[ignore = "compiles for minutes: make test-slow SUITE=skew"]
fn another_arrow_and_another_allocator() {
    exports("arrow58", &PLUGINS);
    let lock = std::fs::read_to_string(PLUGINS.with_file_name("arrow58").join("Cargo.lock")).unwrap();
    for (name, version) in [("arrow-array", "58."), ("arrow-data", "58."), ("mimalloc", "0.1.")] {
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}")), "{name}");
        assert_eq!(lock.matches(&format!("name = \"{name}\"\n")).count(), 1, "{name}");
    }
}

#[test]
#[ignore = "compiles for minutes: make test-slow SUITE=skew"]
fn a_newer_minor_abi() {
    exports("newer", &PLUGINS);
}

/// The file that was frozen with ABI 1.0, byte for byte.
#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn the_first_abi_still_loads_and_exports() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/abi-1.0");
    // A copy: in a checkout, others may be able to write to folders above it.
    let plugins = rivet::project();
    let file = "librivet_plugin_example.so";
    plugins.write(file, std::fs::read(fixture.join(file)).unwrap());
    let info = rivet::Command::new().plugins(&[plugins.folder()]).args(["plugin", "info", "example", "--json"]).ok();
    let sha256 = info.json()["sha256"].as_str().unwrap().to_owned();
    let readme = std::fs::read_to_string(fixture.join("README.md")).unwrap();
    assert!(readme.contains(&format!("`{sha256}`")), "{info}");
    assert_eq!(info.json()["path"].as_str(), plugins.path(file).to_str(), "{info}");
    exports("example", plugins.folder());
}

#[test]
#[ignore = "compiles for minutes: make test-slow SUITE=skew"]
fn a_changed_interface_is_refused() {
    let project = project("changed");
    let output = project.rivet("run").plugins(&[&PLUGINS]).fails(2);
    let path = PLUGINS.join("librivet_plugin_changed.so");
    output.says(&[
        "interface types differ from this rivet's, though the ABI version matches",
        path.to_str().unwrap(),
        "rebuild the plugin against a released rivet-sdk",
    ]);
    assert_eq!(output.stderr.lines().count(), 2, "{output}");
}
