//! What an operator sees of a run: lines that say what they are about, numbers, and the journal.

use crate::world::World;
use serde_json::Value;

const DEMO: (&str, &str) = ("layers/demo.yaml", "packages:\n  - demo-app\n");

/// A world whose log is for machines.
async fn watched() -> World {
    World::start_with("", |options, _| {
        options.set("LAYERSMITH_LOG_FORMAT", "json");
    })
    .await
}

async fn merged(world: &World, file: (&str, &str)) -> u64 {
    let number = world.pull_request(&[file]).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    world.comment(number);
    number
}

fn said(world: &World, arguments: &[&str]) -> String {
    let output = world.command(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_a_publication_says_what_it_is_about() {
    let world = watched().await;
    merged(&world, DEMO).await;
    let log = world.log();
    let lines = log.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let lines: Vec<Value> = lines.collect();
    for line in &lines {
        for always in ["timestamp", "level", "module", "message"] {
            assert!(line[always].is_string(), "{line}");
        }
    }
    let is = |line: &Value, name: &str, value: &str| line[name] == value;
    let published: Vec<&Value> = lines
        .iter()
        .filter(|line| {
            let message = line["message"].as_str().unwrap();
            message.contains("demo 1.1.0 for p3.13-arm64 is live in eu-west-1: arn:aws:lambda:")
        })
        .collect();
    assert_eq!(published.len(), 1, "{log}");
    let line = published[0];
    assert!(
        line["run"].as_str().unwrap().starts_with("apply-"),
        "{line}"
    );
    assert!(
        is(line, "layer", "demo") && is(line, "target", "p3.13-arm64"),
        "{line}"
    );
    assert!(is(line, "region", "eu-west-1"), "{line}");
    assert!(is(line, "step", "publish/demo/p3.13-arm64"), "{line}");

    // Numbers are no lines, and are asked for elsewhere.
    assert!(!log.contains("layersmith::metric"), "{log}");
    let (_, metrics) = world.get("/metrics").await;
    for line in [
        "layersmith_publishes_total{region=\"eu-west-1\",result=\"live\"} 4",
        // Once for the plan, and once for the apply, which finds it built.
        "layersmith_builds_total{target=\"p3.12\",result=\"built\"} 2",
        "layersmith_runs_ended_total{state=\"failed\"} 0",
        "layersmith_step_seconds_count{step=\"publish\"} 4",
        "layersmith_regions_failed 0",
        "layersmith_intents_in_doubt 0",
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line}:\n{metrics}");
    }
    assert!(
        metrics.contains("layersmith_last_apply_timestamp_seconds 1"),
        "{metrics}"
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_lists_the_last_runs_and_shows_the_one_that_is_named() {
    let world = World::start().await;
    assert_eq!(said(&world, &["status"]), "There was no run yet.\n");
    let missing = (
        "layers/missing.yaml",
        "packages:\n  - no-such-package\npython: [\"3.13\"]\n",
    );
    let number = merged(&world, missing).await;

    let list = said(&world, &["status", "--last", "5"]);
    let ids: Vec<&str> = list
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "{list}");
    assert!(
        ids[0].starts_with("apply-") && ids[1].starts_with("plan-"),
        "{list}"
    );
    assert_eq!(said(&world, &["status", "--last", "1"]).lines().count(), 1);
    assert_eq!(said(&world, &["status", "--last"]), list);

    let whole = said(&world, &["status", ids[0]]);
    assert_eq!(said(&world, &["status", "apply-"]), whole);
    let first = whole.lines().next().unwrap();
    assert!(
        first.starts_with(&format!("{}  apply, done, started 2", ids[0])),
        "{whole}"
    );
    assert!(
        whole.contains(&format!("  answers on pull request #{number}\n")),
        "{whole}"
    );
    let build = whole.find("done    build/missing/p3.13\n").unwrap();
    assert!(whole[build..].contains("no-such-package"), "{whole}");
    assert!(
        whole.contains(" s  done    read\n"),
        "how long it took: {whole}"
    );
    assert!(
        whole.contains("steps failed or left something undone\n"),
        "{whole}"
    );

    let json: Value = serde_json::from_str(&said(&world, &["--json", "status", "apply-"])).unwrap();
    assert_eq!(json["run"]["id"], ids[0]);
    assert!(json["steps"][0]["started_at"].is_string(), "{json}");
    let json: Value = serde_json::from_str(&said(&world, &["--json", "status"])).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 2);
    let output = world.command(&["status", "upgrade-"]);
    assert_eq!(output.status.code(), Some(2));
    world.finish().await;
}
