//! What time sets off in `serve`: upgrades, expiry and verification, once each, and what owners hear of it.

use crate::resume::hook;
use crate::world::{World, age_store, normalize};
use layersmith::store::{SqliteStore, Store as _};
use layersmith_testbed::github::DeliveryMode;
use layersmith_testbed::index::Wheel;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const REQUEST: (&str, &str) = (
    "layers/demo.yaml",
    "packages: [demo-app]\nowners: [octocat, hubot]\n",
);

fn core(version: &str) -> Wheel {
    Wheel::new("demo-core", version)
        .module("demo_core", &format!("VALUE = '{version}'\n"))
        .license("MIT")
}

/// Scheduled runs as `kind state`, oldest first.
fn runs(world: &World) -> Vec<String> {
    let sql = "SELECT kind || ' ' || state FROM runs WHERE kind NOT IN ('plan', 'apply') ORDER BY sequence";
    let mut runs = world.query(sql);
    runs.sort();
    runs
}

/// The bot is away for so many days, and does then what is due; `expected` is how many scheduled runs there are after it.
async fn days_pass(world: &mut World, days: i64, expected: usize) {
    world.kill_bot();
    age_store(&world.store(), days);
    world.start_bot().await;
    all_done(world, expected).await;
}

async fn all_done(world: &World, expected: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let runs = runs(world);
        if runs.len() >= expected && runs.iter().all(|run| run.ends_with(" done")) {
            assert_eq!(runs.len(), expected, "{runs:?}");
            break;
        }
        assert!(
            Instant::now() < deadline,
            "{expected} runs are expected: {runs:?}\n{}",
            world.log()
        );
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    world.settled().await;
}

async fn merged() -> World {
    let world = World::start_with("upgrade: monthly\nexpire_after_days: 60\n", |_, _| {}).await;
    let number = world.pull_request(&[REQUEST]).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    world.conversation(number);
    world
}

fn table(world: &World) -> String {
    let path = "layers/arns/p3.13/us-east-1.csv";
    let table = world.github.file_at("main", path).unwrap();
    let line = |line: &str| line.split(',').take(3).collect::<Vec<_>>().join(" ");
    table
        .lines()
        .skip(1)
        .map(line)
        .collect::<Vec<_>>()
        .join(", ")
}

/// What the registry has of the layer for Python 3.13 in the first region.
fn registry(world: &World) -> PathBuf {
    let path = "data/registry/us-east-1/Layersmith-p313-demo";
    world.folder.path().join(path)
}

