//! Makes a plan: asks the source what is there, and decides everything that is left open.

use rivet_sdk::{Description, Error, ErrorKind, OneReadPoint, Relation, Result, Source, TypeMapping, capability};

use super::inputs::{Inputs, whole_request};
use super::wanted::Wanted;
use super::{chunks, fingerprint, scope};
use crate::config::{ExportConfig, Tokens, expand, without_secrets};
use crate::plan::ties::TiesSpec;
use crate::plan::{
    AsRead, ConsistencyPolicy, DestinationSpec, Execution, Fingerprint, Format, OutputSpec, PLAN_VERSION,
    PLAN_VERSION_REQUIRING, PartitionSpec, Plan, PlannedColumn, RowGroups, SourceSpec, TIES,
};

/// Batches larger than this share of the memory budget, split among the workers, are made smaller.
const BATCHES_OF_BUDGET: u64 = 32;
/// Smaller batches are slow to pass on.
const MIN_BATCH_BYTES: usize = 256 << 10;

/// What the planner learned, for `check` and summaries; the plan itself is complete without it.
pub struct Planned {
    pub plan: Plan,
    /// What the source says of the relation.
    pub description: Description,
    /// Things the user should know.
    pub warnings: Vec<String>,
}

impl Planned {
    /// [`Plan::consistency_text`], and the source's own word on why it is no more.
    pub fn consistency_text(&self) -> String {
        let text = self.plan.consistency_text();
        let wanted = self.plan.consistency != ConsistencyPolicy::PerChunk && !self.plan.reads_at_one_point();
        match (self.description.no_snapshot.as_deref(), self.plan.one_read_point) {
            _ if !wanted => text.to_owned(),
            (Some(why), _) => format!("{text}; {why}"),
            (None, OneReadPoint::Statement) => format!("{text}; this source cannot share a snapshot"),
            (None, _) => text.to_owned(),
        }
    }
}

/// Makes the plan of one run.
pub fn build(source: &mut dyn Source, inputs: &Inputs<'_>) -> Result<Planned> {
    let export = inputs.export;
    let named = |error: Error| error.with_context("export", export.name.clone());
    let identity = source.identity().map_err(named)?;
    let description = source.describe(&export.relation).map_err(named)?;
    let relation = description.relation.clone();
    let columns = columns(source, export, &relation).map_err(named)?;
    let mut warnings = Vec::new();
    if let Some(pooler) = &identity.pooler {
        warnings
            .push(format!("a pooler ({pooler}) stands before the database: every chunk is one transaction of its own"));
    }

    let plain_text = identity.notes.iter().filter(|note| note.warning && note.subject == "TLS");
    warnings.extend(plain_text.map(|note| format!("TLS: {}", note.text)));

    let scope = scope::scope(source, inputs, &relation, &identity, &columns, &mut warnings).map_err(named)?;

    let one_read_point = match description.one_read_point {
        OneReadPoint::Snapshot if !inputs.capabilities.iter().any(|name| name == capability::SNAPSHOT) => {
            OneReadPoint::Statement
        }
        found => found,
    };
    let (chunks, strategy) = chunks::cut(
        source,
        &Wanted {
            export,
            relation: &relation,
            description: &description,
            capabilities: inputs.capabilities,
            columns: &columns,
            inputs,
            scope: &scope,
        },
        &mut warnings,
    )
    .map_err(named)?;

    let date = inputs.now.strftime("%Y-%m-%d").to_string();
    let tokens = Tokens {
        date,
        export: export.name.clone(),
        table: relation.table().map(|table| table.name.clone()),
        run_id: inputs.run_id.clone(),
        partition: None,
    };
    let partition = partition(inputs, &columns).map_err(named)?;
    let conditions = scope.boundary.condition(&chunks).map_or(scope.conditions, |condition| vec![condition]);
    let ties = scope.incremental.as_ref().and_then(|incremental| incremental.ties.as_ref());
    let requires = if ties.is_some_and(TiesSpec::is_required) { vec![TIES.to_owned()] } else { Vec::new() };
    let config = configuration_fingerprint(inputs)?;
    let plan = Plan {
        plan_version: if requires.is_empty() { PLAN_VERSION } else { PLAN_VERSION_REQUIRING },
        run_id: inputs.run_id.clone(),
        export: export.name.clone(),
        created_at: inputs.now.to_string(),
        // A version that does not know the requirements shall not go on with the plan as its own.
        config_fingerprint: config.second.clone().filter(|_| !requires.is_empty()).unwrap_or(config.first),
        config_fingerprint_v2: config.second,
        source: SourceSpec {
            plugin: inputs.source_plugin.to_owned(),
            options: without_secrets(inputs.source_options),
            identity: identity.id.clone(),
            product: format!("{} {}", identity.product, identity.version),
        },
        relation,
        conditions,
        order_by: export.order_by.clone(),
        quality: export.quality.clone(),
        columns,
        incremental: scope.incremental,
        repairs: None,
        chunks,
        strategy,
        consistency: export.consistency,
        one_read_point,
        on_unrepresentable: export.on_unrepresentable,
        output: OutputSpec {
            format: format(inputs),
            compression: export.output.compression,
            max_file_size_bytes: export.output.max_file_size_bytes,
            skip_empty: export.output.skip_empty,
            partition,
            exported_at_us: export.output.exported_at.then(|| inputs.now.as_microsecond()),
            row_hash: export.output.row_hash,
        },
        destination: DestinationSpec {
            plugin: export.destination.plugin.clone(),
            options: without_secrets(&export.destination.block.options),
            place: inputs.place.clone(),
            data_prefix: expand(&around_partition(&export.destination.template).0, &tokens)?,
            write_mode: export.write_mode,
            verify: export.verify,
        },
        execution: Execution {
            parallel: export.parallel,
            min_parallel: export.tuning.min_parallel.map(|least| least.min(export.parallel)),
            batch_rows: export.tuning.batch_rows,
            batch_bytes: batch_bytes(export.tuning.batch_bytes, inputs.memory_limit_bytes, export.parallel),
            session: export.tuning.session,
            max_attempts: export.max_attempts,
            retry_backoff_ms: export.tuning.retry_backoff_ms,
            throttle_ms: export.tuning.throttle_ms,
            chunk_deadline_ms: export.tuning.chunk_deadline_ms,
            max_value_bytes: export.tuning.max_value_bytes,
        },
        requires,
        made_by: Some(inputs.made_by.clone()),
        as_read: AsRead::default(),
    };
    check_consistency(&plan, description.no_snapshot.as_deref()).map_err(named)?;
    check_names(&plan)?;
    check_rules(&plan).map_err(named)?;
    Ok(Planned { plan: plan.sealed()?, description, warnings })
}

