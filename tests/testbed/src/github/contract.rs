//! GitHub's own description of its interface, as validators for requests and answers.
//!
//! The description is OpenAPI 3.0 with 13 MB. The operations in use are cut out of it once,
//! rewritten as JSON Schema, and kept below `target/`; validators are compiled when first needed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::support::{cache_directory, write_whole};
use crate::tools::github_description;

/// Raise it when what is kept below `target/` changes its form.
const CACHE_FORM: u32 = 2;

/// A violation names at most this many errors of one document.
const ERRORS_SHOWN: usize = 5;

/// Of a value that is wrong, these many characters.
const VALUE_SHOWN: usize = 120;

/// The operations the double offers, with what GitHub says about each.
pub(crate) struct Contract {
    description: Description,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

#[derive(Serialize, Deserialize)]
struct Description {
    /// By `get /repos/{owner}/{repo}`.
    operations: BTreeMap<String, OperationSchemas>,
    schemas: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct OperationSchemas {
    parameters: Vec<Parameter>,
    body: Option<Value>,
    body_required: bool,
    /// By status code; `None` is an answer without a JSON body.
    answers: BTreeMap<String, Option<Value>>,
}

#[derive(Serialize, Deserialize)]
struct Parameter {
    place: String,
    name: String,
    required: bool,
    schema: Value,
}

/// The contract of these operations (`get /app`), shared by the whole process.
pub(crate) fn contract(operations: &[String]) -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract {
        description: load(operations),
        validators: Mutex::default(),
    })
}

impl Contract {
    /// What GitHub's description has against a request; empty when it has nothing.
    /// A parameter or a top-level key the description does not know counts too: GitHub would ignore it silently.
    pub(crate) fn check_request(
        &self,
        operation: &str,
        path: &BTreeMap<String, String>,
        query: &BTreeMap<String, String>,
        body: Option<&Value>,
    ) -> Vec<String> {
        let schemas = &self.description.operations[operation];
        let mut errors = Vec::new();
        for parameter in &schemas.parameters {
            let values = if parameter.place == "path" {
                path
            } else {
                query
            };
            match values.get(&parameter.name) {
                Some(text) => {
                    let key = format!("{operation} {} {}", parameter.place, parameter.name);
                    let value = typed(text, &parameter.schema);
                    errors.extend(self.errors(
                        &key,
                        &parameter.schema,
                        &value,
                        &format!("{} parameter `{}`", parameter.place, parameter.name),
                    ));
                }
                None if parameter.required => errors.push(format!(
                    "{} parameter `{}` is missing",
                    parameter.place, parameter.name
                )),
                None => {}
            }
        }
        let known = |name: &String| {
            schemas
                .parameters
                .iter()
                .any(|parameter| parameter.place == "query" && parameter.name == *name)
        };
        errors.extend(
            query
                .keys()
                .filter(|name| !known(name))
                .map(|name| format!("query parameter `{name}` is unknown to GitHub")),
        );
        match (&schemas.body, body) {
            (Some(schema), Some(body)) => {
                errors.extend(self.errors(
                    &format!("{operation} body"),
                    schema,
                    body,
                    "request body",
                ));
                errors.extend(unknown_keys(schema, body));
            }
            (Some(_), None) if schemas.body_required => {
                errors.push("the request body is missing".to_owned())
            }
            (None, Some(_)) => errors.push("this operation takes no request body".to_owned()),
            _ => {}
        }
        errors
    }

    /// What GitHub's description has against an answer. Refusals the description does not list
    /// (401 of any operation, say) must have the form of its `basic-error`.
    pub(crate) fn check_answer(
        &self,
        operation: &str,
        status: u16,
        body: Option<&Value>,
    ) -> Vec<String> {
        let listed = &self.description.operations[operation].answers;
        let error = json!({"$ref": "#/components/schemas/basic-error"});
        let schema = match listed.get(&status.to_string()) {
            Some(schema) => schema.as_ref(),
            None if status >= 400 => Some(&error),
            None => {
                return vec![format!(
                    "GitHub does not answer {status} here, but {:?}",
                    listed.keys()
                )];
            }
        };
        match (schema, body) {
            (Some(schema), Some(body)) => {
                self.errors(&format!("{operation} {status}"), schema, body, "answer")
            }
            (Some(_), None) => vec![format!("the answer {status} lacks its body")],
            (None, Some(_)) => vec![format!("the answer {status} must have no body")],
            (None, None) => Vec::new(),
        }
    }

    fn errors(&self, key: &str, schema: &Value, value: &Value, what: &str) -> Vec<String> {
        let validator = self.validator(key, schema);
        validator
            .iter_errors(value)
            .take(ERRORS_SHOWN)
            .map(|error| {
                let given: String = error
                    .instance()
                    .to_string()
                    .chars()
                    .take(VALUE_SHOWN)
                    .collect();
                format!(
                    "{what} at `{}`: {} ({given})",
                    error.instance_path(),
                    error.masked()
                )
            })
            .collect()
    }

    fn validator(&self, key: &str, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().expect("no holder panics");
        let made = validators.entry(key.to_owned()).or_insert_with(|| {
            let mut reachable = BTreeSet::new();
            collect_references(schema, &self.description.schemas, &mut reachable);
            let schemas: Map<String, Value> = reachable
                .into_iter()
                .map(|name| (name.clone(), self.description.schemas[&name].clone()))
                .collect();
            let whole = json!({"allOf": [schema], "components": {"schemas": schemas}});
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(options.build(&whole).unwrap_or_else(|error| {
                panic!("GitHub's description of `{key}` does not compile: {error}")
            }))
        });
        Arc::clone(made)
    }
}

/// A parameter arrives as text; the schema says what it stands for.
fn typed(text: &str, schema: &Value) -> Value {
    let one_of_types = schema["oneOf"]
        .as_array()
        .or_else(|| schema["anyOf"].as_array());
    let kinds: Vec<&str> = match one_of_types {
        Some(options) => options
            .iter()
            .filter_map(|option| option["type"].as_str())
            .collect(),
        None => schema["type"].as_str().into_iter().collect(),
    };
    let integer = kinds
        .contains(&"integer")
        .then(|| text.parse::<i64>().ok())
        .flatten();
    let boolean = kinds
        .contains(&"boolean")
        .then(|| text.parse::<bool>().ok())
        .flatten();
    integer
        .map(Value::from)
        .or(boolean.map(Value::from))
        .unwrap_or_else(|| Value::from(text))
}

fn unknown_keys(schema: &Value, body: &Value) -> Vec<String> {
    let (Some(known), Some(given)) = (schema["properties"].as_object(), body.as_object()) else {
        return Vec::new();
    };
    given
        .keys()
        .filter(|key| !known.contains_key(*key))
        .map(|key| format!("request body: the key `{key}` is unknown to GitHub"))
        .collect()
}

fn load(operations: &[String]) -> Description {
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

/// An OpenAPI 3.0 schema as JSON Schema: `nullable` becomes a type, notes for readers go, and the alternatives of a
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

fn collect_references(value: &Value, schemas: &Map<String, Value>, found: &mut BTreeSet<String>) {
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
