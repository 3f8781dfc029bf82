//! CREATE TABLE, ALTER TABLE and indexes.

use super::ddl::{now, placed};
use crate::catalogue::meta::{Column, Index, Meta, Table, same};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDefinition, IndexDefinition, Name, TableChange};
use crate::types::Kind;

fn column(meta: &Meta, definition: &ColumnDefinition, id: i32) -> SqlResult<Column> {
    if definition.computed.is_some() {
        return Err(SqlError::unsupported("computed columns"));
    }
    let ty = if definition.ty.is_text() && !definition.collated {
        definition.ty.with_collation(meta.collation)
    } else {
        definition.ty
    };
    let primary = definition.indexes.iter().any(|index| index.primary);
    Ok(Column {
        id,
        name: definition.name.clone(),
        ty,
        // rowversion and identity are never NULL.
        nullable: definition.nullable.unwrap_or(!primary)
            && definition.identity.is_none()
            && ty.kind != Kind::RowVersion
            && !primary,
        identity: definition.identity,
        default: definition.default.clone(),
        computed: None,
        hidden: definition.hidden,
    })
}

pub fn create_table(
    meta: &mut Meta,
    name: &Name,
    columns: &[ColumnDefinition],
    indexes: &[IndexDefinition],
) -> SqlResult<Vec<String>> {
    let (schema, name) = placed(meta, name)?;
    let id = meta.take_id();
    let mut made: Vec<Column> = Vec::new();
    for (number, definition) in (1..).zip(columns) {
        if made.iter().any(|column| same(&column.name, &definition.name)) {
            let message = format!(
                "Column names in each table must be unique. Column name '{}' in table '{name}' is specified more than once.",
                definition.name
            );
            return Err(SqlError::new(2705, message));
        }
        let mut column = column(meta, definition, number)?;
        // A key of the table makes its columns NOT NULL, unless they said otherwise.
        let keyed =
            indexes.iter().any(|index| index.primary && index.keys.iter().any(|(key, _)| same(key, &column.name)));
        if keyed {
            if definition.nullable == Some(true) {
                return Err(SqlError::new(
                    8111,
                    format!("Cannot define PRIMARY KEY constraint on nullable column in table '{name}'."),
                ));
            }
            column.nullable = false;
        }
        made.push(column);
    }
    let declarations: Vec<String> = made.iter().map(Column::declaration).collect();
    let table = Table { id, schema, name, created: now(), columns: made, indexes: Vec::new() };
    let mut below = vec![format!("CREATE TABLE {} ({})", table.stored(), declarations.join(", "))];
    meta.tables.push(table);
    for index in columns.iter().flat_map(|column| &column.indexes).chain(indexes) {
        below.push(add_index(meta, id, index)?);
    }
    Ok(below)
}

pub fn add_index(meta: &mut Meta, id: i32, definition: &IndexDefinition) -> SqlResult<String> {
    let table = meta.table_mut(id).ok_or_else(|| SqlError::invalid_object(""))?;
    let numbers = |names: &[String]| -> SqlResult<Vec<i32>> {
        names
            .iter()
            .map(|name| {
                table.column(name).map(|column| column.id).ok_or_else(|| {
                    SqlError::new(1911, format!("Column name '{name}' does not exist in the target table or view."))
                })
            })
            .collect()
    };
    let names: Vec<String> = definition.keys.iter().map(|(name, _)| name.clone()).collect();
    let keys: Vec<(i32, bool)> =
        numbers(&names)?.into_iter().zip(definition.keys.iter().map(|(_, down)| *down)).collect();
    let included = numbers(&definition.included)?;
    let has_clustered = table.indexes.iter().any(|index| index.clustered);
    // A primary key is clustered unless something else is, or it says otherwise.
    let clustered = definition.clustered.unwrap_or(definition.primary && !has_clustered);
    if clustered && has_clustered {
        return Err(SqlError::new(
            1902,
            format!("Cannot create more than one clustered index on table '{}'.", table.name),
        )
        .state(3));
    }
    let number = if clustered { 1 } else { table.indexes.iter().map(|index| index.id).max().unwrap_or(1).max(1) + 1 };
    let name = definition.name.clone().unwrap_or_else(|| {
        let prefix = if definition.primary { "PK" } else { "UQ" };
        format!(
            "{prefix}__{}__{:016X}",
            table.name.chars().take(8).collect::<String>(),
            i64::from(id) << 8 | i64::from(number)
        )
    });
    if table.indexes.iter().any(|index| same(&index.name, &name)) {
        return Err(SqlError::new(
            1913,
            format!(
                "The operation failed because an index or statistics with name '{name}' already exists on table '{}'.",
                table.name
            ),
        ));
    }
    let terms: Vec<String> =
        keys.iter().map(|(column, down)| format!("c{column}{}", if *down { " DESC" } else { "" })).collect();
    // A filter with functions of its own is nothing that SQLite could index by.
    let unique = definition.unique && definition.filter.is_none();
    let sql = format!(
        "CREATE {}INDEX i{id}_{number} ON {} ({})",
        if unique { "UNIQUE " } else { "" },
        table.stored(),
        terms.join(", ")
    );
    table.indexes.push(Index {
        id: number,
        name,
        clustered,
        unique: definition.unique,
        primary: definition.primary,
        constraint: definition.constraint,
        disabled: false,
        filter: definition.filter.clone(),
        keys,
        included,
    });
    Ok(sql)
}

pub fn alter_table(meta: &mut Meta, id: i32, change: &TableChange) -> SqlResult<Vec<String>> {
    let copy = meta.clone();
    let table = meta.table_mut(id).ok_or_else(|| SqlError::invalid_object(""))?;
    let mut below = Vec::new();
    match change {
        TableChange::Add(columns, indexes) => {
            for definition in columns {
                let number = table.columns.iter().map(|column| column.id).max().unwrap_or(0) + 1;
                let made = column(&copy, definition, number)?;
                if !made.nullable {
                    return Err(SqlError::unsupported("ALTER TABLE ADD of a NOT NULL column"));
                }
                below.push(format!("ALTER TABLE {} ADD COLUMN {}", table.stored(), made.declaration()));
                table.columns.push(made);
            }
            let of_columns = columns.iter().flat_map(|column| &column.indexes);
            for index in of_columns.chain(indexes) {
                below.push(add_index(meta, id, index)?);
            }
        }
        TableChange::DropColumn(names) => {
            for name in names {
                let column = table.column(name).ok_or_else(|| {
                    SqlError::new(
                        4924,
                        format!(
                            "ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table '{}'.",
                            table.name
                        ),
                    )
                })?;
                let number = column.id;
                below.push(format!("ALTER TABLE {} DROP COLUMN {}", table.stored(), column.stored()));
                table.columns.retain(|column| column.id != number);
            }
        }
        TableChange::DropConstraint(name) => {
            let found = table.indexes.iter().find(|index| index.constraint && same(&index.name, name));
            let number = found.ok_or_else(|| SqlError::new(3728, format!("'{name}' is not a constraint.")))?.id;
            below.push(format!("DROP INDEX i{id}_{number}"));
            table.indexes.retain(|index| index.id != number);
        }
    }
    Ok(below)
}
