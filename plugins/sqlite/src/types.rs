//! What a declared type, or a wanted one, becomes in Arrow.

use rivet_sdk::arrow_schema::{DataType, TimeUnit};
use rivet_sdk::sql::columns::{Extension, Target};
use rivet_sdk::{Fidelity, WantedType};

/// How a column's cells are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    /// Total digits, digits after the point.
    Decimal(u8, i8),
    Text,
    Json,
    Binary,
    Uuid,
    Date,
    Time,
    Timestamp {
        nanos: bool,
        utc: bool,
    },
}

impl Kind {
    /// What SQLite's declared type means; None where it says nothing and the cells decide.
    pub fn of_declared(declared: &str) -> Option<(Self, Fidelity)> {
        let upper = declared.trim().to_ascii_uppercase();
        let (base, arguments) = match upper.split_once('(') {
            Some((base, rest)) => (base.trim(), rest.split_once(')').map_or(rest, |(inside, _)| inside)),
            None => (upper.as_str(), ""),
        };
        let utc = upper.ends_with("WITH TIME ZONE") || matches!(base, "TIMESTAMPTZ" | "DATETIMEOFFSET");
        let kind = match base {
            "" | "ANY" => return None,
            "BOOL" | "BOOLEAN" => (Self::Boolean, Fidelity::Exact),
            "DATE" => (Self::Date, Fidelity::Compatible),
            "TIME" => (Self::Time, Fidelity::Compatible),
            "JSON" | "JSONB" => (Self::Json, Fidelity::Exact),
            "UUID" | "GUID" | "UNIQUEIDENTIFIER" => (Self::Uuid, Fidelity::Compatible),
            stamp
                if ["DATETIME", "DATETIME2", "DATETIMEOFFSET", "SMALLDATETIME", "TIMESTAMPTZ"].contains(&stamp)
                    || stamp.starts_with("TIMESTAMP") =>
            {
                (Self::Timestamp { nanos: false, utc }, Fidelity::Compatible)
            }
            _ => Self::of_affinity(base, arguments),
        };
        Some(kind)
    }

    /// Whether a declared type is one of dates, or of dates and times.
    pub fn is_of_instants(declared: &str) -> bool {
        matches!(Self::of_declared(declared), Some((Self::Date | Self::Timestamp { .. }, _)))
    }

    /// SQLite's own rules, in its order.
    fn of_affinity(base: &str, arguments: &str) -> (Self, Fidelity) {
        let has = |parts: &[&str]| parts.iter().any(|part| base.contains(part));
        if has(&["INT"]) {
            (Self::Int64, Fidelity::Exact)
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            (Self::Text, Fidelity::Exact)
        } else if has(&["BLOB"]) {
            (Self::Binary, Fidelity::Exact)
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            (Self::Float64, Fidelity::Exact)
        } else {
            match digits(arguments) {
                Some((precision, scale)) => (Self::Decimal(precision, scale), Fidelity::Compatible),
                None => (Self::Text, Fidelity::Text),
            }
        }
    }

    /// A wanted type over a column that would be `natural`; None where it makes no sense.
    pub fn of_wanted(wanted: WantedType, natural: Self) -> Option<(Self, Fidelity)> {
        let number = matches!(
            natural,
            Self::Boolean | Self::Int16 | Self::Int32 | Self::Int64 | Self::Float32 | Self::Float64 | Self::Decimal(..)
        );
        let text = matches!(natural, Self::Text | Self::Json);
        let moment = matches!(natural, Self::Date | Self::Time | Self::Timestamp { .. });
        let bytes = matches!(natural, Self::Binary);
        let (kind, sensible) = match wanted {
            WantedType::Text => (Self::Text, true),
            WantedType::Binary => (Self::Binary, true),
            WantedType::Bool => (Self::Boolean, number || text),
            WantedType::Int2 => (Self::Int16, number || text || moment),
            WantedType::Int4 => (Self::Int32, number || text || moment),
            WantedType::Int8 => (Self::Int64, number || text || moment),
            WantedType::Float4 => (Self::Float32, number || text || moment),
            WantedType::Float8 => (Self::Float64, number || text || moment),
            WantedType::Decimal(precision, scale) => (Self::Decimal(precision, scale), number || text || moment),
            WantedType::Date => (Self::Date, number || text || moment),
            WantedType::Time => (Self::Time, text || moment),
            WantedType::Timestamp => (Self::Timestamp { nanos: false, utc: false }, number || text || moment),
            WantedType::TimestampNs => (Self::Timestamp { nanos: true, utc: false }, number || text || moment),
            WantedType::TimestampTz => (Self::Timestamp { nanos: false, utc: true }, number || text || moment),
            WantedType::TimestampTzNs => (Self::Timestamp { nanos: true, utc: true }, number || text || moment),
            WantedType::Json => (Self::Json, text),
            WantedType::Uuid => (Self::Uuid, text || bytes || natural == Self::Uuid),
            _ => (Self::Int64, false),
        };
        let fidelity = match kind {
            same if same == natural => Fidelity::Exact,
            Self::Float32 => Fidelity::Lossy,
            Self::Float64 if text => Fidelity::Lossy,
            Self::Text => Fidelity::Text,
            _ => Fidelity::Compatible,
        };
        sensible.then_some((kind, fidelity))
    }
}

