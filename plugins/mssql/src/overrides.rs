//! `columns:` — another type than the natural one, where the source type allows it.

use rivet_sdk::sql::columns::cannot_become;
use rivet_sdk::{Fidelity, Result, WantedType};

use crate::kind::{CodePage, Expression, Kind};
use crate::types::{SourceColumn, expression as natural};

/// The expression that gives the column, whose quoted name is `name`, as `wanted`.
pub(crate) fn expression(name: &str, column: &SourceColumn, wanted: WantedType) -> Result<Expression> {
    use Fidelity::{Compatible, Exact, Lossy, Rounded, Text};
    use WantedType as W;
    let base = column.base.as_str();
    let plain = |kind: Kind, fidelity| Expression::new(name, kind, fidelity);
    let cast = |to: &str, kind: Kind, fidelity| Expression::new(format!("CAST({name} AS {to})"), kind, fidelity);
    let is_integer = matches!(base, "tinyint" | "smallint" | "int" | "bigint");
    let is_moment = matches!(base, "datetime" | "smalldatetime" | "datetime2" | "datetimeoffset");
    let coarse = if column.scale == 7 && base != "datetime" { Rounded } else { Exact };
    Ok(match (wanted, base) {
        (W::Text, "geometry" | "geography") => Expression::new(format!("{name}.ToString()"), Kind::TEXT, Text),
        (W::Text, "binary" | "varbinary" | "rowversion") => {
            Expression::new(format!("CONVERT(nvarchar(max), {name}, 1)"), Kind::TEXT, Text)
        }
        (W::Text, "image") => {
            Expression::new(format!("CONVERT(nvarchar(max), CAST({name} AS varbinary(max)), 1)"), Kind::TEXT, Text)
        }
        (
            W::Text,
            "bit" | "real" | "float" | "decimal" | "money" | "smallmoney" | "uniqueidentifier" | "date" | "time",
        ) => plain(Kind::TEXT, Text),
        (W::Text, _) if is_integer || is_moment => plain(Kind::TEXT, Text),
        (W::Text, _) => natural(name, column),
        (W::Json, "json") => natural(name, column),
        (W::Json, _) if column.is_text() => {
            let text = natural(name, column);
            let page = if let Kind::Text(page) = text.kind { page } else { CodePage::Unknown };
            Expression::new(text.sql, Kind::Json(page), Compatible)
        }
        (W::Bool, "bit")
        | (W::Uuid, "uniqueidentifier")
        | (W::Date, "date")
        | (W::Float4, "real")
        | (W::Float8, "float")
        | (W::Binary, "binary" | "varbinary" | "image" | "rowversion" | "geometry" | "geography") => {
            natural(name, column)
        }
        (W::Int2, _) if is_integer => cast("smallint", Kind::Int16, Compatible),
        (W::Int4, _) if is_integer => cast("int", Kind::Int32, Compatible),
        (W::Int8, _) if is_integer => cast("bigint", Kind::Int64, Compatible),
        // A fraction would be cut off in silence.
        (W::Int2, "decimal") if column.scale == 0 => cast("smallint", Kind::Int16, Compatible),
        (W::Int4, "decimal") if column.scale == 0 => cast("int", Kind::Int32, Compatible),
        (W::Int8, "decimal") if column.scale == 0 => cast("bigint", Kind::Int64, Compatible),
        (W::Float8, "real" | "tinyint" | "smallint" | "int") => cast("float", Kind::Float64, Compatible),
        (W::Float8, "bigint" | "decimal" | "money" | "smallmoney") => cast("float", Kind::Float64, Lossy),
        (W::Float4, "tinyint" | "smallint") => cast("real", Kind::Float32, Compatible),
        (W::Float4, "int" | "bigint" | "decimal" | "float" | "money" | "smallmoney") => {
            cast("real", Kind::Float32, Lossy)
        }
        // Rescaled here, and refused where a digit would be lost; a cast would round.
        (W::Decimal(precision, scale), "decimal" | "money" | "smallmoney") => {
            plain(Kind::decimal(precision, scale), Exact)
        }
        (W::Decimal(precision, scale), _) if is_integer => {
            cast("decimal(19,0)", Kind::decimal(precision, scale), Compatible)
        }
        (W::Date, _) if is_moment && base != "datetimeoffset" => cast("date", Kind::Date, Lossy),
        (W::Time, "time") => plain(Kind::Time { nanoseconds: false }, if column.scale == 7 { Rounded } else { Exact }),
        (W::Timestamp | W::TimestampNs, "date") => {
            let kind = Kind::Timestamp { utc: false, nanoseconds: wanted == W::TimestampNs };
            cast("datetime2(0)", kind, Compatible)
        }
        (W::Timestamp | W::TimestampTz, _) if is_moment => {
            let fidelity = if base == "datetimeoffset" || wanted == W::TimestampTz { Compatible } else { Exact };
            plain(Kind::Timestamp { utc: wanted == W::TimestampTz, nanoseconds: false }, fidelity.max(coarse))
        }
        (W::TimestampNs | W::TimestampTzNs, _) if is_moment => {
            let fidelity = if base == "datetimeoffset" || wanted == W::TimestampTzNs { Compatible } else { Exact };
            plain(Kind::Timestamp { utc: wanted == W::TimestampTzNs, nanoseconds: true }, fidelity)
        }
        (W::Uuid, _) if column.is_text() => cast("uniqueidentifier", Kind::Uuid, Compatible),
        _ => return Err(cannot_become(column, wanted, "text")),
    })
}
