//! The published JSON Schemas describe the files of real runs, judged by a validator that is not ours.

use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSection as _};
use rivet_tests::{
    readers,
    rivet::{self, Project},
};
use serde_json::Value;

fn published() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/schemas")
}

/// What the validator says against the files; nothing if they are as the schema has them.
fn refused(schema: &str, files: &[PathBuf]) -> Option<String> {
    let schema = published().join(format!("{schema}.schema.json"));
    let files = [&schema].into_iter().chain(files).map(|file| file.to_str().unwrap());
    readers::script("validate.py", &files.collect::<Vec<_>>()).err()
}

#[track_caller]
fn described(schema: &str, files: &[PathBuf]) {
    assert!(!files.is_empty(), "no files for {schema}");
    assert_eq!(refused(schema, files), None);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    found.sort();
    found
}

/// The control files of a project's runs whose name begins so.
fn control(project: &Project, name: &str) -> Vec<PathBuf> {
    let is = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(name);
    files_below(&project.out()).into_iter().filter(is).collect()
}

/// Runs of every mode that the example plugin serves, with every optional part of a plan.
fn runs() -> Project {
    let project = rivet::project();
    let end = "destination: {type: local, path: '{out}/{export}'}";
    project.config(&format!(
        "
source: {{type: example, rows: 300, tuning: {{throttle_ms: 1, statement_timeout_s: 60}}}}
exports:
  - {{name: chunked, table: numbers, mode: chunked, chunk_column: id, chunk_size: 100, parallel: 2, format: parquet,
      columns: {{}}, rename: {{word: text}}, meta_columns: {{exported_at: true, row_hash: true}}, max_file_size: 1GB,
      parquet: {{bloom_filters: [id], sorting: [id], dictionary: true}}, order_by: [id],
      quality: {{row_count_min: 1, row_count_max: 5000, null_ratio_max: {{word: 0.5}}, unique_columns: [id]}}, {end}}}
  - {{name: incremental, table: numbers, mode: incremental, cursor_column: id, format: csv, compression: gzip,
      exclude: [amount], skip_empty: true, write_mode: append, verify: content, {end}}}
  - {{name: folders, table: numbers, partition_by: word, format: csv, write_mode: replace, consistency: snapshot,
      csv: {{delimiter: ';', quoting: all}}, {end}}}
"
    ));
    project
}

/// The committed example of a schema; RIVET_BLESS=1 writes it from a run, without this machine's paths.
fn example(name: &str, project: &Project, from: &Path) -> PathBuf {
    let path = published().join(format!("{name}.example.json"));
    if std::env::var_os("RIVET_BLESS").is_some() {
        let text = std::fs::read_to_string(from).unwrap();
        let text = text.replace(project.folder().to_str().unwrap(), "/exports");
        let document: Value = serde_json::from_str(&text).unwrap();
        // Another path is another document: it is sealed anew.
        let text = if document.get("seal").is_some() { rivet_seal(&document) } else { text };
        std::fs::write(&path, text).unwrap();
    }
    path
}

fn rivet_seal(document: &Value) -> String {
    String::from_utf8(::rivet::seal::to_json(document).unwrap()).unwrap()
}

#[test]
fn the_files_of_real_runs_are_as_published() {
    let project = runs();
    for export in ["chunked", "incremental", "folders"] {
        project.rivet("run").args(["-e", export]).ok();
    }
    // A second run of each has a watermark to go on from, and a run to replace.
    project.rivet("run").args(["-e", "incremental"]).ok();
    let sealed = project.path("plan.json");
    project.rivet("plan").args(["-e", "chunked", "-o"]).arg(&sealed).ok();
    let plans = [control(&project, "plan.json"), vec![sealed]].concat();
    let (reports, manifests) = (control(&project, "report-"), control(&project, "manifest.json"));
    assert!(plans.len() >= 5 && reports.len() >= 6 && manifests.len() >= 4, "{plans:?} {reports:?} {manifests:?}");
    described("plan", &plans);
    described("report", &reports);
    described("manifest", &manifests);

    let chunked =
        |files: &[PathBuf]| files.iter().find(|path| path.to_str().unwrap().contains("/_rivet/chunked/")).cloned();
    for (name, files) in [("plan", &plans), ("report", &reports), ("manifest", &manifests)] {
        described(name, &[example(name, &project, &chunked(files).unwrap())]);
    }
}

