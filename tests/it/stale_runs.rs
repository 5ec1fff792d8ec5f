//! Runs that are taken up again when something else is asked for by then.

use crate::world::World;
use layersmith::store::{SqliteStore, Store as _};
use layersmith_testbed::github::{DeliveryMode, Fault, Files, Matcher};
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

/// Where an apply is killed.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    /// It has a plan, and nothing is written down of what it is to publish.
    Planned,
    /// A version of the layer `core` is published, and not written down as live.
    Published,
    /// One is live, and another one is not.
    PartlyLive,
}

/// Merges requests; the apply of the merge is killed.
async fn merge_and_kill(world: &mut World, moment: Moment, requests: &[(&str, &str)]) -> Killed {
    let number = world.pull_request(requests).await;
    world.settled().await;
    let of_core = "WHEN new.layer = 'core'";
    let is_one_live =
        "EXISTS (SELECT 1 FROM layer_versions WHERE layer = 'core' AND state = 'live')";
    let before = match moment {
        Moment::Planned => "INSERT ON layer_versions".to_owned(),
        Moment::Published => format!("UPDATE OF state ON layer_versions {of_core}"),
        Moment::PartlyLive => {
            format!("UPDATE OF state ON layer_versions {of_core} AND {is_one_live}")
        }
    };
    // SQLite counts until the process is killed.
    let hold_back = format!(
        "CREATE TRIGGER held_back BEFORE {before} BEGIN
         SELECT count(*) FROM (WITH RECURSIVE numbers(n) AS
         (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT n FROM numbers); END"
    );
    let store = Connection::open(world.store()).unwrap();
    store.execute(&hold_back, []).unwrap();
    let base = world.github.branch_head("main").unwrap();
    let merged = world.github.merge_pull_request(number).await;
    let is_reached = |world: &World| match moment {
        Moment::Planned => {
            let sql = "SELECT state FROM steps WHERE name = 'plan' AND state = 'done'
                       AND run IN (SELECT id FROM runs WHERE kind = 'apply')";
            !world.query(sql).is_empty()
        }
        Moment::Published => world.published().keys().any(|it| it.ends_with("-core/1")),
        Moment::PartlyLive => !in_state(world, "live")
            .iter()
            .all(|it| it.starts_with("demo")),
    };
    world.until("the apply is held back", is_reached).await;
    world.kill_bot();
    store.execute("DROP TRIGGER held_back", []).unwrap();
    assert_eq!(applies(world), ["open"]);
    Killed {
        number,
        base,
        merged,
    }
}

/// An apply that was killed.
struct Killed {
    /// Of the pull request whose merge set it off.
    number: u64,
    /// The head of the branch before the merge.
    base: String,
    /// The merge.
    merged: String,
}

/// Layer and region of what is in a state, for all targets.
fn in_state(world: &World, state: &str) -> Vec<String> {
    let place = "layer || ' ' || region";
    let sql =
        format!("SELECT DISTINCT {place} FROM layer_versions WHERE state = '{state}' ORDER BY 1");
    world.query(&sql)
}

/// A run is killed, something is taken back meanwhile, and the webhook of that is lost; the run is taken up again.
async fn taken_back(world: &mut World, moment: Moment, change: Files) -> Killed {
    let requests = [
        ("layers/demo.yaml", "packages: [demo-app]\n"),
        ("layers/core.yaml", "packages: [demo-core]\n"),
    ];
    let killed = merge_and_kill(world, moment, &requests).await;
    world.github.set_delivery_mode(DeliveryMode::Lost);
    world.github.push("main", change, "platform").await;
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    world.start_bot().await;
    let is_over = |world: &World| applies(world) == ["done"];
    world.until("the run is over", is_over).await;
    world.settled().await;
    assert_eq!(in_state(world, "intent"), Vec::<String>::new());
    let recorded = world.query("SELECT arn FROM layer_versions");
    assert_eq!(recorded.len(), world.published_once().len());
    killed
}

/// A layer, and a region of another one, were taken back before the run came to them: it publishes the rest, and says what it
/// left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_back_before_it_was_published_is_published_nowhere() {
    let mut world = World::start().await;
    let there = "packages: [demo-app]\nregions: [us-east-1]\n";
    let change = Files::new()
        .write("layers/demo.yaml", there)
        .delete("layers/core.yaml");
    let killed = taken_back(&mut world, Moment::Planned, change).await;
    assert_eq!(in_state(&world, "live"), ["demo us-east-1"]);
    assert_eq!(in_state(&world, "deprecated"), Vec::<String>::new());
    let comment = world.comment(killed.number);
    assert!(
        comment.contains("nobody asks for it there any more"),
        "{comment}"
    );
    let check = world.check(&killed.merged);
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:?}");
    world.finish().await;
}

