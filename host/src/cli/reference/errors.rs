//! `docs/reference/errors.md`: every kind of error, its exit code, whether it is retried, and what to do.

use rivet_sdk::{Error, ErrorKind};

use crate::cli::exit::{self, code_of};

fn page() -> String {
    let mut out = String::from(INTRODUCTION);
    for (code, meaning) in exit::codes() {
        out.push_str(&format!("| {code} | {meaning} |\n"));
    }
    out.push_str(KINDS);
    for kind in kinds() {
        let error = Error::new(kind, "");
        let retry = if error.is_transient() { "retried" } else { "no" };
        out.push_str(&format!(
            "| `{kind}` | {} | {} | {retry} | {} | {} |\n",
            kind.code(),
            code_of(&error),
            meaning(kind),
            remedy(kind)
        ));
    }
    out.push_str(CODES);
    for (code, meaning) in codes() {
        let exit = code_of(&Error::new(ErrorKind::Conflict, "").with_code(code));
        out.push_str(&format!("| `{code}` | {exit} | {meaning} |\n"));
    }
    out
}

const INTRODUCTION: &str = "\
# Errors and exit codes

<!-- Generated from host/src/cli/exit.rs: RIVET_BLESS=1 cargo test -p rivet reference -->

An error says what failed, where (export, chunk, table, column, object), and on a line that begins with `hint:` \
what to do about it. With `--json-errors` it is one JSON object a line: `error`, `kind`, `code`, `causes`, `context`, \
`hint`, `exit`.

Where several exports fail, the exit code is the first of 3, 4, 2, 1, 75, 5 that one of them ended with.

| exit code | meaning |
|---|---|
";

const KINDS: &str = "
## Kinds

The kind says whose fault an error is. A retried error ends the attempt, not the export: the chunk is tried again, \
`max_retries` times, with growing pauses. Planning begins again \
in the same way once the source was reached; a source that was never reached is an error at once. A plugin may say otherwise for a single error: its word counts.

| kind | number | exit code | retry | meaning | what to do |
|---|---|---|---|---|---|
";

const CODES: &str = "
## Codes

Some errors carry a code of rivet's own, which decides the exit code before the kind does. Other codes in \
brackets only name the case: a word of rivet's, or the server's SQLSTATE, error number or HTTP status.

| code | exit code | meaning |
|---|---|---|
";

fn codes() -> [(&'static str, &'static str); 3] {
    [
        ("schema_drift", "A column, a type or the database itself is not the plan's."),
        (rivet_sdk::SNAPSHOT_LOST, "The connection that held the read point of all chunks is gone."),
        ("busy", "Another run of the export is going on; `--lock-wait` waits for it."),
    ]
}

/// Every kind that this version knows, by its number.
fn kinds() -> impl Iterator<Item = ErrorKind> {
    (0..).map(ErrorKind::from_code).take_while(|kind| !matches!(kind, ErrorKind::Unknown(_)))
}

/// The same table for programs.
fn document() -> serde_json::Value {
    let kinds = kinds().map(|kind| {
        let error = Error::new(kind, "");
        serde_json::json!({
            "kind": kind.to_string(), "number": kind.code(), "exit": code_of(&error), "retried": error.is_transient(),
            "meaning": meaning(kind), "hint": remedy(kind),
        })
    });
    let codes = codes().map(|(code, meaning)| {
        let exit = code_of(&Error::new(ErrorKind::Conflict, "").with_code(code));
        serde_json::json!({ "code": code, "exit": exit, "meaning": meaning })
    });
    let exits = exit::codes().map(|(code, meaning)| serde_json::json!({ "exit": code, "meaning": meaning }));
    serde_json::json!({ "kinds": kinds.collect::<Vec<_>>(), "codes": codes, "exit_codes": exits })
}

/// What helps in general; an error's own hint knows more.
fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Config => "Correct the key or flag that the error names.",
        ErrorKind::Auth => "Check user, password and how the server wants them; `rivet doctor` tries the login.",
        ErrorKind::Permission => "Grant what the error names, or use another login.",
        ErrorKind::NotFound => "Check the name, upper and lower case included, and that the login may see it.",
        ErrorKind::AlreadyExists => "Choose another name or place, or remove what is there.",
        ErrorKind::InvalidQuery => "Try the query with the database's own client.",
        ErrorKind::UnsupportedType => "Choose another type in `columns`, or `exclude` the column.",
        ErrorKind::Data => "`on_unrepresentable: null`, another type in `columns`, or a corrected value.",
        ErrorKind::Connection => "Check address, network and server; then `rivet run --resume`.",
        ErrorKind::Timeout => "Smaller chunks or a longer limit in `tuning`; then `rivet run --resume`.",
        ErrorKind::Throttled | ErrorKind::Transient => "Try again later: `rivet run --resume`.",
        ErrorKind::Conflict => "See who else writes there, then run again.",
        ErrorKind::ResourceExhausted => "Free or add what is used up, then `rivet run --resume`.",
        ErrorKind::Cancelled => "`rivet run --resume` goes on from there.",
        ErrorKind::Unsupported => "Do without it, or use a plugin or version that offers it.",
        ErrorKind::Integrity => "Find out what changed the files or rows; run the export again.",
        ErrorKind::Internal => "Report it, with what `-vv` prints.",
        ErrorKind::Panic | ErrorKind::Protocol => {
            "Report it to the plugin's author; `rivet plugin verify` tries the plugin."
        }
        _ => "Read the error's causes.",
    }
}

fn meaning(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Other => "None of the others.",
        ErrorKind::Config => "An option or a configured value is wrong.",
        ErrorKind::Auth => "The login was refused.",
        ErrorKind::Permission => "The login was accepted, the operation is not allowed.",
        ErrorKind::NotFound => "A database, table, column, bucket or object does not exist.",
        ErrorKind::AlreadyExists => "Something is there already that must not be.",
        ErrorKind::InvalidQuery => "The server refused the statement's text.",
        ErrorKind::UnsupportedType => "A column's type cannot be exported as asked.",
        ErrorKind::Data => "A value cannot be represented, or is malformed.",
        ErrorKind::Connection => "The connection could not be made, or broke.",
        ErrorKind::Timeout => "A time limit passed.",
        ErrorKind::Throttled => "The server asks to slow down.",
        ErrorKind::Transient => "The server says: try again (deadlock victim, serialization failure, restart).",
        ErrorKind::Conflict => "Another writer got there first.",
        ErrorKind::ResourceExhausted => "Disk, memory, connections or quota are used up.",
        ErrorKind::Cancelled => "The work was stopped before its end.",
        ErrorKind::Unsupported => "The plugin, or this version, does not offer it.",
        ErrorKind::Integrity => "What was read back is not what was written.",
        ErrorKind::Internal => "A defect of rivet or of a plugin: please report it.",
        ErrorKind::Panic => "A plugin panicked; its instance is closed, the process goes on.",
        ErrorKind::Protocol => "A plugin broke the contract: rows against its schema, an answer that cannot be read.",
        _ => "",
    }
}

#[test]
fn the_page_of_errors_is_fresh() {
    super::assert_fresh("errors.md", &page());
    let text = serde_json::to_string_pretty(&document()).unwrap();
    super::assert_fresh("schemas/errors.json", &format!("{text}\n"));
}

#[test]
fn every_kind_has_a_meaning() {
    assert!(kinds().count() >= 21);
    for kind in kinds() {
        assert!(!meaning(kind).is_empty(), "{kind}");
    }
}
