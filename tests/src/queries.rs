//! Texts of queries, put together of what databases read differently, and what the database's own client library gets
//! for each.

mod judge;

use std::collections::BTreeMap;

pub use judge::{Client, Written, exported, judge};

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
