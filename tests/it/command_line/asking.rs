//! `plan`, `build`, `tables`, `doctor`, `replay`: commands that publish nothing.

use super::{Desk, files_below};
use crate::world::World;
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_shows_everything_and_publishes_nothing() {
    let mut desk = Desk::new().await;
    // Which Pythons this machine has, and whether it can isolate them, must not show.
    desk.options.set("LAYERSMITH_BWRAP", "off");
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\npython: [\"3.12\", \"3.13\"]\narchitectures: [x86_64, arm64]\nbytecode: false\n",
    );
    desk.write("layers/old.yaml", "packages: [demo-app, only-old-core]\n");
    let said = desk.run(&["plan"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    demo
      p3.12        new       1.1.0, to eu-west-1, us-east-1 (2.7 KiB of 50 MiB zipped, 1.2 KiB of 250 MiB unzipped)
                             import: not tested: isolation is turned off where Layersmith runs: LAYERSMITH_BWRAP is `off`
                             demo-app 1.1.0 (Apache-2.0)
                             demo-core 1.0.0 (MIT)
      p3.12-arm64  new       1.1.0, to eu-west-1, us-east-1 (2.7 KiB of 50 MiB zipped, 1.2 KiB of 250 MiB unzipped)
                             import: not tested: isolation is turned off where Layersmith runs: LAYERSMITH_BWRAP is `off`
                             same packages as p3.12
      p3.13        new       1.1.0, to eu-west-1, us-east-1 (2.7 KiB of 50 MiB zipped, 1.2 KiB of 250 MiB unzipped)
                             import: not tested: isolation is turned off where Layersmith runs: LAYERSMITH_BWRAP is `off`
                             same packages as p3.12
      p3.13-arm64  new       1.1.0, to eu-west-1, us-east-1 (2.7 KiB of 50 MiB zipped, 1.2 KiB of 250 MiB unzipped)
                             import: not tested: isolation is turned off where Layersmith runs: LAYERSMITH_BWRAP is `off`
                             same packages as p3.12
    old
      p3.13        blocked   no version of `only-old-core` can be used for this target:
                             Because only demo-core==1.0.0 is available and all versions of only-old-core depend on demo-core<1, all versions of only-old-core cannot be used.
                             And because the layer asks for only-old-core, there are no versions that fit.

    1 mistake to mend first.
    Apart from that, 1 layer × 4 targets would be published to 2 regions.
    ");
    assert!(desk.published().is_empty());
    assert!(desk.tables().is_empty());

    let one = desk.run(&["plan", "layers/demo.yaml"]);
    assert_eq!(one.code, 0, "{one:#?}");
    assert!(!one.stdout.contains("old"), "{one:#?}");
    let (code, value) = desk.json(&["plan"]);
    assert_eq!(code, 1);
    assert_eq!(
        value["plan"]["entries"].as_array().map(Vec::len),
        Some(5),
        "{value:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_for_one_file_retires_nothing_else() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    desk.write("layers/core.yaml", "packages: [demo-core]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    let one = desk.run(&["plan", "layers/demo.yaml"]);
    assert_eq!(one.code, 0, "{one:#?}");
    insta::assert_snapshot!(one.stdout, @"
    demo
      p3.13        keep      1.1.0, live in 2 regions

    Nothing to publish.
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn building_gives_a_zip_that_python_imports_from() {
    let mut desk = Desk::new().await;
    // Which Pythons this machine has, and whether it can isolate them, must not show.
    desk.options.set("LAYERSMITH_BWRAP", "off");
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\narchitectures: [x86_64, arm64]\nbytecode: false\n",
    );
    let said = desk.run(&["build", "demo"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(
        said.stdout.matches("demo 1.1.0 p3.13").count(),
        2,
        "{said:#?}"
    );
    let said = desk.run(&[
        "build",
        "demo",
        "--target",
        "p3.13-arm64",
        "-o",
        "layer.zip",
    ]);
    assert_eq!(said.code, 0, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    demo 1.1.0 p3.13-arm64
      zipped     2.7 KiB, 1 % of 50 MiB
      unzipped   1.2 KiB, 1 % of 250 MiB
      holds      10 files, 2 packages
      heaviest   demo-app 0.6 KiB, demo-core 0.6 KiB
      licences   Apache-2.0: demo-app
                 MIT: demo-core
      bytecode   none
      import     not tested: isolation is turned off where Layersmith runs: LAYERSMITH_BWRAP is `off`
      audit      nothing found
      sha256     SHA
      path       layer.zip
    ");
    let zip = desk.path("layer.zip");
    let python = Command::new("python3")
        .args(["-c", "import sys; sys.path.insert(0, sys.argv[1] + '/python'); import demo_app; print(demo_app.NEW)"])
        .arg(&zip)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&python.stdout),
        "True\n",
        "{python:?}"
    );

    let (code, value) = desk.json(&["build", "demo", "--target", "p3.13"]);
    assert_eq!(code, 0);
    let path = value["builds"][0]["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with(".zip"), "{value:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_built_says_why() {
    let desk = Desk::new().await;
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\narchitectures: [x86_64, arm64]\n",
    );
    desk.write("layers/none.yaml", "packages: [no-such-package]\n");
    desk.write("layers/bad.yaml", "packages: 3\n");
    desk.write(
        "layers/x86.yaml",
        "packages: [only-x86]\narchitectures: [arm64]\n",
    );
    let mut said = String::new();
    for (arguments, code) in [
        (&["build", "missing"][..], 2),
        (&["build", "bad"], 2),
        (&["build", "none"], 1),
        (&["build", "x86"], 1),
        (&["build", "demo", "--target", "p3.12"], 2),
        (&["build", "demo", "--target", "3.13"], 2),
        (&["build", "demo", "-o", "layer.zip"], 2),
        (
            &[
                "build",
                "demo",
                "--target",
                "p3.13",
                "-o",
                "no/such/folder.zip",
            ],
            2,
        ),
        (&["build", "Demo"], 2),
    ] {
        let answer = desk.run(arguments);
        assert_eq!(answer.code, code, "{arguments:?}: {answer:#?}");
        let progress = |line: &&str| !line.starts_with("Building ");
        let errors: Vec<&str> = answer.stderr.lines().filter(progress).collect();
        said.push_str(&format!(
            "$ {}\n{}{}\n",
            arguments.join(" "),
            answer.stdout,
            errors.join("\n")
        ));
    }
    insta::assert_snapshot!(said, @r#"
    $ build missing
    error: there is no layers/missing.yaml in [HERE]/catalog
    $ build bad
    layers/bad.yaml:1:11: error: `packages` must be a list, found a number: write for example `packages: [pandas, "pyarrow>=15"]`

    $ build none
    none p3.13: there is no package `no-such-package` on the package index.

    $ build x86
    x86 p3.13-arm64: `only-x86` has no wheel for this target. What can be done: leave this target out: there is one for Python 3.13 on x86_64.

    $ build demo --target p3.12
    error: demo is not built for p3.12: it asks for p3.13, p3.13-arm64
    $ build demo --target 3.13
    error: invalid value '3.13' for '--target <TARGET>': `3.13` is not a target: use one of p3.10, p3.10-arm64, p3.11, p3.11-arm64, p3.12, p3.12-arm64, p3.13, p3.13-arm64, p3.14, p3.14-arm64

    For more information, try '--help'.
    $ build demo -o layer.zip
    error: --output takes one zip: name one --target with it
    $ build demo --target p3.13 -o no/such/folder.zip
    error: no/such/folder.zip cannot be written: No such file or directory (os error 2)
    $ build Demo
    error: invalid value 'Demo' for '<NAME>': `Demo` is not a layer name: use 1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends

    For more information, try '--help'.
    "#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_brought_back_from_what_is_recorded() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    assert_eq!(desk.run(&["apply"]).code, 0);
    let right = desk.tables();
    desk.write("layers/arns/p3.13/us-east-1.md", "edited by hand\n");
    desk.write("layers/arns/p3.11/us-east-1.md", "stale\n");
    desk.remove("layers/arns/README.md");
    let said = desk.run(&["tables"]);
    assert_eq!(said.code, 0, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"Tables in [HERE]/catalog/layers/arns: 2 files written, 1 removed.");
    assert!(desk.tables() == right, "the tables are not what they were");
    insta::assert_snapshot!(desk.run(&["tables"]).stdout, @"Tables in layers/arns: nothing to change.");
    let (_, value) = desk.json(&["tables"]);
    assert_eq!(value["tables"]["result"], "unchanged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_says_what_works_and_what_to_do_about_the_rest() {
    let mut desk = Desk::new().await;
    let said = desk.run(&["doctor"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let without_version: Vec<&str> = said.stdout.lines().skip(1).collect();
    assert!(
        said.stdout.starts_with("good     uv          0."),
        "{said:#?}"
    );
    insta::assert_snapshot!(without_version.join("\n"), @"
    good     store       sqlite:[HERE]/data/store.sqlite
    good     registry    dir:[HERE]/data/registry, 34 regions
    not set  repository  LAYERSMITH_REPOSITORY is not set: `serve` answers the read API only
    ");

    desk.options.set("LAYERSMITH_UV", "/no/such/uv");
    let said = desk.run(&["doctor"]);
    assert_eq!(said.code, 1);
    insta::assert_snapshot!(said.stdout, @"
    BAD      uv          uv, which resolves packages, is missing where Layersmith runs. Whoever runs it can install it with `pip install uv` or `pipx install uv`, or set `LAYERSMITH_UV` to its path.
    good     store       sqlite:[HERE]/data/store.sqlite
    good     registry    dir:[HERE]/data/registry, 34 regions
    not set  repository  LAYERSMITH_REPOSITORY is not set: `serve` answers the read API only
    ");
    let (code, value) = desk.json(&["doctor"]);
    assert_eq!(
        (code, value["findings"][0]["state"].as_str()),
        (1, Some("bad"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_tries_github_and_git_where_a_repository_is_served() {
    let mut world = World::start().await;
    let answer = world.command(&["doctor", "--json"]);
    assert_eq!(answer.status.code(), Some(0), "{answer:?}");
    let value: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let found: Vec<&str> = value["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        found,
        [
            "uv",
            "store",
            "registry",
            "GitHub",
            "webhook secret",
            "git over SSH"
        ]
    );
    let unknown = world.git.unknown_key();
    world.options.set("LAYERSMITH_DEPLOY_KEY", unknown);
    let answer = world.command(&["doctor"]);
    let text = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(answer.status.code(), Some(1), "{text}");
    assert!(text.contains("BAD      git over SSH"), "{text}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_payload_is_replayed_and_what_it_tells_is_done_once() {
    let world = World::start().await;
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages: [demo-app]\n")])
        .await;
    world.settled().await;
    let conversation = world.conversation(number);
    let recorded = world.github.deliveries();
    let opened = recorded
        .iter()
        .find(|delivery| delivery.event == "pull_request")
        .unwrap();
    let payload = world.folder.path().join("payload.json");
    std::fs::write(&payload, opened.payload.to_string()).unwrap();
    let replay = |url: &str| {
        let payload = payload.to_str().unwrap();
        let output = world.command(&["replay", payload, "--event", "pull_request", "--url", url]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let requests = world.github.requests().len();
    for _ in 0..2 {
        let (code, said, _) = replay(&world.url());
        assert_eq!(code, 0, "{said}");
        assert!(said.starts_with("202 Accepted: "), "{said}");
        world.settled().await;
    }
    assert_eq!(world.conversation(number), conversation);
    assert_eq!(
        world.github.requests().len(),
        requests,
        "it was worked on again"
    );
    let (code, _, error) = replay("http://127.0.0.1:1");
    assert_eq!(code, 1);
    assert!(error.starts_with("error: "), "{error}");
    let missing = world.command(&["replay", "missing.json", "--event", "ping"]);
    assert_eq!(missing.status.code(), Some(2));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_leaves_the_catalog_as_it_is() {
    let desk = Desk::new().await;
    desk.write("layers/demo.yaml", "packages: [demo-app]\n");
    let before = files_below(&desk.path(""));
    for arguments in [&["check"][..], &["plan"], &["build", "demo"], &["doctor"]] {
        assert_eq!(desk.run(arguments).code, 0, "{arguments:?}");
    }
    assert!(
        before == files_below(&desk.path("")),
        "a question changed the catalog"
    );
}
