//! One database's declarations, kept as one document beside its tables.

use serde::{Deserialize, Serialize};

use crate::types::Type;
use crate::types::collation::Collation;

/// Everything declared in a database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Meta {
    pub collation: Collation,
    pub created: String,
    pub guid: String,
    pub snapshot_isolation: bool,
    pub read_committed_snapshot: bool,
    pub read_only: bool,
    pub next_id: i32,
    pub schemas: Vec<Schema>,
    pub tables: Vec<Table>,
    pub views: Vec<View>,
    pub users: Vec<String>,
    pub grants: Vec<Grant>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Schema {
    pub id: i32,
    pub name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    pub id: i32,
    pub schema: i32,
    pub name: String,
    pub created: String,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    pub id: i32,
    pub name: String,
    pub ty: Type,
    pub nullable: bool,
    /// Seed and step.
    pub identity: Option<(i64, i64)>,
    pub default: Option<String>,
    pub computed: Option<String>,
    pub hidden: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Index {
    pub id: i32,
    pub name: String,
    pub clustered: bool,
    pub unique: bool,
    pub primary: bool,
    /// Made by a PRIMARY KEY or UNIQUE constraint.
    pub constraint: bool,
    pub disabled: bool,
    pub filter: Option<String>,
    /// Column ids, and whether they descend.
    pub keys: Vec<(i32, bool)>,
    pub included: Vec<i32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct View {
    pub id: i32,
    pub schema: i32,
    pub name: String,
    pub created: String,
    pub columns: Vec<Column>,
    /// The names in parentheses after the view's, if any.
    pub names: Vec<String>,
    pub query: String,
}

/// A right; without an object, to everything in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub user: String,
    pub permission: String,
    pub on: Securable,
    /// DENY.
    pub denied: bool,
    /// Only to these columns of the object.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Securable {
    Server,
    Database,
    Schema(i32),
    Object(i32),
}

/// What a name in FROM stands for.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    Table(&'a Table),
    View(&'a View),
}

impl Object<'_> {
    pub fn id(&self) -> i32 {
        match self {
            Self::Table(table) => table.id,
            Self::View(view) => view.id,
        }
    }

    pub fn schema(&self) -> i32 {
        match self {
            Self::Table(table) => table.schema,
            Self::View(view) => view.schema,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Table(table) => &table.name,
            Self::View(view) => &view.name,
        }
    }

    pub fn columns(&self) -> &[Column] {
        match self {
            Self::Table(table) => &table.columns,
            Self::View(view) => &view.columns,
        }
    }
}

impl Meta {
    pub fn new(collation: Collation, created: String, guid: String) -> Self {
        let schema = |id, name: &str| Schema { id, name: name.to_owned() };
        Self {
            collation,
            created,
            guid,
            snapshot_isolation: false,
            read_committed_snapshot: false,
            read_only: false,
            next_id: 245_575_913,
            schemas: vec![schema(1, "dbo"), schema(2, "guest"), schema(3, "INFORMATION_SCHEMA"), schema(4, "sys")],
            tables: Vec::new(),
            views: Vec::new(),
            users: Vec::new(),
            grants: Vec::new(),
        }
    }

    /// A number for a new object.
    pub fn take_id(&mut self) -> i32 {
        self.next_id += 16;
        self.next_id
    }

    pub fn schema(&self, name: &str) -> Option<&Schema> {
        self.schemas.iter().find(|schema| same(&schema.name, name))
    }

    pub fn schema_name(&self, id: i32) -> &str {
        self.schemas.iter().find(|schema| schema.id == id).map_or("", |schema| &schema.name)
    }

    /// A table or view; without a schema, of `dbo`.
    pub fn object(&self, schema: Option<&str>, name: &str) -> Option<Object<'_>> {
        let schema = self.schema(schema.unwrap_or("dbo"))?.id;
        let table = self.tables.iter().find(|table| table.schema == schema && same(&table.name, name));
        let view = || self.views.iter().find(|view| view.schema == schema && same(&view.name, name));
        table.map(Object::Table).or_else(|| view().map(Object::View))
    }

    pub fn object_by_id(&self, id: i32) -> Option<Object<'_>> {
        let table = self.tables.iter().find(|table| table.id == id).map(Object::Table);
        table.or_else(|| self.views.iter().find(|view| view.id == id).map(Object::View))
    }

    pub fn table_mut(&mut self, id: i32) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.id == id)
    }

    /// Whether a login has a right to an object of this database. DENY goes before GRANT.
    pub fn may(&self, login: &str, permission: &str, id: i32, schema: i32) -> bool {
        if login == crate::session::ADMINISTRATOR {
            return true;
        }
        let mut granted = false;
        for grant in self.grants.iter().filter(|grant| grant.columns.is_none()) {
            let whom = same(&grant.user, login) || same(&grant.user, "public");
            let what = same(&grant.permission, permission) || same(&grant.permission, "CONTROL");
            let on = match grant.on {
                Securable::Object(object) => object == id,
                Securable::Schema(of) => of == schema,
                Securable::Database => true,
                Securable::Server => false,
            };
            if whom && what && on {
                if grant.denied {
                    return false;
                }
                granted = true;
            }
        }
        granted
    }

    /// Whether a login has a right to a column: one of its own, or the object's.
    pub fn may_column(&self, login: &str, permission: &str, object: &Object<'_>, column: &str) -> bool {
        if login == crate::session::ADMINISTRATOR {
            return true;
        }
        let own = self.of_columns(login, permission, object.id());
        let mut own = own.filter(|grant| grant.columns.iter().flatten().any(|name| same(name, column)));
        match own.next() {
            Some(first) => !first.denied && !own.any(|grant| grant.denied),
            None => self.may(login, permission, object.id(), object.schema()),
        }
    }

    /// Whether a login has a right to some column of the object.
    pub fn may_some(&self, login: &str, permission: &str, object: &Object<'_>) -> bool {
        self.may(login, permission, object.id(), object.schema())
            || self.of_columns(login, permission, object.id()).any(|grant| !grant.denied)
    }

    fn of_columns<'a>(&'a self, login: &'a str, permission: &'a str, id: i32) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(move |grant| {
            grant.columns.is_some()
                && (same(&grant.user, login) || same(&grant.user, "public"))
                && same(&grant.permission, permission)
                && grant.on == Securable::Object(id)
        })
    }

    /// Whether a login has a right to the server or the database as such.
    pub fn may_at(&self, login: &str, permission: &str, on: &Securable) -> bool {
        login == crate::session::ADMINISTRATOR
            || self.grants.iter().any(|grant| {
                same(&grant.user, login) && same(&grant.permission, permission) && grant.on == *on && !grant.denied
            })
    }
}

impl Table {
    /// Its name below, where names are safe.
    pub fn stored(&self) -> String {
        format!("t{}", self.id)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| same(&column.name, name))
    }

    pub fn column_by_id(&self, id: i32) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == id)
    }
}

impl Column {
    pub fn stored(&self) -> String {
        format!("c{}", self.id)
    }

    /// Its declaration for SQLite: no affinity, so that nothing is converted, and the type's order.
    pub fn declaration(&self) -> String {
        let order = self.ty.order().map(|order| format!(" COLLATE {order}")).unwrap_or_default();
        let null = if self.nullable { "" } else { " NOT NULL" };
        format!("{} BLOB{order}{null}", self.stored())
    }
}

/// Names match whatever their case, as under the usual collations.
pub fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}
