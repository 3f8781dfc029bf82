//! FROM: tables, views, derived tables, functions and joins.

use rusqlite::types::Value;

use super::select::offered;
use super::{Binder, Bound, Fill, Offered, Scope, Source};
use crate::catalogue::meta::{Object, Table, View, same};
use crate::catalogue::sys::{self, Answer};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Expr, From, Join};
use crate::sql::parser::Parser;
use crate::types::Type;

impl Binder<'_> {
    /// Adds what an item of FROM offers to the scope, and writes it.
    pub fn from(&mut self, scope: &mut Scope<'_>, from: &From) -> SqlResult<String> {
        match from {
            From::Table { name, alias } => self.table(scope, name, alias.as_deref()),
            From::Query { query, alias, columns } => {
                let parent = scope.parent.cloned().unwrap_or_default();
                let bound = self.query(&parent, query)?;
                let alias = alias.clone().ok_or_else(|| SqlError::syntax(")"))?;
                let columns = offered(&bound.columns, columns)?;
                Ok(self.derived(scope, &bound.sql, vec![alias], columns))
            }
            From::Function { name, arguments, alias, columns } => {
                self.table_function(scope, name, arguments, alias.as_deref(), columns)
            }
            From::Join { kind, left, right, on } => self.join(scope, *kind, left, right, on.as_ref()),
        }
    }

    fn join(
        &mut self,
        scope: &mut Scope<'_>,
        kind: Join,
        left: &From,
        right: &From,
        on: Option<&Expr>,
    ) -> SqlResult<String> {
        let first = scope.sources.len();
        let left = self.from(scope, left)?;
        let middle = scope.sources.len();
        if matches!(kind, Join::CrossApply | Join::OuterApply) && !matches!(right, From::Function { .. }) {
            return Err(SqlError::unsupported("APPLY with anything but a function"));
        }
        let nested = matches!(right, From::Join { .. });
        let right = self.from(scope, right)?;
        let right = if nested { format!("({right})") } else { right };
        let condition = match on {
            Some(on) => {
                // ON sees the two sides of its join, and what lies outside the query.
                let inner = Scope { parent: scope.parent, sources: scope.sources[first..].to_vec() };
                format!(" ON {}", self.condition(&inner, on)?)
            }
            None => String::new(),
        };
        let (outer_left, outer_right) =
            (matches!(kind, Join::Right | Join::Full), matches!(kind, Join::Left | Join::Full | Join::OuterApply));
        for (at, source) in scope.sources[first..].iter_mut().enumerate() {
            if (at + first < middle && outer_left) || (at + first >= middle && outer_right) {
                source.columns.iter_mut().for_each(|column| column.nullable = true);
            }
        }
        let word = match kind {
            Join::Left | Join::OuterApply => "LEFT JOIN",
            Join::Right => "RIGHT JOIN",
            Join::Full => "FULL JOIN",
            _ => "JOIN",
        };
        // A function's arguments after APPLY became conditions of its own.
        Ok(match (kind, right.split_once(APPLIED)) {
            (Join::CrossApply | Join::OuterApply, Some((table, arguments))) => {
                format!("{left} {word} {table} ON {arguments}")
            }
            _ => format!("{left} {word} {right}{condition}"),
        })
    }

    fn derived(&mut self, scope: &mut Scope<'_>, sql: &str, name: Vec<String>, mut columns: Vec<Offered>) -> String {
        let alias = self.fresh("a");
        for column in &mut columns {
            column.sql = format!("{alias}.{}", column.sql);
        }
        scope.sources.push(Source { name, columns });
        format!("({sql}) AS {alias}")
    }

    fn table(&mut self, scope: &mut Scope<'_>, name: &[String], alias: Option<&str>) -> SqlResult<String> {
        if let [only] = name
            && let Some(common) = self.common.iter().rev().find(|common| same(&common.name, only))
        {
            let (sql, mut columns) = (common.sql.clone(), common.columns.clone());
            let here = self.fresh("a");
            for column in &mut columns {
                column.sql = format!("{here}.{}", column.sql);
            }
            scope.sources.push(Source { name: vec![alias.unwrap_or(only).to_owned()], columns });
            return Ok(format!("{sql} AS {here}"));
        }
        let (schema, table) = self.located(name)?;
        let shown = match alias {
            Some(alias) => vec![alias.to_owned()],
            None => vec![schema.clone().unwrap_or_else(|| "dbo".to_owned()), table.clone()],
        };
        let schema_name = schema.as_deref().unwrap_or("dbo");
        if let Some(answer) = sys::view(self, schema_name, &table)? {
            return Ok(self.filled(scope, shown, answer));
        }
        let env = self.env.clone();
        let object =
            env.meta.object(schema.as_deref(), &table).ok_or_else(|| SqlError::invalid_object(name.join(".")))?;
        self.allowed("SELECT", &object)?;
        match object {
            Object::Table(table) => Ok(self.stored(scope, shown, table)),
            Object::View(view) => self.view(scope, shown, view),
        }
    }

    /// Schema and table of a name that may say its database.
    pub fn located(&self, name: &[String]) -> SqlResult<(Option<String>, String)> {
        let (table, before) = name.split_last().ok_or_else(|| SqlError::invalid_object(""))?;
        let (schema, database) = match before {
            [] => (None, None),
            [schema] => (Some(schema), None),
            [.., database, schema] => (Some(schema), Some(database)),
        };
        let schema = schema.filter(|schema| !schema.is_empty()).cloned();
        if let Some(database) = database
            && !database.is_empty()
            && !same(database, &self.env.database.name)
        {
            let system = schema.as_deref().is_some_and(|schema| same(schema, "sys")) && same(database, "master");
            if !system {
                if self.env.shared.databases.find(database).is_none() {
                    return Err(SqlError::invalid_object(name.join(".")));
                }
                return Err(SqlError::unsupported("tables of another database"));
            }
        }
        if table.starts_with('#') {
            return Err(SqlError::unsupported("temporary tables"));
        }
        Ok((schema, table.clone()))
    }

    /// 229 unless the login has the right.
    pub fn allowed(&self, permission: &str, object: &Object<'_>) -> SqlResult<()> {
        if self.env.meta.may_some(&self.env.login, permission, object) {
            return Ok(());
        }
        Err(SqlError::new(
            229,
            format!(
                "The {permission} permission was denied on the object '{}', database '{}', schema '{}'.",
                object.name(),
                self.env.database.name,
                self.env.meta.schema_name(object.schema())
            ),
        )
        .class(14)
        .state(5))
    }

    fn denied(&self, object: &Object<'_>, column: &str) -> Option<String> {
        let may = self.env.meta.may_column(&self.env.login, "SELECT", object, column);
        (!may).then(|| object.name().to_owned())
    }

    /// `%%physloc%%`: page, file and slot, fifty rows a page. Like a real server, the lowest byte comes first.
    fn place(&self, alias: &str) -> Offered {
        let row = Bound::new(format!("{alias}.rowid"), Type::new(crate::types::Kind::BigInt)).not_null();
        let place = self.function(Type::of_length(crate::types::Kind::Binary, 8), &[&row], |values| {
            let row = values[0].as_i64().unwrap_or(0);
            let (page, slot) = (u32::try_from(row / 50 + 200).unwrap_or(0), u16::try_from(row % 50).unwrap_or(0));
            let bytes = [&page.to_le_bytes()[..], &1_u16.to_le_bytes(), &slot.to_le_bytes()].concat();
            Ok(rusqlite::types::Value::Blob(bytes))
        });
        Offered {
            name: "%%physloc%%".to_owned(),
            sql: place.sql,
            ty: place.ty,
            nullable: false,
            identity: false,
            hidden: true,
            denied: None,
            table: None,
        }
    }

    fn stored(&mut self, scope: &mut Scope<'_>, name: Vec<String>, table: &Table) -> String {
        self.reads = true;
        let alias = self.fresh("a");
        let parts = vec![self.env.meta.schema_name(table.schema).to_owned(), table.name.clone()];
        let columns = table
            .columns
            .iter()
            .map(|column| Offered {
                name: column.name.clone(),
                sql: format!("{alias}.{}", column.stored()),
                ty: column.ty,
                nullable: column.nullable,
                identity: column.identity.is_some(),
                hidden: column.hidden,
                denied: self.denied(&Object::Table(table), &column.name),
                table: Some(parts.clone()),
            })
            .chain([self.place(&alias)])
            .collect();
        scope.sources.push(Source { name, columns });
        format!("{} AS {alias}", table.stored())
    }

    /// The table that an UPDATE or DELETE changes, under its own name.
    pub fn target(&mut self, scope: &mut Scope<'_>, shown: Vec<String>, table: &Table) -> String {
        self.stored(scope, shown, table)
    }

    fn view(&mut self, scope: &mut Scope<'_>, shown: Vec<String>, view: &View) -> SqlResult<String> {
        let query = Parser::new(&view.query)?.query()?;
        let hidden = std::mem::take(&mut self.common);
        // Whoever may read the view may read what its owner put into it.
        let (mine, owner) = (self.env.clone(), self.as_owner());
        self.env = owner;
        let bound = self.query(&Scope::default(), &query);
        self.env = mine;
        self.common = hidden;
        let bound = bound?;
        let mut columns = offered(&bound.columns, &view.names)?;
        let parts = vec![self.env.meta.schema_name(view.schema).to_owned(), view.name.clone()];
        for column in &mut columns {
            column.table = column.table.as_ref().map(|_| parts.clone());
            column.denied = self.denied(&Object::View(view), &column.name);
        }
        Ok(self.derived(scope, &bound.sql, shown, columns))
    }

    fn as_owner(&self) -> std::sync::Arc<crate::session::env::Env> {
        std::sync::Arc::new(self.env.with_login(crate::session::ADMINISTRATOR))
    }

    /// A temporary table with the catalogue's answer.
    fn filled(&mut self, scope: &mut Scope<'_>, name: Vec<String>, answer: Answer) -> String {
        let table = format!("s{}", self.fills.len());
        let alias = self.fresh("a");
        let columns = answer
            .columns
            .iter()
            .enumerate()
            .map(|(at, (name, ty, nullable))| Offered {
                name: name.clone(),
                sql: format!("{alias}.k{at}"),
                ty: *ty,
                nullable: *nullable,
                identity: false,
                hidden: false,
                denied: None,
                table: None,
            })
            .collect();
        let declarations = answer
            .columns
            .iter()
            .enumerate()
            .map(|(at, (_, ty, _))| match ty.order() {
                Some(order) => format!("k{at} BLOB COLLATE {order}"),
                None => format!("k{at} BLOB"),
            })
            .collect();
        self.fills.push(Fill { table: table.clone(), declarations, rows: answer.rows });
        scope.sources.push(Source { name, columns });
        format!("temp.{table} AS {alias}")
    }

    fn table_function(
        &mut self,
        scope: &mut Scope<'_>,
        name: &[String],
        arguments: &[Expr],
        alias: Option<&str>,
        renamed: &[String],
    ) -> SqlResult<String> {
        let (schema, function) = self.located(name)?;
        let schema = schema.unwrap_or_default();
        let shown = alias.or(name.last().map(String::as_str)).unwrap_or_default().to_owned();
        let mut bound = Vec::new();
        for argument in arguments {
            // DEFAULT is a bare word here.
            bound.push(self.value(scope, argument)?);
        }
        let correlated = bound.iter().any(|argument| argument.sql.contains('.') && !argument.yields);
        let mut answer = if correlated {
            sys::function(self, &schema, &function, None)?
        } else {
            let values: Vec<(Value, Type)> =
                bound.iter().map(|argument| Ok((self.evaluate(argument)?, argument.ty))).collect::<SqlResult<_>>()?;
            sys::function(self, &schema, &function, Some(&values))?
        }
        .ok_or_else(|| SqlError::invalid_object(name.join(".")))?;
        for (column, name) in answer.columns.iter_mut().zip(renamed) {
            column.0.clone_from(name);
        }
        let filled = self.filled(scope, vec![shown], answer);
        if !correlated {
            return Ok(filled);
        }
        // The arguments are the function's first columns.
        let columns: Vec<Bound> = match scope.sources.last() {
            Some(source) => source.columns.iter().take(bound.len()).map(Offered::bound).collect(),
            None => Vec::new(),
        };
        let mut equal = Vec::new();
        for (column, argument) in columns.iter().zip(&bound) {
            let (a, b) = self.comparable(column, argument)?;
            equal.push(format!("{a} = {b}"));
        }
        Ok(format!("{filled}{APPLIED}{}", equal.join(" AND ")))
    }
}

/// Stands between a function's table and the conditions that its arguments became.
const APPLIED: &str = "/*applied*/";
