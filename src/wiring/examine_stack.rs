//! Looks at the functions of a stack on AWS, for `layersmith doctor --aws --stack`.

use super::examine::finding;
use super::examine_account::{Said, said};
use crate::account::{StackFunction, functions, invoke};
use crate::build::Isolation;
use crate::cli::Finding;
use crate::lambda::{ExaminedHost, ExaminedUv};
use crate::model::{ImportTest, Target};
use anyhow::{Context as _, bail, ensure};
use aws_config::SdkConfig;
use futures::StreamExt as _;
use futures::stream;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The functions of a stack that have no target: their roles, which follow its name.
const FUNCTIONS: [&str; 8] = [
    "webhook", "api", "plan", "publish", "tables", "comment", "sweep", "expire",
];
/// The role of those that have one.
const BUILD: &str = "build";
/// Functions invoked at once.
const AT_ONCE: usize = 8;

/// Every function is there, in order, in its role and, for each processor, of one and the same version; and those that build
/// are asked what they have.
pub(super) async fn examine(config: &SdkConfig, stack: &str) -> Vec<Finding> {
    let named = FUNCTIONS.map(|role| (format!("{stack}-{role}"), role, None));
    let building = Target::all().map(|target| {
        let name = format!("{stack}-{BUILD}-{}", target.layer_name_part());
        (name, BUILD, Some(target))
    });
    let expected: Vec<(String, &str, Option<Target>)> = named.into_iter().chain(building).collect();
    let names: Vec<String> = expected.iter().map(|(name, ..)| name.clone()).collect();
    let answers = functions(config, &names).await;
    let (mut seen, mut builders) = (Seen::default(), Vec::new());
    for ((name, role, target), answer) in expected.into_iter().zip(answers) {
        match (answer.transpose(), target) {
            (Some(answer), target) => {
                seen.look(&name, role, answer);
                builders.extend(target.map(|target| (name, target)));
            }
            // A stack builds for the targets that its template lists.
            (None, Some(_)) => {}
            (None, None) => seen.wrong.push(format!("{name} is not there")),
        }
    }
    let mut findings = vec![said("functions", seen.judge(stack))];
    if builders.is_empty() {
        let none = format!("{stack} has no function that builds");
        findings.push(finding("building", Err(none)));
    }
    let asked = stream::iter(builders).map(|(name, target)| async move {
        let answer = ask(config, &name, target).await;
        said(&format!("building {target}"), answer)
    });
    findings.extend(asked.buffered(AT_ONCE).collect::<Vec<_>>().await);
    findings
}

/// What was seen of all functions.
#[derive(Default)]
struct Seen {
    count: usize,
    wrong: Vec<String>,
    /// The digests of their code, by what they run on.
    codes: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    fn look(&mut self, name: &str, role: &str, answer: anyhow::Result<StackFunction>) {
        self.count += 1;
        let function = match answer {
            Ok(function) => function,
            Err(error) => return self.wrong.push(format!("{error:#}")),
        };
        if function.state != "Active" || function.update != "Successful" {
            self.wrong.push(format!(
                "{name} is {}, its update {}",
                function.state, function.update
            ));
        }
        if function.role.as_deref() != Some(role) {
            let told = function.role.as_deref().unwrap_or("nothing");
            self.wrong.push(format!(
                "{name} takes itself for {told}: LAYERSMITH_FUNCTION"
            ));
        }
        let codes = self.codes.entry(function.architecture).or_default();
        codes.insert(function.code);
    }

    fn judge(mut self, stack: &str) -> Said {
        if self.codes.values().any(|codes| codes.len() > 1) {
            let differ = "the functions are of different versions: deploy again";
            self.wrong.push(differ.to_owned());
        }
        ensure!(self.wrong.is_empty(), "{}", self.wrong.join("; "));
        Ok(format!("{} of {stack} are active", self.count))
    }
}

/// Has a function that builds look at what it has, and try it.
async fn ask(config: &SdkConfig, name: &str, target: Target) -> Said {
    let answer = invoke(config, name, &json!({ "examine": true })).await;
    let answer = answer.with_context(|| name.to_owned())?;
    let found: ExaminedHost = serde_json::from_value(answer)
        .with_context(|| format!("{name} is of another version: deploy again"))?;
    judge(&found, target)
}

fn judge(found: &ExaminedHost, target: Target) -> Said {
    let host = &found.host;
    let machine = target.architecture.machine();
    ensure!(
        host.machine == machine,
        "it runs on {} and builds for {machine}",
        host.machine
    );
    let uv = match &found.uv {
        ExaminedUv::Works { version } => version,
        ExaminedUv::Missing { reason } => bail!("{reason}"),
    };
    let Some(interpreter) = host
        .interpreters
        .iter()
        .find(|it| it.python == target.python)
    else {
        bail!(
            "it has no CPython {}: no bytecode, and nothing is imported",
            target.python
        );
    };
    let keeps_to_files = match &host.isolation {
        Isolation::Works { keeps_to_files } => *keeps_to_files,
        Isolation::Missing { reason } => bail!("packages are not imported: {reason}"),
    };
    match &interpreter.probe {
        ImportTest::Passed { .. } => {}
        ImportTest::Failed { trace, .. } => {
            let last = trace.lines().rev().find(|line| !line.trim().is_empty());
            bail!(
                "packages are not isolated: {}",
                last.unwrap_or("it did not say why")
            );
        }
        ImportTest::Skipped { reason } => bail!("packages are not imported: {reason}"),
        ImportTest::NotRun => bail!("packages are not imported"),
    }
    Ok(format!(
        "Python {}, uv {uv}; packages are imported in isolation, {}",
        interpreter.version,
        match keeps_to_files {
            true => "and kept to their files",
            false => "but see the function's files: its kernel has no Landlock",
        }
    ))
}
