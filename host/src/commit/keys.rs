//! The names of everything a run writes, and what a name tells.

use rivet_sdk::{Error, Result};
use ulid::Ulid;

use crate::plan::{Codec, Format, OutputSpec, Plan};

/// The folder of all control objects, at the destination's root.
pub const CONTROL_ROOT: &str = "_rivet/";

/// One run of one export: what every name is made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey {
    export: String,
    run_id: String,
}

impl RunKey {
    /// Refuses names that would not be one safe path component.
    pub fn new(export: &str, run_id: &str) -> Result<Self> {
        check_name("export", export)?;
        if Ulid::from_string(run_id).is_err() || run_id.len() != RUN_ID_LENGTH {
            return Err(Error::config(format!("{run_id:?} is not a run id"))
                .with_hint("run ids are the 26 characters that `rivet journal` prints"));
        }
        Ok(Self { export: export.to_owned(), run_id: run_id.to_owned() })
    }

    /// The run of a plan; its data prefix is checked as well.
    pub fn of(plan: &Plan) -> Result<Self> {
        check_prefix(&plan.destination.data_prefix)?;
        Self::new(&plan.export, &plan.run_id)
    }

    /// The export.
    pub fn export(&self) -> &str {
        &self.export
    }

    /// The run's ULID. Later runs have greater ids.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The folder of the run's control objects.
    pub fn folder(&self) -> String {
        format!("{CONTROL_ROOT}{}/{}/", self.export, self.run_id)
    }

    /// The sealed plan.
    pub fn plan(&self) -> String {
        format!("{}plan.json", self.folder())
    }

    /// The report of a chunk's winning attempt.
    pub fn report(&self, chunk: u32) -> String {
        format!("{}report-{chunk:05}.json", self.folder())
    }

    /// The run's one decision object: the manifest, or a tombstone.
    pub fn manifest(&self) -> String {
        format!("{}manifest.json", self.folder())
    }

    /// What the names of all parts of one attempt start with.
    pub fn attempt_prefix(&self, data_prefix: &str, chunk: u32, attempt: &str) -> String {
        format!("{}c{chunk:05}-a{attempt}-", self.part_prefix(data_prefix))
    }

    /// What the names of all parts of the run start with.
    pub fn part_prefix(&self, data_prefix: &str) -> String {
        format!("{data_prefix}{}-{}-", self.export, self.run_id)
    }

    /// A part's name. Parts are numbered from 1.
    pub fn part(&self, data_prefix: &str, chunk: u32, attempt: &str, number: u32, extension: &str) -> String {
        format!("{}p{number:04}.{extension}", self.attempt_prefix(data_prefix, chunk, attempt))
    }
}

/// The marker at the end of a data prefix.
pub fn success(data_prefix: &str) -> String {
    format!("{data_prefix}_SUCCESS")
}

/// The folder of an export's runs.
pub fn export_folder(export: &str) -> String {
    format!("{CONTROL_ROOT}{export}/")
}

/// What follows the last dot of the stem: `parquet`, `csv`, `csv.gz`, …
pub fn extension(output: &OutputSpec) -> &'static str {
    match (&output.format, output.compression.codec) {
        (Format::Parquet(_), _) => "parquet",
        (Format::Csv(_), Codec::Gzip) => "csv.gz",
        (Format::Csv(_), Codec::Zstd) => "csv.zst",
        // No other codec: the encoder refuses it before a part has a name.
        (Format::Csv(_), _) => "csv",
    }
}

/// A random attempt id: 60 random bits, so two machines never share one.
pub(super) fn new_attempt_id() -> String {
    Ulid::generate().to_string().chars().skip(RUN_ID_LENGTH - 12).collect()
}

/// A run id greater than every one in `earlier`, even if this machine's clock is behind.
pub fn next_run_id<'a>(earlier: impl IntoIterator<Item = &'a str>) -> String {
    let now = Ulid::generate();
    let latest = earlier.into_iter().filter_map(|id| Ulid::from_string(id).ok()).max();
    match latest {
        Some(latest) if latest >= now => Ulid::from_parts(latest.timestamp_ms() + 1, now.random()).to_string(),
        _ => now.to_string(),
    }
}

const RUN_ID_LENGTH: usize = 26;

/// What a part's name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartName {
    /// The run.
    pub run_id: String,
    /// The chunk's index.
    pub chunk: u32,
    /// The attempt that wrote it.
    pub attempt: String,
    /// From 1.
    pub number: u32,
}

