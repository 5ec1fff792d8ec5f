//! What the policy and changes of it come to.

use crate::world::World;

const NATIVE: &str = "packages:\n  - demo-native\npython: [\"3.13\"]\narchitectures: [x86_64]\n";

/// The policy of [`World::start`] with some of its text replaced.
fn policy(world: &World, from: &str, to: &str) -> String {
    let policy = world
        .github
        .file_at("main", ".github/layersmith.yaml")
        .unwrap();
    assert!(policy.contains(from), "{policy}");
    policy.replace(from, to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_policy_takes_effect_only_after_the_merge() {
    let world = World::start().await;
    world
        .github
        .push("main", [("layers/native.yaml", NATIVE)], "platform")
        .await;
    world.settled().await;
    let text = policy(&world, "[eu-west-1, us-east-1]", "[us-east-1, us-west-2]");
    let number = world
        .branch(
            "regions",
            &[
                (".github/layersmith.yaml", &text),
                (
                    "layers/other.yaml",
                    "packages: [demo-core]\npython: [\"3.13\"]\narchitectures: [x86_64]\n",
                ),
            ],
        )
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    regions #1
    Open · mona · main ← regions

    ── layersmith[bot] ──
    ### 1 layer × 1 target would be published to 2 regions after the merge

    - This pull request edits the policy (`.github/layersmith.yaml`). It is planned with the policy of its base branch; the edited one counts from the merge on, and what follows from it is done then.

    #### `other` · first publication of `1.0.0`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | first time: `demo-core 1.0.0` | 1.3 KiB (1 %) | 0.6 KiB (1 %) | 2: `eu-west-1`, `us-east-1` |

    - Bytecode: there is no CPython 3.13 where Layersmith runs
    - Importing was not tested: isolation is turned off where Layersmith runs: `LAYERSMITH_BWRAP` is `off`

    <details><summary>What is inside, and where it goes</summary>

    `p3.13`:

    ```text
    demo-core 1.0.0 (MIT)
    ```

    2 regions: `eu-west-1`, `us-east-1`.

    - `p3.13`: `Layersmith-p313-other`, 5 files, SHA-256 `SHA…`; weighs most: `demo-core` 0.6 KiB

    </details>

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    ✓ layersmith: success · 1 layer × 1 target would be published to 2 regions after the merge
    ");

    world.github.merge_pull_request(number).await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    regions #1
    Merged · mona · main ← regions

    ── layersmith[bot] · edited ──
    ### ✅ Published: 2 layers × 1 target, live in 2 regions

    - The tables are committed: [`SHA`](https://github.com/octo/catalog/commit/SHA) changes 18 files.

    #### `native` · live in 2 regions

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | `2.0.0` | 2 regions (1 of them before); not wanted any more in `eu-west-1` |  |

    To copy, for Python 3.13 on x86_64 in `us-west-2`:

    ```text
    arn:aws:lambda:us-west-2:123456789012:layer:Layersmith-p313-native:1
    ```

    | Target | Region | ARN |
    |---|---|---|
    | `p3.13` | `us-west-2` | `arn:aws:lambda:us-west-2:123456789012:layer:Layersmith-p313-native:1` |

    Other regions, history and snippets: [`native.md`](https://github.com/octo/catalog/blob/SHA/layers/arns/layers/native.md).

    #### `other` · live in 2 regions

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | `1.0.0` | 2 regions |  |

    To copy, for Python 3.13 on x86_64 in `us-east-1`:

    ```text
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-other:1
    ```

    | Target | Region | ARN |
    |---|---|---|
    | `p3.13` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-other:1` |
    | `p3.13` | `us-west-2` | `arn:aws:lambda:us-west-2:123456789012:layer:Layersmith-p313-other:1` |

    Other regions, history and snippets: [`other.md`](https://github.com/octo/catalog/blob/SHA/layers/arns/layers/other.md).

    <details><summary>18 files of the tables changed</summary>

    ```text
    layers/arns/README.md
    layers/arns/feeds/all.atom
    layers/arns/feeds/all.json
    layers/arns/feeds/layers/native.atom
    layers/arns/feeds/layers/native.json
    layers/arns/feeds/layers/other.atom
    layers/arns/feeds/layers/other.json
    layers/arns/layers/native.md
    layers/arns/layers/other.md
    layers/arns/p3.13/eu-west-1.csv
    layers/arns/p3.13/eu-west-1.json
    layers/arns/p3.13/eu-west-1.md
    layers/arns/p3.13/us-east-1.csv
    layers/arns/p3.13/us-east-1.json
    layers/arns/p3.13/us-east-1.md
    layers/arns/p3.13/us-west-2.csv
    layers/arns/p3.13/us-west-2.json
    layers/arns/p3.13/us-west-2.md
    ```

    </details>

    ---
    <sub>Carried out: [`SHA`](https://github.com/octo/catalog/commit/SHA), run `apply-SHA-1`.</sub>

    ── checks ──
    ✓ layersmith: success · 1 layer × 1 target would be published to 2 regions after the merge
    ");
    assert_eq!(
        world.published_once().into_keys().collect::<Vec<_>>(),
        [
            "eu-west-1/Layersmith-p313-native/1",
            "us-east-1/Layersmith-p313-native/1",
            "us-east-1/Layersmith-p313-other/1",
            "us-west-2/Layersmith-p313-native/1",
            "us-west-2/Layersmith-p313-other/1",
        ]
    );
    assert!(
        world
            .table("p3.13/us-west-2.csv")
            .contains("native,2.0.0,latest")
    );
    assert!(
        world
            .table("p3.13/us-east-1.csv")
            .contains("native,2.0.0,latest")
    );
    // The region nobody wants any more keeps its version until it expires.
    assert!(
        world
            .table("p3.13/eu-west-1.csv")
            .contains("native,2.0.0,deprecated,2")
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_prefix_publishes_under_other_names() {
    let world = World::start().await;
    world
        .github
        .push("main", [("layers/native.yaml", NATIVE)], "platform")
        .await;
    world.settled().await;
    let text = format!("{}prefix: Acme\n", policy(&world, "python", "python"));
    let number = world
        .branch("prefix", &[(".github/layersmith.yaml", &text)])
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    assert!(
        world.comment(number).contains("Published"),
        "{}",
        world.comment(number)
    );
    let table = world.table("p3.13/us-east-1.csv");
    assert!(
        table.contains("latest,,arn:aws:lambda:us-east-1:123456789012:layer:Acme-p313-native:1"),
        "{table}"
    );
    assert!(table.contains("layer:Layersmith-p313-native:1"), "{table}");
    assert_eq!(table.matches("latest").count(), 1, "{table}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_policy_is_shown_on_its_lines_and_breaks_nothing_else() {
    let world = World::start().await;
    let broken = "regionz: [eu-west-1]\nlimits: {build_seconds: soon}\n";
    let rest = policy(&world, "regions: [eu-west-1, us-east-1]\n", "");
    let text = format!("{broken}{rest}");
    let number = world
        .branch(
            "broken",
            &[
                (".github/layersmith.yaml", &text),
                ("layers/native.yaml", NATIVE),
            ],
        )
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    broken #1
    Open · mona · main ← broken

    ── layersmith[bot] ──
    ### 2 mistakes to mend first

    Apart from that, 1 layer × 1 target would be published to 2 regions after the merge.

    | | Where | What is wrong | Write instead |
    |---|---|---|---|
    | ❌ | [`.github/layersmith.yaml:1:1`](https://github.com/octo/catalog/blob/SHA/.github/layersmith.yaml#L1) | unknown key `regionz` | did you mean `regions`? |
    | ❌ | [`.github/layersmith.yaml:2:25`](https://github.com/octo/catalog/blob/SHA/.github/layersmith.yaml#L2) | `build_seconds` must be a whole number, found text | write for example `build_seconds: 600` |

    - This pull request edits the policy (`.github/layersmith.yaml`). It is planned with the policy of its base branch; the edited one counts from the merge on, and what follows from it is done then.

    #### `native` · first publication of `2.0.0`

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

    - `p3.13`: `Layersmith-p313-native`, 5 files, SHA-256 `SHA…`; weighs most: `demo-native` 0.6 KiB

    </details>

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    ✗ layersmith: failure · 2 mistakes to mend first
      .github/layersmith.yaml:1:1 failure · unknown key `regionz`: did you mean `regions`?
      .github/layersmith.yaml:2:25 failure · `build_seconds` must be a whole number, found text: write for example `build_seconds: 600`
    ");

    // Merged all the same: nothing is published by a policy that cannot be read, and mended it goes on.
    let merge = world.github.merge_pull_request(number).await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    broken #1
    Merged · mona · main ← broken

    ── layersmith[bot] · edited ──
    ### ⚠️ Nothing was published: 2 mistakes to mend

    | | Where | What is wrong | Write instead |
    |---|---|---|---|
    | ❌ | [`.github/layersmith.yaml:1:1`](https://github.com/octo/catalog/blob/SHA/.github/layersmith.yaml#L1) | unknown key `regionz` | did you mean `regions`? |
    | ❌ | [`.github/layersmith.yaml:2:25`](https://github.com/octo/catalog/blob/SHA/.github/layersmith.yaml#L2) | `build_seconds` must be a whole number, found text | write for example `build_seconds: 600` |

    - The tables are as they were.

    ---
    <sub>Carried out: [`SHA`](https://github.com/octo/catalog/commit/SHA), run `apply-SHA-1`.</sub>

    ── checks ──
    ✗ layersmith: failure · 2 mistakes to mend first
      .github/layersmith.yaml:1:1 failure · unknown key `regionz`: did you mean `regions`?
      .github/layersmith.yaml:2:25 failure · `build_seconds` must be a whole number, found text: write for example `build_seconds: 600`
    ");
    assert_eq!(world.conclusions(&merge), ["failure"]);
    assert_eq!(world.published().len(), 0);
    let mended = policy(&world, broken, "regions: [eu-west-1]\n");
    let commit = world
        .github
        .push("main", [(".github/layersmith.yaml", mended)], "platform")
        .await;
    world.settled().await;
    assert_eq!(world.conclusions(&commit), ["success"]);
    assert_eq!(world.published_once().len(), 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_layers_at_once_are_refused_before_anything_is_built() {
    let world = World::start_with("limits: {layers_per_pull_request: 2}\n", |_, _| {}).await;
    let number = world
        .branch(
            "many",
            &[
                ("layers/a.yaml", "packages: [demo-core]\n"),
                ("layers/b.yaml", "packages: [demo-core]\n"),
                ("layers/c.yaml", "packages: [demo-core]\n"),
            ],
        )
        .await;
    world.settled().await;
    insta::assert_snapshot!(world.conversation(number), @"
    many #1
    Open · mona · main ← many

    ── layersmith[bot] ──
    ### 1 mistake to mend first

    Apart from that, 3 layers × 4 targets would be built first.

    | | Where | What is wrong | Write instead |
    |---|---|---|---|
    | ❌ | [`layers/a.yaml:1:1`](https://github.com/octo/catalog/blob/SHA/layers/a.yaml#L1) | this pull request changes 3 layers; the policy allows 2 at a time | split it into several pull requests |

    #### `a` · to be built first

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | known once it is built | – | – | – |
    | `p3.12-arm64` | known once it is built | – | – | – |
    | `p3.13` | known once it is built | – | – | – |
    | `p3.13-arm64` | known once it is built | – | – | – |

    #### `b` · to be built first

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | known once it is built | – | – | – |
    | `p3.12-arm64` | known once it is built | – | – | – |
    | `p3.13` | known once it is built | – | – | – |
    | `p3.13-arm64` | known once it is built | – | – | – |

    #### `c` · to be built first

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | known once it is built | – | – | – |
    | `p3.12-arm64` | known once it is built | – | – | – |
    | `p3.13` | known once it is built | – | – | – |
    | `p3.13-arm64` | known once it is built | – | – | – |

    ---
    <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

    ── checks ──
    ✗ layersmith: failure · 1 mistake to mend first
      layers/a.yaml:1:1 failure · this pull request changes 3 layers; the policy allows 2 at a time: split it into several pull requests
    ");
    assert_eq!(world.index.requests(), Vec::<String>::new());
    world.finish().await;
}
