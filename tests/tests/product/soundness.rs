//! What a plugin in another language, or an older one, can hand over: each is told as the plugin's fault, by its
//! name and what is wrong, or done without. None is taken for a defect of rivet.

use rivet_tests::rivet::{self, Output, Project};

const CONFIG: &str = "
source:
  type: hostile
  rows: 1000
  tuning: {max_retries: 0, retry_backoff_ms: 10, adaptive: true}
exports:
  - name: numbers
    table: numbers
    mode: chunked
    chunk_column: id
    chunk_size: 100
    parallel: 2
    format: csv
    destination: {type: local, path: '{out}'}
";

fn project() -> Project {
    let project = rivet::project();
    project.config(CONFIG);
    project
}

/// Fails by the plugin's fault, with these words.
#[track_caller]
fn is_the_plugins_fault(order: &str, told: &str) -> Output {
    for trust in [&[][..], &["--untrusted-plugins"]] {
        let project = project();
        let output = project.rivet("run").args(trust).env("RIVET_HOSTILE", order).fails(1);
        output.says(&[told, "plugin hostile", "hint: this is a defect of the plugin; report it to its author"]);
        output.never_says("defect of rivet").never_says("panicked");
        assert!(!project.path("out/_SUCCESS").exists(), "{output}");
    }
    let project = project();
    project.rivet("run").env("RIVET_HOSTILE", order).fails(1)
}

#[test]
fn a_malformed_schema_is_told_by_its_column() {
    for (order, told) in [
        ("schema-null", "the plugin sent no schema"),
        ("schema-released", "the plugin sent a schema that is released already"),
        ("schema-without-format", "sent a malformed schema: column 2 `word`: it has no format"),
        ("schema-format-not-utf8", "sent a malformed schema: column 2 `word`: its format is not UTF-8"),
        ("schema-name-not-utf8", "sent a malformed schema: column 2: its name is not UTF-8"),
        ("schema-format-unknown", "sent a malformed schema: "),
        ("schema-list-of-nothing", "column 2 `word`: its format `+l` needs 1 columns below it, it has 0"),
        ("schema-column-missing", "sent a malformed schema: column 2 is missing"),
        ("schema-columns-nowhere", "sent a malformed schema: its 2 columns are nowhere"),
        ("schema-of-a-circle", "it is nested too deep"),
    ] {
        is_the_plugins_fault(order, told);
    }
}

#[test]
fn a_malformed_type_is_told_before_anything_is_read() {
    let output = is_the_plugins_fault("malformed-type", "the plugin told a malformed type: column `id`");
    output.says(&["its format `+l` needs 1 columns below it"]);
}

#[test]
fn a_text_that_is_not_utf8_is_refused_or_shown_as_far_as_it_goes() {
    is_the_plugins_fault("answer-not-utf8", "the plugin answered `identity` with what cannot be read");
    is_the_plugins_fault("error-not-utf8", "the plugin failed with a text that is not UTF-8");
    let project = project();
    let output = project.rivet("run").env("RIVET_HOSTILE", "log-not-utf8").ok();
    output.says(&["hostile: \u{fffd}\u{fffd} is no text"]);
}

/// The hostile plugin's descriptor has (NULL, 0) for two of its texts.
#[test]
fn a_text_of_nothing_at_no_place_is_empty() {
    project().rivet("run").ok();
}

#[test]
fn what_a_plugin_does_not_know_is_done_without_where_it_can_be() {
    for forgotten in ["clock", "snapshot", "pressure", "release", "snapshot,release,pressure,clock"] {
        let project = project();
        let output = project.rivet("run").env("RIVET_HOSTILE_FORGETS", forgotten).ok();
        assert!(project.path("out/_SUCCESS").exists(), "{forgotten}: {output}");
    }
}

#[test]
fn what_a_plugin_does_not_know_and_cannot_be_done_without_is_refused() {
    for (forgotten, config) in [
        ("snapshot", CONFIG.replace("    format: csv", "    consistency: snapshot\n    format: csv")),
        ("split", CONFIG.to_owned()),
        ("type_mappings", CONFIG.to_owned()),
        ("describe", CONFIG.to_owned()),
    ] {
        let project = rivet::project();
        project.config(&config);
        let output = project.rivet("run").env("RIVET_HOSTILE_FORGETS", forgotten).run();
        assert!(output.code.is_some_and(|code| [1, 2].contains(&code)), "{forgotten}: {output}");
        output.says(&["error: ", "hint: "]).never_says("defect of rivet");
        if forgotten != "snapshot" {
            output.says(&[&format!("does not know `{forgotten}`"), "plugin hostile"]);
        }
        assert!(!project.path("out/_SUCCESS").exists(), "{output}");
    }
}
