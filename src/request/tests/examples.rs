//! The catalog of this repository, and which files of a tree are read.

use super::*;

#[test]
fn request_files_lie_directly_in_layers() {
    for path in [
        "layers/a.yaml",
        "layers/a.yml",
        "layers/A.YAML",
        "layers/.yaml",
    ] {
        assert!(is_request_path(path), "{path}");
    }
    for path in [
        "layers/README.md",
        "layers/arns/README.md",
        "layers/arns/p3.13/us-east-1.yaml",
        "layers/yaml",
        "layers",
        "layers/",
        "a.yaml",
        "x/layers/a.yaml",
        "Layers/a.yaml",
        ".github/layersmith.yaml",
        "",
    ] {
        assert!(!is_request_path(path), "{path}");
    }
}

#[test]
fn a_catalog_holds_the_good_files_and_the_problems_of_all() {
    let files: BTreeMap<String, SourceFile> = [
        ("README.md", "text"),
        ("layers/README.md", "text"),
        ("layers/arns/p3.13/x.yaml", "text"),
        ("layers/data/d.yaml", "packages: [d]\n"),
        ("layers/b.yaml", "packages: [b]\npython: [3.10]\n"),
        ("layers/a.yaml", "packages: [a]\n"),
        ("layers/a.yml", "packages: [a]\n"),
        ("layers/c.yaml", "packages: []\n"),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec().into()))
    .collect();
    let catalog = parse_catalog(&files, &house_policy());
    let names: Vec<&str> = catalog.layers.keys().map(LayerName::as_str).collect();
    assert_eq!(names, ["a", "b"]);
    let problems: Vec<String> = catalog.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(problems.join("\n"), @r#"
    layers/a.yml:1:1: error: a request file must end in `.yaml`, found `a.yml`: rename it to `a.yaml`
    layers/b.yaml:2:10: warning: AWS Lambda ended Python 3.10 on 2026-10-31: functions cannot be created with it from 2026-11-30, nor updated from 2027-01-15: use 3.12 or later
    layers/c.yaml:1:11: error: `packages` is an empty list: write for example `packages: [pandas, "pyarrow>=15"]`
    layers/data/d.yaml:1:1: warning: no request is read from here: they are files directly in `layers/`: move it to `layers/d.yaml`
    "#);
}

#[test]
fn the_policy_and_the_layers_of_this_repository_have_no_problems() {
    let policy_file = include_bytes!("../../../.github/layersmith.yaml");
    let (policy, problems) = parse_policy(Policy::PATH, policy_file);
    assert_eq!(problems, []);
    let files: BTreeMap<String, SourceFile> = [
        (
            "layers/aws-lambda-powertools.yaml",
            include_bytes!("../../../layers/aws-lambda-powertools.yaml").to_vec(),
        ),
        (
            "layers/boto3.yaml",
            include_bytes!("../../../layers/boto3.yaml").to_vec(),
        ),
        (
            "layers/cryptography.yaml",
            include_bytes!("../../../layers/cryptography.yaml").to_vec(),
        ),
        (
            "layers/data-science.yaml",
            include_bytes!("../../../layers/data-science.yaml").to_vec(),
        ),
        (
            "layers/pandas.yaml",
            include_bytes!("../../../layers/pandas.yaml").to_vec(),
        ),
        (
            "layers/pillow.yaml",
            include_bytes!("../../../layers/pillow.yaml").to_vec(),
        ),
        (
            "layers/pydantic.yaml",
            include_bytes!("../../../layers/pydantic.yaml").to_vec(),
        ),
        (
            "layers/requests.yaml",
            include_bytes!("../../../layers/requests.yaml").to_vec(),
        ),
    ]
    .into_iter()
    .map(|(path, bytes)| (path.to_owned(), bytes.into()))
    .collect();
    let catalog = parse_catalog(&files, &policy.unwrap());
    assert_eq!(catalog.problems, []);
    assert_eq!(catalog.layers.len(), files.len());
}

#[test]
fn the_mistakes_shown_in_the_readme_are_what_is_said() {
    let text = "packages: \n  - pandas=2.2\nregions: [us-est-1]\nowner: me\n";
    let said = named_layer("layers/pandas.yaml", text);
    let readme = include_str!("../../../layers/README.md");
    assert!(readme.contains(&said), "{said}");
}

#[test]
fn the_readme_has_a_row_for_every_key() {
    let readme = include_str!("../../../layers/README.md");
    // The message for a key that is nothing like any other lists all of them.
    let known = layer("packages: [a]\nzzzzzz: 1\n");
    let keys: Vec<&str> = known.split('`').skip(3).step_by(2).collect();
    assert_eq!(keys.len(), 13, "{known}");
    for key in keys {
        assert!(readme.contains(&format!("\n| `{key}` ")), "{key}");
    }
}
