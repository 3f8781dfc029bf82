//! `rivet man`: a manual page a command, from the same definitions as the help and `docs/reference`.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};
use rivet_sdk::{Error, ErrorKind};
use roff::{Inline, Roff, bold, roman};

use super::arguments::{Arguments, ManArguments};
use super::described::{Described, about, described};
use super::environment::{FILES, VARIABLES};
use super::exit::{self, Outcome};

/// The pages' section of the manual: user commands.
const SECTION: &str = "1";

pub fn man(arguments: &ManArguments) -> Outcome {
    let folder = &arguments.folder;
    let mut root = Arguments::command().disable_help_subcommand(true);
    root.build();
    let written = fs::create_dir_all(folder).and_then(|()| write_pages(&root, None, folder));
    Ok(written.map_err(|error| Error::new(ErrorKind::Other, format!("{}: {error}", folder.display())))?)
}

/// The command's page and those of all below it, but for hidden ones.
fn write_pages(command: &Command, above: Option<&Command>, folder: &Path) -> io::Result<()> {
    fs::write(folder.join(format!("{}.{SECTION}", name(command))), page(command, above))?;
    below(command).try_for_each(|inner| write_pages(inner, Some(command), folder))
}

fn below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

/// `rivet-plugin-verify`: a page is found by this name.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command, above: Option<&Command>) -> Vec<u8> {
    let mut page = Roff::new();
    let version = concat!("rivet ", env!("CARGO_PKG_VERSION"));
    // Without a date: a blank, for an empty one would shift those behind it.
    page.control("TH", [name(command), SECTION, " ", version, "rivet manual"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{} - {}", name(command), about(command)))]);
    page.control("SH", ["SYNOPSIS"]);
    let usage = command.clone().render_usage().to_string();
    for (index, form) in usage.trim_start_matches("Usage: ").lines().enumerate() {
        if index > 0 {
            page.control("br", []);
        }
        page.text([bold(form.trim_start())]);
    }
    let (general, own): (Vec<&Arg>, Vec<&Arg>) = command.get_arguments().partition(|one| one.is_global_set());
    let arguments = |of: Vec<&Arg>| -> Vec<(String, String)> { described(of.into_iter()).map(entry).collect() };
    let commands = below(command).map(|inner| (format!("{}({SECTION})", name(inner)), about(inner)));
    list(&mut page, "COMMANDS", commands);
    list(&mut page, "OPTIONS", arguments(own));
    list(&mut page, "OPTIONS OF EVERY COMMAND", arguments(general));
    list(&mut page, "EXIT STATUS", exit::codes().map(|(code, meaning)| (code.to_string(), meaning)));
    list(&mut page, "ENVIRONMENT", VARIABLES);
    list(&mut page, "FILES", FILES);
    let near: Vec<&str> = above.into_iter().chain(below(command)).map(name).collect();
    page.control("SH", ["SEE ALSO"]);
    page.text(names(&near));
    page.render().into_bytes()
}

fn entry(argument: Described) -> (String, String) {
    let default = match argument.default {
        None => String::new(),
        Some(default) if default == "required" => format!(" ({default})"),
        Some(default) => format!(" (default: {default})"),
    };
    (argument.names.join(", "), format!("{}{default}.", argument.meaning))
}

/// A section of words and what each of them means, if there are any.
fn list<W: Into<String>, M: AsRef<str>>(page: &mut Roff, heading: &str, entries: impl IntoIterator<Item = (W, M)>) {
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_some() {
        page.control("SH", [heading]);
    }
    for (word, meaning) in entries {
        page.control("TP", []);
        page.text([bold(word)]);
        // Marks of the reference's pages.
        page.text([roman(meaning.as_ref().replace('`', ""))]);
    }
}

/// `rivet(1), rivet-plugin(1)`.
fn names(of: &[&str]) -> Vec<Inline> {
    let one = |(index, name): (usize, &&str)| {
        let comma = if index == 0 { "" } else { ", " };
        [roman(comma), bold(*name), roman(format!("({SECTION})"))]
    };
    of.iter().enumerate().flat_map(one).collect()
}
