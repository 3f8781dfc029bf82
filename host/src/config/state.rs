//! `state`: where watermarks, schemas and the history of runs are kept.

use std::path::PathBuf;

use rivet_sdk::Secret;

use super::diagnostic::Diagnostic;
use super::fields::Fields;
use super::local_path::local_path;
use super::variables::Variables;

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateConfig {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgres(Secret),
}

/// Reads `state`; without it `RIVET_STATE_URL`, else a file beside the configuration.
pub(super) fn read(root: &Fields, variables: &Variables, faults: &mut Vec<Diagnostic>) -> StateConfig {
    let beside = |path: &str| StateConfig::Sqlite(variables.base_dir().join(path));
    if let Some(state) = root.fields("state") {
        if state.has("path") && state.has("url") {
            faults.push(state.fault("url", "`path` and `url` are both given").with_hint("keep one of them"));
        }
        if let Some(url) = state.text("url") {
            if !is_postgres(url) {
                let fault = state.fault("url", "state is kept in PostgreSQL or in a file");
                faults.push(fault.with_hint("write postgresql://…, or path: FILE"));
            }
            return StateConfig::Postgres(Secret::new(url));
        }
        if let Some(path) = state.text("path") {
            return beside(&local_path(path, variables).unwrap_or_else(|(message, hint)| {
                faults.push(state.fault("path", message).with_hint(hint));
                path.to_owned()
            }));
        }
    }
    match in_environment(variables) {
        None => beside(".rivet_state.db"),
        Some(Ok(state)) => state,
        Some(Err((what, hint))) => {
            faults.push(root.fault("state", what).with_hint(hint));
            beside(".rivet_state.db")
        }
    }
}

/// What `RIVET_STATE_URL` says: all that is known of the state where there is no configuration.
/// The fault is what is wrong, and the hint.
pub fn in_environment(variables: &Variables) -> Option<Result<StateConfig, (&'static str, &'static str)>> {
    let url = variables.environment("RIVET_STATE_URL")?;
    Some(if is_postgres(&url) {
        Ok(StateConfig::Postgres(Secret::new(url)))
    } else {
        Err(("RIVET_STATE_URL is not a PostgreSQL URL", "write postgresql://…, or unset it"))
    })
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
