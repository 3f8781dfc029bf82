//! A configured source or destination, ready to be opened by any worker on its own thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;

use rivet_loader::{Plugin, PluginManifest};
use rivet_sdk::{Context, Destination, Error, Result, SessionPolicy, Source};
use serde_json::Value;

use super::Plugins;
use super::attended::Attended;
use crate::budget::{Budget, InstanceServices, Lane, Share};
use crate::config::{self, Variables};
use crate::destination::{self, BUILT_IN};
use crate::redact;

/// What an instance gets from the host.
#[derive(Debug, Clone)]
pub struct Lent {
    /// Its worker's part of the process's memory.
    pub lane: Lane,
    /// Set once the instance's work is no longer wanted: this one's, by whoever has it.
    pub cancelled: Arc<AtomicBool>,
    /// The same for all that the command does: a wish of somebody else's, never set here.
    pub(super) wish: Option<Arc<AtomicBool>>,
}

impl Lent {
    /// For an instance that is nobody else's.
    pub fn new(budget: &Arc<Budget>) -> Self {
        let cancelled = Arc::<AtomicBool>::default();
        Self { lane: budget.lane(Arc::clone(&cancelled)), cancelled, wish: None }
    }

    /// The same, until `wish` is set.
    pub fn until(wish: Arc<AtomicBool>, budget: &Arc<Budget>) -> Self {
        Self { wish: Some(wish), ..Self::new(budget) }
    }

    /// Whatever says that the instance is to end.
    pub(super) fn wishes(&self) -> Vec<Arc<AtomicBool>> {
        [Some(&self.cancelled), self.wish.as_ref()].into_iter().flatten().cloned().collect()
    }

    /// For a destination's that works outside a pool of workers: it is cancelled once `stop` is set, which it leaves alone.
    pub fn cancelled_by(stop: Arc<AtomicBool>, budget: &Arc<Budget>) -> Self {
        Self { lane: budget.lane(Arc::clone(&stop)), cancelled: stop, wish: None }
    }

    fn context(&self, services: fn(Share, Arc<AtomicBool>) -> InstanceServices) -> Context {
        Context::new(Arc::new(services(self.lane.share(), Arc::clone(&self.cancelled))))
    }
}

/// A share in an export's connections: they are all closed once the last share is gone.
#[derive(Debug, Clone)]
pub struct Held(#[allow(dead_code, reason = "its end is heard")] Sender<()>);

impl Held {
    /// Its receiver hears when the last share is gone.
    pub fn new(shares: Sender<()>) -> Self {
        Self(shares)
    }
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub struct SourceEnd {
    plugin: Plugin,
    options: Arc<config::Resolved>,
    /// Of questions that bring no limits of their own.
    limits: SessionPolicy,
    /// Whoever opens an instance keeps this end, or a copy of it, for as long.
    #[allow(dead_code, reason = "its end is heard")]
    held: Option<Held>,
}

impl SourceEnd {
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
        Ok(Self { plugin, options: Arc::new(options), limits: SessionPolicy::PLANNING, held: None })
    }

    /// The same, with a share in the connections of one export.
    pub fn holding(self, held: Held) -> Self {
        Self { held: Some(held), ..self }
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

    /// Opens an instance, which ends what it does once `lent` says that its work is no longer wanted.
    pub fn open(&self, lent: &Lent) -> Result<Box<dyn Source>> {
        Ok(Box::new(Attended::open(self, lent, self.limits)?))
    }

    /// Opens one that lives on the calling thread.
    pub(super) fn open_here(&self, lent: &Lent) -> Result<Box<dyn Source>> {
        let opened = self.plugin.open_source(&self.options.options, &lent.context(InstanceServices::of_source));
        opened.map_err(redact::clean_error)
    }
}

/// Where files go.
#[derive(Debug, Clone)]
pub enum DestinationEnd {
    /// The host's own: its name and options.
    BuiltIn(String, Value),
    /// A plugin's.
    Plugin(Box<Plugin>, Arc<config::Resolved>),
}

impl DestinationEnd {
    /// As [`SourceEnd::new`], for a destination.
    pub fn new(plugins: &Plugins, plugin: &str, options: &Value, variables: &Variables) -> Result<Self> {
        if BUILT_IN.contains(&plugin) {
            let options = config::resolve_secrets(options, |_| false, variables)?.options;
            return Ok(Self::BuiltIn(plugin.to_owned(), options));
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
        if let (Self::BuiltIn(name, options), Some(place)) = (&mut self, place)
            && name == "local"
            && let Some(path) = options["path"].as_str().map(Path::new).filter(|path| path.is_relative())
            && !path.join("_rivet").join(export).is_dir()
        {
            options["path"] = place.into();
        }
        self
    }

    /// Whether it is standard output: one chunk, no reports.
    pub fn is_stdout(&self) -> bool {
        matches!(self, Self::BuiltIn(name, _) if name == "stdout")
    }

    /// Opens an instance. Call it on the thread that will use it.
    pub fn open(&self, lent: &Lent) -> Result<Box<dyn Destination>> {
        match self {
            Self::BuiltIn(name, options) => destination::open_built_in(name, options)
                .unwrap_or_else(|| Err(Error::internal(format!("no built-in destination `{name}`")))),
            Self::Plugin(plugin, options) => {
                let context = lent.context(InstanceServices::of_destination);
                plugin.open_destination(&options.options, &context).map_err(redact::clean_error)
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