#[test]
fn what_a_schema_does_not_describe_is_seen() {
    let project = runs();
    project.rivet("run").args(["-e", "chunked"]).ok();
    let manifest = control(&project, "manifest.json").remove(0);
    let whole: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let change = |edit: &dyn Fn(&mut Value)| {
        let mut changed = whole.clone();
        edit(&mut changed);
        refused("manifest", &[project.write("changed.json", changed.to_string())])
    };
    assert_eq!(change(&|_| {}), None);
    assert!(change(&|value| value["extra"] = 1.into()).unwrap().contains("extra"));
    assert!(change(&|value| value["parts"][0]["size_bytes"] = "1".into()).unwrap().contains("size_bytes"));
    assert!(change(&|value| value["consistency"] = "perfect".into()).unwrap().contains("perfect"));
    assert!(
        change(&|value| {
            value.as_object_mut().unwrap().remove("rows");
        })
        .unwrap()
        .contains("rows")
    );
}

#[test]
fn plugins_and_their_lock_are_as_published() {
    let project = runs();
    let mut manifests = Vec::new();
    for name in ["example", "sqlite", "postgres", "mysql", "mssql", "s3", "gcs", "azure"] {
        let info = rivet::Command::new().args(["plugin", "info", name, "--json"]).ok().json();
        let verified = rivet::Command::new().args(["plugin", "verify", name, "--json"]).ok().json();
        assert_eq!(verified["ok"], true, "{verified}");
        manifests.push(project.write(&format!("{name}.json"), info["manifest"].to_string()));
    }
    described("plugin-manifest", &manifests);

    rivet::Command::new().args(["plugin", "lock", "-c"]).arg(project.path("rivet.yaml")).ok();
    let lock = project.path("rivet.lock");
    described("plugin-lock", std::slice::from_ref(&lock));
    described("plugin-lock", &[example("plugin-lock", &project, &lock)]);
}

/// The link section as `docs/reference/schemas/README.md` lays it out, in a plugin that never changes.
#[test]
fn the_link_section_is_as_published() {
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/abi-1.0/librivet_plugin_example.so");
    let bytes = std::fs::read(plugin).unwrap();
    let library = object::File::parse(&*bytes).unwrap();
    let section = library.section_by_name(".rivet_meta").unwrap().data().unwrap();
    let number = |at: usize| u32::from_le_bytes(section[at..at + 4].try_into().unwrap());
    assert_eq!(&section[..8], b"RIVETMET");
    assert_eq!([8, 12, 16, 20, 24].map(number), [1, 1, 0, 1, 1]);
    let json = &section[32..32 + number(28) as usize];
    let value: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(value["name"], "example");
    let project = rivet::project();
    let manifest = project.write("manifest.json", serde_json::to_string_pretty(&value).unwrap() + "\n");
    described("plugin-manifest", std::slice::from_ref(&manifest));
    let example = example("plugin-manifest", &project, &manifest);
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(example).unwrap()).unwrap(), value);
}

#[test]
fn the_command_prints_what_is_published() {
    for name in ["plan", "report", "manifest", "plugin-manifest", "plugin-lock"] {
        let printed = rivet::Command::new().args(["schema", name]).ok().json();
        let file = std::fs::read(published().join(format!("{name}.schema.json"))).unwrap();
        assert_eq!(printed, serde_json::from_slice::<Value>(&file).unwrap(), "{name}");
    }
}
