//! What an operator sees of a stack that was just deployed.

use super::{Stack, World};
use crate::build_function::prefix_here;
use crate::from_source::{architectures, python_here};
use layersmith_testbed::cloud::STACK;

/// The stack here runs on this machine alone: what builds for the other processor is on the wrong one, and is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make test-cloud runs it"]
async fn doctor_asks_the_functions_that_build_what_they_have() {
    let mut world = World::prepare("[eu-west-1]", "").await;
    world.options.unset("LAYERSMITH_BWRAP");
    let interpreters = prefix_here().join("bin");
    world.options.set("LAYERSMITH_INTERPRETERS", interpreters);
    Stack::start(&mut world).await;
    let output = world.command(&["doctor", "--aws", "--stack", STACK]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let has = |start: &str, end: &str| {
        let found = lines.iter().filter(|line| line.starts_with(start));
        assert!(
            found.clone().any(|line| line.ends_with(end)),
            "{start}: {text}"
        );
    };
    has("good functions 16 of layersmith are active", "");
    let [here, there] = architectures();
    let target = |architecture: &str| match architecture {
        "arm64" => format!("p{}-arm64", python_here()),
        _ => format!("p{}", python_here()),
    };
    let good = format!("good building {} Python {}.", target(here), python_here());
    has(
        &good,
        "; packages are imported in isolation, and kept to their files",
    );
    let machine = |architecture: &str| match architecture {
        "arm64" => "aarch64",
        _ => "x86_64",
    };
    let wrong = format!(
        "it runs on {} and builds for {}",
        machine(here),
        machine(there)
    );
    has(&format!("BAD building {}", target(there)), &wrong);
    world.finish().await;
}
