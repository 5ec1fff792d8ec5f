//! `store copy`: a catalog's memory from one machine to many, and back.

use super::{Desk, Said};
use layersmith::store::table_definition;
use layersmith_testbed::moto::Moto;
use std::process::Stdio;
use std::time::{Duration, Instant};

const REGION: &str = "eu-central-1";
const TABLE: &str = "layersmith";

/// A desk that has published something, and a table with nothing in it.
async fn desk_and_table() -> (Desk, Moto) {
    let mut desk = Desk::new().await;
    let moto = Moto::start_serial().await;
    for (name, value) in [
        ("AWS_ENDPOINT_URL", moto.endpoint().as_str()),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        desk.options.set(name, value);
    }
    moto.make_table(REGION, TABLE, &table_definition()).await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    (desk, moto)
}

fn sqlite(desk: &Desk, name: &str) -> String {
    format!("sqlite:{}", desk.data(name).display())
}

fn table() -> String {
    format!("dynamodb:{TABLE}")
}

fn copy(desk: &Desk, from: &str, to: &str) -> Said {
    desk.run(&["store", "copy", "--from", from, "--to", to])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_moves_to_dynamodb_and_back_and_goes_on_there() {
    let (mut desk, _moto) = desk_and_table().await;
    let (old, back) = (sqlite(&desk, "store.sqlite"), sqlite(&desk, "back.sqlite"));
    let said = copy(&desk, &old, &table());
    assert_eq!(said.code, 0, "{said:#?}");
    let first = said.stdout.lines().next().unwrap();
    assert!(
        first.ends_with("/store.sqlite is in dynamodb:layersmith: 3 records"),
        "{said:#?}"
    );
    assert!(said.stdout.contains("2 layer versions\n"), "{said:#?}");
    assert!(said.stderr.contains("copied 3/3"), "{said:#?}");
    let again = copy(&desk, &old, &table());
    assert!(
        again.stdout.contains("3 records, 3 of them before\n"),
        "{again:#?}"
    );

    // It goes on there, and what is asked for from there is the same.
    desk.options.set("LAYERSMITH_STORE", table());
    let said = desk.run(&["apply"]);
    assert!(
        said.stdout.contains("Nothing had to be published"),
        "{said:#?}"
    );
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let said = desk.run(&["doctor"]);
    assert!(said.stdout.contains("dynamodb:layersmith"), "{said:#?}");

    // Back again; the old file is another one by now.
    let (code, value) = desk.json(&["store", "copy", "--from", &table(), "--to", &back]);
    assert_eq!(code, 0, "{value:#}");
    assert_eq!(value["copied"]["records"]["layer versions"], 4, "{value:#}");
    assert_eq!(value["copied"]["written"], 6, "{value:#}");
    let refused = copy(&desk, &old, &back);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(
        refused
            .stderr
            .contains("the target holds what the source does not: `core"),
        "{refused:#?}"
    );
    desk.options.set("LAYERSMITH_STORE", back);
    let said = desk.run(&["apply"]);
    assert!(
        said.stdout.contains("Nothing had to be published"),
        "{said:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_killed_goes_on() {
    let (desk, moto) = desk_and_table().await;
    let old = sqlite(&desk, "store.sqlite");
    let mut copying = desk
        .command(&["store", "copy", "--from", &old, "--to", &table()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // The first thing that is written is the turn, the next a part of the copy.
    while moto.items(REGION, TABLE).await.len() < 2 {
        assert!(Instant::now() < deadline, "nothing is copied");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    copying.kill().unwrap();
    copying.wait().unwrap();
    // The turn of a process that was killed runs out; a test does not wait for that.
    moto.remove_item(REGION, TABLE, "LEASE", "PUBLISH").await;
    let said = copy(&desk, &old, &table());
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.stdout.contains("Read back, both are the same"),
        "{said:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_copied_is_refused() {
    let desk = Desk::new().await;
    let refused = |from: &str, to: &str, why: &str| {
        let said = copy(&desk, from, to);
        assert_eq!(said.code, 2, "{said:#?}");
        assert!(said.stderr.contains(why), "{said:#?}");
    };
    let nowhere = sqlite(&desk, "nowhere.sqlite");
    refused(&nowhere, &table(), "there is no store at ");
    refused(&nowhere, &nowhere, "are the same store");
    refused(&table(), &table(), "are the same store");
    refused("postgres:layers", &table(), "is not a store");
    refused(&table(), "dynamodb:no table", "is not a store");
    assert!(!desk.data("nowhere.sqlite").exists());
}
