//! Keeps the C functions of the libraries within from being shown beside the plugin's own symbols.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=-Wl,--exclude-libs,ALL");
}
