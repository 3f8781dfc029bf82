//! What is built with a crate must not change what it does: features of dependencies, alone and together.
//!
//! Cargo gives a dependency the features that anybody in one build asks for. So a plugin that is built with the
//! tests, or with the other plugins, could have another TLS provider, or log more, than the one that users get.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// `name version` → its features, of everything that is linked (macros and build scripts are not).
type Tree = BTreeMap<String, BTreeSet<String>>;

/// Differences that change no behaviour of a plugin: more to call, and nobody calls it.
const HARMLESS: [(&str, &[&str]); 6] = [
    ("the same code, with or without the standard library's traits and allocation", STANDARD),
    ("methods that only the crates which ask for them call", METHODS),
    (
        "Unicode tables and search strategies of patterns that are plain ASCII globs",
        &["regex-automata", "regex-syntax"],
    ),
    (
        "the runtime's kinds and macros: each crate of ours builds the one runtime that it names",
        &["tokio", "tokio-util"],
    ),
    (
        "the tests' other client writes what it traces to the log: there, a plugin says more than in the product",
        &["tracing"],
    ),
    // rustls itself has the same features everywhere, which is asserted: these only pass on what it has.
    ("passed on to rustls", &["tokio-rustls"]),
];
const STANDARD: &[&str] = &[
    "aho-corasick",
    "base64",
    "bitflags",
    "const-oid",
    "crypto-common",
    "futures-io",
    "futures-sink",
    "futures-task",
    "getrandom",
    "hashbrown",
    "http",
    "httparse",
    "memchr",
    "num-bigint",
    "num-traits",
    "once_cell",
    "serde_core",
    "sha2",
    "smallvec",
    "subtle",
    "thiserror",
];
const METHODS: &[&str] =
    &["asyncband", "crc-fast", "der", "digest", "futures-util", "reqsign-core", "rivet-sdk", "rustix", "spki", "uuid"];

/// Who makes TLS, and what of it only one may be in a plugin.
const PROVIDERS: [&str; 5] = ["aws-lc-rs", "boring", "native-tls", "openssl", "ring"];

fn tree(arguments: &[&str]) -> Tree {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["tree", "--offline", "--locked", "--prefix", "none", "-f", "{p}|{f}"]).args(arguments);
    let output = command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut tree = Tree::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((package, features)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        let mut words = package.split(' ');
        let name = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        tree.entry(name).or_default().extend(features.split(',').filter(|name| !name.is_empty()).map(str::to_owned));
    }
    tree
}

const LINKED: &str = "normal,no-proc-macro";

/// What `cargo build` makes.
fn product() -> Vec<String> {
    let metadata = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).unwrap();
    let members = metadata.split_once("default-members = [").unwrap().1.split_once(']').unwrap().0;
    let folders = members.split(',').map(|member| member.trim().trim_matches('"')).filter(|member| !member.is_empty());
    folders
        .map(|folder| folder.strip_prefix("plugins/").map_or("rivet".to_owned(), |name| format!("rivet-plugin-{name}")))
        .collect()
}

fn name(package: &str) -> &str {
    package.split(' ').next().unwrap()
}

#[test]
fn a_plugin_is_the_same_alone_and_together() {
    let harmless: BTreeSet<&str> = HARMLESS.iter().flat_map(|(_, crates)| crates.iter().copied()).collect();
    let mut unneeded = harmless.clone();
    let mut wrong = Vec::new();
    for (place, together) in
        [("with the product", tree(&["-e", LINKED])), ("with all", tree(&["--workspace", "-e", LINKED]))]
    {
        for package in product() {
            for (linked, alone) in tree(&["-p", &package, "-e", LINKED]) {
                let more: Vec<&String> = together[&linked].difference(&alone).collect();
                if more.is_empty() {
                    continue;
                }
                unneeded.remove(name(&linked));
                if !harmless.contains(name(&linked)) {
                    wrong.push(format!("{package} {place}: {linked} also has {more:?}"));
                }
            }
        }
    }
    assert_eq!(
        wrong,
        Vec::<String>::new(),
        "ask for them in the workspace's line of the crate, or say why they are harmless"
    );
    assert_eq!(unneeded, BTreeSet::new(), "these differ nowhere: take them out of the list");
}

#[test]
fn a_plugin_has_one_provider_of_tls() {
    for selection in [vec!["--workspace", "-e", "normal,dev,no-proc-macro"], vec!["-e", LINKED]] {
        let all = tree(&selection);
        let of_rustls = all.iter().find(|(package, _)| name(package) == "rustls").unwrap().1;
        assert!(
            of_rustls.contains("ring") && !of_rustls.iter().any(|feature| feature.contains("aws")),
            "{of_rustls:?}"
        );
        let providers: Vec<&str> =
            all.keys().map(|package| name(package)).filter(|name| PROVIDERS.contains(name)).collect();
        assert_eq!(providers, ["ring"], "{selection:?}");
    }
}

/// Otherwise `make test` compiles again what `make demo` has compiled.
#[test]
fn tests_give_no_crate_of_the_product_another_feature() {
    let without = tree(&["--workspace", "-e", LINKED]);
    let with = tree(&["--workspace", "-e", "normal,dev,no-proc-macro"]);
    for package in tree(&["-e", LINKED]).keys() {
        assert_eq!(without[package], with[package], "{package}: name the feature in the workspace's line of the crate");
    }
}
