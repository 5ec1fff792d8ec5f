//! The overview, the tables of the regions, and what decides which files there are.

use super::super::*;
use super::*;
use crate::model::Visibility;

#[test]
fn which_files_there_are() {
    let files: Vec<String> = Catalog::new().render().into_keys().collect();
    insta::assert_snapshot!(files.join("\n"), @"
    layers/arns/README.md
    layers/arns/feeds/all.atom
    layers/arns/feeds/all.json
    layers/arns/feeds/layers/boto3.atom
    layers/arns/feeds/layers/boto3.json
    layers/arns/feeds/layers/pandas.atom
    layers/arns/feeds/layers/pandas.json
    layers/arns/feeds/layers/retired.atom
    layers/arns/feeds/layers/retired.json
    layers/arns/layers/boto3.md
    layers/arns/layers/pandas.md
    layers/arns/layers/retired.md
    layers/arns/p3.13-arm64/us-east-1.csv
    layers/arns/p3.13-arm64/us-east-1.json
    layers/arns/p3.13-arm64/us-east-1.md
    layers/arns/p3.13/eu-west-1.csv
    layers/arns/p3.13/eu-west-1.json
    layers/arns/p3.13/eu-west-1.md
    layers/arns/p3.13/us-east-1.csv
    layers/arns/p3.13/us-east-1.json
    layers/arns/p3.13/us-east-1.md
    ");
}

#[test]
fn the_overview() {
    insta::assert_snapshot!(Catalog::new().render()["layers/arns/README.md"], @"
    # Layers and their ARNs

    Generated from what is published: do not edit, changes are overwritten. Every AWS account may use these layers.

    ## Regions

    How many layers there are; each number links to its table of ARNs. Beside every table stands a `.csv` and a `.json` for programs.

    | Region | Python 3.13 on x86_64 | Python 3.13 on arm64 |
    | --- | --- | --- |
    | eu-west-1 | [1](p3.13/eu-west-1.md) |  |
    | us-east-1 | [2](p3.13/us-east-1.md) | [1](p3.13-arm64/us-east-1.md) |

    ## Layers

    | Layer | Version | Description |
    | --- | --- | --- |
    | [boto3](layers/boto3.md) | 1.41.2 |  |
    | [pandas](layers/pandas.md) | 2.3.3 | Data frames |
    | [retired](layers/retired.md) | 1.0 | No longer built; what is left expires. |

    ## News

    What is published, retired or about to expire, as a feed: [Atom](feeds/all.atom), [JSON Feed](feeds/all.json). Every layer has one of its own too, linked from its page.

    ## How to use an ARN

    1. Pick the table of your function's Python version, architecture and region: a layer works with that combination only.
    2. Copy the ARN of the `latest` version and add it to the function's layers. A layer's page has ready snippets for AWS SAM,
       AWS CDK, Terraform, the Serverless Framework and the AWS CLI.
    3. An ARN names one version that never changes. When a newer one is published, the old one becomes `deprecated`: it can be
       used until its expiry date, then it is deleted. Functions that were deployed with it go on running.

    A function has at most five layers, and together with them at most 250 MiB unzipped.
    ");
}

#[test]
fn a_regional_table() {
    let files = Catalog::new().render();
    insta::assert_snapshot!(files["layers/arns/p3.13/us-east-1.md"], @"
    # Python 3.13 on x86_64, us-east-1

    [All targets and regions](../README.md) · `deprecated` versions work until they expire.

    | Package | Package Version | Status | Expiry Date | Arn |
    | --- | --- | --- | --- | --- |
    | [boto3](../layers/boto3.md) | 1.41.2 | latest |  | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-boto3:7` |
    | [pandas](../layers/pandas.md) | 2.3.3 | latest |  | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4` |
    | [pandas](../layers/pandas.md) | 2.3.2 | deprecated | 2027-10-01 | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:3` |
    | [retired](../layers/retired.md) | 1.0 | deprecated | 2027-10-01 | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-retired:1` |
    ");
    assert_eq!(
        files["layers/arns/p3.13/us-east-1.csv"]
            .replace("arn:aws:lambda:us-east-1:123456789012:layer:", "…"),
        "Package,Package Version,Status,Expiry Date,Arn\r\n\
         boto3,1.41.2,latest,,…Layersmith-p313-boto3:7\r\n\
         pandas,2.3.3,latest,,…Layersmith-p313-pandas:4\r\n\
         pandas,2.3.2,deprecated,2027-10-01,…Layersmith-p313-pandas:3\r\n\
         retired,1.0,deprecated,2027-10-01,…Layersmith-p313-retired:1\r\n"
    );
    insta::assert_snapshot!(files["layers/arns/p3.13/us-east-1.json"], @r#"
    [
      {"package": "boto3", "packageVersion": "1.41.2", "arn": "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-boto3:7"},
      {"package": "pandas", "packageVersion": "2.3.3", "arn": "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4"}
    ]
    "#);
}

#[test]
fn an_empty_store_gives_a_page_that_says_so() {
    let mut catalog = Catalog::new();
    catalog.versions.clear();
    let files = catalog.render();
    assert_eq!(files.len(), 1);
    insta::assert_snapshot!(files["layers/arns/README.md"], @"
    # Layers and their ARNs

    Generated from what is published: do not edit, changes are overwritten. Every AWS account may use these layers.

    Nothing is published yet.
    ");
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let mut catalog = Catalog::new();
    let expected = catalog.render();
    for round in 0..catalog.versions.len() {
        catalog.versions.rotate_left(1);
        catalog.builds.rotate_left(1);
        if round % 2 == 0 {
            catalog.versions.reverse();
            catalog.builds.reverse();
        }
        assert_eq!(catalog.render(), expected);
    }
}

#[test]
fn the_policy_decides_where_and_in_which_formats() {
    let mut catalog = Catalog::new();
    catalog.policy.tables.path = "arns".to_owned();
    catalog.policy.tables.formats = vec![TableFormat::Json];
    catalog.policy.visibility =
        Visibility::Accounts(vec!["111111111111".to_owned(), "222222222222".to_owned()]);
    let files = catalog.render();
    let paths: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "arns/README.md",
            "arns/p3.13-arm64/us-east-1.json",
            "arns/p3.13/eu-west-1.json",
            "arns/p3.13/us-east-1.json"
        ]
    );
    let readme = &files["arns/README.md"];
    assert!(readme.contains("These AWS accounts may use the layers: 111111111111, 222222222222."));
    assert!(
        readme.contains("[2](p3.13/us-east-1.json)") && !readme.contains(".md)"),
        "{readme}"
    );
    catalog.policy.tables.formats = vec![TableFormat::Md];
    let page = &catalog.render()["arns/layers/pandas.md"];
    assert!(
        page.contains("[asked for](../../layers/pandas.yaml)"),
        "{page}"
    );
}

#[test]
fn hostile_text_stays_text() {
    let mut catalog = Catalog::new();
    let evil = "x | y\n\n# Owned\n<script>alert(1)</script> [click](https://e.example) `";
    let mut version = version("evil", "p3.13", "us-east-1", "1|0<b>", 1);
    version.version.push('\n');
    catalog.builds = vec![build(&version, &[("e|vil`", "1\n2", Some(evil))])];
    catalog.versions = vec![version];
    let request = request("evil", Some(evil), &["evil>=1; python_version<'3' | `"]);
    catalog.layers = [(request.name.clone(), request)].into();
    let files = catalog.render();
    for (path, text) in &files {
        if path.ends_with(".md") {
            assert!(
                !text.contains("<script>") && !text.contains("\n# Owned"),
                "{path}:\n{text}"
            );
            assert!(!text.contains("[click]("), "{path}:\n{text}");
        }
    }
    let page = &files["layers/arns/layers/evil.md"];
    let lines: Vec<&str> = page
        .lines()
        .filter(|line| line.contains("vil") && !line.contains("arn:"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    # evil
    Made of `` evil>=1; python_version<'3' | ` ``, as [asked for](../../../layers/evil.yaml). [All layers](../README.md) · New versions as a feed: [Atom](../feeds/layers/evil.atom), [JSON Feed](../feeds/layers/evil.json)
    | e\|vil\` | 1 2 | x \| y \# Owned &lt;script&gt;alert(1)&lt;/script&gt; \[click\](https&#58;//e.example) \` |
    ");
    assert!(files["layers/arns/p3.13/us-east-1.csv"].contains("evil,\"1|0<b>\n\",latest"));
    let json: serde_json::Value =
        serde_json::from_str(&files["layers/arns/p3.13/us-east-1.json"]).unwrap();
    assert_eq!(json[0]["packageVersion"], "1|0<b>\n");
    let layers = api_latest(&catalog.versions, parse("p3.13"), &us_east_1());
    assert!(
        api_latest_html(&layers, parse("p3.13"), &us_east_1()).contains("<td>1|0&lt;b&gt;\n</td>")
    );
}
