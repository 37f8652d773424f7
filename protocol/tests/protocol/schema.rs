//! Traces are what `trace.schema.json` says, and the schema says something.

use crate::{arbitrary, sample};
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::trace::json;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(json::SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one of draft 2020-12");
    jsonschema::draft202012::new(&schema).unwrap()
});

fn document<'a>(frames: impl IntoIterator<Item = &'a ServerFrame>) -> Value {
    let mut document = Vec::new();
    let mut writer = json::Writer::new(&mut document);
    frames.into_iter().for_each(|frame| writer.frame(frame).unwrap());
    writer.finish().unwrap();
    serde_json::from_slice(&document).unwrap()
}

/// Where and why a document is not valid.
fn faults(document: &Value) -> Vec<String> {
    let fault =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    VALIDATOR.iter_errors(document).map(fault).collect()
}

#[test]
fn the_sample_is_valid_and_uses_every_kind_of_line() {
    let document = document(&sample::server());
    assert_eq!(faults(&document), [""; 0]);
    let schema: Value = serde_json::from_str(json::SCHEMA).unwrap();
    let lines = schema["$defs"]["line"]["allOf"].as_array().unwrap().len();
    let kind = |line: &Value| line["kind"].as_str().unwrap().to_owned();
    let mut kinds: Vec<String> = document["events"].as_array().unwrap().iter().map(kind).collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), lines, "{kinds:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_trace_is_valid(
        hello in arbitrary::hello(),
        strings in arbitrary::strings(),
        later in vec(arbitrary::later_frame(), 0..6),
    ) {
        let document = document([&hello, &strings].into_iter().chain(&later));
        prop_assert!(VALIDATOR.is_valid(&document), "{:?}", faults(&document));
    }
}

/// Any field that is missing, misnamed or of a wrong type is noticed, in the header, in every kind of line, and in the
/// rows of a snapshot.
#[test]
fn no_field_can_go_missing_or_be_added() {
    let valid = document(&sample::server());
    let mut paths = Vec::new();
    objects(&valid, String::new(), &mut paths);
    assert!(paths.len() > 50);
    for path in paths {
        let fields = valid.pointer(&path).unwrap().as_object().unwrap();
        for field in fields.keys() {
            let mut damaged = valid.clone();
            let object = damaged.pointer_mut(&path).unwrap().as_object_mut().unwrap();
            let value = object.remove(field).unwrap();
            assert!(!VALIDATOR.is_valid(&damaged), "{path} does not need its {field}");
            let object = damaged.pointer_mut(&path).unwrap().as_object_mut().unwrap();
            object.insert(format!("{field}_"), value);
            assert!(!VALIDATOR.is_valid(&damaged), "{path} can have a {field}_");
            let object = damaged.pointer_mut(&path).unwrap().as_object_mut().unwrap();
            object.remove(&format!("{field}_"));
            object.insert(field.clone(), json!([[1.5]]));
            assert!(!VALIDATOR.is_valid(&damaged), "{field} of {path} can be anything");
        }
    }
}

/// Pointers to all objects within a value.
fn objects(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                objects(value, format!("{path}/{field}"), paths);
            }
            paths.push(path);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, format!("{path}/{index}"), paths);
            }
        }
        _ => {}
    }
}
