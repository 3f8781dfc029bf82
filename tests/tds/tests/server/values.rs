//! Every type, there and back, at its edges.

use crate::support::{Server, Session};
use tiberius::{ColumnData, Row};

/// The only cell of a row, of a kind that the client has no Rust type for.
macro_rules! cell {
    ($row:expr, $kind:ident) => {
        match $row.cells().next().unwrap().1 {
            ColumnData::$kind(Some(value)) => *value,
            other => panic!("{other:?}"),
        }
    };
}

/// Inserts literals into a column of a type and returns what comes back for each, and for NULL.
fn round(client: &mut Session, ty: &str, literals: &[&str]) -> Vec<Row> {
    client.run("DROP TABLE IF EXISTS v");
    client.run(&format!("CREATE TABLE v (n int NOT NULL PRIMARY KEY, v {ty} NULL)"));
    for (n, literal) in literals.iter().enumerate() {
        client.run(&format!("INSERT INTO v VALUES ({n}, {literal})"));
    }
    client.run("INSERT INTO v VALUES (1000, NULL)");
    let value = match ty {
        "hierarchyid" => "v.ToString()",
        "geography" => "v.STAsBinary()",
        _ => "v",
    };
    let mut rows = client.rows(&format!("SELECT {value} FROM v ORDER BY n"));
    let null = rows.pop().unwrap();
    assert!(is_null(&null), "{ty}: {null:?}");
    rows
}

fn is_null(row: &Row) -> bool {
    let (_, data) = row.cells().next().unwrap();
    matches!(
        data,
        ColumnData::U8(None)
            | ColumnData::I16(None)
            | ColumnData::I32(None)
            | ColumnData::I64(None)
            | ColumnData::F32(None)
            | ColumnData::F64(None)
            | ColumnData::Bit(None)
            | ColumnData::String(None)
            | ColumnData::Guid(None)
            | ColumnData::Binary(None)
            | ColumnData::Numeric(None)
            | ColumnData::Xml(None)
            | ColumnData::DateTime(None)
            | ColumnData::SmallDateTime(None)
            | ColumnData::Time(None)
            | ColumnData::Date(None)
            | ColumnData::DateTime2(None)
            | ColumnData::DateTimeOffset(None)
    )
}

/// What the server itself says the values are, as text.
fn texts(client: &mut Session, expression: &str) -> Vec<String> {
    let rows = client.rows(&format!("SELECT {expression} FROM v WHERE n < 1000 ORDER BY n"));
    rows.iter().map(|row| row.get::<&str, _>(0).unwrap().to_owned()).collect()
}

#[test]
fn integers_and_floats() {
    let server = Server::start();
    let mut client = server.client();
    let rows = round(&mut client, "bigint", &["-9223372036854775808", "9223372036854775807", "0"]);
    assert_eq!(rows.iter().map(|row| row.get::<i64, _>(0).unwrap()).collect::<Vec<_>>(), [i64::MIN, i64::MAX, 0]);
    let rows = round(&mut client, "int", &["-2147483648", "2147483647"]);
    assert_eq!(rows.iter().map(|row| row.get::<i32, _>(0).unwrap()).collect::<Vec<_>>(), [i32::MIN, i32::MAX]);
    let rows = round(&mut client, "smallint", &["-32768", "32767"]);
    assert_eq!(rows.iter().map(|row| row.get::<i16, _>(0).unwrap()).collect::<Vec<_>>(), [i16::MIN, i16::MAX]);
    let rows = round(&mut client, "tinyint", &["0", "255"]);
    assert_eq!(rows.iter().map(|row| row.get::<u8, _>(0).unwrap()).collect::<Vec<_>>(), [0, 255]);
    let rows = round(&mut client, "bit", &["0", "1", "'true'", "5"]);
    assert_eq!(rows.iter().map(|row| row.get::<bool, _>(0).unwrap()).collect::<Vec<_>>(), [false, true, true, true]);
    let rows = round(&mut client, "float", &["1.7976931348623157E308", "-2.2250738585072014E-308", "0.1"]);
    assert_eq!(
        rows.iter().map(|row| row.get::<f64, _>(0).unwrap()).collect::<Vec<_>>(),
        [f64::MAX, -f64::MIN_POSITIVE, 0.1]
    );
    let rows = round(&mut client, "real", &["3.4028235E38", "0.1"]);
    assert_eq!(rows.iter().map(|row| row.get::<f32, _>(0).unwrap()).collect::<Vec<_>>(), [f32::MAX, 0.1]);
    assert_eq!(client.error("INSERT INTO v VALUES (5, 1E39)"), 232);
    client.run("CREATE TABLE tiny (v tinyint)");
    assert_eq!(client.error("INSERT INTO tiny VALUES (256)"), 8115);
}