/// What a run had published of a layer that was taken back, without having written down that it is live, never is: it expires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_back_before_it_was_live_never_is() {
    let mut world = World::start().await;
    let change = Files::new().delete("layers/core.yaml");
    let killed = taken_back(&mut world, Moment::Published, change).await;
    assert_eq!(
        in_state(&world, "live"),
        ["demo eu-west-1", "demo us-east-1"]
    );
    let expiring =
        "SELECT layer FROM layer_versions WHERE expires_at IS NOT NULL AND state = 'deprecated'";
    assert!(world.query(expiring).iter().any(|layer| layer == "core"));
    assert!(
        in_state(&world, "deprecated")
            .iter()
            .all(|it| it.starts_with("core"))
    );
    world.comment(killed.number);
    world.finish().await;
}

/// What a run had made live of a layer that was taken back is told as live, and the sweep sees that nobody carried out what was
/// pushed below the run's own commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_back_after_it_was_live_is_retired_by_the_sweep() {
    let mut world = World::start().await;
    let change = Files::new().delete("layers/core.yaml");
    let killed = taken_back(&mut world, Moment::PartlyLive, change).await;
    let live = in_state(&world, "live");
    let of_core: Vec<&str> = live
        .iter()
        .filter_map(|it| it.strip_prefix("core "))
        .collect();
    let [region] = of_core[..] else {
        panic!("one was live when it was killed: {live:?}")
    };
    let comment = world.comment(killed.number);
    assert!(
        comment.contains(&format!("arn:aws:lambda:{region}")),
        "{comment}"
    );

    world.kill_bot();
    world.options.set("LAYERSMITH_SWEEP_INTERVAL", "1");
    world.start_bot().await;
    let is_over = |world: &World| applies(world) == ["done", "done"];
    let what = "the sweep has what was pushed carried out";
    world.until(what, is_over).await;
    world.settled().await;
    let live = in_state(&world, "live");
    assert_eq!(live, ["demo eu-west-1", "demo us-east-1"]);
    // Further looks find nothing more.
    let reads = |world: &World| {
        let requests = world.github.requests();
        let of_branch = |path: &str| path.ends_with("/branches/main");
        requests.iter().filter(|it| of_branch(&it.path)).count()
    };
    let now = reads(&world);
    let are_over = |world: &World| reads(world) >= now + 3;
    world.until("three more sweeps", are_over).await;
    world.settled().await;
    assert_eq!(applies(&world).len(), 2);
    world.finish().await;
}

/// GitHub may show a branch as it was a moment ago. What a run read just before is not taken for reverted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_head_that_github_shows_a_moment_later_takes_nothing_back() {
    let mut world = World::start().await;
    let requests = [("layers/demo.yaml", "packages: [demo-app]\n")];
    let killed = merge_and_kill(&mut world, Moment::Planned, &requests).await;
    // However long the machine takes to go on, it has read the branch just now.
    let store = Connection::open(world.store()).unwrap();
    let sql = "UPDATE steps SET finished_at = finished_at + 3600 WHERE name IN ('read', 'reread')";
    store.execute(sql, []).unwrap();
    let older = json!({"name": "main", "commit": {"sha": killed.base}, "protected": false});
    let older = Fault::Status(200, Vec::new(), older.to_string());
    let branch = Matcher::new("GET", "/branches/main");
    world.github.fail_next(branch, older, 1000);
    world.start_bot().await;
    let is_over = |world: &World| applies(world) == ["done"];
    world.until("the run is over", is_over).await;
    world.github.end_faults();
    world.settled().await;
    assert_eq!(
        in_state(&world, "live"),
        ["demo eu-west-1", "demo us-east-1"]
    );
    let check = world.check(&killed.merged);
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:?}");
    world.comment(killed.number);
    world.finish().await;
}
