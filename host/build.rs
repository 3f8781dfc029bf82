//! Leaves the symbols out of a release build of the program.
//!
//! `strip = true` of the release profile does it for every package but one that has a line of
//! its own in `[profile.release.package]`, and `rivet` has one (its codegen units; ADR 12).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if release && linux {
        // Not a plain `-s`: gcc would put it before cargo's `--strip-debug`, and the linker heeds the last.
        println!("cargo::rustc-link-arg-bins=-Wl,-s");
    }
}
