//! A plan as a document: read, checked against its seal, passed on as it was read.
//!
//! Nobody writes a plan that he has read with types of his own: another version's keys would be lost, and the two
//! would disagree about what was sealed.

use std::sync::Arc;

use rivet_loader::PluginManifest;
use rivet_sdk::{Error, Result};
use serde_json::Value;

use super::as_read::{AsRead, Document, PLAN_VERSION, PLAN_VERSION_REQUIRING, first_id};
use super::made_by::MadeBy;
use super::types::Plan;
use crate::seal;

/// The keys that change rows and that a plan may list under `requires`: those that came after version 1.
pub const KNOWN_REQUIRED: &[&str] = &[TIES];
/// Rows at the watermark are left out, or remembered.
pub const TIES: &str = "ties";

impl Plan {
    /// Reads a plan, and refuses one that is not what was sealed or that this version does not understand. `what`
    /// names it in errors.
    pub fn read(what: &str, body: &[u8]) -> Result<Self> {
        let unreadable = |error: serde_json::Error| {
            Error::integrity(format!("{what} is not a plan: {error}"))
                .with_code("not_a_plan")
                .with_hint("it was changed by something else; `rivet plan -o FILE` writes one")
        };
        let value: Value = serde_json::from_slice(body).map_err(unreadable)?;
        check_version(what, &value)?;
        let mut plan: Self = serde_json::from_slice(body).map_err(unreadable)?;
        let seal = seal::check_or_warn("plan", what, body)?;
        plan.as_read = AsRead(Some(Arc::new(Document::of(body, seal)?)));
        Ok(plan)
    }

    /// The plan with its document made once and for all: a new plan that nothing is changed in any more.
    pub fn sealed(self) -> Result<Self> {
        let as_read = AsRead(Some(self.document()?));
        Ok(Self { as_read, ..self })
    }

    fn document(&self) -> Result<Arc<Document>> {
        if let Some(document) = &self.as_read.0 {
            return Ok(Arc::clone(document));
        }
        let body = seal::to_json(self)?;
        let seal = seal::check("the plan", &body)?;
        Ok(Arc::new(Document::of(&body, seal)?))
    }

    /// The plan's bytes: as they were read, or else sealed now.
    pub fn body(&self) -> Result<Vec<u8>> {
        Ok(self.document()?.body.clone())
    }

    /// What reports and manifests call the plan: `sha256:` and 64 hex digits, as rivet 0.1 computes it.
    pub fn id(&self) -> Result<String> {
        match &self.as_read.0 {
            Some(document) => Ok(document.id.clone()),
            None if self.plan_version == PLAN_VERSION => Ok(first_id(
                &serde_json::to_value(self).map_err(|error| Error::internal(format!("plan to JSON: {error}")))?,
            )),
            None => Ok(self.document()?.id.clone()),
        }
    }

    /// The plan's seal; None for one that has none.
    pub fn seal(&self) -> Result<Option<String>> {
        let document = self.document()?;
        Ok(document.seal.is_there.then(|| document.seal.hash.clone()))
    }

    /// Whether both are the same document; or one of them is what a version without seals made of it.
    pub fn is_same_document(&self, other: &Self) -> Result<bool> {
        let (own, others) = (self.document()?, other.document()?);
        let both_sealed = own.seal.is_there && others.seal.is_there;
        Ok(own.seal.hash == others.seal.hash || (!both_sealed && own.id == others.id))
    }

    /// Says so where other versions than these made the plan; the source's plugin's where one is at hand.
    pub fn warn_of_versions(&self, plugin: Option<&PluginManifest>) {
        let now = MadeBy::this(plugin);
        if let Some(difference) = self.made_by.as_ref().and_then(|made_by| made_by.difference(&now)) {
            log::warn!("{}: the plan was made by other versions: {difference}", self.export);
        }
    }
}

/// Refuses a plan whose rows depend on what this version does not know, by its names.
fn check_version(what: &str, value: &Value) -> Result<()> {
    let newer = |why: String| {
        Error::config(format!("{what} was written by a newer rivet: {why}"))
            .with_code("newer_plan")
            .with_hint("use that rivet, or make the plan again with this one")
    };
    let Some(version) = value.get("plan_version").and_then(Value::as_u64) else {
        return Err(Error::integrity(format!("{what} has no `plan_version`"))
            .with_code("not_a_plan")
            .with_hint("it was changed by something else; `rivet plan -o FILE` writes one"));
    };
    let required = value.get("requires").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let unknown = |key: &&Value| key.as_str().is_none_or(|key| !KNOWN_REQUIRED.contains(&key));
    let unknown: Vec<String> = required.iter().filter(unknown).map(|key| format!("`{}`", text_of(key))).collect();
    if !unknown.is_empty() {
        return Err(newer(format!("its rows depend on {}, which this one does not know", unknown.join(", "))));
    }
    let known = [PLAN_VERSION, PLAN_VERSION_REQUIRING].map(u64::from);
    if !known.contains(&version) {
        return Err(newer(format!("its version is {version}, this one knows {} and {}", known[0], known[1])));
    }
    Ok(())
}

