//! The destination half of the suite: who is checked, and how instances are opened.

use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use rivet_sdk::{Context, Destination, DestinationDriver, Error, Result};
use serde_json::Value;

use crate::destination_checks::ALL;
use crate::wire::{self, WiredDestination};
use crate::{load, manifest, trial};

/// What a destination brings to the suite.
#[non_exhaustive]
pub struct DestinationSubject {
    /// The plugin's name.
    pub plugin: &'static str,
    /// The committed JSON Schema of its options; unused where only the linked half runs.
    pub options_schema: &'static str,
    /// Options that open an empty place of this name, no other's: a prefix, a folder.
    /// `tidy` of an instance must take every unfinished object there for a dead writer's.
    pub options: Box<dyn Fn(&str) -> Value + Send + Sync>,
    /// Where the destination cuts an object in two: sizes around it are tried.
    pub part_bytes: usize,
}

impl DestinationSubject {
    /// Each as its field says.
    pub fn new(
        plugin: &'static str,
        options_schema: &'static str,
        options: impl Fn(&str) -> Value + Send + Sync + 'static,
        part_bytes: usize,
    ) -> Self {
        Self { plugin, options_schema, options: Box::new(options), part_bytes }
    }
}

/// Opens an instance: linked in, or through the boundary.
pub(crate) type Open = dyn Fn(&Value, &Context) -> Result<Box<dyn Destination>> + Send + Sync;

/// How a check gets instances, each check in a place of its own.
pub(crate) struct Place {
    pub subject: Arc<DestinationSubject>,
    pub name: String,
    open: Arc<Open>,
}

impl Place {
    pub fn new(subject: Arc<DestinationSubject>, name: impl Into<String>, open: Arc<Open>) -> Self {
        Self { subject, name: name.into(), open }
    }

    pub fn options(&self) -> Value {
        (self.subject.options)(&self.name)
    }

    pub fn open(&self) -> Box<dyn Destination> {
        self.open_with(&self.options(), &Context::detached()).unwrap()
    }

    pub fn open_with(&self, options: &Value, context: &Context) -> Result<Box<dyn Destination>> {
        (self.open)(options, context)
    }

    /// A place beside this one.
    pub fn beside(&self, name: &str) -> Self {
        Self { subject: Arc::clone(&self.subject), name: format!("{}-{name}", self.name), open: Arc::clone(&self.open) }
    }
}

/// Runs the suite over driver `D`, linked and loaded, and exits the process with its outcome.
pub fn destination_conformance<D: DestinationDriver>(subject: DestinationSubject) {
    let arguments = Arguments::from_args();
    let subject = Arc::new(subject);
    let mut trials = vec![trial("manifest", {
        let subject = Arc::clone(&subject);
        move || manifest::check_destination::<D>(&subject)
    })];
    let linked: Arc<Open> = Arc::new(|options, context| {
        let options =
            serde_json::from_value(options.clone()).map_err(|error| Error::config(format!("options: {error}")))?;
        Ok(Box::new(D::open(options, context)?))
    });
    let plugin = load(subject.plugin);
    let wire = Arc::new(WiredDestination { plugin: plugin.clone(), subject: Arc::clone(&subject) });
    let loaded: Arc<Open> = Arc::new(move |options, context| plugin.open_destination(options, context));
    trials.extend(checks("linked", &subject, &linked));
    trials.extend(checks("loaded", &subject, &loaded));
    trials.extend(wire::DESTINATION.iter().map(|(name, check)| {
        let wire = Arc::clone(&wire);
        trial(&format!("loaded::{name}"), move || check(&wire))
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Runs the suite over a destination that is no plugin.
pub fn linked_destination_conformance(
    subject: DestinationSubject,
    open: impl Fn(&Value, &Context) -> Result<Box<dyn Destination>> + Send + Sync + 'static,
) {
    let arguments = Arguments::from_args();
    let open: Arc<Open> = Arc::new(open);
    libtest_mimic::run(&arguments, checks("linked", &Arc::new(subject), &open).collect()).exit();
}

fn checks<'a>(
    mode: &'a str,
    subject: &'a Arc<DestinationSubject>,
    open: &'a Arc<Open>,
) -> impl Iterator<Item = Trial> + 'a {
    ALL.iter().map(move |(name, check)| {
        let place = Place::new(Arc::clone(subject), format!("{mode}-{name}"), Arc::clone(open));
        trial(&format!("{mode}::{name}"), move || check(&place))
    })
}
