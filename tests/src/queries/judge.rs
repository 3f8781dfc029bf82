//! What the database's own client makes of a text, and what rivet lands of it.

use std::collections::BTreeMap;

use postgres::SimpleQueryMessage;
use rusqlite::{Batch, fallible_iterator::FallibleIterator as _};
use serde_json::{Value, json};

use super::{Rows, Text};
use crate::{mysql, postgres::Database as Postgres, readers, rivet, sqlite};

/// What the database's client library gets for each text; an error where it gets no rows, or those of two statements.
pub trait Client {
    /// The answers, in order.
    fn ask(&mut self, texts: &[Text]) -> Vec<Result<Rows, String>>;
}

fn sorted(mut rows: Rows) -> Rows {
    // A double that is a whole number has a point in one reader's text and none in the other's.
    for value in rows.iter_mut().flatten().flatten() {
        if let Some(whole) = value.strip_suffix(".0").filter(|whole| whole.parse::<i64>().is_ok()) {
            *value = whole.to_owned();
        }
    }
    rows.sort();
    rows
}

impl Client for Postgres {
    fn ask(&mut self, texts: &[Text]) -> Vec<Result<Rows, String>> {
        let answer = |text: &Text| {
            let messages = self.client().simple_query(&text.sql).map_err(|error| error.to_string())?;
            let ends = messages.iter().filter(|one| matches!(one, SimpleQueryMessage::CommandComplete(_))).count();
            if ends != 1 {
                return Err(format!("{ends} statements"));
            }
            let rows = messages.iter().filter_map(|one| match one {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            });
            Ok(sorted(rows.map(|row| (0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()).collect()))
        };
        texts.iter().map(answer).collect()
    }
}

impl Client for mysql::Database {
    fn ask(&mut self, texts: &[Text]) -> Vec<Result<Rows, String>> {
        let (host, port) = self.server.place().split_once(':').unwrap_or((self.server.place(), "3306"));
        let queries: Vec<&str> = texts.iter().map(|text| text.sql.as_str()).collect();
        let asked = json!({
            "host": host, "port": port, "user": "reader", "password": mysql::PASSWORD, "database": self.name,
            "queries": queries,
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("asked.json");
        std::fs::write(&file, asked.to_string()).unwrap();
        let answers = readers::script("mysql.py", &[file.to_str().unwrap()]).unwrap();
        let answers: Vec<Value> = serde_json::from_str(&answers).unwrap();
        let answer = |answer: Value| match answer {
            Value::String(error) => Err(error),
            rows => Ok(sorted(serde_json::from_value(rows).unwrap())),
        };
        answers.into_iter().map(answer).collect()
    }
}

impl Client for sqlite::Database {
    fn ask(&mut self, texts: &[Text]) -> Vec<Result<Rows, String>> {
        let answer = |text: &Text| {
            let connection = self.connection();
            let wrong = |error: rusqlite::Error| error.to_string();
            let mut answers = Vec::new();
            let mut batch = Batch::new(connection, &text.sql);
            while let Some(mut statement) = batch.next().map_err(wrong)? {
                if statement.parameter_count() > 0 {
                    return Err("a parameter without a value".to_owned());
                }
                let width = statement.column_count();
                let rows = statement.query_map([], |row| {
                    (0..width).map(|at| row.get::<_, rusqlite::types::Value>(at).map(shown)).collect()
                });
                answers.push(rows.map_err(wrong)?.collect::<rusqlite::Result<Rows>>().map_err(wrong)?);
            }
            match answers.len() {
                1 => Ok(sorted(answers.remove(0))),
                count => Err(format!("{count} statements")),
            }
        };
        texts.iter().map(answer).collect()
    }
}

fn shown(value: rusqlite::types::Value) -> Option<String> {
    use rusqlite::types::Value as Cell;
    match value {
        Cell::Null => None,
        Cell::Integer(value) => Some(value.to_string()),
        Cell::Real(value) => Some(value.to_string()),
        Cell::Text(value) => Some(value),
        Cell::Blob(value) => Some(format!("{value:?}")),
    }
}

/// By the written rules.
pub struct Written;

impl Client for Written {
    fn ask(&mut self, texts: &[Text]) -> Vec<Result<Rows, String>> {
        texts.iter().map(|text| text.meaning.clone().unwrap()).collect()
    }
}

/// Why rivet may refuse what the client takes, in its own words.
const CAUTION: [&str; 6] = [
    "a comment that ends elsewhere where the server runs its content",
    "within another one",
    "ends within a comment that the server may run",
    "carriage return",
    "quote is never closed",
    "is never closed",
];

/// Exports each text with the real binary, and holds what landed, as DuckDB reads it, against what the client gets.
/// What the client refuses must be refused with nothing landed; what rivet refuses beyond that must be caution that
/// says so, and rare.
#[track_caller]
pub fn judge(client: &mut dyn Client, url: &str, texts: &[Text]) {
    let expected = client.ask(texts);
    let mut taken = 0;
    let mut cautious: Vec<&str> = Vec::new();
    let mut wrong = Vec::new();
    for (some, expected) in texts.chunks(200).zip(expected.chunks(200)) {
        for ((text, expected), found) in some.iter().zip(expected).zip(exported(url, some)) {
            match (expected, found) {
                (Ok(expected), Ok(found)) if *expected == found => taken += 1,
                (Err(_), Err(_)) => {}
                (Ok(_), Err(why)) if CAUTION.iter().any(|word| why.contains(word)) => cautious.push(&text.sql),
                (expected, found) => wrong.push(format!("{:?}\n  client {expected:?}\n  rivet  {found:?}", text.sql)),
            }
        }
    }
    let shown: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} of {} texts differ:\n{shown:#?}", wrong.len(), texts.len());
    println!("{} texts: {taken} with the client's rows, {} refused by caution alone", texts.len(), cautious.len());
    assert!(taken * 5 > texts.len(), "only {taken} of {} texts are queries at all", texts.len());
    assert!(cautious.len() * 8 < texts.len(), "refused though the client takes them:\n{cautious:#?}");
}

/// What landed of each text, or the error's words. Nothing lands of what is refused.
#[track_caller]
pub fn exported(url: &str, texts: &[Text]) -> Vec<Result<Rows, String>> {
    let project = rivet::project();
    let export = |(at, text): (usize, &Text)| {
        project.write(&format!("q{at}.sql"), &text.sql);
        json!({
            "name": format!("q{at}"), "query_file": format!("q{at}.sql"), "format": "parquet",
            "destination": {"type": "local", "path": project.path(&format!("out/q{at}"))},
        })
    };
    let exports: Vec<Value> = texts.iter().enumerate().map(export).collect();
    let config = json!({"source": {"url_env": "DATABASE_URL"}, "parallel_exports": 2, "exports": exports});
    project.write("rivet.yaml", config.to_string());
    let output = project.rivet("run").arg("--json").env("DATABASE_URL", url).run();
    let told = output.json()["exports"].clone();
    let mut landed: BTreeMap<String, Rows> = BTreeMap::new();
    for told in told.as_array().unwrap() {
        if told["status"] == "succeeded" {
            landed.insert(told["export"].as_str().unwrap().to_owned(), Vec::new());
        }
    }
    if !landed.is_empty() {
        read(&project, &mut landed);
    }
    let result = |at: usize| {
        let name = format!("q{at}");
        let told = told.as_array().unwrap().iter().find(|one| one["export"] == name.as_str()).unwrap();
        match landed.get(&name) {
            Some(rows) => Ok(sorted(rows.clone())),
            None => {
                let folder = project.path(&format!("out/{name}"));
                assert!(
                    !folder.exists() || readers::files(&folder).is_empty(),
                    "{name} was refused and landed\n{output}"
                );
                Err(told["error"].as_str().unwrap().to_owned())
            }
        }
    };
    (0..texts.len()).map(result).collect()
}

/// Reads all files at once, whatever their columns are.
fn read(project: &rivet::Project, landed: &mut BTreeMap<String, Rows>) {
    let nothing = project.path("none");
    std::fs::create_dir(&nothing).unwrap();
    let mut parts = Vec::new();
    for name in landed.keys() {
        for file in readers::files(project.path(&format!("out/{name}"))) {
            parts.push(format!(
                "SELECT '{name}', to_json(list_value(*COLUMNS(*)))::VARCHAR \
                 FROM (SELECT COLUMNS(*)::VARCHAR FROM read_parquet('{}'))",
                file.display()
            ));
        }
    }
    for some in parts.chunks(50) {
        for row in readers::sql(&nothing, &some.join(" UNION ALL ")) {
            let [Some(name), Some(values)] = &row[..] else { panic!("{row:?}") };
            landed.get_mut(name).unwrap().push(serde_json::from_str(values).unwrap());
        }
    }
}
