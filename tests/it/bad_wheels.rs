//! Wheels that are not what they should be: nothing is built from them, nothing is published, and the author reads why.

use crate::bad_input::annotations;
use crate::world::World;
use layersmith_testbed::index::{Sabotage, Wheel};

/// One target is enough for all of these.
const ONE_TARGET: &str = "python: [\"3.13\"]\narchitectures: [x86_64]\n";

fn request(packages: &str) -> String {
    format!("packages: [{packages}]\n{ONE_TARGET}")
}

/// Bytes that no compression makes smaller (xorshift64*, by Marsaglia and Vigna).
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wheel_that_cannot_be_trusted_is_told_at_its_package() {
    let world = World::start().await;
    let named = |name: &str| Wheel::new(name, "1.0.0").module(&name.replace('-', "_"), "X = 1\n");
    for (name, sabotage) in [
        ("garbage", Sabotage::Garbage),
        ("wrong-hash", Sabotage::WrongHash),
        ("gone", Sabotage::NotFound),
    ] {
        let wheel = named(name);
        let filename = wheel.filename();
        world.index.publish(wheel);
        world.index.sabotage(&filename, sabotage);
    }
    for wheel in [
        named("climbs").file("../../outside.py", "X = 2\n"),
        named("absolute").file("/etc/cron.d/job", "* * * * * root true\n"),
        named("backslash").file("..\\..\\outside.py", "X = 2\n"),
        named("link").symlink("link/passwd", "/etc/passwd"),
        named("data").data_file("data", "../../../outside.py", "X = 2\n"),
        named("twin-one").file("shared/same.py", "X = 1\n"),
        named("twin-two").file("shared/same.py", "X = 2\n"),
        named("agrees-one").file("common/same.py", "X = 1\n"),
        named("agrees-two").file("common/same.py", "X = 1\n"),
    ] {
        world.index.publish(wheel);
    }
    let files: Vec<(String, String)> = [
        "garbage",
        "wrong-hash",
        "gone",
        "climbs",
        "absolute",
        "backslash",
        "link",
        "data",
    ]
    .map(|name| {
        (
            format!("layers/{name}.yaml"),
            format!("packages:\n  - demo-core\n  - {name}\n{ONE_TARGET}"),
        )
    })
    .into_iter()
    .chain([
        (
            "layers/twins.yaml".to_owned(),
            request("twin-one, twin-two"),
        ),
        (
            "layers/agrees.yaml".to_owned(),
            request("agrees-one, agrees-two"),
        ),
    ])
    .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let number = world.pull_request(&files).await;
    world.settled().await;
    insta::assert_snapshot!(annotations(&world, number), @r"
        failure: 9 mistakes to mend first
        layers/absolute.yaml:3:5 failure absolute is not possible for p3.13: `absolute-1.0.0-py3-none-any.whl` cannot be used: it holds the name `/etc/cron.d/job`, an absolute path.
        layers/backslash.yaml:3:5 failure backslash is not possible for p3.13: `backslash-1.0.0-py3-none-any.whl` cannot be used: it holds the name `..\\..\\outside.py`, which has a backslash.
        layers/climbs.yaml:3:5 failure climbs is not possible for p3.13: `climbs-1.0.0-py3-none-any.whl` cannot be used: it holds the name `../../outside.py`, which leads out of its folder.
        layers/data.yaml:3:5 failure data is not possible for p3.13: `data-1.0.0-py3-none-any.whl` cannot be used: it holds the name `data-1.0.0.data/data/../../../outside.py`, which leads out of its folder.
        layers/garbage.yaml:3:5 failure garbage is not possible for p3.13: `garbage-1.0.0-py3-none-any.whl` cannot be used: it is not a zip file, or is cut off.
        layers/gone.yaml:3:5 failure gone is not possible for p3.13: `gone-1.0.0-py3-none-any.whl` could not be fetched: the server answered 404 Not Found.
        layers/link.yaml:3:5 failure link is not possible for p3.13: `link-1.0.0-py3-none-any.whl` cannot be used: its `link/passwd` is a symbolic link.
        layers/twins.yaml:1:22 failure twins is not possible for p3.13: `twin_one-1.0.0-py3-none-any.whl` and `twin_two-1.0.0-py3-none-any.whl` both hold `shared/same.py`, with different contents. They cannot go into one layer, unless the file is left out by `exclude`.
        layers/wrong-hash.yaml:3:5 failure wrong-hash is not possible for p3.13: `wrong_hash-1.0.0-py3-none-any.whl` is not the file that the package index promised: its SHA-256 differs. Nothing was built from it.
        ");

    // Merged all the same: only what can be trusted is published.
    world.comment(number);
    world.github.merge_pull_request(number).await;
    world.settled().await;
    world.comment(number);
    let published: Vec<String> = world.published_once().into_keys().collect();
    assert_eq!(
        published,
        [
            "eu-west-1/Layersmith-p313-agrees/1",
            "us-east-1/Layersmith-p313-agrees/1"
        ]
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_breaks_off_is_tried_again_and_then_told() {
    let world = World::start().await;
    let wheels = [
        ("cut", Sabotage::Truncated),
        ("busy", Sabotage::Unavailable),
    ];
    for (name, sabotage) in wheels {
        let wheel = Wheel::new(name, "1.0.0").module(name, &"X = 1\n".repeat(10_000));
        let filename = wheel.filename();
        world.index.publish(wheel);
        world.index.sabotage(&filename, sabotage);
    }
    let number = world
        .pull_request(&[
            ("layers/cut.yaml", &request("cut")),
            ("layers/busy.yaml", &request("busy")),
        ])
        .await;
    world.settled().await;
    insta::assert_snapshot!(annotations(&world, number), @"
        failure: 2 builds did not work out this time
        layers/busy.yaml:1:12 failure busy is not possible for p3.13: `busy-1.0.0-py3-none-any.whl` could not be fetched: the server answered 503 Service Unavailable. Trying again later may help.
        layers/cut.yaml:1:12 failure cut is not possible for p3.13: `cut-1.0.0-py3-none-any.whl` could not be fetched: error decoding response body: request or response body error: error reading a body from connection: end of file before message length reached. Trying again later may help.
        ");
    for (name, _) in wheels {
        let wanted = format!("/files/{name}-1.0.0-py3-none-any.whl");
        let asked = world.index.requests();
        let times = asked.iter().filter(|path| **path == wanted).count();
        assert!(times > 1, "{name} was asked for {times} times");
    }

    // Once the index is well again, asking is enough.
    for (name, _) in wheels {
        let text = "X = 1\n".repeat(10_000);
        world
            .index
            .publish(Wheel::new(name, "1.0.0").module(name, &text));
    }
    world.comment(number);
    world
        .github
        .comment(number, "mona", "/layersmith plan")
        .await;
    world.settled().await;
    let comment = world.comment(number);
    assert!(comment.contains("2 layers × 1 target"), "{comment}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_hangs_is_given_up_in_time() {
    let world = World::start_with("limits: {build_seconds: 5}\n", |_, _| {}).await;
    world
        .index
        .publish(Wheel::new("stuck", "1.0.0").module("stuck", ""));
    world
        .index
        .sabotage("stuck-1.0.0-py3-none-any.whl", Sabotage::Hang);
    let number = world
        .pull_request(&[
            ("layers/stuck.yaml", &request("stuck")),
            ("layers/fine.yaml", &request("demo-core")),
        ])
        .await;
    world.settled().await;
    insta::assert_snapshot!(annotations(&world, number), @"
        failure: 1 build did not work out this time
        layers/stuck.yaml:1:12 failure stuck is not possible for p3.13: building took longer than the 5 seconds that the policy allows
        ");
    let comment = world.comment(number);
    assert!(comment.contains("#### `fine`"), "{comment}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_for_a_layer_is_told_before_anything_is_published() {
    let world = World::start().await;
    let mebibyte = 1024 * 1024;
    world
        .index
        .publish(Wheel::new("packed", "1.0.0").file("packed/noise.bin", noise(51 * mebibyte)));
    let zeros = Wheel::new("airy", "1.0.0")
        .file("airy/one.bin", vec![0; 130 * mebibyte])
        .file("airy/two.bin", vec![0; 130 * mebibyte]);
    world.index.publish(zeros);
    let number = world
        .pull_request(&[
            ("layers/packed.yaml", &request("packed")),
            ("layers/airy.yaml", &request("airy")),
        ])
        .await;
    world.settled().await;
    insta::assert_snapshot!(annotations(&world, number), @r#"
    failure: 2 mistakes to mend first
    layers/airy.yaml:1:12 failure airy is not possible for p3.13: unzipped it takes 260.0 MiB; AWS Lambda allows a function and all its layers 250 MiB together: ask for fewer packages, or leave files out with `exclude`
    layers/packed.yaml:1:12 failure packed is not possible for p3.13: zipped it takes 51.0 MiB; AWS Lambda takes at most 50 MiB in a direct upload: ask for fewer packages, leave files out with `exclude`, or have the platform team set `staging: "layersmith-{account}-{region}"` in the policy, the name of a bucket in each region
    layers/airy.yaml:1:12 warning airy for p3.13: `airy` has no module that can be imported. Check the name, unless it is there for the packages that it brings along.
    layers/packed.yaml:1:12 warning packed for p3.13: `packed` has no module that can be imported. Check the name, unless it is there for the packages that it brings along.
    "#);
    world.comment(number);
    world.github.merge_pull_request(number).await;
    world.settled().await;
    assert_eq!(world.published().len(), 0);
    let comment = world.comment(number);
    assert!(comment.contains("Nothing was published"), "{comment}");
    world.finish().await;
}
