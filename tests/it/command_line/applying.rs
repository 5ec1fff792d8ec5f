//! `apply`: what is published, recorded and written, and what a second run does.

use super::{Desk, files_below};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_publishes_once_and_a_second_run_has_nothing_to_do() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    demo
      p3.13        published 1.1.0 to 2 regions
                             arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1

    Published: 1 layer × 1 target, live in 2 regions.
    Tables in [HERE]/catalog/layers/arns: 12 files written, 0 removed.
    ");
    insta::assert_snapshot!(said.stderr, @"
    Building 1/1 demo p3.13
    Publishing 1/1 demo p3.13
    ");
    insta::assert_snapshot!(desk.published().join("\n"), @"
    eu-west-1/Layersmith-p313-demo/1
    us-east-1/Layersmith-p313-demo/1
    ");
    insta::assert_snapshot!(desk.tables().into_keys().collect::<Vec<_>>().join("\n"), @"
    README.md
    feeds/all.atom
    feeds/all.json
    feeds/layers/demo.atom
    feeds/layers/demo.json
    layers/demo.md
    p3.13/eu-west-1.csv
    p3.13/eu-west-1.json
    p3.13/eu-west-1.md
    p3.13/us-east-1.csv
    p3.13/us-east-1.json
    p3.13/us-east-1.md
    ");

    let before = (
        desk.published(),
        desk.tables(),
        files_below(&desk.data("registry")),
    );
    let again = desk.run(&["apply", "layers"]);
    assert_eq!(again.code, 0, "{again:#?}");
    insta::assert_snapshot!(again.stdout, @"
    Nothing had to be published.
    Tables in layers/arns: nothing to change.
    ");
    assert_eq!(again.stderr, "");
    let after = (
        desk.published(),
        desk.tables(),
        files_below(&desk.data("registry")),
    );
    assert!(before == after, "the second run changed something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_deprecates_what_was_and_a_removed_file_retires_it() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app ==1.0.0]\n");
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);

    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    insta::assert_snapshot!(desk.run(&["plan"]).stdout, @"
    core
      p3.13        keep      1.0.0, live in 2 regions
    demo
      p3.13        change    1.0.0 -> 1.1.0, to eu-west-1, us-east-1 (2.7 KiB of 50 MiB zipped, 1.2 KiB of 250 MiB unzipped)
                             bytecode: none (there is no CPython 3.13 where Layersmith runs)
                             import: not tested: isolation is turned off where Layersmith runs: LAYERSMITH_BWRAP is `off`
                             demo-app 1.1.0 (Apache-2.0), was 1.0.0
                             demo-core 1.0.0 (MIT)

    1 layer × 1 target would be published to 2 regions.
    ");
    let changed = desk.run(&["apply"]);
    assert_eq!(changed.code, 0, "{changed:#?}");
    insta::assert_snapshot!(changed.stdout, @"
    demo
      p3.13        published 1.1.0 to 2 regions
                             arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2

    Published: 1 layer × 1 target, live in 2 regions.
    Tables in [HERE]/catalog/layers/arns: 12 files written, 0 removed.
    ");
    let page = String::from_utf8(desk.tables()["p3.13/us-east-1.csv"].clone()).unwrap();
    let states: Vec<String> = page
        .lines()
        .map(|line| line.split(',').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        states,
        [
            "Package Package Version Status",
            "core 1.0.0 latest",
            "demo 1.1.0 latest",
            "demo 1.0.0 deprecated"
        ]
    );

    desk.remove("layers/demo.yaml");
    let retired = desk.run(&["apply"]);
    assert_eq!(retired.code, 0, "{retired:#?}");
    let text = without_dates(&retired.stdout);
    insta::assert_snapshot!(text, @"
    demo
      p3.13        retired   2 versions, usable until DATE

    Done: 1 layer deprecated.
    Tables in [HERE]/catalog/layers/arns: 12 files written, 0 removed.
    ");
    let json = String::from_utf8(desk.tables()["p3.13/us-east-1.json"].clone()).unwrap();
    assert!(!json.contains("demo"), "{json}");
    let again = desk.run(&["apply"]);
    assert!(
        again.stdout.starts_with("Nothing had to be published."),
        "{again:#?}"
    );
}

/// Replaces dates, which depend on the day.
fn without_dates(text: &str) -> String {
    let words: Vec<String> = text
        .split(' ')
        .map(|word| {
            let digits = word.chars().filter(char::is_ascii_digit).count();
            let dashes = word.matches('-').count();
            if digits == 8 && dashes == 2 {
                format!(
                    "DATE{}",
                    word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-')
                )
            } else {
                word.to_owned()
            }
        })
        .collect();
    words.join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_fails_stops_no_other_and_is_made_up_for_alone() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    // A file where the region's folder would be: that region takes nothing.
    let region = desk.data("registry/us-east-1");
    std::fs::create_dir_all(region.parent().unwrap()).unwrap();
    std::fs::write(&region, "").unwrap();
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    demo
      p3.13        published 1.1.0 to 1 region
                             arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:1
                             FAILED    us-east-1: no answer: Not a directory (os error 20) (another try may help)

    Published in part: 1 of 2 versions are live, 1 failed.
    Tables in [HERE]/catalog/layers/arns: 9 files written, 0 removed.
    ");
    assert_eq!(desk.published(), ["eu-west-1/Layersmith-p313-demo/1"]);
    let tables = desk.tables();
    let listed = |path: &str| {
        tables
            .get(path)
            .is_some_and(|table| String::from_utf8_lossy(table).contains("Layersmith-p313-demo"))
    };
    assert!(listed("p3.13/eu-west-1.md"));
    assert!(!listed("p3.13/us-east-1.md"), "a failed region is listed");

    std::fs::remove_file(&region).unwrap();
    let again = desk.run(&["apply"]);
    assert_eq!(again.code, 0, "{again:#?}");
    insta::assert_snapshot!(again.stdout, @"
    demo
      p3.13        published 1.1.0 to 1 more region, live in 2
                             arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1

    Published: 1 layer × 1 target, live in 2 regions.
    Tables in [HERE]/catalog/layers/arns: 9 files written, 0 removed.
    ");
    assert_eq!(
        desk.published(),
        [
            "eu-west-1/Layersmith-p313-demo/1",
            "us-east-1/Layersmith-p313-demo/1"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_applies_at_once_publish_once() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write("layers/native.yaml", "packages: [demo-native]\n");
    let spawn = || {
        desk.command(&["apply"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let running = [spawn(), spawn(), spawn()];
    let mut published = 0;
    for process in running {
        let output = process.wait_with_output().unwrap();
        let said = desk.said(output);
        assert_eq!(said.code, 0, "{said:#?}");
        if said.stdout.contains("published 1.1.0 to 2 regions") {
            published += 1;
        }
    }
    assert_eq!(published, 1);
    assert_eq!(
        desk.published(),
        [
            "eu-west-1/Layersmith-p313-demo/1",
            "eu-west-1/Layersmith-p313-native/1",
            "us-east-1/Layersmith-p313-demo/1",
            "us-east-1/Layersmith-p313-native/1"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_one_file_keeps_its_layer_and_the_others_go_on() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.write("layers/demo.yaml", "packages: demo-app demo-core\n");
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 2, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @r#"
    layers/demo.yaml:1:11: error: `packages` must be a list, found text: write for example `packages: [pandas, "pyarrow>=15"]`

    core
      p3.13        published 1.0.0 to 2 regions
                             arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-core:1

    Published: 1 layer × 1 target, live in 2 regions; 1 mistake to mend.
    Tables in [HERE]/catalog/layers/arns: 13 files written, 0 removed.
    "#);
    let table = String::from_utf8(desk.tables()["p3.13/us-east-1.csv"].clone()).unwrap();
    assert!(table.contains("demo,1.1.0,latest"), "{table}");
    assert!(table.contains("core,1.0.0,latest"), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_takes_a_whole_catalog_only() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    let said = desk.run(&["apply", "layers/demo.yaml"]);
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @"error: apply takes a whole catalog: what one file does not name would be retired");
    assert!(desk.published().is_empty());
}
