//! The issue about what goes away, and parameters in an outcome.

use super::*;
use crate::plan::PermissionsFailure;
use crate::tables::{Extent, Leaving};

fn leaving(layer: &str, version: &str, date: &str, instead: Option<&str>) -> Leaving {
    Leaving {
        layer: layer.parse().unwrap(),
        version: version.to_owned(),
        extent: Extent::Whole,
        expires_at: format!("{date}T10:00:00Z").parse().unwrap(),
        targets: vec![target("p3.13"), target("p3.13-arm64")],
        instead: instead.map(str::to_owned),
        arns: vec![(
            format!("arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-{layer}:4"),
            34,
        )],
    }
}

#[test]
fn the_issue_lists_what_goes_away_and_when() {
    let issue = render_expiry(
        &[
            leaving("pandas", "2.3.2", "2026-12-10", Some("2.3.3")),
            leaving("old", "1|0 @octocat", "2026-12-20", None),
        ],
        Some(URL),
        "layers/arns",
    );
    insta::assert_snapshot!(issue.title, @"2 layer versions go away from 2026-12-10 to 2026-12-20");
    insta::assert_snapshot!(issue.body, @"
    <!-- layersmith:expiry:0 -->
    These layer versions are deleted on their expiry date. Functions that were deployed with them go on running, but a deployment that still names one of them fails from then on.

    | Expiry Date | Layer | Version | For | Use instead |
    | --- | --- | --- | --- | --- |
    | 2026-12-10 | `pandas` | `2.3.2` | `p3.13`, `p3.13-arm64` | `2.3.3` |
    | 2026-12-20 | `old` | <code>1&#124;0 &#64;octocat</code> | `p3.13`, `p3.13-arm64` |  |

    <details><summary>Their ARNs, with the region in the place of REGION</summary>

    - `arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:4` in 34 regions
    - `arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-old:4` in 34 regions

    </details>

    <sub>Layersmith keeps this list up to date and closes the issue when nothing goes away any more. Closed as not planned, it stays closed.</sub>
    ");
    let one = render_expiry(
        &[leaving("six", "1.17", "2026-12-10", None)],
        None,
        "layers/arns",
    );
    insta::assert_snapshot!(one.title, @"six 1.17 goes away on 2026-12-10");
}

#[test]
fn an_issue_that_would_be_too_long_says_what_it_leaves_out() {
    let many = |count: usize| -> Vec<Leaving> {
        (0..count)
            .map(|number| leaving(&format!("layer-{number}"), "1.0", "2026-12-10", Some("2.0")))
            .collect()
    };
    for (count, told) in [
        (450, "The ARNs of "),
        (
            3_000,
            " more are not listed here for length:** [the tables](",
        ),
    ] {
        let issue = render_expiry(&many(count), Some(URL), "layers/arns");
        assert!(issue.body.len() <= COMMENT_LIMIT, "{}", issue.body.len());
        assert!(
            issue.body.len() > COMMENT_LIMIT - 1_000,
            "{}",
            issue.body.len()
        );
        assert!(issue.body.contains(told), "{}", &issue.body[60_000..]);
        assert_eq!(
            issue.title,
            format!("{count} layer versions go away on 2026-12-10")
        );
    }
}

#[test]
fn parameters_that_could_not_be_written_are_a_warning() {
    let plan = Plan::default();
    let policy = Policy::default();
    let view = |parameters| OutcomeView {
        marker: "<!-- layersmith:plan:7 -->",
        commit_sha: HEAD,
        repository_url: Some(URL),
        policy: &policy,
        plan: &plan,
        outcomes: &[],
        problems: &[],
        retired: &[],
        usable_until: None,
        tables: &TablesResult::Unchanged,
        permissions: &[],
        parameters,
        run: "apply-0123456789ab-1",
    };
    let failure = RegionFailure {
        region: region("us-east-1"),
        message: "refused: AccessDeniedException: no `ssm:PutParameter`".into(),
        transient: false,
    };
    let outcome = ParametersOutcome {
        written: 4,
        removed: 1,
        failed: vec![failure],
    };
    let rendered = render_outcome(&view(&outcome));
    assert_eq!(rendered.check.conclusion, Conclusion::Success);
    insta::assert_snapshot!(rendered.comment, @"
    <!-- layersmith:plan:7 -->
    ### ✅ Nothing had to be published

    - The tables say so already.

    ⚠️ **The parameters in 1 region are not up to date.** What was published is live all the same; the next run tries again. Parameters: 4 written, 1 removed.

    - `us-east-1`: `` refused: AccessDeniedException: no `ssm:PutParameter` ``

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
    insta::assert_snapshot!(outcome_as_text(&view(&outcome)), @"
    Nothing had to be published.
    Parameters: 4 written, 1 removed.
    Parameters in us-east-1: WARNING: refused: AccessDeniedException: no `ssm:PutParameter`
    ");
}

#[test]
fn permissions_that_could_not_be_changed_are_a_failure() {
    let policy = Policy::default();
    let failure = |name: &str, versions, transient| PermissionsFailure {
        region: region(name),
        versions,
        message: "refused: AccessDeniedException: no `lambda:RemoveLayerVersionPermission`".into(),
        transient,
    };
    let regions = Region::commercial();
    let many: Vec<_> = (1..=12)
        .zip(&regions)
        .map(|(number, region)| failure(region.as_str(), number, number == 3))
        .collect();
    let told = |permissions| {
        render_outcome(&OutcomeView {
            marker: "<!-- layersmith:plan:7 -->",
            commit_sha: HEAD,
            repository_url: Some(URL),
            policy: &policy,
            plan: &Plan::default(),
            outcomes: &[],
            problems: &[],
            retired: &[],
            usable_until: None,
            tables: &TablesResult::Unchanged,
            permissions,
            parameters: &ParametersOutcome::default(),
            run: "apply-0123456789ab-1",
        })
    };
    let one = [failure("us-east-1", 3, false)];
    let rendered = told(&one);
    assert_eq!(rendered.check.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(rendered.comment, @"
    <!-- layersmith:plan:7 -->
    ### ⚠️ Nothing was published: who may use 3 versions in 1 region could not be changed

    - The tables say so already.

    ⚠️ **Who may use 3 versions in 1 region could not be changed.** The tables do not list them until it is. It takes somebody to mend that, then `/layersmith retry`.

    - `us-east-1`, 3 versions: `` refused: AccessDeniedException: no `lambda:RemoveLayerVersionPermission` ``

    ---
    <sub>Carried out: [`0123456789ab`](https://github.com/octo/catalog/commit/0123456789abcdef0123456789abcdef01234567), run `apply-0123456789ab-1`.</sub>
    ");
    let rendered = told(&many);
    let comment = &rendered.comment;
    assert!(
        comment.contains("Who may use 78 versions in 12 regions"),
        "{comment}"
    );
    assert!(comment.contains("It will be retried"), "{comment}");
    assert!(comment.contains("\n- and 2 more\n"), "{comment}");
}
