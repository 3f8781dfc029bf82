//! A configured source or destination, ready to be opened by any worker on its own thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use rivet_loader::{Plugin, PluginManifest};
use rivet_sdk::{Context, Destination, Error, Result, SessionPolicy, Source};
use serde_json::Value;

use super::Plugins;
use super::threaded::ThreadedSource;
use crate::budget::{Budget, InstanceServices, Lane, Share};
use crate::config::{self, Variables};
use crate::destination::{self, DestinationKind, Stdout};
use crate::redact;

/// What an instance of a source or a destination is opened with.
#[derive(Debug, Clone)]
pub struct InstanceContext {
    /// Its worker's part of the process's memory.
    pub lane: Lane,
    /// Set once the instance's work is no longer wanted.
    pub cancelled: Arc<AtomicBool>,
    /// Set once the whole program is to stop, where that is another flag.
    pub stop: Option<Arc<AtomicBool>>,
}

impl InstanceContext {
    /// For an instance that is nobody else's.
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self::until(Arc::default(), budget)
    }

    /// The same, until `cancelled` is set.
    pub fn until(cancelled: Arc<AtomicBool>, budget: &Arc<Budget>) -> Self {
        Self { lane: budget.lane(Arc::clone(&cancelled)), cancelled, stop: None }
    }

    /// Whether the work is no longer wanted.
    pub fn is_over(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        is_set(&self.cancelled) || self.stop.as_deref().is_some_and(is_set)
    }

    /// The same as the plugin sees it.
    fn of_plugin(&self, services: fn(Share, Arc<AtomicBool>) -> InstanceServices) -> Context {
        Context::new(Arc::new(services(self.lane.share(), Arc::clone(&self.cancelled))))
    }
}

/// A share in the connections that one export may hold: they are all closed once the last share is gone.
#[derive(Debug, Clone)]
pub struct ConnectionPermit(#[allow(dead_code, reason = "that it is dropped is heard")] Sender<()>);

impl ConnectionPermit {
    /// Its receiver hears when the last share is gone.
    pub fn new(shares: Sender<()>) -> Self {
        Self(shares)
    }
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub struct SourceFactory {
    plugin: Plugin,
    options: Arc<config::Resolved>,
    /// Of questions that bring no limits of their own.
    limits: SessionPolicy,
    /// Whoever opens an instance keeps this factory, or a copy of it, for as long.
    #[allow(dead_code, reason = "that it is dropped is heard")]
    permit: Option<ConnectionPermit>,
}

impl SourceFactory {
    /// Loads the plugin and fills its options in. `options` stand as in a plan: references
    /// unexpanded.
    pub fn new(plugins: &Plugins, plugin: &str, options: &Value, variables: &Variables) -> Result<Self> {
        let plugin = plugins.load(plugin)?;
        let schema = plugin.manifest().options.source.clone();
        let schema = schema.ok_or_else(|| {
            Error::config(format!("the plugin `{}` opens no sources", plugin.manifest().name))
                .with_hint("`rivet plugin list` shows what each plugin offers")
        })?;
        let options = resolve(options, &schema, variables)?;
        Ok(Self { plugin, options: Arc::new(options), limits: SessionPolicy::PLANNING, permit: None })
    }

    /// The same, with a share in the connections of one export.
    pub fn with_permit(self, permit: ConnectionPermit) -> Self {
        Self { permit: Some(permit), ..self }
    }

    /// The same for exports whose statements have these limits: planning waits for a lock as long as they do, and no
    /// shorter than usual for a statement.
    pub fn within(self, export: &SessionPolicy) -> Self {
        Self { limits: SessionPolicy::PLANNING.for_columns(export), ..self }
    }

    /// What the plugin says of itself.
    pub fn manifest(&self) -> &PluginManifest {
        self.plugin.manifest()
    }

    /// The plugin itself, and its options with everything filled in.
    pub fn parts(&self) -> (&Plugin, &Value) {
        (&self.plugin, &self.options.options)
    }

    /// Opens an instance, which ends what it does once `context` says that its work is no longer wanted.
    pub fn open(&self, context: &InstanceContext) -> Result<Box<dyn Source>> {
        Ok(Box::new(ThreadedSource::open(self, context, self.limits)?))
    }

    /// Opens one that lives on the calling thread.
    pub(super) fn open_here(&self, context: &InstanceContext) -> Result<Box<dyn Source>> {
        let opened = self.plugin.open_source(&self.options.options, &context.of_plugin(InstanceServices::of_source));
        opened.map_err(redact::clean_error)
    }
}

/// Where files go.
#[derive(Debug, Clone)]
pub enum DestinationFactory {
    /// A folder, by its options.
    Local(Value),
    /// Standard output.
    Stdout,
    /// A plugin's.
    Plugin(Box<Plugin>, Arc<config::Resolved>),
}

impl DestinationFactory {
    /// As [`SourceFactory::new`], for a destination.
    pub fn new(plugins: &Plugins, plugin: &str, options: &Value, variables: &Variables) -> Result<Self> {
        let of_host = || Ok::<_, Error>(config::resolve_secrets(options, |_| false, variables)?.options);
        match DestinationKind::of(plugin) {
            DestinationKind::Local => return Ok(Self::Local(of_host()?)),
            DestinationKind::Stdout => return of_host().map(|_| Self::Stdout),
            DestinationKind::Plugin => {}
        }
        let loaded = plugins.load(plugin)?;
        let schema = loaded.manifest().options.destination.clone();
        let schema = schema.ok_or_else(|| {
            Error::config(format!("the plugin `{plugin}` opens no destinations"))
                .with_hint("`rivet plugin list` shows what each plugin offers")
        })?;
        let options = resolve(options, &schema, variables)?;
        Ok(Self::Plugin(Box::new(loaded), Arc::new(options)))
    }

    /// The same for a plan of `export`: a relative path leads to where it led when the plan was made, not to a new
    /// folder of that name here. A folder here that has runs of the export is the one: it was moved or copied.
    pub fn at_planned(mut self, place: Option<&str>, export: &str) -> Self {
        if let (Self::Local(options), Some(place)) = (&mut self, place)
            && let Some(path) = options["path"].as_str().map(Path::new).filter(|path| path.is_relative())
            && !path.join("_rivet").join(export).is_dir()
        {
            options["path"] = place.into();
        }
        self
    }

    /// Whether it is standard output: one chunk, no reports.
    pub fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Opens an instance. Call it on the thread that will use it.
    pub fn open(&self, context: &InstanceContext) -> Result<Box<dyn Destination>> {
        match self {
            Self::Local(options) => destination::open_local(options),
            Self::Stdout => Ok(Box::new(Stdout::of_process())),
            Self::Plugin(plugin, options) => {
                let of_plugin = context.of_plugin(InstanceServices::of_destination);
                plugin.open_destination(&options.options, &of_plugin).map_err(redact::clean_error)
            }
        }
    }
}

fn resolve(options: &Value, schema: &Value, variables: &Variables) -> Result<config::Resolved> {
    let exact = |path: &str| config::plugin_options::is_exact_key(schema, path);
    let mut resolved = config::resolve_secrets(options, exact, variables)?;
    config::plugin_options::coerce(schema, &mut resolved.options);
    redact::remember(resolved.secrets.iter().cloned());
    Ok(resolved)
}
