//! Reference pages made from the code: the commands, the errors with their exit codes, and the
//! schemas of files.
//!
//! Tests compare them with the committed pages; `RIVET_BLESS=1 cargo test -p rivet reference`
//! writes them.

mod commands;
mod errors;
mod schemas;

/// Fails unless the committed page is what the code says now.
fn assert_fresh(page: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(page);
    if std::env::var_os("RIVET_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{page} is stale: RIVET_BLESS=1 cargo test -p rivet reference");
}