fn text_of(key: &Value) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the program of 20758ea, whose manifest of it says `plan_id`.
    const OLD: &str = include_str!("../../../tests/fixtures/rivet-20758ea/plan.json");
    const OLD_MANIFEST: &str = include_str!("../../../tests/fixtures/rivet-20758ea/manifest.json");

    fn edited(edit: impl Fn(&mut Value)) -> Vec<u8> {
        let mut value: Value = serde_json::from_str(OLD).unwrap();
        edit(&mut value);
        value.to_string().into_bytes()
    }

    fn sealed(edit: impl Fn(&mut Value)) -> Vec<u8> {
        let value: Value = serde_json::from_slice(&edited(edit)).unwrap();
        seal::to_json(&value).unwrap()
    }

    fn refused(body: &[u8]) -> String {
        let error = Plan::read("plan.json", body).unwrap_err();
        format!("{} {}", error.code().unwrap_or_default(), error.message())
    }

    #[test]
    fn a_plan_of_before_has_the_id_that_its_manifest_gives_it() {
        let manifest: Value = serde_json::from_str(OLD_MANIFEST).unwrap();
        let plan = Plan::read("plan.json", OLD.as_bytes()).unwrap();
        assert_eq!(plan.id().unwrap(), manifest["plan_id"]);
        assert_eq!(plan.seal().unwrap(), None);
        assert_eq!(plan.body().unwrap(), OLD.as_bytes(), "it is passed on as it was read");
        // Whatever is added to it later.
        let more =
            Plan::read("plan.json", &sealed(|plan| plan["made_by"] = serde_json::json!({"rivet": "9", "sdk": "9"})))
                .unwrap();
        assert_eq!(more.id().unwrap(), manifest["plan_id"]);
        assert!(more.is_same_document(&plan).unwrap(), "one of them is what an older version made of it");
    }

    #[test]
    fn a_key_that_nobody_needs_to_know_is_passed_on() {
        let body = sealed(|plan| plan["a_note"] = "harmless".into());
        let plan = Plan::read("plan.json", &body).unwrap();
        assert_eq!(plan.body().unwrap(), body);
        assert!(plan.seal().unwrap().is_some());
        let other = Plan::read("plan.json", &sealed(|plan| plan["a_note"] = "another".into())).unwrap();
        assert!(!plan.is_same_document(&other).unwrap());
    }

    #[test]
    fn what_changes_rows_must_be_understood() {
        let requires = |keys: Value, version: u64| {
            sealed(move |plan| {
                plan["requires"] = keys.clone();
                plan["plan_version"] = version.into();
            })
        };
        let text = refused(&requires(serde_json::json!(["sample", "where"]), 2));
        assert_eq!(
            text,
            "newer_plan plan.json was written by a newer rivet: its rows depend on `sample`, `where`, which this one does \
             not know"
        );
        assert!(refused(&requires(serde_json::json!([7]), 1)).contains("`7`"), "whatever its version");
        for no_list in [serde_json::json!("where"), serde_json::json!({"where": 1}), Value::Null] {
            assert!(refused(&requires(no_list, 2)).starts_with("not_a_plan"), "it is not taken for an empty one");
        }
        assert!(refused(&requires(serde_json::json!([]), 3)).contains("its version is 3, this one knows 1 and 2"));
        assert!(refused(&edited(|plan| plan["plan_version"] = "1".into())).starts_with("not_a_plan"));
        Plan::read("plan.json", &requires(serde_json::json!([]), 2)).unwrap();
    }

    #[test]
    fn a_changed_bound_breaks_the_seal() {
        let body = String::from_utf8(sealed(|_| {})).unwrap();
        assert!(body.contains("\"26\""), "{body}");
        assert!(refused(body.replacen("\"26\"", "\"36\"", 1).as_bytes()).starts_with(seal::BROKEN_SEAL));
    }
}