#[test]
fn decimals_and_money() {
    let server = Server::start();
    let mut client = server.client();
    let all = "99999999999999999999999999999999999999";
    let rows = round(&mut client, "decimal(38,0)", &[all, &format!("-{all}"), "0"]);
    let shown = |rows: &[Row]| {
        rows.iter().map(|row| row.get::<tiberius::numeric::Numeric, _>(0).unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&rows), [format!("{all}.0"), format!("-{all}.0"), "0.0".to_owned()]);
    let rows = round(&mut client, "numeric(38,38)", &["0.00000000000000000000000000000000000001", "-0.5"]);
    assert_eq!(rows[0].get::<tiberius::numeric::Numeric, _>(0).unwrap().value(), 1);
    for (precision, scale) in [(9, 2), (10, 3), (19, 19), (20, 5), (28, 0), (29, 28)] {
        let rows = round(&mut client, &format!("decimal({precision},{scale})"), &["0.5", "-0.25"]);
        assert_eq!(rows[0].get::<tiberius::numeric::Numeric, _>(0).unwrap().scale(), scale);
    }
    let rows = round(&mut client, "money", &["922337203685477.5807", "-922337203685477.5808", "$1.23"]);
    assert_eq!(rows[2].get::<f64, _>(0), Some(1.23));
    assert_eq!(
        texts(&mut client, "CONVERT(varchar(40), v, 2)"),
        ["922337203685477.5807", "-922337203685477.5808", "1.2300"]
    );
    round(&mut client, "smallmoney", &["214748.3647", "-214748.3648"]);
    assert_eq!(texts(&mut client, "CAST(CAST(v AS decimal(10,4)) AS varchar(40))"), ["214748.3647", "-214748.3648"]);
    assert_eq!(client.error("INSERT INTO v VALUES (9, 214748.3648)"), 8115);
    client.run("CREATE TABLE narrow (v decimal(4,2))");
    assert_eq!(client.error("INSERT INTO narrow VALUES (100)"), 8115);
}

#[test]
fn dates_and_times() {
    let server = Server::start();
    let mut client = server.client();
    let rows = round(&mut client, "date", &["'0001-01-01'", "'9999-12-31'", "'20240229'"]);
    assert_eq!(rows.iter().map(|row| cell!(row, Date).days()).collect::<Vec<_>>(), [0, 3_652_058, 738_944]);
    let rows =
        round(&mut client, "datetime", &["'1753-01-01'", "'9999-12-31 23:59:59.997'", "'1900-01-01 00:00:00.005'"]);
    let values: Vec<(i32, u32)> =
        rows.iter().map(|row| cell!(row, DateTime)).map(|value| (value.days(), value.seconds_fragments())).collect();
    assert_eq!(values, [(-53_690, 0), (2_958_463, 25_919_999), (0, 2)]);
    assert_eq!(texts(&mut client, "CONVERT(varchar(30), v, 121)")[2], "1900-01-01 00:00:00.007");
    assert_eq!(client.error("INSERT INTO v VALUES (9, '1752-12-31')"), 242);
    let rows = round(&mut client, "smalldatetime", &["'1900-01-01'", "'2079-06-06 23:59'", "'2000-01-01 12:00:30'"]);
    let value = cell!(rows[2], SmallDateTime);
    assert_eq!((value.days(), value.seconds_fragments()), (36_524, 721));
    for scale in 0..=7_u8 {
        let rows = round(
            &mut client,
            &format!("datetime2({scale})"),
            &["'9999-12-31T23:59:59'", "'2020-02-29 01:02:03.1234567'"],
        );
        let value = cell!(rows[1], DateTime2);
        assert_eq!(value.time().scale(), scale);
        let rounded =
            (37_231_234_567_u64 + 5 * 10_u64.pow(7 - u32::from(scale)) / 10) / 10_u64.pow(7 - u32::from(scale));
        assert_eq!(value.time().increments(), rounded);
        round(&mut client, &format!("time({scale})"), &["'00:00:00'", "'23:59:59'"]);
        round(
            &mut client,
            &format!("datetimeoffset({scale})"),
            &["'0001-01-01 00:00:00 +00:00'", "'2020-01-01 00:30:00 +14:00'"],
        );
        assert_eq!(texts(&mut client, "CONVERT(varchar(40), v, 127)")[1], "2019-12-31T10:30:00Z");
    }
    let rows = client.rows("SELECT v FROM v WHERE n = 1");
    let value = cell!(rows[0], DateTimeOffset);
    assert_eq!(value.offset(), 840);
    assert_eq!(client.rows("SELECT n FROM v WHERE v = '2019-12-31 10:30:00 +00:00'").len(), 1);
}

