//! The tree against the table of keys: unknown keys, wrong types, variables, `*_env`, `*_file`.

use std::cell::RefCell;

use super::diagnostic::{Diagnostic, Position, join, nearest};
use super::fields::{Field, Fields, Item, Named};
use super::keys::{Block, Key, Kind};
use super::tree::{Entry, Node, Value};
use super::units;
use super::variables::{Variables, names};

/// Checks trees and collects what is wrong with them.
pub struct Check<'a> {
    variables: &'a Variables,
    /// What is wrong so far.
    pub faults: Vec<Diagnostic>,
    revealed: RefCell<Vec<Revealed>>,
}

/// A value that came from a variable or a file, and how the user wrote it.
#[derive(Debug, Clone)]
struct Revealed {
    value: String,
    written: String,
}

/// A value's path, and what it must be.
struct Place<'a> {
    path: &'a str,
    key: &'static Key,
}

impl<'a> Check<'a> {
    /// Variables come from `variables`.
    pub fn new(variables: &'a Variables) -> Self {
        Self { variables, faults: Vec::new(), revealed: RefCell::default() }
    }

    /// Takes every value that came from a variable or a file out of later faults.
    pub fn redact(&self, faults: &mut [Diagnostic]) {
        for fault in faults {
            for Revealed { value, written } in self.revealed.borrow().iter().filter(|revealed| revealed.value.len() > 3)
            {
                fault.message = fault.message.replace(value, written);
                fault.hint = fault.hint.take().map(|hint| hint.replace(value, written));
            }
        }
    }

    fn reveal(&self, value: &str, written: &str) {
        self.revealed.borrow_mut().push(Revealed { value: value.to_owned(), written: written.to_owned() });
    }

    /// `node` against `block`.
    pub fn block(&mut self, node: &Node, block: &'static Block, path: &str) -> Option<Fields> {
        let Value::Map(entries) = &node.value else {
            let message = format!("expected a block of keys, found {}", node.value.described());
            self.faults.push(Diagnostic::invalid(node.at, path, message));
            return None;
        };
        let mut fields = Fields { at: node.at, path: path.to_owned(), ..Fields::default() };
        for entry in entries {
            self.entry(entry, block, &mut fields);
        }
        for key in block.keys.iter().filter(|key| key.required && !fields.has(key.name)) {
            self.faults.push(Diagnostic::invalid(node.at, fields.key(key.name), "this key is required"));
        }
        Some(fields)
    }

    fn entry(&mut self, entry: &Entry, block: &'static Block, fields: &mut Fields) {
        let path = join(&fields.path, &entry.key);
        let (key, item) = if let Some(key) = block.key(&entry.key) {
            if entry.node.value == Value::Null && !null_is_a_word(key) {
                if key.required {
                    self.faults.push(Diagnostic::invalid(entry.at, path, "this key is required, found nothing"));
                    fields.fields.push(Field { name: key.name, at: entry.at, item: Item::Wrong });
                }
                return;
            }
            let place = Place { path: &path, key };
            let item = self.value(&entry.node, &place).unwrap_or_else(|fault| {
                self.faults.push(fault);
                Item::Wrong
            });
            (key, item)
        } else if let Some((key, from)) = reference(block, &entry.key) {
            (key, self.referred(from, entry, &path))
        } else if block.open {
            fields.rest.push(entry.clone());
            return;
        } else {
            let hint = nearest(&entry.key, block.keys.iter().map(|key| key.name));
            let hint = hint.or_else(|| elsewhere(block, &entry.key));
            self.faults.push(Diagnostic::invalid(entry.at, path, "unknown key").with_hint_if(hint));
            return;
        };
        if let Some(earlier) = fields.fields.iter().find(|field| field.name == key.name) {
            let message = format!("`{}` is given already, on line {}", key.name, earlier.at.line);
            self.faults.push(Diagnostic::invalid(entry.at, path, message).with_hint("keep one of them"));
            return;
        }
        fields.fields.push(Field { name: key.name, at: entry.at, item });
    }

    fn referred(&mut self, from: From, entry: &Entry, path: &str) -> Item {
        let name = self.text(&entry.node, path);
        let found = name.and_then(|name| match from {
            From::Environment => self.variables.environment(&name).ok_or_else(|| {
                Diagnostic::invalid(entry.node.at, path, format!("environment variable `{name}` is not set"))
            }),
            From::File => self.variables.read_file(&name).map_err(|error| {
                Diagnostic::invalid(entry.node.at, path, format!("file `{name}` cannot be read: {}", error.kind()))
            }),
        });
        match found {
            Ok(text) => {
                self.reveal(&text, "***");
                Item::Text(text)
            }
            Err(fault) => {
                self.faults.push(fault);
                Item::Wrong
            }
        }
    }

