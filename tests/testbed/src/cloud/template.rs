//! The stack that `deploy/template.yaml` describes, as AWS would make it: the template as the SAM translator writes it, with
//! its references resolved.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Map, Value};

use super::calls::ACCOUNT;
use super::door::locked;
use crate::support::run;
use crate::tools;

/// The region of the stack.
pub const REGION: &str = "eu-central-1";
/// The stack's name, which the names of functions and state machines begin with.
pub const STACK: &str = "layersmith";

/// A translated template, and what its parameters are.
pub struct Template {
    resources: Map<String, Value>,
    conditions: Map<String, Value>,
    parameters: BTreeMap<String, String>,
}

/// What a function of the stack is like.
#[derive(Clone, Debug)]
pub struct Described {
    /// `layersmith-publish`.
    pub name: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    pub timeout: u64,
    pub variables: BTreeMap<String, String>,
    /// The statements of its role's policies.
    pub statements: Vec<Value>,
}

impl Template {
    /// Translates the template, with these parameters and the others' defaults.
    ///
    /// # Panics
    /// When the translator is missing, or refuses the template.
    pub fn translate(given: &[(&str, &str)]) -> Self {
        let mut template = translated(given);
        let mut parameters: BTreeMap<String, String> = object(template["Parameters"].take())
            .into_iter()
            .filter_map(|(name, it)| Some((name, plain(&it["Default"])?)))
            .collect();
        for (name, value) in given {
            parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        for (name, value) in [
            ("AWS::StackName", STACK),
            ("AWS::Region", REGION),
            ("AWS::AccountId", ACCOUNT),
            ("AWS::Partition", "aws"),
        ] {
            parameters.insert(name.to_owned(), value.to_owned());
        }
        Self {
            resources: object(template["Resources"].take()),
            conditions: object(template["Conditions"].take()),
            parameters,
        }
    }

    /// Every function that is made, with its role.
    pub fn functions(&self) -> Vec<Described> {
        let functions = self.of_type("AWS::Lambda::Function");
        let described = functions.map(|(_, properties)| {
            let variables = self.resolved(&properties["Environment"]["Variables"]);
            let role = properties["Role"]["Fn::GetAtt"][0].as_str();
            Described {
                name: self.text(&properties["FunctionName"]),
                architecture: self.text(&properties["Architectures"][0]),
                timeout: properties["Timeout"].as_u64().unwrap_or(3),
                variables: object(variables)
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, plain(&value)?)))
                    .collect(),
                statements: self.statements(role.unwrap_or_default()),
            }
        });
        described.collect()
    }

    /// Every state machine: its name, and its definition with everything substituted.
    pub fn state_machines(&self) -> BTreeMap<String, String> {
        let machines = self.of_type("AWS::StepFunctions::StateMachine");
        let named = machines.map(|(_, properties)| {
            let definition = match &properties["Definition"] {
                Value::Null => self.text(&properties["DefinitionString"]),
                definition => definition.to_string(),
            };
            let substitutions = object(self.resolved(&properties["DefinitionSubstitutions"]));
            let name = self.text(&properties["StateMachineName"]);
            let substituted = substitutions
                .iter()
                .fold(definition, |text, (name, value)| {
                    text.replace(&format!("${{{name}}}"), &plain(value).unwrap_or_default())
                });
            assert!(
                !substituted.contains("${"),
                "something is not substituted in {name}"
            );
            (name, substituted)
        });
        named.collect()
    }

    /// What each schedule gives to the function it invokes.
    pub fn schedules(&self) -> Vec<(String, Value)> {
        let schedules = self.of_type("AWS::Scheduler::Schedule");
        let inputs = schedules.map(|(_, properties)| {
            let target = &properties["Target"];
            let function = self.text(&target["Arn"]);
            let input = self.text(&target["Input"]);
            let input = serde_json::from_str(&input).expect("a schedule's input is JSON");
            (function, input)
        });
        inputs.collect()
    }

    /// The table as `CreateTable` takes it.
    pub fn table(&self) -> Value {
        let (id, properties) = self.only("AWS::DynamoDB::Table");
        let mut table = Map::new();
        table.insert("TableName".to_owned(), self.reference(id));
        for name in [
            "AttributeDefinitions",
            "KeySchema",
            "GlobalSecondaryIndexes",
            "BillingMode",
        ] {
            let value = self.resolved(&properties[name]);
            if !value.is_null() {
                table.insert(name.to_owned(), value);
            }
        }
        Value::Object(table)
    }

    /// The bucket's name.
    pub fn bucket(&self) -> String {
        let (id, _) = self.only("AWS::S3::Bucket");
        plain(&self.reference(id)).unwrap_or_default()
    }

    fn only(&self, kind: &str) -> (&str, &Value) {
        let mut found = self.of_type(kind);
        found
            .next()
            .unwrap_or_else(|| panic!("the template has no {kind}"))
    }

    /// The resources of a type that are made, with their properties.
    fn of_type(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        let resources = self.resources.iter().filter(move |(_, it)| {
            let condition = it["Condition"].as_str();
            it["Type"] == kind && condition.is_none_or(|condition| self.holds(condition))
        });
        resources.map(|(id, it)| (id.as_str(), &it["Properties"]))
    }

    fn statements(&self, role: &str) -> Vec<Value> {
        let policies = self.resolved(&self.resources[role]["Properties"]["Policies"]);
        let policies = policies.as_array().cloned().unwrap_or_default();
        let statements = policies
            .into_iter()
            .filter_map(|policy| policy["PolicyDocument"]["Statement"].as_array().cloned());
        statements.flatten().collect()
    }

    fn text(&self, value: &Value) -> String {
        plain(&self.resolved(value)).unwrap_or_default()
    }

    fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.conditions[condition])
    }

    fn is_true(&self, condition: &Value) -> bool {
        let Some((function, argument)) = condition.as_object().and_then(|it| it.iter().next())
        else {
            return false;
        };
        let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match function.as_str() {
            "Fn::Equals" => self.resolved(&arguments[0]) == self.resolved(&arguments[1]),
            "Fn::Not" => !self.is_true(&arguments[0]),
            "Fn::And" => arguments.iter().all(|it| self.is_true(it)),
            "Fn::Or" => arguments.iter().any(|it| self.is_true(it)),
            "Condition" => argument.as_str().is_some_and(|name| self.holds(name)),
            other => panic!("{other} is not known as a condition"),
        }
    }

    /// `value` with every reference in it resolved; what refers to no value is null, or left out.
    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => {
                let items = items.iter().map(|item| self.resolved(item));
                items.filter(|item| !item.is_null()).collect()
            }
            Value::Object(entries) => {
                let only = entries.iter().next().filter(|_| entries.len() == 1);
                if let Some((function, argument)) = only
                    && (function == "Ref" || function.starts_with("Fn::"))
                {
                    return self.called(function, argument);
                }
                let entries = entries
                    .iter()
                    .map(|(name, it)| (name.clone(), self.resolved(it)));
                Value::Object(entries.filter(|(_, it)| !it.is_null()).collect())
            }
            plain => plain.clone(),
        }
    }

    fn called(&self, function: &str, argument: &Value) -> Value {
        match function {
            "Ref" => self.reference(argument.as_str().unwrap_or_default()),
            "Fn::GetAtt" => match argument {
                Value::String(path) => self.attribute(path),
                path => {
                    let parts: Vec<&str> = path
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .collect();
                    self.attribute(&parts.join("."))
                }
            },
            "Fn::If" => {
                let condition = argument[0].as_str().unwrap_or_default();
                let branch = if self.holds(condition) { 1 } else { 2 };
                self.resolved(&argument[branch])
            }
            "Fn::Sub" => self.substituted(argument),
            "Fn::Join" => {
                let separator = argument[0].as_str().unwrap_or_default();
                let parts = self.resolved(&argument[1]);
                let parts: Vec<String> = parts
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(plain)
                    .collect();
                parts.join(separator).into()
            }
            "Fn::Split" => {
                let separator = argument[0].as_str().unwrap_or_default();
                self.text(&argument[1]).split(separator).collect()
            }
            other => panic!("{other} is not known here"),
        }
    }

    fn substituted(&self, argument: &Value) -> Value {
        let (text, own) = match argument {
            Value::Array(both) => (both[0].as_str(), self.resolved(&both[1])),
            text => (text.as_str(), Value::Null),
        };
        let mut rest = text.unwrap_or_default();
        let mut result = String::new();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').expect("a substitution is closed");
            let value = match &own[name] {
                Value::Null if name.contains('.') => self.attribute(name),
                Value::Null => self.reference(name),
                value => value.clone(),
            };
            result.push_str(before);
            result.push_str(&plain(&value).unwrap_or_default());
            rest = after;
        }
        result.push_str(rest);
        result.into()
    }

    /// What `Ref` is: a parameter's value, or what AWS would call the resource.
    fn reference(&self, name: &str) -> Value {
        if name == "AWS::NoValue" {
            return Value::Null;
        }
        if let Some(value) = self.parameters.get(name) {
            return value.as_str().into();
        }
        let resource = &self.resources[name];
        let properties = &resource["Properties"];
        let made = format!("{STACK}-{}", name.to_lowercase());
        match resource["Type"].as_str().unwrap_or_default() {
            "AWS::Lambda::Function" => self.text(&properties["FunctionName"]).into(),
            "AWS::StepFunctions::StateMachine" => self.attribute(&format!("{name}.Arn")),
            _ => made.into(),
        }
    }

    /// What `Fn::GetAtt` is; only ARNs matter here.
    fn attribute(&self, path: &str) -> Value {
        let (name, attribute) = path.split_once('.').unwrap_or((path, ""));
        let resource = &self.resources[name];
        let properties = &resource["Properties"];
        let made = format!("{STACK}-{}", name.to_lowercase());
        let at = |service: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}");
        if attribute != "Arn" {
            return format!("{made}.{attribute}").into();
        }
        let arn = match resource["Type"].as_str().unwrap_or_default() {
            "AWS::Lambda::Function" => {
                format!(
                    "{}:function:{}",
                    at("lambda"),
                    self.text(&properties["FunctionName"])
                )
            }
            "AWS::StepFunctions::StateMachine" => {
                format!(
                    "{}:stateMachine:{}",
                    at("states"),
                    self.text(&properties["StateMachineName"])
                )
            }
            "AWS::DynamoDB::Table" => format!("{}:table/{made}", at("dynamodb")),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{made}"),
            "AWS::IAM::Role" => format!("arn:aws:iam::{ACCOUNT}:role/{made}"),
            _ => format!("{}:{made}", at("made")),
        };
        arn.into()
    }
}

/// The template as the translator writes it. That takes seconds: what it wrote is kept while this process lives.
fn translated(given: &[(&str, &str)]) -> Value {
    static KNOWN: Mutex<BTreeMap<Vec<String>, Value>> = Mutex::new(BTreeMap::new());
    let given: Vec<String> = given
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut known = locked(&KNOWN);
    if let Some(template) = known.get(&given) {
        return template.clone();
    }
    let deploy = tools::workspace_root().join("deploy");
    let python = tools::sam_python().unwrap_or_else(|missing| panic!("{missing}"));
    let mut command = Command::new(python);
    command
        .arg(deploy.join("translate.py"))
        .arg(deploy.join("template.yaml"))
        .args(&given);
    let output = run(&mut command);
    let template: Value =
        serde_json::from_slice(&output.stdout).expect("the translator writes JSON");
    known.insert(given, template.clone());
    template
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

/// A text, number or truth value as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
