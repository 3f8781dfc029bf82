//! Queries, from the select list outwards.

use super::{Binder, Bound, BoundQuery, Common, Offered, Scope};
use crate::catalogue::meta::same;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Body, Expr, Item, Order, Query, Select};
use crate::types::{Kind, Type};

impl Binder<'_> {
    /// A query inside another, or alone with an empty scope.
    pub fn query(&mut self, scope: &Scope<'_>, query: &Query) -> SqlResult<BoundQuery> {
        self.depth += 1;
        if self.depth > 100 {
            return Err(SqlError::new(191, "Some part of your SQL statement is nested too deeply.").class(15));
        }
        let known = self.common.len();
        let mut with = String::new();
        for common in &query.with {
            let (name, sql) = self.common_table(scope, &common.name, &common.columns, &common.query)?;
            with.push_str(if with.is_empty() { "WITH RECURSIVE " } else { ", " });
            with.push_str(&format!("{name} AS ({sql})"));
        }
        let outcome = self.ordered_body(scope, query);
        self.common.truncate(known);
        self.depth -= 1;
        let mut bound = outcome?;
        if !with.is_empty() {
            bound.sql = format!("{with} {}", bound.sql);
        }
        Ok(bound)
    }

    /// One WITH table: its SQL name with its columns, and its query.
    fn common_table(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        names: &[String],
        query: &Query,
    ) -> SqlResult<(String, String)> {
        let sql = self.fresh("w");
        // A recursive one knows itself: its first part says what its columns are.
        if let Body::Set("UNION ALL", first, _) = &query.body
            && refers(query, name)
        {
            let anchor = self.body(scope, first)?;
            let columns = offered(&anchor.columns, names)?;
            self.common.push(Common { name: name.to_owned(), sql: sql.clone(), columns: columns.clone() });
            let whole = self.query(scope, query)?;
            self.common.pop();
            let heads = heads(&columns);
            self.common.push(Common { name: name.to_owned(), sql: sql.clone(), columns });
            return Ok((format!("{sql}({heads})"), whole.sql));
        }
        let bound = self.query(scope, query)?;
        let columns = offered(&bound.columns, names)?;
        let heads = heads(&columns);
        self.common.push(Common { name: name.to_owned(), sql: sql.clone(), columns });
        Ok((format!("{sql}({heads})"), bound.sql))
    }

    fn ordered_body(&mut self, scope: &Scope<'_>, query: &Query) -> SqlResult<BoundQuery> {
        let paged = query.offset.is_some();
        match &query.body {
            Body::Select(select) => self.select(scope, select, query),
            Body::Nested(inner) if query.order.is_empty() && !paged => self.query(scope, inner),
            body => {
                let mut bound = self.body(scope, body)?;
                let order = self.order_by_output(&bound.columns, &query.order)?;
                let limit = self.limit(scope, None, query)?;
                if !order.is_empty() || !limit.is_empty() {
                    bound.sql = format!("SELECT * FROM ({}){order}{limit}", bound.sql);
                }
                Ok(bound)
            }
        }
    }

    fn body(&mut self, scope: &Scope<'_>, body: &Body) -> SqlResult<BoundQuery> {
        match body {
            Body::Select(select) => {
                let plain = Query {
                    with: Vec::new(),
                    body: Body::Values(Vec::new()),
                    order: Vec::new(),
                    offset: None,
                    fetch: None,
                };
                self.select(scope, select, &plain)
            }
            Body::Nested(query) => self.query(scope, query),
            Body::Set(operator, left, right) => self.set_operation(scope, operator, left, right),
            Body::Values(rows) => self.values(scope, rows),
        }
    }

    fn select(&mut self, scope: &Scope<'_>, select: &Select, query: &Query) -> SqlResult<BoundQuery> {
        let mut inner = Scope { parent: Some(scope), sources: Vec::new() };
        let mut from = String::new();
        for item in &select.from {
            from.push_str(if from.is_empty() { " FROM " } else { " CROSS JOIN " });
            from.push_str(&self.from(&mut inner, item)?);
        }
        let filter = match &select.filter {
            Some(filter) => format!(" WHERE {}", self.condition(&inner, filter)?),
            None => String::new(),
        };
        let mut columns = Vec::new();
        for item in &select.items {
            match item {
                Item::Star(qualifier) => self.star(&inner, qualifier, &mut columns)?,
                Item::Value { value, name } => {
                    let mut bound = self.value(&inner, value)?;
                    if let Some(name) = name {
                        bound.name = Some(name.clone());
                    }
                    columns.push(bound);
                }
                Item::Assign { .. } => return Err(SqlError::new(141, "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.").class(15)),
            }
        }
        let group = select
            .group
            .iter()
            .map(|by| self.value(&inner, by).map(|by| by.ordered()))
            .collect::<SqlResult<Vec<_>>>()?;
        let having = match &select.having {
            Some(having) => format!(" HAVING {}", self.condition(&inner, having)?),
            None => String::new(),
        };
        let mut order = Vec::new();
        for by in &query.order {
            order.push(match position(&columns, by)? {
                Some(at) => directed(&Bound { sql: format!("k{at}"), ..columns[at].clone() }, by),
                None => directed(&self.value(&inner, &by.by)?, by),
            });
        }
        let limit = self.limit(&inner, select.top.as_ref(), query)?;
        let list: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let sql = if select.distinct { column.ordered() } else { column.sql.clone() };
                format!("{sql} AS k{at}")
            })
            .collect();
        let mut sql =
            format!("SELECT {}{}{from}{filter}", if select.distinct { "DISTINCT " } else { "" }, list.join(", "));
        if !group.is_empty() {
            sql.push_str(&format!(" GROUP BY {}", group.join(", ")));
        }
        sql.push_str(&having);
        if !order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
        }
        sql.push_str(&limit);
        if !limit.is_empty() {
            // LIMIT belongs to this SELECT, whatever it becomes a part of.
            sql = format!("SELECT * FROM ({sql})");
        }
        Ok(BoundQuery { sql, columns })
    }

    fn star(&mut self, scope: &Scope<'_>, qualifier: &[String], columns: &mut Vec<Bound>) -> SqlResult<()> {
        let mut found = false;
        for source in &scope.sources {
            if super::qualifies(&source.name, qualifier) {
                found = true;
                for column in source.columns.iter().filter(|column| !column.hidden) {
                    columns.push(self.permitted(column)?);
                }
            }
        }
        if found {
            return Ok(());
        }
        match qualifier.last() {
            Some(name) => Err(SqlError::new(
                107,
                format!("The column prefix '{name}' does not match with a table name or alias name used in the query."),
            )
            .class(15)),
            None => Err(SqlError::new(263, "Must specify table to select from.")),
        }
    }

    /// LIMIT and OFFSET from TOP, or from OFFSET and FETCH.
    fn limit(&mut self, scope: &Scope<'_>, top: Option<&Expr>, query: &Query) -> SqlResult<String> {
        let wide = Type::new(Kind::BigInt);
        let count = |binder: &mut Self, expr: &Expr| -> SqlResult<String> {
            let bound = binder.value(scope, expr)?;
            Ok(binder.coerce(&bound, &wide).sql)
        };
        if let Some(top) = top {
            if query.offset.is_some() {
                return Err(SqlError::new(10741, "A TOP can not be used in the same query or sub-query as an OFFSET.")
                    .class(15));
            }
            return Ok(format!(" LIMIT {}", count(self, top)?));
        }
        let Some(offset) = &query.offset else { return Ok(String::new()) };
        let offset = count(self, offset)?;
        let limit = match &query.fetch {
            Some(fetch) => count(self, fetch)?,
            None => "-1".to_owned(),
        };
        Ok(format!(" LIMIT {limit} OFFSET {offset}"))
    }

    fn order_by_output(&mut self, columns: &[Bound], orders: &[Order]) -> SqlResult<String> {
        let mut terms = Vec::new();
        for by in orders {
            let at = position(columns, by)?.ok_or_else(|| {
                SqlError::new(104, "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator.").class(15)
            })?;
            terms.push(directed(&Bound { sql: format!("k{at}"), ..columns[at].clone() }, by));
        }
        Ok(if terms.is_empty() { String::new() } else { format!(" ORDER BY {}", terms.join(", ")) })
    }

    fn set_operation(&mut self, scope: &Scope<'_>, operator: &str, left: &Body, right: &Body) -> SqlResult<BoundQuery> {
        let (left, right) = (self.body(scope, left)?, self.body(scope, right)?);
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::new(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
            ));
        }
        let mut columns = Vec::new();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (at, (a, b)) in left.columns.iter().zip(&right.columns).enumerate() {
            let here = format!("k{at}");
            let pair = [Bound { sql: here.clone(), ..a.clone() }, Bound { sql: here.clone(), ..b.clone() }];
            let unified = self.unified(&pair);
            let exact = operator == "UNION ALL";
            let term = |bound: &Bound| {
                if exact { format!("{} AS {here}", bound.sql) } else { format!("{} AS {here}", bound.ordered()) }
            };
            first.push(term(&unified[0]));
            second.push(term(&unified[1]));
            columns.push(Bound {
                nullable: a.nullable || b.nullable,
                table: None,
                identity: false,
                name: a.name.clone(),
                sql: here,
                ..unified[0].clone()
            });
        }
        let plain = |terms: &[String]| terms.iter().enumerate().all(|(at, term)| *term == format!("k{at} AS k{at}"));
        // A recursive WITH allows no wrapping; types that agree need none.
        let part = |terms: &[String], sql: &str| {
            let bare = !sql.starts_with("WITH");
            if plain(terms) && bare { sql.to_owned() } else { format!("SELECT {} FROM ({sql})", terms.join(", ")) }
        };
        let sql = format!("{} {operator} {}", part(&first, &left.sql), part(&second, &right.sql));
        Ok(BoundQuery { sql, columns })
    }

    fn values(&mut self, scope: &Scope<'_>, rows: &[Vec<Expr>]) -> SqlResult<BoundQuery> {
        let mut bound: Vec<Vec<Bound>> = Vec::new();
        for row in rows {
            bound.push(row.iter().map(|value| self.value(scope, value)).collect::<SqlResult<_>>()?);
        }
        let width = bound.first().map_or(0, Vec::len);
        if bound.iter().any(|row| row.len() != width) {
            return Err(SqlError::new(
                10709,
                "The number of columns for each row in a table value constructor must be the same.",
            ));
        }
        let mut columns = Vec::new();
        for at in 0..width {
            let down: Vec<Bound> = bound.iter().map(|row| row[at].clone()).collect();
            let unified = self.unified(&down);
            columns.push(Bound { nullable: down.iter().any(|value| value.nullable), ..unified[0].clone() });
            for (row, value) in bound.iter_mut().zip(unified) {
                row[at] = value;
            }
        }
        let rows: Vec<String> = bound
            .iter()
            .map(|row| {
                let terms: Vec<String> =
                    row.iter().enumerate().map(|(at, value)| format!("{} AS k{at}", value.sql)).collect();
                format!("SELECT {}", terms.join(", "))
            })
            .collect();
        Ok(BoundQuery { sql: rows.join(" UNION ALL "), columns })
    }
}