/// The batch limit, or less where the workers' batches (one being filled, one or more in a queue,
/// one being encoded) would take too much of the memory.
fn batch_bytes(configured: usize, memory_limit_bytes: u64, workers: u32) -> usize {
    let share = memory_limit_bytes / BATCHES_OF_BUDGET / u64::from(workers.max(1));
    configured.min(usize::try_from(share).unwrap_or(usize::MAX).max(MIN_BATCH_BYTES))
}

/// The template before the folder `{partition}`, and after it. Without that token the folders
/// stand at the end.
fn around_partition(template: &str) -> (String, String) {
    match template.split_once("{partition}/") {
        Some((before, after)) => (before.to_owned(), after.to_owned()),
        None => (template.to_owned(), String::new()),
    }
}

/// How rows are sorted into folders; refused where the column cannot name any.
fn partition(inputs: &Inputs<'_>, columns: &[PlannedColumn]) -> Result<Option<PartitionSpec>> {
    let export = inputs.export;
    let Some(wanted) = &export.partition_by else { return Ok(None) };
    let Some(column) = columns.iter().find(|column| column.mapping.name == wanted.column) else {
        let names = columns.iter().map(|column| column.mapping.name.as_str());
        let error = Error::config(format!("`partition_by` names a column `{}` that is not exported", wanted.column));
        return Err(match crate::config::nearest(&wanted.column, names) {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint("name a column of the table that `exclude` does not leave out"),
        });
    };
    crate::sink::check_partition(column)?;
    let workers = export.parallel.max(1);
    Ok(Some(PartitionSpec {
        column: wanted.column.clone(),
        label: column.output_name.clone(),
        granularity: wanted.granularity,
        suffix: around_partition(&export.destination.template).1,
        buffer_bytes: (inputs.memory_limit_bytes / 4 / u64::from(workers)).max(4 << 20),
        max_open: export.destination.kind.open_parts_at_most(workers),
    }))
}

/// The file format, its row groups no larger than the workers' memory allows.
fn format(inputs: &Inputs<'_>) -> Format {
    let mut format = inputs.export.output.format.clone();
    if let Format::Parquet(parquet) = &mut format
        && let RowGroups::Bytes(wanted) = parquet.row_groups
    {
        let most = crate::sink::row_group_bytes(wanted as u64, inputs.memory_limit_bytes, inputs.export.parallel);
        parquet.row_groups = RowGroups::Bytes(usize::try_from(most).unwrap_or(wanted));
    }
    format
}

