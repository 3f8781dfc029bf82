//! Reads what the host asks, and tells what this plugin is too old for from what is malformed.
//!
//! An unknown key is ignored: the host sends as a key only what may be ignored. An unknown variant of an
//! enum must not be, so it is answered with `Unsupported`. serde_json has one error for everything, in
//! words; this reader keeps the two apart.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_json::Value;

use crate::{Error, Result};

/// The arguments behind a text of the host's.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    let malformed = |what: &dyn fmt::Display| Error::protocol(format!("arguments from the host: {what}"));
    let value: Value = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    T::deserialize(Json(&value)).map_err(|fault| match fault {
        Fault::UnknownVariant(name) => super::unknown(&name),
        Fault::Malformed(what) => malformed(&what),
    })
}

/// Why arguments cannot be read.
#[derive(Debug)]
enum Fault {
    UnknownVariant(String),
    Malformed(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVariant(name) => write!(f, "unknown variant `{name}`"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::Malformed(what.to_string())
    }

    fn unknown_variant(variant: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownVariant(variant.to_owned())
    }
}

/// A value to be read, with errors of our own.
#[derive(Clone, Copy)]
struct Json<'a>(&'a Value);

impl<'de> IntoDeserializer<'de, Fault> for Json<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Json<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., Some(number)) => visitor.visit_f64(number),
                _ => Err(Fault::custom(format!("the number {number}"))),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(values) => {
                let mut values = SeqDeserializer::new(values.iter().map(Json));
                let read = visitor.visit_seq(&mut values)?;
                values.end().map(|()| read)
            }
            Value::Object(members) => visitor.visit_map(object(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// `"plain"`, or `{"with": …}` of one member.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(StrDeserializer::new(text)),
            Value::Object(members) if members.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(object(members)))
            }
            _ => Err(Fault::custom("a variant's name, or an object with one member, was expected")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

type Member<'a> = (StrDeserializer<'a, Fault>, Json<'a>);
type Members<'a> = std::iter::Map<serde_json::map::Iter<'a>, fn((&'a String, &'a Value)) -> Member<'a>>;

fn object(members: &serde_json::Map<String, Value>) -> MapDeserializer<'_, Members<'_>, Fault> {
    fn member<'a>((key, value): (&'a String, &'a Value)) -> Member<'a> {
        (StrDeserializer::new(key), Json(value))
    }
    let members: Members<'_> = members.iter().map(member);
    MapDeserializer::new(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Bound, ColumnRequest, Condition, ErrorKind, ExportRequest, Relation, Scalar, SplitBy, SplitInto, SplitRequest,
        TableName, WantedType,
    };

    fn request() -> ExportRequest {
        let mut request = ExportRequest::whole(Relation::Table(TableName::qualified("public", "t")));
        request.columns = vec![ColumnRequest::new("a", Some(WantedType::Decimal(12, 2)))];
        request.limit = Some(u64::MAX);
        let from = Some(Bound::inclusive(vec![Scalar::Integer(i128::MIN), Scalar::Text("ü".into()), Scalar::Null]));
        request.conditions = vec![Condition::Range { key: vec!["a".into()], from, to: None }, Condition::Nothing];
        request
    }

    #[test]
    fn it_reads_what_serde_json_reads() {
        let request = SplitRequest::new(request(), SplitBy::Native, SplitInto::Rows(3));
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(read::<SplitRequest>(&text).unwrap(), request);
        assert_eq!(read::<Option<u32>>("null").unwrap(), None);
        assert_eq!(read::<String>("\"text\"").unwrap(), "text");
        assert_eq!(read::<()>("null").unwrap(), ());
    }

    #[test]
    fn an_unknown_key_is_ignored_and_an_unknown_variant_is_not() {
        let mut value = serde_json::to_value(request()).unwrap();
        for place in ["", "/relation/table", "/columns/0", "/conditions/0/range", "/conditions/0/range/from", "/batch"]
        {
            let members = value.pointer_mut(place).unwrap().as_object_mut().unwrap();
            members.insert("of_tomorrow".into(), serde_json::json!({ "a": [1, null] }));
        }
        assert_eq!(read::<ExportRequest>(&value.to_string()).unwrap(), request());
        for (place, variant) in [
            ("/conditions/1", serde_json::json!("of_tomorrow")),
            ("/conditions/1", serde_json::json!({ "of_tomorrow": { "column": "a" } })),
            ("/relation", serde_json::json!({ "of_tomorrow": "x" })),
            ("/columns/0/wanted", serde_json::json!("of_tomorrow")),
            ("/on_unrepresentable", serde_json::json!("of_tomorrow")),
            ("/conditions/0/range/from/values/0", serde_json::json!({ "type": "of_tomorrow", "value": "1" })),
        ] {
            let mut value = serde_json::to_value(request()).unwrap();
            *value.pointer_mut(place).unwrap() = variant;
            let error = read::<ExportRequest>(&value.to_string()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{place}: {error:?}");
            assert!(error.message().contains("`of_tomorrow`"), "{error:?}");
        }
    }

    #[test]
    fn what_is_malformed_is_the_hosts_fault() {
        for text in ["", "{", "{}", "{\"relation\":{\"table\":7},\"batch\":{}}", "[]", "{\"relation\":{},\"batch\":1}"]
        {
            assert_eq!(read::<ExportRequest>(text).unwrap_err().kind(), ErrorKind::Protocol, "{text}");
        }
    }
}
