//! `align_versions`: a region that is behind is brought to the number that the others have.

use super::Desk;
use layersmith_testbed::index::Wheel;
use serde_json::{Value, json};

/// Numbers and descriptions of the versions that are there.
fn there(desk: &Desk, region: &str) -> Vec<(u64, String)> {
    let folder = desk.data(&format!("registry/{region}/Layersmith-p313-core"));
    let mut found: Vec<(u64, String)> = super::files_below(&folder)
        .into_iter()
        .filter_map(|(name, content)| {
            let number = name.strip_suffix(".json")?.parse().ok()?;
            let record: Value = serde_json::from_slice(&content).unwrap();
            let description = record["description"].as_str().unwrap().to_owned();
            (record["deleted"] == json!(false)).then_some((number, description))
        })
        .collect();
    found.sort();
    found
}

fn policy(desk: &Desk, regions: &str, more: &str) {
    let text = format!(
        "python: [\"3.13\"]\narchitectures: [x86_64]\nregions: {regions}\nindex_url: {}\n{more}",
        desk.index.url()
    );
    desk.write(".github/layersmith.yaml", &text);
}

/// A layer that is at version 4 in one region.
async fn at_version_four(more: &str) -> Desk {
    let desk = Desk::new().await;
    policy(&desk, "[eu-west-1]", more);
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    for version in ["1.0.0", "2.0.0", "3.0.0", "4.0.0"] {
        if version != "1.0.0" {
            let wheel = Wheel::new("demo-core", version);
            desk.index.publish(wheel.module("demo_core", version));
        }
        assert_eq!(desk.run(&["upgrade"]).code, 0);
    }
    desk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_region_gets_the_number_of_the_others() {
    let desk = at_version_four("align_versions: true\n").await;
    policy(&desk, "[eu-west-1, us-east-1]", "align_versions: true\n");
    insta::assert_snapshot!(desk.run(&["plan"]).stdout, @"
    core
      p3.13        backfill  4.0.0, to us-east-1 (1.3 KiB of 50 MiB zipped, 0.5 KiB of 250 MiB unzipped), brought to version number 4 by up to 3 versions that are deleted at once in each region

    1 layer × 1 target would be published to 1 region.
    ");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let there = there(&desk, "us-east-1");
    assert_eq!(there.len(), 1, "{there:?}");
    assert_eq!(there[0].0, 4);
    assert!(there[0].1.starts_with("core 4.0.0 | sha256:"), "{there:?}");
    for (path, content) in desk.tables() {
        let text = String::from_utf8(content).unwrap();
        for number in 1..4 {
            let arn = format!("us-east-1:123456789012:layer:Layersmith-p313-core:{number}");
            assert!(
                !text.contains(&format!("{arn}`")) && !text.contains(&format!("{arn}\r")),
                "{path}: {text}"
            );
        }
    }
    assert_eq!(desk.run(&["verify"]).code, 0);
    // The next release has the same number everywhere, and nothing is thrown away for it.
    desk.index
        .publish(Wheel::new("demo-core", "5.0.0").module("demo_core", "5"));
    let said = desk.run(&["upgrade"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        desk.published()
            .contains(&"us-east-1/Layersmith-p313-core/5".to_owned())
    );
    assert!(
        !desk
            .published()
            .contains(&"us-east-1/Layersmith-p313-core/6".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_of_aligning_is_deleted_and_never_adopted() {
    let desk = at_version_four("align_versions: true\n").await;
    policy(&desk, "[eu-west-1, us-east-1]", "align_versions: true\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    // As if the process had ended between publishing and deleting the second one.
    let left = desk.data("registry/us-east-1/Layersmith-p313-core/2.json");
    let text = std::fs::read_to_string(&left).unwrap();
    std::fs::write(
        &left,
        text.replace("\"deleted\": true", "\"deleted\": false"),
    )
    .unwrap();
    let zip = desk.data("registry/us-east-1/Layersmith-p313-core/4.zip");
    std::fs::copy(&zip, left.with_extension("zip")).unwrap();
    let size = std::fs::metadata(&zip).unwrap().len();
    let mut record: Value = serde_json::from_str(&std::fs::read_to_string(&left).unwrap()).unwrap();
    record["size"] = json!(size);
    std::fs::write(&left, record.to_string()).unwrap();
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-core:2
      left over from aligning version numbers
    5 versions read back: 1 wrong.
    `layersmith verify --repair` mends what can be mended.
    ");
    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let numbers: Vec<u64> = there(&desk, "us-east-1")
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(numbers, [4]);
    let table = String::from_utf8(desk.tables()["p3.13/us-east-1.csv"].clone()).unwrap();
    assert_eq!(table.lines().count(), 2, "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aligning_that_was_cut_short_goes_on_from_the_number_it_had_come_to() {
    let desk = at_version_four("align_versions: true\n").await;
    policy(&desk, "[eu-west-1, us-east-1]", "align_versions: true\n");
    // Killed when it had come to the number 2.
    let folder = desk.data("registry/us-east-1/Layersmith-p313-core");
    std::fs::create_dir_all(&folder).unwrap();
    let from = desk.data("registry/eu-west-1/Layersmith-p313-core");
    for number in [1, 2] {
        let record = std::fs::read_to_string(from.join("4.json")).unwrap();
        let mut record: Value = serde_json::from_str(&record).unwrap();
        record["description"] = json!("Layersmith: made to get to a version number, to be deleted");
        record["deleted"] = json!(number == 1);
        std::fs::write(folder.join(format!("{number}.json")), record.to_string()).unwrap();
    }
    std::fs::copy(from.join("4.zip"), folder.join("2.zip")).unwrap();
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let numbers: Vec<u64> = there(&desk, "us-east-1").iter().map(|it| it.0).collect();
    assert_eq!(numbers, [4]);
    assert!(
        desk.tables()
            .iter()
            .all(|(_, text)| !String::from_utf8_lossy(text).contains("to be deleted"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_it_numbers_differ_and_the_page_says_so() {
    let desk = at_version_four("").await;
    policy(&desk, "[eu-west-1, us-east-1]", "");
    let plan = desk.run(&["plan"]).stdout;
    assert!(!plan.contains("deleted at once"), "{plan}");
    assert_eq!(desk.run(&["apply"]).code, 0);
    assert_eq!(there(&desk, "us-east-1")[0].0, 1);
    let page = String::from_utf8(desk.tables()["layers/core.md"].clone()).unwrap();
    assert!(
        page.contains("The number at the end of the ARN differs between regions"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_comes_back_after_its_versions_are_gone_gets_the_number_of_the_others() {
    let aligned = "align_versions: true\nexpire_after_days: 30\n";
    let desk = at_version_four(aligned).await;
    policy(&desk, "[eu-west-1, us-east-1]", aligned);
    assert_eq!(desk.run(&["apply"]).code, 0);
    policy(&desk, "[eu-west-1]", aligned);
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.days_pass(31);
    assert_eq!(desk.run(&["expire"]).code, 0);
    assert_eq!(there(&desk, "us-east-1"), []);
    desk.index
        .publish(Wheel::new("demo-core", "5.0.0").module("demo_core", "5"));
    assert_eq!(desk.run(&["upgrade"]).code, 0);
    // The number after the one that is gone is the number of the others: nothing is thrown away.
    policy(&desk, "[eu-west-1, us-east-1]", aligned);
    let planned = desk.run(&["plan"]);
    assert!(!planned.stdout.contains("brought to"), "{planned:#?}");
    assert_eq!(desk.run(&["apply"]).code, 0);
    let numbers = |region| -> Vec<u64> {
        let there = there(&desk, region).into_iter();
        there.map(|(number, _)| number).collect()
    };
    assert_eq!(numbers("us-east-1"), [5]);
    assert_eq!(numbers("eu-west-1").last(), Some(&5));
}
