//! Texts of queries, put together of what databases read differently, and what the database's own client library gets
//! for each.

use std::collections::BTreeMap;

use postgres::SimpleQueryMessage;
use rusqlite::{Batch, fallible_iterator::FallibleIterator as _};
use serde_json::{Value, json};

use crate::{mysql, postgres::Database as Postgres, readers, rivet, sqlite};

/// The table that every text reads.
pub const TABLE: &str = "CREATE TABLE u (id int NOT NULL PRIMARY KEY, bal int, name varchar(20)); \
     INSERT INTO u VALUES (1, 12, 'a'), (2, 16, 'b'), (3, 20, 'x');";

/// Rows as texts, sorted.
pub type Rows = Vec<Vec<Option<String>>>;

/// A query.
#[derive(Debug, Clone)]
pub struct Text {
    /// As the user writes it.
    pub sql: String,
    /// What it means by the written rules; None where the database itself is asked.
    pub meaning: Option<Result<Rows, String>>,
}

/// What a text is made of: with a database's own pieces, and those that another one understands.
pub struct Pieces {
    blanks: &'static [&'static str],
    /// Texts, and their values where no server is asked.
    texts: &'static [(&'static str, &'static str)],
    names: &'static [&'static str],
    /// Conditions, and the rows that meet them.
    conditions: &'static [(&'static str, &'static [u8])],
    /// Ends, and whether the text is still a query.
    ends: &'static [(&'static str, bool)],
}

const EVERYWHERE: Pieces = Pieces {
    blanks: &[
        " ",
        "\n",
        "\t",
        " \r\n ",
        "/**/",
        "/* it's */",
        "/* \" ` [ $$ */",
        "/* ; */",
        "/* ) ( */",
        "/* -- */",
        "/* # */",
        "-- c\n",
        "-- it's;\n",
        "-- /*\n",
        "-- ) \" ` [\n",
        "-- \n",
        "/***/",
        "/* *\n/ * / */",
        "-- c;\r\n",
        "/*/ */",
    ],
    texts: &[
        ("'x'", "x"),
        ("'x''y'", "x'y"),
        ("'x;--y'", "x;--y"),
        ("'x/*y'", "x/*y"),
        ("'x-- ''; y'", "x-- '; y"),
        ("'x\"`[)('", "x\"`[)("),
        ("'xé;'", "xé;"),
        ("'x\n-- y\n'", "x\n-- y\n"),
        ("'x$$;$$#y'", "x$$;$$#y"),
        ("'x*/y'", "x*/y"),
    ],
    names: &["v", "V2", "vé", "v_1"],
    conditions: &[
        ("id = 1", &[1]),
        ("(id < 3)", &[1, 2]),
        ("bal > 10 - -5", &[2, 3]),
        ("bal > 10-/**/-5", &[2, 3]),
        ("name <> 'a;--'", &[1, 2, 3]),
        ("id IN (1, 2) /* AND id = 1 */", &[1, 2]),
        ("id = 2 -- OR id = 1\n", &[2]),
        ("name = 'x'", &[3]),
    ],
    ends: &[
        ("", true),
        (";", true),
        (" ; ", true),
        (";;\n;", true),
        ("; -- c", true),
        (";-- it's (", true),
        ("; /* c; */ ;", true),
        (" -- c", true),
        ("-- ;", true),
        (" -- c\n;", true),
        (" /* c */;", true),
        (" --", true),
        ("; SELECT 2", false),
        (";\n-- c\nSELECT 2 -- c", false),
        ("; '", false),
        (" '", false),
        (" /*", false),
        ("; (", false),
        (") AS w --", false),
        (" AND (1 = 1", false),
    ],
};

