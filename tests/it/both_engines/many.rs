//! More than a state of a state machine takes.

use super::{Engine, world_on};
use layersmith_testbed::cloud::REGION;
use serde_json::Value;
use std::collections::BTreeSet;

/// Times eight targets that is more than the 500 items that stay in a state.
const LAYERS: usize = 63;
const REQUEST: &str =
    "packages:\n  - demo-core\npython: [\"3.11\", \"3.12\", \"3.13\", \"3.14\"]\n";
/// What a state may hold (AWS Step Functions quotas, "Maximum input or output size").
const STATE_LIMIT: usize = 262_144;

/// What an event of a history says went into a state or came out of it.
fn states(event: &Value) -> Vec<&str> {
    let details = event.as_object().into_iter().flatten();
    let texts = details.flat_map(|(_, it)| [&it["input"], &it["output"]]);
    texts.filter_map(Value::as_str).collect()
}

mod cloud {
    use super::*;

    /// The list is an object in the bucket, a distributed map reads it there and each item has an execution of its own; no
    /// state holds more than where it is.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "make test-cloud runs it"]
    async fn a_list_that_is_too_long_for_a_state_goes_through_the_bucket() {
        let world = world_on(Engine::Cloud, "limits: {layers_per_pull_request: 100}\n").await;
        // The longest names that there are.
        let paths: Vec<String> = (0..LAYERS)
            .map(|number| format!("layers/{}-{number:02}.yaml", "x".repeat(60)))
            .collect();
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), REQUEST)).collect();
        let number = world.branch("many", &files).await;
        world.settled().await;
        let said = world.conversation(number);
        let expected = format!("{LAYERS} layers × 8 targets would be published to 2 regions");
        assert!(said.contains(&expected), "{said}");

        let cloud = &world.stack.as_ref().expect("the stack runs").cloud;
        let executions = cloud.executions().await;
        assert_eq!(executions.len(), 1, "{executions:#?}");
        let list = format!("layersmith/lists/{}/prepare.json", executions[0].name());
        let bucket = cloud.template.bucket();
        let list = cloud.moto.object(REGION, &bucket, &list).await;
        let list = list.expect("the list is in the bucket");
        let list: Vec<Value> = serde_json::from_slice(&list).unwrap();
        let item = |it: &Value| (it["layer"].to_string(), it["target"].to_string());
        let listed: BTreeSet<_> = list.iter().map(item).collect();
        assert_eq!((list.len(), listed.len()), (LAYERS * 8, LAYERS * 8));
        let invokes = cloud.invokes().into_iter();
        let built: BTreeSet<_> = invokes
            .filter(|it| it.is_step && it.payload["stage"] == "build")
            .map(|it| item(&it.payload["item"]))
            .collect();
        assert_eq!(built, listed);

        let history = cloud.history(&executions[0]).await;
        let kinds: BTreeSet<&str> = history
            .iter()
            .filter_map(|it| it["type"].as_str())
            .collect();
        assert!(kinds.contains("MapRunSucceeded"), "{kinds:?}");
        let largest = history.iter().flat_map(states).map(str::len).max();
        let largest = largest.unwrap_or_default();
        assert!(
            (100..STATE_LIMIT / 20).contains(&largest),
            "{largest} bytes in a state"
        );
        world.finish_published(0).await;
    }
}