#[test]
fn texts_of_every_code_page() {
    let server = Server::start();
    let mut client = server.client();
    for (collation, text) in [
        ("SQL_Latin1_General_CP1_CI_AS", "Äß€"),
        ("Polish_CI_AS", "Zażółć"),
        ("Cyrillic_General_CI_AS", "Привет"),
        ("Greek_CI_AS", "Ελλάδα"),
        ("Turkish_CI_AS", "ıİğ"),
        ("Hebrew_CI_AS", "שלום"),
        ("Japanese_CI_AS", "日本語ｱ"),
        ("Chinese_PRC_CI_AS", "汉字"),
        ("Korean_Wansung_CI_AS", "한국"),
        ("Chinese_Taiwan_Stroke_CI_AS", "漢字"),
    ] {
        let literal = format!("N'{text}'");
        let rows = round(&mut client, &format!("varchar(60) COLLATE {collation}"), &[&literal, "''"]);
        assert_eq!(rows[0].get::<&str, _>(0), Some(text), "{collation}");
        assert_eq!(rows[1].get::<&str, _>(0), Some(""), "{collation}");
        let rows = round(&mut client, &format!("char(20) COLLATE {collation}"), &[&literal]);
        assert_eq!(rows[0].get::<&str, _>(0).unwrap().trim_end(), text, "{collation}");
        let rows = round(&mut client, &format!("varchar(max) COLLATE {collation}"), &[&literal]);
        assert_eq!(rows[0].get::<&str, _>(0), Some(text), "{collation}");
    }
    // tiberius reads the language of a collation and not its UTF-8 flag: the bytes tell.
    round(&mut client, "varchar(60) COLLATE Latin1_General_100_CI_AS_SC_UTF8", &["N'Ä😀'"]);
    assert_eq!(texts(&mut client, "CONVERT(varchar(60), CAST(v AS varbinary(60)), 2)"), ["C384F09F9880"]);
    round(&mut client, "varchar(10)", &["N'ż€'"]);
    assert_eq!(texts(&mut client, "CONVERT(varchar(60), CAST(v AS varbinary(60)), 2)"), ["3F80"]);
    let rows = round(&mut client, "nvarchar(20)", &["N'😀 żółw'", "N''", "N'it''s'"]);
    assert_eq!(rows[0].get::<&str, _>(0), Some("😀 żółw"));
    assert_eq!(rows[2].get::<&str, _>(0), Some("it's"));
    client.run("UPDATE v SET v = CAST(0x3DD8 AS nvarchar(2)) + N'x' WHERE n < 1");
    client.run("DELETE FROM v WHERE n BETWEEN 1 AND 999");
    assert_eq!(texts(&mut client, "CONVERT(varchar(60), CAST(v AS varbinary(60)), 2)"), ["3DD87800"]);
    let rows = round(&mut client, "nchar(5)", &["N'ab'"]);
    assert_eq!(rows[0].get::<&str, _>(0), Some("ab   "));
    let rows = round(&mut client, "text", &["'old'", "''"]);
    assert_eq!(rows[0].get::<&str, _>(0), Some("old"));
    let rows = round(&mut client, "ntext", &["N'żółw'"]);
    assert_eq!(rows[0].get::<&str, _>(0), Some("żółw"));
    let rows = round(&mut client, "xml", &["N'<a>ż</a>'"]);
    assert_eq!(rows[0].get::<&tiberius::xml::XmlData, _>(0).unwrap().as_ref(), "<a>ż</a>");
    assert_eq!(client.error("CREATE TABLE s (v varchar(3)); INSERT INTO s VALUES ('four')"), 2628);
}

