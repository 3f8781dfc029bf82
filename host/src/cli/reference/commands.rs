//! `docs/reference/cli.md`, made from the definitions of the command line.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use crate::cli::arguments::Arguments;

const INTRODUCTION: &str = "\
# Commands

<!-- Generated from host/src/cli/arguments: RIVET_BLESS=1 cargo test -p rivet reference -->

Data goes to stdout, everything else to stderr. `rivet COMMAND --help` says the same as this page. \
What the exit codes mean stands in [errors.md](errors.md).
";

fn page() -> String {
    let mut root = Arguments::command();
    root.build();
    let mut out = INTRODUCTION.to_owned();
    out.push_str("\n| command | does |\n|---|---|\n");
    for command in leaves(&root, "") {
        let anchor = command.name.replace(' ', "-");
        let _ = writeln!(out, "| [`{}`](#{anchor}) | {} |", command.name, about(command.command));
    }
    out.push_str("\n## Flags of every command\n\n");
    out.push_str(&table(root.get_arguments().filter(|argument| argument.is_global_set())));
    for Leaf { name, command } in leaves(&root, "") {
        let _ = write!(out, "\n## {name}\n\n{}.\n\n", about(command));
        let usage = command.clone().render_usage().to_string();
        let _ = writeln!(out, "```\n{}\n```", usage.trim_start_matches("Usage: "));
        let own: Vec<&Arg> = command.get_arguments().filter(|argument| !argument.is_global_set()).collect();
        let rows = table(own.into_iter());
        if !rows.is_empty() {
            let _ = write!(out, "\n{rows}");
        }
    }
    out
}

/// A command that does something, with its full name.
struct Leaf<'a> {
    name: String,
    command: &'a Command,
}

fn leaves<'a>(of: &'a Command, parent: &str) -> Vec<Leaf<'a>> {
    let inner = of.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    inner
        .flat_map(|command| {
            let name = format!("{parent} {}", command.get_name()).trim_start().to_owned();
            match command.has_subcommands() {
                true => leaves(command, &name),
                false => vec![Leaf { name, command }],
            }
        })
        .collect()
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn table<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let shown = |argument: &&Arg| !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str());
    let rows: String = arguments.filter(shown).map(row).collect();
    if rows.is_empty() { rows } else { format!("| flag | default | meaning |\n|---|---|---|\n{rows}") }
}

fn row(argument: &Arg) -> String {
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let value = match argument.get_value_names() {
        Some([name, ..]) if takes_value && argument.is_require_equals_set() => format!("[={name}]"),
        Some([name, ..]) if takes_value => format!(" {name}"),
        _ => String::new(),
    };
    let names = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}{value}`"),
        (None, Some(long)) => format!("`--{long}{value}`"),
        (Some(short), None) => format!("`-{short}{value}`"),
        (None, None) => format!("`{}`", value.trim_start()),
    };
    let aliases: String =
        argument.get_visible_aliases().into_iter().flatten().map(|alias| format!(", `--{alias}`")).collect();
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default = match takes_value {
        true if argument.is_required_set() => "required".to_owned(),
        true => defaults.join(", "),
        false => String::new(),
    };
    let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let words: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !words.is_empty() {
        let _ = write!(help, ": {}", words.join(", "));
    }
    format!("| {names}{aliases} | {default} | {}. |\n", help.replace('|', "\\|"))
}

#[test]
fn the_page_of_commands_is_fresh() {
    super::assert_fresh("cli.md", &page());
}

#[test]
fn the_definitions_are_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn every_flag_and_command_says_what_it_is() {
    let mut root = Arguments::command();
    root.build();
    for Leaf { name, command } in leaves(&root, "") {
        assert!(command.get_about().is_some(), "{name}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name} {}", argument.get_id());
        }
    }
}