fn change(record: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(record, value.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_is_done_once_however_long_the_bot_was_away() {
    let mut world = merged().await;
    assert_eq!(runs(&world), [""; 0], "nothing is due right away");
    world.index.publish(core("2.0.0"));
    // A day: what has expired is deleted and what is published is read back; it is no time for an upgrade.
    days_pass(&mut world, 1, 2).await;
    assert_eq!(runs(&world), ["expire done", "verify done"]);
    assert_eq!(table(&world), "demo 1.1.0 latest");

    // Three months are one upgrade, not three.
    days_pass(&mut world, 92, 5).await;
    assert_eq!(table(&world), "demo 1.1.0 latest, demo 1.1.0 deprecated");
    let log = world.github.log("main");
    assert_eq!(log[0].message.lines().next(), Some("Layers: demo 1.1.0"));
    assert!(log[0].message.contains("\nLayersmith-Run: upgrade-20"));
    let applies = |world: &World| {
        let store = Connection::open(world.store()).unwrap();
        let sql = "SELECT count(*) FROM runs WHERE kind = 'apply'";
        store
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(applies(&world), 1, "its own commit sets nothing off");

    // Started again, it has nothing to do.
    world.kill_bot();
    world.start_bot().await;
    world.settled().await;
    assert_eq!(runs(&world).len(), 5);
    let id = world.log();
    let id = id
        .split_whitespace()
        .find(|word| word.starts_with("upgrade-20"))
        .unwrap()
        .trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let status = world.command(&["status", id]);
    let status = String::from_utf8(status.stdout).unwrap();
    for step in ["read", "upgrade", "publish/demo/p3.13", "tables", "owners"] {
        assert!(status.contains(&format!("done    {step}\n")), "{status}");
    }

    // What the upgrade superseded expires.
    days_pass(&mut world, 61, 8).await;
    days_pass(&mut world, 1, 10).await;
    assert_eq!(table(&world), "demo 1.1.0 latest");
    let messages: Vec<String> = world
        .github
        .log("main")
        .into_iter()
        .filter_map(|commit| commit.message.lines().next().map(str::to_owned))
        .collect();
    // The days that passed show in later dates as well.
    assert!(
        messages.contains(&"Layers: 8 versions expired".to_owned()),
        "{messages:#?}"
    );
    world.finish().await;
}

/// What was built is gone, and its lock gives other bytes by now: no region could ever be given it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zip_that_cannot_be_had_any_more_is_replaced_by_an_upgrade() {
    let mut world = merged().await;
    let store = Connection::open(world.store()).unwrap();
    let digest: String = store
        .query_row("SELECT digest FROM builds", [], |row| row.get(0))
        .unwrap();
    let lost = "f".repeat(64);
    let sql =
        "UPDATE builds SET record = replace(record, digest, ?1), digest = ?1 WHERE digest = ?2";
    assert_eq!(store.execute(sql, [&lost, &digest]).unwrap(), 4);
    days_pass(&mut world, 31, 3).await;
    let log = world.log();
    assert!(!log.contains("its zip is gone"), "{log}");
    // What it was built anew as is live already.
    assert_eq!(table(&world), "demo 1.1.0 latest");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_hear_of_a_rebuild_that_failed_once_and_that_it_works_again() {
    let mut world = merged().await;
    world
        .index
        .publish(Wheel::new("demo-core", "9.0.0").file("../outside.py", "x"));
    days_pass(&mut world, 31, 3).await;
    let issues = world.github.issues();
    assert_eq!(issues.len(), 1, "{issues:#?}");
    insta::assert_snapshot!(format!("{}\n{}", issues[0].title, issues[0].body.as_ref().unwrap()), @"
    demo could not be rebuilt
    <!-- layersmith:rebuild:demo -->
    @octocat @hubot: the scheduled rebuild of `demo` failed. What is published stays and goes on working; it gets no newer releases until this is mended.

    `p3.12`, `p3.12-arm64`, `p3.13`, `p3.13-arm64`: `demo_core-9.0.0-py3-none-any.whl` cannot be used: it holds the name `../outside.py`, which leads out of its folder.

    Change `layers/demo.yaml` in a pull request: it shows whether that helps. This issue closes when the layer can be rebuilt.
    ");
    assert_eq!(table(&world), "demo 1.1.0 latest", "what is live stays");

    // It fails again: the same issue.
    days_pass(&mut world, 31, 6).await;
    assert_eq!(world.github.issues().len(), 1);
    assert!(world.github.issues()[0].open);

    world.index.publish(core("10.0.0"));
    days_pass(&mut world, 31, 9).await;
    let issues = world.github.issues();
    assert_eq!((issues.len(), issues[0].open), (1, false));
    let body = issues[0].body.clone().unwrap();
    assert!(body.contains("It could be rebuilt again"), "{body}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_did_behind_the_bots_back_is_mended_by_the_day() {
    let mut world = merged().await;
    let registry = world.folder.path().join("data/registry/us-east-1");
    let record = registry.join("Layersmith-p313-demo/1.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(
        &record,
        text.replace("\"deleted\": false", "\"deleted\": true"),
    )
    .unwrap();
    days_pass(&mut world, 1, 2).await;
    let path = "layers/arns/p3.13/us-east-1.csv";
    let table = world.github.file_at("main", path).unwrap();
    assert!(table.contains("Layersmith-p313-demo:2"), "{table}");
    assert!(!table.contains("Layersmith-p313-demo:1"), "{table}");
    let log = world.github.log("main");
    assert_eq!(
        log[0].message.lines().next(),
        Some("Layers: 1 version not as recorded, mended")
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_is_killed_goes_on_from_its_journal() {
    let mut world = merged().await;
    world.index.publish(core("2.0.0"));
    // The push waits: everything is published by then, and nothing of it is in the tables.
    world.kill_bot();
    age_store(&world.store(), 31);
    let repository = hook(
        &world,
        "touch waiting\nwhile [ ! -e open ]; do sleep 0.02; done\nexit 1",
    );
    world.start_bot().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !repository.join("waiting").exists() {
        assert!(Instant::now() < deadline, "{}", world.log());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    world.kill_bot();
    std::fs::write(repository.join("open"), "").unwrap();
    std::fs::remove_file(repository.join("hooks/pre-receive")).unwrap();
    world.start_bot().await;
    all_done(&world, 3).await;
    assert_eq!(table(&world), "demo 1.1.0 latest, demo 1.1.0 deprecated");
    let registry = world.folder.path().join("data/registry/us-east-1");
    let versions = std::fs::read_dir(registry.join("Layersmith-p313-demo")).unwrap();
    let versions = versions.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().is_some_and(|name| name.ends_with(".json"))
    });
    assert_eq!(versions.count(), 2, "each zip is published once");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_took_long_is_mended_by_the_policy_that_holds_by_then() {
    let mut world = merged().await;
    let record = registry(&world).join("1.json");
    change(&record, |value| value["allowed"] = json!([]));
    world.kill_bot();
    age_store(&world.store(), 1);
    // Somebody else publishes: what was found waits for its turn.
    let other = SqliteStore::open(&world.store()).unwrap();
    let turn = other.turn_to_publish().await.unwrap();
    world.start_bot().await;
    let looked = |world: &World| {
        let store = Connection::open(world.store()).unwrap();
        let sql = "SELECT count(*) FROM steps WHERE name = 'observe'";
        let steps: i64 = store.query_row(sql, [], |row| row.get(0)).unwrap();
        steps == 1
    };
    world.until("the look is over", looked).await;
    world.kill_bot();
    world.github.set_delivery_mode(DeliveryMode::Lost);
    let path = ".github/layersmith.yaml";
    let mut policy = world.github.file_at("main", path).unwrap();
    policy.push_str("visibility: private\n");
    world
        .github
        .push("main", [(path, policy)], "platform")
        .await;
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    drop(turn);
    world.options.set("LAYERSMITH_SWEEP_INTERVAL", "1");
    world.start_bot().await;
    all_done(&world, 2).await;
    let records = ["p312", "p313"].map(|target| {
        let layer = format!("data/registry/us-east-1/Layersmith-{target}-demo");
        world.folder.path().join(layer).join("1.json")
    });
    let is_private = |_: &World| {
        records.iter().all(|record| {
            let value: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
            value["allowed"] == json!([])
        })
    };
    world.until("the new policy is applied", is_private).await;
    world.settled().await;
    let log = world.log();
    assert!(!log.contains("shared as the policy says"), "{log}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_that_could_not_be_mended_is_found_by_the_sweep() {
    let mut world = merged().await;
    let registry = registry(&world);
    change(&registry.join("1.json"), |value| {
        value["deleted"] = json!(true);
    });
    // What is in the way of the next version is out of the way after the verification.
    std::fs::create_dir(registry.join("2.zip")).unwrap();
    days_pass(&mut world, 1, 2).await;
    assert!(world.log().contains("NOT mended"), "{}", world.log());
    std::fs::remove_dir(registry.join("2.zip")).unwrap();
    world.kill_bot();
    world.options.set("LAYERSMITH_SWEEP_INTERVAL", "1");
    world.start_bot().await;
    let is_listed = |world: &World| {
        let path = "layers/arns/p3.13/us-east-1.csv";
        let table = world.github.file_at("main", path);
        table.is_some_and(|table| table.contains("Layersmith-p313-demo:2"))
    };
    world.until("it is published anew", is_listed).await;
    world.settled().await;
    assert_eq!(runs(&world), ["expire done", "verify done"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_away_soon_is_one_issue_until_it_is_gone() {
    let mut world = merged().await;
    world.index.publish(core("2.0.0"));
    days_pass(&mut world, 31, 3).await;
    assert_eq!(table(&world), "demo 1.1.0 latest, demo 1.1.0 deprecated");
    assert!(world.github.issues().is_empty(), "it goes in 60 days");

    days_pass(&mut world, 31, 6).await;
    let issues = world.github.issues();
    assert_eq!((issues.len(), issues[0].open), (1, true), "{issues:#?}");
    let body = issues[0].body.clone().unwrap();
    let title = normalize(&issues[0].title);
    // What differs is inside.
    assert_eq!(title, "An earlier build of demo 1.1.0 goes away on DATE");
    assert!(body.starts_with("<!-- layersmith:expiry:0 -->\n"), "{body}");
    let row = " | `demo` | an earlier build of `1.1.0` | ";
    assert!(body.contains(row), "{body}");

    // A day later it is the same issue, with the date as the store has it then.
    days_pass(&mut world, 1, 8).await;
    let issues = world.github.issues();
    assert_eq!((issues.len(), issues[0].open), (1, true), "{issues:#?}");
    let now = issues[0].body.clone().unwrap();
    assert_ne!(now, body);
    assert_eq!(normalize(&now), normalize(&body));

    days_pass(&mut world, 30, 11).await;
    assert_eq!(table(&world), "demo 1.1.0 latest");
    let issues = world.github.issues();
    assert_eq!((issues.len(), issues[0].open), (1, false), "{issues:#?}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_kept_by_now_is_not_deleted_by_a_run_that_was_killed_before() {
    let mut world = merged().await;
    world.index.publish(core("2.0.0"));
    days_pass(&mut world, 31, 3).await;
    let both = "demo 1.1.0 latest, demo 1.1.0 deprecated";
    assert_eq!(table(&world), both);
    world.kill_bot();
    age_store(&world.store(), 61);
    let other = SqliteStore::open(&world.store()).unwrap();
    let turn = other.turn_to_publish().await.unwrap();
    world.start_bot().await;
    let is_open = |world: &World| runs(world).contains(&"expire open".to_owned());
    world.until("the expiry waits for its turn", is_open).await;
    world.kill_bot();
    // As if it had been killed after it read the branch, and before it deleted what has expired.
    let journal = Connection::open(world.store()).unwrap();
    let sql = "INSERT INTO steps (run, name, state, output, started_at, finished_at)
               SELECT (SELECT id FROM runs WHERE kind = 'expire' AND state = 'open'), it.name, state, output, started_at, finished_at
               FROM steps, (SELECT 'read' AS name UNION SELECT 'reread') AS it
               WHERE run = (SELECT id FROM runs WHERE kind = 'upgrade' ORDER BY sequence LIMIT 1) AND steps.name = 'read'";
    assert_eq!(journal.execute(sql, []).unwrap(), 2);
    world.github.set_delivery_mode(DeliveryMode::Lost);
    let (path, mut text) = (REQUEST.0, REQUEST.1.to_owned());
    text.push_str("keep: [\"1.1.0\"]\n");
    world.github.push("main", [(path, text)], "platform").await;
    world.github.set_delivery_mode(DeliveryMode::Automatic);
    drop(turn);
    world.start_bot().await;
    let is_done = |world: &World| !runs(world).iter().any(|run| run.ends_with(" open"));
    world.until("the expiry is over", is_done).await;
    world.settled().await;
    assert_eq!(table(&world), both);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_of_what_is_recorded_is_there_nothing_is_mended_unasked() {
    let mut world = World::start().await;
    let requests = [
        ("layers/demo.yaml", "packages: [demo-app]\n"),
        ("layers/core.yaml", "packages: [demo-core]\n"),
    ];
    let number = world.pull_request(&requests).await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    world.conversation(number);
    world.kill_bot();
    age_store(&world.store(), 1);
    let elsewhere = world.folder.path().join("elsewhere");
    let usual = world.folder.path().join("data/registry");
    let registry = format!("dir:{}", elsewhere.display());
    world.options.set("LAYERSMITH_REGISTRY", registry);
    world.start_bot().await;
    let has_failed = |world: &World| runs(world).contains(&"verify failed".to_owned());
    world.until("the verification gives up", has_failed).await;
    world.settled().await;
    let log = world.log();
    assert!(
        log.contains("none of the 16 recorded versions is there"),
        "{log}"
    );
    let table = world.table("p3.13/us-east-1.csv");
    assert!(table.contains("Layersmith-p313-demo:1"), "{table}");
    assert!(!elsewhere.join("us-east-1").exists());

    let registry = format!("dir:{}", usual.display());
    world.options.set("LAYERSMITH_REGISTRY", registry);
    world.kill_bot();
    age_store(&world.store(), 1);
    world.start_bot().await;
    let is_done = |world: &World| runs(world).contains(&"verify done".to_owned());
    world.until("the next verification is done", is_done).await;
    world.settled().await;
    world.finish().await;
}
