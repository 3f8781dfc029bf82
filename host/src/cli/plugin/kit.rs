//! The conformance kit over a plugin, with the options that a configuration gives it.

use std::path::Path;

use rivet_sdk::{Destination, Error, Relation, Result, TableName};
use rivet_testkit::{DestinationUnderTest, Finding, SourceUnderTest};
use serde_json::{Value, json};
use ulid::Ulid;

use super::super::arguments::{Global, PluginVerifyArguments};
use super::super::exit::Failed;
use super::verify::Checks;
use crate::config::ExportConfig;
use crate::redact;
use crate::session::{Refused, Session};
use crate::source::DestinationFactory;
use crate::stop::Stop;

/// A table that nobody has.
const MISSING: &str = "rivet_no_such_table";
/// How much the stores send at once, if their options do not say.
const PART_MB: u64 = 8;

/// Runs the half, or halves, of the kit that the configuration has use for.
pub(super) fn run(
    arguments: &PluginVerifyArguments,
    config: &Path,
    file: &Path,
    global: &Global,
    stop: Stop,
    checks: &mut Checks,
) -> Result<(), Failed> {
    // The very file, wherever others of its name lie.
    let folders: Vec<_> = file.parent().map(Path::to_owned).into_iter().chain(global.plugin_dir.clone()).collect();
    let params = arguments.param.iter().cloned().collect();
    let session = Session::open(config, params, &folders, global.untrusted_plugins, global.locked, stop);
    let mut session = session.map_err(|refused| match refused {
        Refused::Faults(faults) => Failed::Faults(faults),
        Refused::Error(error) => Failed::from(error),
    })?;
    session.add_tables(&arguments.export)?;
    let name = rivet_loader::inspect(file)?.manifest.name;
    let exports = session.exports(&arguments.export)?;
    let destination = exports.iter().find(|export| export.destination.plugin == name);
    if session.source_plugin != name && destination.is_none() {
        return Err(Error::config(format!("{} has no use for the plugin `{name}`", config.display()))
            .with_hint("give a configuration whose source or destination it is")
            .into());
    }
    // A failed check is told in its line, not by a panic's trace.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = halves(&session, &name, &exports, destination.copied(), checks);
    std::panic::set_hook(hook);
    Ok(done?)
}

fn halves(
    session: &Session,
    name: &str,
    exports: &[&ExportConfig],
    destination: Option<&ExportConfig>,
    checks: &mut Checks,
) -> Result<()> {
    if session.source_plugin == name {
        source(session, exports, checks)?;
    }
    match destination {
        Some(export) => self::destination(session, export, checks),
        None => Ok(()),
    }
}

fn source(session: &Session, exports: &[&ExportConfig], checks: &mut Checks) -> Result<()> {
    let factory = session.any_source_factory()?;
    let (plugin, options) = factory.parts();
    let (plugin, options) = (plugin.clone(), options.clone());
    let mut relations: Vec<Relation> = Vec::new();
    for export in exports {
        if !relations.contains(&export.relation) {
            relations.push(export.relation.clone());
        }
    }
    let schema = relations.iter().find_map(|relation| relation.table()?.schema.clone());
    let subject = SourceUnderTest {
        plugin,
        options,
        relations,
        missing_relation: Relation::Table(TableName::new(schema, MISSING)),
    };
    subject.check(|finding| report("source", finding, checks))
}

fn destination(session: &Session, export: &ExportConfig, checks: &mut Checks) -> Result<()> {
    let DestinationFactory::Plugin(plugin, resolved) = session.destination_factory(export)? else { return Ok(()) };
    let options = resolved.options.clone();
    // Stores have a prefix; what writes to a machine has a path.
    let key = if options.get("prefix").is_some() || options.get("path").is_none() { "prefix" } else { "path" };
    let given = options.get(key).and_then(Value::as_str).unwrap_or_default();
    let fixed = given.split('{').next().unwrap_or_default();
    let folder = fixed.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
    let scratch = format!("{folder}rivet-verify-{}", Ulid::generate());
    let part_mb = options.pointer("/transfer/part_size_mb").and_then(Value::as_u64).unwrap_or(PART_MB);
    let placed = {
        let scratch = scratch.clone();
        move |name: &str| {
            let mut options = options.clone();
            options[key] = json!(format!("{scratch}/{name}"));
            options
        }
    };
    let (root, at_root) = (plugin.clone(), placed(""));
    let open = move || root.open_destination(&at_root, &rivet_sdk::Context::detached());
    let subject = DestinationUnderTest {
        plugin: *plugin,
        options: Box::new(placed),
        part_bytes: usize::try_from(part_mb << 20)
            .map_err(|_| Error::config(format!("`part_size_mb`: {part_mb} is too large")))?,
    };
    let done = subject.check(|finding| report("destination", finding, checks));
    // What a failed check left goes too.
    let removed = remove(open).map_err(|error| error.with_context("folder", scratch));
    done.and(removed)
}

/// Deletes all that is there: thousands of objects, so by several instances at once.
fn remove(open: impl Fn() -> Result<Box<dyn Destination>> + Sync) -> Result<()> {
    const INSTANCES: usize = 8;
    let mut root = open()?;
    let objects = root.list("")?;
    std::thread::scope(|scope| {
        let deleting: Vec<_> = objects
            .chunks(objects.len().div_ceil(INSTANCES).max(1))
            .map(|objects| {
                scope.spawn(|| {
                    let mut root = open()?;
                    objects.iter().try_for_each(|object| root.delete(&object.key))
                })
            })
            .collect();
        deleting
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    root.tidy().map(drop)
}

fn report(half: &str, (name, outcome): Finding, checks: &mut Checks) -> Result<()> {
    let what = format!("{half}: {}", name.replace('_', " "));
    match outcome {
        Ok(()) => checks.ok(&what),
        Err(text) => checks.fail(&what, Error::protocol(redact::clean(&text).into_owned())),
    }
}
