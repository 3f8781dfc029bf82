//! Whether a plan still holds: the database is the one it was made for, and the columns are those it names.

use rivet_sdk::{Error, ErrorKind, Result, Source};

use crate::plan::Plan;

/// The database must be the one the plan was made for.
pub(super) fn check_identity(plan: &Plan, source: &mut dyn Source) -> Result<()> {
    let identity = source.identity()?;
    if identity.id == plan.source.identity {
        return Ok(());
    }
    let (planned, found) = (&plan.source.identity, identity.id);
    Err(drift(plan, format!("the plan was made for another database ({planned}), this is {found}")))
}

fn drift(plan: &Plan, what: String) -> Error {
    Error::new(ErrorKind::Conflict, what)
        .with_code("schema_drift")
        .with_hint("make a new plan")
        .with_context("export", plan.export.clone())
}

/// The table must still be the one the plan was made for.
pub(super) fn check_source(plan: &Plan, source: &mut dyn Source) -> Result<()> {
    check_identity(plan, source)?;
    let drift = |what: String| drift(plan, what);
    let Some(first) = plan.chunks.first() else { return Err(Error::config("the plan has no chunks")) };
    let found = source.type_mappings(&plan.request(first)).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::Config => {
            drift(format!("{} changed since the plan was made: {}", plan.relation, error.message()))
        }
        _ => error,
    })?;
    for (planned, found) in plan.columns.iter().zip(&found) {
        if planned.mapping != *found {
            return Err(drift(format!(
                "the column `{}` of {} is now {}, the plan was made for {}",
                planned.mapping.name, plan.relation, found.source_type, planned.mapping.source_type
            )));
        }
    }
    Ok(())
}
