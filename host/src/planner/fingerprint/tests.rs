//! The hashes that are stored out there. A failing test here means that users would lose their watermarks.

use std::collections::BTreeMap;
use std::path::Path;

use rivet_sdk::Relation;
use serde_json::Value;

use super::*;
use crate::config::{self, Config, Mode, Variables};

fn config() -> Config {
    let variables = Variables::new(BTreeMap::new(), std::env::temp_dir());
    let config = config::parse(include_str!("golden.yaml"), Path::new("golden.yaml"), &variables);
    config.unwrap_or_else(|faults| panic!("{faults}"))
}

/// What must never change: `golden.json`. Its first forms were printed by the program of 20758ea.
fn golden() -> Value {
    serde_json::from_str(include_str!("golden.json")).unwrap()
}

/// Both fingerprints of an export of the golden configuration.
fn computed(config: &Config, name: &str, golden: &Value) -> (Fingerprint, Option<Fingerprint>) {
    let export = config.export(name).unwrap();
    let of_configuration = of_configuration(export, "postgres", &config.source.block.options).unwrap();
    let watermark = golden.get("watermark").map(|golden| {
        let Mode::Incremental(incremental) = &export.mode else { panic!("{name} has no watermark") };
        let relation: Relation = serde_json::from_value(golden["relation"].clone()).unwrap();
        of_watermark(export, golden["identity"].as_str().unwrap(), &relation, incremental).unwrap()
    });
    (of_configuration, watermark)
}

#[test]
fn the_first_form_is_what_the_version_before_stored() {
    let (config, golden) = (config(), golden());
    assert_eq!(golden.as_object().unwrap().len(), config.exports.len());
    for (name, golden) in golden.as_object().unwrap() {
        let (configuration, watermark) = computed(&config, name, golden);
        assert_eq!(configuration.first, golden["config_fingerprint"], "{name}");
        assert_eq!(watermark.is_some(), matches!(config.export(name).unwrap().mode, Mode::Incremental(_)));
        if let Some(watermark) = watermark {
            assert_eq!(watermark.first, golden["watermark"]["fingerprint"], "{name}");
        }
    }
}

#[test]
fn the_second_form_stays_what_it_is() {
    let (config, golden) = (config(), golden());
    for (name, golden) in golden.as_object().unwrap() {
        let (configuration, watermark) = computed(&config, name, golden);
        assert_eq!(configuration.second.unwrap(), golden["config_fingerprint_v2"], "{name}");
        if let Some(watermark) = watermark {
            assert_eq!(watermark.second.unwrap(), golden["watermark"]["fingerprint_v2"], "{name}");
        }
    }
}

#[test]
fn the_second_form_does_not_depend_on_the_order_of_options() {
    let config = config();
    let export = config.export("after").unwrap();
    let one = of_configuration(export, "p", &serde_json::json!({"a": 1, "b": {"c": 2, "d": 3}})).unwrap();
    let other = of_configuration(export, "p", &serde_json::json!({"b": {"d": 3, "c": 2}, "a": 1})).unwrap();
    assert_ne!(one.first, other.first);
    assert_eq!(one.second, other.second);
    assert!(one.is_of(&other));
}

#[test]
fn either_form_is_enough() {
    let both = Fingerprint::stored("a", Some("b"));
    assert!(both.is_of(&Fingerprint::stored("a", None)) && both.is_of(&Fingerprint::stored("x", Some("b"))));
    assert!(!both.is_of(&Fingerprint::stored("x", None)) && !both.is_of(&Fingerprint::stored("x", Some("y"))));
    assert!(!Fingerprint::stored("a", None).is_of(&Fingerprint::stored("b", None)), "two that lack it are not alike");
}
