//! Configurations of rivet-cli 0.9.4 are understood.

use super::*;

#[test]
fn every_configuration_of_rivet_cli_is_within_the_grammar() {
    let folder = vars().base_dir().to_owned();
    for name in ["minimal.yaml", "postgres-chunked.yaml", "mysql-incremental.yaml"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        parse(&text, Path::new(name), &vars()).unwrap_or_else(|faults| panic!("{faults}"));
    }
}

#[test]
fn the_fixtures_hold_every_frozen_key() {
    let folder = vars().base_dir().to_owned();
    let text: String = ["minimal.yaml", "postgres-chunked.yaml", "mysql-incremental.yaml"]
        .iter()
        .map(|name| std::fs::read_to_string(folder.join(name)).unwrap())
        .collect();
    let new = [
        "plugins",
        "memory_limit_mb",
        "state",
        "tables",
        "settle",
        "on_null_cursor",
        "on_cursor_ties",
        "chunk_by",
        "csv",
        "exclude",
        "rename",
        "write_mode",
        "consistency",
        "on_unrepresentable",
        "order_by",
        "max_connections",
        "max_value_mb",
        "chunk_deadline_s",
        "dirs",
        "lock",
        "webhook",
        "page_size_kb",
        "dictionary",
        "bloom_filters",
        "statistics",
        "sorting",
    ];
    let new_blocks = ["plugins", "state", "notifications.webhook", "exports[].csv"];
    for block in crate::config::grammar::ROOT.all().into_iter().filter(|block| !new_blocks.contains(&block.path)) {
        for key in block.keys.iter().filter(|key| !new.contains(&key.name)) {
            assert!(text.contains(&format!("{}:", key.name)), "{}.{}", block.path, key.name);
        }
    }
}
