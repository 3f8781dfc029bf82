//! `+ - * / %` and the bitwise ones.

use rusqlite::types::{Value, ValueRef};

use super::coerce::{Class, as_exact, class, common};
use super::{Binder, Bound, texts};
use crate::error::{SqlError, SqlResult};
use crate::types::numeric::Number;
use crate::types::temporal::{DAY, DAYS_1900, Moment};
use crate::types::{Kind, MAX, Type, cast, encode};

impl Binder<'_> {
    pub fn arithmetic(&mut self, sign: &'static str, a: &Bound, b: &Bound) -> SqlResult<Bound> {
        if a.untyped && b.untyped {
            return Ok(a.clone());
        }
        let joint = common(a, b);
        match class(&joint) {
            Class::Integer => self.integers(sign, a, b, joint),
            Class::Float => self.floats(sign, a, b, joint),
            Class::Exact => self.exacts(sign, a, b),
            Class::Text if sign == "+" => self.joined(a, b),
            Class::Moment if matches!(joint.kind, Kind::DateTime | Kind::SmallDateTime) && b.ty.is_integer() => {
                self.days(sign, a, b)
            }
            _ => Err(SqlError::new(
                402,
                format!(
                    "The data types {} and {} are incompatible in the {sign} operator.",
                    a.ty.base_name(),
                    b.ty.base_name()
                ),
            )),
        }
    }

    fn integers(&mut self, sign: &'static str, a: &Bound, b: &Bound, ty: Type) -> SqlResult<Bound> {
        let (a, b) = (self.coerce(a, &ty), self.coerce(b, &ty));
        let wide = Type::new(Kind::BigInt);
        Ok(self.function(ty, &[&a, &b], move |values| {
            let (x, y) = (encode::integer(&ty, values[0])?, encode::integer(&ty, values[1])?);
            if matches!(sign, "/" | "%") && y == 0 {
                return Err(SqlError::new(8134, "Divide by zero error encountered."));
            }
            let result = match sign {
                "+" => x.checked_add(y),
                "-" => x.checked_sub(y),
                "*" => x.checked_mul(y),
                "/" => x.checked_div(y),
                "%" => Some(x.checked_rem(y).unwrap_or(0)),
                "&" => Some(x & y),
                "|" => Some(x | y),
                _ => Some(x ^ y),
            };
            let result = result.ok_or_else(|| SqlError::overflow(ty.base_name()))?;
            cast::cast(ValueRef::Integer(result), &wide, &ty, None)
        }))
    }

    fn floats(&mut self, sign: &'static str, a: &Bound, b: &Bound, ty: Type) -> SqlResult<Bound> {
        let (a, b) = (self.coerce(a, &ty), self.coerce(b, &ty));
        let wide = Type::new(Kind::Float);
        Ok(self.function(ty, &[&a, &b], move |values| {
            let (x, y) = (encode::real(&ty, values[0])?, encode::real(&ty, values[1])?);
            if sign == "/" && y == 0.0 {
                return Err(SqlError::new(8134, "Divide by zero error encountered."));
            }
            let result = match sign {
                "+" => x + y,
                "-" => x - y,
                "*" => x * y,
                "/" => x / y,
                _ => {
                    return Err(SqlError::new(402, format!("The data types are incompatible in the {sign} operator.")));
                }
            };
            if result.is_infinite() {
                return Err(SqlError::overflow("float"));
            }
            cast::cast(ValueRef::Real(result), &wide, &ty, None)
        }))
    }

    fn exacts(&mut self, sign: &'static str, a: &Bound, b: &Bound) -> SqlResult<Bound> {
        let joint = common(a, b);
        let money = matches!(joint.kind, Kind::Money | Kind::SmallMoney);
        let (p, q) = (as_exact(&a.ty), as_exact(&b.ty));
        // A text beside a number becomes that number's type.
        let (p, q) = (if a.ty.is_text() || a.untyped { q } else { p }, if b.ty.is_text() || b.untyped { p } else { q });
        let (p1, s1, p2, s2) = (i32::from(p.precision), i32::from(p.scale), i32::from(q.precision), i32::from(q.scale));
        let (precision, scale) = match sign {
            "+" | "-" => (s1.max(s2) + (p1 - s1).max(p2 - s2) + 1, s1.max(s2)),
            "*" => (p1 + p2 + 1, s1 + s2),
            "/" => (p1 - s1 + s2 + 6.max(s1 + p2 + 1), 6.max(s1 + p2 + 1)),
            "%" => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
            _ => return Err(SqlError::new(402, format!("The data types are incompatible in the {sign} operator."))),
        };
        let scale = if precision > 38 { scale.min(6).max(scale - (precision - 38)) } else { scale };
        let narrow = |number: i32| u8::try_from(number.clamp(0, 38)).unwrap_or(38);
        let ty = if money { joint } else { Type::decimal(narrow(precision.max(1)), narrow(scale)) };
        let (a, b) = (self.coerce(a, &p), self.coerce(b, &q));
        Ok(self.function(ty, &[&a, &b], move |values| {
            let read =
                |ty: &Type, value| Number::parse(encode::text(ty, value)?).ok_or_else(|| SqlError::overflow("numeric"));
            let (x, y) = (read(&p, values[0])?, read(&q, values[1])?);
            let result = computed(sign, x, y, ty.scale)?.fitted(if money { 19 } else { ty.precision }, ty.scale)?;
            Ok(Value::Text(result.to_string()))
        }))
    }

    fn joined(&mut self, a: &Bound, b: &Bound) -> SqlResult<Bound> {
        let mut ty = common(a, b);
        ty.kind = if ty.is_national() { Kind::NVarChar } else { Kind::VarChar };
        ty.collation = super::coerce::collation(a, b);
        let limit = if ty.is_national() { 4000 } else { 8000 };
        let longest = if a.ty.length == MAX || b.ty.length == MAX {
            MAX
        } else {
            a.ty.length.saturating_add(b.ty.length).min(limit)
        };
        ty.length = longest;
        let (left, right) = (
            self.coerce(a, &Type { length: a.ty.length.max(1), ..ty }),
            self.coerce(b, &Type { length: b.ty.length.max(1), ..ty }),
        );
        let mut bound = self.function(ty, &[&left, &right], move |values| {
            let mut text = texts::read(&ty, values[0])?;
            text.extend(texts::read(&ty, values[1])?);
            let joined = texts::write(&text);
            cast::cast(ValueRef::from(&joined), &Type { length: MAX, ..ty }, &ty, None)
        });
        bound.yields = a.yields && b.yields;
        Ok(bound)
    }

    /// datetime plus or minus days.
    fn days(&mut self, sign: &'static str, a: &Bound, b: &Bound) -> SqlResult<Bound> {
        let ty = a.ty;
        let by = b.ty;
        Ok(self.function(ty, &[a, b], move |values| {
            let moment = Moment::canonical(encode::text(&ty, values[0])?).unwrap_or(Moment::new(DAYS_1900, 0));
            let days = encode::integer(&by, values[1])?;
            let day = i64::try_from(DAY).unwrap_or(i64::MAX);
            let ticks =
                days.checked_mul(if sign == "-" { -day } else { day }).ok_or_else(|| SqlError::overflow("datetime"))?;
            Ok(Value::Text(moment.plus(ticks).fitted(&ty)?.store(ty.kind)))
        }))
    }
}

