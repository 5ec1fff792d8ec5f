//! The answers of the HTTP API.

use super::super::*;
use super::*;

#[test]
fn the_http_api_answers_what_the_tables_say() {
    let catalog = Catalog::new();
    let target: Target = parse("p3.13");
    let region = us_east_1();
    assert_eq!(
        latest_json(&catalog.versions, target, &region),
        catalog.render()["layers/arns/p3.13/us-east-1.json"]
    );
    let layers = api_latest(&catalog.versions, target, &region);
    let answered: Vec<ApiLayer> = layers.clone();
    let read: serde_json::Value =
        serde_json::from_str(&latest_json(&catalog.versions, target, &region)).unwrap();
    assert_eq!(serde_json::to_value(&answered).unwrap(), read);
    insta::assert_snapshot!(api_latest_csv(&layers).replace("\r\n", "⏎\n"), @"
    Package,Package Version,arn⏎
    boto3,1.41.2,arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-boto3:7⏎
    pandas,2.3.3,arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4⏎
    ");
    insta::assert_snapshot!(api_latest_html(&layers, target, &region), @r#"
    <!doctype html>
    <html lang="en">
    <head><meta charset="utf-8"><title>Latest layers for p3.13 in us-east-1</title></head>
    <body>
    <h1>Latest layers for p3.13 in us-east-1</h1>
    <table>
    <thead><tr><th>Package</th><th>Package Version</th><th>Arn</th></tr></thead>
    <tbody>
    <tr><td>boto3</td><td>1.41.2</td><td><code>arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-boto3:7</code></td></tr>
    <tr><td>pandas</td><td>2.3.3</td><td><code>arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4</code></td></tr>
    </tbody>
    </table>
    </body>
    </html>
    "#);

    let history =
        |layer: &str| api_history(&catalog.versions, &catalog.builds, layer, target, &region);
    insta::assert_snapshot!(serde_json::to_string_pretty(&history("Pandas")).unwrap(), @r#"
    [
      {
        "arn": "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:4",
        "packageVersion": "2.3.3",
        "deployStatus": "latest",
        "dependencies": [
          "numpy==2.3.5",
          "pandas==2.3.3"
        ]
      },
      {
        "arn": "arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-pandas:3",
        "packageVersion": "2.3.2",
        "deployStatus": "deprecated",
        "dependencies": [],
        "expiryDate": "2027-10-01T10:00:00Z"
      }
    ]
    "#);
    assert_eq!(history("unknown"), []);
    let nowhere: Region = parse("sa-east-1");
    assert_eq!(api_latest(&catalog.versions, target, &nowhere), []);
    assert_eq!(latest_json(&catalog.versions, target, &nowhere), "[]\n");
}
