//! PostgreSQL's types: what the catalogue says of them, and what each becomes.

use std::collections::{BTreeSet, HashMap};

use rivet_sdk::sql::columns;
use rivet_sdk::{Error, Fidelity, Result};

use crate::kind::{Kind, TextForm};
use crate::wire::Wire;

/// The types an export meets, nested ones included.
#[derive(Debug, Default)]
pub(crate) struct Types {
    known: HashMap<u32, Type>,
    money_scale: Option<i8>,
}

#[derive(Debug, Clone)]
struct Type {
    schema: String,
    name: String,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Scalar,
    Enum,
    Domain { base: u32, typmod: i32 },
    Array { element: u32 },
    Composite(Vec<Member>),
    Range { bound: u32 },
    Multirange { bound: u32 },
}

#[derive(Debug, Clone)]
struct Member {
    name: String,
    oid: u32,
    typmod: i32,
}

pub(crate) type Expression = columns::Expression<Kind>;

impl Types {
    /// Reads the types in `oids`, and all they are made of.
    pub fn load(&mut self, wire: &mut Wire, version: u32, oids: impl IntoIterator<Item = u32>) -> Result<()> {
        let mut missing: BTreeSet<u32> = oids.into_iter().filter(|oid| !self.known.contains_key(oid)).collect();
        let mut asked = BTreeSet::new();
        while !missing.is_empty() {
            asked.extend(missing.iter().copied());
            let list = missing.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            let multirange = if version >= 140_000 { "rngmultitypid" } else { "NULL::oid" };
            let sql = format!(
                "SELECT t.oid, n.nspname, t.typname, t.typtype, e.oid, t.typbasetype, t.typtypmod, \
                 r.rngsubtype, m.rngsubtype \
                 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
                 LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid \
                 LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid \
                 LEFT JOIN pg_catalog.pg_range m ON m.{multirange} = t.oid AND t.typtype = 'm' \
                 WHERE t.oid IN ({list})",
            )
            .replace("m.NULL::oid", "NULL::oid");
            for row in wire.simple(&sql)?.rows {
                let [oid, schema, name, class, element, base, typmod, range, multirange] = &row[..] else {
                    return Err(Error::internal("pg_type in an unexpected shape"));
                };
                let form = match (class.as_deref(), element, range, multirange) {
                    (Some("d"), ..) => Form::Domain { base: number(base)?, typmod: number(typmod)? },
                    (Some("e"), ..) => Form::Enum,
                    (Some("c"), ..) => Form::Composite(Vec::new()),
                    (Some("r"), _, Some(_), _) => Form::Range { bound: number(range)? },
                    (Some("m"), _, _, Some(_)) => Form::Multirange { bound: number(multirange)? },
                    (_, Some(_), ..) => Form::Array { element: number(element)? },
                    _ => Form::Scalar,
                };
                let [schema, name] = [schema, name].map(|text| text.clone().unwrap_or_default());
                self.known.insert(number(oid)?, Type { schema, name, form });
            }
            self.load_members(wire, &list)?;
            missing = self.known.values().flat_map(|known| known.form.parts()).collect();
            missing.retain(|oid| *oid != 0 && !self.known.contains_key(oid) && !asked.contains(oid));
        }
        if self.money_scale.is_none() && self.known.values().any(|known| known.is("money")) {
            let rows = wire.simple("SELECT pg_catalog.scale('1'::money::numeric)")?;
            self.money_scale = rows.rows.first().and_then(|row| number(row.first()?).ok());
        }
        Ok(())
    }

    fn load_members(&mut self, wire: &mut Wire, list: &str) -> Result<()> {
        let sql = format!(
            "SELECT t.oid, a.attname, a.atttypid, a.atttypmod FROM pg_catalog.pg_type t \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid \
             WHERE t.oid IN ({list}) AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped \
             ORDER BY t.oid, a.attnum"
        );
        for row in wire.simple(&sql)?.rows {
            let [oid, name, member, typmod] = &row[..] else {
                return Err(Error::internal("pg_attribute in an unexpected shape"));
            };
            if let Some(Type { form: Form::Composite(members), .. }) = self.known.get_mut(&number(oid)?) {
                members.push(Member {
                    name: name.clone().unwrap_or_default(),
                    oid: number(member)?,
                    typmod: number(typmod)?,
                });
            }
        }
        Ok(())
    }

