//! YAML as a tree in which every key and value knows its place.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::diagnostic::{Diagnostic, Position, join};

const DEPTH_LIMIT: usize = 64;
const NODE_LIMIT: usize = 200_000;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a point or an exponent.
    Number(f64),
    /// Text.
    Text {
        /// Its characters.
        text: String,
        /// Written without quotes: after expanding its variables it may turn out a number.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Position,
    /// The value.
    pub node: Node,
}

impl Value {
    /// What was found, for messages. Shows no text.
    pub fn described(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Text { .. } => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a block of keys",
        }
    }

    /// What an unquoted scalar means.
    pub fn plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            _ => {}
        }
        let digits = text.strip_prefix('+').unwrap_or(text);
        let integer = match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
            (Some(hex), _) => i64::from_str_radix(hex, 16),
            (_, Some(octal)) => i64::from_str_radix(octal, 8),
            _ => digits.parse(),
        };
        if let Ok(integer) = integer {
            return Self::Integer(integer);
        }
        let numeric = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
        match text.parse() {
            Ok(number) if text.chars().all(numeric) => Self::Number(number),
            _ => Self::Text { text: text.to_owned(), plain: true },
        }
    }
}

impl Node {
    /// As JSON, references unexpanded. Keys without a value are left out.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Number(value) => (*value).into(),
            Value::Text { text, .. } => text.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .filter(|entry| entry.node.value != Value::Null)
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
        }
    }
}

/// Parses one YAML document. Duplicate keys are reported and their later values dropped; a
/// fault of the YAML itself ends the parse.
pub fn parse(text: &str, faults: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut builder = Builder::default();
    match builder.run(text) {
        Ok(()) => {}
        Err(fault) => builder.faults.push(fault),
    }
    let broken = builder.root.is_none() || builder.broken;
    faults.append(&mut builder.faults);
    if broken {
        return None;
    }
    let root = builder.root?;
    report_duplicates(&root, "", faults);
    Some(without_duplicates(root))
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    faults: Vec<Diagnostic>,
    broken: bool,
}

struct Frame {
    at: Position,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(String, Position)>),
}

impl Builder {
    fn run(&mut self, text: &str) -> Result<(), Diagnostic> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.scan_error(&error))?;
            let at = position(&span.start);
            self.event(event, at).inspect_err(|_| self.broken = true)?;
        }
        if self.root.is_none() {
            self.broken = true;
            let start = Position { line: 1, column: 1 };
            return Err(
                Diagnostic::invalid(start, "", "the file is empty").with_hint("it needs `source` and `exports`")
            );
        }
        Ok(())
    }

    fn scan_error(&mut self, error: &ScanError) -> Diagnostic {
        self.broken = true;
        Diagnostic::invalid(position(error.marker()), "", format!("not valid YAML: {}", error.info()))
    }

    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Diagnostic::invalid(at, "", "a second YAML document").with_hint("keep one document a file"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref(), at)?;
                if let Some(Frame { items: Items::Map(_, key @ None), .. }) = self.stack.last_mut() {
                    *key = Some((text.into_owned(), at));
                    return Ok(());
                }
                self.finish(Node { at, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => self.open(at, anchor, Items::List(Vec::new()), tag.is_some()),
            Event::MappingStart(anchor, tag) => self.open(at, anchor, Items::Map(Vec::new(), None), tag.is_some()),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Frame { at, anchor, items: Items::List(items) }) => {
                    self.finish(Node { at, value: Value::List(items) }, anchor)
                }
                Some(Frame { at, anchor, items: Items::Map(entries, _) }) => {
                    self.finish(Node { at, value: Value::Map(entries) }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Diagnostic::invalid(at, "", "an alias inside its own anchor"))?;
                self.count(size(&node), at)?;
                self.finish(Node { at, ..node }, 0)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, at: Position, anchor: usize, items: Items, tagged: bool) -> Result<(), Diagnostic> {
        if tagged {
            return Err(unknown_tag(at));
        }
        if self.stack.len() >= DEPTH_LIMIT {
            return Err(Diagnostic::invalid(at, "", format!("nested more than {DEPTH_LIMIT} levels deep")));
        }
        if let Some(Frame { items: Items::Map(_, None), .. }) = self.stack.last() {
            return Err(Diagnostic::invalid(at, "", "a key must be text"));
        }
        self.stack.push(Frame { at, anchor, items });
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        self.count(1, node.at)?;
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|frame| &mut frame.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map(entries, key)) => match key.take() {
                Some((key, at)) => entries.push(Entry { key, at, node }),
                None => return Err(Diagnostic::invalid(node.at, "", "a key must be text")),
            },
        }
        Ok(())
    }

    fn count(&mut self, more: usize, at: Position) -> Result<(), Diagnostic> {
        self.nodes += more;
        if self.nodes > NODE_LIMIT {
            return Err(Diagnostic::invalid(at, "", format!("more than {NODE_LIMIT} values, aliases expanded")));
        }
        Ok(())
    }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Result<Value, Diagnostic> {
    let quoted = Value::Text { text: text.to_owned(), plain: false };
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(quoted),
        Some(_) => Err(unknown_tag(at)),
        None if style == ScalarStyle::Plain => Ok(Value::plain(text)),
        None => Ok(quoted),
    }
}