impl Target for Kind {
    fn data_type(&self) -> DataType {
        match *self {
            Self::Boolean => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Decimal(precision @ ..=38, scale) => DataType::Decimal128(precision, scale),
            Self::Decimal(precision, scale) => DataType::Decimal256(precision, scale),
            Self::Text | Self::Json => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { nanos, utc } => {
                let unit = if nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
                DataType::Timestamp(unit, utc.then(|| "UTC".into()))
            }
        }
    }

    fn extension(&self) -> Option<Extension> {
        match self {
            Self::Json => Some(Extension::Json),
            Self::Uuid => Some(Extension::Uuid),
            _ => None,
        }
    }

    /// Any cell may contradict its column.
    fn may_not_fit(&self) -> bool {
        true
    }
}

/// `12,2` or `12`: what a decimal can hold.
fn digits(arguments: &str) -> Option<(u8, i8)> {
    let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
    let precision: u8 = precision.trim().parse().ok()?;
    let scale: i8 = scale.trim().parse().ok()?;
    let fits = (1..=76).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision;
    fits.then_some((precision, scale))
}

/// The storage classes seen in a column: what an untyped one becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Seen {
    pub integer: bool,
    pub real: bool,
    pub text: bool,
    pub blob: bool,
}

impl Seen {
    /// The widest class, in SQLite's order of classes.
    pub fn kind(self) -> (Kind, Fidelity) {
        let kind = match self {
            Self { blob: true, .. } => Kind::Binary,
            Self { text: true, .. } => Kind::Text,
            Self { real: true, .. } => Kind::Float64,
            Self { integer: true, .. } => Kind::Int64,
            _ => Kind::Text,
        };
        let classes = [self.integer, self.real, self.text, self.blob].into_iter().filter(|seen| *seen).count();
        (kind, if classes > 1 { Fidelity::Compatible } else { Fidelity::Exact })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_follow_names_then_affinity() {
        let stamp = |utc| Kind::Timestamp { nanos: false, utc };
        for (declared, kind) in [
            ("INTEGER", Kind::Int64),
            ("tinyint(1)", Kind::Int64),
            ("VARCHAR(20)", Kind::Text),
            ("double precision", Kind::Float64),
            ("blob", Kind::Binary),
            ("DECIMAL(12,2)", Kind::Decimal(12, 2)),
            ("NUMERIC (50, 10)", Kind::Decimal(50, 10)),
            ("numeric", Kind::Text),
            ("DECIMAL(99,2)", Kind::Text),
            ("Boolean", Kind::Boolean),
            ("DATETIME", stamp(false)),
            ("timestamp(6)", stamp(false)),
            ("TIMESTAMP WITH TIME ZONE", stamp(true)),
            ("timestamptz", stamp(true)),
            ("DATE", Kind::Date),
            ("TIME", Kind::Time),
            ("json", Kind::Json),
            ("GUID", Kind::Uuid),
            ("POINT", Kind::Int64),
        ] {
            assert_eq!(Kind::of_declared(declared).unwrap().0, kind, "{declared}");
        }
        assert_eq!(Kind::of_declared(""), None);
        assert_eq!(Kind::of_declared("ANY"), None);
    }
}
