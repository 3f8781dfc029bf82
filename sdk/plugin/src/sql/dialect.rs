//! Renders requests as SQL.
//!
//! A driver says how its database quotes a name and writes a literal ([`Dialect`]); ranges
//! over composite keys, conditions and the statement's shape are the same for all.

use crate::{Bound, Condition, Error, ErrorKind, ExportRequest, Relation, Result, Scalar, TableName};

/// How one database writes SQL.
pub trait Dialect {
    /// A quoted identifier.
    fn name(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    /// A literal of exactly the scalar's type, whatever the session's settings.
    fn literal(&self, value: &Scalar) -> Result<String>;

    /// A literal that is compared with `column`: where a database has several types of one kind of
    /// value, the column's own keeps its order and its index.
    fn literal_for(&self, column: &str, value: &Scalar) -> Result<String> {
        let _ = column;
        self.literal(value)
    }

    /// A literal that is compared with the value of the first of `columns` that is not NULL.
    fn literal_for_coalesced(&self, columns: &[String], value: &Scalar) -> Result<String> {
        self.literal_for(columns.first().map_or("", String::as_str), value)
    }

    /// Whether a column is NULL.
    fn is_null(&self, column: &str) -> String {
        format!("{} IS NULL", self.name(column))
    }

    /// A key column as it must appear in comparisons (a collation may be added).
    fn key(&self, column: &str) -> String {
        self.name(column)
    }

    /// A physical range. Only for drivers that declare `split_native`.
    fn native(&self, from: Option<u64>, to: Option<u64>) -> Result<String> {
        let _ = (from, to);
        Err(Error::new(ErrorKind::Unsupported, "this source has no physical ranges"))
    }

    /// Whether `(a, b) >= (1, 2)` is understood and uses an index.
    fn row_values(&self) -> bool {
        true
    }
}

/// A table's quoted, qualified name.
pub fn table(dialect: &(impl Dialect + ?Sized), table: &TableName) -> String {
    match &table.schema {
        Some(schema) => format!("{}.{}", dialect.name(schema), dialect.name(&table.name)),
        None => dialect.name(&table.name),
    }
}

/// The relation as it stands after FROM. A query becomes a derived table, as it is: make one statement of what the user
/// wrote first, with [`crate::lexer::single`]. A comment at its end is harmless, because the closing bracket begins a
/// line.
pub fn from(dialect: &(impl Dialect + ?Sized), relation: &Relation) -> String {
    match relation {
        Relation::Table(name) => table(dialect, name),
        Relation::Query(sql) => format!("(\n{sql}\n) AS {}", dialect.name("rivet_query")),
    }
}

/// ` WHERE …`, or nothing where there is no condition.
pub fn where_clause(dialect: &(impl Dialect + ?Sized), conditions: &[Condition]) -> Result<String> {
    let terms = conditions
        .iter()
        .map(|condition| self::condition(dialect, condition))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    if terms.is_empty() { Ok(String::new()) } else { Ok(format!(" WHERE {}", terms.join(" AND "))) }
}

/// ` ORDER BY …`, or nothing.
pub fn order_by(dialect: &(impl Dialect + ?Sized), columns: &[String]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let list = columns.iter().map(|column| dialect.key(column)).collect::<Vec<_>>();
    format!(" ORDER BY {}", list.join(", "))
}

/// `FROM … WHERE … ORDER BY … LIMIT …`, as most databases have it.
pub fn tail(dialect: &(impl Dialect + ?Sized), request: &ExportRequest) -> Result<String> {
    let mut tail = format!(
        "FROM {}{}{}",
        from(dialect, &request.relation),
        where_clause(dialect, &request.conditions)?,
        order_by(dialect, &request.order_by),
    );
    if let Some(limit) = request.limit {
        // A count of rows is signed in all of them.
        tail.push_str(&format!(" LIMIT {}", limit.min(i64::MAX.unsigned_abs())));
    }
    Ok(tail)
}

/// One condition; None where it selects everything.
pub fn condition(dialect: &(impl Dialect + ?Sized), condition: &Condition) -> Result<Option<String>> {
    match condition {
        Condition::Range { key, from, to } => {
            let mut terms = Vec::new();
            if let Some(bound) = from {
                terms.push(compare(dialect, key, ">", bound)?);
            }
            if let Some(bound) = to {
                terms.push(compare(dialect, key, "<", bound)?);
            }
            if !terms.is_empty() {
                // The first column decides most comparisons alone, whatever the others hold.
                terms.extend(key.iter().skip(1).map(|column| format!("NOT ({})", dialect.is_null(column))));
            }
            Ok((!terms.is_empty()).then(|| terms.join(" AND ")))
        }
        Condition::Coalesced { columns, from, to } => {
            let value = coalesced(dialect, columns)?;
            let mut terms = Vec::new();
            for (bound, sign) in [(from, ">"), (to, "<")] {
                let Some(bound) = bound else { continue };
                let [literal] = &bound.values[..] else {
                    return Err(Error::internal("a bound of several values over one coalesced value"));
                };
                let equal = if bound.inclusive { "=" } else { "" };
                terms.push(format!("{value} {sign}{equal} {}", dialect.literal_for_coalesced(columns, literal)?));
            }
            Ok((!terms.is_empty()).then(|| terms.join(" AND ")))
        }
        Condition::Null { columns, all } => {
            let terms: Vec<String> = columns.iter().map(|column| dialect.is_null(column)).collect();
            Ok(Some(format!("({})", terms.join(if *all { " AND " } else { " OR " }))))
        }
        Condition::Nothing => Ok(Some("1 = 0".to_owned())),
        Condition::IsNull { column } => Ok(Some(dialect.is_null(column))),
        Condition::Native { from: None, to: None } => Ok(None),
        Condition::Native { from, to } => dialect.native(*from, *to).map(Some),
    }
}

/// The value of the first of `columns` that is not NULL.
pub fn coalesced(dialect: &(impl Dialect + ?Sized), columns: &[String]) -> Result<String> {
    if columns.is_empty() {
        return Err(Error::internal("a key without columns"));
    }
    let columns: Vec<String> = columns.iter().map(|column| dialect.key(column)).collect();
    Ok(format!("COALESCE({})", columns.join(", ")))
}

/// What selects the rows that have no key: a condition for the driver's own WHERE.
pub fn without_key(request: &crate::BoundsRequest) -> Condition {
    Condition::Null { columns: request.key.clone(), all: request.coalesced }
}

/// The expressions of a key, in order.
pub fn key_expressions(dialect: &(impl Dialect + ?Sized), request: &crate::BoundsRequest) -> Result<Vec<String>> {
    if request.coalesced {
        return Ok(vec![coalesced(dialect, &request.key)?]);
    }
    Ok(request.key.iter().map(|column| dialect.key(column)).collect())
}

/// The conditions under which a key is looked for: the request's, and that there is one.
pub fn with_key(dialect: &(impl Dialect + ?Sized), request: &crate::BoundsRequest) -> Result<String> {
    let there: Vec<String> =
        key_expressions(dialect, request)?.iter().map(|key| format!("{key} IS NOT NULL")).collect();
    let filter = where_clause(dialect, &request.of.conditions)?;
    let joint = if filter.is_empty() { " WHERE" } else { " AND" };
    Ok(format!("{filter}{joint} {}", there.join(" AND ")))
}

fn compare(dialect: &(impl Dialect + ?Sized), key: &[String], sign: &str, bound: &Bound) -> Result<String> {
    if key.is_empty() || key.len() != bound.values.len() {
        return Err(Error::internal(format!(
            "a bound of {} values over a key of {} columns",
            bound.values.len(),
            key.len()
        )));
    }
    let columns = key.iter().map(|column| dialect.key(column)).collect::<Vec<_>>();
    let pairs = key.iter().zip(&bound.values);
    let values = pairs.map(|(column, value)| dialect.literal_for(column, value)).collect::<Result<Vec<_>>>()?;
    let last_sign = if bound.inclusive { format!("{sign}=") } else { sign.to_owned() };
    if let ([column], [value]) = (&columns[..], &values[..]) {
        return Ok(format!("{column} {last_sign} {value}"));
    }
    if dialect.row_values() {
        return Ok(format!("({}) {last_sign} ({})", columns.join(", "), values.join(", ")));
    }
    // (a, b) > (1, 2)  ==  a > 1 OR (a = 1 AND b > 2)
    let mut alternatives = Vec::with_capacity(columns.len());
    for last in 0..columns.len() {
        let mut terms: Vec<String> = (0..last).map(|i| format!("{} = {}", columns[i], values[i])).collect();
        let sign = if last + 1 == columns.len() { last_sign.as_str() } else { sign };
        terms.push(format!("{} {sign} {}", columns[last], values[last]));
        alternatives.push(format!("({})", terms.join(" AND ")));
    }
    Ok(format!("({})", alternatives.join(" OR ")))
}

/// A text literal for databases in which a backslash is an ordinary character.
pub fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain {
        row_values: bool,
    }

