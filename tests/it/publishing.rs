//! From the pull request to the tables: the main job.

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_planned_merged_published_and_its_tables_committed() {
    let world = World::start().await;
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages:\n  - demo-app\n")])
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"");

    world.github.merge_pull_request(number).await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"");
    world.finish().await;
}
