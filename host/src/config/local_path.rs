//! Paths of this machine's files as people write them.

use super::variables::Variables;

/// The path that `text` means: `~/x` is in the user's home, `file:///x` is `/x`. What a shell or another program would
/// make something else of is refused: the error is a message and a hint.
pub(super) fn local_path(text: &str, variables: &Variables) -> Result<String, (String, String)> {
    let as_name = |name: &str| format!("write ./{name} for a file or folder of that name");
    if let Some(rest) = text.strip_prefix('~') {
        if !rest.is_empty() && !rest.starts_with('/') {
            let hint = format!("write the path of that home; or {}", as_name(text));
            return Err((format!("`{text}` names another user's home, which is not looked up"), hint));
        }
        let home = variables.environment("HOME").filter(|home| home.starts_with('/')).ok_or_else(|| {
            ("`~` is the user's home, and HOME is not set".to_owned(), "write an absolute path".to_owned())
        })?;
        return Ok(format!("{}{rest}", home.trim_end_matches('/')));
    }
    let after_dollar =
        text.strip_prefix('$').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
    if let Some(rest) = after_dollar {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let hint = format!("write ${{{name}}}{rest}; or {}", as_name(text));
        return Err((format!("`${name}` is not expanded"), hint));
    }
    let Some((scheme, rest)) = text.split_once(':').filter(|(scheme, rest)| is_scheme(scheme) && rest.starts_with('/'))
    else {
        return Ok(text.to_owned());
    };
    if !scheme.eq_ignore_ascii_case("file") {
        let hint =
            format!("a store has a type of its own (s3, gcs, azure) with `bucket` and `prefix`; or {}", as_name(text));
        return Err((format!("`{text}` is a URL, not a path"), hint));
    }
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => rest.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(rest),
    };
    let refuse = |why: &str| {
        let hint = "write file:///folder, or the path itself".to_owned();
        Err((format!("`{text}` {why}"), hint))
    };
    if !path.starts_with('/') {
        return refuse("names another machine");
    }
    if path.contains(['?', '#']) {
        return refuse("has a query or a fragment, which a path has not");
    }
    match rivet_sdk::options::percent_decoded("path", path) {
        Ok(path) => Ok(path),
        Err(_) => refuse("is not UTF-8"),
    }
}

/// Of two letters or more: one is a drive of Windows, and a folder here.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<String, (String, String)> {
        let variables =
            Variables::new(std::collections::BTreeMap::new(), ".").with_environment([("HOME", "/home/me/")]);
        local_path(text, &variables)
    }

    #[test]
    fn paths_mean_what_people_mean() {
        for (text, means) in [
            ("out", "out"),
            ("./~", "./~"),
            ("a$b/c:d", "a$b/c:d"),
            ("$1", "$1"),
            ("c:/data", "c:/data"),
            ("a:b/c", "a:b/c"),
            ("~", "/home/me"),
            ("~/x/{date}", "/home/me/x/{date}"),
            ("file:///x/y%20z", "/x/y z"),
            ("file:/x", "/x"),
            ("FILE://localhost/x", "/x"),
        ] {
            assert_eq!(path(text).as_deref(), Ok(means), "{text}");
        }
    }

    #[test]
    fn what_would_make_a_folder_of_a_strange_name_is_refused() {
        for (text, message, hint) in [
            ("~you/x", "another user's home", "./~you/x"),
            ("$HOME/x", "`$HOME` is not expanded", "${HOME}/x"),
            ("file://host/x", "names another machine", "file:///folder"),
            ("file:///x?y", "a query", "file:///folder"),
            ("s3://bucket/x", "is a URL", "`bucket`"),
        ] {
            let fault = path(text).unwrap_err();
            assert!(fault.0.contains(message) && fault.1.contains(hint), "{text}: {fault:?}");
        }
        let unset = Variables::new(std::collections::BTreeMap::new(), ".").with_environment([("A", "b")]);
        assert!(local_path("~/x", &unset).unwrap_err().0.contains("HOME is not set"));
    }
}
