//! T-SQL, understood.

use crate::types::Type;

/// A name of up to four parts.
pub type Name = Vec<String>;

#[derive(Debug, Clone)]
pub enum Expr {
    Null,
    Integer(String),
    Decimal(String),
    Float(String),
    Money(String),
    Text(String, bool),
    Binary(Vec<u8>),
    Variable(String),
    Column(Name),
    Negate(Box<Expr>),
    /// `~`
    Invert(Box<Expr>),
    Arithmetic(&'static str, Box<Expr>, Box<Expr>),
    Compare(&'static str, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>, bool),
    Between(Box<Expr>, Box<Expr>, Box<Expr>, bool),
    In(Box<Expr>, Vec<Expr>, bool),
    InQuery(Box<Expr>, Box<Query>, bool),
    Like(Box<Expr>, Box<Expr>, Option<Box<Expr>>, bool),
    Exists(Box<Query>),
    Scalar(Box<Query>),
    Case(Option<Box<Expr>>, Vec<(Expr, Expr)>, Option<Box<Expr>>),
    Cast {
        value: Box<Expr>,
        ty: Type,
        style: Option<Box<Expr>>,
        forgiving: bool,
    },
    Collate(Box<Expr>, String),
    AtTimeZone(Box<Expr>, Box<Expr>),
    Call(Call),
    /// `value.Method(…)`; a property has no arguments.
    Method(Box<Expr>, String, Vec<Expr>),
    /// `type::Method(…)`
    Static(Type, String, Vec<Expr>),
}

#[derive(Debug, Clone)]
pub struct Call {
    pub name: Name,
    pub arguments: Vec<Expr>,
    pub distinct: bool,
    /// `COUNT(*)`
    pub star: bool,
    pub over: Option<Over>,
    /// WITHIN GROUP (ORDER BY …)
    pub within: Vec<Order>,
}

#[derive(Debug, Clone)]
pub struct Over {
    pub partition: Vec<Expr>,
    pub order: Vec<Order>,
    pub frame: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Order {
    pub by: Expr,
    pub descending: bool,
}

/// A whole query expression.
#[derive(Debug, Clone)]
pub struct Query {
    pub with: Vec<With>,
    pub body: Body,
    pub order: Vec<Order>,
    pub offset: Option<Expr>,
    pub fetch: Option<Expr>,
}

#[derive(Debug, Clone)]
pub struct With {
    pub name: String,
    pub columns: Vec<String>,
    pub query: Query,
}

#[derive(Debug, Clone)]
pub enum Body {
    Select(Box<Select>),
    /// UNION, UNION ALL, EXCEPT, INTERSECT
    Set(&'static str, Box<Body>, Box<Body>),
    /// A query in parentheses.
    Nested(Box<Query>),
    Values(Vec<Vec<Expr>>),
}

#[derive(Debug, Clone)]
pub struct Select {
    pub distinct: bool,
    pub top: Option<Expr>,
    pub items: Vec<Item>,
    pub from: Vec<From>,
    pub filter: Option<Expr>,
    pub group: Vec<Expr>,
    pub having: Option<Expr>,
}

#[derive(Debug, Clone)]
pub enum Item {
    /// `*` or `t.*`
    Star(Name),
    Value {
        value: Expr,
        name: Option<String>,
    },
    /// `@v = value`
    Assign {
        variable: String,
        value: Expr,
    },
}

#[derive(Debug, Clone)]
pub enum From {
    Table { name: Name, alias: Option<String> },
    Function { name: Name, arguments: Vec<Expr>, alias: Option<String>, columns: Vec<String> },
    Query { query: Box<Query>, alias: Option<String>, columns: Vec<String> },
    Join { kind: Join, left: Box<From>, right: Box<From>, on: Option<Expr> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    Inner,
    Left,
    Right,
    Full,
    Cross,
    CrossApply,
    OuterApply,
}

#[derive(Debug, Clone)]
pub struct ColumnDefinition {
    pub name: String,
    pub ty: Type,
    /// Whether the type's text collation was written, not inherited.
    pub collated: bool,
    pub nullable: Option<bool>,
    pub identity: Option<(i64, i64)>,
    pub default: Option<String>,
    pub computed: Option<String>,
    pub hidden: bool,
    pub indexes: Vec<IndexDefinition>,
}

#[derive(Debug, Clone)]
pub struct IndexDefinition {
    pub name: Option<String>,
    pub clustered: Option<bool>,
    pub unique: bool,
    pub primary: bool,
    pub constraint: bool,
    pub keys: Vec<(String, bool)>,
    pub included: Vec<String>,
    pub filter: Option<String>,
}

#[derive(Debug, Clone)]
pub enum Source {
    Query(Box<Query>),
    Defaults,
}

#[derive(Debug, Clone)]
pub enum Grantee {
    /// GRANT … ON object, schema or database.
    Object(Name),
    Schema(String),
    Whole,
}

#[derive(Debug, Clone)]
pub enum Statement {
    Select(Query),
    Insert {
        table: Name,
        columns: Vec<String>,
        source: Source,
    },
    Update {
        table: Name,
        sets: Vec<(String, Expr)>,
        from: Vec<From>,
        filter: Option<Expr>,
    },
    Delete {
        table: Name,
        from: Vec<From>,
        filter: Option<Expr>,
    },
    Truncate(Name),
    Declare(Vec<(String, Type, Option<Expr>)>),
    Assign(String, Expr),
    Set(Vec<String>, Setting),
    If(Expr, Box<Statement>, Option<Box<Statement>>),
    While(Expr, Box<Statement>),
    Block(Vec<Statement>),
    Try(Vec<Statement>, Vec<Statement>),
    Begin,
    Commit,
    Rollback(Option<String>),
    Save(String),
    Use(String),
    Print(Expr),
    Raise(Vec<Expr>),
    Throw(Vec<Expr>),
    Wait(Expr),
    Kill(Expr),
    Return,
    Execute {
        procedure: Name,
        arguments: Vec<(Option<String>, Expr)>,
    },
    ExecuteText(Expr),
    CreateTable {
        name: Name,
        columns: Vec<ColumnDefinition>,
        indexes: Vec<IndexDefinition>,
    },
    CreateIndex {
        table: Name,
        index: IndexDefinition,
    },
    CreateView {
        name: Name,
        columns: Vec<String>,
        query: String,
    },
    CreateSchema(String),
    CreateDatabase {
        name: String,
        collation: Option<String>,
    },
    AlterDatabase {
        name: Option<String>,
        words: Vec<String>,
    },
    AlterTable {
        table: Name,
        change: TableChange,
    },
    AlterIndex {
        index: Option<String>,
        table: Name,
        disable: bool,
    },
    Drop {
        what: String,
        names: Vec<Name>,
        if_exists: bool,
        on: Option<Name>,
    },
    CreateLogin {
        name: String,
        password: Option<String>,
    },
    CreateUser {
        name: String,
    },
    Grant {
        permissions: Vec<String>,
        /// `SELECT (a, b)`, or `ON t (a, b)`.
        columns: Option<Vec<String>>,
        on: Grantee,
        to: Vec<String>,
        denied: bool,
        revoked: bool,
    },
    /// Something that changes nothing here: UPDATE STATISTICS, CHECKPOINT, DBCC …
    Nothing,
}

#[derive(Debug, Clone)]
pub enum TableChange {
    Add(Vec<ColumnDefinition>, Vec<IndexDefinition>),
    DropColumn(Vec<String>),
    DropConstraint(String),
}

/// The right side of SET.
#[derive(Debug, Clone)]
pub enum Setting {
    On,
    Off,
    Value(Expr),
    Word(String),
}
