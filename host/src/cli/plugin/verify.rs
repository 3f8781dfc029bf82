//! `rivet plugin verify`: every step from the file to an instance, each `[OK]` or `[FAIL]`.

use std::path::{Path, PathBuf};

use rivet_loader::{Inspected, Plugin, Settings, Step, inspect_steps};
use rivet_sdk::{Context, Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::super::arguments::{Global, PluginVerifyArguments};
use super::super::exit::{Failed, Outcome};
use super::super::print;
use super::kit;
use crate::source::{Plugins, forward};
use crate::stop::Stop;

/// An option that no plugin has.
const UNKNOWN: &str = "rivet_no_such_option";

pub fn verify(arguments: &PluginVerifyArguments, plugins: &Plugins, global: &Global, stop: Stop) -> Outcome {
    let path =
        if arguments.name.contains('/') { PathBuf::from(&arguments.name) } else { plugins.locate(&arguments.name)? };
    let mut checks = Checks { json: arguments.json, all: Vec::new() };
    if !checks.json {
        print::line(&path.display().to_string())?;
    }
    all(arguments, &path, plugins, &mut checks)?;
    if let Some(config) = arguments.config.as_deref().filter(|_| checks.passed()) {
        kit::run(arguments, config, &path, global, stop, &mut checks)?;
    }
    checks.finish(&path)
}

/// Every check, in order; the first that fails makes those after it pointless.
fn all(arguments: &PluginVerifyArguments, path: &Path, plugins: &Plugins, checks: &mut Checks) -> Result<()> {
    let mut passed = Vec::new();
    let loaded = load(path, plugins, &mut passed);
    for step in Step::ALL.into_iter().filter(|step| passed.contains(step)) {
        checks.ok(step.what())?;
    }
    let (inspected, plugin) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let failed = Step::ALL.into_iter().find(|step| !passed.contains(step)).unwrap_or(Step::Init);
            return checks.fail(failed.what(), error);
        }
    };
    let manifest = &inspected.manifest;
    // The file's name counts only where it is found by it.
    if !arguments.name.contains('/') && manifest.name != arguments.name {
        let error = Error::config(format!("the plugin in the file calls itself `{}`", manifest.name))
            .with_hint(format!("rename it to librivet_plugin_{}.so", manifest.name));
        return checks.fail("name", error);
    }
    for (role, schema) in [("source", &manifest.options.source), ("destination", &manifest.options.destination)] {
        let named = manifest.kinds.iter().any(|kind| kind == role);
        match (named, schema) {
            (true, Some(schema)) if schema.get("properties").is_some_and(Value::is_object) => {
                checks.ok(&format!("options of the {role}"))?;
                unknown_option(role, schema, &plugin, checks)?;
            }
            (true, Some(schema)) if schema.is_object() => {
                checks.ok(&format!("the {role} names no options, so the host cannot check them"))?;
            }
            (false, None) => {}
            _ => {
                let error = Error::protocol(format!("its manifest is at odds about being a {role}"))
                    .with_hint("a kind comes with a JSON Schema of its options; rebuild the plugin");
                return checks.fail("options", error);
            }
        }
    }
    if manifest.options.source.is_some() {
        open(&plugin, checks)?;
    }
    Ok(())
}

fn load(path: &Path, plugins: &Plugins, passed: &mut Vec<Step>) -> Result<(Inspected, Plugin)> {
    let mut note = |step| passed.push(step);
    let inspected = plugins.permit_file(inspect_steps(path, &mut note)?)?;
    let settings = Settings { log: forward, level: log::max_level(), untrusted: true };
    let plugin = Plugin::load_steps(&inspected, settings, &mut note)?;
    Ok((inspected, plugin))
}

/// What the schema forbids, the plugin itself refuses too.
fn unknown_option(role: &str, schema: &Value, plugin: &Plugin, checks: &mut Checks) -> Result<()> {
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Ok(());
    }
    let what = format!("an unknown option of the {role} is refused");
    let (options, context) = (json!({ UNKNOWN: 1 }), Context::detached());
    let opened = match role {
        "source" => plugin.open_source(&options, &context).map(drop),
        _ => plugin.open_destination(&options, &context).map(drop),
    };
    match opened {
        Err(error) if error.kind() == ErrorKind::Config => checks.ok(&what),
        Err(error) => checks.fail(&what, error),
        Ok(()) => checks.fail(
            &what,
            Error::protocol(format!("`{UNKNOWN}` was accepted"))
                .with_hint("the options' struct needs #[serde(deny_unknown_fields)]"),
        ),
    }
}

/// Opens a source without options. That it asks for some is an answer too.
fn open(plugin: &Plugin, checks: &mut Checks) -> Result<()> {
    let what = "a source without options";
    match plugin.open_source(&json!({}), &Context::detached()) {
        Ok(mut source) => match source.identity() {
            Ok(identity) => checks.ok(&format!("{what}: {} {}", identity.product, identity.version)),
            Err(error) => checks.fail(what, error),
        },
        Err(error) if matches!(error.kind(), ErrorKind::Panic | ErrorKind::Protocol | ErrorKind::Internal) => {
            checks.fail(what, error)
        }
        Err(error) => checks.ok(&format!("{what}: refused as it should be ({})", error.message())),
    }
}

/// What was checked, told at once or, as JSON, in the end.
pub(super) struct Checks {
    json: bool,
    all: Vec<(String, Option<Error>)>,
}

impl Checks {
    fn passed(&self) -> bool {
        self.all.iter().all(|(_, error)| error.is_none())
    }

    pub(super) fn ok(&mut self, what: &str) -> Result<()> {
        self.all.push((what.to_owned(), None));
        if self.json { Ok(()) } else { print::line(&format!("[OK]   {what}")) }
    }

    pub(super) fn fail(&mut self, what: &str, error: Error) -> Result<()> {
        if !self.json {
            print::line(&format!("[FAIL] {what}: {error}"))?;
            if let Some(hint) = error.hint() {
                print::line(&format!("       hint: {hint}"))?;
            }
        }
        self.all.push((what.to_owned(), Some(error)));
        Ok(())
    }

    fn finish(self, path: &Path) -> Outcome {
        // Whatever was at fault, the plugin failed: exit code 1.
        let failed = self.all.iter().filter_map(|(_, error)| error.as_ref());
        let failed: Vec<Error> = failed.map(|error| Error::new(ErrorKind::Other, error.to_string())).collect();
        if self.json {
            let checks = self.all.iter().map(|(what, error)| {
                let error = error.as_ref();
                json!({
                    "check": what, "ok": error.is_none(), "error": error.map(ToString::to_string),
                    "hint": error.and_then(Error::hint),
                })
            });
            let checks: Vec<Value> = checks.collect();
            print::json(&json!({ "path": path, "ok": failed.is_empty(), "checks": checks }))?;
        }
        if failed.is_empty() { Ok(()) } else { Err(Failed::Reported(failed)) }
    }
}
