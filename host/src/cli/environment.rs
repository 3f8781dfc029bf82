//! What commands look at beside their arguments, as the manual and the reference list it.

/// Variables of the environment, and what each of them does.
pub const VARIABLES: [(&str, &str); 6] = [
    ("RIVET_PLUGIN_PATH", "Folders that are searched for plugins, with a colon between two."),
    ("RIVET_STATE_URL", "The state store, where a configuration has no `state` or there is none: a PostgreSQL URL."),
    (
        "JOB_COMPLETION_INDEX",
        "The chunk of `rivet apply --chunk` without a value; Kubernetes sets it in an indexed job.",
    ),
    ("NO_COLOR", "Set and not empty: no colour, unless `--color always`."),
    ("TERM", "`dumb` or not set: no bars but lines, as where there is no terminal."),
    ("XDG_DATA_HOME", "Where the user's folder of plugins lies, `~/.local/share` if absent."),
];

/// Files that are looked for without being named.
pub const FILES: [(&str, &str); 5] = [
    ("rivet.yaml", "The configuration, without `--config`."),
    ("rivet.lock", "The plugins' versions and hashes, beside the configuration, for `--locked`."),
    (
        ".rivet_state.db",
        "The state, beside the configuration, unless `state` or `RIVET_STATE_URL` names another store.",
    ),
    ("~/.local/share/rivet/plugins", "The user's plugins."),
    (
        "../lib/rivet/plugins",
        "The plugins of the package that the program came with, beside the folder that it lies in.",
    ),
];
