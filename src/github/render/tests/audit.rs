//! What is told of how layers were built and what was found in them.

use super::*;
use crate::plan::against_publishing;

const MEBIBYTE: u64 = 1024 * 1024;

fn finding(severity: Severity, package: Option<&str>, message: &str) -> Finding {
    Finding {
        severity,
        package: package.map(str::to_owned),
        message: message.to_owned(),
    }
}

fn report() -> BuildReport {
    BuildReport {
        bytecode: BytecodeReport {
            included: Bytecode::All,
            reason: None,
            compiler: Some("CPython 3.13.0".into()),
            lacks_interpreter: false,
            may_pass: false,
            files: 812,
            unzipped: 20 * MEBIBYTE,
            zipped: 8 * MEBIBYTE,
        },
        slimmed: vec![
            Slimmed {
                why: LeftOut::Slim(SlimKind::Tests),
                files: 300,
                unzipped: 14 * MEBIBYTE,
                zipped: 3 * MEBIBYTE,
            },
            Slimmed {
                why: LeftOut::Runtime,
                files: 2,
                unzipped: 0,
                zipped: 9,
            },
        ],
        weights: [("numpy", 40), ("pandas", 20)]
            .map(|(package, weight)| Weight {
                package: package.into(),
                unzipped: weight * MEBIBYTE,
                zipped: MEBIBYTE,
            })
            .to_vec(),
        findings: vec![
            finding(
                Severity::Warning,
                Some("numpy"),
                "`numpy 2.1.3` was yanked: <b>@octocat</b> says so",
            ),
            finding(Severity::Note, None, "The runtime is old."),
        ],
        import_test: ImportTest::Passed {
            modules: vec!["pandas".into(), "numpy".into()],
        },
    }
}

fn reported(target: Target, report: BuildReport) -> Publication {
    let mut publication = publication("pandas", target, &[("pandas", "2.2.3"), ("numpy", "2.1.3")]);
    publication.regions = two_regions();
    publication.build.artifact.report = report;
    publication
}

fn refused(publication: Publication) -> Entry {
    let build = publication.build;
    let failure = against_publishing(&build, false).unwrap();
    let action = Action::Blocked {
        failure,
        build: Some(Box::new(build.clone())),
    };
    entry("pandas", build.target, action)
}

