//! What goes away soon, where people look.

use super::*;
use crate::tables::leaving;

/// 30 days before the old pandas goes away, which has a successor, and the retired layer, which has none.
fn soon() -> Catalog {
    let mut catalog = Catalog::new();
    catalog.today = at("2027-09-01");
    catalog
}

#[test]
fn the_overview_lists_it() {
    let page = &soon().render()["layers/arns/README.md"];
    let part = page
        .split("## ")
        .find(|part| part.starts_with("Goes away"))
        .unwrap();
    insta::assert_snapshot!(part, @"
    Goes away soon

    These versions are deleted on their expiry date. Functions that were deployed with them go on running.

    | Layer | Version | Expiry Date | For | Use instead |
    | --- | --- | --- | --- | --- |
    | [pandas](layers/pandas.md) | 2.3.2 | 2027-10-01 | Python 3.13 on x86_64 | 2.3.3 |
    | [retired](layers/retired.md) | 1.0 | 2027-10-01 | Python 3.13 on x86_64 |  |
    ");
}

#[test]
fn the_page_of_a_layer_begins_with_it() {
    let files = soon().render();
    let page = &files["layers/arns/layers/pandas.md"];
    insta::assert_snapshot!(page.split("## ").next().unwrap(), @"
    # pandas

    Data frames

    Made of `pandas`, `numpy>=2`, as [asked for](../../../layers/pandas.yaml). [All layers](../README.md) · New versions as a feed: [Atom](../feeds/layers/pandas.atom), [JSON Feed](../feeds/layers/pandas.json)

    > [!WARNING]
    > - **2.3.2** goes away on **2027-10-01**, for Python 3.13 on x86_64: use 2.3.3 instead.
    ");
    insta::assert_snapshot!(files["layers/arns/layers/retired.md"], @"
    # retired

    Nobody asks for this layer any more: it gets no new versions, and those below expire. [All layers](../README.md) · New versions as a feed: [Atom](../feeds/layers/retired.atom), [JSON Feed](../feeds/layers/retired.json)

    > [!WARNING]
    > - **1.0** goes away on **2027-10-01**, for Python 3.13 on x86_64.

    ## History

    | Published | Version | For | Status | Expiry Date | Regions | Zip |
    | --- | --- | --- | --- | --- | --- | --- |
    | 2026-10-01 | 1.0 | Python 3.13 on x86_64 | deprecated | 2027-10-01 | 1 | `9eef45331cca091f` |
    ");
    assert!(!files["layers/arns/layers/boto3.md"].contains("WARNING"));
}

#[test]
fn the_table_of_a_region_begins_with_it() {
    let files = soon().render();
    insta::assert_snapshot!(files["layers/arns/p3.13/us-east-1.md"], @"
    # Python 3.13 on x86_64, us-east-1

    [All targets and regions](../README.md) · `deprecated` versions work until they expire.

    > [!WARNING]
    > - pandas **2.3.2** (layer version 3) goes away on **2027-10-01**.
    > - retired **1.0** (layer version 1) goes away on **2027-10-01**.

    | Package | Package Version | Status | Expiry Date | Arn |
    | --- | --- | --- | --- | --- |
    | [boto3](../layers/boto3.md) | 1.41.2 | latest |  | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-boto3:7` |
    | [pandas](../layers/pandas.md) | 2.3.3 | latest |  | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4` |
    | [pandas](../layers/pandas.md) | 2.3.2 | deprecated | 2027-10-01 | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:3` |
    | [retired](../layers/retired.md) | 1.0 | deprecated | 2027-10-01 | `arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-retired:1` |
    ");
    assert!(!files["layers/arns/p3.13/eu-west-1.md"].contains("WARNING"));
}

#[test]
fn nothing_changes_but_on_the_day_that_something_enters_the_last_thirty() {
    let mut catalog = soon();
    let warned = catalog.render();
    let calm = Catalog::new().render();
    for (day, expected) in [
        ("2027-08-31", &calm),
        ("2027-09-01", &warned),
        ("2027-09-20", &warned),
        ("2027-12-24", &warned),
    ] {
        catalog.today = at(day);
        assert!(catalog.render() == *expected, "{day}");
    }
    let contracts = |files: &BTreeMap<String, String>| {
        let tables = files.iter().filter(|(path, _)| {
            path.ends_with(".csv") || path.ends_with(".json") && !path.contains("feeds")
        });
        tables
            .map(|(path, text)| (path.clone(), text.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(contracts(&calm), contracts(&warned));
}

#[test]
fn many_are_counted_and_not_all_named_above_a_table() {
    let mut catalog = soon();
    for number in 0..50 {
        let name = format!("old-{number:02}");
        catalog
            .versions
            .push(deprecated(version(&name, "p3.13", "us-east-1", "1.0", 1)));
    }
    let page = &catalog.render()["layers/arns/p3.13/us-east-1.md"];
    assert_eq!(page.matches("goes away on").count(), 20);
    assert!(page.contains("> - and 32 more."), "{page}");
}

#[test]
fn what_leaves_is_told_by_version_and_date() {
    let leaving = leaving(&soon().versions, at("2027-09-01"));
    let told: Vec<String> = leaving
        .iter()
        .map(|it| {
            let (arn, regions) = &it.arns[0];
            let date = it.expires_at.date();
            format!(
                "{date} {} {} {:?} {arn} {regions}",
                it.layer, it.version, it.instead
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    2027-10-01 pandas 2.3.2 Some("2.3.3") arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-pandas:3 1
    2027-10-01 retired 1.0 None arn:aws:lambda:REGION:123456789012:layer:Layersmith-p313-retired:1 1
    "#);
}

/// What the layer's page, the overview, the table of us-east-1 and the feed say of pandas.
fn said_of_pandas(catalog: &Catalog) -> String {
    let files = catalog.render();
    let lines = |path: &str, with: &[&str]| -> Vec<String> {
        let text = &files[&format!("layers/arns/{path}")];
        let lines = text
            .lines()
            .filter(|line| with.iter().all(|it| line.contains(it)));
        lines.map(str::to_owned).collect()
    };
    let feed = &files["layers/arns/feeds/layers/pandas.atom"];
    let titles = feed.lines().filter(|line| line.contains("<title>"));
    let titles = titles.filter(|line| line.contains("away"));
    [
        lines("layers/pandas.md", &["away"]),
        lines("README.md", &["(layers/pandas.md) |", "2027-10-01"]),
        lines("p3.13/us-east-1.md", &["pandas", "away"]),
        titles.map(|line| line.trim().to_owned()).collect(),
    ]
    .concat()
    .join("\n")
}

#[test]
fn of_a_version_that_was_built_again_the_earlier_build_goes() {
    let mut catalog = soon();
    catalog.versions[4].version = "2.3.3".to_owned();
    insta::assert_snapshot!(said_of_pandas(&catalog), @"
    > - An earlier build of **2.3.3** goes away on **2027-10-01**, for Python 3.13 on x86_64.
    | [pandas](layers/pandas.md) | an earlier build of 2.3.3 | 2027-10-01 | Python 3.13 on x86_64 |  |
    > - pandas **2.3.3** (layer version 3) goes away on **2027-10-01**.
    <title>An earlier build of pandas 2.3.3 goes away on 2027-10-01</title>
    ");
    let leaving = leaving(&catalog.versions, catalog.today);
    assert_eq!(leaving[0].extent.of("it"), "an earlier build of it");
}

#[test]
fn what_goes_in_one_region_and_stays_in_others_says_where() {
    let mut catalog = soon();
    catalog.versions.remove(4);
    catalog.versions[0] = deprecated(catalog.versions[0].clone());
    insta::assert_snapshot!(said_of_pandas(&catalog), @"
    > - **2.3.3** in us-east-1 goes away on **2027-10-01**, for Python 3.13 on x86_64.
    | [pandas](layers/pandas.md) | 2.3.3 in us-east-1 | 2027-10-01 | Python 3.13 on x86_64 |  |
    > - pandas **2.3.3** (layer version 4) goes away on **2027-10-01**.
    <title>pandas 2.3.3 in us-east-1 for p3.13 goes away on 2027-10-01</title>
    ");
}

#[test]
fn what_goes_here_and_was_built_again_there_is_some_of_it() {
    let mut catalog = soon();
    catalog.versions[4].version = "2.3.3".to_owned();
    catalog.versions[1] = deprecated(catalog.versions[1].clone());
    insta::assert_snapshot!(said_of_pandas(&catalog), @"
    > - Some builds of **2.3.3** go away on **2027-10-01**, for Python 3.13 on x86_64.
    | [pandas](layers/pandas.md) | some builds of 2.3.3 | 2027-10-01 | Python 3.13 on x86_64 |  |
    > - pandas **2.3.3** (layer version 3) goes away on **2027-10-01**.
    <title>Some builds of pandas 2.3.3 go away on 2027-10-01</title>
    ");
}

#[test]
fn of_a_target_that_is_given_up_titles_say_which() {
    let mut catalog = soon();
    catalog.versions[4] = deprecated(version("pandas", "p3.10", "us-east-1", "2.3.3", 1));
    insta::assert_snapshot!(said_of_pandas(&catalog), @"
    > - **2.3.3** goes away on **2027-10-01**, for Python 3.10 on x86_64.
    | [pandas](layers/pandas.md) | 2.3.3 | 2027-10-01 | Python 3.10 on x86_64 |  |
    <title>pandas 2.3.3 for p3.10 goes away on 2027-10-01</title>
    <title>pandas is no longer published for p3.10: 2.3.3 goes away on 2027-10-01</title>
    ");
}

#[test]
fn a_target_and_a_region_that_are_given_up_together_are_some_of_it() {
    let mut catalog = soon();
    catalog.versions.remove(4);
    for (target, region) in [
        ("p3.10", "us-east-1"),
        ("p3.10", "sa-east-1"),
        ("p3.13", "sa-east-1"),
    ] {
        let gone = deprecated(version("pandas", target, region, "2.3.3", 1));
        catalog.versions.push(gone);
    }
    insta::assert_snapshot!(said_of_pandas(&catalog), @"
    > - Some builds of **2.3.3** go away on **2027-10-01**, for Python 3.10 on x86_64, Python 3.13 on x86_64.
    | [pandas](layers/pandas.md) | some builds of 2.3.3 | 2027-10-01 | Python 3.10 on x86_64, Python 3.13 on x86_64 |  |
    <title>Some builds of pandas 2.3.3 go away on 2027-10-01</title>
    <title>pandas is no longer published for p3.10: 2.3.3 goes away on 2027-10-01</title>
    ");
}

#[test]
fn regions_that_lose_it_earlier_than_others_are_told_apart() {
    let mut catalog = soon();
    let mut later = deprecated(version("retired", "p3.13", "eu-west-1", "1.0", 1));
    later.expires_at = Some(at("2027-10-02"));
    catalog.versions.push(later);
    catalog.today = at("2027-09-02");
    let page = &catalog.render()["layers/arns/layers/retired.md"];
    let lines: Vec<&str> = page.lines().filter(|line| line.contains("away")).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    > - **1.0** in us-east-1 goes away on **2027-10-01**, for Python 3.13 on x86_64.
    > - **1.0** goes away on **2027-10-02**, for Python 3.13 on x86_64.
    ");
}
