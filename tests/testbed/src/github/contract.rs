//! GitHub's own description of its interface, as validators for requests and answers.
//!
//! Validators are compiled when first needed and shared by the whole process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::description::{Description, collect_references, load};

/// A violation names at most this many errors of one document.
const ERRORS_SHOWN: usize = 5;

/// Of a value that is wrong, these many characters.
const VALUE_SHOWN: usize = 120;

/// The operations the double offers, with what GitHub says about each.
pub(crate) struct Contract {
    description: Description,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
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