fn computed(sign: &str, x: Number, y: Number, scale: u8) -> SqlResult<Number> {
    let overflow = || SqlError::overflow("numeric");
    let high = x.scale.max(y.scale);
    let level = |number: Number| number.rescaled(high).map(|number| number.mantissa).ok_or_else(overflow);
    let made = match sign {
        "+" => Number { mantissa: level(x)?.checked_add(level(y)?).ok_or_else(overflow)?, scale: high },
        "-" => Number { mantissa: level(x)?.checked_sub(level(y)?).ok_or_else(overflow)?, scale: high },
        "*" => Number { mantissa: x.mantissa.checked_mul(y.mantissa).ok_or_else(overflow)?, scale: x.scale + y.scale },
        _ if y.mantissa == 0 => return Err(SqlError::new(8134, "Divide by zero error encountered.")),
        "/" => {
            let shift = u32::from(scale) + u32::from(y.scale);
            let shift = shift.checked_sub(u32::from(x.scale)).ok_or_else(overflow)?;
            let up =
                10_i128.checked_pow(shift).and_then(|factor| x.mantissa.checked_mul(factor)).ok_or_else(overflow)?;
            // Division cuts; it does not round.
            Number { mantissa: up / y.mantissa, scale }
        }
        _ => Number { mantissa: level(x)? % level(y)?, scale: high },
    };
    Ok(made)
}