/// The columns of a query as a source offers them; `names` rename them.
pub fn offered(columns: &[Bound], names: &[String]) -> SqlResult<Vec<Offered>> {
    if !names.is_empty() && names.len() != columns.len() {
        return Err(SqlError::new(
            8158,
            "A derived table has more or fewer columns than were specified in the column list.",
        ));
    }
    let mut offered: Vec<Offered> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let name = names.get(at).cloned().or_else(|| column.name.clone()).unwrap_or_default();
        if name.is_empty() {
            return Err(SqlError::new(
                8155,
                format!("No column name was specified for column {} of a derived table.", at + 1),
            ));
        }
        if offered.iter().any(|earlier| same(&earlier.name, &name)) {
            return Err(SqlError::new(
                8156,
                format!("The column '{name}' was specified multiple times for a derived table."),
            ));
        }
        offered.push(Offered {
            name,
            sql: format!("k{at}"),
            ty: column.ty,
            nullable: column.nullable,
            identity: column.identity,
            hidden: false,
            denied: None,
            table: column.table.clone(),
        });
    }
    Ok(offered)
}

fn heads(columns: &[Offered]) -> String {
    columns.iter().map(|column| column.sql.clone()).collect::<Vec<_>>().join(", ")
}

/// Which output column ORDER BY means: a number, or an alias.
fn position(columns: &[Bound], by: &Order) -> SqlResult<Option<usize>> {
    match &by.by {
        Expr::Integer(digits) => {
            let number: usize = digits.parse().unwrap_or(0);
            if number == 0 || number > columns.len() {
                let message = format!(
                    "The ORDER BY position number {digits} is out of range of the number of items in the select list."
                );
                return Err(SqlError::new(108, message).class(15));
            }
            Ok(Some(number - 1))
        }
        Expr::Column(name) if name.len() == 1 => {
            Ok(columns.iter().position(|column| column.name.as_ref().is_some_and(|own| same(own, &name[0]))))
        }
        _ => Ok(None),
    }
}

pub fn directed(bound: &Bound, by: &Order) -> String {
    format!("{}{}", bound.ordered(), if by.descending { " DESC" } else { "" })
}

/// Whether a query names a table somewhere in its FROMs.
fn refers(query: &Query, name: &str) -> bool {
    use crate::sql::ast::From;
    fn in_from(from: &From, name: &str) -> bool {
        match from {
            From::Table { name: table, .. } => table.len() == 1 && same(&table[0], name),
            From::Query { query, .. } => refers(query, name),
            From::Join { left, right, .. } => in_from(left, name) || in_from(right, name),
            From::Function { .. } => false,
        }
    }
    fn in_body(body: &Body, name: &str) -> bool {
        match body {
            Body::Select(select) => select.from.iter().any(|from| in_from(from, name)),
            Body::Set(_, left, right) => in_body(left, name) || in_body(right, name),
            Body::Nested(query) => refers(query, name),
            Body::Values(_) => false,
        }
    }
    in_body(&query.body, name)
}