fn unknown_tag(at: Position) -> Diagnostic {
    Diagnostic::invalid(at, "", "YAML tags are not supported here").with_hint("write the value without its `!tag`")
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.node)).sum(),
        _ => 0,
    }
}

fn report_duplicates(node: &Node, path: &str, faults: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                report_duplicates(item, &format!("{path}[{index}]"), faults);
            }
        }
        Value::Map(entries) => {
            let mut first: HashMap<&str, Position> = HashMap::new();
            for entry in entries {
                let path = join(path, &entry.key);
                if let Some(earlier) = first.get(entry.key.as_str()) {
                    let message = format!("given twice, first on line {}", earlier.line);
                    faults.push(Diagnostic::invalid(entry.at, &path, message).with_hint("keep one of them"));
                } else {
                    first.insert(&entry.key, entry.at);
                }
                report_duplicates(&entry.node, &path, faults);
            }
        }
        _ => {}
    }
}

fn without_duplicates(node: Node) -> Node {
    let value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(without_duplicates).collect()),
        Value::Map(entries) => {
            let mut seen = std::collections::HashSet::new();
            Value::Map(
                entries
                    .into_iter()
                    .filter(|entry| seen.insert(entry.key.clone()))
                    .map(|entry| Entry { node: without_duplicates(entry.node), ..entry })
                    .collect(),
            )
        }
        other => other,
    };
    Node { value, ..node }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let mut faults = Vec::new();
        let node = parse(text, &mut faults);
        assert_eq!(faults, []);
        node.unwrap().to_json().to_string()
    }

    fn faults(text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        parse(text, &mut faults);
        faults.iter().map(|one| format!("{}:{} {} {}", one.at.line, one.at.column, one.key, one.message)).collect()
    }

    #[test]
    fn scalars_are_what_they_look_like_and_quotes_make_text() {
        assert_eq!(
            json("{a: 1, b: 1.5, c: true, d: '1', e: no, f: 2024-01-01, null: ' ', g: inf, h: 0x10, i: +5}"),
            r#"{"a":1,"b":1.5,"c":true,"d":"1","e":"no","f":"2024-01-01","null":" ","g":"inf","h":16,"i":5}"#
        );
    }

    #[test]
    fn anchors_can_be_reused() {
        assert_eq!(json("a: &x {p: 1}\nb: *x\nc: [*x]"), r#"{"a":{"p":1},"b":{"p":1},"c":[{"p":1}]}"#);
    }

    #[test]
    fn duplicate_keys_are_reported_at_any_depth() {
        assert_eq!(
            faults("a: 1\nb:\n  - c: 1\n    c: 2\na: 3\n"),
            ["4:5 b[0].c given twice, first on line 3", "5:1 a given twice, first on line 1",]
        );
    }

    #[test]
    fn broken_or_hostile_yaml_is_refused_with_its_place() {
        assert_eq!(faults(""), ["1:1  the file is empty"]);
        assert_eq!(faults("a: !secret x"), ["1:4  YAML tags are not supported here"]);
        assert_eq!(faults("{a: 1}: b").len(), 1);
        assert!(faults("a: [1").first().unwrap().contains("not valid YAML"));
        assert!(faults("a: 1\n---\nb: 2").first().unwrap().contains("second YAML document"));
        assert!(faults(&format!("{}{}", "[".repeat(100), "]".repeat(100))).first().unwrap().contains("levels deep"));
        let laughs = (1..12).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
            let alias = format!("*a{}, ", n - 1).repeat(10);
            format!("{text}a{n}: &a{n} [{alias}]\n")
        });
        assert!(faults(&laughs).first().unwrap().contains("aliases expanded"));
    }
}