#[test]
fn warnings_are_told_once_and_stand_at_their_package() {
    let mut untested = report();
    untested.import_test = ImportTest::Skipped {
        reason: "there is no Python 3.12 here".into(),
    };
    untested.bytecode = BytecodeReport {
        reason: Some("there is no Python 3.12 here".into()),
        ..BytecodeReport::default()
    };
    let mut heavy = reported(target("p3.13"), report());
    heavy.build.artifact.unzipped_size = 200 * MEBIBYTE;
    let answer = told(
        vec![publish(reported(target("p3.12"), untested)), publish(heavy)],
        &[],
    );
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Success);
    insta::assert_snapshot!(answer.comment, @"
    <!-- layersmith:plan:7 -->
    ### 1 layer × 2 targets would be published to 2 regions after the merge

    #### `pandas` · first publication of `2.2.3`

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.12` | first time: `pandas 2.2.3`, `numpy 2.1.3` | 13.0 MiB (26 %) | 60.0 MiB (24 %) | 2: `eu-west-1`, `us-east-1` |
    | `p3.13` | first time: `pandas 2.2.3`, `numpy 2.1.3` | 13.0 MiB (26 %) | 200.0 MiB (80 %) ⚠️ | 2: `eu-west-1`, `us-east-1` |

    - ⚠️ `numpy 2.1.3` was yanked: `<b>@octocat</b>` says so
    - `p3.12`: Bytecode: there is no Python 3.12 here
    - `p3.12`: Importing was not tested: there is no Python 3.12 here
    - `p3.13`: What weighs most: `numpy` 40.0 MiB, `pandas` 20.0 MiB.
    - Left out: tests 14.0 MiB, packages of the Lambda runtime (2).

    <details><summary>What is inside, and where it goes</summary>

    `p3.12`, `p3.13`:

    ```text
    pandas 2.2.3 (MIT)
    numpy 2.1.3 (MIT)
    ```

    2 regions: `eu-west-1`, `us-east-1`.

    - `p3.12`: `Layersmith-p312-pandas`, 812 files, SHA-256 `be1383ba21bed088…`; weighs most: `numpy` 40.0 MiB, `pandas` 20.0 MiB; The runtime is old
    - `p3.13`: `Layersmith-p313-pandas`, 812 files, SHA-256 `45b00c99117ec16e…`; bytecode of 812 modules by `CPython 3.13.0`; imported without an error: `pandas`, `numpy`; weighs most: `numpy` 40.0 MiB, `pandas` 20.0 MiB; The runtime is old

    </details>

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    ");
    let noted = &answer.check.annotations;
    assert_eq!(noted.len(), 1);
    insta::assert_snapshot!(noted[0].to_string(), @"layers/pandas.yaml:3:5: warning: pandas for p3.12, p3.13: `numpy 2.1.3` was yanked: <b>@octocat</b> says so");
}

#[test]
fn errors_and_failed_imports_forbid_publishing() {
    let mut wrong = report();
    wrong.findings.insert(
        0,
        finding(
            Severity::Error,
            Some("numpy"),
            "`numpy/_core.so` is for aarch64, and the layer for x86_64",
        ),
    );
    wrong.import_test = ImportTest::Failed {
        module: "pandas".into(),
        trace: "Traceback (most recent call last):\n  File \"x.py\", line 1\n```\n@octocat\u{1b}[31m\nImportError: no `six`\n".into(),
    };
    let publication = reported(target("p3.13"), wrong);
    let text = plan_as_text(
        &Plan {
            entries: vec![refused(publication.clone())],
            ..Plan::default()
        },
        &[],
    );
    let built = build_as_text(&publication.build, "/tmp/layer.zip", false);
    let answer = told(vec![refused(publication)], &[]);
    is_sound(&answer);
    assert_eq!(answer.check.conclusion, Conclusion::Failure);
    insta::assert_snapshot!(answer.comment, @r#"
    <!-- layersmith:plan:7 -->
    ### 1 mistake to mend first

    #### `pandas` · not possible

    | Target | Packages | Zipped, of 50 MiB | Unzipped, of 250 MiB | Regions |
    |---|---|---|---|---|
    | `p3.13` | ❌ not possible: see below | 13.0 MiB (26 %) | 60.0 MiB (24 %) | – |

    ❌ Not possible for `p3.13`: `numpy/_core.so` is for aarch64, and the layer for `x86_64.` `pandas` cannot be imported: ImportError: no `six`.

    - ⚠️ `numpy 2.1.3` was yanked: `<b>@octocat</b>` says so
    - Left out: tests 14.0 MiB, packages of the Lambda runtime (2).

    The end of what Python said when `pandas` was imported:

    ````text
    Traceback (most recent call last):
      File "x.py", line 1
    ```
    @octocat [31m
    ImportError: no `six`
    ````

    ---
    <sub>Planned for `0123456789ab`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>
    "#);
    insta::assert_snapshot!(text, @r#"
    pandas
      p3.13        blocked   `numpy/_core.so` is for aarch64, and the layer for x86_64. `pandas` cannot be imported: ImportError: no `six`.
                             warning: `numpy 2.1.3` was yanked: <b>@octocat</b> says so
                             left out: tests 14.0 MiB, packages of the Lambda runtime (2)
                             bytecode: 812 modules, 20.0 MiB, compiled by CPython 3.13.0
                             import: FAILED: pandas
                                            Traceback (most recent call last):
                                              File "x.py", line 1
                                            ```
                                            @octocat [31m
                                            ImportError: no `six`

    1 mistake to mend first.
    "#);
    insta::assert_snapshot!(built, @r#"
    pandas 2.2.3 p3.13
      zipped     13.0 MiB, 26 % of 50 MiB
      unzipped   60.0 MiB, 24 % of 250 MiB
      holds      812 files, 2 packages
      heaviest   numpy 40.0 MiB, pandas 20.0 MiB
      licences   MIT: pandas, numpy
      left out   tests 14.0 MiB, packages of the Lambda runtime (2)
      bytecode   812 modules, 20.0 MiB, compiled by CPython 3.13.0
      import     FAILED: pandas
                   Traceback (most recent call last):
                     File "x.py", line 1
                   ```
                   @octocat [31m
                   ImportError: no `six`
      ERROR      `numpy/_core.so` is for aarch64, and the layer for x86_64
      warning    `numpy 2.1.3` was yanked: <b>@octocat</b> says so
      note       The runtime is old.
      sha256     45b00c99117ec16e4cd7eb59e38349c2dc7d523fed8ee4865f3830ac2f7a2b4c
      path       /tmp/layer.zip
      REFUSED    built, but it would not be published: `numpy/_core.so` is for aarch64, and the layer for x86_64. `pandas` cannot be imported: ImportError: no `six`.
    "#);
}

#[test]
fn findings_without_end_fit() {
    let mut endless = report();
    endless.findings = (0..5_000)
        .map(|number| {
            let message = format!("{number} {}", "`|<details>".repeat(500));
            finding(Severity::Warning, Some("numpy"), &message)
        })
        .collect();
    endless.import_test = ImportTest::Failed {
        module: "x".repeat(100_000),
        trace: "y`".repeat(1_000_000),
    };
    let entries = four_targets()
        .into_iter()
        .map(|target| publish(reported(target, endless.clone())))
        .collect();
    let answer = told(entries, &[]);
    assert!(answer.comment.len() <= COMMENT_LIMIT);
    assert!(answer.check.summary.len() <= CHECK_LIMIT);
    assert_eq!(answer.check.annotations.len(), 50);
}