    fn value(&mut self, node: &Node, place: &Place<'_>) -> Result<Item, Diagnostic> {
        match place.key.kind {
            Kind::Block(block) => Ok(self.block(node, block, place.path).map_or(Item::Wrong, Item::Fields)),
            Kind::Blocks(block) => self.blocks(node, block, place),
            Kind::Texts => Ok(Item::Texts(self.texts(node, place.path, "a list of texts")?)),
            Kind::TextOrTexts => match &node.value {
                Value::List(_) => Ok(Item::Texts(self.texts(node, place.path, "a text or a list of texts")?)),
                _ => {
                    let name = self.text(node, place.path)?;
                    Ok(Item::Texts(vec![Named { name, at: node.at, value: () }]))
                }
            },
            Kind::Choices(words) => {
                let texts = self.texts(node, place.path, "a list")?;
                for text in &texts {
                    choice(&text.name, "this", words, text.at, place.path)?;
                }
                Ok(Item::Texts(texts))
            }
            Kind::TextByName => self.text_by_name(node, place.path),
            Kind::NumberByName => self.number_by_name(node, place),
            Kind::Text | Kind::Secret => Ok(Item::Text(self.text(node, place.path)?)),
            _ => self.scalar(node, place),
        }
    }

    fn blocks(&mut self, node: &Node, block: &'static Block, place: &Place<'_>) -> Result<Item, Diagnostic> {
        let items = list(node, place.path, "a list of blocks")?;
        if items.is_empty() {
            return Err(Diagnostic::invalid(node.at, place.path, "needs at least one entry"));
        }
        let many = items.iter().enumerate();
        let many = many.filter_map(|(index, item)| self.block(item, block, &format!("{}[{index}]", place.path)));
        Ok(Item::Many(many.collect()))
    }

    fn texts(&mut self, node: &Node, path: &str, expected: &str) -> Result<Vec<Named<()>>, Diagnostic> {
        let items = list(node, path, expected)?.iter().enumerate();
        items
            .map(|(index, item)| {
                Ok(Named { name: self.text(item, &format!("{path}[{index}]"))?, at: item.at, value: () })
            })
            .collect()
    }

    fn text_by_name(&mut self, node: &Node, path: &str) -> Result<Item, Diagnostic> {
        let entries = map(node, path)?.iter();
        let texts = entries.map(|entry| {
            let value = self.text(&entry.node, &join(path, &entry.key))?;
            Ok(Named { name: entry.key.clone(), at: entry.at, value })
        });
        texts.collect::<Result<_, _>>().map(Item::TextByName)
    }

    fn number_by_name(&mut self, node: &Node, place: &Place<'_>) -> Result<Item, Diagnostic> {
        let numbers = map(node, place.path)?.iter().map(|entry| {
            let path = join(place.path, &entry.key);
            let value = self.number(&self.retyped(&entry.node, &path)?, 0.0, entry.node.at, &path)?;
            Ok(Named { name: entry.key.clone(), at: entry.at, value })
        });
        numbers.collect::<Result<_, _>>().map(Item::NumberByName)
    }

    /// The node as text, its variables expanded.
    fn text(&self, node: &Node, path: &str) -> Result<String, Diagnostic> {
        match &node.value {
            Value::Text { text, .. } => self.expanded(text, node.at, path),
            Value::List(_) | Value::Map(_) => Err(expected("text", node, path)),
            _ => Err(expected("text", node, path).with_hint("put it in quotes")),
        }
    }

    fn expanded(&self, text: &str, at: Position, path: &str) -> Result<String, Diagnostic> {
        let expanded = self.variables.expand(text).map_err(|error| {
            let (message, hint) = error.texts();
            Diagnostic::invalid(at, path, message).with_hint(hint)
        })?;
        if expanded != text {
            self.reveal(&expanded, text);
            for name in names(text) {
                self.reveal(&self.variables.lookup(name).unwrap_or_default(), &format!("${{{name}}}"));
            }
        }
        Ok(expanded)
    }

