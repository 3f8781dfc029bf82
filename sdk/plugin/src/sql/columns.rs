//! From a request to its columns: which ones, selected how, and what each becomes in Arrow.
//!
//! A driver reads the relation's columns from its catalogue as its own type, a [`SourceColumn`], and says with its own
//! [`Target`] what each can become. From there on all drivers do the same:
//!
//! 1. [`may_compare`], for the columns of conditions and order, where logins may have rights on columns;
//! 2. [`choose`], for the columns that the request wants, and [`may_read`] for those;
//! 3. [`Plan::new`] with the driver's table of types: the select list and the mappings come from the plan.

use std::collections::HashMap;

use arrow_schema::{DataType, Field};

use super::Dialect;
use super::rows::Output;
use crate::{
    BoundsRequest, Condition, Error, ErrorKind, ExportRequest, Fidelity, OnUnrepresentable, Relation, Result,
    TypeMapping, WantedType, nearest,
};

/// A column as the driver's catalogue has it.
pub trait SourceColumn {
    /// The server's own code for a column that does not exist.
    const UNKNOWN_CODE: &'static str;
    /// The server's own code for a column that the login may not read.
    const UNREADABLE_CODE: &'static str;

    /// Its name, in the catalogue's own case.
    fn name(&self) -> &str;

    /// Its type as a user would write it: `numeric(12,2)`.
    fn source_type(&self) -> &str;

    /// Whether the server itself keeps NULL out of it.
    fn is_not_null(&self) -> bool;

    /// Whether the login may read it; true where the driver does not ask, and leaves the refusal to the server.
    fn is_readable(&self) -> bool {
        true
    }
}

/// What a column becomes: an Arrow type, together with how the driver's bytes become it.
pub trait Target {
    /// The Arrow type.
    fn data_type(&self) -> DataType;

    /// The extension type of the field; None is a plain one.
    fn extension(&self) -> Option<Extension> {
        None
    }

    /// Whether some value of the source type has no place in the Arrow type, so that a policy may turn it into NULL.
    fn may_not_fit(&self) -> bool;

    /// The Arrow field, with its extension type where there is one.
    fn field(&self, name: &str, nullable: bool) -> Field {
        let field = Field::new(name, self.data_type(), nullable);
        let Some(extension) = self.extension() else { return field };
        // The canonical JSON type wants empty metadata, the UUID type none.
        let (extension, metadata) = match extension {
            Extension::Json => ("arrow.json", Some(String::new())),
            Extension::Uuid => ("arrow.uuid", None),
            Extension::Wkb(0) => ("geoarrow.wkb", Some("{}".to_owned())),
            Extension::Wkb(srid) => {
                ("geoarrow.wkb", Some(format!("{{\"crs\":\"EPSG:{srid}\",\"crs_type\":\"authority_code\"}}")))
            }
        };
        let mut entries = HashMap::from([("ARROW:extension:name".to_owned(), extension.to_owned())]);
        entries.extend(metadata.map(|metadata| ("ARROW:extension:metadata".to_owned(), metadata)));
        field.with_metadata(entries)
    }

    /// Bytes that every row takes in Arrow buffers, whatever its value.
    fn fixed_bytes(&self) -> usize {
        fixed_bytes(&self.data_type())
    }
}

fn fixed_bytes(data_type: &DataType) -> usize {
    match data_type {
        DataType::Boolean => 1,
        DataType::Int16 => 2,
        DataType::Int32 | DataType::UInt32 | DataType::Float32 | DataType::Date32 => 4,
        DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(..) => 4,
        DataType::Decimal128(..) | DataType::FixedSizeBinary(_) => 16,
        DataType::Decimal256(..) => 32,
        DataType::Struct(members) => members.iter().map(|member| fixed_bytes(member.data_type())).sum(),
        _ => 8,
    }
}

/// The extension types that databases' values have in Arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// Text that is JSON.
    Json,
    /// Sixteen bytes.
    Uuid,
    /// A geometry as well-known binary, of this spatial reference system; 0 where nothing is known of it.
    Wkb(u32),
}

