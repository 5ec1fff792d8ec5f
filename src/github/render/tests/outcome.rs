//! Outcomes after a merge.

use super::*;

fn pushed() -> TablesResult {
    TablesResult::Pushed {
        commit: "fedcba9876543210fedcba9876543210fedcba98".into(),
        paths: vec![
            "layers/arns/p3.13/us-east-1.md".into(),
            "layers/arns/layers/six.md".into(),
        ],
    }
}

fn six(target: Target) -> Publication {
    let mut six = publication("six", target, &[("six", "1.17.0")]);
    six.regions = ["eu-central-1", "eu-west-1", "us-east-1"]
        .map(region)
        .to_vec();
    six
}

fn unreachable(name: &str) -> RegionFailure {
    RegionFailure {
        region: region(name),
        message: "no answer within 30 seconds".into(),
        transient: true,
    }
}

#[test]
fn all_good() {
    let publications = [six(target("p3.13")), six(target("p3.13-arm64"))];
    let outcomes = publications.clone().map(|it| outcome(&it, vec![]));
    let answer = done(
        publications.map(publish).to_vec(),
        &outcomes,
        &[],
        &pushed(),
    );
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Success);
    assert_eq!(
        answer.check.title,
        "Published: 1 layer × 2 targets, live in 3 regions"
    );
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### ✅ Published: 1 layer × 2 targets, live in 3 regions

    - The tables are committed: [`fedcba987654`](https://github.com/octo/catalog/commit/fedcba9876543210fedcba9876543210fedcba98) changes 2 files.

    #### `six` · live in 3 regions

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | `1.17.0` | 3 regions |  |
    | `p3.13-arm64` | `1.17.0` | 3 regions |  |

    To copy, for Python 3.13 on x86_64 in `us-east-1`:

    ```text
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-six:1
    ```

    | Target | Region | ARN |
    |---|---|---|
    | `p3.13` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-six:1` |
    | `p3.13` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-six:1` |
    | `p3.13-arm64` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-six:1` |
    | `p3.13-arm64` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-arm64-six:1` |

    Other regions, history and snippets: [`six.md`](https://github.com/octo/catalog/blob/fedcba9876543210fedcba9876543210fedcba98/layers/arns/layers/six.md).

    <details><summary>All 6 ARNs</summary>

    ```text
    arn:aws:lambda:eu-central-1:123456789012:layer:Layersmith-p313-six:1
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-six:1
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-six:1
    arn:aws:lambda:eu-central-1:123456789012:layer:Layersmith-p313-arm64-six:1
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-six:1
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-arm64-six:1
    ```

    </details>

    <details><summary>2 files of the tables changed</summary>

    ```text
    layers/arns/layers/six.md
    layers/arns/p3.13/us-east-1.md
    ```

    </details>

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
    insta::assert_snapshot!(answer.check.summary, @"
    ### ✅ Published: 1 layer × 2 targets, live in 3 regions

    - The tables are committed: [`fedcba987654`](https://github.com/octo/catalog/commit/fedcba9876543210fedcba9876543210fedcba98) changes 2 files.
    - `six` · live in 3 regions · 2 targets
    - 2 files of the tables changed

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
}

#[test]
fn one_region_failed() {
    let publication = six(target("p3.13"));
    let outcomes = [outcome(&publication, vec![unreachable("us-east-1")])];
    let answer = done(vec![publish(publication)], &outcomes, &[], &pushed());
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### ⚠️ Published in part: 2 of 3 versions are live, 1 failed

    What is listed as live was read back and can be used. The rest is marked; `/layersmith retry` tries it again at once.

    - The tables are committed: [`fedcba987654`](https://github.com/octo/catalog/commit/fedcba9876543210fedcba9876543210fedcba98) changes 2 files.

    #### `six` · live in 2 regions, ⚠️ 1 version not live

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | `1.17.0` | 2 regions | ⚠️ 1: `us-east-1` |

    ⚠️ `us-east-1` failed for `p3.13`; it will be retried, `/layersmith retry` tries at once: no answer within 30 seconds

    To copy, for Python 3.13 on x86_64 in `eu-west-1`:

    ```text
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-six:1
    ```

    | Target | Region | ARN |
    |---|---|---|
    | `p3.13` | `eu-central-1` | `arn:aws:lambda:eu-central-1:123456789012:layer:Layersmith-p313-six:1` |
    | `p3.13` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-six:1` |

    Other regions, history and snippets: [`six.md`](https://github.com/octo/catalog/blob/fedcba9876543210fedcba9876543210fedcba98/layers/arns/layers/six.md).

    <details><summary>2 files of the tables changed</summary>

    ```text
    layers/arns/layers/six.md
    layers/arns/p3.13/us-east-1.md
    ```

    </details>

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
}

#[test]
fn causes_name_only_the_regions_they_are_true_of() {
    let publications = [six(target("p3.12")), six(target("p3.13"))];
    let outcomes = [
        outcome(&publications[0], vec![unreachable("us-east-1")]),
        outcome(&publications[1], vec![unreachable("eu-west-1")]),
    ];
    let answer = done(
        publications.map(publish).to_vec(),
        &outcomes,
        &[],
        &pushed(),
    );
    assert!(answer.comment.contains("`us-east-1` failed for `p3.12`;"));
    assert!(answer.comment.contains("`eu-west-1` failed for `p3.13`;"));
}

#[test]
fn the_tables_could_not_be_pushed() {
    let publication = six(target("p3.13"));
    let outcomes = [outcome(&publication, vec![])];
    let tables = TablesResult::Failed {
        message: "the host key of `github.com` changed @octocat".into(),
        transient: false,
    };
    let answer = done(vec![publish(publication)], &outcomes, &[], &tables);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### ⚠️ Published: 1 layer × 1 target, live in 3 regions; the tables could not be committed

    ⚠️ **The tables could not be committed.** What was published is live all the same, and its ARNs are below. It takes somebody to mend that, then `/layersmith retry`. What was said: the host key of `github.com` changed `@octocat`

    #### `six` · live in 3 regions

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | `1.17.0` | 3 regions |  |

    To copy, for Python 3.13 on x86_64 in `us-east-1`:

    ```text
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-six:1
    ```

    | Target | Region | ARN |
    |---|---|---|
    | `p3.13` | `eu-west-1` | `arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-six:1` |
    | `p3.13` | `us-east-1` | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-six:1` |

    <details><summary>All 3 ARNs</summary>

    ```text
    arn:aws:lambda:eu-central-1:123456789012:layer:Layersmith-p313-six:1
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-six:1
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-six:1
    ```

    </details>

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
}

#[test]
fn retired() {
    let action = Action::Retire {
        version: "1.16.0".into(),
        regions: two_regions(),
    };
    let mut gone = entry("six", target("p3.13"), action);
    gone.request = None;
    let versions = [("six".parse().unwrap(), target("p3.13"), 2)];
    let answer = done(vec![gone.clone()], &[], &versions, &pushed());
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Success);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### ✅ Done: 1 layer deprecated

    - The tables are committed: [`fedcba987654`](https://github.com/octo/catalog/commit/fedcba9876543210fedcba9876543210fedcba98) changes 2 files.

    #### `six` · deprecated

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | 2 versions deprecated, usable until 2027-11-22 | – | |

    Other regions, history and snippets: [`six.md`](https://github.com/octo/catalog/blob/fedcba9876543210fedcba9876543210fedcba98/layers/arns/layers/six.md).

    <details><summary>2 files of the tables changed</summary>

    ```text
    layers/arns/layers/six.md
    layers/arns/p3.13/us-east-1.md
    ```

    </details>

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
    // Planned and not done is no success.
    let answer = done(vec![gone], &[], &[], &TablesResult::NotTried);
    assert_eq!(answer.check.conclusion, Conclusion::Failure);
    assert_eq!(
        answer.check.title,
        "Nothing was published: 1 build not deprecated yet"
    );
}

#[test]
fn what_was_planned_and_not_carried_out_is_said() {
    let mut entries = vec![publish(six(target("p3.13")))];
    entries.push(blocked("torch", target("p3.13"), "it is too large"));
    let answer = done(entries, &[], &[], &TablesResult::NotTried);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### ⚠️ Nothing was published: 2 builds missing

    - The tables are as they were.

    #### `six` · ❌ 1 target not published

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | `1.17.0` | – | ❌ not carried out: `eu-central-1`, `eu-west-1`, `us-east-1` |

    #### `torch` · ❌ 1 target not published

    | Target | Version | Live in | Not live |
    |---|---|---|---|
    | `p3.13` | ❌ not published: see below | – | |

    ❌ `p3.13` not published; it takes another pull request to mend this: it is too large

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
}

#[test]
fn nothing_had_to_be_done() {
    let action = Action::Keep {
        version: "1.17.0".into(),
        regions: two_regions(),
    };
    let entries = vec![entry("six", target("p3.13"), action)];
    let answer = done(entries, &[], &[], &TablesResult::Unchanged);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Success);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### ✅ Nothing had to be published

    - The tables say so already.

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
}

#[test]
fn what_nobody_wants_any_more_is_skipped_and_nobodys_failure() {
    let publications = [six(target("p3.12")), six(target("p3.13"))];
    let outcomes = publications.clone().map(|it| {
        let mut outcome = outcome(&it, vec![]);
        let is_skipped =
            |region: &Region| it.build.target == target("p3.13") || region.as_str() == "eu-west-1";
        outcome.published.retain(|arn| !is_skipped(&arn.region));
        let skipped = it.regions.iter().filter(|region| is_skipped(region));
        outcome.skipped = skipped
            .map(|region| SkippedRegion {
                region: region.clone(),
                reason: match region.as_str() {
                    "eu-central-1" => SkipReason::Superseded,
                    _ => SkipReason::Unwanted,
                },
            })
            .collect();
        outcome
    });
    let answer = done(
        publications.map(publish).to_vec(),
        &outcomes,
        &[],
        &pushed(),
    );
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Success);
    insta::assert_snapshot!(
        answer.check.title,
        @"Published: 1 layer × 1 target, live in 2 regions; 4 versions skipped"
    );
    let lines = answer.comment.lines();
    let rows: Vec<&str> = lines.filter(|line| line.contains("skipped")).collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    ### ✅ Published: 1 layer × 1 target, live in 2 regions; 4 versions skipped
    #### `six` · live in 2 regions, 4 versions skipped
    | `p3.12` | `1.17.0` | 2 regions | skipped in `eu-west-1`: nobody asks for it there any more |
    | `p3.13` | `1.17.0` | 0 regions | skipped in `eu-central-1`: another version went live there meanwhile; skipped in `eu-west-1`, `us-east-1`: nobody asks for it there any more |
    ");
    let nowhere = done(
        vec![publish(six(target("p3.13")))],
        &outcomes[1..],
        &[],
        &TablesResult::Unchanged,
    );
    is_sound(&nowhere);
    insta::assert_snapshot!(nowhere.check.title, @"Done: 3 versions skipped");
}