const POSTGRESQL: Pieces = Pieces {
    blanks: &["/* a /* it's */ ; */", "/*/**/*/", "--5\n", "--c\r", "-- it's;\r", "/* see a/*.txt */ */"],
    texts: &[
        ("E'x\\'y'", ""),
        ("e'x\\\\'", ""),
        ("E'x''\\'; -- y'", ""),
        ("E'x'\n'y\\'z;'", ""),
        ("E'x' -- c;\n 'y\\'z'", ""),
        ("'x'\n'y;'", ""),
        ("'x\\'", ""),
        ("$$x;'$$", ""),
        ("$t$x$$;$t$", ""),
        ("$é_1$x$é$;$é_1$", ""),
        ("U&'x\\0061;'", ""),
        ("N'x;'", ""),
        ("E'x\\n;'||$$'$$", ""),
        ("'x'::text", ""),
        ("'x😀;'", ""),
    ],
    names: &["\"a;b\"", "\"a\"\"; b\"", "a$b$", "\"it's--\"", "U&\"d\\0061;\"", "\"[\""],
    conditions: &[
        ("bal > 10--5\n", &[]),
        ("bal > $$10;$$::text::varchar(2)::int", &[]),
        ("name <> E'it\\'s -- x'", &[]),
        ("id = 1 /* /* nested ; */ OR id = 2 */", &[]),
        ("id = 1 -- c\rOR id = 2", &[]),
        ("id = ANY('{1,2}'::int[])", &[]),
    ],
    ends: &[(" /* a /* b */ */;", true), (" /* a /* b */", true), ("; --c\rSELECT 2", true), (" $$;", true)],
};

const MYSQL: Pieces = Pieces {
    blanks: &[
        "# c\n",
        "#'\n",
        "# ;\n",
        "--\tc\n",
        "--\x01;\n",
        "-- c\r'\n",
        "/* see a/*.txt */",
        "/*! */",
        "/*!50000 */",
        "/*!99999 x */",
        "/*M! */",
        "/*!50701 */",
        "/*M!100100 */",
    ],
    texts: &[
        ("'x\\'y'", ""),
        ("'x\\\\'", ""),
        ("'x\\'; -- y'", ""),
        ("\"x\"", ""),
        ("\"x\\\"y\"", ""),
        ("\"x'\"\"; y\"", ""),
        ("N'x\\';'", ""),
        ("_utf8mb4'x\\';'", ""),
        ("'x' 'y;'", ""),
        ("'x😀;'", ""),
        ("CONCAT('x', /*! '\\';', */ 'y')", ""),
        ("'x\\", ""),
    ],
    names: &["`a;b`", "`a``; b`", "`it's -- `", "\"a;b\"", "'a;b'", "a$b$", "[a;b]", "[a]"],
    conditions: &[
        ("bal > 10--5", &[]),
        ("bal > 10--/**/5", &[]),
        ("name <> 'it\\'s -- x'", &[]),
        ("id < 3 /*! AND id = 1 */", &[]),
        ("id < 3 /*!99999 AND id = 1 */", &[]),
        ("id < 3 /*M! AND id = 1 */", &[]),
        ("id < 3 /*!50701 AND name <> 'a;' */", &[]),
        ("id < 3 /*! AND name <> '*/' */", &[]),
        ("id < 3 /*! AND /* c */ id = 1 */", &[]),
        ("id < 3 /*! -- c\nAND id = 1 */", &[]),
        ("id = 2 # OR id = 1\n", &[]),
        ("name <> \"a;\"", &[]),
        ("name || '!' = 'a!'", &[]),
    ],
    ends: &[
        ("# c", true),
        ("; # c", true),
        (";#'", true),
        ("; --\tc", true),
        (";--c", true),
        ("--c", true),
        (" /* a /* b */", true),
        ("; /*! AND 1 = 0 */", true),
        (" /*! AND 1 = 0 */", true),
        (" /*! AND 1 = 0 */;", true),
        (" /*! ; */", true),
        (" /*!", true),
        (" /*!99999 ' */;", true),
        (" \\", true),
    ],
};

const SQLITE: Pieces = Pieces {
    blanks: &["/* see a/*.txt */", "--5;\n", "\u{feff}", "--c\r;\n", "/* /* */"],
    texts: &[
        ("'x😀;'", ""),
        ("'x\\'", ""),
        ("'x\\\\;'", ""),
        ("CAST(X'783B' AS TEXT)", ""),
        ("\"x;\"", ""),
        ("'x' || ';'", ""),
    ],
    names: &["[a;--b]", "`a;b`", "\"a;b\"", "`a``;b`", "'a;b'", "[a]]; b]", "a$b", "[\"]"],
    conditions: &[
        ("bal > 10--5\n", &[]),
        ("id = 1 /* see a/*.txt */", &[]),
        ("id = :x", &[]),
        ("id = ?", &[]),
        ("[id] = 1", &[]),
        ("id = $x(;)", &[]),
    ],
    ends: &[
        (" /* open ;", true),
        ("; /* open (", true),
        ("; /*", true),
        (" /* a /* b */", true),
        (";\u{feff}", true),
        (" ]", true),
    ],
};

