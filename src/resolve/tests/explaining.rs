//! What people read when there is no lock: the fewest requirements, and what can be had instead.

use super::index::{Bench, Listed, listed, listed_source, listed_yanked, requirements};
use crate::resolve::{ResolveError, ResolveRequest, Resolver};

async fn error_of(bench: &Bench, packages: &[&str], target: &str) -> ResolveError {
    bench.resolve(packages, target).await.unwrap_err()
}

#[tokio::test]
async fn the_fewest_requirements_that_cannot_go_together_are_told() {
    let mut wheels: Vec<Listed> = (0..8)
        .map(|n| listed(&format!("other{n}-1.0-py3-none-any"), &["shared"]))
        .collect();
    wheels.push(listed("web-2.31.0-py3-none-any", &["link>=1.21,<3"]));
    wheels.push(listed("shared-1.0-py3-none-any", &[]));
    for version in ["0.9", "1.5", "2.0"] {
        wheels.push(listed(&format!("link-{version}-py3-none-any"), &[]));
    }
    let bench = Bench::start(wheels).await;
    let packages = [
        "other0",
        "other1",
        "other2",
        "link<1",
        "other3",
        "other4",
        "other5",
        "web==2.31.0",
        "other6",
        "other7",
    ];
    let error = error_of(&bench, &packages, "p3.13").await;
    let ResolveError::NoSolution { requirements, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(requirements, &["link<1", "web==2.31.0"]);
    assert!(["link", "web"].contains(&error.package().unwrap()));
    insta::assert_snapshot!(error.for_people(), @"
    `link<1` and `web==2.31.0` cannot go together:
    Because all versions of web depend on link>=1.21,<3 and the layer asks for link<1, the requirements and all versions of web are incompatible.
    And because the layer asks for web==2.31.0, there are no versions that fit.
    ");
}

#[tokio::test]
async fn three_that_conflict_only_together_are_all_told() {
    let bench = Bench::start(vec![
        listed("a-1.0-py3-none-any", &["x!=1.0"]),
        listed("b-1.0-py3-none-any", &["x!=2.0"]),
        listed("c-1.0-py3-none-any", &["x!=3.0"]),
        listed("d-1.0-py3-none-any", &["x"]),
        listed("x-1.0-py3-none-any", &[]),
        listed("x-2.0-py3-none-any", &[]),
        listed("x-3.0-py3-none-any", &[]),
    ])
    .await;
    let error = error_of(&bench, &["d", "c", "b", "a"], "p3.13").await;
    let ResolveError::NoSolution { requirements, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(requirements, &["c", "b", "a"]);
}

#[tokio::test]
async fn one_that_cannot_be_met_is_told_alone() {
    let bench = Bench::start(vec![
        listed("good-1.0-py3-none-any", &[]),
        listed("bad-1.0-py3-none-any", &["absent>=2"]),
        listed("torn-1.0-py3-none-any", &["good<1"]),
    ])
    .await;
    let mut said = String::new();
    for asked in ["nowhere", "good>=7", "good==7", "bad", "torn"] {
        let error = error_of(&bench, &["good", asked], "p3.13").await;
        let name = asked.split(['=', '>']).next();
        assert_eq!(error.package(), name, "{error:?}");
        said.push_str(&format!("{asked}: {}\n", error.for_people()));
    }
    insta::assert_snapshot!(said, @"
    nowhere: there is no package `nowhere` on the package index.
    good>=7: no version of `good` meets `good>=7`: only good==1.0 is available.
    good==7: no version of `good` meets `good==7`.
    bad: `bad` needs `absent`, which is not on the package index.
    torn: no version of `torn` can be used for this target:
    Because only good==1.0 is available and all versions of torn depend on good<1, all versions of torn cannot be used.
    And because the layer asks for torn, there are no versions that fit.
    ");
}

#[tokio::test]
async fn without_a_wheel_it_is_told_what_can_be_had_instead() {
    let bench = Bench::start(vec![
        listed_source("old-1.0"),
        listed_source("old-2.0"),
        listed("old-2.0-cp312-cp312-manylinux_2_28_x86_64", &[]),
        listed("old-2.0-cp311-cp311-manylinux_2_17_aarch64", &[]),
        listed("old-1.5-py3-none-any", &[]),
        listed_source("never-1.0"),
        listed("elsewhere-1.0-cp313-cp313-win_amd64", &[]),
        listed("above-1.0-py3-none-any", &["never"]),
    ])
    .await;
    let resolver = Resolver::new(bench.settings.clone());
    let mut said = String::new();
    for asked in ["old>=2", "old==1.0", "never", "elsewhere", "above"] {
        let packages = requirements(&[asked]);
        let others = ["p3.12".parse().unwrap(), "p3.12-arm64".parse().unwrap()];
        let request = ResolveRequest {
            other_targets: &others,
            ..bench.request(&packages, "p3.13")
        };
        let error = resolver.resolve(&request).await.unwrap_err();
        assert!(matches!(error, ResolveError::NoWheel { .. }), "{error:?}");
        assert_eq!(error.package(), Some(packages[0].name.as_str()));
        said.push_str(&format!("{asked}: {}\n", error.for_people()));
    }
    insta::assert_snapshot!(said, @"
    old>=2: `old>=2` has no wheel for this target. What can be done: ask for another version, such as `old==1.5`; or leave this target out: there is one for Python 3.12 on x86_64; or name `old` under `allow_build`, and it is built from its source after the merge.
    old==1.0: `old==1.0` has no wheel for this target. What can be done: ask for another version, such as `old==1.5`; or name `old` under `allow_build`, and it is built from its source after the merge.
    never: `never` has no wheel for this target. What can be done: name `never` under `allow_build`, and it is built from its source after the merge.
    elsewhere: `elsewhere` has no wheel for this target. No other version, Python or architecture was found that has one.
    above: `never==1.0`, which `above` needs, has no wheel for this target. What can be done: name `never` under `allow_build`, and it is built from its source after the merge.
    ");
}

#[tokio::test]
async fn withdrawn_releases_are_marked_in_the_lock() {
    let bench = Bench::start(vec![
        listed("app-1.0-py3-none-any", &["part"]),
        listed("part-1.0-py3-none-any", &[]),
        listed_yanked("part-2.0-py3-none-any", "it \"eats\" files"),
    ])
    .await;
    let reasons = |lock: crate::model::Lock| -> Vec<(String, String, Option<String>)> {
        let fields =
            |package: crate::model::LockedPackage| (package.name, package.version, package.yanked);
        lock.packages.into_iter().map(fields).collect()
    };
    let of = |name: &str, version: &str, reason: Option<&str>| {
        (
            name.to_owned(),
            version.to_owned(),
            reason.map(str::to_owned),
        )
    };
    let lock = bench.resolve(&["app"], "p3.13").await.unwrap();
    assert_eq!(
        reasons(lock),
        [of("app", "1.0", None), of("part", "1.0", None)]
    );
    let lock = bench.resolve(&["app", "part==2.0"], "p3.13").await.unwrap();
    assert_eq!(
        reasons(lock),
        [
            of("app", "1.0", None),
            of("part", "2.0", Some("it \"eats\" files"))
        ]
    );
}
