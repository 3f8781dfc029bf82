//! What the check leaves of the tree: blocks of known keys with values of the right types.

use super::diagnostic::{Diagnostic, Position, join};
use super::tree::Entry;

/// A block whose keys are known and whose values have the right types.
#[derive(Debug, Default)]
pub struct Fields {
    /// Where it begins.
    pub at: Position,
    /// Its path: `exports[0].parquet`.
    pub path: String,
    pub(super) fields: Vec<Field>,
    /// The keys that belong to a plugin, references unexpanded.
    pub rest: Vec<Entry>,
}

/// A key that was given, and its value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) at: Position,
    pub(super) item: Item,
}

/// A name, its place and what was given for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T> {
    pub name: String,
    /// Where it stands.
    pub at: Position,
    /// What was given.
    pub value: T,
}

/// A value of the right type. `Wrong` stands for one that is not: the key counts as given.
#[derive(Debug)]
pub(super) enum Item {
    Wrong,
    Text(String),
    Bool(bool),
    Integer(i64),
    Number(f64),
    NumberByName(Vec<Named<f64>>),
    Texts(Vec<Named<()>>),
    TextByName(Vec<Named<String>>),
    Fields(Fields),
    Many(Vec<Fields>),
}

impl Fields {
    fn item(&self, name: &str) -> Option<&Item> {
        self.fields.iter().find(|field| field.name == name).map(|field| &field.item)
    }

    /// Whether the key was given, rightly or wrongly.
    pub fn has(&self, name: &str) -> bool {
        self.item(name).is_some()
    }

    /// Where the key stands; the block's own place without it.
    pub fn at(&self, name: &str) -> Position {
        self.fields.iter().find(|field| field.name == name).map_or(self.at, |field| field.at)
    }

    /// The key's whole path.
    pub fn key(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// A fault of this key.
    pub fn fault(&self, name: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::invalid(self.at(name), self.key(name), message)
    }

    /// A text, one character or a chosen word.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.item(name)? {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }

    /// True only if the key says so.
    pub fn is(&self, name: &str) -> bool {
        self.flag(name) == Some(true)
    }

    /// True or false.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.item(name)? {
            Item::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A whole number, bytes or milliseconds. The table's limits keep it in range.
    pub fn integer<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        match self.item(name)? {
            Item::Integer(value) => T::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A number. The table's limits keep it in range.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.item(name)? {
            Item::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Texts.
    pub fn texts(&self, name: &str) -> &[Named<()>] {
        match self.item(name) {
            Some(Item::Texts(texts)) => texts,
            _ => &[],
        }
    }

    /// A text for each name.
    pub fn text_by_name(&self, name: &str) -> &[Named<String>] {
        match self.item(name) {
            Some(Item::TextByName(texts)) => texts,
            _ => &[],
        }
    }

    /// A number for each name.
    pub fn number_by_name(&self, name: &str) -> &[Named<f64>] {
        match self.item(name) {
            Some(Item::NumberByName(numbers)) => numbers,
            _ => &[],
        }
    }

    /// A block.
    pub fn fields(&self, name: &str) -> Option<&Fields> {
        match self.item(name)? {
            Item::Fields(fields) => Some(fields),
            _ => None,
        }
    }

    /// Several blocks.
    pub fn many(&self, name: &str) -> &[Fields] {
        match self.item(name) {
            Some(Item::Many(many)) => many,
            _ => &[],
        }
    }
}
