//! Values.

use rusqlite::types::{Value, ValueRef};

use super::{Binder, Bound, Scope, coerce, text_type};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Expr;
use crate::sql::types::known_collation;
use crate::types::numeric::Number;
use crate::types::{Kind, MAX, Type, cast, encode, spatial};

impl Binder<'_> {
    /// A value.
    pub fn value(&mut self, scope: &Scope<'_>, expr: &Expr) -> SqlResult<Bound> {
        self.depth += 1;
        if self.depth > 300 {
            return Err(SqlError::new(191, "Some part of your SQL statement is nested too deeply.").class(15));
        }
        let bound = self.value_inside(scope, expr);
        self.depth -= 1;
        bound
    }

    fn value_inside(&mut self, scope: &Scope<'_>, expr: &Expr) -> SqlResult<Bound> {
        match expr {
            Expr::Null => {
                let mut null = Bound::new("NULL", Type::new(Kind::Int));
                null.untyped = true;
                Ok(null)
            }
            Expr::Integer(digits) => self.integer(digits),
            Expr::Decimal(digits) => self.exact(digits),
            Expr::Float(digits) => {
                let value: f64 = digits.parse().map_err(|_| SqlError::syntax(digits))?;
                if value.is_infinite() {
                    return Err(SqlError::new(
                        168,
                        format!("The floating point value '{digits}' is out of the range."),
                    )
                    .class(15));
                }
                let sql = self.parameter(Value::Real(value));
                Ok(Bound::new(sql, Type::new(Kind::Float)).not_null())
            }
            Expr::Money(digits) => {
                let text = cast::cast(
                    ValueRef::Text(digits.as_bytes()),
                    &text_type(30, false),
                    &Type::new(Kind::Money),
                    None,
                )?;
                let sql = self.parameter(text);
                Ok(Bound::new(sql, Type::new(Kind::Money)).not_null())
            }
            Expr::Text(text, national) => Ok(self.text(text, *national)),
            Expr::Binary(bytes) => {
                let length = if bytes.len() > 8000 { MAX } else { u16::try_from(bytes.len().max(1)).unwrap_or(1) };
                let sql = self.parameter(Value::Blob(bytes.clone()));
                Ok(Bound::new(sql, Type::of_length(Kind::VarBinary, length)).not_null())
            }
            Expr::Variable(name) => self.variable(name),
            Expr::Column(name) => self.column_or_property(scope, name),
            Expr::Negate(inner) => self.negated(scope, inner),
            Expr::Invert(inner) => {
                let inner = self.value(scope, inner)?;
                if !inner.ty.is_integer() {
                    return Err(SqlError::new(
                        8117,
                        format!("Operand data type {} is invalid for '~' operator.", inner.ty.base_name()),
                    ));
                }
                let ty = inner.ty;
                Ok(self.function(ty, &[&inner], move |values| {
                    let value = encode::integer(&ty, values[0])?;
                    Ok(Value::Integer(if ty.kind == Kind::Bit { 1 - value } else { !value }))
                }))
            }
            Expr::Arithmetic(sign, left, right) => {
                let (left, right) = (self.value(scope, left)?, self.value(scope, right)?);
                self.arithmetic(sign, &left, &right)
            }
            Expr::Scalar(query) => {
                let mut bound = self.query(scope, query)?;
                let [column] = &mut bound.columns[..] else {
                    return Err(SqlError::new(
                        116,
                        "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
                    ));
                };
                // More than one row is an error there and the first row here: nobody may rely on it.
                Ok(Bound::new(format!("({})", bound.sql), column.ty))
            }
            Expr::Case(operand, branches, otherwise) => {
                self.case(scope, operand.as_deref(), branches, otherwise.as_deref())
            }
            Expr::Cast { value, ty, style, forgiving } => self.cast(scope, value, ty, style.as_deref(), *forgiving),
            Expr::Collate(value, name) => {
                let mut bound = self.value(scope, value)?;
                let collation = known_collation(name)?;
                if !bound.ty.is_text() {
                    return Err(SqlError::new(
                        447,
                        format!("Expression type {} is invalid for COLLATE clause.", bound.ty.base_name()),
                    ));
                }
                let to = bound.ty.with_collation(collation);
                if bound.ty.is_coded() && bound.ty.collation.code_page() != collation.code_page() {
                    bound = self.coerce(&bound, &to);
                }
                bound.ty = to;
                bound.yields = false;
                bound.table = None;
                Ok(bound)
            }
            Expr::AtTimeZone(value, zone) => self.at_time_zone(scope, value, zone),
            Expr::Call(call) => self.call(scope, call),
            Expr::Method(value, method, arguments) => {
                let value = self.value(scope, value)?;
                self.method(&value, method, arguments)
            }
            Expr::Static(ty, method, arguments) => self.static_method(scope, ty, method, arguments),
            _ => {
                // A condition where a value was wanted.
                Err(SqlError::new(156, "Incorrect syntax: a condition stands where a value is expected.").class(15))
            }
        }
    }

    fn integer(&mut self, digits: &str) -> SqlResult<Bound> {
        match digits.parse::<i64>() {
            Ok(value) if value <= i64::from(i32::MAX) => {
                Ok(Bound::new(value.to_string(), Type::new(Kind::Int)).not_null())
            }
            _ => self.exact(digits),
        }
    }

    fn exact(&mut self, digits: &str) -> SqlResult<Bound> {
        let number = Number::parse(digits).filter(|number| number.digits() <= 38 && number.scale <= 38);
        let number = number.ok_or_else(|| {
            SqlError::new(
                1007,
                format!("The number '{digits}' is out of the range for numeric representation (maximum precision 38)."),
            )
            .class(15)
        })?;
        let precision = u8::try_from(number.digits()).unwrap_or(38).max(number.scale).max(1);
        let mut ty = Type::decimal(precision, number.scale);
        ty.kind = Kind::Numeric;
        let sql = self.parameter(Value::Text(number.to_string()));
        Ok(Bound::new(sql, ty).not_null())
    }

    pub fn text(&mut self, text: &str, national: bool) -> Bound {
        let collation = self.env.meta.collation;
        let units = if national { text.encode_utf16().count() } else { collation.encode(text).len() };
        let ty = text_type(units, national).with_collation(collation);
        // A plain literal goes through the database's code page.
        let value = if national { text.to_owned() } else { collation.decode(&collation.encode(text)) };
        let sql = self.parameter(Value::Text(value));
        Bound::new(sql, ty).not_null()
    }

    fn variable(&mut self, name: &str) -> SqlResult<Bound> {
        if let Some(system) = name.strip_prefix('@') {
            return self.system_variable(system);
        }
        let env = self.env.clone();
        let Some(variable) = env.variables.get(&name.to_lowercase()) else {
            return Err(SqlError::new(137, format!("Must declare the scalar variable \"@{name}\"."))
                .class(15)
                .state(2));
        };
        let sql = self.parameter(variable.value.clone());
        Ok(Bound::new(sql, variable.ty))
    }

    fn column_or_property(&mut self, scope: &Scope<'_>, name: &[String]) -> SqlResult<Bound> {
        let outcome = self.column(scope, name);
        if outcome.is_ok() || name.len() < 2 {
            return outcome;
        }
        let Some((property, column)) = name.split_last() else { return outcome };
        if ["STSrid", "Lat", "Long", "STX", "STY"].contains(&property.as_str())
            && let Ok(value) = self.column(scope, column)
            && value.ty.is_spatial()
        {
            return self.method(&value, property, &[]);
        }
        outcome
    }

    fn negated(&mut self, scope: &Scope<'_>, inner: &Expr) -> SqlResult<Bound> {
        // The smallest integers are written as a minus before something too large.
        if let Expr::Integer(digits) = inner
            && digits.parse::<u64>() == Ok(2_147_483_648)
        {
            return Ok(Bound::new("-2147483648", Type::new(Kind::Int)).not_null());
        }
        let inner = self.value(scope, inner)?;
        if inner.untyped {
            return Ok(inner);
        }
        let ty = inner.ty;
        match coerce::class(&ty) {
            coerce::Class::Integer | coerce::Class::Float | coerce::Class::Exact => {}
            _ => {
                return Err(SqlError::new(
                    8117,
                    format!("Operand data type {} is invalid for minus operator.", ty.base_name()),
                ));
            }
        }
        Ok(self.function(ty, &[&inner], move |values| match values[0] {
            ValueRef::Integer(value) => {
                let negative = value.checked_neg().ok_or_else(|| SqlError::overflow(ty.base_name()))?;
                cast::cast(ValueRef::Integer(negative), &Type::new(Kind::BigInt), &ty, None)
            }
            ValueRef::Real(value) => Ok(Value::Real(-value)),
            other => {
                let number = Number::parse(encode::text(&ty, other)?).ok_or_else(|| SqlError::conversion(ty, ty))?;
                Ok(Value::Text(Number { mantissa: -number.mantissa, ..number }.to_string()))
            }
        }))
    }

    fn case(
        &mut self,
        scope: &Scope<'_>,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> SqlResult<Bound> {
        let mut whens = Vec::new();
        let mut results = Vec::new();
        for (when, then) in branches {
            whens.push(match operand {
                Some(operand) => {
                    self.condition(scope, &Expr::Compare("=", Box::new(operand.clone()), Box::new(when.clone())))?
                }
                None => self.condition(scope, when)?,
            });
            results.push(self.value(scope, then)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.value(scope, otherwise)?,
            None => self.value(scope, &Expr::Null)?,
        });
        let results = self.unified(&results);
        let ty = results[0].ty;
        let mut sql = "CASE".to_owned();
        for (when, then) in whens.iter().zip(&results) {
            sql.push_str(&format!(" WHEN {when} THEN {}", then.sql));
        }
        if let Some(otherwise) = results.last() {
            sql.push_str(&format!(" ELSE {} END", otherwise.sql));
        }
        let mut bound = Bound::new(sql, ty);
        bound.nullable = results.iter().any(|result| result.nullable);
        bound.yields = results.iter().all(|result| result.yields);
        Ok(bound)
    }

    /// Expressions brought to their common type.
    pub fn unified(&mut self, all: &[Bound]) -> Vec<Bound> {
        let mut joint = all[0].clone();
        for next in &all[1..] {
            let ty = coerce::common(&joint, next);
            joint = Bound { ty, untyped: joint.untyped && next.untyped, yields: joint.yields && next.yields, ..joint };
        }
        all.iter().map(|bound| if joint.untyped { bound.clone() } else { self.coerce(bound, &joint.ty) }).collect()
    }

    fn cast(
        &mut self,
        scope: &Scope<'_>,
        value: &Expr,
        ty: &Type,
        style: Option<&Expr>,
        forgiving: bool,
    ) -> SqlResult<Bound> {
        let bound = self.value(scope, value)?;
        let style = match style {
            Some(style) => {
                let style = self.value(scope, style)?;
                match self.evaluate(&style)? {
                    Value::Integer(style) => Some(style),
                    Value::Null => return Ok(Bound::new("NULL", *ty)),
                    _ => return Err(SqlError::new(8116, "Argument data type of a style is invalid.")),
                }
            }
            None => None,
        };
        let mut to = *ty;
        if to.is_text() {
            to.collation = if bound.ty.is_text() { bound.ty.collation } else { self.env.meta.collation };
        }
        if bound.untyped {
            return Ok(Bound::new("NULL", to));
        }
        let from = bound.ty;
        let mut made = self.function(to, &[&bound], move |values| match cast::cast(values[0], &from, &to, style) {
            Err(_) if forgiving => Ok(Value::Null),
            outcome => outcome,
        });
        made.nullable = bound.nullable || forgiving;
        made.yields = bound.yields;
        Ok(made)
    }

    fn method(&mut self, value: &Bound, method: &str, arguments: &[Expr]) -> SqlResult<Bound> {
        let ty = value.ty;
        let unknown = || {
            SqlError::new(
                6506,
                format!(
                    "Could not find method '{method}' for type '{}' in assembly 'Microsoft.SqlServer.Types'",
                    ty.base_name()
                ),
            )
        };
        if !arguments.is_empty() {
            return Err(SqlError::unsupported(format!("the method {method} with arguments")));
        }
        let made = match (ty.kind, method) {
            (Kind::HierarchyId, "ToString") => {
                let text = Type::of_length(Kind::NVarChar, 4000);
                self.function(text, &[value], move |values| cast::owned(values[0]))
            }
            (Kind::Geography | Kind::Geometry, "STAsBinary" | "AsBinaryZM") => {
                self.function(Type::of_length(Kind::VarBinary, MAX), &[value], |values| {
                    Ok(Value::Blob(spatial::parts(values[0])?.1.to_vec()))
                })
            }
            (Kind::Geography | Kind::Geometry, "STSrid") => {
                self.function(Type::new(Kind::Int), &[value], |values| Ok(Value::Integer(spatial::parts(values[0])?.0)))
            }
            _ => return Err(unknown()),
        };
        Ok(made)
    }

    fn static_method(&mut self, scope: &Scope<'_>, ty: &Type, method: &str, arguments: &[Expr]) -> SqlResult<Bound> {
        let bound = arguments.iter().map(|argument| self.value(scope, argument)).collect::<SqlResult<Vec<_>>>()?;
        let text = Type::of_length(Kind::NVarChar, MAX);
        let (int, float) = (Type::new(Kind::Int), Type::new(Kind::Float));
        match (ty.kind, method, &bound[..]) {
            (Kind::HierarchyId, "Parse", [path]) => {
                let path = self.coerce(path, &text);
                Ok(self.function(*ty, &[&path], move |values| spatial::hierarchy(encode::text(&text, values[0])?)))
            }
            (Kind::HierarchyId, "GetRoot", []) => {
                let sql = self.parameter(Value::Text("/".to_owned()));
                Ok(Bound::new(sql, *ty))
            }
            (
                Kind::Geography | Kind::Geometry,
                "STGeomFromText" | "STPointFromText" | "STLineFromText" | "STPolyFromText",
                [wkt, srid],
            ) => {
                let (wkt, srid) = (self.coerce(wkt, &text), self.coerce(srid, &int));
                Ok(self.function(*ty, &[&wkt, &srid], move |values| {
                    spatial::from_text(encode::text(&text, values[0])?, encode::integer(&int, values[1])?)
                }))
            }
            (Kind::Geography | Kind::Geometry, "Parse", [wkt]) => Ok(self.coerce(wkt, ty)),
            (Kind::Geography | Kind::Geometry, "STGeomFromWKB", [wkb, srid]) => {
                let binary = Type::of_length(Kind::VarBinary, MAX);
                let (wkb, srid) = (self.coerce(wkb, &binary), self.coerce(srid, &int));
                Ok(self.function(*ty, &[&wkb, &srid], move |values| {
                    let ValueRef::Blob(bytes) = values[0] else { return Err(SqlError::conversion(binary, "geometry")) };
                    spatial::from_binary(bytes, encode::integer(&int, values[1])?)
                }))
            }
            (Kind::Geography | Kind::Geometry, "Point", [first, second, srid]) => {
                let (first, second, srid) =
                    (self.coerce(first, &float), self.coerce(second, &float), self.coerce(srid, &int));
                // geography says latitude first; well-known binary says longitude first.
                let swapped = ty.kind == Kind::Geography;
                Ok(self.function(*ty, &[&first, &second, &srid], move |values| {
                    let (a, b) = (encode::real(&float, values[0])?, encode::real(&float, values[1])?);
                    let (x, y) = if swapped { (b, a) } else { (a, b) };
                    spatial::from_binary(&spatial::point(x, y), encode::integer(&int, values[2])?)
                }))
            }
            _ => Err(SqlError::new(6506, format!("Could not find method '{method}' for type '{}'", ty.base_name()))),
        }
    }
}