#[test]
fn binaries_and_the_rest() {
    let server = Server::start();
    let mut client = server.client();
    let rows = round(&mut client, "varbinary(10)", &["0x00FF", "0x"]);
    assert_eq!(rows[0].get::<&[u8], _>(0), Some(&[0, 255][..]));
    assert_eq!(rows[1].get::<&[u8], _>(0), Some(&[][..]));
    let rows = round(&mut client, "binary(4)", &["0x01"]);
    assert_eq!(rows[0].get::<&[u8], _>(0), Some(&[1, 0, 0, 0][..]));
    let rows = round(&mut client, "image", &["0x0102"]);
    assert_eq!(rows[0].get::<&[u8], _>(0), Some(&[1, 2][..]));
    let id = "6F9619FF-8B86-D011-B42D-00C04FC964FF";
    let rows = round(&mut client, "uniqueidentifier", &[&format!("'{id}'")]);
    assert_eq!(rows[0].get::<tiberius::Uuid, _>(0).unwrap().to_string().to_uppercase(), id);
    let rows = round(
        &mut client,
        "sql_variant",
        &["CAST(5 AS int)", "N'text'", "CAST(1.5 AS decimal(5,2))", "CAST('2020-01-01' AS date)"],
    );
    assert!(matches!(rows[0].cells().next().unwrap().1, ColumnData::I32(Some(5))));
    assert!(matches!(rows[1].cells().next().unwrap().1, ColumnData::String(Some(text)) if text == "text"));
    assert_eq!(
        texts(&mut client, "CAST(SQL_VARIANT_PROPERTY(v, 'BaseType') AS nvarchar(30))"),
        ["int", "nvarchar", "decimal", "date"]
    );
    client
        .run("CREATE TABLE r (n int NOT NULL, v rowversion)")
        .run("INSERT INTO r (n) VALUES (1)")
        .run("INSERT INTO r (n) VALUES (2)");
    let versions = |client: &mut Session| {
        let rows = client.rows("SELECT v FROM r ORDER BY n");
        rows.iter().map(|row| row.get::<&[u8], _>(0).unwrap().to_vec()).collect::<Vec<_>>()
    };
    let before = versions(&mut client);
    assert!(before[0] < before[1] && before[0].len() == 8);
    client.run("UPDATE r SET n = 1 WHERE n = 1");
    let after = versions(&mut client);
    assert!(after[0] > before[1] && after[1] == before[1]);
    round(&mut client, "hierarchyid", &["hierarchyid::Parse('/1/2.5/')", "'/'"]);
    assert_eq!(texts(&mut client, "v.ToString()"), ["/1/2.5/", "/"]);
    round(&mut client, "geography", &["geography::Point(47.5, 8.25, 4326)"]);
    let rows = client.rows("SELECT v.STAsBinary(), v.STSrid FROM v WHERE n = 0");
    let mut point = vec![1, 1, 0, 0, 0];
    point.extend(8.25_f64.to_le_bytes());
    point.extend(47.5_f64.to_le_bytes());
    assert_eq!(rows[0].get::<&[u8], _>(0), Some(&point[..]));
    assert_eq!(rows[0].get::<i32, _>(1), Some(4326));
}

