//! Which functions there are, what they run on, what they are told, and who calls them.

use super::{Template, list, text};
use crate::documents::settings_in_code;
use layersmith::account::{RESERVED, UNRESERVABLE};
use layersmith::pipeline::flow::Stage;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What every function is told.
const ALL: &[&str] = &[
    "LAYERSMITH_ARTIFACTS",
    "LAYERSMITH_DATA",
    "LAYERSMITH_FUNCTION",
    "LAYERSMITH_LOG_FORMAT",
];
const STORE: &[&str] = &["LAYERSMITH_REPOSITORY", "LAYERSMITH_STORE"];
const STEPS: &[&str] = &["LAYERSMITH_ENGINE", "LAYERSMITH_REGISTRY"];
const APP: &[&str] = &["LAYERSMITH_GITHUB_APP_ID", "LAYERSMITH_GITHUB_PRIVATE_KEY"];

/// A function, all that it is told beyond [`ALL`], and the seconds that it needs beside what its states wait for.
struct Expected {
    name: &'static str,
    settings: &'static [&'static [&'static str]],
    seconds: std::ops::RangeInclusive<u64>,
}

/// Those that run our own executable and nothing else. GitHub waits ten seconds for the webhook's answer (GitHub
/// documentation, "Handling webhook deliveries"); a step takes what `src/pipeline/flow` says.
const FUNCTIONS: &[Expected] = &[
    Expected {
        name: "Webhook",
        settings: &[
            STORE,
            &["LAYERSMITH_SWEEP_FUNCTION", "LAYERSMITH_WEBHOOK_SECRET"],
        ],
        seconds: 5..=10,
    },
    Expected {
        name: "Api",
        settings: &[STORE],
        seconds: 10..=30,
    },
    Expected {
        name: "Sweep",
        settings: &[STORE, STEPS, APP, &["LAYERSMITH_NOTIFY_SECRET"]],
        seconds: 120..=900,
    },
    Expected {
        name: "Plan",
        settings: &[STORE, STEPS, APP],
        seconds: 60..=900,
    },
    Expected {
        name: "Publish",
        settings: &[STORE, STEPS, &["LAYERSMITH_CACHE_LIMIT"]],
        seconds: 60..=900,
    },
    Expected {
        name: "Tables",
        settings: &[
            STORE,
            STEPS,
            &[
                "LAYERSMITH_DEPLOY_KEY",
                "LAYERSMITH_KNOWN_HOSTS",
                "LAYERSMITH_GIT_TIMEOUT",
            ],
        ],
        seconds: 60..=900,
    },
    Expected {
        name: "Comment",
        settings: &[STORE, STEPS, APP],
        seconds: 60..=900,
    },
    Expected {
        name: "Expire",
        settings: &[STORE, STEPS],
        seconds: 60..=900,
    },
];

/// How many functions build: one for each Python version and processor.
const BUILDERS: usize = 8;

/// What a function that builds is told beyond [`ALL`].
const BUILDS: &[&str] = &[
    "AWS_LAMBDA_EXEC_WRAPPER",
    "LAYERSMITH_BWRAP",
    "LAYERSMITH_CACHE_LIMIT",
    "LAYERSMITH_INTERPRETERS",
    "LAYERSMITH_PYTHON",
    "LAYERSMITH_UV",
];

pub(super) fn complaints(template: &Template) -> Vec<String> {
    let functions: BTreeMap<&str, &Value> = template
        .of_type("AWS::Lambda::Function")
        .into_iter()
        .collect();
    let mut found = Vec::new();
    for expected in FUNCTIONS {
        match functions.get(expected.name) {
            Some(function) => found.extend(worker(expected, function)),
            None => found.push(format!("there is no function {}", expected.name)),
        }
    }
    for (name, function) in &functions {
        found.extend(any(name, function, template));
        if !FUNCTIONS.iter().any(|it| it.name == *name) {
            found.extend(builder(name, function));
        }
    }
    found.extend(reserved(template, &functions));
    found.extend(machines(template, &functions));
    found
}

fn environment(function: &Value) -> BTreeMap<&str, String> {
    let variables = function["Environment"]["Variables"].as_object();
    let variables = variables.into_iter().flatten();
    variables
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect()
}

/// What holds for every function.
fn any(name: &str, function: &Value, template: &Template) -> Vec<String> {
    let mut found = Vec::new();
    let code = settings_in_code();
    let environment = environment(function);
    for variable in environment
        .keys()
        .filter(|it| it.starts_with("LAYERSMITH_"))
    {
        if !code.contains(*variable) {
            found.push(format!("{name}: nobody reads {variable}"));
        }
    }
    if environment
        .get("LAYERSMITH_DATA")
        .is_none_or(|it| !it.starts_with("/tmp/"))
    {
        found.push(format!("{name}: only /tmp can be written to"));
    }
    if function["Handler"] != "bootstrap" {
        found.push(format!("{name}: the handler is not bootstrap"));
    }
    let group = text(&function["LoggingConfig"]["LogGroup"]);
    let group = template.properties(group.trim_matches(['$', '{', '}']));
    if text(&group["RetentionInDays"]) != "${LogDays}" {
        found.push(format!("{name}: its logs are kept for ever"));
    }
    if !text(&function["FunctionName"]).starts_with("${AWS::StackName}-") {
        found.push(format!("{name}: it is not named after the stack"));
    }
    found
}

fn worker(expected: &Expected, function: &Value) -> Vec<String> {
    let name = expected.name;
    let role = name.to_lowercase();
    let environment = environment(function);
    let mut found = told(name, &environment, &expected.settings.concat());
    if environment.get("LAYERSMITH_FUNCTION") != Some(&role) {
        found.push(format!("{name}: LAYERSMITH_FUNCTION is not {role}"));
    }
    if text(&function["Role"]) != format!("${{{name}Role.Arn}}") {
        found.push(format!("{name}: it has another one's role"));
    }
    if text(&function["FunctionName"]) != format!("${{AWS::StackName}}-{role}") {
        found.push(format!(
            "{name}: the state machines and the guide call it {role}"
        ));
    }
    if function["Runtime"] != "provided.al2023"
        || text(&function["Architectures"]) != "${Architecture}"
    {
        found.push(format!("{name}: it runs on something else"));
    }
    if text(&function["Code"]["S3Key"]) != "OnArm64 ${CodeArm64Key} ${CodeX8664Key}" {
        found.push(format!("{name}: its code is not for its processor"));
    }
    let seconds = function["Timeout"].as_u64().unwrap_or_default();
    if !expected.seconds.contains(&seconds) {
        found.push(format!(
            "{name}: {seconds} seconds, not {:?}",
            expected.seconds
        ));
    }
    found
}

/// A function that builds runs on the runtime that it builds for, and is named as the state machines name it.
fn builder(name: &str, function: &Value) -> Vec<String> {
    let environment = environment(function);
    let mut found = told(name, &environment, BUILDS);
    let mut expect = |what: &str, is: String, should: &str| {
        if is != should {
            found.push(format!("{name}: {what} is {is}, not {should}"));
        }
    };
    let runtime = text(&function["Runtime"]);
    let version = runtime.strip_prefix("python").unwrap_or("none");
    let architecture = text(&function["Architectures"]);
    let (suffix, key) = match architecture.as_str() {
        "arm64" => ("-arm64", "${CodeArm64Key}"),
        _ => ("", "${CodeX8664Key}"),
    };
    let own_name = format!("${{AWS::StackName}}-build-p${{Digits}}{suffix}  . {version}");
    expect("its name", text(&function["FunctionName"]), &own_name);
    expect("its code", text(&function["Code"]["S3Key"]), key);
    expect("its role", text(&function["Role"]), "${BuildRole.Arn}");
    expect("its time", text(&function["Timeout"]), "900");
    let wrapper = environment.get("AWS_LAMBDA_EXEC_WRAPPER").cloned();
    expect(
        "what is started",
        wrapper.unwrap_or_default(),
        "/var/task/bootstrap",
    );
    let is = environment.get("LAYERSMITH_FUNCTION").cloned();
    expect("LAYERSMITH_FUNCTION", is.unwrap_or_default(), "build");
    let python = environment.get("LAYERSMITH_PYTHON").cloned();
    let beside = format!("/var/lang/bin/{runtime}");
    expect("its interpreter", python.unwrap_or_default(), &beside);
    let confined = environment.get("LAYERSMITH_BWRAP").cloned();
    expect("its isolation", confined.unwrap_or_default(), "function");
    let room = function["EphemeralStorage"]["Size"].as_u64().unwrap_or(512);
    if room < 4096 {
        found.push(format!(
            "{name}: {room} MB are too little for the largest layers and their wheels"
        ));
    }
    found
}

/// The names a function is told are those that it needs, and no others: a secret's name is a start.
fn told(name: &str, environment: &BTreeMap<&str, String>, needed: &[&str]) -> Vec<String> {
    let is: BTreeSet<&str> = environment.keys().copied().collect();
    let should: BTreeSet<&str> = ALL.iter().chain(needed).copied().collect();
    let missing = should
        .difference(&is)
        .map(|it| format!("{name} is not told {it}"));
    let strange = is
        .difference(&should)
        .map(|it| format!("{name} is told {it}"));
    missing.chain(strange).collect()
}

/// A flood cannot take the account's concurrency: each function is bounded, all together leave some to others, and what an
/// account needs for that is told by the template and by `layersmith doctor --aws`. No function is bounded more narrowly than
/// the state machines call for it.
fn reserved(template: &Template, functions: &BTreeMap<&str, &Value>) -> Vec<String> {
    let mut found = Vec::new();
    let mut sum = 0;
    for (name, function) in functions {
        match function["ReservedConcurrentExecutions"]["Fn::If"][1].as_u64() {
            Some(bound) if bound > 0 => sum += bound,
            _ => found.push(format!("{name}: nothing bounds it")),
        }
    }
    // The default quota is 1,000.
    if sum > 600 {
        found.push(format!("{sum} executions are reserved together"));
    }
    // A Python version more than there is when this is written is one that `doctor` does not know of yet.
    let known = i64::from(RESERVED);
    let is_known = functions.len() != FUNCTIONS.len() + BUILDERS || i64::try_from(sum) == Ok(known);
    if !is_known {
        found.push(format!(
            "{sum} executions are reserved, and doctor asks for {known}"
        ));
    }
    let needed = format!("a quota below {}", RESERVED + UNRESERVABLE);
    let parameter = &template.0["Parameters"]["ReserveConcurrency"];
    if !text(&parameter["Description"]).contains(&needed) {
        found.push(format!("ReserveConcurrency does not say `{needed}`"));
    }
    for (name, function) in functions {
        let bound = function["ReservedConcurrentExecutions"]["Fn::If"][1].as_u64();
        let stage = match *name {
            "Publish" => Stage::Publish,
            name if name.starts_with("Build") => Stage::Build,
            _ => continue,
        };
        let at_once = stage.at_once().unwrap_or_default() as u64;
        if bound.is_some_and(|bound| bound < at_once) {
            found.push(format!("{name}: its state machines call {at_once} at once"));
        }
    }
    found
}

/// Every function is reached: by its URL, by a state machine, or by a schedule; and the machines call none that is not there.
fn machines(template: &Template, functions: &BTreeMap<&str, &Value>) -> Vec<String> {
    let mut found = Vec::new();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    for (_, url) in template.of_type("AWS::Lambda::Url") {
        reached.insert(text(&url["TargetFunctionArn"]));
    }
    for (_, schedule) in template.of_type("AWS::Scheduler::Schedule") {
        reached.insert(text(&schedule["Target"]["Arn"]).replace(".Arn", ""));
    }
    let machines = template.of_type("AWS::StepFunctions::StateMachine");
    if machines.len() != 2 {
        found.push(format!("{} state machines, not two", machines.len()));
    }
    for (name, machine) in machines {
        let definition = machine["Definition"].to_string();
        let named: BTreeSet<&str> = definition
            .split("${")
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
            .collect();
        let given = machine["DefinitionSubstitutions"].as_object();
        let given: BTreeMap<&str, String> = given
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), text(value)))
            .collect();
        let keys: BTreeSet<&str> = given.keys().copied().collect();
        for substitution in named.symmetric_difference(&keys) {
            found.push(format!(
                "{name}: ${{{substitution}}} is in one of definition and template only"
            ));
        }
        let called: Vec<&String> = given.values().filter(|it| it.ends_with(".Arn}")).collect();
        let role = text(&template.properties(&format!("{name}Role"))["Policies"]);
        for function in called {
            if !role.contains(function.as_str()) {
                found.push(format!("{name} may not call {function}"));
            }
            reached.insert(function.replace(".Arn", ""));
        }
        if given
            .get("BuildFunctionPrefix")
            .is_some_and(|it| it == "${AWS::StackName}-build-")
        {
            let builders = functions.keys().filter(|it| it.starts_with("Build"));
            reached.extend(builders.map(|it| format!("${{{it}}}")));
        }
        found.extend(times(name, &machine["Definition"], &given, template));
    }
    for name in functions.keys() {
        if !reached.contains(&format!("${{{name}}}")) {
            found.push(format!("nobody calls {name}"));
        }
    }
    found
}

