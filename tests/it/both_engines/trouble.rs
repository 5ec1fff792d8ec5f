//! What can only go wrong where a bot is many functions.

use super::{Engine, world_on};
use crate::world::World;
use layersmith_testbed::cloud::{Cloud, Death};
use layersmith_testbed::github::DeliveryMode;
use serde_json::json;

const CORE: &str = "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\n";
const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\n";

fn cloud(world: &World) -> &Cloud {
    &world.stack.as_ref().expect("the stack runs").cloud
}

/// Opens a pull request with one layer, lets it be planned, and merges it.
async fn merged(world: &World, branch: &str, text: &str) -> u64 {
    let path = format!("layers/{branch}.yaml");
    let number = world.branch(branch, &[(&path, text)]).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    number
}

async fn is_published(world: &World, number: u64) {
    world.settled().await;
    let said = world.conversation(number);
    assert!(said.contains("live in 2 regions"), "{said}");
    assert_eq!(world.comment_ids(number).len(), 1, "{said}");
}

mod cloud {
    use super::*;
    use std::time::Duration;

    /// Whoever takes over finds what was done, and does the rest.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "make test-cloud runs it"]
    async fn a_function_that_dies_in_the_middle_of_a_step_is_followed_by_one_that_does_the_rest() {
        let world = world_on(Engine::Cloud, "").await;
        for (function, operation, number, death) in [
            ("publish", "lambda:PublishLayerVersion", 1, Death::After),
            (
                "publish",
                "lambda:AddLayerVersionPermission",
                2,
                Death::Before,
            ),
            ("build-p313", "s3:PutObject", 1, Death::After),
            ("plan", "s3:PutObject", 1, Death::After),
            ("tables", "ssm:GetParameter", 1, Death::After),
            ("comment", "secretsmanager:GetSecretValue", 1, Death::After),
        ] {
            super::cloud(&world).dies(function, operation, number, death);
        }
        let number = merged(&world, "native", NATIVE).await;
        is_published(&world, number).await;
        assert_eq!(world.own_commits(), 1);
        world.finish_published(4).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "make test-cloud runs it"]
    async fn functions_that_are_asked_for_too_often_are_asked_again() {
        let world = world_on(Engine::Cloud, "").await;
        for function in ["plan", "build-p313", "publish", "tables", "comment"] {
            super::cloud(&world).throttle(function, 2);
        }
        let number = merged(&world, "core", CORE).await;
        is_published(&world, number).await;
        world.finish_published(2).await;
    }

    /// Each delivery comes twice, and somebody starts the execution once more by hand.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "make test-cloud runs it"]
    async fn a_run_that_is_started_twice_is_one() {
        let world = world_on(Engine::Cloud, "").await;
        world.github.set_delivery_mode(DeliveryMode::Twice);
        let number = merged(&world, "core", CORE).await;
        is_published(&world, number).await;
        let cloud = super::cloud(&world);
        let executions = cloud.executions().await;
        assert_eq!(executions.len(), 2, "{executions:#?}");
        let apply = executions
            .iter()
            .find(|it| it.name().starts_with("apply-"))
            .expect("the merge was carried out");
        let before = cloud.invokes().len();
        let input = json!({"run": apply.name(), "kind": "apply"});
        let (status, said) = cloud
            .start_execution("layersmith-apply", apply.name(), &input)
            .await;
        assert!(
            status == 200 || said.to_string().contains("ExecutionAlreadyExists"),
            "{said}"
        );
        world.settled().await;
        let asked = cloud.invokes().split_off(before);
        assert!(
            asked
                .iter()
                .all(|it| it.function != "publish" && it.function != "tables"),
            "{asked:#?}"
        );
        assert_eq!(world.own_commits(), 1);
        world.finish_published(2).await;
    }

    /// Nobody waits for a function that this deployment does not have, and the pull request is told which it is.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "make test-cloud runs it"]
    async fn a_target_that_nothing_builds_for_is_told_at_once() {
        let world = world_on(Engine::Cloud, "").await;
        let old = "packages:\n  - demo-core\npython: [\"3.10\"]\narchitectures: [x86_64]\n";
        let number = world.pull_request(&[("layers/old.yaml", old)]).await;
        world.settled().await;
        let said = world.conversation(number);
        assert!(
            said.contains("this deployment has no function for Python 3.10 on x86_64"),
            "{said}"
        );
        let head = world.github.pull_request_head(number);
        assert_eq!(world.conclusions(&head), ["failure"]);
        let asked = super::cloud(&world).calls();
        let asked = asked.iter().filter(|call| {
            call.needs
                .iter()
                .any(|need| need.1.ends_with("-build-p310"))
        });
        assert_eq!(asked.count(), 1);
        world.finish_published(0).await;
    }

    /// Somebody stops an execution at the console: the run goes on with another.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "make test-cloud runs it"]
    async fn an_execution_that_was_stopped_by_hand_is_followed_by_another() {
        let world = world_on(Engine::Cloud, "").await;
        super::cloud(&world).throttle("publish", 1_000);
        // The second execution waits for as long as a function of the first may still be at work.
        super::cloud(&world).limit("plan", Duration::from_secs(30));
        let number = merged(&world, "core", CORE).await;
        let is_throttled = |world: &World| {
            let calls = super::cloud(world).calls();
            let throttled = calls
                .iter()
                .filter(|call| call.needs[0].1.ends_with(":layersmith-publish"));
            throttled.count() > 0
        };
        world.until("publishing is asked for", is_throttled).await;
        let cloud = super::cloud(&world);
        for execution in cloud.executions().await {
            if execution.status == "RUNNING" {
                cloud.stop_execution(&execution).await;
            }
        }
        cloud.throttle("publish", 0);
        is_published(&world, number).await;
        let executions = cloud.executions().await;
        let second = executions.iter().find(|it| it.name().ends_with(".2"));
        assert_eq!(
            second.map(|it| it.status.as_str()),
            Some("SUCCEEDED"),
            "{executions:#?}"
        );
        world.finish_published(2).await;
    }

    /// The turn to publish keeps one waiting while the other publishes and commits.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "make test-cloud runs it"]
    async fn two_applies_at_once_publish_one_after_the_other() {
        let world = world_on(Engine::Cloud, "").await;
        let native = world
            .branch("native", &[("layers/native.yaml", NATIVE)])
            .await;
        let core = world.branch("core", &[("layers/core.yaml", CORE)]).await;
        world.settled().await;
        let cloud = super::cloud(&world);
        let before = cloud.invokes().len();
        let merges = [
            world.github.merge_pull_request(native).await,
            world.github.merge_pull_request(core).await,
        ];
        for number in [native, core] {
            is_published(&world, number).await;
        }
        for merge in merges {
            assert_eq!(world.conclusions(&merge), ["success"]);
        }
        let within_turn = cloud.invokes().split_off(before).into_iter().filter(|it| {
            let stage = it.payload["stage"].as_str();
            matches!(stage, Some("publish" | "tables"))
        });
        let mut runs: Vec<String> = within_turn
            .filter_map(|it| it.payload["run"].as_str().map(str::to_owned))
            .collect();
        runs.dedup();
        // Both were there, and neither came between the other's steps. How many commits that takes is not said.
        assert_eq!(runs.len(), 2, "the runs took turns: {runs:#?}");
        world.finish_published(6).await;
    }
}
