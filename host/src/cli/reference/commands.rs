//! `docs/reference/cli.md`, made from the definitions of the command line.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::arguments::Arguments;
use crate::cli::described::{Described, about, described};
use crate::cli::environment::{FILES, VARIABLES};

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
    out.push_str("\n## Environment\n\n| variable | meaning |\n|---|---|\n");
    VARIABLES.iter().for_each(|(name, meaning)| out.push_str(&format!("| `{name}` | {meaning} |\n")));
    out.push_str("\n## Files\n\n| file | meaning |\n|---|---|\n");
    FILES.iter().for_each(|(name, meaning)| out.push_str(&format!("| `{name}` | {meaning} |\n")));
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

fn table<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let rows: String = described(arguments).map(row).collect();
    if rows.is_empty() { rows } else { format!("| flag | default | meaning |\n|---|---|---|\n{rows}") }
}

fn row(argument: Described) -> String {
    let names: Vec<String> = argument.names.iter().map(|name| format!("`{name}`")).collect();
    let (default, meaning) = (argument.default.unwrap_or_default(), argument.meaning.replace('|', "\\|"));
    format!("| {} | {default} | {meaning}. |\n", names.join(", "))
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
