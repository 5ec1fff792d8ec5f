//! Packages without a wheel: `plan` tells of them, `build` and `apply` build them.

use super::Desk;
use crate::from_source::{architectures, isolate, publish_source, python_here};
use layersmith_testbed::index::Wheel;

/// A catalog for the Python and the architecture of this machine.
async fn desk() -> Desk {
    let mut desk = Desk::new().await;
    isolate(&mut desk.options);
    let [architecture, _] = architectures();
    regions(&desk, architecture, "[eu-west-1]");
    desk
}

fn regions(desk: &Desk, architecture: &str, regions: &str) {
    let text = format!(
        "python: [\"{}\"]\narchitectures: [{architecture}]\nregions: {regions}\ncooldown_days: 3\nindex_url: {}\n",
        python_here(),
        desk.index.url()
    );
    desk.write(".github/layersmith.yaml", &text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dependency_is_built_too_and_a_second_one_that_it_needs() {
    let desk = desk().await;
    let above = Wheel::new("above-app", "1.0").module("above_app", "import first_source\n");
    desk.index.publish(above.requires("first-source<2"));
    let machine = "import platform\nTAG = 'py3-none-linux_' + platform.machine()\n";
    publish_source(
        &desk.index,
        "first-source",
        &format!("{machine}REQUIRES = ['second-source']\n"),
    );
    publish_source(&desk.index, "second-source", "");
    desk.write(
        "layers/one.yaml",
        "packages: [above-app]\nallow_build: [first-source]\n",
    );
    let planned = desk.run(&["plan"]);
    assert_eq!(planned.code, 0, "{planned:#?}");
    assert!(
        planned.stdout.contains(
            "first-source: no wheel, built from source by `apply`, because `allow_build` names it"
        ),
        "{planned:#?}"
    );
    // What the first one needs is known when it is built.
    let said = desk.run(&["build", "one"]);
    assert_ne!(said.code, 0, "{said:#?}");
    assert!(
        said.stdout
            .contains("name `second-source` under `allow_build`"),
        "{said:#?}"
    );

    desk.write(
        "layers/one.yaml",
        "packages: [above-app]\nallow_build: [first-source, second-source]\n",
    );
    let (code, value) = desk.json(&["build", "one"]);
    assert_eq!(code, 0, "{value:#}");
    let packages = value["builds"][0]["build"]["lock"]["packages"]
        .as_array()
        .unwrap();
    let locked: Vec<(&str, bool)> = packages
        .iter()
        .map(|package| {
            let url = package["wheel"]["url"].as_str().unwrap();
            (
                package["name"].as_str().unwrap(),
                url.contains(".zip#built="),
            )
        })
        .collect();
    assert_eq!(
        locked,
        [
            ("above-app", false),
            ("first-source", true),
            ("second-source", true)
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_compiled_here_is_for_no_other_architecture() {
    let desk = desk().await;
    let machine = "import platform\nTAG = 'py3-none-linux_' + platform.machine()\n";
    publish_source(&desk.index, "native-source", machine);
    publish_source(&desk.index, "pure-source", "");
    let [here, other] = architectures();
    regions(&desk, other, "[eu-west-1]");
    desk.write(
        "layers/pure.yaml",
        "packages: [pure-source]\nallow_build: [pure-source]\n",
    );
    let said = desk.run(&["build", "pure"]);
    assert_eq!(said.code, 0, "{said:#?}");
    desk.write(
        "layers/native.yaml",
        "packages: [native-source]\nallow_build: [native-source]\n",
    );
    for command in ["apply", "plan"] {
        let said = desk.run(&[command]);
        assert_ne!(said.code, 0, "{said:#?}");
        let why = format!("Layersmith runs on {here}, and cannot compile for {other}.");
        assert!(said.stdout.contains(&why), "{said:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_isolation_nothing_is_built() {
    let mut desk = desk().await;
    desk.options.set("LAYERSMITH_BWRAP", "off");
    publish_source(&desk.index, "some-source", "");
    desk.write(
        "layers/some.yaml",
        "packages: [some-source]\nallow_build: [some-source]\n",
    );
    for command in ["plan", "apply"] {
        let said = desk.run(&[command]);
        assert_ne!(said.code, 0, "{said:#?}");
        let why =
            "it cannot be built from its source: isolation is turned off where Layersmith runs";
        assert!(said.stdout.contains(why), "{said:#?}");
    }
    let files = desk.index.requests();
    assert!(
        !files.iter().any(|path| path.ends_with(".zip")),
        "{files:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_wheel_is_built_again_if_it_comes_out_the_same() {
    let desk = desk().await;
    let [architecture, _] = architectures();
    publish_source(&desk.index, "same-source", "");
    let chance = "import os\nMODULE = 'X = %r\\n' % os.urandom(8)\n";
    publish_source(&desk.index, "other-source", chance);
    for name in ["same", "other"] {
        let request = format!("packages: [{name}-source]\nallow_build: [{name}-source]\n");
        desk.write(&format!("layers/{name}.yaml"), &request);
    }
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(desk.published().len(), 2);
    for folder in ["artifacts", "cache"] {
        std::fs::remove_dir_all(desk.data(folder)).unwrap();
    }
    regions(&desk, architecture, "[eu-west-1, us-east-1]");
    let said = desk.run(&["apply"]);
    assert_ne!(said.code, 0, "{said:#?}");
    let why = "`other_source-1.0-py3-none-any.whl` was built from its source and is not kept any more, and building it again gives another file.";
    assert!(said.stdout.contains(why), "{said:#?}");
    let published = desk.published();
    assert_eq!(published.len(), 3, "{published:?}");
    assert!(
        published
            .iter()
            .any(|version| version.starts_with("us-east-1/") && version.contains("same"))
    );
}