/// What stands in the select list for a column, and what its values become.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Expression<K> {
    /// The column's quoted name, or an expression over it.
    pub sql: String,
    /// What the driver decodes it to.
    pub kind: K,
    /// What that keeps of a value.
    pub fidelity: Fidelity,
}

impl<K> Expression<K> {
    /// `sql`, whose values become `kind`.
    pub fn new(sql: impl Into<String>, kind: K, fidelity: Fidelity) -> Self {
        Self { sql: sql.into(), kind, fidelity }
    }
}

/// A column that the request wants, and the type that the user asked for.
pub type Chosen<S> = (S, Option<WantedType>);

/// One output column.
#[derive(Debug)]
#[non_exhaustive]
pub struct Planned<S, K> {
    /// As the catalogue has it.
    pub source: S,
    /// How it is selected, and what it becomes.
    pub expression: Expression<K>,
    /// Whether NULL may occur: in the source, or because the request's policy turns values into NULL.
    pub nullable: bool,
    /// Whether it is selected as it is, without a cast or a function.
    pub is_plain: bool,
}

impl<S: SourceColumn, K: Target> Planned<S, K> {
    /// The source's name of it.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// What it becomes.
    pub fn kind(&self) -> &K {
        &self.expression.kind
    }

    /// What the host is told of it.
    pub fn mapping(&self) -> Result<TypeMapping> {
        let field = self.kind().field(self.name(), self.nullable);
        TypeMapping::new(self.name(), self.source.source_type(), self.expression.fidelity, &field)
    }
}

impl<S: SourceColumn, K: Target> Output for Planned<S, K> {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn source_type(&self) -> &str {
        self.source.source_type()
    }

    fn is_nullable(&self) -> bool {
        self.nullable
    }

    fn fixed_bytes(&self) -> usize {
        self.kind().fixed_bytes()
    }
}

/// A request with every question about its columns answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan<S, K> {
    /// The output columns, in order. There is at least one.
    pub columns: Vec<Planned<S, K>>,
    /// Which of `columns` make the primary key, to name a row in an error; empty where it is not known.
    pub key: Vec<usize>,
}

impl<S: SourceColumn, K: Target> Plan<S, K> {
    /// Decides about each chosen column: `express` is the driver's table of types, and gets the column's quoted name,
    /// the column, and the type that the user asked for.
    pub fn new(
        dialect: &(impl Dialect + ?Sized),
        request: &ExportRequest,
        chosen: Vec<Chosen<S>>,
        mut express: impl FnMut(&str, &S, Option<WantedType>) -> Result<Expression<K>>,
    ) -> Result<Self> {
        let mut columns = Vec::with_capacity(chosen.len());
        for (source, wanted) in chosen {
            let name = dialect.name(source.name());
            let expression = express(&name, &source, wanted)?;
            let policy_may_null =
                request.on_unrepresentable == OnUnrepresentable::Null && expression.kind.may_not_fit();
            columns.push(Planned {
                nullable: !source.is_not_null() || policy_may_null,
                is_plain: expression.sql == name,
                source,
                expression,
            });
        }
        if columns.is_empty() {
            return Err(Error::config(format!("no column of {} is left to export", request.relation)));
        }
        Ok(Self { columns, key: Vec::new() })
    }

    /// The same, with the names of the primary key's columns. Where one of them is not exported, no key is told.
    #[must_use]
    pub fn with_key(mut self, names: &[String]) -> Self {
        let position = |name: &String| self.columns.iter().position(|column| column.name() == name);
        self.key = names.iter().map(position).collect::<Option<Vec<_>>>().unwrap_or_default();
        self
    }

    /// What stands between SELECT and FROM.
    ///
    /// An expression has a name that no column has: under the column's own, ORDER BY would sort by the expression.
    pub fn list(&self, dialect: &(impl Dialect + ?Sized)) -> String {
        let one = |(index, column): (usize, &Planned<S, K>)| match column.is_plain {
            true => column.expression.sql.clone(),
            false => format!("{} AS {}", column.expression.sql, dialect.name(&format!("rivet_{index}"))),
        };
        self.columns.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    }

    /// What the host is told of the columns.
    pub fn mappings(&self) -> Result<Vec<TypeMapping>> {
        self.columns.iter().map(Planned::mapping).collect()
    }

