//! Arguments as the manual and the reference describe them.

use clap::{Arg, ArgAction, Command};

/// What there is to say of one argument.
pub struct Described {
    /// `-c`, `--config FILE`: every name that it may be given by.
    pub names: Vec<String>,
    /// What holds where it is absent; `required` where it may not be. None: it takes no value, or has no default.
    pub default: Option<String>,
    /// The help, and the words that it takes, without a full stop.
    pub meaning: String,
}

/// Those of the arguments that are shown, but for `--help` and `--version`.
pub fn described<'a>(arguments: impl Iterator<Item = &'a Arg>) -> impl Iterator<Item = Described> {
    let is_shown =
        |argument: &&Arg| !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str());
    arguments.filter(is_shown).map(describe)
}

pub fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn describe(argument: &Arg) -> Described {
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let value = match argument.get_value_names() {
        Some([name, ..]) if takes_value && argument.is_require_equals_set() => format!("[={name}]"),
        Some([name, ..]) if takes_value => format!(" {name}"),
        _ => String::new(),
    };
    let aliases = argument.get_visible_aliases().into_iter().flatten().map(|alias| format!("--{alias}"));
    let names: Vec<String> = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => vec![format!("-{short}"), format!("--{long}{value}")],
        (None, Some(long)) => vec![format!("--{long}{value}")],
        (Some(short), None) => vec![format!("-{short}{value}")],
        (None, None) => vec![value.trim_start().to_owned()],
    };
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default = match takes_value {
        true if argument.is_required_set() => Some("required".to_owned()),
        true if !defaults.is_empty() => Some(defaults.join(", ")),
        _ => None,
    };
    let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let words: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !words.is_empty() {
        meaning.push_str(": ");
        meaning.push_str(&words.join(", "));
    }
    Described { names: names.into_iter().chain(aliases).collect(), default, meaning }
}
