//! Which crate may know which, where unsafe code may stand, and what a plugin's library shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSymbol};
use rivet_tests::rivet;
use serde_json::Value;

/// Crates of ours that a crate's code may use, and those that its tests and examples may use too.
/// `PLUGIN` stands for each of them.
const ALLOWED: [(&str, &[&str], &[&str]); 12] = [
    ("rivet-abi", &[], &[]),
    ("rivet-sdk", &["rivet-abi"], &[]),
    ("rivet-loader", &["rivet-abi", "rivet-sdk"], &[]),
    // What a PostgreSQL URL means: a source's, and the state store's.
    ("rivet-libpq", &["rivet-sdk"], &["rivet-testkit"]),
    ("rivet", &["rivet-libpq", "rivet-loader", "rivet-sdk", "rivet-testkit"], &[]),
    ("rivet-testkit", &["rivet-loader", "rivet-sdk"], &[]),
    ("rivet-store-core", &["rivet-sdk"], &[]),
    (PLUGIN, &["rivet-libpq", "rivet-sdk", "rivet-store-core"], &["rivet-testkit"]),
    ("rivet-tds", &[], &[]),
    ("rivet-model", &[], &["rivet"]),
    // For their libraries; it calls neither.
    ("rivet-demo", &["rivet-plugin-example", "rivet-plugin-sqlite"], &[]),
    // The boundary's bench compares a driver in process with the same one loaded; the state
    // store is raced for by threads.
    ("rivet-tests", &[], &["rivet", "rivet-loader", "rivet-plugin-example", "rivet-plugin-postgres", "rivet-sdk"]),
];
const PLUGIN: &str = "rivet-plugin-*";

/// What only one of our crates may name.
const ONLY: [(&str, &str); 2] = [("abi_stable", "rivet-abi"), ("libloading", "rivet-loader")];

fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let output = command.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let output = output.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    let ours: Vec<&str> = packages.iter().map(name).collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let package_name = name(package);
        let rule = if package_name.starts_with("rivet-plugin-") { PLUGIN } else { package_name };
        let (_, code, tests) = ALLOWED
            .iter()
            .find(|(name, ..)| *name == rule)
            .unwrap_or_else(|| panic!("{package_name} is a new crate: say in this test what it may use"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = name(dependency);
            let in_tests = dependency["kind"] == "dev";
            if ours.contains(&used) && !code.contains(&used) && !(in_tests && tests.contains(&used)) {
                wrong.push(format!("{package_name} -> {used}"));
            }
            if ONLY.iter().any(|(only, by)| *only == used && *by != package_name) {
                wrong.push(format!("{package_name} -> {used}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The ABI, its two sides and the plugin that breaks its promises; nobody else.
#[test]
fn unsafe_code_is_forbidden_outside_the_boundary() {
    let may = ["rivet-abi", "rivet-sdk", "rivet-loader", "rivet-plugin-hostile"];
    for package in packages().iter().filter(|package| !may.contains(&name(package))) {
        for target in package["targets"].as_array().unwrap() {
            let kind = target["kind"][0].as_str().unwrap();
            if !["lib", "rlib", "cdylib", "bin"].contains(&kind) {
                continue;
            }
            let path = target["src_path"].as_str().unwrap();
            let source = fs::read_to_string(path).unwrap();
            // A crate that only has its name yet has nothing to forbid.
            let empty = source.lines().all(|line| line.is_empty() || line.starts_with("//"));
            assert!(empty || source.contains("#![forbid(unsafe_code)]"), "{path}");
        }
    }
}

/// In the SDK, unsafe code stands in the glue and nowhere an author's words pass through.
#[test]
fn unsafe_code_in_the_sdk_stands_in_the_glue() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/plugin/src");
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && !["ffi.rs", "plugin.rs"].contains(&file) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("unsafe {") && !text.contains("unsafe fn"), "{file}");
        }
    }
}

#[test]
fn a_plugin_shows_its_own_symbols_only() {
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(rivet::plugins()).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !(file.starts_with("librivet_plugin_") && file.ends_with(".so")) {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let library = object::read::elf::ElfFile64::<object::Endianness>::parse(&bytes[..]).unwrap();
        let shown = library.dynamic_symbols().filter(|symbol| symbol.is_definition() && symbol.is_global());
        let mut shown: Vec<String> = shown.map(|symbol| symbol.name().unwrap().to_owned()).collect();
        shown.sort();
        if !shown.is_empty() {
            seen.insert(file, shown);
        }
    }
    assert!(seen.contains_key("librivet_plugin_example.so"));
    for (file, shown) in seen {
        assert_eq!(shown, ["RIVET_PLUGIN_DESCRIPTOR", "RIVET_PLUGIN_META", "RIVET_PLUGIN_ROOT"], "{file}");
    }
}
