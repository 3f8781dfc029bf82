//! What is told of the most common mistakes with a source: what failed, where, and what to do about it.

use rivet_tests::impostors::{self, Shown};
use rivet_tests::{mssql, mysql, postgres, rivet, sqlite};

/// A source and an export of it.
struct Attempt {
    url: String,
    source: String,
    export: &'static str,
}

/// A mistake, its exit code, and what must be said of it.
type Mistake = (&'static str, Attempt, i32, Vec<String>);

#[track_caller]
fn told(driver: &str, (what, attempt, code, says): Mistake) {
    let project = rivet::project();
    let Attempt { url, source, export } = attempt;
    project.config(&format!("source: {{url_env: DATABASE_URL{source}}}\nexports:\n  - {{name: e, {export}, format: parquet, tuning: {{max_retries: 0}}, destination: {{type: local, path: '{{out}}'}}}}\n"));
    let output = project.rivet("run").env("DATABASE_URL", &url).run();
    assert_eq!(output.code, Some(code), "{driver}, {what}: {output}");
    for text in says.iter().map(String::as_str).chain(["hint: "]) {
        assert!(output.stderr.contains(text), "{driver}, {what}: {text:?} was not said\n{output}");
    }
}

/// A server's URL, taken apart.
struct Server {
    scheme: String,
    login: String,
    place: String,
    rest: String,
}

impl Server {
    fn of(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (login, rest) = rest.rsplit_once('@').unwrap();
        let (place, rest) = rest.split_once('/').unwrap();
        Self { scheme: scheme.into(), login: login.into(), place: place.into(), rest: rest.into() }
    }

    fn at(&self, login: &str, place: &str, rest: &str) -> Attempt {
        let url = format!("{}://{login}@{place}/{rest}", self.scheme);
        Attempt { url, source: String::new(), export: "query: 'SELECT 1 AS a'" }
    }

    fn elsewhere(&self, place: &str) -> Attempt {
        self.at(&self.login, place, &self.rest)
    }

    fn itself(&self, source: &str, export: &'static str) -> Attempt {
        Attempt { source: source.to_owned(), export, ..self.elsewhere(&self.place) }
    }

    /// Mistakes that every driver of a server tells of in the same way; `foreign` is another service's place.
    fn common(&self, foreign: &str) -> Vec<Mistake> {
        let words = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let closed = impostors::closed();
        let ca = format!(", tls: {{mode: verify-full, ca_file: '{}'}}", impostors::authority().display());
        let no_file = ", tls: {mode: verify-full, ca_file: /no/such/file}";
        let one = "query: 'SELECT 1 AS a'";
        vec![
            (
                "no such host",
                self.elsewhere("no.such.host.invalid:9"),
                75,
                words(&["the host name no.such.host.invalid is unknown", "hint: check `host`"]),
            ),
            ("nobody listens", self.elsewhere("127.0.0.1:9"), 75, words(&["cannot connect to 127.0.0.1:9", "listens"])),
            (
                "it hangs up",
                self.elsewhere(&closed),
                75,
                words(&["the server closed the connection", &closed, "listens there: host and port"]),
            ),
            (
                "another service",
                self.elsewhere(foreign),
                1,
                words(&["the server's answer is not", foreign, "host and port"]),
            ),
            (
                "another authority",
                self.itself(&ca, one),
                1,
                words(&["TLS with", &self.place, "is signed by nobody who is trusted", "`tls: { ca_file: … }`"]),
            ),
            (
                "no authority's file",
                self.itself(no_file, one),
                2,
                words(&["cannot read certificates from /no/such/file", "`tls.ca_file`"]),
            ),
        ]
    }
}

fn words<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

const MISSING: &str = "table: no_such_table";
const COLUMN: &str = "query: 'SELECT no_such_column FROM (SELECT 1 AS a) q'";
const SYNTAX: &str = "query: 'SELEC 1'";

#[test]
fn of_postgresql() {
    let database = postgres::database();
    let server = Server::of(&database.url());
    let (login, place) = (format!("{}:wrong", server.login.split(':').next().unwrap()), server.place.clone());
    let mut mistakes = server.common(&impostors::service(b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    mistakes.extend([
        (
            "a wrong password",
            server.at(&login, &place, &server.rest),
            1,
            words(["password authentication failed", &place, "hint: check the user and the password"]),
        ),
        (
            "no such database",
            server.at(&server.login, &place, "no_such_db"),
            1,
            words(["database \"no_such_db\" does not exist", &place, "hint: check the database's name"]),
        ),
        (
            "no such table",
            server.itself("", MISSING),
            1,
            words(["the table no_such_table does not exist", "upper and lower case"]),
        ),
        (
            "no such column",
            server.itself("", COLUMN),
            1,
            words(["column \"no_such_column\" does not exist", "check the column's name"]),
        ),
        ("no SQL", server.itself("", SYNTAX), 1, words(["syntax error at or near \"SELEC\"", "in psql"])),
    ]);
    mistakes.into_iter().for_each(|mistake| told("PostgreSQL", mistake));
}

#[test]
fn of_mysql_and_mariadb() {
    for of in mysql::servers() {
        let database = of.database();
        let server = Server::of(&database.url());
        let (login, place) = (format!("{}:wrong", server.login.split(':').next().unwrap()), server.place.clone());
        let mut mistakes = server.common(&impostors::service(b"SSH-2.0-OpenSSH_9.6\r\n", b""));
        mistakes.extend([
            (
                "a wrong password",
                server.at(&login, &place, &server.rest),
                1,
                words(["Access denied", &place, "hint: check the user and the password"]),
            ),
            (
                "no such database",
                server.at(&server.login, &place, "no_such_db"),
                1,
                words(["no_such_db", &place, "check the database's name"]),
            ),
            (
                "no such table",
                server.itself("", MISSING),
                1,
                words(["no_such_table does not exist", "upper and lower case"]),
            ),
            (
                "no such column",
                server.itself("", COLUMN),
                1,
                words(["Unknown column 'no_such_column'", "check the column's name"]),
            ),
            ("no SQL", server.itself("", SYNTAX), 1, words(["SELEC 1", "in the mysql client"])),
        ]);
        mistakes.into_iter().for_each(|mistake| told(of.place(), mistake));
    }
}

#[test]
fn of_sql_server() {
    let database = mssql::database();
    let server = Server::of(&database.url());
    let (login, place) = (format!("{}:wrong", server.login.split(':').next().unwrap()), server.place.clone());
    let mut mistakes = server.common(&impostors::service(b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    mistakes.extend([
        (
            "a wrong password",
            server.at(&login, &place, &server.rest),
            1,
            words(["Login failed", &place, "hint: check the user and the password"]),
        ),
        (
            "no such database",
            server.at(&server.login, &place, "no_such_db"),
            1,
            words(["no_such_db", &place, "hint: check the database's name"]),
        ),
        (
            "no such table",
            server.itself("", MISSING),
            1,
            words(["the table no_such_table does not exist", "GRANT SELECT"]),
        ),
        ("no such column", server.itself("", COLUMN), 1, words(["no_such_column", "to find the column"])),
        ("no SQL", server.itself("", SYNTAX), 1, words(["ncorrect syntax", "one SELECT"])),
    ]);
    mistakes.into_iter().for_each(|mistake| told("SQL Server", mistake));
}

#[test]
fn of_sqlite() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    let url = database.url();
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database, but some text\n".repeat(100)).unwrap();
    let at = |path: &str, export| Attempt { url: format!("sqlite:{path}"), source: String::new(), export };
    let (file, nothing) = (text.display().to_string(), folder.path().join("none.db").display().to_string());
    let inside = |export| Attempt { url: url.clone(), source: String::new(), export };
    for mistake in [
        ("no such file", at(&nothing, "table: t"), 1, words(["cannot open", &nothing, "working directory"])),
        (
            "a folder",
            at(&folder.path().display().to_string(), "table: t"),
            2,
            words(["is not a file", "name the database file"]),
        ),
        ("another file", at(&file, "table: t"), 2, words(["not a database", &file, "encrypted"])),
        ("no such table", inside(MISSING), 1, words(["no table `no_such_table`", "rivet init --discover"])),
        ("no such column", inside(COLUMN), 1, words(["no such column: no_such_column", "check the name"])),
        ("no SQL", inside(SYNTAX), 1, words(["syntax error", "in sqlite3"])),
        (
            "a function of an extension",
            inside("query: 'SELECT no_such_fn(1)'"),
            1,
            words(["no such function: no_such_fn", "extensions"]),
        ),
    ] {
        told("SQLite", mistake);
    }
}

#[test]
fn of_a_state_store() {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let store = postgres::database();
    let server = Server::of(&store.url());
    let wrong = format!("postgresql://postgres:wrong@{}/{}", server.place, server.rest);
    let untrusted = format!("{}?sslmode=verify-full&sslrootcert={}", store.url(), impostors::authority().display());
    for (url, code, says) in [
        (wrong, 1, words(["password authentication failed", &server.place, "check user and password"])),
        ("postgresql://me@127.0.0.1:9/db".to_owned(), 75, words(["127.0.0.1:9", "check that the state's server runs"])),
        (
            untrusted,
            1,
            words(["TLS failed", "is signed by nobody who is trusted", &server.place, "`sslrootcert=FILE`"]),
        ),
    ] {
        let project = rivet::project();
        project.config(&format!("source: {{url: '{}'}}\nstate: {{url_env: STATE}}\nexports:\n  - {{name: e, table: t, format: parquet, destination: {{type: local, path: '{{out}}'}}}}\n", database.url()));
        let output = project.rivet("run").env("STATE", &url).fails(code);
        output.says(&["state store", "hint:"]).never_says("wrong");
        says.iter().for_each(|text| _ = output.says(&[text]));
    }
}

/// What is wrong with a certificate is the SDK's to tell, for every driver.
#[test]
fn of_a_certificate() {
    let ca = impostors::authority();
    // A PostgreSQL server says `S` to the eight bytes that ask for TLS.
    let yes = Some((8, &b"S"[..]));
    for (shown, ca_file, says) in [
        (Shown::Good, false, words(["is signed by nobody who is trusted", "name the authority that signed it"])),
        (Shown::SelfSigned, false, words(["self-signed", "or the certificate itself: `tls: { ca_file: … }`"])),
        (
            Shown::OtherName,
            true,
            words(["is not for 127.0.0.1 but for other.example", "connect to a host that the certificate names"]),
        ),
        (Shown::Expired, true, words(["has expired, 20", "renew the server's certificate"])),
    ] {
        let place = impostors::tls(shown, yes);
        let file = if ca_file { format!(", ca_file: '{}'", ca.display()) } else { String::new() };
        let attempt = Attempt {
            url: format!("postgresql://me:secret@{place}/db"),
            source: format!(", tls: {{mode: verify-full{file}}}"),
            export: "query: 'SELECT 1 AS a'",
        };
        told("a certificate", ("its certificate", attempt, 1, [says, words(["TLS with", &place])].concat()));
    }
}
