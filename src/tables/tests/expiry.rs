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
    > - pandas **2.3.2** goes away on **2027-10-01**.
    > - retired **1.0** goes away on **2027-10-01**.

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
