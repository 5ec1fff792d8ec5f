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
fn noise(length: usize) -> Vec<u8> {
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
    insta::assert_snapshot!(annotations(&world, number), @"");

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
    insta::assert_snapshot!(annotations(&world, number), @"");
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
    insta::assert_snapshot!(annotations(&world, number), @"");
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
    // As an archive bomb would be: far more than any layer may be, in little space.
    let bomb = (0..5).fold(Wheel::new("bomb", "1.0.0"), |wheel, number| {
        wheel.file(&format!("bomb/{number}.bin"), vec![0; 250 * mebibyte])
    });
    world.index.publish(bomb);
    let number = world
        .pull_request(&[
            ("layers/packed.yaml", &request("packed")),
            ("layers/airy.yaml", &request("airy")),
            ("layers/bomb.yaml", &request("bomb")),
        ])
        .await;
    world.settled().await;
    insta::assert_snapshot!(annotations(&world, number), @"");
    world.comment(number);
    world.github.merge_pull_request(number).await;
    world.settled().await;
    assert_eq!(world.published().len(), 0);
    let comment = world.comment(number);
    assert!(comment.contains("Nothing was published"), "{comment}");
    world.finish().await;
}