    /// The node's value, where an unquoted text may turn out a number once it is expanded.
    fn retyped(&self, node: &Node, path: &str) -> Result<Value, Diagnostic> {
        match &node.value {
            Value::Text { text, plain } => {
                let expanded = self.expanded(text, node.at, path)?;
                Ok(if *plain { Value::plain(&expanded) } else { Value::Text { text: expanded, plain: false } })
            }
            other => Ok(other.clone()),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a number of the configuration")]
    fn number(&self, value: &Value, least: f64, at: Position, path: &str) -> Result<f64, Diagnostic> {
        let value = match value {
            Value::Integer(value) => *value as f64,
            Value::Number(value) => *value,
            other => {
                let message = format!("expected a number, found {}", other.described());
                return Err(Diagnostic::invalid(at, path, message));
            }
        };
        if value >= least { Ok(value) } else { Err(Diagnostic::invalid(at, path, format!("must be {least} or more"))) }
    }

    fn scalar(&mut self, node: &Node, place: &Place<'_>) -> Result<Item, Diagnostic> {
        let path = place.path;
        let value = self.retyped(node, path)?;
        let wrong = |what: &str| {
            let message = format!("expected {what}, found {}", value.described());
            Err(Diagnostic::invalid(node.at, path, message))
        };
        match (place.key.kind, &value) {
            (Kind::Bool | Kind::FlagOrInteger(..), Value::Bool(value)) => Ok(Item::Bool(*value)),
            (Kind::Bool, _) => wrong("true or false"),
            (Kind::Integer(least, most) | Kind::FlagOrInteger(least, most), Value::Integer(value)) => {
                if (least..=most).contains(value) {
                    return Ok(Item::Integer(*value));
                }
                let limits = if most == i64::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
                Err(Diagnostic::invalid(node.at, path, format!("must be {limits}")))
            }
            (Kind::Integer(..), _) => wrong("a whole number"),
            (Kind::FlagOrInteger(..), _) => wrong("true, false or a whole number"),
            (Kind::Number(least), value) => self.number(value, least, node.at, path).map(Item::Number),
            (Kind::Choice(words), Value::Text { text, .. }) => {
                choice(text, &format!("`{}`", shown(node)), words, node.at, path).map(|()| Item::Text(text.clone()))
            }
            // An unquoted `null` is one of the words here.
            (Kind::Choice(words), Value::Null) if words.contains(&"null") => Ok(Item::Text("null".to_owned())),
            (Kind::Choice(words), _) => wrong(&format!("one of {}", words.join(", "))),
            (Kind::Size, Value::Integer(bytes)) if *bytes > 0 => Ok(Item::Integer(*bytes)),
            (Kind::Size, Value::Text { text, .. }) => measured(units::size_bytes(text), node, path),
            (Kind::Size, _) => wrong("a size such as 256MB"),
            (Kind::Duration, Value::Text { text, .. }) => measured(units::duration_ms(text), node, path),
            (Kind::Duration, _) => wrong("a duration such as 10m"),
            (Kind::Character, Value::Text { text, .. }) if text.chars().count() == 1 && text.is_ascii() => {
                Ok(Item::Text(text.clone()))
            }
            (Kind::Character, _) => {
                let message = "expected one ASCII character";
                Err(Diagnostic::invalid(node.at, path, message).with_hint("in quotes, such as \";\" or \"\\t\""))
            }
            _ => wrong("something else"),
        }
    }
}

#[derive(Clone, Copy)]
enum From {
    Environment,
    File,
}

fn reference(block: &'static Block, name: &str) -> Option<(&'static Key, From)> {
    let (base, from) = match (name.strip_suffix("_env"), name.strip_suffix("_file")) {
        (Some(base), _) => (base, From::Environment),
        (_, Some(base)) => (base, From::File),
        _ => return None,
    };
    let key = block.key(base)?;
    matches!(key.kind, Kind::Text | Kind::Secret).then_some((key, from))
}

/// A key that belongs to another block.
fn elsewhere(block: &Block, name: &str) -> Option<String> {
    let inner = block.keys.iter().find_map(|key| match key.kind {
        Kind::Block(inner) if inner.key(name).is_some() => Some(key.name),
        _ => None,
    })?;
    Some(format!("it belongs into `{inner}`"))
}

fn choice(word: &str, shown: &str, words: &[&str], at: Position, path: &str) -> Result<(), Diagnostic> {
    if words.contains(&word) {
        return Ok(());
    }
    let message = format!("{shown} is not one of {}", words.join(", "));
    Err(Diagnostic::invalid(at, path, message).with_hint_if(nearest(word, words.iter().copied())))
}

/// Whether YAML's `null` is a value of this key, and not the same as leaving the key out:
/// `on_unrepresentable: null` is a choice, `csv: {null: NULL}` lacks its quotes.
fn null_is_a_word(key: &Key) -> bool {
    match key.kind {
        Kind::Choice(words) => words.contains(&"null"),
        _ => key.name == "null",
    }
}

/// A text as it was written: its variables are not expanded in messages.
fn shown(node: &Node) -> &str {
    match &node.value {
        Value::Text { text, .. } => text,
        _ => "",
    }
}

fn measured(result: Result<u64, &str>, node: &Node, path: &str) -> Result<Item, Diagnostic> {
    let amount = result.ok().and_then(|amount| i64::try_from(amount).ok()).filter(|amount| *amount > 0);
    amount.map(Item::Integer).ok_or_else(|| {
        let expected = result.err().unwrap_or("more than zero");
        Diagnostic::invalid(node.at, path, format!("expected {expected}, found `{}`", shown(node)))
    })
}

fn expected(what: &str, node: &Node, path: &str) -> Diagnostic {
    Diagnostic::invalid(node.at, path, format!("expected {what}, found {}", node.value.described()))
}

fn list<'n>(node: &'n Node, path: &str, what: &str) -> Result<&'n [Node], Diagnostic> {
    match &node.value {
        Value::List(items) => Ok(items),
        _ => Err(expected(what, node, path)),
    }
}

fn map<'n>(node: &'n Node, path: &str) -> Result<&'n [Entry], Diagnostic> {
    match &node.value {
        Value::Map(entries) => Ok(entries),
        _ => Err(expected("names with a value each", node, path)),
    }
}
