//! Two types made one, by SQL Server's precedence.

use super::{Binder, Bound};
use crate::error::{SqlError, SqlResult};
use crate::types::{Kind, MAX, Type, cast};

/// What types look like in storage; values of one class compare as they lie there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Integer,
    Exact,
    Float,
    Date,
    Time,
    Moment,
    Zoned,
    Text,
    Binary,
    Guid,
    Other,
}

pub fn class(ty: &Type) -> Class {
    match ty.kind {
        Kind::Bit | Kind::TinyInt | Kind::SmallInt | Kind::Int | Kind::BigInt => Class::Integer,
        Kind::Decimal | Kind::Numeric | Kind::Money | Kind::SmallMoney => Class::Exact,
        Kind::Real | Kind::Float => Class::Float,
        Kind::Date => Class::Date,
        Kind::Time => Class::Time,
        Kind::SmallDateTime | Kind::DateTime | Kind::DateTime2 => Class::Moment,
        Kind::DateTimeOffset => Class::Zoned,
        Kind::UniqueIdentifier => Class::Guid,
        _ if ty.is_text() => Class::Text,
        _ if ty.is_binary() => Class::Binary,
        _ => Class::Other,
    }
}

/// Higher wins.
fn precedence(kind: Kind) -> u8 {
    match kind {
        Kind::HierarchyId | Kind::Geography | Kind::Geometry => 31,
        Kind::SqlVariant => 30,
        Kind::Xml => 29,
        Kind::DateTimeOffset => 28,
        Kind::DateTime2 => 27,
        Kind::DateTime => 26,
        Kind::SmallDateTime => 25,
        Kind::Date => 24,
        Kind::Time => 23,
        Kind::Float => 22,
        Kind::Real => 21,
        Kind::Decimal | Kind::Numeric => 20,
        Kind::Money => 19,
        Kind::SmallMoney => 18,
        Kind::BigInt => 17,
        Kind::Int => 16,
        Kind::SmallInt => 15,
        Kind::TinyInt => 14,
        Kind::Bit => 13,
        Kind::NText => 12,
        Kind::Text => 11,
        Kind::Image => 10,
        Kind::RowVersion => 9,
        Kind::UniqueIdentifier => 8,
        Kind::NVarChar => 7,
        Kind::NChar => 6,
        Kind::VarChar => 5,
        Kind::Char => 4,
        Kind::VarBinary => 3,
        Kind::Binary => 2,
    }
}

/// The decimal that holds an integer type.
pub fn as_exact(ty: &Type) -> Type {
    match ty.kind {
        Kind::Money => Type::decimal(19, 4),
        Kind::SmallMoney => Type::decimal(10, 4),
        Kind::Decimal | Kind::Numeric => *ty,
        _ => Type::decimal(ty.precision.max(1), 0),
    }
}

/// The type of a result that may be either.
pub fn common(a: &Bound, b: &Bound) -> Type {
    if a.untyped || b.untyped {
        return if a.untyped { b.ty } else { a.ty };
    }
    let (low, high) = if precedence(a.ty.kind) <= precedence(b.ty.kind) { (a, b) } else { (b, a) };
    let mut ty = high.ty;
    match class(&ty) {
        Class::Exact
            if !matches!(ty.kind, Kind::Money | Kind::SmallMoney)
                && matches!(class(&low.ty), Class::Exact | Class::Integer) =>
        {
            let (x, y) = (as_exact(&low.ty), ty);
            let scale = x.scale.max(y.scale);
            let whole = (x.precision - x.scale).max(y.precision - y.scale);
            let kind = ty.kind;
            ty = Type::decimal((whole + scale).min(38), scale.min(38));
            ty.kind = kind;
        }
        Class::Text | Class::Binary if class(&low.ty) == class(&ty) => {
            if matches!(ty.kind, Kind::Text | Kind::NText | Kind::Image | Kind::RowVersion) {
                return ty;
            }
            let (x, y) = (low.ty.length, high.ty.length);
            let longest = x.max(y);
            let both_fixed =
                matches!(low.ty.kind, Kind::Char | Kind::NChar | Kind::Binary) && low.ty.length == ty.length;
            ty.length = if ty.is_national() && longest != MAX { longest.min(4000) } else { longest };
            // Two fixed lengths that differ, or a fixed one below a varying one: varying.
            ty.kind = match ty.kind {
                Kind::Char if !both_fixed => Kind::VarChar,
                Kind::NChar if !both_fixed => Kind::NVarChar,
                Kind::Binary if !both_fixed => Kind::VarBinary,
                kind => kind,
            };
            ty.collation = collation(a, b);
        }
        Class::Time | Class::Moment | Class::Zoned
            if matches!(ty.kind, Kind::Time | Kind::DateTime2 | Kind::DateTimeOffset) =>
        {
            let scale = if low.ty.is_temporal() { ty.scale.max(low.ty.scale) } else { ty.scale };
            ty = Type::of_scale(ty.kind, scale);
        }
        _ => {}
    }
    ty
}

