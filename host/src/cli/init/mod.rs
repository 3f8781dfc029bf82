//! `rivet init`: looks at a database and writes a configuration that runs as it is.

mod address;
mod survey;
mod write;

use std::io::Write as _;
use std::path::Path;

use rivet_sdk::{Error, ErrorKind, Result};
use serde_json::json;

use self::address::Address;
use self::write::{Draft, Store};
use super::arguments::{DEFAULT_LOCK, Global, InitArguments};
use super::exit::Outcome;
use super::print;
use crate::budget::Budget;
use crate::config;
use crate::source::{InstanceContext, Plugins, SourceFactory};
use crate::stop::Stop;

/// Memory for looking around; no rows are read.
const MEMORY_BYTES: u64 = 64 << 20;

pub fn init(arguments: &InitArguments, global: &Global, stop: &Stop) -> Outcome {
    let to_stdout = arguments.output.as_os_str() == "-";
    if !arguments.discover && !to_stdout && !arguments.force && arguments.output.exists() {
        return Err(exists(&arguments.output).into());
    }
    let plugins =
        Plugins::new(&global.plugin_dir, &[], global.untrusted_plugins).locked(global.lock(Path::new(DEFAULT_LOCK)))?;
    let address = Address::read(arguments)?;
    let plugin = plugins.name_for_scheme(&address.scheme)?;
    let manifest = plugins.manifest(&plugin)?;
    let options = address.options(manifest.options.source.as_ref())?;
    // The references are this command line's, so they start at the working directory.
    let variables = config::variables(Path::new("rivet.yaml"), std::collections::BTreeMap::new());
    let factory = SourceFactory::new(&plugins, &plugin, &options, &variables)?;
    let context = InstanceContext::until(stop.flag(), &Budget::new(MEMORY_BYTES));
    let mut source = factory.open(&context).map_err(|error| match error.hint() {
        Some(_) => error,
        None => error.with_hint(format!("`rivet plugin info {plugin}` shows its options")),
    })?;
    let identity = source.identity()?;
    let wanted = survey::Wanted::new(arguments)?;
    let survey = survey::survey(&mut *source, &wanted)?;
    if arguments.discover {
        return Ok(print::json(&json!({
            "source": { "plugin": plugin, "product": identity.product, "version": identity.version,
                "database": identity.database },
            "tables": survey.tables.iter().map(survey::Surveyed::to_json).collect::<Vec<_>>(),
            "left_out": survey.names_left_out(),
        }))?);
    }
    let store = match (&arguments.s3_bucket, &arguments.gcs_bucket, &arguments.azure_container) {
        (Some(bucket), ..) => Store::S3(bucket),
        (_, Some(bucket), _) => Store::Gcs(bucket),
        (.., Some(container)) => Store::Azure(container),
        _ => Store::Local,
    };
    let draft = Draft {
        plugin: &plugin,
        about: format!("{} {}, {}", identity.product, identity.version, identity.database),
        source: address.lines(&options, &arguments.output)?,
        survey: &survey,
        store,
    };
    let text = draft.to_yaml()?;
    if to_stdout {
        return Ok(print::out(&text)?);
    }
    save(&arguments.output, &text, arguments.force)?;
    let exports = survey.tables.iter().filter(|table| table.error.is_none()).count();
    print::note(&format!(
        "{}: {exports} export{} from {}",
        arguments.output.display(),
        if exports == 1 { "" } else { "s" },
        draft.about
    ));
    if address.has_secret() {
        print::note(&format!("hint: the password is not in the file; set {} to the URL", address::VARIABLE));
    }
    print::note(&format!("hint: next, `rivet doctor -c {0}` and `rivet run -c {0}`", arguments.output.display()));
    Ok(())
}

fn exists(path: &Path) -> Error {
    Error::config(format!("{} is there already", path.display()))
        .with_hint("give another file with -o, or overwrite it with --force")
}

fn save(path: &Path, text: &str, force: bool) -> Result<()> {
    let file = if force { std::fs::File::create(path) } else { std::fs::File::create_new(path) };
    match file.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(Error::new(ErrorKind::Other, format!("{}: {error}", path.display()))
            .with_hint("choose a file that can be written with -o")),
    }
}
