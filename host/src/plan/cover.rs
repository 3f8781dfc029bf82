//! Whether a plan's chunks hold every row once, as far as their bounds tell.
//!
//! Which values there are, only the server knows; but each chunk must begin where the one before it ends, nothing may
//! lie before the first or behind the last, and rows without a key need a chunk of their own.

use rivet_sdk::{Bound, Condition, Error, OnUnrepresentable, Result};

use super::spec::Chunk;
use super::types::Plan;

impl Plan {
    /// Refuses chunks that leave rows out or hold them twice.
    pub fn check_chunks(&self) -> Result<()> {
        let checked = cover(self);
        checked.map_err(|why| {
            Error::integrity(format!("the chunks of the plan do not make up the table: {why}"))
                .with_code("bad_chunks")
                .with_hint("the plan was changed, or its source plugin cut wrongly; make a new plan")
                .with_context("export", self.export.clone())
                .with_context("plugin", self.source.plugin.clone())
        })
    }
}

fn cover(plan: &Plan) -> std::result::Result<(), String> {
    if plan.chunks.is_empty() {
        return Err("there is none".to_owned());
    }
    if plan.chunks.iter().zip(0u32..).any(|(chunk, position)| chunk.index != position) {
        return Err("they are not numbered 0, 1, 2, …".to_owned());
    }
    if plan.chunks.iter().any(|chunk| chunk.beside && chunk.condition.is_none()) {
        return Err("one beside the others takes every row".to_owned());
    }
    let own: Vec<&Chunk> = plan.chunks.iter().filter(|chunk| !chunk.beside).collect();
    if let [one] = own.as_slice()
        && one.condition.is_none()
    {
        return Ok(());
    }
    let mut nulls = Vec::new();
    let mut ranges = Vec::new();
    for chunk in own {
        let name = format!("chunk {}", chunk.index);
        match &chunk.condition {
            Some(Condition::IsNull { column }) => nulls.push(column.as_str()),
            Some(Condition::Range { key, from, to }) => {
                ranges.push((name, key.as_slice(), from.clone().map(End::Key), to.clone().map(End::Key)));
            }
            Some(Condition::Native { from, to }) => {
                ranges.push((name, &[][..], from.map(End::Unit), to.map(End::Unit)));
            }
            None => return Err(format!("{name} takes every row, and there are others")),
            Some(_) => return Err(format!("{name} is no range")),
        }
    }
    contiguous(&ranges)?;
    let key = ranges.first().map(|(_, key, ..)| *key).unwrap_or_default();
    has_nulls(plan, key, &nulls)
}

/// Where a range begins or ends.
#[derive(Clone, PartialEq)]
enum End {
    Key(Bound),
    Unit(u64),
}

impl End {
    /// The beginning of what follows a range that ends here.
    fn follower(&self) -> Self {
        match self {
            Self::Key(bound) => {
                let mut next = bound.clone();
                next.inclusive = !bound.inclusive;
                Self::Key(next)
            }
            Self::Unit(unit) => Self::Unit(*unit),
        }
    }
}

type Slice<'a> = (String, &'a [String], Option<End>, Option<End>);

fn contiguous(ranges: &[Slice<'_>]) -> std::result::Result<(), String> {
    let (Some((first, key, from, _)), Some((last, _, _, to))) = (ranges.first(), ranges.last()) else {
        return Err("none of them is a range".to_owned());
    };
    if from.is_some() {
        return Err(format!("rows before {first} are in none"));
    }
    if to.is_some() {
        return Err(format!("rows after {last} are in none"));
    }
    for pair in ranges.windows(2) {
        let [(one, _, _, to), (other, other_key, from, _)] = pair else { continue };
        if other_key != key {
            return Err(format!("{other} is cut by another key than {first}"));
        }
        let (Some(to), Some(from)) = (to, from) else { return Err(format!("{one} and {other} overlap")) };
        if to.follower() != *from {
            return Err(format!("{other} does not begin where {one} ends"));
        }
    }
    Ok(())
}

/// One chunk for the rows without a key exactly where the key's column may lack a value.
fn has_nulls(plan: &Plan, key: &[String], nulls: &[&str]) -> std::result::Result<(), String> {
    if nulls.len() > 1 {
        return Err("the rows without a key are in several".to_owned());
    }
    if let Some(other) = nulls.iter().find(|column| !key.iter().any(|known| known == *column)) {
        return Err(format!("one takes the rows without `{other}`, by which nothing is cut"));
    }
    // Under `on_unrepresentable: null` a column is nullable in the file although the table's is not, and the source
    // cuts by the table's. Such a plan does not tell the two apart; `reconcile` counts all rows at once.
    if plan.on_unrepresentable == OnUnrepresentable::Null {
        return Ok(());
    }
    let nullable = |name: &&String| {
        plan.columns.iter().find(|column| column.mapping.name == **name).map(|column| column.mapping.field.nullable)
    };
    // A column that is not exported is in no mapping: nothing is known of it.
    let known: Vec<Option<bool>> = key.iter().map(|name| nullable(&name)).collect();
    if known.contains(&Some(true)) && nulls.is_empty() {
        return Err(format!("the rows without `{}` are in none", key.join(", ")));
    }
    if let [null] = nulls
        && known.iter().all(|nullable| *nullable == Some(false))
    {
        return Err(format!("one takes the rows without `{null}`, and the plan says that there are none"));
    }
    Ok(())
}
