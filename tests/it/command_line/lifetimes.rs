//! `expire`, `upgrade` and `status`: what time brings.

use super::Desk;
use layersmith_testbed::index::Wheel;
use rusqlite::Connection;
use serde_json::{Value, json};

fn core(version: &str) -> Wheel {
    Wheel::new("demo-core", version)
        .module("demo_core", &format!("VALUE = '{version}'\n"))
        .license("MIT")
}

/// `layer version status` of each line of a table of the first region.
fn listed(desk: &Desk) -> Vec<String> {
    let table = String::from_utf8(desk.tables()["p3.13/eu-west-1.csv"].clone()).unwrap();
    let lines = table.lines().skip(1);
    lines
        .map(|line| line.split(',').take(3).collect::<Vec<_>>().join(" "))
        .collect()
}

/// Versions of a layer that are there in the first region.
fn there(desk: &Desk, layer: &str) -> Vec<u64> {
    let folder = desk.data(&format!("registry/eu-west-1/Layersmith-p313-{layer}"));
    let mut numbers: Vec<u64> = super::files_below(&folder)
        .into_iter()
        .filter_map(|(name, content)| {
            let number = name.strip_suffix(".json")?.parse().ok()?;
            let record: Value = serde_json::from_slice(&content).unwrap();
            (record["deleted"] == json!(false)).then_some(number)
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_is_deleted_and_what_is_kept_never_is() {
    let desk = Desk::new().await;
    desk.policy("expire_after_days: 30");
    // 2.2 is kept, and 2.20 is another version.
    desk.write(
        "layers/core.yaml",
        "packages: [demo-core]\nkeep: [\"2.2\"]\n",
    );
    desk.write("layers/demo.yaml", "packages: [demo-app ==1.0.0]\n");
    for version in ["2.2.3", "2.20.0", "3.0.0"] {
        desk.index.publish(core(version));
        let said = desk.run(&["upgrade"]);
        assert_eq!(said.code, 0, "{said:#?}");
    }
    desk.remove("layers/demo.yaml");
    assert_eq!(desk.run(&["apply"]).code, 0);
    let before = [
        "core 3.0.0 latest",
        "core 2.20.0 deprecated",
        "core 2.2.3 deprecated",
    ];
    // What the app had is rebuilt with each release of its core, so that there are three of it.
    assert_eq!(listed(&desk)[..3], before);
    assert_eq!(listed(&desk).len(), 6, "{:?}", listed(&desk));
    let table = String::from_utf8(desk.tables()["p3.13/eu-west-1.csv"].clone()).unwrap();
    assert!(table.contains("core,2.2.3,deprecated,,arn:"), "{table}");

    desk.days_pass(29);
    let said = desk.run(&["expire"]);
    assert_eq!(said.code, 0, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    Nothing has expired.
    Tables in [HERE]/catalog/layers/arns: 13 files written, 0 removed.
    ");
    assert_eq!(listed(&desk).len(), 6);

    // A mistake in a file takes nothing away.
    desk.days_pass(2);
    desk.write("layers/core.yaml", "packages: nonsense here\n");
    desk.write("layers/demo.yaml", "packages: nonsense here\n");
    let said = desk.run(&["expire"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(there(&desk, "core"), [1, 2, 3]);
    desk.write(
        "layers/core.yaml",
        "packages: [demo-core]\nkeep: [\"2.2\"]\n",
    );
    desk.remove("layers/demo.yaml");

    let (code, value) = desk.json(&["expire"]);
    assert_eq!(code, 0, "{value}");
    assert_eq!(value["deleted"].as_array().unwrap().len(), 8, "{value}");
    assert_eq!(there(&desk, "core"), [1, 3]);
    assert_eq!(there(&desk, "demo"), [0_u64; 0]);
    assert_eq!(
        listed(&desk),
        ["core 3.0.0 latest", "core 2.2.3 deprecated"]
    );
    insta::assert_snapshot!(desk.run(&["expire"]).stdout, @"
    Nothing has expired.
    Tables in layers/arns: nothing to change.
    ");

    // Kept no longer, it gets a date, counted from then on.
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    assert_eq!(desk.json(&["expire"]).1["deleted"], json!([]));
    desk.days_pass(29);
    assert_eq!(desk.json(&["expire"]).1["deleted"], json!([]));
    desk.days_pass(1);
    assert_eq!(
        desk.json(&["expire"]).1["deleted"],
        json!([
            "arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-core:1",
            "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-core:1"
        ])
    );
    assert_eq!(listed(&desk), ["core 3.0.0 latest"]);
    let verified = desk.run(&["verify"]);
    assert_eq!(verified.code, 0, "{verified:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_that_was_cut_short_is_mended_by_the_next() {
    let desk = Desk::new().await;
    desk.write("layers/core.yaml", "packages: [demo-core ==1.0.0]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.index.publish(core("2.0.0"));
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.days_pass(366);
    // One region's folder cannot be written.
    let region = desk.data("registry/us-east-1");
    let aside = desk.data("registry/aside");
    std::fs::rename(&region, &aside).unwrap();
    std::fs::write(&region, "").unwrap();
    let said = desk.run(&["expire"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    Deleted 1 version:
      arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-core:1
    FAILED: arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-core:1: no answer: Not a directory (os error 20)
    Tables in [HERE]/catalog/layers/arns: 10 files written, 0 removed.
    ");
    std::fs::remove_file(&region).unwrap();
    std::fs::rename(&aside, &region).unwrap();
    // Deleted in the registry, and not yet written down, as after a crash.
    let record = region.join("Layersmith-p313-core/1.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(
        &record,
        text.replace("\"deleted\": false", "\"deleted\": true"),
    )
    .unwrap();
    let (code, value) = desk.json(&["expire"]);
    assert_eq!((code, value["deleted"].as_array().unwrap().len()), (0, 1));
    assert_eq!(desk.run(&["verify"]).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_carries_out_everything_that_changed() {
    let desk = Desk::new().await;
    desk.write("layers/core.yaml", "packages: [demo-core<3]\n");
    desk.write("layers/native.yaml", "packages: [demo-native]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    let same = desk.run(&["upgrade"]);
    assert_eq!(same.code, 0, "{same:#?}");
    insta::assert_snapshot!(same.stdout, @"
    Nothing had to be published.
    Tables in layers/arns: nothing to change.
    ");

    // New releases, respecting pins; and a region, a prefix and a visibility of the policy.
    desk.index.publish(core("2.0.0"));
    desk.index.publish(core("3.0.0"));
    let policy = |regions: &str| {
        let text = format!(
            "python: [\"3.13\"]\narchitectures: [x86_64]\nprefix: Other\nvisibility: private\nregions: {regions}\nindex_url: {}\n",
            desk.index.url()
        );
        desk.write(".github/layersmith.yaml", &text);
    };
    policy("[eu-west-1, us-east-1, us-west-2]");
    let said = desk.run(&["upgrade"]);
    assert_eq!(said.code, 0, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    core
      p3.13        published 2.0.0 to 3 regions
                             arn:aws:lambda:us-east-1:123456789012:layer:Other-p313-core:1
    native
      p3.13        published 2.0.0 to 3 regions
                             arn:aws:lambda:us-east-1:123456789012:layer:Other-p313-native:1

    Published: 2 layers × 1 target, live in 3 regions.
    Tables in [HERE]/catalog/layers/arns: 18 files written, 0 removed.
    Permissions: 4 versions brought to what the policy says.
    ");
    assert_eq!(
        listed(&desk),
        [
            "core 2.0.0 latest",
            "core 1.0.0 deprecated",
            "native 2.0.0 latest",
            "native 2.0.0 deprecated"
        ]
    );
    assert!(desk.tables().contains_key("p3.13/us-west-2.csv"));
    let record = desk.data("registry/eu-west-1/Layersmith-p313-core/1.json");
    let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    assert_eq!(record["allowed"], json!([]), "taken back from the old one");
    let verified = desk.run(&["verify"]);
    assert_eq!(verified.code, 0, "{verified:#?}");

    // A layer that cannot be rebuilt stays as it is, and gets to a new region all the same.
    desk.index
        .publish(Wheel::new("demo-native", "9.0.0").file("../outside.py", "x"));
    policy("[eu-west-1, sa-east-1, us-east-1, us-west-2]");
    let said = desk.run(&["upgrade"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    core
      p3.13        published 2.0.0 to 1 more region, live in 4
                             arn:aws:lambda:sa-east-1:123456789012:layer:Other-p313-core:1
    native
      p3.13        published 2.0.0 to 1 more region, live in 4
                             arn:aws:lambda:sa-east-1:123456789012:layer:Other-p313-native:1

    Published: 2 layers × 1 target, live in 4 regions.
    Tables in [HERE]/catalog/layers/arns: 12 files written, 0 removed.
    NOT UPGRADED: native p3.13: `demo_native-9.0.0-py3-none-any.whl` cannot be used: it holds the name `../outside.py`, which leads out of its folder.
    ");
}

/// What was built is gone, and its lock gives other bytes by now: an apply could give it to no region.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_replaces_a_zip_that_cannot_be_had_any_more() {
    let desk = Desk::new().await;
    let request = "packages: [demo-app]\nregions: [eu-west-1]\n";
    desk.write("layers/demo.yaml", request);
    assert_eq!(desk.run(&["apply"]).code, 0);
    let store = Connection::open(desk.data("store.sqlite")).unwrap();
    let lost = "f".repeat(64);
    let sql = "UPDATE builds SET record = replace(record, digest, ?1), digest = ?1";
    assert_eq!(store.execute(sql, [&lost]).unwrap(), 1);
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stdout.contains(" is gone, "), "{said:#?}");
    assert_eq!(desk.published().len(), 1);
    let said = desk.run(&["upgrade"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(
        desk.published(),
        [
            "eu-west-1/Layersmith-p313-demo/1",
            "us-east-1/Layersmith-p313-demo/1"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_not_there_has_no_status() {
    let desk = Desk::new().await;
    let said = desk.run(&["status", "apply-1"]);
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @"error: there is no run `apply-1` in this store");
}