/// Reads a part's name back; folders before it do not matter. None for any other object.
pub fn parse_part(export: &str, key: &str) -> Option<PartName> {
    let name = key.rsplit('/').next()?;
    let rest = name.strip_prefix(export)?.strip_prefix('-')?;
    let (run_id, rest) = rest.split_at_checked(RUN_ID_LENGTH)?;
    Ulid::from_string(run_id).ok()?;
    let (chunk, rest) = rest.strip_prefix("-c")?.split_once("-a")?;
    let (attempt, rest) = rest.split_once("-p")?;
    let (number, _) = rest.split_once('.')?;
    if attempt.is_empty() || !attempt.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    Some(PartName {
        run_id: run_id.to_owned(),
        chunk: digits(chunk)?,
        attempt: attempt.to_owned(),
        number: digits(number)?,
    })
}

/// A control object of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlObject {
    /// `plan.json`.
    Plan,
    /// `report-<chunk>.json`.
    Report(u32),
    /// `manifest.json`.
    Manifest,
}

/// Which run's control object a key is.
pub fn parse_control(export: &str, key: &str) -> Option<(RunKey, ControlObject)> {
    let (run_id, name) = key.strip_prefix(&export_folder(export))?.split_once('/')?;
    let object = match name {
        "plan.json" => ControlObject::Plan,
        "manifest.json" => ControlObject::Manifest,
        _ => ControlObject::Report(digits(name.strip_prefix("report-")?.strip_suffix(".json")?)?),
    };
    Some((RunKey::new(export, run_id).ok()?, object))
}

fn digits(text: &str) -> Option<u32> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Refuses what is not one plain path component.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let bad = |character: char| character == '/' || character == '\\' || character.is_control();
    if name.is_empty() || name.starts_with('.') || name.chars().any(bad) {
        return Err(Error::config(format!("{name:?} cannot name an {what}"))
            .with_hint("use a name without `/`, `\\` or control characters that does not start with a dot"));
    }
    Ok(())
}

fn check_prefix(prefix: &str) -> Result<()> {
    if prefix.is_empty() {
        return Ok(());
    }
    let plain = |component: &str| !matches!(component, "" | "." | "..") && !component.contains('\\');
    match prefix.strip_suffix('/') {
        Some(folders) if folders.split('/').all(plain) && !prefix.starts_with(CONTROL_ROOT) => Ok(()),
        _ => Err(Error::config(format!("{prefix:?} cannot be a folder at the destination"))
            .with_hint("use relative folders without `..`, outside `_rivet`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "01JD0000000000000000000000";

    #[test]
    fn every_part_name_is_read_back() {
        for export in ["orders", "orders-old", "public.orders", "c00001-a1-p0001"] {
            let run = RunKey::new(export, RUN).expect("a run");
            let key = run.part("day=1/region=eu/", 100_000, "0123456789AB", 2, "csv.gz");
            let read = parse_part(export, &key).expect("a part");
            assert_eq!((read.chunk, read.attempt.as_str(), read.number), (100_000, "0123456789AB", 2));
        }
    }

    #[test]
    fn a_name_of_another_export_is_not_ours() {
        let key = RunKey::new("orders-old", RUN).expect("a run").part("", 1, "A", 1, "parquet");
        assert_eq!(parse_part("orders", &key), None);
        assert_eq!(parse_part("orders", "orders-2024.parquet"), None);
    }

    #[test]
    fn control_objects_are_read_back() {
        let run = RunKey::new("orders", RUN).expect("a run");
        assert_eq!(parse_control("orders", &run.report(7)), Some((run.clone(), ControlObject::Report(7))));
        assert_eq!(parse_control("orders", &run.manifest()), Some((run, ControlObject::Manifest)));
        assert_eq!(parse_control("orders", "_rivet/orders/notes.txt"), None);
    }

    #[test]
    fn unsafe_names_are_refused() {
        for name in ["", ".", "..", "a/b", "a\\b", ".hidden", "a\nb"] {
            assert!(RunKey::new(name, RUN).is_err(), "{name:?}");
        }
        for prefix in ["/", "a", "../", "a//", "a/../b/", "_rivet/x/"] {
            assert!(check_prefix(prefix).is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn a_later_run_has_a_greater_id_whatever_the_clock_says() {
        let ahead = "7ZZZ0000000000000000000000";
        assert!(next_run_id([RUN, ahead]).as_str() > ahead);
    }
}
