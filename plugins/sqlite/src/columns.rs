//! From a request to its columns: which ones, read how, and whether NULL may occur.

use rivet_sdk::sql::columns::Target;
use rivet_sdk::sql::rows::Output;
use rivet_sdk::{
    ColumnRequest, Condition, Error, ErrorKind, ExportRequest, Fidelity, OnUnrepresentable, Result, TypeMapping,
    WantedType,
};

use crate::catalog::{Shape, SourceColumn, source_type};
use crate::database::Database;
use crate::dialect::{Sqlite, from};
use crate::error::no_column;
use crate::types::{Kind, Seen};

/// One output column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The source's name.
    pub name: String,
    /// How its cells are read.
    pub kind: Kind,
    /// Any storage class is read, as CAST would: wanted types, and columns without a type.
    pub lenient: bool,
    /// Whether NULL may occur.
    pub nullable: bool,
    declared: String,
    fidelity: Fidelity,
}

impl Column {
    /// As the host learns it.
    pub fn mapping(&self) -> Result<TypeMapping> {
        let field = self.kind.field(&self.name, self.nullable);
        TypeMapping::new(&self.name, &source_type(&self.declared), self.fidelity, &field)
    }

    /// The override that would take a value this column refuses.
    pub fn remedy(&self, not_utf8: bool) -> String {
        let wanted = if not_utf8 || (self.kind == Kind::Text && !self.lenient) { "binary" } else { "text" };
        format!("set `columns: {{{}: {wanted}}}`, or `on_unrepresentable: null`", self.name)
    }
}

impl Output for Column {
    fn name(&self) -> &str {
        &self.name
    }

    fn source_type(&self) -> &str {
        &self.declared
    }

    fn is_nullable(&self) -> bool {
        self.nullable
    }

    fn fixed_bytes(&self) -> usize {
        self.kind.fixed_bytes()
    }
}

/// Storage classes of untyped columns, kept for the instance's life: a first pass reads the
/// whole relation.
#[derive(Default)]
pub struct FirstPasses {
    known: Vec<(String, String, Seen)>,
}

/// The request's columns, in order. Every name in the request is checked.
pub fn resolve(
    database: &Database,
    shape: &Shape,
    request: &ExportRequest,
    passes: &mut FirstPasses,
) -> Result<Vec<Column>> {
    check_names(shape, request)?;
    let asked = |name: &str| request.columns.iter().find(|column| column.name == name);
    let pairs: Vec<(&SourceColumn, Option<&ColumnRequest>)> = if request.columns_complete && !request.columns.is_empty()
    {
        request.columns.iter().filter_map(|asked| Some((shape.column(&asked.name)?, Some(asked)))).collect()
    } else {
        let kept = shape.columns.iter().filter(|column| !request.exclude.contains(&column.name));
        kept.map(|column| (column, asked(&column.name))).collect()
    };
    if pairs.is_empty() {
        return Err(Error::config(format!("no column of {} is left", request.relation)));
    }
    passes.look(
        database,
        shape,
        pairs.iter().map(|(column, asked)| (*column, asked.is_some_and(|a| a.wanted.is_some()))),
    )?;
    pairs.into_iter().map(|(column, asked)| column_of(shape, column, asked, request, passes)).collect()
}

