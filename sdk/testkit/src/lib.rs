//! The conformance suite every rivet plugin runs.
//!
//! A plugin's `tests/conformance.rs` (with `harness = false`) describes a subject and calls
//! [`conformance`]. Each check runs twice: on the driver linked into the test, and on the same
//! driver loaded from its library, so that the boundary cannot change an answer. Checks of
//! optional parts run where the driver declares the capability.
//!
//! ```no_run
//! use rivet_sdk::{Relation, SourceDriver, TableName, serde_json::json};
//! use rivet_testkit::{SourceSubject, conformance};
//!
//! fn run<Driver: SourceDriver>() {
//!     conformance::<Driver>(SourceSubject::new(
//!         "mine",
//!         concat!(env!("CARGO_MANIFEST_DIR"), "/options.schema.json"),
//!         || json!({ "host": "127.0.0.1" }),
//!         vec![Relation::Table(TableName::unqualified("numbers"))],
//!         Relation::Table(TableName::unqualified("nothing_here")),
//!     ));
//! }
//! ```

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed check")]

mod checks;
mod destination;
mod destination_checks;
mod keep;
mod manifest;
mod noise;
mod parameters;
mod rows;
mod time_checks;
mod types_page;
mod urls_page;
mod verify;
mod wire;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use rivet_loader::{Plugin, Search, Settings};
use rivet_sdk::{Context, Relation, Result, Source, SourceDriver};
use serde_json::Value;

use wire::WiredSource;

pub use destination::{DestinationSubject, destination_conformance, linked_destination_conformance};
pub use keep::{Keep, export, export_meanwhile, text};
pub use noise::Noise;
pub use parameters::check_parameters;
pub use types_page::{TypeRow, check_types_page, type_row};
pub use urls_page::check_urls_page;
pub use verify::{DestinationUnderTest, Finding, SourceUnderTest};

/// What a plugin brings to the suite.
#[non_exhaustive]
pub struct SourceSubject {
    /// The plugin's name.
    pub plugin: &'static str,
    /// The committed JSON Schema of its options.
    pub options_schema: &'static str,
    /// Options that open a source with the relations below.
    pub options: Box<dyn Fn() -> Value + Send + Sync>,
    /// Relations with at least a few hundred rows in at least one of them, and every type the
    /// plugin maps.
    pub relations: Vec<Relation>,
    /// A relation that does not exist.
    pub missing_relation: Relation,
    /// One whose rows take a minute to come, or longer: what a limit or an interrupt must end. None where nothing can
    /// be made so slow.
    pub slow: Option<Relation>,
}

impl SourceSubject {
    /// Each as its field says.
    pub fn new(
        plugin: &'static str,
        options_schema: &'static str,
        options: impl Fn() -> Value + Send + Sync + 'static,
        relations: Vec<Relation>,
        missing_relation: Relation,
    ) -> Self {
        Self { plugin, options_schema, options: Box::new(options), relations, missing_relation, slow: None }
    }

    /// With a relation that is slow.
    #[must_use]
    pub fn with_slow(self, relation: Relation) -> Self {
        Self { slow: Some(relation), ..self }
    }
}

/// Opens an instance: linked in, or through the boundary.
type Open = dyn Fn(&Value, &Context) -> Result<Box<dyn Source>> + Send + Sync;

/// How a check gets instances.
pub(crate) struct Opened {
    pub subject: Arc<SourceSubject>,
    pub capabilities: Vec<String>,
    open: Box<Open>,
}

impl Opened {
    pub fn open(&self) -> Box<dyn Source> {
        self.open_with(&(self.subject.options)(), &Context::detached()).unwrap()
    }

    pub fn open_with(&self, options: &Value, context: &Context) -> Result<Box<dyn Source>> {
        (self.open)(options, context)
    }

    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|one| one == capability)
    }
}

/// Runs the suite over driver `D` and exits the process with its outcome.
pub fn conformance<D: SourceDriver>(subject: SourceSubject) {
    let arguments = Arguments::from_args();
    let subject = Arc::new(subject);
    let mut trials = vec![trial("manifest", {
        let subject = Arc::clone(&subject);
        move || manifest::check_source::<D>(&subject)
    })];
    let capabilities: Vec<String> = D::CAPABILITIES.iter().map(|&one| one.to_owned()).collect();
    let linked = Arc::new(Opened {
        subject: Arc::clone(&subject),
        capabilities: capabilities.clone(),
        open: Box::new(|options, context| {
            let options = serde_json::from_value(options.clone())
                .map_err(|error| rivet_sdk::Error::config(format!("options: {error}")))?;
            Ok(Box::new(D::open(options, context)?))
        }),
    });
    let plugin = load(subject.plugin);
    let wire = Arc::new(WiredSource { plugin: plugin.clone(), subject: Arc::clone(&subject) });
    let loaded = Arc::new(Opened {
        subject,
        capabilities,
        open: Box::new(move |options, context| plugin.open_source(options, context)),
    });
    for (mode, opened) in [("linked", linked), ("loaded", loaded)] {
        for (name, check) in checks::ALL.iter().chain(time_checks::ALL) {
            let opened = Arc::clone(&opened);
            trials.push(trial(&format!("{mode}::{name}"), move || check(&opened)));
        }
    }
    for (name, check) in wire::SOURCE {
        let wire = Arc::clone(&wire);
        trials.push(trial(&format!("loaded::{name}"), move || check(&wire)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, check: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || caught(check).map_err(Failed::from))
}

/// What a check that failed said.
fn caught(check: impl FnOnce()) -> std::result::Result<(), String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "panicked".into())
    })
}

/// Loads the library that cargo built beside this test.
fn load(plugin: &str) -> Plugin {
    let folders = library_folders().into_iter().map(|path| (path, "--plugin-dir"));
    let found = Search::new(folders).find(plugin).unwrap();
    leave_for_users(&found.inspected.path);
    let settings = Settings { log: |_, _, _, _| {}, level: log::LevelFilter::Debug, untrusted: true };
    Plugin::load(&found.inspected, settings).unwrap()
}

/// Links the library into the folder above `deps`, as `cargo build` does; `cargo test` leaves it in `deps` alone, where
/// no `--plugin-dir target/debug` finds it.
fn leave_for_users(library: &Path) {
    let folder = library.parent().unwrap();
    if !folder.ends_with("deps") {
        return;
    }
    let place = folder.with_file_name(library.file_name().unwrap());
    let inode = |path: &Path| fs::metadata(path).map(|found| found.ino());
    if inode(&place).ok() == inode(library).ok() {
        return;
    }
    // Others may be loading what is there: it is replaced, and never missing.
    let beside = place.with_extension(format!("so.{}", std::process::id()));
    fs::hard_link(library, &beside).and_then(|()| fs::rename(&beside, &place)).unwrap();
}

fn library_folders() -> Vec<PathBuf> {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().skip(1).take(2).map(PathBuf::from).collect()
}
