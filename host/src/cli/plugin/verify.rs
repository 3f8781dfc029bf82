//! `rivet plugin verify`: every step from the file to an instance, each `[OK]` or `[FAIL]`.

use std::path::PathBuf;

use rivet_loader::{Inspected, Plugin, Settings, Step, inspect_steps};
use rivet_sdk::{Context, Error, ErrorKind, Result};
use serde_json::json;

use super::super::arguments::PluginVerifyArguments;
use super::super::exit::{Failed, Outcome};
use super::super::print;
use crate::source::{Plugins, forward};

pub fn verify(arguments: &PluginVerifyArguments, plugins: &Plugins) -> Outcome {
    let path = if arguments.name.contains('/') {
        PathBuf::from(&arguments.name)
    } else {
        plugins.search().locate(&arguments.name)?.0
    };
    print::line(&path.display().to_string())?;
    let mut passed = Vec::new();
    let loaded = load(&path, &mut passed);
    for step in Step::ALL.into_iter().filter(|step| passed.contains(step)) {
        ok(step.what())?;
    }
    let (inspected, plugin) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let failed = Step::ALL.into_iter().find(|step| !passed.contains(step)).unwrap_or(Step::Init);
            return fail(failed.what(), error);
        }
    };
    // The file's name counts only where it is found by it.
    if !arguments.name.contains('/') && inspected.manifest.name != arguments.name {
        let error = Error::config(format!("the plugin in the file calls itself `{}`", inspected.manifest.name))
            .with_hint(format!("rename it to librivet_plugin_{}.so", inspected.manifest.name));
        return fail("name", error);
    }
    for (role, schema) in
        [("source", &inspected.manifest.options.source), ("destination", &inspected.manifest.options.destination)]
    {
        let named = inspected.manifest.kinds.iter().any(|kind| kind == role);
        let object = schema.as_ref().is_some_and(|schema| schema.get("properties").is_some_and(|all| all.is_object()));
        match (named, schema) {
            (true, Some(_)) if object => ok(&format!("options of the {role}"))?,
            (true, Some(schema)) if schema.is_object() => {
                ok(&format!("the {role} names no options, so the host cannot check them"))?
            }
            (false, None) => {}
            _ => {
                let error = Error::protocol(format!("its manifest is at odds about being a {role}"))
                    .with_hint("a kind comes with a JSON Schema of its options; rebuild the plugin");
                return fail("options", error);
            }
        }
    }
    if inspected.manifest.options.source.is_some() {
        open(&plugin)?;
    }
    Ok(())
}

fn load(path: &std::path::Path, passed: &mut Vec<Step>) -> Result<(Inspected, Plugin)> {
    let mut note = |step| passed.push(step);
    let inspected = inspect_steps(path, &mut note)?;
    let settings = Settings { log: forward, level: log::max_level(), untrusted: true };
    let plugin = Plugin::load_steps(&inspected, settings, &mut note)?;
    Ok((inspected, plugin))
}

/// Opens a source without options. That it asks for some is an answer too.
fn open(plugin: &Plugin) -> Outcome {
    let what = "a source without options";
    match plugin.open_source(&json!({}), &Context::detached()) {
        Ok(mut source) => match source.identity() {
            Ok(identity) => Ok(ok(&format!("{what}: {} {}", identity.product, identity.version))?),
            Err(error) => fail(what, error),
        },
        Err(error) if matches!(error.kind(), ErrorKind::Panic | ErrorKind::Protocol | ErrorKind::Internal) => {
            fail(what, error)
        }
        Err(error) => Ok(ok(&format!("{what}: refused as it should be ({})", error.message()))?),
    }
}

fn ok(what: &str) -> Result<()> {
    print::line(&format!("[OK]   {what}"))
}

fn fail(what: &str, error: Error) -> Outcome {
    print::line(&format!("[FAIL] {what}: {error}"))?;
    if let Some(hint) = error.hint() {
        print::line(&format!("       hint: {hint}"))?;
    }
    // Whatever was at fault, the plugin failed: exit code 1.
    Err(Failed::Reported(vec![Error::new(ErrorKind::Other, error.to_string())]))
}