/// A function may run for as long as its state waits for it, less the seconds that its start may take, and no longer.
fn times(
    machine: &str,
    definition: &Value,
    given: &BTreeMap<&str, String>,
    template: &Template,
) -> Vec<String> {
    const START: u64 = 30;
    let mut found = Vec::new();
    for state in tasks(definition) {
        let called = list(&state["Parameters"]["FunctionName"]);
        let function = called.first().map(|it| text(it)).unwrap_or_default();
        let key = function.trim_matches(['$', '{', '}']);
        let seconds = match given.get(key) {
            Some(arn) => {
                let name = arn.trim_matches(['$', '{', '}']).replace(".Arn", "");
                template.properties(&name)["Timeout"]
                    .as_u64()
                    .unwrap_or_default()
            }
            // One that builds, which are all alike.
            None => 900,
        };
        let waits = state["TimeoutSeconds"].as_u64().unwrap_or_default();
        if seconds + START < waits || seconds > waits {
            found.push(format!(
                "{machine}: a state waits {waits} seconds for {function}, which has {seconds}"
            ));
        }
    }
    found
}

/// Every state that calls something, those within others too.
fn tasks(value: &Value) -> Vec<&Value> {
    let mut found: Vec<&Value> = match value {
        Value::Object(object) => object.values().flat_map(tasks).collect(),
        Value::Array(values) => values.iter().flat_map(tasks).collect(),
        _ => Vec::new(),
    };
    if value["Type"] == "Task" {
        found.push(value);
    }
    found
}