#[test]
fn orders_are_sql_servers() {
    let server = Server::start();
    let mut client = server.client();
    let order = |client: &mut Session, ty: &str, literals: &[&str], shown: &str| {
        round(client, ty, literals);
        let rows = client.rows(&format!("SELECT {shown} FROM v WHERE v IS NOT NULL ORDER BY v, n"));
        rows.iter().map(|row| row.get::<&str, _>(0).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        order(&mut client, "decimal(9,3)", &["10", "9", "-10", "-9"], "CAST(v AS varchar(20))"),
        ["-10.000", "-9.000", "9.000", "10.000"]
    );
    assert_eq!(order(&mut client, "nvarchar(9)", &["N'b'", "N'B'", "N'a'", "N'A'"], "v"), ["a", "A", "b", "B"]);
    assert_eq!(
        order(&mut client, "nvarchar(9) COLLATE Latin1_General_BIN2", &["N'b'", "N'B'", "N'a'"], "v"),
        ["B", "a", "b"]
    );
    assert_eq!(
        order(
            &mut client,
            "uniqueidentifier",
            &[
                "'FF000000-0000-0000-0000-000000000001'",
                "'00000000-0000-0000-0000-000000000002'",
                "'00000000-0000-0000-0001-000000000000'"
            ],
            "CAST(v AS varchar(36))"
        )
        .iter()
        .map(|id| id[19..].to_owned())
        .collect::<Vec<_>>(),
        ["0001-000000000000", "0000-000000000001", "0000-000000000002"]
    );
    client.run("CREATE TABLE ci (v nvarchar(5) NOT NULL PRIMARY KEY)").run("INSERT INTO ci VALUES (N'a')");
    assert_eq!(client.error("INSERT INTO ci VALUES (N'A')"), 2627);
    assert_eq!(client.rows("SELECT v FROM ci WHERE v = N'A  '").len(), 1);
}

#[test]
fn large_values_cross_in_chunks() {
    let server = Server::start();
    let mut client = server.client();
    client.run("CREATE TABLE big (b varbinary(max), n nvarchar(max), v varchar(max))");
    client.run("INSERT INTO big SELECT CAST(REPLICATE(CAST('ab' AS varchar(max)), 26214400) AS varbinary(max)), REPLICATE(CAST(N'ż😀' AS nvarchar(max)), 1000000), ''");
    let rows = client.rows("SET TEXTSIZE -1; SELECT b, n, v FROM big");
    let bytes = rows[0].get::<&[u8], _>(0).unwrap();
    assert_eq!(bytes.len(), 50 << 20);
    assert!(bytes.chunks(2).all(|pair| pair == b"ab"));
    assert_eq!(rows[0].get::<&str, _>(1).unwrap(), "ż😀".repeat(1_000_000));
    assert_eq!(rows[0].get::<&str, _>(2), Some(""));
    let rows = client.rows("SET TEXTSIZE 6; SELECT b, n FROM big");
    assert_eq!(rows[0].get::<&[u8], _>(0), Some(&b"ababab"[..]));
    assert_eq!(rows[0].get::<&str, _>(1), Some("ż😀"));
    assert_eq!(client.rows("SELECT DATALENGTH(n), LEN(v) FROM big")[0].get::<i32, _>(0), Some(6_000_000));
}

#[test]
fn rows_with_and_without_nulls() {
    let server = Server::start();
    let mut client = server.client();
    let columns: Vec<String> =
        (0..20).map(|at| format!("c{at} {}", ["int", "nvarchar(9)", "varchar(max)", "date", "xml"][at % 5])).collect();
    client.run(&format!("CREATE TABLE w ({})", columns.join(", ")));
    client.run("INSERT INTO w (c0) VALUES (1)").run("INSERT INTO w (c19) VALUES ('<a/>')");
    let values = ["1", "N'x'", "'y'", "'2020-01-01'", "'<b/>'"].repeat(4);
    client.run(&format!("INSERT INTO w VALUES ({})", values.join(", ")));
    let rows = client.rows("SELECT * FROM w");
    assert_eq!(rows[0].get::<i32, _>(0), Some(1));
    assert!((1..20).all(|at| rows[0].cells().nth(at).map(|(_, data)| !format!("{data:?}").contains("Some")).unwrap()));
    assert_eq!(rows[1].get::<&tiberius::xml::XmlData, _>(19).unwrap().as_ref(), "<a/>");
    assert_eq!(rows[2].get::<&str, _>(2), Some("y"));
}
