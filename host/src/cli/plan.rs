//! `rivet plan`: what a run would do, shown or sealed.

use std::io::Write as _;

use rivet_sdk::{Error, ErrorKind, Result};

use super::arguments::{Global, PlanArguments, PlanFormat};
use super::exit::Outcome;
use super::print::thousands;
use super::{open_session, print};
use crate::plan::Plan;
use crate::planner::Planned;
use crate::run::plan_export;
use crate::session::Session;
use crate::stop::Stop;

pub fn plan(arguments: &PlanArguments, global: &Global, stop: Stop) -> Outcome {
    let session = open_session(&arguments.selection, global, stop)?;
    let exports = session.exports(&arguments.selection.export)?;
    if arguments.output.is_some() && exports.len() != 1 {
        return Err(Error::config("a sealed plan is of one export").with_hint("name it with --export").into());
    }
    for export in exports {
        let planned = plan_export(&session, export)?;
        for warning in &planned.warnings {
            log::warn!("{warning}");
        }
        if let Some(path) = &arguments.output {
            refuse_secrets(&session, export)?;
            seal(&planned.plan, path)?;
            print::note(&format!(
                "{}: plan {} with {} chunks in {}",
                export.name,
                planned.plan.run_id,
                planned.plan.chunks.len(),
                path.display()
            ));
        } else {
            match arguments.format {
                PlanFormat::Json => print::json(&crate::seal::sealed(&planned.plan)?)?,
                PlanFormat::Pretty => print::out(&pretty(&planned)?)?,
            }
        }
    }
    Ok(())
}

fn refuse_secrets(session: &Session, export: &crate::config::ExportConfig) -> Result<()> {
    let blocks = [&session.config.source.block, &export.destination.block];
    match blocks.into_iter().find_map(crate::config::PluginBlock::inline_secret) {
        None => Ok(()),
        Some(key) => Err(Error::config(format!("`{key}` holds a secret, which a plan must not"))
            .with_hint(format!("give it as `{key}_env` or `{key}_file`"))),
    }
}

fn seal(plan: &Plan, path: &std::path::Path) -> Result<()> {
    let text = plan.body()?;
    let write = || {
        let mut file = std::fs::File::create(path)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    write().map_err(|error| {
        Error::new(ErrorKind::Other, format!("{}: {error}", path.display()))
            .with_hint("choose a file that can be written")
    })
}

/// `local ./out/2026-01-31/`: the plugin, and where in it.
fn destination(spec: &crate::plan::DestinationSpec) -> String {
    let root = ["path", "bucket"].iter().find_map(|key| spec.options.get(key)?.as_str()).unwrap_or_default();
    format!(
        "{} {root}{}{}",
        spec.plugin,
        if root.is_empty() || root.ends_with('/') { "" } else { "/" },
        spec.data_prefix
    )
}

fn pretty(planned: &Planned) -> Result<String> {
    let plan = &planned.plan;
    let rows: Option<u64> = plan.chunks.iter().map(|chunk| chunk.estimated_rows).sum();
    let about = rows.map_or_else(|| "unknown".to_owned(), |rows| format!("about {}", thousands(rows)));
    let mut out = format!("{} from {} ({})\n", plan.export, plan.relation, plan.source.product);
    let mut row = |name: &str, text: String| out.push_str(&format!("  {name:<12} {text}\n"));
    row("plan", plan.id()?);
    row("rows", about);
    row("chunks", format!("{} by {}: {}", plan.chunks.len(), plan.strategy.kind.word(), plan.strategy.reason));
    if !plan.strategy.method.is_empty() {
        row("boundaries", plan.strategy.method.clone());
    }
    row("consistency", planned.consistency_text());
    row("parallel", plan.execution.parallel.to_string());
    row("destination", destination(&plan.destination));
    let width = plan.columns.iter().map(|column| column.output_name.chars().count()).max().unwrap_or(0);
    out.push_str("  columns\n");
    for column in &plan.columns {
        let field = column.mapping.to_field()?;
        let null = if field.is_nullable() { "" } else { " NOT NULL" };
        out.push_str(&format!(
            "    {:<width$}  {} -> {}{null} ({})\n",
            column.output_name,
            column.mapping.source_type,
            field.data_type(),
            column.mapping.fidelity.as_str()
        ));
    }
    Ok(out)
}
