//! MySQL, MariaDB and SQL Server to each object store, read back by the store's own protocol.

use rivet_tests::{
    mssql, mysql, readers, rivet,
    stores::{self, Place},
};

const ROWS: u64 = 3000;

fn export(place: &Place, url: &str) {
    let project = rivet::project();
    let destination = place.yaml("");
    project.config(&format!(
        "source: {{url_env: DATABASE_URL}}\nexports:\n  - {{name: e, table: t, mode: chunked, chunk_size: 700, parallel: 3, \
         format: parquet, verify: content, destination: {destination}}}\n"
    ));
    place.credentials(project.rivet("run")).arg("--validate").env("DATABASE_URL", url).ok();
    place.assert_holds(ROWS, "run");
}

/// Of what landed: a count, sums, and the texts of a few rows.
fn landed(place: &Place) -> Vec<Vec<Option<String>>> {
    let folder = place.fetch();
    let mut found =
        readers::sql(folder.path(), "SELECT count(*), count(DISTINCT id), sum(id), sum(n), count(s) FROM t");
    found.extend(readers::sql(folder.path(), "SELECT id, n, s FROM t WHERE id IN (1, 6, 2999) ORDER BY id"));
    found
}

fn expected() -> Vec<Vec<Option<String>>> {
    let text = |id: u64| if id.is_multiple_of(3) { None } else { Some(format!("größe {id}")) };
    let cents: u64 = (1..=ROWS).map(|id| id * 25).sum();
    let money = |cents: u64| Some(format!("{}.{:02}", cents / 100, cents % 100));
    let some = (1..=ROWS).filter(|id| text(*id).is_some()).count();
    let sum: u64 = (1..=ROWS).sum();
    let mut rows = vec![vec![
        Some(ROWS.to_string()),
        Some(ROWS.to_string()),
        Some(sum.to_string()),
        money(cents),
        Some(some.to_string()),
    ]];
    rows.extend([1, 6, 2999].map(|id| vec![Some(id.to_string()), money(id * 25), text(id)]));
    rows
}

fn values(quote: &str) -> impl Iterator<Item = String> + '_ {
    (1..=ROWS).map(move |id| {
        let cents = id * 25;
        let text = if id.is_multiple_of(3) { "NULL".to_owned() } else { format!("{quote}'größe {id}'") };
        format!("{id}, {}.{:02}, {text}", cents / 100, cents % 100)
    })
}

#[test]
fn mysql_and_mariadb_tables_land_as_they_are() {
    for server in mysql::servers() {
        let database = server.database();
        let rows: Vec<String> = values("").map(|row| format!("({row})")).collect();
        database.run("CREATE TABLE t (id int PRIMARY KEY, n decimal(12,2), s varchar(40))");
        database.run(&format!("INSERT INTO t VALUES {}; ANALYZE TABLE t", rows.join(",")));
        for kind in stores::ALL {
            let place = stores::place(kind);
            export(&place, &database.url());
            assert_eq!(landed(&place), expected(), "{} to {kind:?}", server.name);
        }
    }
}

#[test]
fn sql_server_tables_land_as_they_are() {
    let mut database = mssql::database();
    database.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, n decimal(12,2) NULL, s nvarchar(40) NULL)");
    database.insert("t", values("N"));
    for kind in stores::ALL {
        let place = stores::place(kind);
        export(&place, &database.url());
        assert_eq!(landed(&place), expected(), "SQL Server to {kind:?}");
    }
}