    /// The select-list expression for the column or member `sql` of this type.
    pub fn expression(&self, sql: &str, oid: u32, typmod: i32) -> Expression {
        if let Some(kind) = self.native(oid, typmod) {
            let fidelity = kind.fidelity();
            return Expression::new(sql, kind, fidelity);
        }
        let as_text = || Expression::new(format!("({sql})::text"), Kind::PLAIN, Fidelity::Text);
        let Some(of) = self.known.get(&oid) else { return as_text() };
        match &of.form {
            Form::Domain { base, typmod } => self.expression(sql, *base, *typmod),
            // The server casts element by element.
            Form::Array { element } if self.is_scalar(*element) => {
                Expression::new(format!("({sql})::text[]"), Kind::List(Box::new(Kind::PLAIN)), Fidelity::Text)
            }
            Form::Composite(members) => {
                let members: Vec<(String, Expression)> = members
                    .iter()
                    .map(|member| {
                        let quoted = member.name.replace('"', "\"\"");
                        let part = self.expression(&format!("({sql}).\"{quoted}\""), member.oid, member.typmod);
                        (member.name.clone(), part)
                    })
                    .collect();
                let parts = members.iter().map(|(_, part)| part.sql.as_str()).collect::<Vec<_>>().join(", ");
                // A row of NULLs is not NULL, and must not become it.
                let sql = format!("CASE WHEN ({sql}) IS DISTINCT FROM NULL THEN ROW({parts}) END");
                let kinds = members.into_iter().map(|(name, part)| (name, part.kind)).collect();
                Expression::new(sql, Kind::Struct(kinds), Fidelity::Text)
            }
            Form::Scalar if matches!(of.name.as_str(), "geometry" | "geography") => {
                let sql = format!("\"{}\".st_asbinary({sql})", of.schema.replace('"', "\"\""));
                Expression::new(sql, Kind::Wkb, Fidelity::Compatible)
            }
            _ => as_text(),
        }
    }

    /// What a result says of a column of this type: a domain is called by its base.
    pub fn announced(&self, oid: u32) -> u32 {
        match self.known.get(&oid).map(|of| &of.form) {
            Some(Form::Domain { base, .. }) => self.announced(*base),
            _ => oid,
        }
    }

    fn is_scalar(&self, oid: u32) -> bool {
        match self.known.get(&oid).map(|of| &of.form) {
            Some(Form::Domain { base, .. }) => self.is_scalar(*base),
            Some(Form::Scalar | Form::Enum) => true,
            _ => false,
        }
    }

    /// The kind whose decoder reads the type's own binary format; None where only the
    /// server's text will do.
    fn native(&self, oid: u32, typmod: i32) -> Option<Kind> {
        let of = self.known.get(&oid)?;
        match &of.form {
            Form::Enum => Some(Kind::PLAIN),
            Form::Domain { base, typmod } => self.native(*base, *typmod),
            Form::Array { element } => Some(Kind::List(Box::new(self.native(*element, typmod)?))),
            Form::Composite(members) => members
                .iter()
                .map(|member| Some((member.name.clone(), self.native(member.oid, member.typmod)?)))
                .collect::<Option<Vec<_>>>()
                .filter(|members| !members.is_empty())
                .map(Kind::Struct),
            Form::Range { bound } => Some(Kind::Range(Box::new(self.native(*bound, -1)?))),
            Form::Multirange { bound } => Some(Kind::Multirange(Box::new(self.native(*bound, -1)?))),
            Form::Scalar => self.scalar(of, typmod),
        }
    }

