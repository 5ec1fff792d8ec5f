//! Whatever there is to say fits GitHub's limits, and what is left out is named.

use super::*;

fn fifty_layers() -> Vec<Publication> {
    let contents: Vec<(String, String)> = (0..40)
        .map(|number| (format!("package-{number:02}"), format!("{number}.1.2")))
        .collect();
    let contents: Vec<(&str, &str)> = contents
        .iter()
        .map(|(name, version)| (name.as_str(), version.as_str()))
        .collect();
    (0..50)
        .flat_map(|layer| {
            let contents = contents.clone();
            Target::all()
                .map(move |target| publication(&format!("layer-{layer:02}"), target, &contents))
        })
        .collect()
}

#[test]
fn a_huge_plan() {
    let entries: Vec<Entry> = fifty_layers().into_iter().map(publish).collect();
    let answer = told(entries.clone(), &[]);
    is_sound(&answer);
    assert_eq!(answer, told(entries, &[]), "the same plan reads the same");
    assert_eq!(
        answer.check.title,
        "50 layers × 10 targets would be published to 34 regions after the merge"
    );
    for layer in 0..50 {
        let name = format!("layer-{layer:02}");
        assert!(
            answer.comment.contains(&name),
            "{name} is not in the comment"
        );
        assert!(answer.check.summary.contains(&format!("- `{name}` · ")));
    }
    assert!(answer.comment.contains("> **Shortened for length:** "));
    assert!(answer.comment.len() > COMMENT_LIMIT * 3 / 4, "room is used");
    // What is shortened in the comment stands in the check run's text.
    let text = answer.check.text.unwrap();
    assert!(text.contains("What is inside, and where it goes"));
}

#[test]
fn a_huge_outcome() {
    let publications = fifty_layers();
    let broken: Vec<RegionFailure> = Region::commercial()
        .into_iter()
        .take(3)
        .map(|region| RegionFailure {
            message: format!("{region}: @octocat {}", "x`|".repeat(5_000)),
            region,
            transient: true,
        })
        .collect();
    let outcomes: Vec<Outcome> = publications
        .iter()
        .map(|publication| outcome(publication, broken.clone()))
        .collect();
    let tables = TablesResult::Pushed {
        commit: HEAD.into(),
        paths: (0..500)
            .map(|number| format!("layers/arns/{number}.md"))
            .collect(),
    };
    let entries = publications.into_iter().map(publish).collect();
    let answer = done(entries, &outcomes, &[], &tables);
    is_sound(&answer);
    assert_eq!(
        answer.check.title,
        "Published in part: 15500 of 17000 versions are live, 1500 failed"
    );
    assert!(
        answer
            .comment
            .contains("Every ARN stands in the tables under `layers/arns`.")
    );
    assert!((0..50).all(|layer| answer.comment.contains(&format!("layer-{layer:02}"))));
}

#[test]
fn five_hundred_problems() {
    let problems: Vec<Problem> = (1..=500)
        .map(|line| {
            let place = Location { line, column: 1 };
            Problem::error("layers/a.yaml", place, "`|".repeat(400)).with_hint("é`".repeat(400))
        })
        .collect();
    let answer = told(vec![], &problems);
    is_sound(&answer);
    assert_eq!(answer.check.title, "500 mistakes to mend first");
    assert_eq!(answer.check.annotations.len(), 500);
    assert!(
        answer
            .comment
            .contains("more: each stands on its line as an annotation")
    );
    // Those that fit are shown in whole rows.
    let rows = answer
        .comment
        .lines()
        .filter(|line| line.starts_with("| ❌"));
    assert!(rows.clone().count() > 2);
    assert!(rows.clone().all(|row| row.ends_with(" |")));
}

#[test]
fn many_short_problems_fold() {
    let problems: Vec<Problem> = (1..=100)
        .map(|line| Problem::error("layers/a.yaml", Location { line, column: 1 }, "no"))
        .collect();
    let answer = told(vec![], &problems);
    is_sound(&answer);
    assert!(
        answer
            .comment
            .contains("<details><summary>75 more</summary>")
    );
    assert_eq!(answer.check.text, None);
}

#[test]
fn values_without_end_are_cut_and_say_so() {
    let mut long = publication("a", target("p3.13"), &[("a", "1")]);
    long.build.version = "9".repeat(100_000);
    long.build.artifact.pins[0].version = "9".repeat(100_000);
    let explanation = format!("a\n{}", "`".repeat(100_000));
    let answer = told(
        vec![publish(long), blocked("b", target("p3.13"), &explanation)],
        &[],
    );
    is_sound(&answer);
    assert!(answer.comment.contains("more characters)"));
    assert!(answer.check.annotations[0].message.len() < 10_000);
    let notes: Vec<String> = vec!["*|`<".repeat(100_000); 500];
    let policy = Policy::default();
    let answer = render_plan(&PlanView {
        marker: &marker("plan", 7),
        head_sha: HEAD,
        repository_url: None,
        policy: &policy,
        plan: &Plan::default(),
        problems: &[],
        changed: &BTreeSet::new(),
        policy_edited: false,
        waiting_elsewhere: 0,
        notes: &notes,
    });
    is_sound(&answer);
    assert!(answer.comment.contains("Shortened for length"));
}
