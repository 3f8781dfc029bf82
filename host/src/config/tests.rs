//! The whole way from YAML to a configuration, or to its faults.

use super::*;
use crate::plan::{Codec, ConsistencyPolicy, Format, RowGroups};
use rivet_sdk::{OnUnrepresentable, Relation, TableName, WantedType};
use serde_json::json;

mod rivet_cli;

const SOURCE: &str = "source: {type: postgres, url_env: DB}\n";

fn vars() -> Variables {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/config-0.9.4");
    Variables::new(BTreeMap::from([("SINCE".to_owned(), "2026-01-01".to_owned())]), fixtures).with_environment([
        ("DB", "postgresql://u:hunter22@h/d"),
        ("PW", "hunter22"),
        ("LEVEL", "9"),
        ("WORD", "hunter22"),
        ("BAD", "hunter22;x"),
        ("SLACK_URL", "https://hooks.example/hunter22"),
    ])
}

fn with_export(export: &str) -> String {
    let lines: String = export.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "{SOURCE}exports:\n  - name: a\n    table: t\n    format: parquet\n{lines}    destination: {{type: local, path: o}}\n"
    )
}

fn parsed(text: &str) -> Config {
    parse(text, Path::new("rivet.yaml"), &vars()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn export(text: &str) -> ExportConfig {
    parsed(&with_export(text)).exports.remove(0)
}

fn faults(text: &str) -> String {
    let text = parse(text, Path::new("rivet.yaml"), &vars()).unwrap_err().to_string();
    assert!(!text.contains("hunter22"), "{text}");
    text
}

/// The faults of an export whose own lines begin at line 6.
fn export_faults(text: &str) -> String {
    faults(&with_export(text)).replace("rivet.yaml:", "").replace("exports[0]", "E")
}

#[test]
fn a_small_configuration_is_resolved_to_its_last_default() {
    let config = parsed(&with_export(""));
    assert_eq!(config.source.plugin, SourcePlugin::Name("postgres".to_owned()));
    assert_eq!(config.source.block.options, json!({"url_env": "DB"}));
    assert_eq!(config.memory_limit_mb, 512);
    assert!(matches!(config.state, StateConfig::Sqlite(_)));
    let export = config.exports.first().unwrap();
    assert_eq!(export.relation, Relation::Table(TableName::unqualified("t")));
    assert_eq!(export.chunking, Chunking { by: ChunkBy::Auto, column: None, key: Vec::new(), size: ChunkSize::Auto });
    assert_eq!((export.parallel, export.max_attempts), (1, 4));
    assert_eq!(export.output.compression.codec, Codec::Zstd);
    assert_eq!((export.tuning.profile, export.tuning.batch_rows), (Profile::Balanced, 16_384));
    assert_eq!(export.tuning.session.statement_timeout_ms, Some(300_000));
    assert_eq!(export.destination.block.options, json!({"path": "o"}));
}

#[test]
fn unknown_keys_are_answered_with_the_nearest() {
    assert_eq!(
        export_faults("chunk_sise: 5\nparquet: {dictonary: true}\nbatch_size: 5\nzzz: 1"),
        "6:5: E.chunk_sise: unknown key\n  hint: did you mean chunk_size?\n\
         7:15: E.parquet.dictonary: unknown key\n  hint: did you mean dictionary?\n\
         8:5: E.batch_size: unknown key\n  hint: it belongs into `tuning`\n\
         9:5: E.zzz: unknown key"
    );
}

#[test]
fn wrong_types_say_what_is_expected_and_what_is_there() {
    assert_eq!(
        export_faults(
            "parallel: many\nskip_empty: 1\ncompression: zst\nexclude: a\nparquet: 5\nmax_file_size: 5 apples\nchunk_column: 5\nchunk_size: 0"
        ),
        "6:15: E.parallel: expected a whole number, found text\n\
         7:17: E.skip_empty: expected true or false, found a whole number\n\
         8:18: E.compression: `zst` is not one of zstd, snappy, gzip, lz4, none\n  hint: did you mean zstd?\n\
         9:14: E.exclude: expected a list of texts, found text\n\
         10:14: E.parquet: expected a block of keys, found a whole number\n\
         11:20: E.max_file_size: expected a size such as 256MB, 64MiB or 1GB, found `5 apples`\n\
         12:19: E.chunk_column: expected text, found a whole number\n  hint: put it in quotes\n\
         13:17: E.chunk_size: must be 1 or more"
    );
}

#[test]
fn duplicates_and_missing_keys_are_named() {
    assert_eq!(
        faults(&format!("{SOURCE}exports:\n  - name: a\n    name: b\n    query: q\n")),
        "rivet.yaml:3:5: exports[0].format: this key is required\n\
         rivet.yaml:3:5: exports[0].destination: this key is required\n\
         rivet.yaml:4:5: exports[0].name: given twice, first on line 3\n  hint: keep one of them"
    );
    assert_eq!(faults(SOURCE), "rivet.yaml:1:1: exports: this key is required");
    let twice = with_export("")
        .replace("exports:\n", "exports:\n  - {name: a, query: q, format: csv, destination: {type: stdout}}\n");
    assert!(faults(&twice).contains("exports[1].name: `a` is the name of an export already, on line 3"));
}

#[test]
fn unset_variables_are_named_wherever_they_stand() {
    let text = with_export("compression: ${NOPE}\nrename: {a: '${ALSO}'}\nexclude_file: x")
        .replace("url_env: DB", "url: 'postgres://u:${GONE}@h/d'");
    let text = faults(&text);
    for line in [
        "rivet.yaml:1:31: source.url: variable `GONE` is not set",
        "rivet.yaml:6:18: exports[0].compression: variable `NOPE` is not set",
        "rivet.yaml:7:17: exports[0].rename.a: variable `ALSO` is not set",
        "rivet.yaml:8:5: exports[0].exclude_file: unknown key",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn variables_in_unquoted_values_may_be_numbers_and_comments_are_not_searched() {
    let export = export("compression_level: ${LEVEL} # ${NOPE}\nchunk_column_env: PW");
    assert_eq!(export.output.compression.level, Some(9));
    assert_eq!(export.chunking.column.as_deref(), Some("hunter22"));
    assert_eq!(
        export_faults("compression: ${WORD}\nparallel: ${WORD}"),
        "6:18: E.compression: `${WORD}` is not one of zstd, snappy, gzip, lz4, none\n\
         7:15: E.parallel: expected a whole number, found text"
    );
}

#[test]
fn paths_are_cut_and_bad_tokens_refused() {
    let text = with_export("").replace("path: o", "path: 'o/d={date}/{table}'");
    let destination = parsed(&text).exports.remove(0).destination;
    assert_eq!(destination.block.options, json!({"path": "o/"}));
    assert_eq!(destination.template, "d={date}/{table}/");
    for (path, fault) in [
        ("o/{dat}", "6:32: exports[0].destination.path: unknown token `{dat}`\n  hint: did you mean date?"),
        ("../o", "6:32: exports[0].destination.path: `..` is not allowed in a destination's path"),
        ("{partition}", "6:32: exports[0].destination.path: `{partition}` needs `partition_by`"),
    ] {
        let text = faults(&with_export("").replace("path: o", &format!("path: '{path}'")));
        assert!(text.contains(fault), "{text}");
    }
    let query = with_export("").replace("path: o", "path: '{table}'").replace("table: t", "query: q");
    assert!(faults(&query).contains("`{table}` needs an export with `table`"));
}

#[test]
fn hooks_need_an_address_that_no_fault_shows() {
    let with = |hooks: &str| format!("notifications: {hooks}\n{}", with_export(""));
    assert_eq!(
        faults(&with("{slack: {on: [failure]}, webhook: {url_env: BAD, on: [succes]}}")),
        "rivet.yaml:1:24: notifications.slack.webhook_url: this key is required\n  \
         hint: a webhook's URL is a secret: give it as `webhook_url_env`\n\
         rivet.yaml:1:51: notifications.webhook.url: not the address of a webhook\n  \
         hint: it begins with https://, or with http:// inside a trusted network\n\
         rivet.yaml:1:70: notifications.webhook.on: this is not one of failure, schema_change, degraded"
    );
    let hooks = parsed(&with("{slack: {webhook_url_env: SLACK_URL}, webhook: {url: 'http://h/x', on: [degraded]}}"));
    assert_eq!(hooks.notifications.slack.unwrap().on, [crate::notify::Event::Failure]);
    assert_eq!(hooks.notifications.webhook.unwrap().on, [crate::notify::Event::Degraded]);
}

#[test]
fn workers_move_only_where_adaptive_is_true_in_the_closest_layer() {
    let least = |source: &str, own: &str| {
        let text = with_export(own).replace("url_env: DB", &format!("url_env: DB, tuning: {{{source}}}"));
        parsed(&text).exports.remove(0).tuning.min_parallel
    };
    assert_eq!(least("adaptive: true", "parallel: 4"), Some(1));
    assert_eq!(least("adaptive: true, min_parallel: 2", "tuning: {min_parallel: 3}"), Some(3));
    assert_eq!(least("adaptive: true", "tuning: {adaptive: false, min_parallel: 3}"), None);
    assert_eq!(least("min_parallel: 2", "parallel: 4"), None);
}

#[test]
fn tuning_is_merged_key_by_key_over_the_profile() {
    let text = with_export("tuning: {profile: safe, batch_size_memory_mb: 4, lock_timeout_s: 0}")
        .replace("url_env: DB", "url_env: DB, environment: local, tuning: {batch_size: 7, max_retries: 9}");
    let tuning = parsed(&text).exports.remove(0).tuning;
    assert_eq!(tuning.profile, Profile::Safe);
    assert_eq!((tuning.batch_rows, tuning.batch_bytes), (1 << 20, 4 << 20));
    assert_eq!((tuning.max_retries, tuning.throttle_ms, tuning.retry_backoff_ms), (9, 500, 5_000));
    assert_eq!((tuning.session.statement_timeout_ms, tuning.session.lock_timeout_ms), (Some(120_000), None));
    assert_eq!(tuning.chunk_deadline_ms, Some(600_000));
}

#[test]
fn output_options_reach_the_plans_form() {
    let export = export(
        "compression_profile: fast\nmax_file_size: 64MiB\nparquet: {row_group_rows: 5}\nmeta_columns: {row_hash: true}",
    );
    assert_eq!((export.output.compression.codec, export.output.max_file_size_bytes), (Codec::Snappy, Some(64 << 20)));
    assert!(export.output.row_hash && !export.output.exported_at);
    let Format::Parquet(spec) = export.output.format else { panic!() };
    assert_eq!(spec.row_groups, RowGroups::Rows(5));

    let text = with_export("csv: {delimiter: \"\\t\", null: \"\\\\N\", line_ending: lf, quoting: all}")
        .replace("parquet", "csv");
    let Format::Csv(spec) = parsed(&text).exports.remove(0).output.format else { panic!() };
    assert_eq!(
        (spec.delimiter, spec.null.as_str(), spec.line_ending.as_str(), spec.quote_all),
        ('\t', "\\N", "\n", true)
    );
}

#[test]
fn columns_and_words_are_read() {
    let export = export(
        "columns: {a: BIGINT, b: 'numeric(10,2)'}\nexclude: [c]\nrename: {a: x}\non_unrepresentable: null\nconsistency: snapshot\nwrite_mode: replace",
    );
    let types: Vec<WantedType> = export.columns.iter().map(|column| column.value).collect();
    assert_eq!(types, [WantedType::Int8, WantedType::Decimal(10, 2)]);
    assert_eq!(export.on_unrepresentable, OnUnrepresentable::Null);
    assert_eq!(export.consistency, ConsistencyPolicy::Snapshot);
}

#[test]
fn contradictions_are_refused() {
    for (text, fault) in [
        ("query: q", "6:5: E.query: `table` and `query` are both given"),
        ("chunk_by: none\nchunk_size: 5", "7:5: E.chunk_size: `chunk_size` has no meaning with `chunk_by: none`"),
        ("chunk_size: 5\nchunk_size_memory_mb: 5", "7:5: E.chunk_size_memory_mb: `chunk_size` and"),
        ("compression: gzip\ncompression_level: 12", "7:5: E.compression_level: gzip takes levels 0 to 9"),
        ("compression: snappy\ncompression_level: 1", "7:5: E.compression_level: snappy has no levels"),
        ("csv: {header: true}", "6:5: E.csv: `csv` options with `format: parquet`"),
        ("exclude: [x]\ncolumns: {x: text}", "7:15: E.columns.x: the column is excluded too"),
        ("columns: {x: txt}", "6:15: E.columns.x: `txt` is not a type rivet knows\n  hint: did you mean text?"),
        ("tuning: {max_value_mb: 200}", "6:14: E.tuning.max_value_mb: three times max_value_mb (200) must fit"),
        ("tuning: {batch_size: 1, batch_size_memory_mb: 1}", "`batch_size` and `batch_size_memory_mb` are both given"),
    ] {
        let found = export_faults(text);
        assert!(found.contains(fault), "{found}");
    }
    let stdout = with_export("parallel: 2").replace("{type: local, path: o}", "{type: stdout}");
    assert!(faults(&stdout).contains("6:5: exports[0].parallel: `stdout` is written by one worker"));
    let both = with_export("").replace("url_env: DB", "url_env: DB, host: h");
    assert!(faults(&both).contains("source.host: `url_env` and `host` are both given"));
    for name in ["a/b", "..", ".x", "'a{b}'", "''", "\"a\\nb\""] {
        let text = with_export("").replace("name: a", &format!("name: {name}"));
        assert!(faults(&text).contains("exports[0].name: cannot stand in a path"), "{name}");
    }
}

#[test]
fn the_plugin_is_inferred_from_the_urls_scheme() {
    let source = |source: &str| with_export("").replace("{type: postgres, url_env: DB}", source);
    for text in ["{url_env: DB}", "{url: 'postgresql://h'}", "{url: '${DB}'}"] {
        assert_eq!(parsed(&source(text)).source.plugin, SourcePlugin::Scheme("postgresql".to_owned()), "{text}");
    }
    assert!(faults(&source("{host: h}")).contains("source.type: this key is required where there is no URL"));
    assert!(faults(&source("{url: '${PW}'}")).contains("neither a URL, with a scheme"));
}

#[test]
fn an_ado_net_string_is_sql_servers() {
    let source = |url: &str| with_export("").replace("{type: postgres, url_env: DB}", &format!("{{url: '{url}'}}"));
    for url in [
        "Server=tcp:db.example,1433;Database=d;User ID=u",
        "database=d; data source = h\\INSTANCE;User ID=u",
        "User ID=u;Network Address=h;Application Name=a://b",
    ] {
        assert_eq!(parsed(&source(url)).source.plugin, SourcePlugin::Scheme("mssql".to_owned()), "{url}");
    }
    for url in ["Database=d;User ID=u", "nothing", "Server"] {
        assert!(faults(&source(url)).contains("nor an ADO.NET string"), "{url}");
    }
}

#[test]
fn parameters_are_filled_in_and_environment_and_secrets_stay_references() {
    let text = with_export("").replace(
        "{type: postgres, url_env: DB}",
        "{type: p, host: 'h-${SINCE}', user: '${PW}', password: '${SINCE}', schema: '$${x}'}",
    );
    let block = parsed(&text).source.block;
    let expected = json!({"host": "h-2026-01-01", "user": "${PW}", "password": "${SINCE}", "schema": "$${x}"});
    assert_eq!(block.options, expected);
    assert_eq!(block.inline_secret(), None);
    let text = with_export("").replace("url_env: DB", "host: h, tls: {key: 1}, password: literal");
    let block = parsed(&text).source.block;
    assert_eq!(block.inline_secret().as_deref(), Some("source.password"));
    assert!(!format!("{block:?}").contains("literal"));
}

#[test]
fn values_of_variables_and_files_appear_in_no_fault() {
    for text in ["columns: {x: '${WORD}'}", "rename: {x: y}\nchunk_by: ${WORD}", "max_file_size: ${WORD}"] {
        assert!(export_faults(text).contains("${WORD}"));
    }
    let table = with_export("").replace("table: t", "table: a.b.${WORD}");
    assert!(faults(&table).contains("`a.b.${WORD}` has more parts"));
    assert!(faults(&with_export("").replace("table: t", "table_env: BAD")).contains("`***` is not a table's name"));
}

fn server_schema() -> serde_json::Value {
    serde_json::to_value(rivet_sdk::schemars::schema_for!(rivet_sdk::options::ServerOptions)).unwrap()
}

#[test]
fn a_plugins_options_are_checked_against_its_schema_with_their_places() {
    let text = with_export("").replace(
        "{type: postgres, url_env: DB}",
        "{type: p, hots: h, port: many, password: 12345, user_env: U, tls: {mode: verify-ful, ca_file: c, xx: 1}, database: '${PW}'}",
    );
    let schema = server_schema();
    let faults = Diagnostics::new(Path::new("f"), parsed(&text).source.block.validate(&schema)).to_string();
    assert!(!faults.contains("12345"));
    assert_eq!(
        faults,
        "f:1:19: source.hots: unknown key\n  hint: did you mean host?\n\
         f:1:34: source.port: expected a whole number, found text\n\
         f:1:50: source.password: expected text, found a whole number\n  hint: put it in quotes\n\
         f:1:82: source.tls.mode: must be one of disable, prefer, require, verify-ca, verify-full\n  hint: did you mean verify-full?\n\
         f:1:106: source.tls.xx: unknown key\n  hint: the plugin's options are mode, ca_file, client_cert_file, client_key_file, accept_invalid_certs, accept_invalid_hostnames"
    );
    let text = with_export("").replace("{type: postgres, url_env: DB}", "{type: p, enviroment: local}");
    let faults = Diagnostics::new(Path::new("f"), parsed(&text).source.block.validate(&schema)).to_string();
    assert_eq!(faults, "f:1:19: source.enviroment: unknown key\n  hint: did you mean environment?");
    let mut options = json!({"host": "h"});
    let require = |environment, options: &mut serde_json::Value| {
        plugin_options::require_tls(&schema, Some(environment), options, |tls| Ok(tls.clone()))
    };
    require(Environment::Local, &mut options).unwrap();
    assert_eq!(options, json!({"host": "h"}));
    require(Environment::Production, &mut options).unwrap();
    assert_eq!(options, json!({"host": "h", "tls": {"mode": "require"}}));
    for mode in ["disable", "prefer"] {
        let mut weak = json!({"tls": {"mode": mode}});
        let error = require(Environment::Production, &mut weak).unwrap_err();
        assert!(error.message().contains(mode) && error.hint().is_some());
        require(Environment::Replica, &mut weak).unwrap();
    }
    for mut strong in [json!({"tls": {}}), json!({"tls": {"mode": "verify-ca"}})] {
        let before = strong.clone();
        require(Environment::Production, &mut strong).unwrap();
        assert_eq!(strong, before);
    }
    assert!(plugin_options::is_exact_key(&schema, "tls.ca_file"));
    assert!(!plugin_options::is_exact_key(&schema, "password_file"));
    let mut options = json!({"port": "5432", "password": "5432", "tls": {"accept_invalid_certs": "true"}});
    plugin_options::coerce(&schema, &mut options);
    assert_eq!(options, json!({"port": 5432, "password": "5432", "tls": {"accept_invalid_certs": true}}));
}

#[test]
fn the_schema_document_knows_every_key_and_the_plugins_options() {
    let plugin = schema::PluginSchema { name: "p".to_owned(), role: schema::Role::Source, schema: server_schema() };
    let document = schema::document(&[plugin]);
    for (pointer, found) in [
        ("/$defs/exports/properties/chunk_size", true),
        ("/$defs/exports_parquet/properties/dictionary", true),
        ("/$defs/source/allOf/0/then/properties/password_env", true),
        ("/$defs/source/allOf/0/then/properties/tuning", true),
        ("/properties/nope", false),
    ] {
        assert_eq!(document.pointer(pointer).is_some(), found, "{pointer}");
    }
}

#[test]
fn tables_are_named_with_their_schema_and_quotes_where_needed() {
    let relation = |table: &str| parsed(&with_export("").replace("table: t", table)).exports.remove(0).relation;
    let items = TableName::qualified("public", "Order-Items");
    assert_eq!(relation("table: public.\"Order-Items\""), Relation::Table(items));
    assert_eq!(relation("table: '\"a.b\"'"), Relation::Table(TableName::unqualified("a.b")));
    assert_eq!("[dbo].[My Table]".parse(), Ok(TableName::qualified("dbo", "My Table")));
    assert_eq!("`shop`.`x``y`".parse(), Ok(TableName::qualified("shop", "x`y")));
    assert_eq!("\"a\"\"b\".größe".parse(), Ok(TableName::qualified("a\"b", "größe")));
    for bad in ["", ".", "a.", ".a", "a.b.c", "\"a", "\"\"", "\"a\"b", "a; DROP TABLE b", "a\"b"] {
        assert!(bad.parse::<TableName>().is_err(), "{bad}");
    }
    let text = with_export("").replace("table: t", "table: a.b.c");
    assert!(faults(&text).contains("4:5: exports[0].table: `a.b.c` has more parts than schema and table"));
}

#[test]
fn null_means_left_out_except_where_it_is_a_word() {
    assert_eq!(export("columns:\nmax_file_size: ~").output.max_file_size_bytes, None);
    let text = with_export("csv: {null: NULL}").replace("parquet", "csv");
    assert!(faults(&text).contains("6:17: exports[0].csv.null: expected text, found nothing"));
    assert!(faults(&with_export("").replace("name: a", "name:")).contains("name: this key is required, found nothing"));
}

#[test]
fn state_is_a_file_beside_the_configuration_or_a_postgresql_database() {
    let state = |text: &str| parsed(&format!("{}{text}", with_export(""))).state;
    assert_eq!(state("state: {path: x.db}"), StateConfig::Sqlite(vars().base_dir().join("x.db")));
    assert!(matches!(state("state: {url_env: DB}"), StateConfig::Postgres(_)));
    assert!(faults(&format!("{}state: {{url_env: PW}}", with_export(""))).contains("state is kept in PostgreSQL"));
}

#[test]
fn a_query_file_starts_at_the_configurations_folder_and_keeps_its_text() {
    let text = with_export("").replace("table: t", "query_file: customers.sql");
    let relation = parsed(&text).exports.remove(0).relation;
    assert_eq!(relation, Relation::Query("SELECT id, name FROM customers; -- all of them\n".to_owned()));
    assert!(faults(&text.replace("customers", "nope")).contains("cannot be read: entity not found"));
}
