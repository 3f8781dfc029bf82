//! Checks of what crosses the boundary, for hosts that are newer than the plugin: it ignores a key that it does
//! not know, and answers with `Unsupported` to a method or a variant that it does not know.

use std::sync::Arc;

use rivet_loader::{Plugin, RawSource, UNKNOWN_VARIANTS};
use rivet_sdk::{ErrorKind, ExportRequest, SplitBy, SplitInto, SplitRequest, TableFilter, TableName, capability};
use serde_json::{Value, json};

use crate::rows::Collected;
use crate::{DestinationSubject, SourceSubject};

/// A loaded source, and what it is checked with.
pub(crate) struct WiredSource {
    pub plugin: Plugin,
    pub subject: Arc<SourceSubject>,
}

/// A loaded destination, and what it is checked with.
pub(crate) struct WiredDestination {
    pub plugin: Plugin,
    pub subject: Arc<DestinationSubject>,
}

/// A sentence of the contract and how it is checked.
pub(crate) type Check<T> = (&'static str, fn(&T));

pub(crate) const SOURCE: &[Check<WiredSource>] = &[
    ("unknown_keys_are_ignored", unknown_keys_are_ignored),
    ("unknown_methods_are_unsupported", unknown_methods_are_unsupported),
    ("unknown_variants_are_unsupported", unknown_variants_are_unsupported),
];

pub(crate) const DESTINATION: &[Check<WiredDestination>] = &[
    ("unknown_write_options_are_ignored", unknown_write_options_are_ignored),
    ("unknown_methods_are_unsupported", unknown_destination_methods_are_unsupported),
];

/// What no host of today sends.
const TOMORROW: &str = "rivet_of_tomorrow";

impl WiredSource {
    fn open(&self) -> RawSource {
        self.plugin.open_raw_source(&(self.subject.options)()).unwrap()
    }

    fn requests(&self) -> impl Iterator<Item = ExportRequest> {
        self.subject.relations.iter().cloned().map(ExportRequest::whole)
    }
}

/// `value` with a key of tomorrow in each of these objects.
fn with_keys(value: &Value, places: &[&str]) -> Value {
    let mut value = value.clone();
    for place in places {
        if let Some(members) = value.pointer_mut(place).and_then(Value::as_object_mut) {
            members.insert(TOMORROW.into(), json!({ "deep": [1, null] }));
        }
    }
    value
}

/// Objects of a request that may get keys.
const PLACES: [&str; 4] = ["", "/relation/table", "/batch", "/session"];

fn unknown_keys_are_ignored(wire: &WiredSource) {
    let mut source = wire.open();
    let manifest = wire.plugin.manifest();
    let mut same = |method: &str, plain: &Value, places: &[&str]| {
        let more = with_keys(plain, places);
        assert_ne!(&more, plain);
        assert_eq!(source.call(method, &more).unwrap(), source.call(method, plain).unwrap(), "{method}");
    };
    for request in wire.requests() {
        let plain = serde_json::to_value(&request).unwrap();
        same("type_mappings", &plain, &PLACES);
        if manifest.can(capability::COUNT) {
            same("count", &plain, &PLACES);
        }
        let relation = serde_json::to_value(&request.relation).unwrap();
        if request.relation.table().is_some() {
            same("describe", &relation, &["/table"]);
        }
        if manifest.can(capability::SPLIT_NATIVE) || manifest.can(capability::SPLIT_RANGE) {
            split(&mut wire.open(), &request);
        }
        let rows = |request: &Value| {
            let mut sink = Collected::default();
            wire.open().export(request, &mut sink).unwrap();
            sink.sorted_rows()
        };
        assert!(rows(&with_keys(&plain, &PLACES)) == rows(&plain), "{}: other rows", request.relation);
    }
    if manifest.can(capability::TABLES) {
        let plain = serde_json::to_value(TableFilter::default()).unwrap();
        let mut listed = |filter: &Value| own_tables(wire, &source.call("tables", filter).unwrap());
        assert_eq!(listed(&with_keys(&plain, &[""])), listed(&plain), "tables");
    }
}

/// Of a listing, the subject's own tables: others may come and go meanwhile.
fn own_tables(wire: &WiredSource, listing: &Value) -> Vec<Value> {
    let own: Vec<TableName> = wire.requests().filter_map(|request| request.relation.table().cloned()).collect();
    let is_own = |one: &&Value| {
        let is = |table: &TableName| {
            let (schema, name) = (&one["table"]["schema"], &one["table"]["name"]);
            name == table.name.as_str() && table.schema.as_deref().is_none_or(|own| schema == own)
        };
        own.iter().any(is)
    };
    listing.as_array().unwrap().iter().filter(is_own).cloned().collect()
}

/// A relation that cannot be cut so may be refused, but not for a key's sake.
fn split(source: &mut RawSource, request: &ExportRequest) {
    let description = source.call("describe", &serde_json::to_value(&request.relation).unwrap()).unwrap();
    let column = description.pointer("/keys/0/columns/0/name").and_then(Value::as_str);
    let by = column.map_or(SplitBy::Native, |column| SplitBy::Range { column: column.to_owned() });
    let plain = SplitRequest::new(request.clone(), by, SplitInto::Count(3));
    let plain = serde_json::to_value(plain).unwrap();
    let more = with_keys(&plain, &["", "/of", "/by/range"]);
    let slices = |answer: rivet_sdk::Result<Value>| answer.map(|split| split["slices"].clone()).map_err(|e| e.kind());
    assert_eq!(slices(source.call("split", &more)), slices(source.call("split", &plain)), "{}", request.relation);
}

fn unknown_methods_are_unsupported(wire: &WiredSource) {
    let mut source = wire.open();
    let error = source.call(TOMORROW, &json!({ "a": 1 })).expect_err("an unknown method was answered");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    // And the instance goes on.
    source.call("identity", &Value::Null).unwrap();
}

fn unknown_variants_are_unsupported(wire: &WiredSource) {
    let mut source = wire.open();
    let told = !wire.plugin.manifest().lacks().contains(&UNKNOWN_VARIANTS);
    let plain = serde_json::to_value(wire.requests().next().unwrap()).unwrap();
    for (key, variant) in [
        ("conditions", json!([{ TOMORROW: { "column": "a" } }])),
        ("conditions", json!([TOMORROW])),
        ("relation", json!({ TOMORROW: "x" })),
        ("on_unrepresentable", json!(TOMORROW)),
        ("columns", json!([{ "name": "a", "wanted": TOMORROW }])),
    ] {
        let mut request = plain.clone();
        request[key] = variant;
        let asked = source.call("type_mappings", &request).map(drop);
        let mut sink = Collected::default();
        let exported = source.export(&request, &mut sink).map(drop);
        for answer in [asked, exported] {
            let error = answer.expect_err("an unknown variant was ignored");
            // SDK 0.1 has one answer for what is unknown and what is malformed.
            let good = if told { ErrorKind::Unsupported } else { ErrorKind::Protocol };
            assert_eq!(error.kind(), good, "{request}: {error:?}");
        }
        assert!(sink.schema.is_none() && sink.batches.is_empty(), "{request}: rows came");
    }
    source.call("identity", &Value::Null).unwrap();
}

fn unknown_write_options_are_ignored(wire: &WiredDestination) {
    let options = (wire.subject.options)("loaded-unknown-write-options");
    let mut to = wire.plugin.open_raw_destination(&options).unwrap();
    to.write("a", &json!({ "content_type": "text/plain", TOMORROW: { "deep": [1] } }), b"body").unwrap();
    let head = to.call("head", &json!("a")).unwrap();
    assert_eq!(head["size_bytes"], 4, "{head}");
    to.call("delete", &json!("a")).unwrap();
}

fn unknown_destination_methods_are_unsupported(wire: &WiredDestination) {
    let options = (wire.subject.options)("loaded-unknown-methods");
    let mut to = wire.plugin.open_raw_destination(&options).unwrap();
    let error = to.call(TOMORROW, &json!({ "a": 1 })).expect_err("an unknown method was answered");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    to.call("location", &Value::Null).unwrap();
}
