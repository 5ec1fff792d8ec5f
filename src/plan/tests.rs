//! One `check` per situation: what is wanted, what is live, and the plan that follows.

use super::*;
use crate::model::{
    Artifact, BuildReport, Finding, Hasher, ImportTest, LayerArn, LayerRequest, Lock,
    OfferedRegions, Pin, Policy, Requirement, Severity, SlotKey, Timestamp, UNZIPPED_LIMIT,
    ZIPPED_LIMIT, published_layer_name,
};

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn target() -> Target {
    "p3.13".parse().unwrap()
}

fn request(name: &str) -> LayerRequest {
    LayerRequest {
        name: name.parse().unwrap(),
        path: format!("layers/{name}.yaml"),
        packages: vec![Requirement {
            text: name.to_owned(),
            name: name.to_owned(),
            location: Location { line: 2, column: 5 },
        }],
        targets: vec![target()],
        regions: Some(vec![region("eu-west-1"), region("us-east-1")]),
        description: None,
        license: None,
        exclude: vec![],
        slim: vec![],
        exclude_runtime: false,
        bytecode: Default::default(),
        allow_build: vec![],
        keep: vec![],
        owners: vec![],
    }
}

fn build(request: &LayerRequest, version: &str) -> BuildRecord {
    let mut hasher = Hasher::default();
    hasher.update(version.as_bytes());
    BuildRecord {
        layer: request.name.clone(),
        target: target(),
        fingerprint: request.fingerprint(target(), &Policy::default()),
        version: version.to_owned(),
        lock: Lock { packages: vec![] },
        artifact: Artifact {
            digest: hasher.finish(),
            size: 1000,
            unzipped_size: 3000,
            files: 3,
            pins: vec![Pin {
                name: request.name.to_string(),
                version: version.to_owned(),
                license: None,
            }],
            report: BuildReport::default(),
        },
        built_at: Timestamp::from_unix(0),
    }
}

fn live(build: &BuildRecord, region_name: &str) -> LayerVersion {
    let published_name =
        published_layer_name(&Policy::default().prefix, build.target, &build.layer);
    let region = region(region_name);
    let arn = LayerArn {
        region: region.clone(),
        account: "123456789012".into(),
        layer: published_name.clone(),
        version: 1,
    };
    LayerVersion {
        key: SlotKey {
            layer: build.layer.clone(),
            target: build.target,
            region,
            digest: build.artifact.digest,
            published_name,
        },
        state: LayerState::Live,
        arn: Some(arn),
        version: build.version.clone(),
        created_at: Timestamp::from_unix(0),
        live_at: Some(Timestamp::from_unix(0)),
        expires_at: None,
    }
}

fn wanted_of(request: &LayerRequest, builds: &[BuildRecord]) -> Vec<Wanted> {
    let layers = BTreeMap::from([(request.name.clone(), request.clone())]);
    wanted(
        &layers,
        &Policy::default(),
        &OfferedRegions::all(Region::commercial()),
        builds,
    )
}

/// The one action that follows from a request, what is built for it and what is live.
fn check(
    request: &LayerRequest,
    current: Option<BuildRecord>,
    old: &[BuildRecord],
    live: &[LayerVersion],
) -> Action {
    let current: Vec<BuildRecord> = current.into_iter().collect();
    let mut plan = plan(&wanted_of(request, &current), old, live, &BTreeSet::new());
    assert_eq!(plan.entries.len(), 1);
    plan.entries.remove(0).action
}

#[test]
fn what_was_never_built_is_built_first() {
    assert_eq!(check(&request("pandas"), None, &[], &[]), Action::Build);
}

#[test]
fn what_is_built_from_source_first_says_so() {
    let mut wanted = wanted_of(&request("pandas"), &[]);
    wanted[0].build = BuildState::FromSource(vec!["numpy".to_owned()]);
    let plan = plan(&wanted, &[], &[], &BTreeSet::new());
    assert_eq!(plan.entries[0].action, Action::Build);
    assert_eq!(plan.entries[0].from_source, ["numpy"]);
    assert!(plan.blocked().next().is_none() && !plan.is_empty());
}

#[test]
fn what_is_not_live_is_published_everywhere() {
    let request = request("pandas");
    let Action::Publish(publication) = check(&request, Some(build(&request, "2.0")), &[], &[])
    else {
        panic!("not published")
    };
    assert_eq!(publication.reason, Reason::New);
    assert_eq!(
        publication.regions,
        [region("eu-west-1"), region("us-east-1")]
    );
    assert_eq!(publication.published_name, "Layersmith-p313-pandas");
    assert_eq!(
        publication.changes,
        [PinChange {
            name: "pandas".into(),
            from: None,
            to: Some("2.0".into())
        }]
    );
}

#[test]
fn what_is_live_is_kept() {
    let request = request("pandas");
    let build = build(&request, "2.0");
    let versions = [live(&build, "eu-west-1"), live(&build, "us-east-1")];
    let action = check(&request, Some(build), &[], &versions);
    assert_eq!(
        action,
        Action::Keep {
            version: "2.0".into(),
            regions: vec![region("eu-west-1"), region("us-east-1")]
        }
    );
}