    impl Dialect for Plain {
        fn literal(&self, value: &Scalar) -> Result<String> {
            Ok(match value {
                Scalar::Text(text) => quote_text(text),
                other => other.as_text(),
            })
        }

        fn row_values(&self) -> bool {
            self.row_values
        }
    }

    fn range(values: &[i128]) -> Condition {
        let names = ["a", "b", "c"];
        Condition::Range {
            key: names[..values.len()].iter().map(|name| (*name).to_owned()).collect(),
            from: Some(Bound::inclusive(values.iter().map(|v| Scalar::Integer(*v)).collect())),
            to: None,
        }
    }

    #[test]
    fn composite_ranges_render_with_and_without_row_values() {
        let sql = |row_values| where_clause(&Plain { row_values }, &[range(&[1, 2])]).unwrap();
        assert_eq!(sql(true), " WHERE (\"a\", \"b\") >= (1, 2) AND NOT (\"b\" IS NULL)");
        assert_eq!(sql(false), " WHERE ((\"a\" > 1) OR (\"a\" = 1 AND \"b\" >= 2)) AND NOT (\"b\" IS NULL)");
    }

    #[test]
    fn no_condition_renders_as_nothing() {
        let everything = Condition::Range { key: vec!["a".into()], from: None, to: None };
        assert_eq!(where_clause(&Plain { row_values: true }, &[everything]).unwrap(), "");
    }

    #[test]
    fn names_and_texts_are_quoted() {
        let dialect = Plain { row_values: true };
        assert_eq!(table(&dialect, &TableName::qualified("sch\"ema", "Order-Items")), "\"sch\"\"ema\".\"Order-Items\"");
        let odd = Condition::Range {
            key: vec!["a".into()],
            from: None,
            to: Some(Bound::exclusive(vec![Scalar::Text("O'Neil".into())])),
        };
        assert_eq!(where_clause(&dialect, &[odd]).unwrap(), " WHERE \"a\" < 'O''Neil'");
    }
}
