//! What landed, as two independent readers see it: DuckDB and pyarrow, through `tests/readers/read.py`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::{Value, json};

/// Rows in canonical form: each value is null, a text that loses nothing, or an array or object of
/// those. `read.py` describes the texts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Table {
    /// In the file's order.
    pub columns: Vec<Column>,
    /// In the order of files and of rows within them.
    pub rows: Vec<Vec<Value>>,
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its texts mean: `int`, `decimal`, `timestamptz_us`…
    pub kind: String,
    /// Who judged its values: DuckDB has no room for some types, pyarrow has for all.
    #[serde(default)]
    pub readers: Vec<String>,
}

impl Column {
    fn may_hold_floats(&self) -> bool {
        matches!(self.kind.as_str(), "float32" | "float64" | "list" | "struct" | "map")
    }
}

/// Every value of a Parquet file, or of the Parquet files in a folder. The readers must agree.
pub fn parquet(path: impl AsRef<Path>) -> Table {
    json(&["rows"], &[path.as_ref()])
}

/// Every value of a CSV file, or of the CSV files in a folder, all as text.
pub fn csv(path: impl AsRef<Path>) -> Table {
    csv_with(path, &Value::Object(serde_json::Map::new()))
}

/// As [`csv`], with `delimiter`, `quote`, `null` (texts) or `header` (a bool) other than the usual.
pub fn csv_with(path: impl AsRef<Path>, options: &Value) -> Table {
    json(&["rows", "--csv", &options.to_string()], &[path.as_ref()])
}

/// What a Parquet file says of itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Schema {
    /// The file.
    pub file: PathBuf,
    /// All its rows.
    pub rows: u64,
    /// The rows of each row group.
    pub row_groups: Vec<u64>,
    /// Who wrote it.
    pub created_by: String,
    /// Key-value metadata of the file, without the Arrow schema.
    pub metadata: BTreeMap<String, String>,
    /// The Arrow fields.
    pub columns: Vec<Field>,
    /// The physical columns.
    pub leaves: Vec<Leaf>,
}

/// An Arrow field of a [`Schema`].
#[derive(Debug, Clone, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its Arrow type in pyarrow's words.
    pub arrow: String,
    /// As [`Column::kind`].
    pub kind: String,
    /// False for REQUIRED columns.
    pub nullable: bool,
    /// Such as `rivet.source_type` and `rivet.fidelity`.
    pub metadata: BTreeMap<String, String>,
}

/// A physical Parquet column of a [`Schema`].
#[derive(Debug, Clone, Deserialize)]
pub struct Leaf {
    /// Dotted, e.g. `tags.list.element`.
    pub path: String,
    /// `INT64`, `BYTE_ARRAY`, `FIXED_LEN_BYTE_ARRAY`…
    pub physical: String,
    /// Bytes of a fixed-length array.
    pub length: i64,
    /// In pyarrow's words, e.g. `Decimal(precision=15, scale=2)`, `UUID`, `None`.
    pub logical: String,
    /// Neither it nor anything around it can be NULL.
    pub required: bool,
    /// Parquet's own measure of how optional it is.
    pub max_definition_level: i64,
    /// Parquet's own measure of how repeated it is.
    pub max_repetition_level: i64,
    /// `ZSTD`, `SNAPPY`…, sorted.
    pub codecs: Vec<String>,
    /// `PLAIN`, `RLE_DICTIONARY`…, sorted.
    pub encodings: Vec<String>,
    /// Of all row groups.
    pub compressed_bytes: u64,
}

/// The schema of each Parquet file under a path.
pub fn schema(path: impl AsRef<Path>) -> Vec<Schema> {
    json(&["schema"], &[path.as_ref()])
}

/// DuckDB's answer to a question about the files, which are the table `t`. For data too large to
/// compare value by value: `sql(folder, "SELECT count(*), count(DISTINCT id), sum(balance) FROM t")`.
pub fn sql(path: impl AsRef<Path>, statement: &str) -> Vec<Vec<Option<String>>> {
    json(&["sql", statement], &[path.as_ref()])
}