    fn scalar(&self, of: &Type, typmod: i32) -> Option<Kind> {
        if of.schema != "pg_catalog" {
            return match of.name.as_str() {
                "citext" => Some(Kind::PLAIN),
                "hstore" => Some(Kind::Hstore),
                "vector" => Some(Kind::Vector),
                _ => None,
            };
        }
        Some(match of.name.as_str() {
            "bool" => Kind::Bool,
            "int2" => Kind::Int16,
            "int4" => Kind::Int32,
            "int8" => Kind::Int64,
            "oid" | "xid" | "cid" => Kind::UInt32,
            "float4" => Kind::Float32,
            "float8" => Kind::Float64,
            "numeric" => numeric(typmod),
            "money" => Kind::Money(self.money_scale?),
            "text" | "varchar" | "bpchar" | "name" | "xml" | "unknown" => Kind::PLAIN,
            "char" => Kind::Text(TextForm::Char),
            "bytea" => Kind::Binary,
            "date" => Kind::Date,
            "time" => Kind::Time,
            "timestamp" => Kind::Timestamp { utc: false, nanoseconds: false },
            "timestamptz" => Kind::Timestamp { utc: true, nanoseconds: false },
            "timetz" => Kind::Text(TextForm::TimeTz),
            "interval" => Kind::Text(TextForm::Interval),
            "uuid" => Kind::Uuid,
            "json" => Kind::Json,
            "jsonb" => Kind::Jsonb,
            "inet" | "cidr" => Kind::Text(TextForm::Inet),
            "macaddr" | "macaddr8" => Kind::Text(TextForm::MacAddress),
            "bit" | "varbit" => Kind::Text(TextForm::Bits),
            "pg_lsn" => Kind::Text(TextForm::Lsn),
            _ => return None,
        })
    }

    /// The name of the scalar type below domains; None for nested types.
    pub fn base_name(&self, oid: u32) -> Option<&str> {
        let of = self.known.get(&oid)?;
        match &of.form {
            Form::Domain { base, .. } => self.base_name(*base),
            Form::Scalar => Some(&of.name),
            Form::Enum => Some("enum"),
            _ => None,
        }
    }
}

impl Type {
    fn is(&self, name: &str) -> bool {
        self.schema == "pg_catalog" && self.name == name
    }
}

impl Form {
    fn parts(&self) -> Vec<u32> {
        match self {
            Self::Scalar | Self::Enum => Vec::new(),
            Self::Domain { base, .. } => vec![*base],
            Self::Array { element } => vec![*element],
            Self::Composite(members) => members.iter().map(|member| member.oid).collect(),
            Self::Range { bound } | Self::Multirange { bound } => vec![*bound],
        }
    }
}

/// A declared numeric is a decimal as far as Arrow goes; any other is exact text.
fn numeric(typmod: i32) -> Kind {
    let text = Kind::Text(TextForm::Numeric);
    if typmod < 4 {
        return text;
    }
    let precision = (typmod - 4) >> 16 & 0xFFFF;
    // Eleven bits, signed.
    let scale = (((typmod - 4) & 0x7FF) ^ 1024) - 1024;
    let (precision, scale) = match scale {
        // numeric(3,-2) holds 99900: five digits, none after the point.
        _ if scale < 0 => (precision - scale, 0),
        // numeric(2,5) holds 0.00099.
        _ if scale > precision => (scale, scale),
        _ => (precision, scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) => Kind::Decimal128(precision, scale),
        (Ok(precision @ 39..=76), Ok(scale)) => Kind::Decimal256(precision, scale),
        _ => text,
    }
}

/// A number in a catalogue's answer.
pub(crate) fn number<T: std::str::FromStr>(text: &Option<String>) -> Result<T> {
    text.as_deref()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::internal("the catalogue answered without a number where one was expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typmod(precision: i32, scale: i32) -> i32 {
        (precision << 16 | scale & 0x7FF) + 4
    }

    #[test]
    fn declared_numerics_are_decimals_as_far_as_arrow_goes() {
        for (precision, scale, kind) in [
            (15, 2, Kind::Decimal128(15, 2)),
            (38, 38, Kind::Decimal128(38, 38)),
            (39, 0, Kind::Decimal256(39, 0)),
            (76, 10, Kind::Decimal256(76, 10)),
            (77, 0, Kind::Text(TextForm::Numeric)),
            (3, -2, Kind::Decimal128(5, 0)),
            (2, 5, Kind::Decimal128(5, 5)),
            (1000, 1000, Kind::Text(TextForm::Numeric)),
        ] {
            assert_eq!(numeric(typmod(precision, scale)), kind, "numeric({precision},{scale})");
        }
        assert_eq!(numeric(-1), Kind::Text(TextForm::Numeric));
    }
}
