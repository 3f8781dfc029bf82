//! `rivet doctor`: everything a run needs, tried one after the other; a failure stops nothing.

use std::collections::BTreeSet;

use rivet_sdk::{Destination, Error, ErrorKind, Identity, Relation, Result, WriteOptions, capability};
use serde_json::{Value, json};

use super::arguments::{DoctorArguments, Global};
use super::exit::{Failed, Outcome};
use super::print;
use crate::budget::Budget;
use crate::commit;
use crate::config::{self, ExportConfig, SourcePlugin, StateConfig};
use crate::destination::BUILT_IN;
use crate::redact;
use crate::session::Session;
use crate::source::Plugins;
use crate::state::State;
use crate::stop::Stop;

pub fn doctor(arguments: &DoctorArguments, global: &Global, stop: Stop) -> Outcome {
    let selection = &arguments.selection;
    let params: std::collections::BTreeMap<_, _> = selection.param.iter().cloned().collect();
    let variables = config::variables(&selection.config, params.clone());
    let config = config::load(&selection.config, params).map_err(Failed::Faults)?;
    let plugins = Plugins::new(&global.plugin_dir, &config.plugin_dirs, global.untrusted_plugins)
        .locked(global.lock(&config.plugin_lock))?;
    let mut report = Report { findings: Vec::new(), json: arguments.json };
    let source_plugin = match &config.source.plugin {
        SourcePlugin::Name(name) => Ok(name.clone()),
        SourcePlugin::Scheme(scheme) => plugins.name_for_scheme(scheme),
    };
    let unknown = source_plugin.as_ref().err().cloned();
    let budget = Budget::new(config.memory_limit_mb << 20);
    let source_plugin = source_plugin.unwrap_or_default();
    let mut session = Session { config, variables, plugins, budget, stop, source_plugin };

    let missing = check_plugins(&session, &session.entries(&selection.export)?, unknown, &mut report)?;
    if let Err(Failed::Faults(faults)) = options(&session, selection) {
        for fault in faults.iter() {
            let error = Error::config(faults.line(fault));
            let error = match &fault.hint {
                Some(hint) => error.with_hint(hint.clone()),
                None => error,
            };
            report.add(Finding::failed("options", error))?;
        }
    }
    if !missing.contains(&session.source_plugin) {
        report.add(check_source(&mut session))?;
        if session.stop.is_wanted() {
            return report.end();
        }
        if !session.config.families.is_empty() {
            report.add(check_tables(&mut session))?;
        }
    }
    let mut probed: Vec<(&str, &Value)> = Vec::new();
    for export in session.entries(&selection.export)? {
        if session.stop.is_wanted() {
            return report.end();
        }
        let name = export.destination.plugin.as_str();
        let key = (name, &export.destination.block.options);
        if missing.contains(name) || probed.contains(&key) {
            continue;
        }
        probed.push(key);
        report.add(check_destination(&session, export))?;
    }
    report.add(check_state(&session.config.state))?;
    report.end()
}

fn options(session: &Session, selection: &super::arguments::Selection) -> Outcome {
    session.check_options(&selection.config).map_err(|refused| match refused {
        crate::session::Refused::Faults(faults) => Failed::Faults(faults),
        crate::session::Refused::Error(error) => error.into(),
    })
}

/// One thing that was tried.
struct Finding {
    what: String,
    text: String,
    /// Whether it failed, and how.
    error: Option<Error>,
    /// Further lines, and whether each deserves attention.
    notes: Vec<(String, bool)>,
}

impl Finding {
    fn good(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self { what: what.into(), text: text.into(), error: None, notes: Vec::new() }
    }

    fn failed(what: impl Into<String>, error: Error) -> Self {
        let error = redact::clean_error(error);
        Self { what: what.into(), text: error.to_string(), error: Some(error), notes: Vec::new() }
    }

    fn of(what: impl Into<String>, result: Result<String>) -> Self {
        match result {
            Ok(text) => Self::good(what, text),
            Err(error) => Self::failed(what, error),
        }
    }

    fn hint(&self) -> Option<&str> {
        self.error.as_ref().and_then(Error::hint)
    }

    fn to_text(&self) -> String {
        let mark = if self.error.is_some() { "[FAIL]" } else { "[OK]" };
        let mut out = format!("{mark:<6} {}: {}\n", self.what, self.text);
        for (note, warning) in &self.notes {
            let mark = if *warning { "[WARN]" } else { "" };
            out.push_str(&format!("{mark:<6}   {note}\n"));
        }
        if let Some(hint) = self.hint() {
            out.push_str(&format!("         hint: {hint}\n"));
        }
        out
    }

