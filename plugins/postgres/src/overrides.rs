//! `columns:` — another type than the natural one, where the source type allows it.

use rivet_sdk::sql::columns::cannot_become;
use rivet_sdk::{Fidelity, Result, WantedType};

use crate::catalog::SourceColumn;
use crate::kind::Kind;
use crate::types::{Expression, Types};

/// The expression that gives the column as `wanted`.
pub(crate) fn expression(types: &Types, name: &str, source: &SourceColumn, wanted: WantedType) -> Result<Expression> {
    use Fidelity::{Compatible, Exact, Lossy, Text};
    use WantedType as W;
    let base = types.base_name(source.oid).unwrap_or("nested");
    let natural = || types.expression(name, source.oid, source.typmod);
    let is_text = matches!(base, "text" | "varchar" | "bpchar" | "name" | "citext");
    let cast = |to: &str, kind: Kind, fidelity| Expression::new(format!("({name})::{to}"), kind, fidelity);
    let plain = |kind: Kind, fidelity| Expression::new(name, kind, fidelity);
    let utc = |kind: Kind| Expression::new(format!("({name}) AT TIME ZONE 'UTC'"), kind, Compatible);
    let moment = |utc: bool, wanted: W| Kind::Timestamp {
        utc,
        nanoseconds: matches!(wanted, W::TimestampNs | W::TimestampTzNs),
    };
    let width = match wanted {
        W::Int2 => 2,
        W::Int4 => 4,
        _ => 8,
    };
    Ok(match (wanted, base) {
        (W::Text, _) if is_text => natural(),
        // The server's own text depends on the login's IntervalStyle.
        (W::Text, "interval") => natural(),
        (W::Text, _) => cast("text", Kind::PLAIN, Text),
        (W::Json, "json" | "jsonb") => natural(),
        (W::Json, _) => Expression::new(format!("pg_catalog.to_json({name})::text"), Kind::Json, Compatible),
        (W::Bool, "bool") | (W::Binary, "bytea") | (W::Uuid, "uuid") | (W::Date, "date") | (W::Time, "time") => {
            natural()
        }
        (W::Int2 | W::Int4 | W::Int8, "int2" | "int4" | "int8") => plain(Kind::AnyInt(width), Compatible),
        (W::Int2 | W::Int4 | W::Int8, "numeric") => plain(Kind::NumericInt(width), Compatible),
        (W::Int8, "oid" | "xid" | "cid") => cast("text::int8", Kind::Int64, Compatible),
        (W::Float4, "float4") | (W::Float8, "float8") => natural(),
        (W::Float8, "float4" | "int2" | "int4") => cast("float8", Kind::Float64, Compatible),
        (W::Float8, "int8" | "numeric") => cast("float8", Kind::Float64, Lossy),
        (W::Float4, "int2") => cast("float4", Kind::Float32, Compatible),
        (W::Float4, "int4" | "int8" | "numeric" | "float8") => cast("float4", Kind::Float32, Lossy),
        (W::Decimal(precision, scale), "numeric") => plain(decimal(precision, scale), Exact),
        (W::Decimal(precision, scale), "int2" | "int4" | "int8" | "money") => {
            cast("numeric", decimal(precision, scale), Compatible)
        }
        (W::Date, "timestamp") => cast("date", Kind::Date, Lossy),
        (W::Timestamp | W::TimestampNs, "timestamp") => plain(moment(false, wanted), Exact),
        (W::Timestamp | W::TimestampNs, "date") => cast("timestamp", moment(false, wanted), Compatible),
        (W::Timestamp | W::TimestampNs, "timestamptz") => utc(moment(false, wanted)),
        (W::TimestampTz | W::TimestampTzNs, "timestamptz") => plain(moment(true, wanted), Exact),
        (W::TimestampTz | W::TimestampTzNs, "timestamp") => utc(moment(true, wanted)),
        (W::Duration, "interval") => plain(Kind::Duration, Compatible),
        (W::Binary, "uuid") => Expression::new(format!("pg_catalog.uuid_send({name})"), Kind::Binary, Compatible),
        (W::Binary, _) if is_text => {
            Expression::new(format!("pg_catalog.convert_to(({name})::text, 'UTF8')"), Kind::Binary, Compatible)
        }
        (W::Uuid, _) if is_text => cast("uuid", Kind::Uuid, Compatible),
        _ => return Err(cannot_become(source, wanted, "text or json")),
    })
}

fn decimal(precision: u8, scale: i8) -> Kind {
    if precision <= 38 { Kind::Decimal128(precision, scale) } else { Kind::Decimal256(precision, scale) }
}
