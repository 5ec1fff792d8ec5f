//! A pull request from its first commit to its last: one comment that is edited, one check on every head.

use crate::world::World;
use layersmith_testbed::github::Files;

const GOOD: &str = "packages:\n  - demo-app\npython: [\"3.13\"]\n";
/// A request that needs none of the packages of [`GOOD`].
const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_is_shown_on_its_line_and_a_push_that_mends_it_edits_the_comment() {
    let world = World::start().await;
    let number = world
        .pull_request(&[
            ("layers/good.yaml", GOOD),
            (
                "layers/wrong.yaml",
                "description: A mistake\npackages:\n  - demo-native\nregions: [us-esat-1]\n",
            ),
        ])
        .await;
    world.settled().await;

    let first_head = world.github.pull_request_head(number);
    let check = world.check(&first_head);
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    let places: Vec<_> = check
        .annotations
        .iter()
        .map(|one| (one.path.as_str(), one.start_line, one.start_column))
        .collect();
    assert_eq!(places, [("layers/wrong.yaml", 4, Some(11))]);
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Open · mona · main ← change

    ── layersmith[bot] ──
    ### 1 mistake to mend first

    Apart from that, 1 layer × 2 targets would be published to 2 regions after the merge.

    | | Where | What is wrong | Write instead |
    |---|---|---|---|
    | ❌ | [`layers/wrong.yaml:4:11`](https://github.com/octo/catalog/blob/SHA/layers/wrong.yaml#L4) | `us-esat-1` is not a region of AWS Lambda | did you mean `us-east-1`? |

    #### `good` · first publication of `1.1.0`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | first time: `demo-app 1.1.0`, `demo-core 1.0.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.13-arm64` | first time: `demo-app 1.1.0`, `demo-core 1.0.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |

    - Bytecode: there is no CPython 3.13 where Layersmith runs
    - Importing was not tested: isolation is turned off where Layersmith runs: `LAYERSMITH_BWRAP` is `off`

    <details><summary>What is inside, and where it goes</summary>

    `p3.13`, `p3.13-arm64`:

    ```text
    demo-app 1.1.0 (Apache-2.0)
    demo-core 1.0.0 (MIT)
    ```

    2 regions: `eu-west-1`, `us-east-1`.

    - `p3.13`: `Layersmith-p313-good`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB
    - `p3.13-arm64`: `Layersmith-p313-arm64-good`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB

    </details>

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    ✗ layersmith: failure · 1 mistake to mend first
      layers/wrong.yaml:4:11 failure · `us-esat-1` is not a region of AWS Lambda: did you mean `us-east-1`?
    ");
    let before = world.comment_ids(number);

    world
        .github
        .push_to_pull_request(number, [("layers/wrong.yaml", NATIVE)])
        .await;
    world.settled().await;
    assert_eq!(
        world.comment_ids(number),
        before,
        "the comment is edited in place"
    );
    assert_eq!(before.len(), 1);
    let head = world.github.pull_request_head(number);
    assert_eq!(world.conclusions(&head), ["success"]);
    assert_eq!(world.conclusions(&first_head), ["failure"]);
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Open · mona · main ← change

    ── layersmith[bot] · edited ──
    ### 3 builds of 2 layers would be published to 2 regions after the merge

    #### `good` · first publication of `1.1.0`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | first time: `demo-app 1.1.0`, `demo-core 1.0.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.13-arm64` | first time: `demo-app 1.1.0`, `demo-core 1.0.0` | 2.7 KiB (1 %) | 1.2 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |

    - Bytecode: there is no CPython 3.13 where Layersmith runs
    - Importing was not tested: isolation is turned off where Layersmith runs: `LAYERSMITH_BWRAP` is `off`

    <details><summary>What is inside, and where it goes</summary>

    `p3.13`, `p3.13-arm64`:

    ```text
    demo-app 1.1.0 (Apache-2.0)
    demo-core 1.0.0 (MIT)
    ```

    2 regions: `eu-west-1`, `us-east-1`.

    - `p3.13`: `Layersmith-p313-good`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB
    - `p3.13-arm64`: `Layersmith-p313-arm64-good`, 10 files, SHA-256 `SHA…`; weighs most: `demo-app` 0.6 KiB, `demo-core` 0.6 KiB

    </details>

    #### `wrong` · first publication of `2.0.0`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | first time: `demo-native 2.0.0` | 1.4 KiB (1 %) | 0.6 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |

    - Bytecode: there is no CPython 3.13 where Layersmith runs
    - Importing was not tested: isolation is turned off where Layersmith runs: `LAYERSMITH_BWRAP` is `off`

    <details><summary>What is inside, and where it goes</summary>

    `p3.13`:

    ```text
    demo-native 2.0.0
    ```

    2 regions: `eu-west-1`, `us-east-1`.

    - `p3.13`: `Layersmith-p313-wrong`, 5 files, SHA-256 `SHA…`; weighs most: `demo-native` 0.6 KiB

    </details>

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    ✓ layersmith: success · 3 builds of 2 layers would be published to 2 regions after the merge
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_head_takes_the_place_of_one_that_is_still_worked_on() {
    let world = World::start().await;
    let number = world
        .pull_request_that_hangs(("layers/good.yaml", GOOD))
        .await;
    let old = world.github.pull_request_head(number);
    assert_eq!(world.conclusions(&old), ["in_progress"]);

    let new = world
        .github
        .push_to_pull_request(
            number,
            Files::new()
                .delete("layers/good.yaml")
                .write("layers/native.yaml", NATIVE),
        )
        .await;
    world.settled().await;
    assert_eq!(world.conclusions(&old), ["cancelled"]);
    assert_eq!(world.conclusions(&new), ["success"]);
    let comment = world.comment(number);
    assert!(
        comment.contains(&new[..7]) && !comment.contains(&old[..7]),
        "{comment}"
    );
    insta::assert_snapshot!(world.check(&old).title.unwrap(), @"Stopped");
    insta::assert_snapshot!(world.normalized(number, &world.check(&old).summary.unwrap()), @"Work on `SHA` was stopped: a newer run for `SHA` took its place.");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_without_layers_hears_nothing_but_its_check_is_concluded() {
    let world = World::start().await;
    let number = world
        .pull_request(&[("README.md", "# Other words\n")])
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Open · mona · main ← change

    ── checks ──
    – layersmith: neutral · Nothing to publish
    ");
    assert_eq!(world.comment_ids(number), Vec::<u64>::new());

    // It comes to touch a layer, and then no more.
    world
        .github
        .push_to_pull_request(number, [("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    assert!(world.comment(number).contains("would be published"));
    world
        .github
        .push_to_pull_request(number, Files::new().delete("layers/native.yaml"))
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Open · mona · main ← change

    ── layersmith[bot] · edited ──
    ### Nothing to publish

    - No request file is touched.

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    – layersmith: neutral · Nothing to publish
    ");
    world.github.merge_pull_request(number).await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    Change layers #1
    Merged · mona · main ← change

    ── layersmith[bot] · edited ──
    ### ✅ Nothing had to be published

    - The tables are committed: [`SHA`](https://github.com/octo/catalog/commit/SHA) changes 1 file.

    <details><summary>1 file of the tables changed</summary>

    ```text
    layers/arns/README.md
    ```

    </details>

    ---
    <sub>Carried out: [`SHA`](https://github.com/octo/catalog/commit/SHA), run `apply-SHA-1`.</sub>

    ── checks ──
    – layersmith: neutral · Nothing to publish
    ");
    assert_eq!(world.published().len(), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_has_nothing_to_do_with_layers_is_not_commented_on() {
    let world = World::start().await;
    let layers = world
        .branch("layers", &[("layers/native.yaml", NATIVE)])
        .await;
    world.settled().await;
    world.github.merge_pull_request(layers).await;
    world.settled().await;
    assert!(world.comment(layers).contains("live in 2 regions"));

    let number = world
        .branch("words", &[("README.md", "# Other words\n")])
        .await;
    world.settled().await;
    let merge = world.github.merge_pull_request(number).await;
    world.settled().await;
    assert_eq!(world.comment_ids(number), Vec::<u64>::new());
    assert_eq!(world.conclusions(&merge), ["success"]);
    assert_eq!(world.own_commits(), 1);
    world.finish().await;
}
