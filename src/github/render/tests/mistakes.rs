//! Plans of pull requests in which something has to be mended.

use super::*;

#[test]
fn a_layer_that_is_too_large() {
    let mut build = build("torch", target("p3.13"), &[("torch", "2.5.1")]);
    build.artifact.size = ZIPPED_LIMIT + 1;
    build.artifact.unzipped_size = 3 * UNZIPPED_LIMIT;
    let failure = BuildFailure {
        message: "unzipped it takes 750.0 MiB; AWS Lambda allows a function and all its layers 250 MiB together: ask for fewer packages, or leave files out with `exclude`".into(),
        package: None,
        transient: false,
    };
    let build = Some(Box::new(build));
    let answer = told(
        vec![
            entry("torch", target("p3.13"), Action::Blocked { failure, build }),
            publish(publication(
                "torch",
                target("p3.13-arm64"),
                &[("torch", "2.5.1")],
            )),
        ],
        &[],
    );
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Failure);
    assert_eq!(answer.check.annotations[0].path, "layers/torch.yaml");
    assert_eq!(answer.check.annotations[0].location.line, 2);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### 1 mistake to mend first

    Apart from that, 1 layer × 1 target would be published to 34 regions after the merge.

    #### `torch` · not possible (`p3.13`), first publication of `2.5.1` (`p3.13-arm64`)

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | ❌ not possible: see below | 50.0 MiB (101 %) ❌ | 750.0 MiB (300 %) ❌ | – |
    | `p3.13-arm64` | first time: `torch 2.5.1` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 34 |

    ❌ Not possible for `p3.13`: unzipped it takes 750.0 MiB; AWS Lambda allows a function and all its layers 250 MiB together: ask for fewer packages, or leave files out with `exclude`

    <details><summary>What is inside, and where it goes</summary>

    `p3.13-arm64`:

    ```text
    torch 2.5.1 (MIT)
    ```

    34 regions: `af-south-1`, `ap-east-1`, `ap-east-2`, `ap-northeast-1`, `ap-northeast-2`, `ap-northeast-3`, `ap-south-1`, `ap-south-2`, `ap-southeast-1`, `ap-southeast-2`, `ap-southeast-3`, `ap-southeast-4`, `ap-southeast-5`, `ap-southeast-6`, `ap-southeast-7`, `ca-central-1`, `ca-west-1`, `eu-central-1`, `eu-central-2`, `eu-north-1`, `eu-south-1`, `eu-south-2`, `eu-west-1`, `eu-west-2`, `eu-west-3`, `il-central-1`, `me-central-1`, `me-south-1`, `mx-central-1`, `sa-east-1`, `us-east-1`, `us-east-2`, `us-west-1`, `us-west-2`.

    - `p3.13-arm64`: `Layersmith-p313-arm64-torch`, 812 files, SHA-256 `0638cab011535464…`

    </details>

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}

#[test]
fn a_conflict_that_tries_to_say_more_than_it_should() {
    let explanation = "Because a`b depends on @octocat and\n```\n<!-- layersmith:plan:8 -->\n</details> #1\n/layersmith ok\n````\nno solution";
    let answer = told(
        vec![
            blocked("evil", target("p3.12"), explanation),
            blocked("evil", target("p3.13"), explanation),
            blocked("evil", target("p3.14"), "ask @octocat | see #1 <b>now</b>"),
        ],
        &[],
    );
    assert_eq!(answer.check.title, "2 mistakes to mend first");
    assert_eq!(answer.check.annotations.len(), 2);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### 2 mistakes to mend first

    #### `evil` · not possible

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | ❌ not possible: see below | – | – | – |
    | `p3.13` | ❌ not possible: see below | – | – | – |
    | `p3.14` | ❌ not possible: see below | – | – | – |

    ❌ Not possible for `p3.12`, `p3.13`:

    `````text
    Because a`b depends on @octocat and
    ```
    <!-- layersmith:plan:8 -->
    </details> #1
    /layersmith ok
    ````
    no solution
    `````

    ❌ Not possible for `p3.14`: ask <code>&#64;octocat &#124;</code> see `#1 <b>now</b>`

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}

#[test]
fn a_build_that_may_work_later() {
    let failure = BuildFailure {
        message: "the package index did not answer".into(),
        package: None,
        transient: true,
    };
    let build = None;
    let action = Action::Blocked { failure, build };
    let answer = told(vec![entry("pandas", target("p3.12"), action)], &[]);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### 1 build did not work out this time

    `/layersmith plan` tries again.

    #### `pandas` · did not work out

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | ⚠️ did not work out this time: see below | – | – | – |

    ⚠️ Did not work out this time for `p3.12`: the package index did not answer

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}

#[test]
fn only_problems() {
    let at = |line| Location { line, column: 3 };
    let problems = [
        Problem::warning("layers/b.yaml", at(9), "`six` needs no layer"),
        Problem::error("layers/b.yaml", at(4), "unknown key `pakages|@x`")
            .with_hint("did you mean `packages`?"),
        Problem::error(
            "layers/a b.yaml",
            at(1),
            "`us-est-1` is not a region of AWS Lambda",
        )
        .with_hint("did you mean `us-east-1`?"),
    ];
    let answer = told(vec![], &problems);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Failure);
    assert_eq!(answer.check.annotations.len(), 3);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### 2 mistakes to mend first

    1 warning below.

    | | Where | What is wrong | Write instead |
    |---|---|---|---|
    | ❌ | [`layers/a b.yaml:1:3`](https://github.com/octo/catalog/blob/0123456789abcdef0123456789abcdef01234567/layers/a%20b.yaml#L1) | `us-est-1` is not a region of AWS Lambda | did you mean `us-east-1`? |
    | ❌ | [`layers/b.yaml:4:3`](https://github.com/octo/catalog/blob/0123456789abcdef0123456789abcdef01234567/layers/b.yaml#L4) | unknown key <code>pakages&#124;&#64;x</code> | did you mean `packages`? |
    | ⚠️ | [`layers/b.yaml:9:3`](https://github.com/octo/catalog/blob/0123456789abcdef0123456789abcdef01234567/layers/b.yaml#L9) | `six` needs no layer |  |

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
    insta::assert_snapshot!(answer.check.summary, @"
    ### 2 mistakes to mend first

    1 warning below.

    - 2 mistakes and 1 warning in the request files

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
}
