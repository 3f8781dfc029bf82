//! `rivet apply`, `commit`, `status`, `clean`: a sealed plan, from any machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rivet_sdk::{Destination, Error, Result};
use serde_json::json;

use super::arguments::{ApplyArguments, CommitArguments, DEFAULT_LOCK, Global, PlanFile, StatusArguments};
use super::exit::{Failed, Outcome};
use super::progress::Progress;
use super::{print, summary};
use crate::budget::Budget;
use crate::commit::{self, RunKey};
use crate::config::{self, Config, StateConfig};
use crate::destination::DestinationKind;
use crate::plan::Plan;
use crate::run::{self, Endpoints, LeaseRequest};
use crate::source::{DestinationFactory, InstanceContext, Plugins, SourceFactory};
use crate::stop::Stop;

pub fn apply(arguments: &ApplyArguments, global: &Global, stop: Stop) -> Outcome {
    let plan = read(&arguments.file.plan)?;
    let sealed = Sealed::open(&arguments.file, global, &plan, arguments.memory_limit_mb)?;
    let (endpoints, state) = (sealed.endpoints()?, sealed.state()?);
    let to_stdout = plan.destination.kind() == DestinationKind::Stdout;
    let progress = Progress::new(arguments.progress, global, 1, to_stdout);
    let mut display = progress.of(&plan.export);
    let result = match &arguments.chunk {
        None => {
            let lease = lease(state.as_ref(), arguments.lock_wait);
            run::apply(plan, arguments.max_age, endpoints, lease, &stop, &mut display).map(|finished| {
                drop((display, progress));
                if !global.quiet {
                    summary::print(&finished);
                }
                summary::to_json(&finished)
            })
        }
        Some(index) => {
            let index = chunk_index(index)?;
            run::apply_chunk(plan, arguments.max_age, index, endpoints, &stop, &mut display).map(|rows| {
                drop((display, progress));
                print::note(&format!("chunk {index}: {rows} rows"));
                json!({ "chunk": index, "rows": rows })
            })
        }
    };
    let summary = result?;
    if arguments.json {
        print::json(&summary)?;
    }
    Ok(())
}

fn chunk_index(text: &str) -> Result<u32> {
    let (text, origin) = match text {
        "env" => (std::env::var("JOB_COMPLETION_INDEX").unwrap_or_default(), "$JOB_COMPLETION_INDEX"),
        given => (given.to_owned(), "--chunk"),
    };
    text.parse().map_err(|_| {
        Error::config(format!("{origin} is not a chunk's index: `{text}`")).with_hint("give --chunk INDEX")
    })
}

pub fn commit(arguments: &CommitArguments, global: &Global, stop: Stop) -> Outcome {
    let plan = read(&arguments.file.plan)?;
    let sealed = Sealed::open(&arguments.file, global, &plan, 512)?;
    let (mut destination, state) = (sealed.destination(&stop)?, sealed.state()?);
    let lease = lease(state.as_ref(), arguments.lock_wait);
    let finished = run::commit_plan(plan, &mut *destination, lease, &stop)?;
    print::note(&format!(
        "{}: committed run {} with {} rows in {} parts",
        finished.plan.export,
        finished.plan.run_id,
        finished.rows,
        finished.manifest.map_or(0, |manifest| manifest.parts.len())
    ));
    Ok(())
}

fn lease(state: Option<&StateConfig>, wait: Duration) -> Option<LeaseRequest<'_>> {
    state.map(|state| LeaseRequest { state, wait })
}

pub fn status(arguments: &StatusArguments, global: &Global, stop: Stop) -> Outcome {
    let plan = read(&arguments.file.plan)?;
    let mut destination = Sealed::open(&arguments.file, global, &plan, 512)?.destination(&stop)?;
    plan.warn_of_versions(None);
    commit::check_published(&mut *destination, &plan)?;
    let decision = commit::decision(&mut *destination, &RunKey::of(&plan)?)?;
    let done = commit::resume_point(&mut *destination, &plan)?;
    let missing: Vec<u32> = plan.chunks.iter().map(|chunk| chunk.index).filter(|index| !done.contains(index)).collect();
    if arguments.json {
        print::json(&json!({
            "export": plan.export, "run_id": plan.run_id, "state": decision.word(),
            "chunks": plan.chunks.len(), "done": done, "missing": missing,
        }))?;
        return Ok(());
    }
    print::line(&format!(
        "{} run {}: {}, {} of {} chunks done",
        plan.export,
        plan.run_id,
        decision.word(),
        done.len(),
        plan.chunks.len()
    ))?;
    if !missing.is_empty() {
        let list: Vec<String> = missing.iter().map(u32::to_string).collect();
        print::line(&format!("missing: {}", list.join(" ")))?;
    }
    Ok(())
}

