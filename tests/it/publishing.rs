//! From the pull request to the tables: the main job.

use crate::world::{World, normalize};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_planned_merged_published_and_its_tables_committed() {
    let world = World::start().await;
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages:\n  - demo-app\n")])
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Open · mona · main ← change

    ── layersmith[bot] ──
    ### 1 layer × 4 targets would be published to 2 regions after the merge

    #### `demo` · first publication of `1.1.0`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | first time: `demo-app 1.1.0`, `demo-core 1.0.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.12-arm64` | first time: `demo-app 1.1.0`, `demo-core 1.0.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.13` | first time: `demo-app 1.1.0`, `demo-core 1.0.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.13-arm64` | first time: `demo-app 1.1.0`, `demo-core 1.0.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |

    - `p3.12`, `p3.12-arm64`: Bytecode: there is no CPython 3.12 where Layersmith runs
    - Importing was not tested: isolation is turned off where Layersmith runs: `LAYERSMITH_BWRAP` is `off`
    - `p3.13`, `p3.13-arm64`: Bytecode: there is no CPython 3.13 where Layersmith runs

    <details><summary>What is inside, and where it goes</summary>

    `p3.12`, `p3.12-arm64`, `p3.13`, `p3.13-arm64`:

    ```text
    demo-app 1.1.0 (Apache-2.0)
    demo-core 1.0.0 (MIT)
    ```

    2 regions: `eu-west-1`, `us-east-1`.

    - `p3.12`: `Layersmith-p312-demo`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB
    - `p3.12-arm64`: `Layersmith-p312-arm64-demo`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB
    - `p3.13`: `Layersmith-p313-demo`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB
    - `p3.13-arm64`: `Layersmith-p313-arm64-demo`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB

    </details>

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    ✓ layersmith: success · 1 layer × 4 targets would be published to 2 regions after the merge
    ");
    let head = world.github.pull_request_head(number);
    let check = world.check(&head);
    assert_eq!(check.conclusion.as_deref(), Some("success"));
    let (_, nothing) = world.get("/api/v2/p3.13/layers/latest/us-east-1").await;
    assert_eq!(nothing, "[]", "nothing is published before the merge");

    let merge = world.github.merge_pull_request(number).await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Merged · mona · main ← change

    ── layersmith[bot] · edited ──
    ### ✅ Published: 1 layer × 4 targets, live in 2 regions

    - The tables are committed: [`SHA`](https://github.com/octo/catalog/commit/SHA) changes 30 files.

    #### `demo` · live in 2 regions

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.12` | `1.1.0` | 2 regions |  |
    | `p3.12-arm64` | `1.1.0` | 2 regions |  |
    | `p3.13` | `1.1.0` | 2 regions |  |
    | `p3.13-arm64` | `1.1.0` | 2 regions |  |

    To copy, for Python 3.13 on x86_64 in `us-east-1`:

    ```text
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1
    ```

    | Target | Region | ARN |
    |---|---|---|
    | `p3.12` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p312-demo:1` |
    | `p3.12` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p312-demo:1` |
    | `p3.12-arm64` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p312-arm64-demo:1` |
    | `p3.12-arm64` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p312-arm64-demo:1` |
    | `p3.13` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:1` |
    | `p3.13` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1` |
    | `p3.13-arm64` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-demo:1` |
    | `p3.13-arm64` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-arm64-demo:1` |

    Other regions, history and snippets: [`demo.md`](https://github.com/octo/catalog/blob/SHA/layers/arns/layers/demo.md).

    <details><summary>30 files of the tables changed</summary>

    ```text
    layers/arns/README.md
    layers/arns/feeds/all.atom
    layers/arns/feeds/all.json
    layers/arns/feeds/layers/demo.atom
    layers/arns/feeds/layers/demo.json
    layers/arns/layers/demo.md
    layers/arns/p3.12-arm64/eu-west-1.csv
    layers/arns/p3.12-arm64/eu-west-1.json
    layers/arns/p3.12-arm64/eu-west-1.md
    layers/arns/p3.12-arm64/us-east-1.csv
    layers/arns/p3.12-arm64/us-east-1.json
    layers/arns/p3.12-arm64/us-east-1.md
    layers/arns/p3.12/eu-west-1.csv
    layers/arns/p3.12/eu-west-1.json
    layers/arns/p3.12/eu-west-1.md
    layers/arns/p3.12/us-east-1.csv
    layers/arns/p3.12/us-east-1.json
    layers/arns/p3.12/us-east-1.md
    layers/arns/p3.13-arm64/eu-west-1.csv
    layers/arns/p3.13-arm64/eu-west-1.json
    layers/arns/p3.13-arm64/eu-west-1.md
    layers/arns/p3.13-arm64/us-east-1.csv
    layers/arns/p3.13-arm64/us-east-1.json
    layers/arns/p3.13-arm64/us-east-1.md
    layers/arns/p3.13/eu-west-1.csv
    layers/arns/p3.13/eu-west-1.json
    layers/arns/p3.13/eu-west-1.md
    layers/arns/p3.13/us-east-1.csv
    layers/arns/p3.13/us-east-1.json
    layers/arns/p3.13/us-east-1.md
    ```

    </details>

    ---
    <sub>Carried out: [`SHA`](https://github.com/octo/catalog/commit/SHA), run `apply-SHA-1`.</sub>

    ── checks ──
    ✓ layersmith: success · 1 layer × 4 targets would be published to 2 regions after the merge
    ");

    let commits = world.github.log("main");
    assert_eq!(
        commits[1].sha, merge,
        "one commit by the bot on top of the merge: {commits:#?}"
    );
    assert_eq!(commits[0].author.name, "Layersmith");
    insta::assert_snapshot!(normalize(&commits[0].message), @r#"
    Layers: demo 1.1.0

    - demo 1.1.0: p3.12 (2 regions), p3.12-arm64 (2 regions), p3.13 (2 regions), p3.13-arm64 (2 regions)

    Layersmith-Run: apply-SHA-1
    "#);
    let table = world
        .github
        .file_at("main", "layers/arns/p3.13/us-east-1.md")
        .unwrap();
    insta::assert_snapshot!(table, @r#"
    # Python 3.13 on x86_64, us-east-1

    [All targets and regions](../README.md) · `deprecated` versions work until they expire.

    | Package | Package Version | Status | Expiry Date | Arn |
    | --- | --- | --- | --- | --- |
    | [demo](../layers/demo.md) | 1.1.0 | latest |  | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1` |
    "#);
    let (_, latest) = world.get("/api/v2/p3.13/layers/latest/us-east-1/").await;
    insta::assert_snapshot!(latest, @r#"[{"package":"demo","packageVersion":"1.1.0","arn":"arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1"}]"#);
    world.finish().await;
}

/// The pull request is answered with what AWS has, wherever the zip came from: the same lock gives the same zip.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_catalog_is_published_once_whatever_happens_around_it() {
    let world = World::start().await;
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages:\n  - demo-app\n")])
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let before = world.github.log("main").len();

    // A comment changes nothing that is built; the commit still comes by as a push.
    let files = [
        ("layers/demo.yaml", "# The demo.\npackages:\n  - demo-app\n"),
        ("docs/notes.md", "Notes.\n"),
    ];
    world.github.push("main", files, "platform").await;
    world.settled().await;

    let (_, history) = world.get("/api/v2/p3.13/layers/us-east-1/demo").await;
    assert_eq!(history.matches("arn:aws:lambda").count(), 1, "{history}");
    assert_eq!(
        world.github.log("main").len(),
        before + 1,
        "no further commit by the bot"
    );
    world.conversation(number);
    world.finish().await;
}

/// Tables that somebody edited by hand are what the store says again after the next run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edited_tables_are_restored() {
    let world = World::start().await;
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages:\n  - demo-app\n")])
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    let path = "layers/arns/p3.13/us-east-1.csv";
    let right = world.github.file_at("main", path).unwrap();

    world
        .github
        .push(
            "main",
            [
                (path, "Package\r\nmine\r\n"),
                ("layers/arns/stray.md", "stray"),
            ],
            "platform",
        )
        .await;
    world.settled().await;

    assert_eq!(world.github.file_at("main", path), Some(right));
    assert_eq!(world.github.file_at("main", "layers/arns/stray.md"), None);
    world.conversation(number);
    world.finish().await;
}
