//! `rivet plugin list`: every candidate, used or not, and why not.

use rivet_loader::Candidate;
use serde_json::{Value, json};

use super::super::arguments::{Global, PluginListArguments};
use super::super::exit::Outcome;
use super::super::print;
use super::super::table::{self, or_dash};
use crate::source::Plugins;

pub fn list(arguments: &PluginListArguments, plugins: &Plugins, global: &Global) -> Outcome {
    let search = plugins.search();
    let candidates = plugins.list()?;
    if arguments.json {
        let folders: Vec<Value> =
            search.folders().iter().map(|folder| json!({ "path": folder.path, "origin": folder.origin })).collect();
        let plugins: Vec<Value> = candidates.iter().map(to_json).collect::<rivet_sdk::Result<_>>()?;
        print::json(&json!({ "plugins": plugins, "searched": folders }))?;
        return Ok(());
    }
    if global.verbose > 0 {
        print::note(&format!("searched, in this order:\n{}", search.trace().trim_end()));
    }
    if candidates.is_empty() {
        print::note("no plugins found");
        print::note("hint: give --plugin-dir DIR or set RIVET_PLUGIN_PATH; -v shows where was searched");
        return Ok(());
    }
    Ok(print::out(&to_text(&candidates))?)
}

fn status(candidate: &Candidate) -> &'static str {
    match (&candidate.inspected, candidate.wins) {
        (Err(_), _) => "refused",
        (Ok(_), true) => "used",
        (Ok(_), false) => "shadowed",
    }
}

fn to_json(candidate: &Candidate) -> rivet_sdk::Result<Value> {
    let inspected = candidate.inspected.as_ref().ok();
    let error = candidate.inspected.as_ref().err();
    Ok(json!({
        "name": candidate.name,
        "status": status(candidate),
        "path": candidate.path,
        "origin": candidate.origin,
        "version": inspected.map(|plugin| &plugin.manifest.version),
        "kinds": inspected.map(|plugin| &plugin.manifest.kinds),
        "schemes": inspected.map(|plugin| &plugin.manifest.schemes),
        "abi": inspected.map(|plugin| format!("{}.{}", plugin.abi.0, plugin.abi.1)),
        "sdk": inspected.map(|plugin| plugin.manifest.sdk_version()),
        "lacks": inspected.map(|plugin| plugin.manifest.lacks()),
        "sha256": inspected.map(rivet_loader::Inspected::sha256).transpose()?,
        "reason": error.map(|error| error.to_string()),
        "hint": error.and_then(|error| error.hint()),
    }))
}

fn to_text(candidates: &[Candidate]) -> String {
    let rows: Vec<[String; 9]> = candidates
        .iter()
        .map(|candidate| {
            let plugin = candidate.inspected.as_ref().ok();
            let word = |text: Option<String>| or_dash(text.unwrap_or_default());
            [
                candidate.name.clone(),
                word(plugin.map(|plugin| plugin.manifest.version.clone())),
                word(plugin.map(|plugin| plugin.manifest.kinds.join(", "))),
                word(plugin.map(|plugin| plugin.manifest.schemes.join(", "))),
                word(plugin.map(|plugin| format!("{}.{}", plugin.abi.0, plugin.abi.1))),
                word(plugin.map(|plugin| plugin.manifest.sdk_version().to_owned())),
                status(candidate).to_owned(),
                candidate.origin.to_owned(),
                candidate.path.display().to_string(),
            ]
        })
        .collect();
    let head = ["name", "version", "kinds", "schemes", "abi", "sdk", "status", "from", "path"];
    let mut out = table::render("", head, &rows);
    let lacking = candidates.iter().filter(|candidate| candidate.wins).filter_map(|candidate| {
        let lacks = candidate.inspected.as_ref().ok()?.manifest.lacks();
        (!lacks.is_empty()).then(|| format!("{} lacks: {}\n", candidate.name, lacks.join(", ")))
    });
    let lacking: String = lacking.collect();
    if !lacking.is_empty() {
        out.push_str(&format!("\n{lacking}"));
    }
    for candidate in candidates {
        if let Err(error) = &candidate.inspected {
            out.push_str(&format!("\n{}: refused: {error}\n", candidate.name));
            if let Some(hint) = error.hint() {
                out.push_str(&format!("hint: {hint}\n"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_sdk::Error;

    #[test]
    fn a_refused_plugin_says_why() {
        let candidate = Candidate {
            name: "odd".into(),
            path: "/p/librivet_plugin_odd.so".into(),
            origin: "--plugin-dir",
            wins: true,
            inspected: Err(Error::config("not a shared library").with_hint("install it again")),
        };
        let text = to_text(&[candidate]);
        assert!(text.contains("odd   -        -      -        -    -    refused  --plugin-dir  /p/"), "{text}");
        assert!(text.ends_with("\nodd: refused: not a shared library\nhint: install it again\n"), "{text}");
    }
}