pub fn clean(arguments: &PlanFile, global: &Global, stop: Stop) -> Outcome {
    let plan = read(&arguments.plan)?;
    let mut destination = Sealed::open(arguments, global, &plan, 512)?.destination(&stop)?;
    let cleaned = commit::clean(&mut *destination, &plan.export, &plan.destination.data_prefix, false)?;
    let unfinished = destination.tidy()?;
    print::note(&format!(
        "{}: removed {} parts of dead attempts and {unfinished} unfinished objects",
        plan.export,
        cleaned.parts.len()
    ));
    for key in cleaned.parts {
        print::line(&key)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Plan> {
    let text = std::fs::read(path).map_err(|error| {
        Error::config(format!("{}: {error}", path.display())).with_hint("`rivet plan -o FILE` writes a plan")
    })?;
    Plan::read(&path.display().to_string(), &text).map_err(|error| match error.code() {
        // A file that somebody named is his to correct.
        Some("not_a_plan") => Error::config(error.message()).with_hint("`rivet plan -o FILE` writes one"),
        _ => error,
    })
}

/// A plan's source and destination, resolved on this machine.
struct Sealed<'a> {
    plan: &'a Plan,
    plugins: Plugins,
    variables: config::Variables,
    budget: Arc<Budget>,
    /// Where the options come from if not from the plan.
    config: Option<Config>,
}

impl<'a> Sealed<'a> {
    fn open(file: &PlanFile, global: &Global, plan: &'a Plan, memory_limit_mb: u64) -> Result<Self, Failed> {
        let params: std::collections::BTreeMap<_, _> = file.param.iter().cloned().collect();
        let config = match &file.config {
            Some(path) => Some(config::load(path, params.clone()).map_err(Failed::Faults)?),
            None => None,
        };
        let beside = file.config.as_deref().unwrap_or(&file.plan);
        let dirs = config.as_ref().map(|config| config.plugin_dirs.clone()).unwrap_or_default();
        let lock = match &config {
            Some(config) => config.plugin_lock.clone(),
            None => file.plan.with_file_name(DEFAULT_LOCK),
        };
        Ok(Self {
            plan,
            plugins: Plugins::new(&global.plugin_dir, &dirs, global.untrusted_plugins).locked(global.lock(&lock))?,
            variables: config::variables(beside, params),
            budget: Budget::new(memory_limit_mb << 20),
            config,
        })
    }

    fn endpoints(&self) -> Result<Endpoints> {
        let source = &self.plan.source;
        let options = self.config.as_ref().map_or(&source.options, |config| &config.source.block.options);
        Ok(Endpoints {
            source: SourceFactory::new(&self.plugins, &source.plugin, options, &self.variables)?
                .within(&self.plan.execution.session),
            destination: self.destination_factory()?,
            budget: Arc::clone(&self.budget),
        })
    }

    /// The configuration's state store, else the environment's. A plan names none.
    fn state(&self) -> Result<Option<StateConfig>> {
        match &self.config {
            Some(config) => Ok(Some(config.state.clone())),
            None => config::state_in_environment(&self.variables)
                .transpose()
                .map_err(|(what, hint)| Error::config(what).with_hint(hint)),
        }
    }

    fn destination_factory(&self) -> Result<DestinationFactory> {
        let destination = &self.plan.destination;
        let configured = self.config.as_ref().and_then(|config| config.export(&self.plan.export));
        let options = configured.map_or(&destination.options, |export| &export.destination.block.options);
        let factory = DestinationFactory::new(&self.plugins, &destination.plugin, options, &self.variables)?;
        Ok(factory.at_planned(destination.place.as_deref(), &self.plan.export))
    }

    fn destination(&self, stop: &Stop) -> Result<Box<dyn Destination>> {
        self.destination_factory()?.open(&InstanceContext::until(stop.flag(), &self.budget))
    }
}
