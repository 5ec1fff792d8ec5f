//! What `deploy/template.yaml` becomes on AWS, held to what it must be: who may do what, which functions there are and how each
//! is reached, what is kept, and what somebody is told of. Each rule is tried on templates that break it.

mod functions;
mod kept;
mod mutations;
mod roles;

use layersmith_testbed::tools;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A template without transforms, as `deploy/translate.py` shows it.
#[derive(Clone)]
struct Template(Value);

impl Template {
    /// The one of the repository.
    fn ours() -> &'static Self {
        static OURS: OnceLock<Template> = OnceLock::new();
        OURS.get_or_init(|| Self::translated(&source_path()))
    }

    /// What a template becomes.
    fn translated(path: &Path) -> Self {
        let python = tools::sam_python().unwrap_or_else(|missing| panic!("{missing}"));
        let output = Command::new(python)
            .arg(root().join("deploy/translate.py"))
            .arg(path)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", path.display());
        Self(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The logical names and the properties of all resources of a type.
    fn of_type(&self, kind: &str) -> Vec<(&str, &Value)> {
        self.resources()
            .iter()
            .filter(|(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
            .collect()
    }

    fn resources(&self) -> &Map<String, Value> {
        self.0["Resources"].as_object().unwrap()
    }

    fn properties(&self, name: &str) -> &Value {
        &self.0["Resources"][name]["Properties"]
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source_path() -> PathBuf {
    root().join("deploy/template.yaml")
}

fn source() -> String {
    std::fs::read_to_string(source_path()).unwrap()
}

/// A value as one text in which names can be looked for: `Ref` and `Fn::GetAtt` become what `Fn::Sub` calls them.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Object(object) => {
            if let Some(name) = object.get("Ref").and_then(Value::as_str) {
                return format!("${{{name}}}");
            }
            if let Some(Value::Array(parts)) = object.get("Fn::GetAtt") {
                let parts: Vec<String> = parts.iter().map(text).collect();
                return format!("${{{}}}", parts.join("."));
            }
            let values: Vec<String> = object.values().map(text).collect();
            values.join(" ")
        }
        other => other.to_string(),
    }
}

/// One value or many, as many.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// What stands in an `Fn::If` for when its condition holds, else the value.
fn chosen(value: &Value) -> &Value {
    value.get("Fn::If").map_or(value, |parts| &parts[1])
}

/// Everything that is wrong with a template.
fn complaints(template: &Template) -> Vec<String> {
    let mut found = roles::complaints(template);
    found.extend(functions::complaints(template));
    found.extend(kept::complaints(template));
    found
}

#[test]
fn the_template_is_as_it_must_be() {
    let found = complaints(Template::ours());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A Python version is one entry, nothing else.
#[test]
fn another_python_version_is_one_entry() {
    let source = source();
    let more = source.replacen("\"3.14\"]", "\"3.14\", \"3.15\"]", 1);
    assert_ne!(more, source, "the list of Python versions has another form");
    let folder = tempfile::tempdir().unwrap();
    for machine in ["plan.asl.json", "apply.asl.json"] {
        std::fs::copy(
            root().join("deploy").join(machine),
            folder.path().join(machine),
        )
        .unwrap();
    }
    let path = folder.path().join("template.yaml");
    std::fs::write(&path, more).unwrap();
    let (before, after) = (Template::ours(), Template::translated(&path));
    let found = complaints(&after);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let new: Vec<&String> = after
        .resources()
        .keys()
        .filter(|name| !before.resources().contains_key(*name))
        .collect();
    assert_eq!(new, ["BuildP315", "BuildP315Arm64"]);
    for (name, architecture) in [("BuildP315", "x86_64"), ("BuildP315Arm64", "arm64")] {
        let function = after.properties(name);
        assert_eq!(function["Runtime"], "python3.15");
        assert_eq!(function["Architectures"][0], architecture);
    }
}

/// `aws cloudformation package` puts its own folder in place of code that a function does not name itself.
#[test]
fn every_function_names_its_code() {
    let source = source();
    let functions = source.matches("Type: AWS::Serverless::Function").count();
    assert_eq!(source.matches(" CodeUri: {Bucket: ").count(), functions);
    assert!(functions >= 10, "only {functions} were found");
}

/// Every resource that is `*` says above it why it cannot be less.
#[test]
fn a_resource_that_is_everything_says_why() {
    let source = source();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let mut seen = 0;
    for (number, line) in lines.iter().enumerate() {
        if *line == "Resource: \"*\"" {
            seen += 1;
            let statement = &lines[number.saturating_sub(12)..number];
            let begin = statement
                .iter()
                .rposition(|line| line.starts_with("- Effect:"))
                .unwrap();
            let above = statement[begin - 1];
            assert!(
                above.starts_with('#') && above.contains("AWS has no finer resource"),
                "line {}: {above}",
                number + 1
            );
        }
    }
    assert!(seen >= 4, "only {seen} were found");
}
