//! One invocation of rivet over one configuration: its plugins, memory and wish to stop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rivet_sdk::{ColumnRequest, Destination, Error, ErrorKind, ExportRequest, Result, Source, TableFilter};

use crate::budget::Budget;
use crate::config::{self, Config, Diagnostics, ExportConfig, LeftOut, SourcePlugin, Variables};
use crate::source::{DestinationFactory, InstanceContext, Plugins, SourceFactory};
use crate::stop::Stop;

/// What every command over a configuration needs.
pub struct Session {
    /// What the user wrote, without faults.
    pub config: Config,
    /// `--param` values and the environment.
    pub variables: Variables,
    pub plugins: Plugins,
    /// The process's memory.
    pub budget: Arc<Budget>,
    /// The wish to stop.
    pub stop: Stop,
    /// The source plugin's name.
    pub source_plugin: String,
}

/// Why there is no session.
#[derive(Debug)]
pub enum Refused {
    /// Faults in the configuration, with their places.
    Faults(Diagnostics),
    /// Anything else.
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Session {
    /// Reads the configuration and checks everything that can be checked without connecting:
    /// its own grammar, and the plugins' options against the schemas they publish.
    pub fn open(
        file: &Path,
        params: BTreeMap<String, String>,
        plugin_dirs: &[PathBuf],
        untrusted: bool,
        locked: bool,
        stop: Stop,
    ) -> Result<Self, Refused> {
        let variables = config::variables(file, params.clone());
        let config = config::load(file, params).map_err(Refused::Faults)?;
        let plugins = Plugins::new(plugin_dirs, &config.plugin_dirs, untrusted)
            .locked(locked.then_some(config.plugin_lock.as_path()))?;
        let source_plugin = match &config.source.plugin {
            SourcePlugin::Name(name) => name.clone(),
            SourcePlugin::Scheme(scheme) => plugins.name_for_scheme(scheme)?,
        };
        let budget = Budget::new(config.memory_limit_mb << 20);
        let mut session = Self { config, variables, plugins, budget, stop, source_plugin };
        session.check_options(file)?;
        session.demand_tls()?;
        Ok(session)
    }

    /// Has the source's connections encrypted in production.
    pub fn demand_tls(&mut self) -> Result<()> {
        let Some(schema) = self.plugins.manifest(&self.source_plugin)?.options.source else { return Ok(()) };
        let (source, variables) = (&mut self.config.source, &self.variables);
        let is_option = |path: &str| config::plugin_options::is_exact_key(&schema, &format!("tls.{path}"));
        config::plugin_options::require_tls(&schema, source.environment, &mut source.block.options, |tls| {
            config::resolve_secrets(tls, is_option, variables).map(|resolved| resolved.options)
        })
    }

    /// What the plugins' schemas say against the options.
    pub fn check_options(&self, file: &Path) -> Result<(), Refused> {
        let manifest = self.plugins.manifest(&self.source_plugin)?;
        let mut faults = match &manifest.options.source {
            Some(schema) => self.config.source.block.validate(schema),
            None => Vec::new(),
        };
        for export in self.config.entries() {
            let name = export.destination.plugin.as_str();
            let schema = match crate::destination::built_in_schema(name) {
                Some(schema) => Some(schema),
                None => self.plugins.manifest(name)?.options.destination,
            };
            faults.extend(schema.iter().flat_map(|schema| export.destination.block.validate(schema)));
        }
        if faults.is_empty() { Ok(()) } else { Err(Refused::Faults(Diagnostics::new(file, faults))) }
    }

    /// Asks the source for its tables, where one of the exports `names` (none: all) may come of
    /// globs. Once for a command, before anything is begun.
    pub fn add_tables(&mut self, names: &[String]) -> Result<()> {
        let is_there = |name: &String| self.config.exports.iter().any(|export| export.name == *name);
        if self.config.families.is_empty() || (!names.is_empty() && names.iter().all(is_there)) {
            return Ok(());
        }
        let (_, mut source) = self.open_source()?;
        let listed = source.tables(&TableFilter::default()).map_err(|error| match error.kind() {
            ErrorKind::Unsupported => {
                error.with_hint("this source lists no tables: write an entry with `table` for each")
            }
            _ => error,
        })?;
        self.config.add_tables(&listed, &mut |export| {
            let mut request = ExportRequest::whole(export.relation.clone());
            request.session = export.tuning.session;
            match source.type_mappings(&request) {
                // The login may not read all of them: each that the entry names is looked for by itself.
                Err(error) if error.kind() == ErrorKind::Permission => named_columns(&mut *source, export, request),
                columns => Ok(columns?.into_iter().map(|column| column.name).collect()),
            }
        })
    }

    /// The entries of `exports` that make these exports: all, or the ones named. For what needs no
    /// table: where files go.
    pub fn entries(&self, names: &[String]) -> Result<Vec<&ExportConfig>> {
        if names.is_empty() {
            return Ok(self.config.entries().collect());
        }
        let unknown = |name: &&String| self.config.export(name).is_none();
        self.exports(names.iter().find(unknown).map(std::slice::from_ref).unwrap_or_default())?;
        Ok(names.iter().filter_map(|name| self.config.export(name)).collect())
    }

    /// The exports to work on: all, or the ones named.
    pub fn exports(&self, names: &[String]) -> Result<Vec<&ExportConfig>> {
        let known: Vec<&str> = self.config.exports.iter().map(|export| export.name.as_str()).collect();
        for name in names {
            if !known.contains(&name.as_str()) {
                let hint = config::nearest(name, known.iter().copied());
                return Err(Error::config(format!("no export is called `{name}`"))
                    .with_hint(hint.unwrap_or_else(|| format!("the exports are {}", known.join(", ")))));
            }
        }
        let wanted = |export: &&ExportConfig| names.is_empty() || names.contains(&export.name);
        Ok(self.config.exports.iter().filter(wanted).collect())
    }

    /// Tables that no export reads because their rows come with one of `exports`.
    pub fn left_out(&self, exports: &[&ExportConfig]) -> Vec<LeftOut> {
        let comes = |part: &&LeftOut| exports.iter().any(|export| export.relation.table() == Some(&part.within));
        self.config.left_out.iter().filter(comes).cloned().collect()
    }

    /// The source, for an export.
    pub fn source_factory(&self, export: &ExportConfig) -> Result<SourceFactory> {
        Ok(self.any_source_factory()?.within(&export.tuning.session))
    }

    /// The source, for no export.
    pub fn any_source_factory(&self) -> Result<SourceFactory> {
        SourceFactory::new(&self.plugins, &self.source_plugin, &self.config.source.block.options, &self.variables)
    }

    /// An export's destination.
    pub fn destination_factory(&self, export: &ExportConfig) -> Result<DestinationFactory> {
        let destination = &export.destination;
        DestinationFactory::new(&self.plugins, &destination.plugin, &destination.block.options, &self.variables)
    }

    /// What a source's instance of the main thread gets: it ends once stopping is wanted.
    pub fn instance_context(&self) -> InstanceContext {
        InstanceContext::until(self.stop.flag(), &self.budget)
    }

    /// Opens a source for questions that are no export's alone.
    pub fn open_source(&self) -> Result<(SourceFactory, Box<dyn Source>)> {
        let factory = self.any_source_factory()?;
        let factory = match self.config.entries().map(|export| export.tuning.session).reduce(|a, b| a.longer(&b)) {
            Some(limits) => factory.within(&limits),
            None => factory,
        };
        let source = factory.open(&self.instance_context())?;
        Ok((factory, source))
    }

    /// Opens an export's destination on the calling thread.
    pub fn open_destination(&self, export: &ExportConfig) -> Result<(DestinationFactory, Box<dyn Destination>)> {
        let factory = self.destination_factory(export)?;
        let destination = factory.open(&self.instance_context())?;
        Ok((factory, destination))
    }
}

/// Which of the columns that an export names its table has, readable or not.
fn named_columns(source: &mut dyn Source, export: &ExportConfig, mut request: ExportRequest) -> Result<Vec<String>> {
    let mut found = Vec::new();
    request.columns_complete = true;
    for name in config::named_columns(export) {
        request.columns = vec![ColumnRequest::new(name, None)];
        match source.type_mappings(&request) {
            Ok(_) => found.push(name.to_owned()),
            Err(error) if error.kind() == ErrorKind::Permission => found.push(name.to_owned()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Config) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