    fn to_json(&self) -> Value {
        let notes: Vec<Value> =
            self.notes.iter().map(|(text, warning)| json!({ "text": text, "warning": warning })).collect();
        json!({
            "check": self.what,
            "status": if self.error.is_some() { "fail" } else { "ok" },
            "text": self.text,
            "kind": self.error.as_ref().map(|error| error.kind().to_string()),
            "hint": self.hint(),
            "notes": notes,
        })
    }
}

struct Report {
    findings: Vec<Finding>,
    json: bool,
}

impl Report {
    fn add(&mut self, finding: Finding) -> Result<()> {
        if !self.json {
            print::out(&finding.to_text())?;
        }
        self.findings.push(finding);
        Ok(())
    }

    fn end(self) -> Outcome {
        if self.json {
            let checks: Vec<Value> = self.findings.iter().map(Finding::to_json).collect();
            print::json(&json!({ "checks": checks }))?;
        }
        let errors: Vec<Error> = self.findings.into_iter().filter_map(|finding| finding.error).collect();
        if errors.is_empty() { Ok(()) } else { Err(Failed::Reported(errors)) }
    }
}

/// The plugins that cannot be used; what needs them is not tried.
fn check_plugins(
    session: &Session,
    exports: &[&ExportConfig],
    unknown: Option<Error>,
    report: &mut Report,
) -> Result<BTreeSet<String>> {
    let mut missing = BTreeSet::new();
    if let Some(error) = unknown {
        report.add(Finding::failed("source plugin", error))?;
        missing.insert(session.source_plugin.clone());
    }
    let mut names = BTreeSet::from([session.source_plugin.as_str()]);
    names.extend(exports.iter().map(|export| export.destination.plugin.as_str()));
    for name in names.into_iter().filter(|name| !name.is_empty() && !BUILT_IN.contains(name)) {
        let found = session.plugins.find(name).and_then(|found| {
            session.plugins.load(name)?;
            Ok(found)
        });
        let finding = match found {
            Ok(found) => {
                let plugin = &found.inspected;
                let text = format!(
                    "{} (ABI {}.{}, SDK {}) from {}",
                    plugin.manifest.version,
                    plugin.abi.0,
                    plugin.abi.1,
                    plugin.manifest.sdk_version(),
                    plugin.path.display()
                );
                let mut finding = Finding::good(format!("plugin {name}"), text);
                let shadowed = found.shadowed.iter();
                finding.notes.extend(shadowed.map(|path| (format!("not used: {}", path.display()), true)));
                let lacks = plugin.manifest.lacks();
                if !lacks.is_empty() {
                    finding.notes.push((format!("lacks: {}", lacks.join(", ")), false));
                }
                let of_source = name == session.source_plugin;
                let reads_query = |export: &&ExportConfig| matches!(export.relation, Relation::Query(_));
                if of_source
                    && plugin.manifest.can(capability::QUERY)
                    && !plugin.manifest.can(capability::QUERY_RULES)
                    && let Some(export) = exports.iter().copied().find(reads_query)
                {
                    finding.notes.push((own_trimming(&export.name), true));
                }
                finding
            }
            Err(error) => {
                missing.insert(name.to_owned());
                Finding::failed(format!("plugin {name}"), error)
            }
        };
        report.add(finding)?;
    }
    Ok(missing)
}

/// What a plugin from before [`capability::QUERY_RULES`] does to a query.
fn own_trimming(export: &str) -> String {
    format!(
        "the plugin cuts comments off queries by rules of its own, and reads them under settings of its own: where the \
         database has others, the query of `{export}` can lose a condition; use a plugin that was built with SDK 0.3"
    )
}

fn check_source(session: &mut Session) -> Finding {
    let what = format!("source {}", session.source_plugin);
    let identity =
        session.demand_tls().and_then(|()| session.open_source()).and_then(|(_, mut source)| source.identity());
    match identity {
        Ok(identity) => Finding { notes: notes(&identity), ..Finding::good(what, login(&identity)) },
        Err(error) => Finding::failed(what, error),
    }
}

/// What the globs of `tables` match.
fn check_tables(session: &mut Session) -> Finding {
    let before = session.config.exports.len();
    let matched = session.add_tables(&[]);
    let text = |()| {
        let left_out = match session.config.left_out.len() {
            0 => String::new(),
            parts => format!(", {parts} more are parts of them"),
        };
        format!("{} match{left_out}", session.config.exports.len() - before)
    };
    Finding::of("tables", matched.map(text))
}

fn login(identity: &Identity) -> String {
    let user = identity.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
    format!("{} {}, {}{user}", identity.product, identity.version, identity.database)
}

