//! Functions: which there are, aggregates, and windows.

use rusqlite::types::{Value, ValueRef};

use super::{Binder, Bound, Scope, coerce, text_type};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, Expr, Over};
use crate::types::numeric::Number;
use crate::types::{Kind, MAX, Type, cast, encode};

impl Binder<'_> {
    pub fn call(&mut self, scope: &Scope<'_>, call: &Call) -> SqlResult<Bound> {
        let name = call.name.last().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        if let Some(bound) = self.aggregate(scope, &name, call)? {
            return Ok(bound);
        }
        if call.over.is_some() || call.distinct || call.star || !call.within.is_empty() {
            return Err(SqlError::unsupported(format!("{name} with OVER, DISTINCT, WITHIN GROUP or *")));
        }
        if let Some(bound) = self.conditional(scope, &name, &call.arguments)? {
            return Ok(bound);
        }
        if let Some(bound) = self.dated(scope, &name, &call.arguments)? {
            return Ok(bound);
        }
        let bound = call.arguments.iter().map(|argument| self.value(scope, argument)).collect::<SqlResult<Vec<_>>>()?;
        if let Some(bound) = self.texts(&name, &bound)? {
            return Ok(bound);
        }
        if let Some(bound) = self.numbers(&name, &bound)? {
            return Ok(bound);
        }
        if let Some(bound) = self.times(&name, &bound)? {
            return Ok(bound);
        }
        if let Some(bound) = self.system(&name, &bound)? {
            return Ok(bound);
        }
        Err(SqlError::new(195, format!("'{}' is not a recognized built-in function name.", call.name.join(".")))
            .class(15))
    }

    fn aggregate(&mut self, scope: &Scope<'_>, name: &str, call: &Call) -> SqlResult<Option<Bound>> {
        let ranking = matches!(name, "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "NTILE");
        let known = matches!(
            name,
            "COUNT" | "COUNT_BIG" | "SUM" | "AVG" | "MIN" | "MAX" | "STRING_AGG" | "APPROX_COUNT_DISTINCT"
        );
        let offset = matches!(name, "LAG" | "LEAD" | "FIRST_VALUE" | "LAST_VALUE");
        if !ranking && !known && !offset {
            return Ok(None);
        }
        let over = match &call.over {
            Some(over) => self.over(scope, over)?,
            None if ranking || offset => {
                return Err(SqlError::new(
                    10753,
                    format!("The function '{}' must have an OVER clause.", name.to_lowercase()),
                )
                .class(15));
            }
            None => String::new(),
        };
        let big = Type::new(Kind::BigInt);
        if ranking {
            let inside = match call.arguments.first() {
                Some(argument) => {
                    let argument = self.value(scope, argument)?;
                    self.coerce(&argument, &big).sql
                }
                None => String::new(),
            };
            return Ok(Some(Bound::new(format!("{name}({inside}){over}"), big)));
        }
        if call.star {
            let ty = if name == "COUNT_BIG" { big } else { Type::new(Kind::Int) };
            if !name.starts_with("COUNT") {
                return Err(SqlError::syntax("*"));
            }
            return Ok(Some(Bound::new(format!("COUNT(*){over}"), ty)));
        }
        let argument = match call.arguments.first() {
            Some(argument) => self.value(scope, argument)?,
            None => {
                return Err(SqlError::new(
                    174,
                    format!("The {} function requires 1 argument(s).", name.to_lowercase()),
                )
                .class(15));
            }
        };
        let distinct = call.distinct || name == "APPROX_COUNT_DISTINCT";
        let word = if distinct { "DISTINCT " } else { "" };
        let ty = argument.ty;
        let bound = match name {
            "COUNT" | "COUNT_BIG" | "APPROX_COUNT_DISTINCT" => {
                let ty = if name == "COUNT" { Type::new(Kind::Int) } else { big };
                Bound::new(format!("COUNT({word}{}){over}", argument.ordered()), ty)
            }
            "MIN" | "MAX" => {
                if matches!(ty.kind, Kind::Bit | Kind::SqlVariant | Kind::Xml | Kind::Text | Kind::NText | Kind::Image)
                    || ty.is_spatial()
                {
                    return Err(SqlError::new(
                        8117,
                        format!(
                            "Operand data type {} is invalid for {} operator.",
                            ty.base_name(),
                            name.to_lowercase()
                        ),
                    ));
                }
                let mut bound = Bound::new(format!("{name}({}){over}", argument.ordered()), ty);
                bound.yields = argument.yields;
                bound
            }
            "LAG" | "LEAD" | "FIRST_VALUE" | "LAST_VALUE" => {
                let mut inside = argument.sql.clone();
                if let Some(steps) = call.arguments.get(1) {
                    let steps = self.value(scope, steps)?;
                    inside = format!("{inside}, {}", steps.sql);
                }
                Bound::new(format!("{name}({inside}){over}"), ty)
            }
            "STRING_AGG" => self.joined_texts(scope, call, &argument)?,
            _ => self.sum(name, &argument, distinct, &over)?,
        };
        Ok(Some(bound))
    }

    /// SUM and AVG.
    fn sum(&mut self, name: &str, argument: &Bound, distinct: bool, over: &str) -> SqlResult<Bound> {
        let ty = argument.ty;
        let average = name == "AVG";
        let word = if distinct { "DISTINCT " } else { "" };
        match coerce::class(&ty) {
            coerce::Class::Integer if ty.kind != Kind::Bit => {
                let result = if ty.kind == Kind::BigInt { ty } else { Type::new(Kind::Int) };
                if average {
                    let sql = format!("(SUM({word}{0}){over} / COUNT({word}{0}){over})", argument.sql);
                    return Ok(Bound::new(sql, result));
                }
                let sum = Bound::new(format!("SUM({word}{}){over}", argument.sql), Type::new(Kind::BigInt));
                Ok(self.coerce(&sum, &result))
            }
            coerce::Class::Float => {
                let function = if average { "AVG" } else { "SUM" };
                Ok(Bound::new(format!("{function}({word}{}){over}", argument.sql), Type::new(Kind::Float)))
            }
            coerce::Class::Exact if over.is_empty() => {
                let scale = if average && !matches!(ty.kind, Kind::Money | Kind::SmallMoney) {
                    ty.scale.max(6)
                } else {
                    ty.scale
                };
                let result = if matches!(ty.kind, Kind::Money | Kind::SmallMoney) {
                    Type::new(Kind::Money)
                } else {
                    Type::decimal(38, scale)
                };
                self.fold(result, argument, distinct, move |values| {
                    let mut sum: i128 = 0;
                    for value in values {
                        let Value::Text(text) = value else { continue };
                        let number = Number::parse(text).and_then(|number| number.rescaled(ty.scale));
                        let number = number.ok_or_else(|| SqlError::overflow("numeric"))?;
                        sum = sum.checked_add(number.mantissa).ok_or_else(|| SqlError::overflow("numeric"))?;
                    }
                    let Ok(count) = i128::try_from(values.len()) else { return Ok(Value::Null) };
                    if count == 0 {
                        return Ok(Value::Null);
                    }
                    let number = Number { mantissa: sum, scale: ty.scale };
                    let number = number.rescaled(scale).ok_or_else(|| SqlError::overflow("numeric"))?;
                    let mantissa = if average { number.mantissa / count } else { number.mantissa };
                    Ok(Value::Text(Number { mantissa, scale }.to_string()))
                })
            }
            coerce::Class::Exact => Err(SqlError::unsupported("SUM of decimals with OVER")),
            _ => Err(SqlError::new(
                8117,
                format!("Operand data type {} is invalid for {} operator.", ty.base_name(), name.to_lowercase()),
            )),
        }
    }

    fn joined_texts(&mut self, scope: &Scope<'_>, call: &Call, argument: &Bound) -> SqlResult<Bound> {
        if !call.within.is_empty() {
            return Err(SqlError::unsupported("STRING_AGG with WITHIN GROUP"));
        }
        let separator = match call.arguments.get(1) {
            Some(separator) => self.value(scope, separator)?,
            None => return Err(SqlError::new(174, "The string_agg function requires 2 argument(s).").class(15)),
        };
        let separator = match self.evaluate(&separator)? {
            Value::Text(separator) => separator,
            _ => String::new(),
        };
        let mut ty = text_type(4000, argument.ty.is_national() || !argument.ty.is_text());
        ty.length = if argument.ty.length == MAX { MAX } else { ty.length };
        let argument = self.coerce(argument, &Type { length: MAX, ..ty });
        self.fold(ty, &argument, false, move |values| {
            let texts: Vec<&str> = values
                .iter()
                .filter_map(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
                .collect();
            Ok(if texts.is_empty() { Value::Null } else { Value::Text(texts.join(&separator)) })
        })
    }

    fn over(&mut self, scope: &Scope<'_>, over: &Over) -> SqlResult<String> {
        let mut sql = " OVER (".to_owned();
        if !over.partition.is_empty() {
            let by =
                over.partition.iter().map(|by| Ok(self.value(scope, by)?.ordered())).collect::<SqlResult<Vec<_>>>()?;
            sql.push_str(&format!("PARTITION BY {} ", by.join(", ")));
        }
        if !over.order.is_empty() {
            let mut terms = Vec::new();
            for by in &over.order {
                terms.push(super::select::directed(&self.value(scope, &by.by)?, by));
            }
            sql.push_str(&format!("ORDER BY {} ", terms.join(", ")));
        }
        if let Some(frame) = &over.frame {
            sql.push_str(frame);
        }
        sql.push(')');
        Ok(sql)
    }

    /// COALESCE and its like, whose arguments are conditions or share a type.
    fn conditional(&mut self, scope: &Scope<'_>, name: &str, arguments: &[Expr]) -> SqlResult<Option<Bound>> {
        let bound = match (name, arguments) {
            ("COALESCE", [_, _, ..]) => {
                let values =
                    arguments.iter().map(|argument| self.value(scope, argument)).collect::<SqlResult<Vec<_>>>()?;
                let values = self.unified(&values);
                let list: Vec<&str> = values.iter().map(|value| value.sql.as_str()).collect();
                let mut bound = Bound::new(format!("COALESCE({})", list.join(", ")), values[0].ty);
                bound.nullable = values.iter().all(|value| value.nullable);
                bound
            }
            ("ISNULL", [value, otherwise]) => {
                let (value, otherwise) = (self.value(scope, value)?, self.value(scope, otherwise)?);
                // The first argument's type decides.
                let ty = if value.untyped { otherwise.ty } else { value.ty };
                let (value, otherwise) = (self.coerce(&value, &ty), self.coerce(&otherwise, &ty));
                let mut bound = Bound::new(format!("COALESCE({}, {})", value.sql, otherwise.sql), ty);
                bound.nullable = value.nullable && otherwise.nullable;
                bound
            }
            ("NULLIF", [value, other]) => {
                let (value, other) = (self.value(scope, value)?, self.value(scope, other)?);
                let (a, b) = self.comparable(&value, &other)?;
                Bound::new(format!("CASE WHEN {a} = {b} THEN NULL ELSE {} END", value.sql), value.ty)
            }
            ("IIF", [condition, then, otherwise]) => {
                let expr = Expr::Case(None, vec![(condition.clone(), then.clone())], Some(Box::new(otherwise.clone())));
                self.value(scope, &expr)?
            }
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }

    fn numbers(&mut self, name: &str, arguments: &[Bound]) -> SqlResult<Option<Bound>> {
        let bound = match (name, arguments) {
            ("ABS" | "FLOOR" | "CEILING" | "SIGN", [value]) => {
                let ty = value.ty;
                let name = name.to_owned();
                let result = match coerce::class(&ty) {
                    coerce::Class::Exact
                        if matches!(name.as_str(), "FLOOR" | "CEILING")
                            && !matches!(ty.kind, Kind::Money | Kind::SmallMoney) =>
                    {
                        Type::decimal(ty.precision, 0)
                    }
                    coerce::Class::Integer | coerce::Class::Exact | coerce::Class::Float => ty,
                    _ => {
                        return Err(SqlError::new(
                            8116,
                            format!(
                                "Argument data type {} is invalid for argument 1 of {name} function.",
                                ty.base_name()
                            ),
                        ));
                    }
                };
                self.function(result, &[value], move |values| rounded(&name, &ty, &result, values[0]))
            }
            ("CHECKSUM", [_, ..]) => {
                let arguments: Vec<&Bound> = arguments.iter().collect();
                self.raw_function(Type::new(Kind::Int), &arguments, false, |values| {
                    // FNV: stable, which is all that anybody may expect of it.
                    let mut hash: u32 = 0x811c_9dc5;
                    for value in values {
                        for byte in format!("{value:?}").bytes() {
                            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
                        }
                    }
                    Ok(Value::Integer(i64::from(i32::from_le_bytes(hash.to_le_bytes()))))
                })
            }
            ("NEWID", []) => {
                let mut bound = self
                    .raw_function(Type::new(Kind::UniqueIdentifier), &[], true, |_| Ok(Value::Text(cast::new_guid())));
                bound.nullable = false;
                bound
            }
            ("SQRT" | "LOG" | "EXP", [value]) => {
                let float = Type::new(Kind::Float);
                let name = name.to_owned();
                let value = self.coerce(value, &float);
                self.function(float, &[&value], move |values| {
                    let value = encode::real(&float, values[0])?;
                    Ok(Value::Real(match name.as_str() {
                        "SQRT" => value.sqrt(),
                        "LOG" => value.ln(),
                        _ => value.exp(),
                    }))
                })
            }
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }
}

fn rounded(name: &str, ty: &Type, result: &Type, value: ValueRef<'_>) -> SqlResult<Value> {
    match value {
        ValueRef::Integer(value) => Ok(Value::Integer(match name {
            "ABS" => value.checked_abs().ok_or_else(|| SqlError::overflow(ty.base_name()))?,
            "SIGN" => value.signum(),
            _ => value,
        })),
        ValueRef::Real(value) => Ok(Value::Real(match name {
            "ABS" => value.abs(),
            "SIGN" if value == 0.0 => 0.0,
            "SIGN" => value.signum(),
            "FLOOR" => value.floor(),
            _ => value.ceil(),
        })),
        other => {
            let number = Number::parse(encode::text(ty, other)?).ok_or_else(|| SqlError::overflow("numeric"))?;
            let unit = 10_i128.pow(u32::from(number.scale));
            let whole = match name {
                "ABS" => return Ok(Value::Text(Number { mantissa: number.mantissa.abs(), ..number }.to_string())),
                "SIGN" => number.mantissa.signum(),
                "FLOOR" => number.mantissa.div_euclid(unit),
                _ => -(-number.mantissa).div_euclid(unit),
            };
            let fitted = Number { mantissa: whole, scale: 0 }
                .rescaled(result.scale)
                .ok_or_else(|| SqlError::overflow("numeric"))?;
            Ok(Value::Text(fitted.to_string()))
        }
    }
}