#[test]
fn a_missing_region_is_filled_and_an_unwanted_one_left() {
    let request = request("pandas");
    let build = build(&request, "2.0");
    let versions = [live(&build, "eu-west-1"), live(&build, "sa-east-1")];
    let Action::Publish(publication) = check(&request, Some(build), &[], &versions) else {
        panic!("not published")
    };
    assert_eq!(publication.reason, Reason::Backfill);
    assert_eq!(publication.regions, [region("us-east-1")]);
    assert_eq!(publication.already, [region("eu-west-1")]);
    assert_eq!(publication.leaves, [region("sa-east-1")]);
}

#[test]
fn another_zip_supersedes_with_its_changes() {
    let request = request("pandas");
    let old = build(&request, "1.9");
    let versions = [live(&old, "eu-west-1"), live(&old, "us-east-1")];
    let Action::Publish(publication) =
        check(&request, Some(build(&request, "2.0")), &[old], &versions)
    else {
        panic!("not published")
    };
    assert_eq!(publication.reason, Reason::Changed);
    assert_eq!(publication.previous_version.as_deref(), Some("1.9"));
    assert_eq!(
        publication.changes,
        [PinChange {
            name: "pandas".into(),
            from: Some("1.9".into()),
            to: Some("2.0".into())
        }]
    );
}

#[test]
fn what_is_too_large_is_blocked_before_anything_is_published() {
    let request = request("pandas");
    for (size, unzipped, says) in [
        (ZIPPED_LIMIT + 1, 1, "50 MiB"),
        (1, UNZIPPED_LIMIT + 1, "250 MiB"),
    ] {
        let mut build = build(&request, "2.0");
        build.artifact.size = size;
        build.artifact.unzipped_size = unzipped;
        let Action::Blocked {
            failure,
            build: Some(_),
        } = check(&request, Some(build), &[], &[])
        else {
            panic!("not blocked")
        };
        assert!(failure.message.contains(says), "{}", failure.message);
    }
}

fn error(package: Option<&str>, message: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        package: package.map(str::to_owned),
        message: message.to_owned(),
    }
}

fn blocked(action: Action) -> BuildFailure {
    match action {
        Action::Blocked {
            failure,
            build: Some(_),
        } => failure,
        other => panic!("not blocked: {other:?}"),
    }
}

#[test]
fn errors_of_the_audit_block_and_are_told_at_the_package() {
    let mut request = request("pandas");
    request.packages.push(Requirement {
        text: "numpy".into(),
        name: "numpy".into(),
        location: Location { line: 3, column: 5 },
    });
    let mut build = build(&request, "2.0");
    build.artifact.report.findings = vec![
        error(None, "first"),
        error(Some("numpy"), "Second."),
        error(Some("pandas"), "third"),
        error(None, "fourth"),
        error(None, "fifth"),
    ];
    let failure = blocked(check(&request, Some(build.clone()), &[], &[]));
    assert_eq!(
        failure.message,
        "first. Second. third. The audit found 2 more errors."
    );
    assert_eq!(failure.package.as_deref(), Some("numpy"));
    let wanted = wanted_of(&request, &[build.clone()]);
    assert_eq!(wanted[0].location, Location { line: 3, column: 5 });
    // What is live already stays: the audit judges what would be published.
    let versions = [live(&build, "eu-west-1"), live(&build, "us-east-1")];
    let kept = check(&request, Some(build), &[], &versions);
    assert!(matches!(kept, Action::Keep { .. }), "{kept:?}");
}

#[test]
fn warnings_do_not_block_and_a_failed_import_does() {
    let request = request("pandas");
    let mut build = build(&request, "2.0");
    build.artifact.report.findings = vec![Finding {
        severity: Severity::Warning,
        ..error(None, "soon")
    }];
    let action = check(&request, Some(build.clone()), &[], &[]);
    assert!(matches!(action, Action::Publish(_)), "{action:?}");
    build.artifact.report.import_test = ImportTest::Failed {
        module: "pandas".into(),
        trace: "  File \"x.py\", line 1\nModuleNotFoundError: No module named 'six'\n\n".into(),
    };
    build.artifact.size = ZIPPED_LIMIT + 1;
    let failure = blocked(check(&request, Some(build), &[], &[]));
    assert!(failure.message.starts_with("zipped it takes 50.0 MiB"));
    assert!(
        failure
            .message
            .ends_with(" `pandas` cannot be imported: ModuleNotFoundError: No module named 'six'.")
    );
}

#[test]
fn what_nobody_asks_for_is_retired_unless_its_file_cannot_be_read() {
    let request = request("pandas");
    let versions = [live(&build(&request, "2.0"), "eu-west-1")];
    let retired = plan(&[], &[], &versions, &BTreeSet::new());
    assert_eq!(
        retired.entries[0].action,
        Action::Retire {
            version: "2.0".into(),
            regions: vec![region("eu-west-1")]
        }
    );
    let held = plan(&[], &[], &versions, &BTreeSet::from([request.name]));
    assert!(held.is_empty());
}

#[test]
fn intents_and_deprecated_versions_are_not_live() {
    let request = request("pandas");
    let build = build(&request, "2.0");
    for state in [
        LayerState::Intent,
        LayerState::Deprecated,
        LayerState::Deleted,
    ] {
        let mut version = live(&build, "eu-west-1");
        version.state = state;
        assert!(plan(&[], &[], &[version.clone()], &BTreeSet::new()).is_empty());
        let Action::Publish(publication) = check(&request, Some(build.clone()), &[], &[version])
        else {
            panic!("kept")
        };
        assert_eq!(publication.regions.len(), 2);
    }
}
