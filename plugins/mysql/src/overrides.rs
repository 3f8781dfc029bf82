//! `columns:` — another type than the natural one, where the source type allows it.

use rivet_sdk::sql::columns::cannot_become;
use rivet_sdk::{Fidelity, Result, WantedType};

use crate::catalog::SourceColumn;
use crate::kind::{Integer, Kind};
use crate::types::{Base, Expression, bits, decimal, natural};

/// The expression that gives the column as `wanted`.
pub(crate) fn expression(name: &str, source: &SourceColumn, wanted: WantedType) -> Result<Expression> {
    use Fidelity::{Compatible, Exact, Lossy, Text};
    use WantedType as W;
    let plain = |kind: Kind, fidelity| Expression::new(name, kind, fidelity);
    let as_is = || natural(name, source, false);
    let cast = |to: &str, kind: Kind, fidelity| Expression::new(format!("CAST({name} AS {to})"), kind, fidelity);
    let moment = |utc: bool| Kind::Timestamp { utc, nanoseconds: matches!(wanted, W::TimestampNs | W::TimestampTzNs) };
    let width = match wanted {
        W::Int2 => 2,
        W::Int4 => 4,
        _ => 8,
    };
    Ok(match (wanted, source.base()) {
        (W::Text, Base::Text | Base::Choice | Base::Null) => as_is(),
        (W::Text, Base::Json) => plain(Kind::Text, Text),
        // As it lies there: the server would write `?` for bytes that are no text.
        (W::Text, Base::Binary) => plain(Kind::Text, Compatible),
        (W::Text, Base::Bit) => Expression::new(format!("CAST({} AS CHAR)", bits(name)), Kind::Text, Text),
        (W::Text, Base::Geometry) => Expression::new(format!("ST_AsText({name})"), Kind::Text, Text),
        (W::Text, Base::Vector) if source.result.extended.is_some() => {
            Expression::new(format!("VEC_ToText({name})"), Kind::Text, Text)
        }
        (W::Text, Base::Vector) => Expression::new(format!("VECTOR_TO_STRING({name})"), Kind::Text, Text),
        // Through double, whose text reads back to the same float.
        (W::Text, Base::Float) => Expression::new(format!("CAST({name} + 0e0 AS CHAR)"), Kind::Text, Text),
        (W::Text, _) => cast("CHAR", Kind::Text, Text),
        (W::Json, Base::Json) => as_is(),
        (W::Json, Base::Text) => plain(Kind::CheckedJson, Compatible),
        (W::Bool, Base::Integer(wire)) => plain(Kind::Bool(wire), Compatible),
        (W::Bool, Base::Bit) if source.result.length <= 1 => as_is(),
        (W::Int2 | W::Int4 | W::Int8, Base::Integer(wire)) => plain(Kind::Int(wire, width), Compatible),
        (W::Int2 | W::Int4 | W::Int8, Base::Year) => plain(Kind::Int(Integer::U16, width), Compatible),
        (W::Int2 | W::Int4 | W::Int8, Base::Decimal) => plain(Kind::DecimalInt(width), Compatible),
        (W::Int8, Base::Bit) => Expression::new(bits(name), Kind::Int(Integer::U64, 8), Compatible),
        (W::Float4, Base::Float) | (W::Float8, Base::Double) => as_is(),
        (W::Float8, Base::Float) => Expression::new(format!("({name} + 0e0)"), Kind::Float64, Compatible),
        (W::Float8, Base::Integer(Integer::I64 | Integer::U64) | Base::Decimal) => {
            Expression::new(format!("({name} + 0e0)"), Kind::Float64, Lossy)
        }
        (W::Float8, Base::Integer(_) | Base::Year) => {
            Expression::new(format!("({name} + 0e0)"), Kind::Float64, Compatible)
        }
        (W::Decimal(precision, scale), Base::Decimal) => plain(decimal((precision, scale)), Exact),
        (W::Decimal(precision, scale), Base::Integer(_) | Base::Year) => {
            cast("DECIMAL(20,0)", decimal((precision, scale)), Compatible)
        }
        (W::Decimal(precision, scale), Base::Bit) => {
            Expression::new(format!("CAST({} AS DECIMAL(20,0))", bits(name)), decimal((precision, scale)), Compatible)
        }
        (W::Date, Base::Date) | (W::Time, Base::Time) | (W::Uuid, Base::Uuid) | (W::Binary, Base::Binary) => as_is(),
        (W::Date, Base::DateTime) => cast("DATE", Kind::Date, Lossy),
        (W::Timestamp | W::TimestampNs, Base::DateTime) => plain(moment(false), Exact),
        (W::Timestamp | W::TimestampNs, Base::Timestamp) => plain(moment(false), Compatible),
        (W::Timestamp | W::TimestampNs, Base::Date) => plain(moment(false), Compatible),
        (W::TimestampTz | W::TimestampTzNs, Base::Timestamp) => plain(moment(true), Exact),
        (W::TimestampTz | W::TimestampTzNs, Base::DateTime) => plain(moment(true), Compatible),
        (W::Duration, Base::Time) => plain(Kind::Duration, Compatible),
        (W::Binary, Base::Text | Base::Choice) => plain(Kind::Binary, Compatible),
        (W::Binary, Base::Bit) => {
            let digits = 2 * source.result.length.div_ceil(8).max(1);
            Expression::new(format!("UNHEX(LPAD(HEX({}), {digits}, '0'))", bits(name)), Kind::Binary, Compatible)
        }
        // The server's own form: four bytes of SRID, then WKB.
        (W::Binary, Base::Geometry) => plain(Kind::Binary, Compatible),
        (W::Uuid, Base::Text) => plain(Kind::Uuid { text: true }, Compatible),
        (W::Uuid, Base::Binary) if source.result.length == 16 => plain(Kind::Uuid { text: false }, Compatible),
        _ => return Err(cannot_become(source, wanted, "text")),
    })
}
