//! Conditions: what is true, false or unknown.

use rusqlite::types::{Value, ValueRef};

use super::{Binder, Bound, Scope};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Expr;
use crate::types::{Kind, MAX, Type, encode};

impl Binder<'_> {
    /// A condition, as SQL.
    pub fn condition(&mut self, scope: &Scope<'_>, expr: &Expr) -> SqlResult<String> {
        self.depth += 1;
        if self.depth > 300 {
            return Err(SqlError::new(191, "Some part of your SQL statement is nested too deeply.").class(15));
        }
        let condition = self.condition_inside(scope, expr);
        self.depth -= 1;
        condition
    }

    fn condition_inside(&mut self, scope: &Scope<'_>, expr: &Expr) -> SqlResult<String> {
        match expr {
            Expr::And(a, b) => Ok(format!("({} AND {})", self.condition(scope, a)?, self.condition(scope, b)?)),
            Expr::Or(a, b) => Ok(format!("({} OR {})", self.condition(scope, a)?, self.condition(scope, b)?)),
            Expr::Not(inner) => Ok(format!("(NOT {})", self.condition(scope, inner)?)),
            Expr::Compare(sign, a, b) => {
                let (a, b) = (self.value(scope, a)?, self.value(scope, b)?);
                let (a, b) = self.comparable(&a, &b)?;
                Ok(format!("({a} {sign} {b})"))
            }
            Expr::IsNull(inner, not) => {
                let inner = self.value(scope, inner)?;
                Ok(format!("({} IS {}NULL)", inner.sql, if *not { "NOT " } else { "" }))
            }
            Expr::Between(value, low, high, not) => {
                let bound = self.value(scope, value)?;
                let (low, high) = (self.value(scope, low)?, self.value(scope, high)?);
                let (from, start) = self.comparable(&bound, &low)?;
                let (to, end) = self.comparable(&bound, &high)?;
                let inside = format!("({from} >= {start} AND {to} <= {end})");
                Ok(if *not { format!("(NOT {inside})") } else { inside })
            }
            Expr::In(value, list, not) => {
                let value = self.value(scope, value)?;
                let mut equal = Vec::new();
                for item in list {
                    let item = self.value(scope, item)?;
                    let (a, b) = self.comparable(&value, &item)?;
                    equal.push(format!("{a} = {b}"));
                }
                // SQLite refuses deep trees, so long lists become balanced ones.
                let any = balanced(&equal);
                Ok(if *not { format!("(NOT {any})") } else { any })
            }
            Expr::InQuery(value, query, not) => {
                let value = self.value(scope, value)?;
                let inside = self.query(scope, query)?;
                let [column] = &inside.columns[..] else {
                    return Err(SqlError::new(
                        116,
                        "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
                    ));
                };
                let column = Bound { sql: "k0".to_owned(), ..column.clone() };
                let (a, b) = self.comparable(&value, &column)?;
                Ok(format!("({a} {}IN (SELECT {b} FROM ({})))", if *not { "NOT " } else { "" }, inside.sql))
            }
            Expr::Exists(query) => Ok(format!("EXISTS ({})", self.query(scope, query)?.sql)),
            Expr::Like(value, pattern, escape, not) => {
                let like = self.like(scope, value, pattern, escape.as_deref())?;
                Ok(if *not { format!("(NOT {like})") } else { like })
            }
            _ => Err(SqlError::new(
                4145,
                "An expression of non-boolean type specified in a context where a condition is expected.",
            )
            .class(15)),
        }
    }

    fn like(&mut self, scope: &Scope<'_>, value: &Expr, pattern: &Expr, escape: Option<&Expr>) -> SqlResult<String> {
        let text = Type::of_length(Kind::NVarChar, MAX);
        let value = self.value(scope, value)?;
        let folds = !value.ty.collation.is_case_sensitive();
        let pattern = self.value(scope, pattern)?;
        let escape = match escape {
            Some(Expr::Text(escape, _)) => escape.chars().next(),
            Some(_) => return Err(SqlError::unsupported("ESCAPE with anything but a literal")),
            None => None,
        };
        let (value, pattern) = (self.coerce(&value, &text), self.coerce(&pattern, &text));
        let bound = self.function(Type::new(Kind::Bit), &[&value, &pattern], move |values| {
            let read = |value: ValueRef<'_>| -> SqlResult<Vec<char>> {
                let text = encode::text(&text, value)?;
                Ok(if folds { text.to_lowercase().chars().collect() } else { text.chars().collect() })
            };
            Ok(Value::Integer(i64::from(matches(&read(values[0])?, &read(values[1])?, escape))))
        });
        Ok(bound.sql)
    }
}

fn balanced(terms: &[String]) -> String {
    match terms {
        [] => "0".to_owned(),
        [one] => format!("({one})"),
        _ => {
            let (left, right) = terms.split_at(terms.len() / 2);
            format!("({} OR {})", balanced(left), balanced(right))
        }
    }
}

/// LIKE: `%`, `_`, `[a-z]`, `[^a-z]`.
fn matches(text: &[char], pattern: &[char], escape: Option<char>) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.iter().all(|char| *char == ' ') };
    if Some(*first) == escape
        && let Some((literal, rest)) = rest.split_first()
    {
        return text.first() == Some(literal) && matches(&text[1..], rest, escape);
    }
    match first {
        '%' => (0..=text.len()).any(|skip| matches(&text[skip..], rest, escape)),
        '_' => !text.is_empty() && matches(&text[1..], rest, escape),
        '[' => {
            let Some(close) = rest.iter().position(|char| *char == ']') else { return false };
            let Some(char) = text.first() else { return false };
            let (negated, set) = match rest[..close].split_first() {
                Some(('^', set)) => (true, set),
                _ => (false, &rest[..close]),
            };
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if at + 2 < set.len() && set[at + 1] == '-' {
                    found |= (set[at]..=set[at + 2]).contains(char);
                    at += 3;
                } else {
                    found |= set[at] == *char;
                    at += 1;
                }
            }
            found != negated && matches(&text[1..], &rest[close + 1..], escape)
        }
        literal => text.first() == Some(literal) && matches(&text[1..], rest, escape),
    }
}