/// The collation of two texts together: a column's goes before a literal's.
pub fn collation(a: &Bound, b: &Bound) -> crate::types::collation::Collation {
    match (a.ty.is_text(), b.ty.is_text()) {
        (true, false) => a.ty.collation,
        (false, true) => b.ty.collation,
        _ if a.yields => b.ty.collation,
        _ => a.ty.collation,
    }
}

impl Binder<'_> {
    /// The expression as another type.
    pub fn coerce(&mut self, bound: &Bound, to: &Type) -> Bound {
        if bound.untyped {
            let mut typed = Bound::new("NULL", *to);
            typed.name.clone_from(&bound.name);
            return typed;
        }
        if bound.ty == *to {
            return bound.clone();
        }
        let (from, target) = (bound.ty, *to);
        // Texts of one kind that only grow lie the same.
        let grows = from.kind == target.kind
            && matches!(from.kind, Kind::VarChar | Kind::NVarChar | Kind::VarBinary)
            && from.length <= target.length
            && from.collation.code_page() == target.collation.code_page();
        let mut coerced = if grows {
            Bound::new(bound.sql.clone(), target)
        } else {
            self.function(target, &[bound], move |values| cast::cast(values[0], &from, &target, None))
        };
        coerced.nullable = bound.nullable;
        coerced.name.clone_from(&bound.name);
        coerced.yields = bound.yields;
        coerced
    }

    /// Two expressions ready to be compared, and the collation to do it with.
    pub fn comparable(&mut self, a: &Bound, b: &Bound) -> SqlResult<(String, String)> {
        if a.untyped || b.untyped {
            return Ok((a.sql.clone(), b.sql.clone()));
        }
        for side in [a, b] {
            if matches!(
                side.ty.kind,
                Kind::Text | Kind::NText | Kind::Image | Kind::Xml | Kind::Geography | Kind::Geometry
            ) {
                return Err(SqlError::new(
                    402,
                    format!(
                        "The data types {} and {} are incompatible in the equal to operator.",
                        a.ty.base_name(),
                        b.ty.base_name()
                    ),
                ));
            }
            if side.ty.kind == Kind::SqlVariant {
                return Err(SqlError::unsupported("comparisons of sql_variant"));
            }
        }
        let mut target = common(a, b);
        let (left, right) = (class(&a.ty), class(&b.ty));
        if left == right {
            if left == Class::Text {
                let order = conflict(a, b)?;
                return Ok((format!("{} COLLATE {order}", a.sql), format!("{} COLLATE {order}", b.sql)));
            }
            return Ok((a.ordered(), b.ordered()));
        }
        target = match class(&target) {
            // Wide enough for whatever the other side is.
            Class::Exact => {
                let other = if left == Class::Exact { b } else { a };
                if other.ty.is_text() { target } else { Type::decimal(38, target.scale.min(19)) }
            }
            Class::Moment => Type::of_scale(Kind::DateTime2, 7),
            Class::Zoned => Type::of_scale(Kind::DateTimeOffset, 7),
            _ => target,
        };
        let (a, b) = (self.side(a, &target), self.side(b, &target));
        Ok((a.ordered(), b.ordered()))
    }

    /// One side of a comparison, left as it lies where it can be.
    fn side(&mut self, side: &Bound, target: &Type) -> Bound {
        if class(&side.ty) == class(target) { side.clone() } else { self.coerce(side, target) }
    }
}

fn conflict(a: &Bound, b: &Bound) -> SqlResult<&'static str> {
    if !a.yields && !b.yields && a.ty.collation != b.ty.collation {
        return Err(SqlError::new(
            468,
            format!(
                "Cannot resolve the collation conflict between \"{}\" and \"{}\" in the equal to operation.",
                a.ty.collation.name(),
                b.ty.collation.name()
            ),
        ));
    }
    Ok(collation(a, b).order())
}
