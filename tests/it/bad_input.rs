//! Request files that cannot be what somebody meant: each is told on its line, and nothing else is held up.

use crate::world::{AUTHOR, World, normalize};
use layersmith_testbed::github::Files;

/// The annotations of the head's check, a line each, after the check's own outcome.
pub(crate) fn annotations(world: &World, number: u64) -> String {
    let check = world.check(&world.github.pull_request_head(number));
    let mut text = format!(
        "{}: {}\n",
        check.conclusion.unwrap_or_default(),
        check.title.unwrap_or_default()
    );
    for one in check.annotations {
        let column = one
            .start_column
            .map(|column| format!(":{column}"))
            .unwrap_or_default();
        text.push_str(&format!(
            "{}:{}{column} {} {}\n",
            one.path, one.start_line, one.level, one.message
        ));
    }
    normalize(&text)
}

/// What a comment says before it goes into each layer.
fn opening(comment: &str) -> String {
    let visible = comment.split_once('\n').unwrap().1;
    normalize(visible.split("\n#### ").next().unwrap())
}

/// Opens a pull request with these files and waits for the answer.
async fn ask(world: &World, branch: &str, files: Files) -> u64 {
    let number = world
        .github
        .open_pull_request(branch, "Ask for layers", files, AUTHOR)
        .await;
    world.settled().await;
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_of_every_file_is_told_on_its_line() {
    let world = World::start().await;
    let aliases = format!(
        "packages: &p [demo-core]\nkeep: [{}]\n",
        "*p,".repeat(10_000)
    );
    let nested = format!("packages: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let files = Files::new()
        .write("layers/a-list.yaml", "- demo-core\n- demo-app\n")
        .write("layers/a-text.yaml", "demo-core\n")
        .write("layers/aliases.yaml", aliases)
        .write("layers/bad-types.yaml", "packages: 7\npython: yes\nregions:\n  eu-west-1: true\nbytecode: maybe\n")
        .write("layers/bad-values.yaml", "packages:\n  - demo-core\n  - \"demo core\"\npython: [\"4.1\"]\narchitectures: [sparc]\nregions: [eu-wst-1]\n")
        .write("layers/deep.yaml", nested)
        .write("layers/empty.yaml", "")
        .write("layers/huge.yaml", "#".repeat(5 * 1024 * 1024))
        .write("layers/large.yaml", "#".repeat(70_000))
        .write("layers/not-utf8.yaml", b"packages:\n  - caf\xe9\n".to_vec())
        .write("layers/not-yaml.yaml", "packages: [demo-core\npython: \"3.13\n")
        .write("layers/nothing-asked.yaml", "description: nothing\n")
        .write("layers/twice.yaml", "packages:\n  - demo-core\npackages:\n  - demo-app\n")
        .write("layers/two.yaml", "packages: [demo-core]\n---\npackages: [demo-app]\n")
        .write("layers/typo.yaml", "pakages:\n  - demo-core\n");
    let number = ask(&world, "mistakes", files).await;
    insta::assert_snapshot!(annotations(&world, number), @r#"
        failure: 22 mistakes to mend first
        layers/a-list.yaml:1:1 failure the file must be a mapping of keys to values, found a list: write at least `packages: [pandas, "pyarrow>=15"]`
        layers/a-text.yaml:1:1 failure the file must be a mapping of keys to values, found text: write at least `packages: [pandas, "pyarrow>=15"]`
        layers/aliases.yaml:2:56 failure more than 16 anchors (`&name`) or aliases (`*name`): write the values out
        layers/bad-types.yaml:1:11 failure `packages` must be a list, found a number: write for example `packages: [pandas, "pyarrow>=15"]`
        layers/bad-types.yaml:2:9 failure `python` must be a list, found text: write for example `python: ["3.12", "3.13"]`
        layers/bad-types.yaml:4:3 failure `regions` must be `all` or a list, found a mapping: write for example `regions: [us-east-1, eu-west-1]`
        layers/bad-types.yaml:5:11 failure `bytecode` cannot be `maybe`: use `true`, `false` or `imported`
        layers/bad-values.yaml:3:11 failure `demo core` is not a requirement (PEP 508): write for example `pyarrow>=15` (the parser says `Expected one of '@', '(', '<', '=', '>', '~', '!', ';', found 'c'`)
        layers/bad-values.yaml:4:10 failure `4.1` is not a Python version of AWS Lambda: use `3.11`, `3.12`, `3.13` or `3.14`
        layers/bad-values.yaml:5:17 failure `sparc` is not an architecture of AWS Lambda: use `x86_64` or `arm64`
        layers/bad-values.yaml:6:11 failure `eu-wst-1` is not a region of AWS Lambda: did you mean `eu-west-1`?
        layers/deep.yaml:1:28 failure this is not valid YAML (the parser says `recursion limit exceeded`): no key needs more than three levels of lists and mappings
        layers/empty.yaml:1:1 failure the file is empty: write at least `packages: [pandas, "pyarrow>=15"]`
        layers/huge.yaml:1:1 failure the file has 5242880 bytes and is not read: keep it below 64 KiB
        layers/large.yaml:1:1 failure the file has 70000 bytes and is not read: keep it below 64 KiB
        layers/not-utf8.yaml:2:8 failure the file is not UTF-8 text: save it in the UTF-8 encoding
        layers/not-yaml.yaml:2:7 failure this is not valid YAML (the parser says `illegal placement of ':' indicator`): close the quotes on the line they begin on
        layers/nothing-asked.yaml:1:1 failure the key `packages` is missing: write for example `packages: [pandas, "pyarrow>=15"]`
        layers/twice.yaml:3:1 failure the key `packages` is here a second time: keep one of them; the first is on line 1
        layers/two.yaml:3:1 failure the file holds several YAML documents: remove the line `---` and what follows: one file describes one thing
        layers/typo.yaml:1:1 failure the key `packages` is missing: write for example `packages: [pandas, "pyarrow>=15"]`
        layers/typo.yaml:1:1 failure unknown key `pakages`: did you mean `packages`?
        "#);
    let comment = world.comment(number);
    assert!(comment.contains("did you mean `packages`?"), "{comment}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_make_no_layer_are_told_with_a_better_one() {
    let world = World::start().await;
    let good = "packages:\n  - demo-core\n";
    let files = Files::new()
        .write("layers/foo.yml", good)
        .write("layers/FOO.YAML", good)
        .write("layers/Pandas.yaml", good)
        .write("layers/my layer.yaml", good)
        .write("layers/-.yaml", good)
        .write("layers/.yaml", good)
        .write("layers/arm64-foo.yaml", good)
        .write("layers/foo.bar.yaml", good)
        .write(format!("layers/{}.yaml", "x".repeat(64)), good)
        .write("layers/größe.yaml", good)
        .write("layers/`code`<b>@mona.yaml", good);
    let number = ask(&world, "mistakes", files).await;
    insta::assert_snapshot!(annotations(&world, number), @"
        failure: 12 mistakes to mend first
        layers/-.yaml:1:1 failure the file's name `-` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file after its main package
        layers/.yaml:1:1 failure the file's name `` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file after its main package
        layers/FOO.YAML:1:1 failure a request file must end in `.yaml`, found `FOO.YAML`: rename it to `FOO.yaml`
        layers/FOO.YAML:1:1 failure the file's name `FOO` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `foo.yaml`
        layers/Pandas.yaml:1:1 failure the file's name `Pandas` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `pandas.yaml`
        layers/`code`<b>@mona.yaml:1:1 failure the file's name `'code'<b>@mona` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `code--b--mona.yaml`
        layers/arm64-foo.yaml:1:1 failure a layer's name cannot begin with `arm64-`, found `arm64-foo`: its published name would be that of `foo` on arm64: choose another name
        layers/foo.bar.yaml:1:1 failure the file's name `foo.bar` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `foo-bar.yaml`
        layers/foo.yml:1:1 failure a request file must end in `.yaml`, found `foo.yml`: rename it to `foo.yaml`
        layers/größe.yaml:1:1 failure the file's name `größe` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `gr--e.yaml`
        layers/my layer.yaml:1:1 failure the file's name `my layer` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `my-layer.yaml`
        layers/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.yaml:1:1 failure the file's name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is not a layer name (1 to 63 lowercase letters, digits, `-` and `_`, with a letter or digit at both ends): rename the file to `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx….yaml`
        ");
    world.comment(number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_file_is_not_read() {
    let world = World::start().await;
    let links = Files::new()
        .link("layers/link.yaml", "../.github/layersmith.yaml")
        .link("layers/out.yaml", "/etc/passwd")
        .link(".github/layersmith.yaml", "../README.md");
    let number = ask(&world, "links", links).await;
    insta::assert_snapshot!(annotations(&world, number), @"
        failure: 3 mistakes to mend first
        .github/layersmith.yaml:1:1 failure this is a link, and links are not followed: put the file itself here
        layers/link.yaml:1:1 failure this is a link, and links are not followed: put the file itself here
        layers/out.yaml:1:1 failure this is a link, and links are not followed: put the file itself here
        ");
    let folders = Files::new()
        .write(
            "layers/folder.yaml/inner.yaml",
            "packages:\n  - demo-core\n",
        )
        .write("layers/data/pandas.yaml", "packages:\n  - demo-core\n");
    let other = ask(&world, "folders", folders).await;
    insta::assert_snapshot!(world.conversation(other), @"
        Ask for layers #2
        Open · mona · main ← folders

        ── layersmith[bot] ──
        ### Nothing to publish

        2 warnings below.

        | | Where | What is wrong | Write instead |
        |---|---|---|---|
        | ⚠️ | [`layers/data/pandas.yaml:1:1`](https://github.com/octo/catalog/blob/SHA/layers/data/pandas.yaml#L1) | no request is read from here: they are files directly in `layers/` | move it to `layers/pandas.yaml` |
        | ⚠️ | [`layers/folder.yaml/inner.yaml:1:1`](https://github.com/octo/catalog/blob/SHA/layers/folder.yaml/inner.yaml#L1) | no request is read from here: they are files directly in `layers/` | move it to `layers/inner.yaml` |

        ---
        <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

        ── checks ──
        ✓ layersmith: success · Nothing to publish
          layers/data/pandas.yaml:1:1 warning · no request is read from here: they are files directly in `layers/`: move it to `layers/pandas.yaml`
          layers/folder.yaml/inner.yaml:1:1 warning · no request is read from here: they are files directly in `layers/`: move it to `layers/inner.yaml`
        ");
    world.comment(number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_one_file_does_not_hold_up_another() {
    let world = World::start().await;
    let files = Files::new()
        .write("layers/good.yaml", "packages:\n  - demo-core\n")
        .write(
            "layers/wrong.yaml",
            "packages:\n  - demo-core\nregion: [eu-west-1]\n",
        );
    let number = ask(&world, "mistakes", files).await;
    insta::assert_snapshot!(opening(&world.comment(number)), @"
        ### 1 mistake to mend first

        Apart from that, 1 layer × 4 targets would be published to 2 regions after the merge.

        | | Where | What is wrong | Write instead |
        |---|---|---|---|
        | ❌ | [`layers/wrong.yaml:3:1`](https://github.com/octo/catalog/blob/SHA/layers/wrong.yaml#L3) | unknown key `region` | did you mean `regions`? |
        ");
    // Merged all the same, the good one is published and the other one is not.
    world.github.merge_pull_request(number).await;
    world.settled().await;
    insta::assert_snapshot!(opening(&world.comment(number)), @"
    ### ⚠️ Published: 1 layer × 4 targets, live in 2 regions; 1 mistake to mend

    | | Where | What is wrong | Write instead |
    |---|---|---|---|
    | ❌ | [`layers/wrong.yaml:3:1`](https://github.com/octo/catalog/blob/SHA/layers/wrong.yaml#L3) | unknown key `region` | did you mean `regions`? |

    - The tables are committed: [`SHA`](https://github.com/octo/catalog/commit/SHA) changes 30 files.
    ");
    let (_, list) = world.get("/api/v2/p3.13/layers/latest/eu-west-1").await;
    assert!(list.contains("good") && !list.contains("wrong"), "{list}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_resolved_is_told_at_the_package() {
    let world = World::start().await;
    let files = Files::new()
        .write(
            "layers/conflict.yaml",
            "packages:\n  - demo-app\n  - only-old-core\n",
        )
        .write(
            "layers/missing.yaml",
            "packages:\n  - demo-core\n  - no-such-package\n",
        )
        .write("layers/no-version.yaml", "packages:\n  - demo-core>=7\n")
        .write(
            "layers/one-target.yaml",
            "packages:\n  - demo-core\n  - only-x86\n",
        );
    let number = ask(&world, "mistakes", files).await;
    insta::assert_snapshot!(annotations(&world, number), @"
        failure: 4 mistakes to mend first
        layers/conflict.yaml:3:5 failure conflict is not possible for p3.12, p3.12-arm64, p3.13, p3.13-arm64: no version of `only-old-core` can be used for this target:
        Because only demo-core==1.0.0 is available and all versions of only-old-core depend on demo-core<1, all versions of only-old-core cannot be used.
        And because the layer asks for only-old-core, there are no versions that fit.
        layers/missing.yaml:3:5 failure missing is not possible for p3.12, p3.12-arm64, p3.13, p3.13-arm64: there is no package `no-such-package` on the package index.
        layers/no-version.yaml:2:5 failure no-version is not possible for p3.12, p3.12-arm64, p3.13, p3.13-arm64: no version of `demo-core` meets `demo-core>=7`: only demo-core==1.0.0 is available.
        layers/one-target.yaml:3:5 failure one-target is not possible for p3.12, p3.12-arm64, p3.13-arm64: `only-x86` has no wheel for this target. What can be done: leave this target out: there is one for Python 3.13 on x86_64.
        ");
    let comment = world.comment(number);
    let check = world.check(&world.github.pull_request_head(number));
    for text in [
        comment,
        check.text.unwrap_or_default(),
        check.summary.unwrap_or_default(),
    ] {
        for telling in [
            world.folder.path().to_str().unwrap(),
            &world.index.url(),
            "/tmp/",
        ] {
            assert!(!text.contains(telling), "{telling} is told: {text}");
        }
    }
    assert!(!world.folder.path().join("data/registry/eu-west-1").exists());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_cannot_be_read_publishes_nothing_and_retires_nothing() {
    let world = World::start().await;
    let number = world
        .pull_request(&[("layers/demo.yaml", "packages:\n  - demo-core\n")])
        .await;
    world.settled().await;
    world.github.merge_pull_request(number).await;
    world.settled().await;
    world.comment(number);
    let before = world.get("/api/v2/p3.13/layers/latest/eu-west-1").await;

    // Somebody pushes a policy of no sense past every check.
    let broken = [(".github/layersmith.yaml", "regions: [nowhere\n")];
    let sha = world.github.push("main", broken, "platform").await;
    world.settled().await;
    let check = world.check(&sha);
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
    assert_eq!(check.annotations[0].path, ".github/layersmith.yaml");
    assert_eq!(
        world.get("/api/v2/p3.13/layers/latest/eu-west-1").await,
        before
    );
    assert_eq!(world.github.branch_head("main").unwrap(), sha);

    let more = Files::new().write("layers/more.yaml", "packages:\n  - demo-app\n");
    let again = ask(&world, "more", more).await;
    insta::assert_snapshot!(world.conversation(again), @"
        Ask for layers #2
        Open · mona · main ← more

        ── layersmith[bot] ──
        ### 1 mistake to mend first

        | | Where | What is wrong | Write instead |
        |---|---|---|---|
        | ❌ | [`.github/layersmith.yaml:1:10`](https://github.com/octo/catalog/blob/SHA/.github/layersmith.yaml#L1) | this is not valid YAML (the parser says `unclosed bracket '['`) | close the list with `]` |

        ---
        <sub>Planned for `SHA`. What is published can be used by every AWS account. A push plans anew; `/layersmith help` says what else can be asked for.</sub>

        ── checks ──
        ✗ layersmith: failure · 1 mistake to mend first
          .github/layersmith.yaml:1:10 failure · this is not valid YAML (the parser says `unclosed bracket '['`): close the list with `]`
        ");

    // Mended, everything goes on.
    let files = world
        .github
        .file_at(&format!("{sha}^"), ".github/layersmith.yaml")
        .unwrap();
    world
        .github
        .push("main", [(".github/layersmith.yaml", files)], "platform")
        .await;
    world.settled().await;
    world.finish().await;
}