fn column_of(
    shape: &Shape,
    column: &SourceColumn,
    asked: Option<&ColumnRequest>,
    request: &ExportRequest,
    passes: &FirstPasses,
) -> Result<Column> {
    let declared = Kind::of_declared(&column.declared);
    let wanted = asked.and_then(|asked| asked.wanted);
    // Of an untyped column with a wanted type nothing is known: any type may be asked for.
    let (natural, fidelity) = declared.unwrap_or_else(|| passes.kind(shape, &column.name));
    let (kind, fidelity) = match wanted {
        None => (natural, fidelity),
        Some(wanted) => Kind::of_wanted(wanted, natural).ok_or_else(|| {
            Error::new(
                ErrorKind::Config,
                format!("column `{}` is {} and cannot become {wanted}", column.name, source_type(&column.declared)),
            )
            .with_hint("`text` takes every column; anything else can be computed in a query")
        })?,
    };
    // Under `null` a contradicting cell becomes NULL, and only a rowid cannot contradict.
    let surely_kept = request.on_unrepresentable == OnUnrepresentable::Fail || (column.is_rowid && kind == Kind::Int64);
    Ok(Column {
        name: column.name.clone(),
        kind,
        lenient: wanted.is_some() || declared.is_none() || fidelity == Fidelity::Text,
        nullable: !(column.not_null && surely_kept),
        declared: column.declared.clone(),
        fidelity,
    })
}

/// The columns whose values a condition compares.
pub fn compared(condition: &Condition) -> &[String] {
    match condition {
        Condition::Range { key: columns, .. } | Condition::Coalesced { columns, .. } => columns,
        _ => &[],
    }
}

/// The type that a request wants an exported column to have.
pub fn asked_type(request: &ExportRequest, column: &str) -> Option<WantedType> {
    let is_left_out = !request.columns_complete && request.exclude.iter().any(|name| name == column);
    let asked = request.columns.iter().find(|asked| asked.name == column && !is_left_out);
    asked.and_then(|asked| asked.wanted)
}

fn check_names(shape: &Shape, request: &ExportRequest) -> Result<()> {
    let in_conditions = request.conditions.iter().flat_map(Condition::columns);
    let listed = request.columns.iter().map(|column| &column.name);
    for name in listed.chain(&request.exclude).chain(&request.order_by).chain(in_conditions) {
        if shape.column(name).is_none() {
            let known = shape.columns.iter().map(|column| column.name.as_str());
            return Err(no_column(name, &shape.relation.to_string(), known));
        }
    }
    Ok(())
}

impl FirstPasses {
    /// Looks at the cells of columns without a declared or a wanted type, all in one pass.
    fn look<'a>(
        &mut self,
        database: &Database,
        shape: &Shape,
        columns: impl Iterator<Item = (&'a SourceColumn, bool)>,
    ) -> Result<()> {
        use rivet_sdk::sql::Dialect;
        let relation = from(&shape.relation);
        let untyped: Vec<&SourceColumn> = columns
            .filter(|(column, wanted)| !wanted && Kind::of_declared(&column.declared).is_none())
            .map(|(column, _)| column)
            .filter(|column| !self.known.iter().any(|(of, name, _)| *of == relation && *name == column.name))
            .collect();
        // A result row holds at most 2000 values.
        for part in untyped.chunks(400) {
            let looks = part.iter().flat_map(|column| {
                let name = Sqlite.name(&column.name);
                ["integer", "real", "text", "blob"].map(|class| format!("max(typeof({name}) = '{class}')"))
            });
            let sql = format!("SELECT {} FROM {relation}", looks.collect::<Vec<_>>().join(", "));
            let seen = database.all(&sql, &[], |row| {
                let at = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<bool>>(index)?.unwrap_or_default());
                (0..part.len())
                    .map(|i| {
                        Ok(Seen {
                            integer: at(4 * i)?,
                            real: at(4 * i + 1)?,
                            text: at(4 * i + 2)?,
                            blob: at(4 * i + 3)?,
                        })
                    })
                    .collect::<rusqlite::Result<Vec<_>>>()
            })?;
            let seen = seen.into_iter().flatten();
            self.known
                .extend(part.iter().zip(seen).map(|(column, seen)| (relation.clone(), column.name.clone(), seen)));
        }
        Ok(())
    }

    fn kind(&self, shape: &Shape, column: &str) -> (Kind, Fidelity) {
        let relation = from(&shape.relation);
        let seen = self.known.iter().find(|(of, name, _)| *of == relation && name == column);
        seen.map_or((Kind::Text, Fidelity::Text), |(_, _, seen)| seen.kind())
    }
}
