//! The suite for a program that has a plugin and options, not a test binary: `rivet plugin verify`.

use std::sync::Arc;

use rivet_sdk::{Context, Destination, Relation, Result, Source};
use serde_json::Value;

use crate::destination::Place;
use crate::{DestinationSubject, Opened, SourceSubject, caught, checks, destination_checks};

/// A check's name, and what it said if it failed.
pub type Finding = (&'static str, std::result::Result<(), String>);

/// A source as a user has it.
pub struct SourceUnderTest<F> {
    /// Opens an instance.
    pub open: F,
    /// Options that work.
    pub options: Value,
    /// What the plugin declares.
    pub capabilities: Vec<String>,
    /// Relations to read.
    pub relations: Vec<Relation>,
    /// One that does not exist.
    pub missing_relation: Relation,
}

impl<F> SourceUnderTest<F>
where
    F: Fn(&Value, &Context) -> Result<Box<dyn Source>> + Send + Sync + 'static,
{
    /// Runs every check, in order, and tells what each found.
    pub fn check(self, mut tell: impl FnMut(Finding) -> Result<()>) -> Result<()> {
        let options = self.options;
        let subject = SourceSubject {
            plugin: "",
            options_schema: "",
            options: Box::new(move || options.clone()),
            relations: self.relations,
            missing_relation: self.missing_relation,
        };
        let opened = Opened { subject: Arc::new(subject), capabilities: self.capabilities, open: Box::new(self.open) };
        for (name, check) in checks::ALL {
            tell((name, caught(|| check(&opened))))?;
        }
        Ok(())
    }
}

/// A destination as a user has it.
pub struct DestinationUnderTest<F> {
    /// Opens an instance.
    pub open: F,
    /// Options that open an empty place of this name.
    pub options: Box<dyn Fn(&str) -> Value + Send + Sync>,
    /// Where the destination cuts an object in two.
    pub part_bytes: usize,
}

impl<F> DestinationUnderTest<F>
where
    F: Fn(&Value, &Context) -> Result<Box<dyn Destination>> + Send + Sync + 'static,
{
    /// Runs every check, in order, each in a place of its own, and tells what each found.
    pub fn check(self, mut tell: impl FnMut(Finding) -> Result<()>) -> Result<()> {
        let Self { open, options, part_bytes } = self;
        let subject = Arc::new(DestinationSubject { plugin: "", options_schema: "", options, part_bytes });
        let open = Arc::new(open);
        for (name, check) in destination_checks::ALL {
            let place = Place::new(Arc::clone(&subject), *name, Arc::clone(&open) as Arc<_>);
            tell((name, caught(|| check(&place))))?;
        }
        Ok(())
    }
}