fn notes(identity: &Identity) -> Vec<(String, bool)> {
    let pooler = identity.pooler.iter().map(|pooler| (format!("pooler: {pooler}"), true));
    let notes = identity.notes.iter().map(|note| (format!("{}: {}", note.subject, note.text), note.warning));
    pooler.chain(notes).collect()
}

fn check_destination(session: &Session, export: &ExportConfig) -> Finding {
    let what = format!("destination {} of {}", export.destination.plugin, export.name);
    let probed = session.open_destination(export).and_then(|(factory, mut destination)| {
        if factory.is_stdout() {
            return Ok("nothing to try".to_owned());
        }
        let location = destination.location();
        commit::remove_probes(&mut *destination, &export.name)?;
        probe(&mut *destination).map(|()| format!("{location} takes, keeps and gives back objects"))
    });
    Finding::of(what, probed)
}

/// Writes in every way a run does, reads back, and removes what was written.
fn probe(destination: &mut dyn Destination) -> Result<()> {
    // A run that begins meanwhile takes this for a dead one's, and removes it.
    let mut result = probe_once(destination);
    for _ in 0..2 {
        if result.is_ok() {
            break;
        }
        result = probe_once(destination);
    }
    result
}

fn probe_once(destination: &mut dyn Destination) -> Result<()> {
    let id = ulid::Ulid::generate();
    let name = |what: &str| format!("{}{id}-{what}", commit::DOCTOR_PROBE);
    let (once, streamed) = (name("once"), name("streamed"));
    let result = write_and_read(destination, &once, &streamed);
    let removed = destination.delete(&once).and(destination.delete(&streamed));
    result?;
    removed.map_err(|error| error.with_context("object", once.clone()))?;
    match destination.head(&once)? {
        None => Ok(()),
        Some(_) => Err(Error::integrity("an object is still there after it was deleted")
            .with_hint("the store may keep versions or be late; rivet removes parts of dead attempts")
            .with_context("object", once)),
    }
}

fn write_and_read(destination: &mut dyn Destination, once: &str, streamed: &str) -> Result<()> {
    let broken = |what: &str, object: &str| {
        Error::integrity(what)
            .with_hint("rivet cannot commit safely here; use another store, or ask its operator")
            .with_context("object", object.to_owned())
    };
    if !destination.put_if_absent(once, b"first")? {
        return Err(broken("the store says that a new object exists already", once));
    }
    if destination.put_if_absent(once, b"second")? {
        return Err(Error::new(ErrorKind::Unsupported, "the store ignores the condition of a conditional write")
            .with_code("no_put_if_absent")
            .with_hint("two runs could overwrite each other there; use a store that honours If-None-Match")
            .with_context("object", once.to_owned()));
    }
    if destination.get(once)?.as_deref() != Some(b"first") {
        return Err(broken("what was read is not what was written", once));
    }
    let mut writer = destination.create(streamed, &WriteOptions::default())?;
    writer.write(b"rivet ")?;
    writer.write(b"doctor")?;
    writer.finish()?;
    drop(writer);
    if destination.read_at(streamed, 6, 6)?.as_deref() != Some(b"doctor") {
        return Err(broken("what was read is not what was written", streamed));
    }
    let listed = destination.list(streamed)?;
    match listed.as_slice() {
        [object] if object.key == streamed && object.size_bytes == 12 => Ok(()),
        _ => Err(broken("a new object is not in the store's listing, or with another size", streamed)),
    }
}

fn check_state(state: &StateConfig) -> Finding {
    Finding::of("state", State::of(state).map(|state| state.place()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::{Local, LocalOptions};
    use rivet_sdk::Note;

    #[test]
    fn a_probe_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut local = Local::open(LocalOptions { path: folder.path().into() }).unwrap();
        probe(&mut local).unwrap();
        assert_eq!(local.list("").unwrap(), []);
    }

    #[test]
    fn findings_read_as_lines() {
        let identity = Identity::new("PostgreSQL", "18.1", "1", "shop")
            .with_user("reader".to_owned())
            .with_pooler("PgBouncer".to_owned())
            .with_notes(vec![Note::new("TLS", "TLSv1.3")]);
        let good = Finding { notes: notes(&identity), ..Finding::good("source postgres", login(&identity)) };
        let bad = Finding::failed("state", Error::config("no").with_hint("do"));
        let expected = "\
[OK]   source postgres: PostgreSQL 18.1, shop as reader
[WARN]   pooler: PgBouncer
         TLS: TLSv1.3
[FAIL] state: no
         hint: do
";
        assert_eq!(good.to_text() + &bad.to_text(), expected);
    }
}
