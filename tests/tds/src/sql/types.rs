//! Types and collations as T-SQL writes them.

use super::parser::Parser;
use super::token::Token;
use crate::error::{SqlError, SqlResult};
use crate::types::collation::Collation;
use crate::types::{Kind, MAX, NAMES, Type};

impl Parser<'_> {
    /// A type's name, for a look ahead.
    pub fn type_name(token: Option<&Token>) -> Option<Kind> {
        let name = match token {
            Some(Token::Word(name) | Token::Quoted(name)) => name.to_ascii_lowercase(),
            _ => return None,
        };
        let name = match name.as_str() {
            "integer" => "int",
            "dec" => "decimal",
            "rowversion" => "timestamp",
            "character" => "char",
            other => other,
        };
        NAMES.iter().find(|(known, ..)| *known == name).map(|(_, kind, ..)| *kind)
    }

    /// A type as in DECLARE, CAST or a column.
    pub fn ty(&mut self) -> SqlResult<Type> {
        if (self.is("sys") || matches!(self.peek(), Some(Token::Quoted(name)) if name == "sys"))
            && self.is_sign_at(1, ".")
        {
            self.advance()?;
            self.advance()?;
        }
        if self.take_all(&["double", "precision"]) {
            return Ok(Type::new(Kind::Float));
        }
        let Some(kind) = Self::type_name(self.peek()) else {
            return match self.advance()? {
                Token::Word(name) | Token::Quoted(name) => {
                    Err(SqlError::new(2715, format!("Column, parameter, or variable: Cannot find data type {name}.")))
                }
                _ => Err(self.wrong()),
            };
        };
        let named = self.part()?;
        if named.eq_ignore_ascii_case("sysname") {
            return Ok(Type::of_length(Kind::NVarChar, 128));
        }
        let varying = matches!(kind, Kind::Char | Kind::NChar) && self.take("varying");
        let kind = match kind {
            Kind::Char if varying => Kind::VarChar,
            Kind::NChar if varying => Kind::NVarChar,
            kind => kind,
        };
        let mut numbers = Vec::new();
        if self.sign("(") {
            if self.take("max") {
                numbers.push(MAX);
            } else {
                numbers = self.list(|parser| parser.integer::<u16>())?;
            }
            self.expect_sign(")")?;
        }
        made(kind, &numbers)
    }

    /// `COLLATE name`, if it is there.
    pub fn collation(&mut self) -> SqlResult<Option<Collation>> {
        if !self.take("COLLATE") {
            return Ok(None);
        }
        let name = self.part()?;
        if name.eq_ignore_ascii_case("database_default") || name.eq_ignore_ascii_case("catalog_default") {
            return Ok(Some(Collation::DEFAULT));
        }
        Ok(Some(known_collation(&name)?))
    }
}

pub fn known_collation(name: &str) -> SqlResult<Collation> {
    Collation::parse(name).ok_or_else(|| SqlError::new(448, format!("Invalid collation '{name}'.")))
}

/// A type with what stood in its parentheses.
pub fn made(kind: Kind, numbers: &[u16]) -> SqlResult<Type> {
    let refuse =
        || SqlError::new(1001, format!("Line 1: Length or precision specification {} is invalid.", numbers[0]));
    let ty = match (kind, numbers) {
        (Kind::Decimal | Kind::Numeric, [] | [_] | [_, _]) => {
            let precision = numbers.first().copied().unwrap_or(18);
            let scale = numbers.get(1).copied().unwrap_or(0);
            if !(1..=38).contains(&precision) || scale > precision {
                return Err(refuse());
            }
            let mut ty = Type::decimal(u8::try_from(precision).unwrap_or(38), u8::try_from(scale).unwrap_or(0));
            ty.kind = kind;
            ty
        }
        (Kind::Float, [bits]) if *bits <= 53 => Type::new(if *bits <= 24 { Kind::Real } else { Kind::Float }),
        (Kind::Time | Kind::DateTime2 | Kind::DateTimeOffset, [] | [0..=7]) => {
            Type::of_scale(kind, numbers.first().and_then(|scale| u8::try_from(*scale).ok()).unwrap_or(7))
        }
        (Kind::VarChar | Kind::NVarChar | Kind::VarBinary, [MAX]) => Type::of_length(kind, MAX),
        (Kind::Char | Kind::VarChar | Kind::Binary | Kind::VarBinary, [1..=8000])
        | (Kind::NChar | Kind::NVarChar, [1..=4000]) => Type::of_length(kind, numbers[0]),
        (_, []) => Type::new(kind),
        _ => return Err(refuse()),
    };
    Ok(ty)
}
