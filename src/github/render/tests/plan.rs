//! Plans on a pull request.

use super::*;

#[test]
fn a_first_publication() {
    let mut entries = Vec::new();
    for target in four_targets() {
        entries.push(publish(publication(
            "pandas",
            target,
            &[("pandas", "2.2.3"), ("numpy", "2.1.3")],
        )));
        entries.push(publish(publication(
            "requests",
            target,
            &[("requests", "2.32.3")],
        )));
    }
    let answer = told(entries, &[]);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Success);
    assert_eq!(
        answer.check.title,
        "2 layers × 4 targets would be published to 34 regions after the merge"
    );
    assert_eq!(answer.check.text, None);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### 2 layers × 4 targets would be published to 34 regions after the merge

    #### `pandas` · first publication of `2.2.3`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | first time: `pandas 2.2.3`, `numpy 2.1.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |
    | `p3.12-arm64` | first time: `pandas 2.2.3`, `numpy 2.1.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |
    | `p3.13` | first time: `pandas 2.2.3`, `numpy 2.1.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |
    | `p3.13-arm64` | first time: `pandas 2.2.3`, `numpy 2.1.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |

    <details><summary>What is inside, and where it goes</summary>

    `p3.12`, `p3.12-arm64`, `p3.13`, `p3.13-arm64`:

    ```text
    pandas 2.2.3 (MIT)
    numpy 2.1.3 (MIT)
    ```

    34 regions: `af-south-1`, `ap-east-1`, `ap-east-2`, `ap-northeast-1`, `ap-northeast-2`, `ap-northeast-3`, `ap-south-1`, `ap-south-2`, `ap-southeast-1`, `ap-southeast-2`, `ap-southeast-3`, `ap-southeast-4`, `ap-southeast-5`, `ap-southeast-6`, `ap-southeast-7`, `ca-central-1`, `ca-west-1`, `eu-central-1`, `eu-central-2`, `eu-north-1`, `eu-south-1`, `eu-south-2`, `eu-west-1`, `eu-west-2`, `eu-west-3`, `il-central-1`, `me-central-1`, `me-south-1`, `mx-central-1`, `sa-east-1`, `us-east-1`, `us-east-2`, `us-west-1`, `us-west-2`.

    - `p3.12`: `Layersmith-p312-pandas`, 812 files, SHA-256 `be1383ba21bed088…`
    - `p3.12-arm64`: `Layersmith-p312-arm64-pandas`, 812 files, SHA-256 `8745b9dd45990621…`
    - `p3.13`: `Layersmith-p313-pandas`, 812 files, SHA-256 `45b00c99117ec16e…`
    - `p3.13-arm64`: `Layersmith-p313-arm64-pandas`, 812 files, SHA-256 `9ad30a7caae4dbbb…`

    </details>

    #### `requests` · first publication of `2.32.3`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | first time: `requests 2.32.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |
    | `p3.12-arm64` | first time: `requests 2.32.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |
    | `p3.13` | first time: `requests 2.32.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |
    | `p3.13-arm64` | first time: `requests 2.32.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |

    <details><summary>What is inside, and where it goes</summary>

    `p3.12`, `p3.12-arm64`, `p3.13`, `p3.13-arm64`:

    ```text
    requests 2.32.3 (MIT)
    ```

    34 regions: `af-south-1`, `ap-east-1`, `ap-east-2`, `ap-northeast-1`, `ap-northeast-2`, `ap-northeast-3`, `ap-south-1`, `ap-south-2`, `ap-southeast-1`, `ap-southeast-2`, `ap-southeast-3`, `ap-southeast-4`, `ap-southeast-5`, `ap-southeast-6`, `ap-southeast-7`, `ca-central-1`, `ca-west-1`, `eu-central-1`, `eu-central-2`, `eu-north-1`, `eu-south-1`, `eu-south-2`, `eu-west-1`, `eu-west-2`, `eu-west-3`, `il-central-1`, `me-central-1`, `me-south-1`, `mx-central-1`, `sa-east-1`, `us-east-1`, `us-east-2`, `us-west-1`, `us-west-2`.

    - `p3.12`: `Layersmith-p312-requests`, 812 files, SHA-256 `13abc38a5a6061ab…`
    - `p3.12-arm64`: `Layersmith-p312-arm64-requests`, 812 files, SHA-256 `a2400e550bbc710b…`
    - `p3.13`: `Layersmith-p313-requests`, 812 files, SHA-256 `7dc48e816aff3c3f…`
    - `p3.13-arm64`: `Layersmith-p313-arm64-requests`, 812 files, SHA-256 `93f1079963fac503…`

    </details>

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
    insta::assert_snapshot!(answer.check.summary, @"
    ### 2 layers × 4 targets would be published to 34 regions after the merge

    - `pandas` · first publication of `2.2.3` · 4 targets
    - `requests` · first publication of `2.32.3` · 4 targets

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}

#[test]
fn a_version_bump() {
    let old = pins(&[
        ("numpy", "1.26.4"),
        ("pandas", "2.2.2"),
        ("pytz", "2024.1"),
        ("six", "1.16.0"),
        ("tzdata", "2024.1"),
    ]);
    let mut new = publication(
        "pandas",
        target("p3.13"),
        &[
            ("pandas", "2.2.3"),
            ("numpy", "2.1.3"),
            ("python-dateutil", "2.9.0"),
            ("six", "1.17.0"),
            ("tzdata", "2024.2"),
        ],
    );
    new.reason = Reason::Changed;
    new.previous_version = Some("2.2.2".into());
    new.regions = two_regions();
    new.changes = pin_changes(&old, &new.build.artifact.pins);
    let answer = told(vec![publish(new)], &[]);
    is_sound(&answer);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### 1 layer × 1 target would be published to 2 regions after the merge

    #### `pandas` · `2.2.2` → `2.2.3`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | `numpy` `1.26.4` → `2.1.3`, `pandas` `2.2.2` → `2.2.3`, `six` `1.16.0` → `1.17.0`, `tzdata` `2024.1` → `2024.2` and 2 more | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 2: `eu-west-1`, `us-east-1` |

    <details><summary>What is inside, and where it goes</summary>

    `p3.13`:

    ```text
    pandas 2.2.3 (MIT), was 2.2.2
    numpy 2.1.3 (MIT), was 1.26.4
    python-dateutil 2.9.0 (MIT), new
    six 1.17.0 (MIT), was 1.16.0
    tzdata 2024.2 (MIT), was 2024.1
    pytz 2024.1 goes
    ```

    2 regions: `eu-west-1`, `us-east-1`.

    - `p3.13`: `Layersmith-p313-pandas`, 812 files, SHA-256 `45b00c99117ec16e…`

    </details>

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}

#[test]
fn a_backfill_next_to_what_stays_and_what_goes() {
    let mut more = publication("pandas", target("p3.13"), &[("pandas", "2.2.3")]);
    more.reason = Reason::Backfill;
    more.already = more.regions.split_off(2);
    more.leaves = vec![region("me-south-1")];
    more.changes.clear();
    let mut leaving = publication("six", target("p3.13"), &[("six", "1.17.0")]);
    leaving.reason = Reason::Backfill;
    leaving.regions.clear();
    leaving.already = two_regions();
    leaving.leaves = vec![region("sa-east-1")];
    leaving.changes.clear();
    let version = || "2.2.3".to_owned();
    let regions = two_regions;
    let answer = told(
        vec![
            entry(
                "pandas",
                target("p3.12"),
                Action::Keep {
                    version: version(),
                    regions: regions(),
                },
            ),
            publish(more),
            publish(leaving),
            entry(
                "old",
                target("p3.12"),
                Action::Retire {
                    version: version(),
                    regions: regions(),
                },
            ),
            entry("numpy", target("p3.12"), Action::Build),
        ],
        &[],
    );
    is_sound(&answer);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### 1 layer × 1 target would be published to 2 regions after the merge; 1 layer × 1 target would be built first; 1 layer would leave 1 region; 1 layer would be deprecated

    #### `numpy` · to be built first

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | known once it is built | – | – | – |

    #### `old` · `2.2.3` goes

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | `2.2.3` is not asked for any more: deprecated, usable for another 365 days | – | – | live in 2 |

    #### `pandas` · `2.2.3` as it is (`p3.12`), `2.2.3` for more regions (`p3.13`)

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | `2.2.3` stays as it is | – | – | live in 2 |
    | `p3.13` | `2.2.3`, the same zip | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 2 more: `af-south-1`, `ap-east-1`; live in 32; leaves 1: `me-south-1` |

    <details><summary>What is inside, and where it goes</summary>

    `p3.13`:

    ```text
    pandas 2.2.3 (MIT)
    ```

    2 regions: `af-south-1`, `ap-east-1`.

    - `p3.13`: `Layersmith-p313-pandas`, 812 files, SHA-256 `45b00c99117ec16e…`

    </details>

    #### `six` · `1.17.0` leaves regions

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | `1.17.0`, the same zip | 13.0 MiB (26 %) | 60.0 MiB (24 %) | live in 2; leaves 1: `sa-east-1` |

    <details><summary>What is inside, and where it goes</summary>

    `p3.13`:

    ```text
    six 1.17.0 (MIT)
    ```

    - `p3.13`: `Layersmith-p313-six`, 812 files, SHA-256 `194da4869d787ddd…`

    </details>

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}

#[test]
fn nothing_to_do() {
    let action = Action::Keep {
        version: "2.2.3".into(),
        regions: two_regions(),
    };
    let answer = told(vec![entry("pandas", target("p3.12"), action)], &[]);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Success);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### Nothing to publish

    #### `pandas` · `2.2.3` as it is

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | `2.2.3` stays as it is | – | – | live in 2 |

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
    let answer = told(vec![], &[]);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Neutral);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### Nothing to publish

    - No request file is touched.

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}

#[test]
fn an_edited_policy_and_what_waits_elsewhere() {
    let plan = Plan {
        entries: vec![publish(publication(
            "pandas",
            target("p3.13"),
            &[("pandas", "2.2.3")],
        ))],
        ..Plan::default()
    };
    let policy = Policy::default();
    let answer = render_plan(&PlanView {
        marker: &marker("plan", 7),
        head_sha: HEAD,
        repository_url: None,
        policy: &policy,
        plan: &plan,
        problems: &[],
        changed: &BTreeSet::new(),
        policy_edited: true,
        waiting_elsewhere: 3,
        notes: &["`pandas` waits for @octocat".into()],
    });
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Success);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### Nothing to publish

    - This pull request edits the policy (`.github/layersmith.yaml`). It is planned with the policy of its base branch; the edited one counts from the merge on, and what follows from it is done then.
    - The default branch has 3 more differences that this pull request does not touch; the next merge takes care of them.
    - `pandas` waits for `@octocat`

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}