/// [`fingerprint::of_configuration`] of what a plan is made from.
pub fn configuration_fingerprint(inputs: &Inputs<'_>) -> Result<Fingerprint> {
    fingerprint::of_configuration(inputs.export, inputs.source_plugin, inputs.source_options)
}
fn columns(source: &mut dyn Source, export: &ExportConfig, relation: &Relation) -> Result<Vec<PlannedColumn>> {
    let request = whole_request(export, relation);
    let mut whole = request.clone();
    whole.exclude = Vec::new();
    let (all, unseen) = match source.type_mappings(&whole) {
        // Of a login that may not read all of the columns, the source says itself which of those left out there are.
        Err(error) if error.kind() == ErrorKind::Permission && !export.exclude.is_empty() => {
            (source.type_mappings(&request)?, request.exclude.clone())
        }
        all => (all?, Vec::new()),
    };
    let names = all.iter().map(|mapping| &mapping.name).chain(&unseen);
    let names: Vec<&str> = names.map(String::as_str).collect();
    let unknown = |key: &str, name: &str| {
        let error =
            Error::new(ErrorKind::Config, format!("`{key}` names a column `{name}` that {relation} does not have"));
        match crate::config::nearest(name, names.iter().copied()) {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint(format!("its columns: {}", names.join(", "))),
        }
    };
    for column in &export.exclude {
        if !names.contains(&column.name.as_str()) {
            return Err(unknown("exclude", &column.name));
        }
    }
    for column in &export.rename {
        if !names.contains(&column.name.as_str()) {
            return Err(unknown("rename", &column.name));
        }
    }
    let excluded = |mapping: &TypeMapping| export.exclude.iter().any(|column| column.name == mapping.name);
    let columns: Vec<PlannedColumn> = all
        .into_iter()
        .filter(|mapping| !excluded(mapping))
        .map(|mapping| {
            let renamed = export.rename.iter().find(|column| column.name == mapping.name);
            let wanted = export.columns.iter().find(|column| column.name == mapping.name).map(|column| column.value);
            PlannedColumn {
                output_name: renamed.map_or_else(|| mapping.name.clone(), |column| column.value.clone()),
                mapping,
                wanted,
            }
        })
        .collect();
    if columns.is_empty() {
        return Err(Error::config("no columns are left to export").with_hint("shorten `exclude`"));
    }
    Ok(columns)
}

/// Asked for a snapshot, a run has one or does not begin.
fn check_consistency(plan: &Plan, why: Option<&str>) -> Result<()> {
    if plan.consistency != ConsistencyPolicy::Snapshot || plan.reads_at_one_point() {
        return Ok(());
    }
    Err(no_snapshot(plan.one_read_point, why))
}

/// `consistency: snapshot` that cannot be had, with the source's own word on the cause.
pub fn no_snapshot(one_read_point: OneReadPoint, why: Option<&str>) -> Error {
    let (usual, hint) = match one_read_point {
        OneReadPoint::None => (
            "here not even one statement reads at one point in time",
            "`rivet doctor` says what the source needs for it; `consistency: auto` goes on without",
        ),
        _ => (
            "this source cannot give all chunks one snapshot",
            "use `consistency: auto` or `per_chunk`, or `chunk_by: none`: one statement is consistent in itself",
        ),
    };
    Error::config(format!("`consistency: snapshot` cannot be had: {}", why.unwrap_or(usual))).with_hint(hint)
}

/// Rules and orders about columns that are not there would hold for nothing.
fn check_rules(plan: &Plan) -> Result<()> {
    let rules = plan.quality.iter().flat_map(|quality| {
        let ratios = quality.null_ratio_max.keys().map(|name| ("quality.null_ratio_max", name));
        ratios.chain(quality.unique_columns.iter().map(|name| ("quality.unique_columns", name)))
    });
    for (key, name) in rules.chain(plan.order_by.iter().map(|name| ("order_by", name))) {
        if plan.columns.iter().any(|column| column.mapping.name == *name) {
            continue;
        }
        let error = Error::config(format!("`{key}` names a column `{name}` that is not exported"));
        let names = plan.columns.iter().map(|column| column.mapping.name.as_str());
        return Err(match crate::config::nearest(name, names) {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint("name columns as the source does"),
        });
    }
    Ok(())
}

/// Two output columns of one name would make a file that readers refuse or misread.
fn check_names(plan: &Plan) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for column in &plan.columns {
        if !seen.insert(column.output_name.as_str()) {
            return Err(Error::config(format!("two output columns are called `{}`", column.output_name))
                .with_hint("give one of them another name with `rename`, or AS in the query"));
        }
    }
    for (wanted, name) in [
        (plan.output.exported_at_us.is_some(), crate::sink::EXPORTED_AT),
        (plan.output.row_hash, crate::sink::ROW_HASH),
    ] {
        if wanted && seen.contains(name) {
            return Err(Error::config(format!("the source already has a column `{name}`"))
                .with_hint("`rename` it, or switch the meta column off"));
        }
    }
    Ok(())
}