/// SQL Server's, all with their meaning: there is no server to ask.
const SQLSERVER: Pieces = Pieces {
    blanks: &["/* a /* it's */ ; */", "/*/**/*/", "--5;\n", "--c\n", "/* see a/*.txt */ */"],
    texts: &[
        ("N'x'", "x"),
        ("N'x''; --'", "x'; --"),
        ("'x\\'", "x\\"),
        ("N'x\\''; y'", "x\\'; y"),
        ("'x' + ';--'", "x;--"),
        ("N'x[;'", "x[;"),
    ],
    names: &["[a;--b]", "[a]]; b]", "\"a;b\"", "\"a\"\"; b\"", "[it's /*]", "[(]", "a$b", "a#b"],
    conditions: &[
        ("bal > 12--5\n", &[2, 3]),
        ("[id] = 1", &[1]),
        ("id = 1 /* /* nested ; */ OR id = 2 */", &[1]),
        ("\"id\" < 3", &[1, 2]),
        ("name <> N'it''s -- x'", &[1, 2, 3]),
    ],
    ends: &[
        (" /* a /* b */ */;", true),
        (" /* a /* b */", false),
        ("; --c", true),
        (" --c\rAND 1 = 0", false),
        ("; [", false),
        (" [", false),
        ("; -- a\r\n ;", true),
    ],
};

/// Whose rules a text is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgresql,
    /// MySQL and MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
    /// SQL Server.
    Sqlserver,
}

/// Numbers that look like chance, and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end
    }

    /// One of several: of those that all databases know, of the database's own, and now and then another's.
    fn of<T: Copy + 'static>(&mut self, dialect: Dialect, part: impl Fn(&'static Pieces) -> &'static [T]) -> T {
        let own: &'static Pieces = match dialect {
            Dialect::Postgresql => &POSTGRESQL,
            Dialect::Mysql => &MYSQL,
            Dialect::Sqlite => &SQLITE,
            Dialect::Sqlserver => &SQLSERVER,
        };
        let others = [&POSTGRESQL, &MYSQL, &SQLITE, &SQLSERVER];
        let pieces = match self.below(20) {
            0..11 => &EVERYWHERE,
            // What another's pieces mean is not known without asking.
            11 if dialect != Dialect::Sqlserver => others[self.below(4)],
            _ => own,
        };
        let list = part(pieces);
        list[self.below(list.len())]
    }
}

/// So many different texts for a database.
pub fn texts(dialect: Dialect, count: usize, seed: u64) -> Vec<Text> {
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15 ^ (seed << 8));
    let mut found: BTreeMap<String, Text> = BTreeMap::new();
    let mut order = Vec::new();
    while order.len() < count {
        let mut blank = || chance.of(dialect, |pieces| pieces.blanks);
        let (first, second, third, fourth) = (blank(), blank(), blank(), blank());
        let (text, value) = chance.of(dialect, |pieces| pieces.texts);
        let name = chance.of(dialect, |pieces| pieces.names);
        let (condition, ids) = chance.of(dialect, |pieces| pieces.conditions);
        let (end, is_query) = chance.of(dialect, |pieces| pieces.ends);
        let sql = format!("SELECT{first} id,{second}{text} AS {name} FROM{third} u{fourth} WHERE {condition}{end}");
        let meaning = (dialect == Dialect::Sqlserver).then(|| match is_query {
            true => Ok(ids.iter().map(|id| vec![Some(id.to_string()), Some(value.to_owned())]).collect()),
            false => Err("the end is no end".to_owned()),
        });
        if found.insert(sql.clone(), Text { sql: sql.clone(), meaning: meaning.clone() }).is_none() {
            order.push(Text { sql, meaning });
        }
    }
    order
}

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
