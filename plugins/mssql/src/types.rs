//! SQL Server's types: what the server says of a column, and what it becomes.

use rivet_sdk::Fidelity;
use rivet_sdk::sql::columns;

use crate::kind::{CodePage, Expression, Kind};

/// A column before it is known what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceColumn {
    pub name: String,
    /// As a user would write it: `decimal(12,2)`.
    pub source_type: String,
    /// Without length, precision and scale: `decimal`.
    pub base: String,
    /// Total digits, and digits after the point or the second.
    pub precision: u8,
    pub scale: u8,
    /// varchar(max) and the like.
    pub is_max: bool,
    pub collation: Option<String>,
    /// Of char and varchar, as the server numbers them.
    pub code_page: Option<i128>,
    pub not_null: bool,
    /// Whether the login has SELECT on it.
    pub readable: bool,
}

impl columns::SourceColumn for SourceColumn {
    const UNKNOWN_CODE: &'static str = "207";
    const UNREADABLE_CODE: &'static str = "230";

    fn name(&self) -> &str {
        &self.name
    }

    fn source_type(&self) -> &str {
        &self.source_type
    }

    fn is_not_null(&self) -> bool {
        self.not_null
    }

    fn is_readable(&self) -> bool {
        self.readable
    }
}

impl SourceColumn {
    /// A column that the login may not read: no more is known of it than its name.
    pub fn unreadable(name: String) -> Self {
        Self {
            name,
            source_type: "unknown".to_owned(),
            base: "unknown".to_owned(),
            precision: 0,
            scale: 0,
            is_max: false,
            collation: None,
            code_page: None,
            not_null: false,
            readable: false,
        }
    }

    /// The type's name and arguments, taken apart.
    pub fn base_of(source_type: &str) -> (String, bool) {
        let (base, arguments) = source_type.split_once('(').unwrap_or((source_type, ""));
        let base = match base.trim().to_ascii_lowercase().as_str() {
            "timestamp" => "rowversion".to_owned(),
            "numeric" => "decimal".to_owned(),
            base => base.to_owned(),
        };
        (base, arguments.starts_with("max"))
    }

    /// char or varchar, whose bytes are in a code page.
    pub fn is_narrow(&self) -> bool {
        matches!(self.base.as_str(), "char" | "varchar" | "text")
    }

    /// A text of any kind.
    pub fn is_text(&self) -> bool {
        self.is_narrow() || matches!(self.base.as_str(), "nchar" | "nvarchar" | "ntext" | "sysname")
    }

    /// Whether its values have an order and cross as scalars.
    pub fn is_ordered(&self) -> bool {
        is_ordered(&self.base)
    }
}

/// Whether values of a type have an order and cross as scalars.
pub(crate) fn is_ordered(base: &str) -> bool {
    is_rangeable(base)
        || matches!(
            base,
            "real" | "float" | "time" | "char" | "varchar" | "nchar" | "nvarchar" | "sysname" | "binary" | "varbinary"
        )
}

/// Whether ranges over a type are the first choice: its values have a distance.
pub(crate) fn is_rangeable(base: &str) -> bool {
    matches!(
        base,
        "tinyint"
            | "smallint"
            | "int"
            | "bigint"
            | "decimal"
            | "numeric"
            | "money"
            | "smallmoney"
            | "date"
            | "datetime"
            | "smalldatetime"
            | "datetime2"
            | "datetimeoffset"
            | "uniqueidentifier"
    )
}

/// The natural expression of a column whose quoted name is `name`.
pub(crate) fn expression(name: &str, column: &SourceColumn) -> Expression {
    use Fidelity::{Compatible, Exact, Rounded, Text};
    let plain = |kind: Kind, fidelity| Expression::new(name, kind, fidelity);
    let cast = |to: &str, kind: Kind, fidelity| Expression::new(format!("CAST({name} AS {to})"), kind, fidelity);
    let called = |method: &str, kind: Kind, fidelity| Expression::new(format!("{name}.{method}()"), kind, fidelity);
    let finest = column.scale == 7;
    match column.base.as_str() {
        "bit" => plain(Kind::Bool, Exact),
        "tinyint" => plain(Kind::Int16, Compatible),
        "smallint" => plain(Kind::Int16, Exact),
        "int" => plain(Kind::Int32, Exact),
        "bigint" => plain(Kind::Int64, Exact),
        "real" => plain(Kind::Float32, Exact),
        "float" => plain(Kind::Float64, Exact),
        "decimal" => plain(Kind::decimal(column.precision, i8::try_from(column.scale).unwrap_or(38)), Exact),
        "money" => plain(Kind::Decimal128(19, 4), Exact),
        "smallmoney" => plain(Kind::Decimal128(10, 4), Exact),
        "date" => plain(Kind::Date, Exact),
        "time" => plain(Kind::Time { nanoseconds: finest }, Exact),
        "datetime" | "smalldatetime" => plain(Kind::Timestamp { utc: false, nanoseconds: false }, Exact),
        "datetime2" => plain(Kind::Timestamp { utc: false, nanoseconds: false }, if finest { Rounded } else { Exact }),
        "datetimeoffset" => {
            plain(Kind::Timestamp { utc: true, nanoseconds: false }, if finest { Rounded } else { Compatible })
        }
        "uniqueidentifier" => plain(Kind::Uuid, Exact),
        "binary" | "varbinary" | "rowversion" => plain(Kind::Binary, Exact),
        "image" => cast("varbinary(max)", Kind::Binary, Exact),
        "nchar" | "nvarchar" | "sysname" => plain(Kind::TEXT, Exact),
        "ntext" | "xml" => cast("nvarchar(max)", Kind::TEXT, Exact),
        "char" | "varchar" | "text" => match column.code_page.and_then(CodePage::numbered) {
            Some(page) if column.base == "text" => cast("varchar(max)", Kind::Text(page), Exact),
            Some(page) => plain(Kind::Text(page), Exact),
            None => cast(wide(column), Kind::TEXT, Exact),
        },
        "json" => cast("nvarchar(max)", Kind::Json(CodePage::Unknown), Exact),
        // Decoded from its own bytes: a cast would write dates in the session's language and floats
        // with six digits.
        "sql_variant" => plain(Kind::TEXT, Text),
        "hierarchyid" => called("ToString", Kind::TEXT, Text),
        "geometry" | "geography" => called("STAsBinary", Kind::Wkb, Compatible),
        "vector" => cast("nvarchar(max)", Kind::TEXT, Text),
        // Somebody's own type of the CLR.
        _ => called("ToString", Kind::TEXT, Text),
    }
}

/// A type that holds the column's text in UTF-16.
pub(crate) fn wide(column: &SourceColumn) -> &'static str {
    let length = column.source_type.split(['(', ')']).nth(1).and_then(|length| length.parse::<u32>().ok());
    if length.is_some_and(|length| length <= 4000) { "nvarchar(4000)" } else { "nvarchar(max)" }
}
