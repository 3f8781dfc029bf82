//! The suite for a program that has a plugin and options, not a test binary: `rivet plugin verify`.

use std::sync::Arc;

use rivet_loader::Plugin;
use rivet_sdk::{Relation, Result};
use serde_json::Value;

use crate::destination::{Open, Place};
use crate::wire::{self, WiredDestination, WiredSource};
use crate::{DestinationSubject, Opened, SourceSubject, caught, checks, destination_checks, time_checks};

/// A check's name, and what it said if it failed.
pub type Finding = (&'static str, std::result::Result<(), String>);

/// A source as a user has it.
pub struct SourceUnderTest {
    /// The plugin, loaded.
    pub plugin: Plugin,
    /// Options that work.
    pub options: Value,
    /// Relations to read.
    pub relations: Vec<Relation>,
    /// One that does not exist.
    pub missing_relation: Relation,
}

impl SourceUnderTest {
    /// Runs every check, in order, and tells what each found.
    pub fn check(self, mut tell: impl FnMut(Finding) -> Result<()>) -> Result<()> {
        let Self { plugin, options, relations, missing_relation } = self;
        let subject = Arc::new(SourceSubject::new("", "", move || options.clone(), relations, missing_relation));
        let wire = WiredSource { plugin: plugin.clone(), subject: Arc::clone(&subject) };
        let capabilities = plugin.manifest().capabilities.clone();
        let open = Box::new(move |options: &_, context: &_| plugin.open_source(options, context));
        let opened = Opened { subject, capabilities, open };
        for (name, check) in checks::ALL.iter().chain(time_checks::ALL) {
            tell((name, caught(|| check(&opened))))?;
        }
        for (name, check) in wire::SOURCE {
            tell((name, caught(|| check(&wire))))?;
        }
        Ok(())
    }
}

/// A destination as a user has it.
pub struct DestinationUnderTest {
    /// The plugin, loaded.
    pub plugin: Plugin,
    /// Options that open an empty place of this name.
    pub options: Box<dyn Fn(&str) -> Value + Send + Sync>,
    /// Where the destination cuts an object in two.
    pub part_bytes: usize,
}

impl DestinationUnderTest {
    /// Runs every check, in order, each in a place of its own, and tells what each found.
    pub fn check(self, mut tell: impl FnMut(Finding) -> Result<()>) -> Result<()> {
        let Self { plugin, options, part_bytes } = self;
        let subject = Arc::new(DestinationSubject { plugin: "", options_schema: "", options, part_bytes });
        let wire = WiredDestination { plugin: plugin.clone(), subject: Arc::clone(&subject) };
        let open: Arc<Open> = Arc::new(move |options, context| plugin.open_destination(options, context));
        for (name, check) in destination_checks::ALL {
            let place = Place::new(Arc::clone(&subject), *name, Arc::clone(&open));
            tell((name, caught(|| check(&place))))?;
        }
        for (name, check) in wire::DESTINATION {
            tell((name, caught(|| check(&wire))))?;
        }
        Ok(())
    }
}