/// The data files under a folder, by name; names that start with `_` or `.` are not data.
pub fn files(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.as_ref()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && (name == "__HIVE_DEFAULT_PARTITION__" || !name.starts_with(['_', '.'])) {
            found.extend(files(&path));
        } else if path.is_file() && !name.starts_with(['_', '.']) {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Table {
    /// The values of one column.
    pub fn column(&self, name: &str) -> Vec<&Value> {
        let at =
            self.columns.iter().position(|column| column.name == name).unwrap_or_else(|| panic!("no column {name}"));
        self.rows.iter().map(|row| &row[at]).collect()
    }

    /// Rows in the order of their texts: for exports whose chunks arrive in any order.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.rows.sort_by_cached_key(|row| serde_json::to_string(row).unwrap());
        self
    }

    /// Rows in the order of one integer column.
    #[must_use]
    pub fn sorted_by(mut self, name: &str) -> Self {
        let at =
            self.columns.iter().position(|column| column.name == name).unwrap_or_else(|| panic!("no column {name}"));
        self.rows.sort_by_key(|row| row[at].as_str().map(|text| text.parse::<i128>().unwrap()));
        self
    }
}

/// Panics with the first few differences. Column names must agree, and each value with its like;
/// kinds are the business of a schema's test (a decimal exported as text is the same value).
/// Floating point is compared as numbers: who prints which digits is no difference.
#[track_caller]
pub fn assert_same(expected: &Table, found: &Table) {
    let names = |table: &Table| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(expected), names(found), "column names");
    let mut differences = String::new();
    let mut count = 0;
    for (number, (one, other)) in expected.rows.iter().zip(&found.rows).enumerate() {
        for ((column, one), other) in expected.columns.iter().zip(one).zip(other) {
            if !same(one, other, column.may_hold_floats()) {
                count += 1;
                if count <= 10 {
                    let short = |value: &Value| value.to_string().chars().take(200).collect::<String>();
                    let (one, other) = (short(one), short(other));
                    writeln!(
                        differences,
                        "row {number}, {} ({}): expected {one}, found {other}",
                        column.name, column.kind
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(count == 0, "{count} values differ:\n{differences}");
    assert_eq!(expected.rows.len(), found.rows.len(), "rows");
}

fn same(one: &Value, other: &Value, floats: bool) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other, floats))
        }
        (Value::Object(one), Value::Object(other)) => {
            let like = |(key, value)| other.get(key).is_some_and(|other| same(value, other, floats));
            one.len() == other.len() && one.iter().all(like)
        }
        (Value::String(one), Value::String(other)) => one == other || (floats && same_float(one, other)),
        _ => one == other,
    }
}

/// The same floating-point number in other words: 1e+16 and 10000000000000000.0, Infinity and inf.
fn same_float(one: &str, other: &str) -> bool {
    matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if one.to_bits() == other.to_bits())
}

fn json<T: for<'a> Deserialize<'a>>(arguments: &[&str], files: &[&Path]) -> T {
    let files = files.iter().map(|file| file.to_str().unwrap());
    let arguments: Vec<&str> = arguments.iter().copied().chain(files).collect();
    let answer =
        script("read.py", &arguments).unwrap_or_else(|error| panic!("the readers refuse {arguments:?}:\n{error}"));
    serde_json::from_str(&answer).unwrap()
}

#[derive(Deserialize)]
struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

/// What a script of `tests/readers` prints; an error is what it prints where it fails. It runs in the process that the
/// runner keeps for it, or else in one of its own.
pub fn script(name: &str, arguments: &[&str]) -> Result<String, String> {
    let answer = match std::env::var_os("RIVET_TEST_READERS") {
        Some(socket) => {
            let runner = std::env::vars().filter(|(name, _)| name.starts_with("RIVET_TEST_"));
            let environment: BTreeMap<String, String> = runner.collect();
            let call = json!({"script": name, "arguments": arguments, "environment": environment});
            let mut stream = UnixStream::connect(socket).unwrap();
            writeln!(stream, "{call}").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name} {arguments:?}: {error}"))
        }
        None => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers").join(name);
            let mut python = Command::new(crate::from_runner("RIVET_TEST_PYTHON"));
            let output = python.arg(path).args(arguments).output().unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Answer { code: output.status.code().unwrap_or(1), stdout: text(output.stdout), stderr: text(output.stderr) }
        }
    };
    if answer.code == 0 { Ok(answer.stdout) } else { Err(answer.stderr) }
}
