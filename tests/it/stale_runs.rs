//! Runs that are taken up again when something else is asked for by then.

use crate::world::World;
use layersmith::store::{SqliteStore, Store as _};
use layersmith_testbed::github::DeliveryMode;
use rusqlite::Connection;
use serde_json::{Value, json};

const POLICY: &str = ".github/layersmith.yaml";

/// The states of all applies, oldest first.
fn applies(world: &World) -> Vec<String> {
    world.query("SELECT state FROM runs WHERE kind = 'apply' ORDER BY sequence")
}

async fn merge(world: &World, requests: &[(&str, &str)]) {
    let number = world.pull_request(requests).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    world.conversation(number);
}

/// Who may use the first version of each layer for Python 3.13.
fn allowed(world: &World) -> Vec<Value> {
    let region = world.folder.path().join("data/registry/us-east-1");
    let records = ["demo", "core"].map(|layer| region.join(format!("Layersmith-p313-{layer}")));
    let allowed = records.map(|record| {
        let record = std::fs::read(record.join("1.json")).unwrap();
        serde_json::from_slice::<Value>(&record).unwrap()["allowed"].clone()
    });
    allowed.to_vec()
}

/// A run read the branch when one layer was asked for, in one region, and everybody might use it. Meanwhile it was published to
/// another region, another layer was merged and published, and all of them became private: the run neither retires the one,
/// nor leaves the region, nor shares anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_killed_goes_by_what_is_asked_for_now() {
    let mut world = World::start().await;
    let (demo, everywhere) = ("layers/demo.yaml", "packages: [demo-app]\n");
    let there = format!("{everywhere}regions: [us-east-1]\n");
    merge(&world, &[(demo, &there)]).await;
    let core = ("layers/core.yaml", "packages: [demo-core]\n");
    merge(&world, &[(demo, everywhere), core]).await;
    let tables = |world: &World| {
        ["us-east-1", "eu-west-1"].map(|it| world.table(&format!("p3.13/{it}.csv")))
    };
    let before = tables(&world);
    assert_ne!(allowed(&world)[0], json!([]));

    let other = SqliteStore::open(&world.store()).unwrap();
    let turn = other.turn_to_publish().await.unwrap();
    let mut policy = world.github.file_at("main", POLICY).unwrap();
    policy.push_str("# To set off a run.\n");
    let push = [(POLICY, policy.clone())];
    let pushed = world.github.push("main", push, "platform").await;
    let waits = |world: &World| applies(world) == ["done", "done", "open"];
    world.until("the third run waits for its turn", waits).await;
    world.kill_bot();
    // As if it had read the branch at the time of the first one, and shared everything before it was killed.
    let journal = Connection::open(world.store()).unwrap();
    let sql = "INSERT INTO steps (run, name, state, output, started_at, finished_at)
               SELECT (SELECT id FROM runs WHERE kind = 'apply' AND state = 'open'), name, state, output, started_at, finished_at
               FROM steps WHERE name IN ('read', 'permissions')
               AND run = (SELECT id FROM runs WHERE kind = 'apply' ORDER BY sequence LIMIT 1)";
    assert_eq!(journal.execute(sql, []).unwrap(), 2);
    world.github.set_delivery_mode(DeliveryMode::Lost);
    policy.push_str("visibility: private\n");
    world
        .github
        .push("main", [(POLICY, policy)], "platform")
        .await;
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    drop(turn);
    world.start_bot().await;
    let is_over = |world: &World| applies(world) == ["done", "done", "done"];
    world.until("the run is over", is_over).await;
    world.settled().await;
    assert_eq!(applies(&world).len(), 3, "nothing else mended it");
    assert_eq!(allowed(&world), [json!([]), json!([])]);
    assert_eq!(tables(&world), before);
    let check = world.check(&pushed);
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:?}");
    world.finish().await;
}
