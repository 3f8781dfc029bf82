//! How many exports run at once, and how many connections they may hold at the source.

use std::num::NonZeroUsize;

use super::diagnostic::Diagnostic;
use super::export::ExportConfig;
use super::fields::Fields;

/// How many exports may run at once; 1: one after the other.
///
/// As many as the machine has cores where the user names no number: exports of small tables
/// mostly wait. Two where there is one core only, and never more than eight: a server that is
/// not asked should not have to bear more.
pub fn exports_by_cores() -> usize {
    std::thread::available_parallelism().map_or(2, NonZeroUsize::get).clamp(2, 8)
}

/// `parallel_exports`, and rivet-cli's word for it.
pub fn exports_at_once(root: &Fields) -> usize {
    match root.integer("parallel_exports") {
        Some(exports) => exports,
        None if root.is("parallel_exports") || root.is("parallel_export_processes") => exports_by_cores(),
        None => 1,
    }
}

impl ExportConfig {
    /// The most connections that a run holds: one, where one worker does it all; otherwise the planner's, each
    /// worker's, the governor's, and one to count with. Cancelling a statement needs one more, briefly.
    pub fn connections(&self, counts: bool) -> u32 {
        if self.parallel <= 1 {
            return 1;
        }
        let more = u32::from(self.tuning.min_parallel.is_some()) + u32::from(counts || self.reconcile_required);
        self.parallel.saturating_add(1 + more)
    }

    /// What there is to say where a run needs more than `limit` on its own, and what helps.
    /// Fewer workers of our own choice are no answer: a plan would say one number, a run do another.
    pub fn too_many_connections(&self, limit: Option<u32>, counts: bool) -> Option<(String, String)> {
        let (needed, limit) = (self.connections(counts), limit?);
        if needed <= limit {
            return None;
        }
        let others = needed - self.parallel;
        let message = format!("`{}` needs {needed} connections, and `source.max_connections` is {limit}", self.name);
        let hint = match limit.checked_sub(others).filter(|most| *most > 0) {
            Some(most) if most > 1 => format!("`parallel: {most}` fits: a run needs {others} more than that"),
            _ => "`parallel: 1` fits: one worker needs no other connection".to_owned(),
        };
        Some((message, hint))
    }
}

/// Faults of exports that could never run.
pub fn check<'a>(
    entries: &[Fields],
    exports: impl Iterator<Item = &'a ExportConfig>,
    limit: Option<u32>,
    faults: &mut Vec<Diagnostic>,
) {
    for export in exports {
        let Some((message, hint)) = export.too_many_connections(limit, false) else { continue };
        let Some(entry) = entries.iter().find(|entry| entry.text("name") == Some(&export.name)) else { continue };
        faults.push(entry.fault("parallel", message).with_hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use crate::config::{Config, Diagnostics, Variables, parse};

    fn config(root: &str, source: &str, export: &str) -> Result<Config, Diagnostics> {
        let text = format!(
            "source: {{type: postgres, url: 'postgresql://h/d', {source}}}\n{root}\nexports:\n  \
             - {{name: e, table: t, format: csv, destination: {{type: local, path: o}}, {export}}}\n"
        );
        parse(&text, Path::new("rivet.yaml"), &Variables::new(BTreeMap::new(), Path::new("")))
    }

    fn fault(source: &str, export: &str) -> String {
        config("", source, export).unwrap_err().to_string()
    }

    #[test]
    fn exports_at_once_are_one_a_number_or_by_the_cores() {
        let at_once = |root: &str| config(root, "", "").unwrap().exports_at_once;
        assert_eq!(
            ["", "parallel_exports: false", "parallel_exports: 1", "parallel_exports: 12"].map(at_once),
            [1, 1, 1, 12]
        );
        for root in ["parallel_exports: true", "parallel_export_processes: true"] {
            assert!((2..=8).contains(&at_once(root)), "{root}");
        }
        let wrong = config("parallel_exports: 0", "", "").unwrap_err().to_string();
        assert!(wrong.contains("must be 1 to 1024"), "{wrong}");
        let wrong = config("parallel_exports: many", "", "").unwrap_err().to_string();
        assert!(wrong.contains("expected true, false or a whole number"), "{wrong}");
    }

    #[test]
    fn an_export_holds_its_workers_connections_and_what_watches_and_counts() {
        let needed = |export: &str, counts: bool| config("", "", export).unwrap().exports[0].connections(counts);
        assert_eq!([needed("", false), needed("reconcile_required: true, tuning: {adaptive: true}", true)], [1, 1]);
        assert_eq!(needed("parallel: 4", false), 5);
        assert_eq!(needed("parallel: 4", true), 6);
        assert_eq!(needed("parallel: 4, reconcile_required: true", true), 6);
        assert_eq!(needed("parallel: 4, reconcile_required: true, tuning: {adaptive: true}", false), 7);
    }

    #[test]
    fn what_could_never_run_is_refused_with_what_would_fit() {
        assert!(config("", "max_connections: 5", "parallel: 4").is_ok());
        let text = fault("max_connections: 5", "parallel: 5");
        assert!(text.contains("`e` needs 6 connections, and `source.max_connections` is 5"), "{text}");
        assert!(text.contains("exports[0].parallel") && text.contains("`parallel: 4` fits"), "{text}");
        assert!(config("", "max_connections: 1", "reconcile_required: true").is_ok());
        let text = fault("max_connections: 3", "parallel: 2, reconcile_required: true");
        assert!(text.contains("`parallel: 1` fits: one worker needs no other connection"), "{text}");
        let text = fault("max_connections: 0", "");
        assert!(text.contains("must be 1 to 65535"), "{text}");
    }
}
