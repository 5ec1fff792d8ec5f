//! `verify`: what the registry has, against what is recorded.

use super::Desk;
use layersmith_testbed::index::Wheel;
use serde_json::{Value, json};
use std::path::PathBuf;

fn record(desk: &Desk, region: &str, version: u64) -> PathBuf {
    desk.data(&format!(
        "registry/{region}/Layersmith-p313-demo/{version}.json"
    ))
}

fn change(desk: &Desk, region: &str, version: u64, change: impl FnOnce(&mut Value)) {
    let path = record(desk, region, version);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(&path, value.to_string()).unwrap();
}

/// A layer with a live and a superseded version in two regions.
async fn two_versions(policy: &str) -> Desk {
    let desk = Desk::new().await;
    desk.policy(policy);
    desk.write("layers/demo.yaml", "packages: [demo-app ==1.0.0]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_wrong_right_after_an_apply() {
    let desk = two_versions("").await;
    let before = desk.published();
    for arguments in [&["verify"][..], &["verify", "--repair"]] {
        let said = desk.run(arguments);
        assert_eq!(said.code, 0, "{said:#?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.stdout.lines().next().unwrap(), @"4 versions read back: nothing is wrong.");
        }
    }
    assert_eq!(desk.published(), before);
    let said = desk.run(&["verify", "--push"]);
    assert_eq!(said.code, 2, "what is not repaired is not pushed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_for_each_version_and_mended() {
    let desk = two_versions("").await;
    let deleted = |value: &mut Value| value["deleted"] = json!(true);
    change(&desk, "eu-west-1", 2, deleted);
    change(&desk, "eu-west-1", 1, deleted);
    change(&desk, "us-east-1", 2, |value| value["allowed"] = json!([]));
    change(&desk, "us-east-1", 1, |value| {
        value["allowed"] = json!(["everyone", {"account": "111111111111"}]);
    });
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:1
      missing: AWS does not have it
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:2
      missing: AWS does not have it
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1
      shared otherwise: others may use it than the policy says
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2
      not shared: not everybody may use it whom the policy names
    4 versions read back: 4 wrong.
    `layersmith verify --repair` mends what can be mended.
    ");
    let again = desk.run(&["verify"]);
    assert_eq!(again.stdout, said.stdout, "looking changes nothing");

    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(said.code, 0, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:1
      missing: AWS does not have it
      taken off the tables
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:2
      missing: AWS does not have it
      published anew as arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:3
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1
      shared otherwise: others may use it than the policy says
      shared as the policy says
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2
      not shared: not everybody may use it whom the policy names
      shared as the policy says
    4 versions read back: 4 wrong, 4 mended.
    Tables in [HERE]/catalog/layers/arns: 8 files written, 0 removed.
    ");
    let table = String::from_utf8(desk.tables()["p3.13/eu-west-1.csv"].clone()).unwrap();
    assert!(table.contains("Layersmith-p313-demo:3") && !table.contains("demo:1"));
    assert_eq!(desk.run(&["verify"]).code, 0);
    assert_eq!(
        desk.run(&["apply"]).stdout.lines().next(),
        Some("Nothing had to be published.")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_zip_under_a_number_is_published_anew_and_left_alone() {
    let desk = two_versions("").await;
    let other = "0".repeat(64);
    change(&desk, "us-east-1", 2, |value| {
        value["digest"] = json!(other)
    });
    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(said.code, 0, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2
      other digest: AWS has a zip with sha256:0000000000000000
      published anew as arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:3
    4 versions read back: 1 wrong, 1 mended.
    Tables in [HERE]/catalog/layers/arns: 8 files written, 0 removed.
    ");
    // It is nobody's now, and nothing that is known: only said.
    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2
      unknown to us: it is none of the builds that are known
    4 versions read back: 1 wrong.
    Tables in layers/arns: nothing to change.
    ");
    assert!(record(&desk, "us-east-1", 2).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_nobody_recorded_is_adopted_when_it_is_a_known_build() {
    let desk = two_versions("").await;
    // As if the store were one from before the second publication: the registry knows more than it.
    let (from, to) = (record(&desk, "us-east-1", 2), record(&desk, "us-east-1", 7));
    std::fs::copy(&from, &to).unwrap();
    std::fs::copy(from.with_extension("zip"), to.with_extension("zip")).unwrap();
    change(&desk, "us-east-1", 7, |value| value["allowed"] = json!([]));
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 1);
    insta::assert_snapshot!(said.stdout, @"
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:7
      unknown to us: it is demo 1.1.0 for p3.13, and nobody recorded it
    4 versions read back: 1 wrong.
    `layersmith verify --repair` mends what can be mended.
    ");
    assert_eq!(desk.run(&["verify", "--repair"]).code, 0);
    let table = String::from_utf8(desk.tables()["p3.13/us-east-1.csv"].clone()).unwrap();
    let adopted = table.lines().find(|line| line.ends_with("demo:7")).unwrap();
    assert!(adopted.starts_with("demo,1.1.0,deprecated,20"), "{adopted}");
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 0, "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_cannot_be_read_is_said_and_not_wrong() {
    let desk = two_versions("").await;
    let region = desk.data("registry/us-east-1");
    let aside = desk.data("registry/aside");
    std::fs::rename(&region, &aside).unwrap();
    std::fs::write(&region, "").unwrap();
    let tables = desk.tables();
    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    NOT VERIFIED: us-east-1: no answer: Not a directory (os error 20)
    2 versions read back: nothing is wrong. 1 region could not be asked.
    Tables in layers/arns: nothing to change.
    ");
    assert!(tables == desk.tables(), "nothing of it left the tables");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrade_apply_and_repair_at_once_publish_each_zip_once() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write("layers/native.yaml", "packages: [demo-native]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.index
        .publish(Wheel::new("demo-core", "2.0.0").module("demo_core", "VALUE = 2\n"));
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    let native = desk.data("registry/us-east-1/Layersmith-p313-native/1.json");
    let text = std::fs::read_to_string(&native).unwrap();
    std::fs::write(
        &native,
        text.replace("\"deleted\": false", "\"deleted\": true"),
    )
    .unwrap();
    let spawn = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command.stdout(std::process::Stdio::piped());
        command
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let running = [
        spawn(&["upgrade"]),
        spawn(&["apply"]),
        spawn(&["verify", "--repair"]),
        spawn(&["upgrade"]),
    ];
    for process in running {
        let said = desk.said(process.wait_with_output().unwrap());
        assert_eq!(said.code, 0, "{said:#?}");
    }
    let published = |layer: &str| -> Vec<String> {
        let all = desk.published().into_iter();
        all.filter(|path| path.contains(layer)).collect()
    };
    assert_eq!(published("core").len(), 2, "{:?}", published("core"));
    assert_eq!(published("demo").len(), 4, "{:?}", published("demo"));
    assert_eq!(published("native").len(), 3, "{:?}", published("native"));
    assert_eq!(desk.run(&["verify"]).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_repair_forgot_before_it_was_cut_short_is_published_by_the_next() {
    let desk = two_versions("").await;
    change(&desk, "eu-west-1", 2, |value| {
        value["deleted"] = json!(true)
    });
    // As if it had been killed right after it took the lost version off the tables.
    let store = rusqlite::Connection::open(desk.data("store.sqlite")).unwrap();
    let sql =
        "UPDATE layer_versions SET state = 'deleted' WHERE state = 'live' AND region = 'eu-west-1'";
    assert_eq!(store.execute(sql, []).unwrap(), 1);
    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let told: Vec<&str> = said.stdout.lines().take(3).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:3
      was missing, is published
    3 versions read back: nothing else is wrong.
    ");
    let table = String::from_utf8(desk.tables()["p3.13/eu-west-1.csv"].clone()).unwrap();
    assert!(table.contains("Layersmith-p313-demo:3"), "{table}");
    assert_eq!(desk.run(&["verify"]).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_of_a_catalog_whose_prefix_is_longer_are_nobodys_business() {
    let desk = two_versions("").await;
    let ours = desk.data("registry/us-east-1/Layersmith-p313-demo");
    let theirs = desk.data("registry/us-east-1/Layersmith-prod-p313-demo");
    std::fs::create_dir(&theirs).unwrap();
    for file in ["1.json", "1.zip"] {
        std::fs::copy(ours.join(file), theirs.join(file)).unwrap();
    }
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 0, "{said:#?}");
    // One of the catalog's own that nobody recorded is found there.
    let unknown = desk.data("registry/us-east-1/Layersmith-p312-demo");
    std::fs::rename(&theirs, &unknown).unwrap();
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(
        said.stdout
            .contains("Layersmith-p312-demo:1\n  unknown to us")
    );
}

/// Who looks in the wrong place finds nothing, and must not publish everything there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_mended_where_nothing_of_what_is_recorded_is_there() {
    let mut desk = Desk::new().await;
    let text = format!(
        "python: [\"3.11\", \"3.12\", \"3.13\"]\narchitectures: [x86_64, arm64]\nregions: [eu-west-1, us-east-1]\nindex_url: {}\n",
        desk.index.url()
    );
    desk.write(".github/layersmith.yaml", &text);
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    let before = desk.published();
    let elsewhere = desk.data("elsewhere");
    let registry = format!("dir:{}", elsewhere.display());
    desk.options.set("LAYERSMITH_REGISTRY", registry);
    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(
        said.stderr
            .contains("none of the 12 recorded versions is there"),
        "{said:#?}"
    );
    assert_eq!(desk.published(), before);
    let record = elsewhere.join("eu-west-1/Layersmith-p313-demo/1.json");
    assert!(!record.exists());
    let said = desk.run(&["verify", "--repair", "--all-missing"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(record.exists());
    let said = desk.run(&["verify", "--all-missing"]);
    assert_eq!(said.code, 2, "{said:#?}");
}
