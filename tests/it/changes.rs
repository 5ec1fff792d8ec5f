//! What a change of request files comes to: new versions, layers that go, mistakes by the dozen.

use crate::world::{AUTHOR, World};
use layersmith_testbed::github::Files;

const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_is_shown_beside_the_old_one_which_expires() {
    let world = World::start().await;
    let first = world
        .branch(
            "first",
            &[
                ("layers/app.yaml", "packages: [demo-app ==1.0.0]\n"),
                ("layers/core.yaml", "packages: [demo-core]\n"),
            ],
        )
        .await;
    world.settled().await;
    assert!(
        world
            .comment(first)
            .contains("2 layers × 4 targets would be published")
    );
    world.github.merge_pull_request(first).await;
    world.settled().await;
    assert_eq!(world.published_once().len(), 2 * 4 * 2);

    let second = world
        .branch(
            "second",
            &[("layers/app.yaml", "packages: [demo-app ==1.1.0]\n")],
        )
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(second), @"
    second #2
    Open · mona · main ← second

    ── layersmith[bot] ──
    ### 1 layer × 4 targets would be published to 2 regions after the merge

    #### `app` · `1.0.0` → `1.1.0`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | `demo-app` `1.0.0` → `1.1.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.12-arm64` | `demo-app` `1.0.0` → `1.1.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.13` | `demo-app` `1.0.0` → `1.1.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.13-arm64` | `demo-app` `1.0.0` → `1.1.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |

    - `p3.12`, `p3.12-arm64`: Bytecode: there is no CPython 3.12 where Layersmith runs
    - Importing was not tested: isolation is turned off where Layersmith runs: `LAYERSMITH_BWRAP` is `off`
    - `p3.13`, `p3.13-arm64`: Bytecode: there is no CPython 3.13 where Layersmith runs

    <details><summary>What is inside, and where it goes</summary>

    `p3.12`, `p3.12-arm64`, `p3.13`, `p3.13-arm64`:

    ```text
    demo-app 1.1.0 (Apache-2.0), was 1.0.0
    demo-core 1.0.0 (MIT)
    ```

    2 regions: `eu-west-1`, `us-east-1`.

    - `p3.12`: `Layersmith-p312-app`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB
    - `p3.12-arm64`: `Layersmith-p312-arm64-app`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB
    - `p3.13`: `Layersmith-p313-app`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB
    - `p3.13-arm64`: `Layersmith-p313-arm64-app`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB

    </details>

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    ✓ layersmith: success · 1 layer × 4 targets would be published to 2 regions after the merge
    ");
    world.github.merge_pull_request(second).await;
    world.settled().await;
    assert!(!world.comment(second).contains("`core`"));
    assert_eq!(world.published_once().len(), 2 * 4 * 2 + 4 * 2);

    let table = world.table("p3.13/us-east-1.csv");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(
        lines[1].starts_with("app,1.1.0,latest,,arn:aws:lambda:us-east-1:"),
        "{table}"
    );
    assert!(
        lines[1].ends_with(":layer:Layersmith-p313-app:2"),
        "{table}"
    );
    assert!(lines[2].starts_with("app,1.0.0,deprecated,2"), "{table}");
    assert!(
        lines[2].ends_with(":layer:Layersmith-p313-app:1"),
        "{table}"
    );
    assert!(lines[3].starts_with("core,1.0.0,latest,,"), "{table}");
    let (status, history) = world.get("/api/v2/p3.13-arm64/layers/us-east-1/app").await;
    assert_eq!(status, 200);
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history[0]["packageVersion"], "1.1.0");
    assert_eq!(history[0]["deployStatus"], "latest");
    assert_eq!(history[1]["packageVersion"], "1.0.0");
    assert_eq!(history[1]["deployStatus"], "deprecated");
    assert!(history[1]["expiryDate"].is_string(), "{history}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_whose_file_goes_is_retired_after_the_merge() {
    let world = World::start().await;
    world
        .github
        .push("main", [("layers/native.yaml", NATIVE)], "platform")
        .await;
    world.settled().await;
    let number = world
        .github
        .open_pull_request(
            "away",
            "Away",
            Files::new().delete("layers/native.yaml"),
            AUTHOR,
        )
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Away #1
    Open · mona · main ← away

    ── layersmith[bot] ──
    ### 1 layer would be deprecated

    #### `native` · `2.0.0` goes

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | `2.0.0` is not asked for any more: deprecated, usable for another 365 days | – | – | live in 2 |

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    ✓ layersmith: success · 1 layer would be deprecated
    ");
    assert!(world.table("p3.13/us-east-1.csv").contains("latest"));

    world.github.merge_pull_request(number).await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Away #1
    Merged · mona · main ← away

    ── layersmith[bot] · edited ──
    ### ✅ Done: 1 layer deprecated

    - The tables are committed: [`SHA`](https://github.com/octo/catalog/commit/SHA) changes 12 files.

    #### `native` · deprecated

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | 2 versions deprecated, usable until DATE | – | |

    Other regions, history and snippets: [`native.md`](https://github.com/octo/catalog/blob/SHA/layers/arns/layers/native.md).

    <details><summary>12 files of the tables changed</summary>

    ```text
    layers/arns/README.md
    layers/arns/feeds/all.atom
    layers/arns/feeds/all.json
    layers/arns/feeds/layers/native.atom
    layers/arns/feeds/layers/native.json
    layers/arns/layers/native.md
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
    ✓ layersmith: success · 1 layer would be deprecated
    ");
    let table = world.table("p3.13/us-east-1.csv");
    assert!(
        table.contains("native,2.0.0,deprecated,2") && !table.contains("latest"),
        "{table}"
    );
    assert_eq!(
        world.published_once().len(),
        2,
        "nothing is deleted before it expires"
    );

    // Asked for again, the same zip is found, not published twice.
    world
        .github
        .push("main", [("layers/native.yaml", NATIVE)], "platform")
        .await;
    world.settled().await;
    let table = world.table("p3.13/us-east-1.csv");
    assert!(table.contains("native,2.0.0,latest,,"), "{table}");
    assert_eq!(world.published_once().len(), 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_mistakes_than_one_request_takes_are_all_on_their_lines() {
    let world = World::start().await;
    let files: Vec<(String, String)> = (0..23)
        .map(|n| {
            let text = format!("packages: [demo-core]\nregions: [moon-{n}]\npythn: [\"3.13\"]\narchitectures: [arm65]\n");
            (format!("layers/wrong-{n:02}.yaml"), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let number = world.branch("wrong", &files).await;
    world.settled().await;
    let check = world.check(&world.github.pull_request_head(number));
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    assert_eq!(check.annotations.len(), 69);
    let mut places: Vec<_> = check
        .annotations
        .iter()
        .map(|one| (one.path.clone(), one.start_line))
        .collect();
    places.dedup();
    assert_eq!(places.len(), 69, "each once");
    assert!(
        world.comment(number).contains("69 mistakes"),
        "{}",
        world.comment(number)
    );
    world.finish().await;
}
