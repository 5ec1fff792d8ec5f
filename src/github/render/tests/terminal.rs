//! Plans and outcomes on a terminal.

use super::*;

#[test]
fn a_plan() {
    let mut new = publication(
        "pandas",
        target("p3.13"),
        &[("pandas", "2.2.3"), ("numpy", "2.1.3")],
    );
    new.reason = Reason::Changed;
    new.previous_version = Some("2.2.2".into());
    new.regions = two_regions();
    new.changes = vec![PinChange {
        name: "numpy".into(),
        from: Some("1.26.4".into()),
        to: Some("2.1.3".into()),
    }];
    let retire = Action::Retire {
        version: "1.0".into(),
        regions: two_regions(),
    };
    let plan = Plan {
        entries: vec![
            publish(new),
            blocked("evil", target("p3.12-arm64"), "first\u{1b}[31m\nsecond"),
            entry("old", target("p3.12"), retire),
        ],
        ..Plan::default()
    };
    let problem = Problem::error("layers/b.yaml", Location { line: 4, column: 3 }, "no\u{7}");
    insta::assert_snapshot!(plan_as_text(&plan, &[problem]), @"
    layers/b.yaml:4:3: error: no

    evil
      p3.12-arm64  blocked   first [31m
                             second
    old
      p3.12        retire    1.0, live in 2 regions
    pandas
      p3.13        change    2.2.2 -> 2.2.3, to eu-west-1, us-east-1 (13.0 MiB of 50 MiB zipped, 60.0 MiB of 250 MiB unzipped)
                             pandas 2.2.3 (MIT)
                             numpy 2.1.3 (MIT), was 1.26.4

    2 mistakes to mend first.
    Apart from that, 1 layer × 1 target would be published to 2 regions; 1 layer would be deprecated.
    ");
    insta::assert_snapshot!(plan_as_text(&Plan::default(), &[]), @"Nothing to publish.");
}

#[test]
fn packages_that_targets_have_alike_are_listed_once() {
    let plan = Plan {
        entries: [
            ("p3.12", "2.1.3"),
            ("p3.13", "2.1.3"),
            ("p3.13-arm64", "2.2.0"),
        ]
        .map(|(name, numpy)| {
            let mut new = publication("pandas", target(name), &[("numpy", numpy)]);
            new.build.artifact.size = 9_728;
            publish(new)
        })
        .into(),
        ..Plan::default()
    };
    insta::assert_snapshot!(plan_as_text(&plan, &[]), @"
    pandas
      p3.12        new       2.1.3, to 34 regions (9.5 KiB of 50 MiB zipped, 60.0 MiB of 250 MiB unzipped)
                             numpy 2.1.3 (MIT)
      p3.13        new       2.1.3, to 34 regions (9.5 KiB of 50 MiB zipped, 60.0 MiB of 250 MiB unzipped)
                             same packages as p3.12
      p3.13-arm64  new       2.2.0, to 34 regions (9.5 KiB of 50 MiB zipped, 60.0 MiB of 250 MiB unzipped)
                             numpy 2.2.0 (MIT)

    1 layer × 3 targets would be published to 34 regions.
    ");
}

#[test]
fn an_outcome() {
    let mut six = publication("six", target("p3.13"), &[("six", "1.17.0")]);
    six.regions = two_regions();
    let failure = RegionFailure {
        region: region("us-east-1"),
        message: "no answer".into(),
        transient: true,
    };
    let outcomes = [outcome(&six, vec![failure])];
    let plan = Plan {
        entries: vec![publish(six), blocked("torch", target("p3.13"), "too large")],
        ..Plan::default()
    };
    let policy = Policy::default();
    let text = outcome_as_text(&OutcomeView {
        marker: "",
        commit_sha: HEAD,
        repository_url: None,
        policy: &policy,
        plan: &plan,
        outcomes: &outcomes,
        problems: &[],
        retired: &[("old".parse().unwrap(), target("p3.12"), 2)],
        usable_until: None,
        tables: &TablesResult::Unchanged,
        permissions: &[],
        parameters: &ParametersOutcome::default(),
        run: "apply-0123456789ab-1",
    });
    insta::assert_snapshot!(text, @"
    old
      p3.12        retired   2 versions, usable for another 365 days
    six
      p3.13        published 1.17.0 to 1 region
                             arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-six:1
                             FAILED    us-east-1: no answer (another try may help)
    torch
      p3.13        NOT DONE  blocked   too large

    Published in part: 1 of 2 versions are live, 1 failed; 1 build missing; 1 layer deprecated.
    ");
}
