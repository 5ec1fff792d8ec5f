//! GitHub's `OpenAPI` description, cut to the operations in use and rewritten as JSON Schema.
//!
//! The description is `OpenAPI` 3.0 with 13 MB, so the cut is made once and kept below `target/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::support::{cache_directory, write_whole};
use crate::tools::github_description;

/// Raise it when what is kept below `target/` changes its form.
const CACHE_FORM: u32 = 2;

#[derive(Serialize, Deserialize)]
pub(crate) struct Description {
    /// By `get /repos/{owner}/{repo}`.
    pub(crate) operations: BTreeMap<String, OperationSchemas>,
    pub(crate) schemas: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct OperationSchemas {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Value>,
    pub(crate) body_required: bool,
    /// By status code; `None` is an answer without a JSON body.
    pub(crate) answers: BTreeMap<String, Option<Value>>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) place: String,
    pub(crate) name: String,
    pub(crate) required: bool,
    pub(crate) schema: Value,
}

/// The description of these operations, from what is kept or cut out afresh.
pub(crate) fn load(operations: &[String]) -> Description {
    let source = github_description().unwrap_or_else(|missing| panic!("{missing}"));
    let size = fs::metadata(&source).map_or(0, |metadata| metadata.len());
    // The list of operations is part of the name, so a new one is never looked for in an old cut.
    let fingerprint = operations
        .iter()
        .flat_map(|name| name.bytes())
        .fold(size, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
    let kept = cache_directory().join(format!(
        "github-contract-{CACHE_FORM}-{fingerprint:016x}.json"
    ));
    if let Ok(bytes) = fs::read(&kept)
        && let Ok(description) = serde_json::from_slice(&bytes)
    {
        return description;
    }
    let bytes = fs::read(&source)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", source.display()));
    let whole: Value = serde_json::from_slice(&bytes).expect("GitHub's description is JSON");
    let description = cut(&whole, operations);
    write_whole(
        &kept,
        &serde_json::to_vec(&description).expect("a description is JSON"),
    );
    description
}

fn cut(whole: &Value, names: &[String]) -> Description {
    let operations: BTreeMap<String, OperationSchemas> = names
        .iter()
        .map(|name| (name.clone(), cut_operation(whole, name)))
        .collect();
    let all: Map<String, Value> = whole["components"]["schemas"]
        .as_object()
        .expect("the description has schemas")
        .iter()
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    let mut reachable = BTreeSet::from(["basic-error".to_owned()]);
    for operation in operations.values() {
        let answers = operation.answers.values().flatten();
        for schema in operation.body.iter().chain(answers).chain(
            operation
                .parameters
                .iter()
                .map(|parameter| &parameter.schema),
        ) {
            collect_references(schema, &all, &mut reachable);
        }
    }
    let schemas = reachable
        .into_iter()
        .map(|name| (name.clone(), json_schema(&all[&name])))
        .collect();
    Description {
        operations,
        schemas,
    }
}

fn cut_operation(whole: &Value, name: &str) -> OperationSchemas {
    let (method, path) = name
        .split_once(' ')
        .expect("an operation is named `method path`");
    let operation = &whole["paths"][path][method];
    assert!(
        operation.is_object(),
        "GitHub's description has no operation `{name}`"
    );
    let parameters = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| {
            let parameter = resolve(whole, parameter);
            Parameter {
                place: parameter["in"].as_str().unwrap_or_default().to_owned(),
                name: parameter["name"].as_str().unwrap_or_default().to_owned(),
                required: parameter["required"].as_bool().unwrap_or(false),
                schema: json_schema(&parameter["schema"]),
            }
        });
    let body = &operation["requestBody"];
    let answers = operation["responses"]
        .as_object()
        .expect("an operation has answers")
        .iter()
        .map(|(code, answer)| {
            let content = &resolve(whole, answer)["content"]["application/json"];
            (code.clone(), content.get("schema").map(json_schema))
        });
    OperationSchemas {
        parameters: parameters.collect(),
        body: body["content"]["application/json"]
            .get("schema")
            .map(json_schema),
        body_required: body["required"].as_bool().unwrap_or(false),
        answers: answers.collect(),
    }
}

fn resolve<'a>(whole: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => resolve(
            whole,
            whole
                .pointer(reference.trim_start_matches('#'))
                .expect("the description's references lead somewhere"),
        ),
        None => value,
    }
}

/// An `OpenAPI` 3.0 schema as JSON Schema: `nullable` becomes a type, notes for readers go, and the alternatives of a
/// discriminator may overlap (it, not the schema, would choose).
fn json_schema(schema: &Value) -> Value {
    let Some(schema) = schema.as_object() else {
        return schema.clone();
    };
    let mut result = Map::new();
    for (key, value) in schema {
        match key.as_str() {
            "example" | "examples" | "description" | "title" | "default" | "deprecated"
            | "readOnly" | "writeOnly" | "externalDocs" | "nullable" | "discriminator" => {}
            key if key.starts_with("x-") => {}
            "properties" => {
                let properties = value.as_object().expect("properties is an object");
                result.insert(
                    key.clone(),
                    properties
                        .iter()
                        .map(|(name, property)| (name.clone(), json_schema(property)))
                        .collect(),
                );
            }
            "items" | "additionalProperties" | "not" => {
                result.insert(key.clone(), json_schema(value));
            }
            "oneOf" if schema.contains_key("discriminator") => {
                result.insert(
                    "anyOf".to_owned(),
                    value
                        .as_array()
                        .expect("oneOf is a list")
                        .iter()
                        .map(json_schema)
                        .collect(),
                );
            }
            "allOf" | "anyOf" | "oneOf" => {
                result.insert(
                    key.clone(),
                    value
                        .as_array()
                        .expect("alternatives are a list")
                        .iter()
                        .map(json_schema)
                        .collect(),
                );
            }
            _ => {
                result.insert(key.clone(), value.clone());
            }
        }
    }
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        // A type alone can take "null" in; anything else needs the alternative.
        let Some(kind) = result
            .get("type")
            .cloned()
            .filter(|_| !result.contains_key("enum"))
        else {
            return json!({"anyOf": [result, {"type": "null"}]});
        };
        result.insert("type".to_owned(), json!([kind, "null"]));
    }
    Value::Object(result)
}

/// Adds the schemas that `value` leads to, directly or not.
pub(crate) fn collect_references(
    value: &Value,
    schemas: &Map<String, Value>,
    found: &mut BTreeSet<String>,
) {
    match value {
        Value::Object(object) => {
            let name = object
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix("#/components/schemas/"));
            if let Some(name) = name
                && found.insert(name.to_owned())
            {
                collect_references(&schemas[name], schemas, found);
            }
            object
                .values()
                .for_each(|value| collect_references(value, schemas, found));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_references(item, schemas, found)),
        _ => {}
    }
}