    /// The row's primary key for an error: `a=1, b=x`. `show` writes the value of the column at an index; where it
    /// cannot, no key is told.
    pub fn key_of(&self, mut show: impl FnMut(usize, &Planned<S, K>) -> Option<String>) -> Option<String> {
        let parts = self.key.iter().map(|index| {
            let column = self.columns.get(*index)?;
            Some(format!("{}={}", column.name(), show(*index, column)?))
        });
        let parts = parts.collect::<Option<Vec<_>>>()?;
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// The columns that the request wants, in its order. Every name in it must be one of `available`.
pub fn choose<S: SourceColumn + Clone>(request: &ExportRequest, available: &[S]) -> Result<Vec<Chosen<S>>> {
    for name in request.columns.iter().map(|column| &column.name).chain(&request.exclude) {
        find(name, available, &request.relation)?;
    }
    if request.columns_complete {
        let listed = request.columns.iter();
        return listed
            .map(|column| Ok((find(&column.name, available, &request.relation)?.clone(), column.wanted)))
            .collect();
    }
    let wanted = |name: &str| request.columns.iter().find(|column| column.name == name)?.wanted;
    let kept = available.iter().filter(|column| !request.exclude.iter().any(|name| name == column.name()));
    Ok(kept.map(|column| (column.clone(), wanted(column.name()))).collect())
}

/// A column by its exact name; the error for one that is not there names the nearest.
pub fn find<'a, S: SourceColumn>(name: &str, columns: &'a [S], relation: &Relation) -> Result<&'a S> {
    if let Some(column) = columns.iter().find(|column| column.name() == name) {
        return Ok(column);
    }
    let error =
        Error::new(ErrorKind::NotFound, format!("{relation} has no column `{name}`")).with_code(S::UNKNOWN_CODE);
    Err(match nearest(name, columns.iter().map(SourceColumn::name)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => {
            let names = columns.iter().take(20).map(SourceColumn::name).collect::<Vec<_>>();
            error.with_hint(format!("its columns: {}", names.join(", ")))
        }
    })
}

/// The columns of a key, in order; each must exist, and the login may read them.
pub fn find_key<'a, S: SourceColumn>(key: &[String], columns: &'a [S], relation: &Relation) -> Result<Vec<&'a S>> {
    let found = key.iter().map(|name| find(name, columns, relation)).collect::<Result<Vec<_>>>()?;
    may_read(relation, found.iter().copied())?;
    Ok(found)
}

/// Refuses columns that the login may not read, by name: the server would name the table alone.
pub fn may_read<'a, S: SourceColumn + 'a>(relation: &Relation, columns: impl IntoIterator<Item = &'a S>) -> Result<()> {
    let unreadable = columns.into_iter().filter(|column| !column.is_readable());
    let names: Vec<&str> = unreadable.map(SourceColumn::name).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(Error::unreadable_columns(relation, &names).with_code(S::UNREADABLE_CODE))
}

/// Refuses a request that filters or sorts by columns that the login may not read.
pub fn may_compare<S: SourceColumn>(request: &ExportRequest, available: &[S]) -> Result<()> {
    let named = request.conditions.iter().flat_map(Condition::columns).chain(&request.order_by);
    may_read(&request.relation, named.filter_map(|name| available.iter().find(|column| column.name() == name)))
}

/// The error for a wanted type that a column cannot have. `instead` is what every column can be had as: `text`.
pub fn cannot_become(column: &impl SourceColumn, wanted: WantedType, instead: &str) -> Error {
    let (name, of) = (column.name(), column.source_type());
    Error::new(ErrorKind::UnsupportedType, format!("the column `{name}` of type {of} cannot be exported as {wanted}"))
        .with_hint(format!("leave `columns: {{ {name}: … }}` out, or use {instead}"))
}

/// Whether some row may lack a key over these columns: with one value for all of them, where each may be NULL;
/// otherwise where one may.
pub fn may_lack<S: SourceColumn>(request: &BoundsRequest, key: &[&S]) -> bool {
    let nullable = |column: &&S| !column.is_not_null();
    if request.coalesced { key.iter().all(nullable) } else { key.iter().any(nullable) }
}
