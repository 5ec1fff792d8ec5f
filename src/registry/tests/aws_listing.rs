//! Listing, naming layers and taking permissions back against scripted answers: pages, policies and names that moto never has.

use super::aws::{arn, home, published, scripted};
use super::scripted::{Answer, error, ok, text};
use crate::model::{LayerArn, Visibility};
use crate::registry::{Registry as _, RegistryError};
use serde_json::{Value, json};

fn page_of_layers(names: &[&str], next: Option<&str>) -> Answer {
    let layers: Vec<Value> = names
        .iter()
        .map(|name| json!({ "LayerName": name }))
        .collect();
    ok(&json!({ "Layers": layers, "NextMarker": next }))
}

fn page_of_versions(numbers: &[u64], next: Option<&str>) -> Answer {
    let versions: Vec<Value> = numbers
        .iter()
        .map(|number| {
            let arn = format!("arn:aws:lambda:us-east-1:123456789012:layer:layer:{number}");
            json!({ "LayerVersionArn": arn, "Version": number, "Description": "six 1" })
        })
        .collect();
    ok(&json!({ "LayerVersions": versions, "NextMarker": next }))
}

fn policy(statements: &[Value]) -> Answer {
    ok(&json!({ "Policy": json!({ "Statement": statements }).to_string() }))
}

fn statement(id: &str, principal: &Value) -> Value {
    json!({ "Sid": id, "Effect": "Allow", "Action": "lambda:GetLayerVersion", "Principal": principal })
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let (server, registry) = scripted([
        page_of_layers(&["my-z", "other"], Some("one")),
        page_of_layers(&["my-a"], Some("two")),
        page_of_layers(&[], None),
    ])
    .await;
    assert_eq!(
        registry.layers(&home(), "my-").await.unwrap(),
        ["my-a", "my-z"]
    );
    let seen: Vec<String> = server.seen().into_iter().map(|(line, _)| line).collect();
    assert_eq!(
        seen,
        [
            "GET /2018-10-31/layers",
            "GET /2018-10-31/layers?Marker=one",
            "GET /2018-10-31/layers?Marker=two"
        ]
    );

    let (_server, registry) = scripted([
        page_of_versions(&[120, 119], Some("one")),
        page_of_versions(&[118, 3], None),
    ])
    .await;
    let versions = registry.versions(&home(), "layer").await.unwrap();
    let numbers: Vec<u64> = versions.iter().map(|version| version.arn.version).collect();
    assert_eq!(numbers, [3, 118, 119, 120]);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_no_list() {
    let (_server, registry) = scripted([
        page_of_versions(&[2], Some("one")),
        error(403, "AccessDeniedException"),
    ])
    .await;
    let answer = registry.versions(&home(), "layer").await;
    assert!(
        matches!(answer, Err(RegistryError::Refused { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn whoever_gave_a_permission_it_is_taken_back() {
    let (server, registry) = scripted([
        policy(&[
            statement("layersmith-public", &json!("*")),
            statement(
                "by-hand",
                &json!({ "AWS": "arn:aws:iam::210987654321:root" }),
            ),
            statement("two", &json!({ "AWS": ["111111111111", "222222222222"] })),
        ]),
        ok(&json!({})),
        error(404, "ResourceNotFoundException"),
        ok(&json!({})),
    ])
    .await;
    registry
        .set_visibility(&arn(), &Visibility::Public)
        .await
        .unwrap();
    let seen: Vec<String> = server
        .seen()
        .into_iter()
        .map(|(line, _)| line.rsplit('/').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(seen, ["policy 1", "by-hand policy", "two policy"]);

    let (server, registry) = scripted([policy(&[json!({ "Effect": "Allow" })])]).await;
    let answer = registry.set_visibility(&arn(), &Visibility::Private).await;
    assert!(
        matches!(answer, Err(RegistryError::Failed { .. })),
        "a statement without an id cannot be taken back: {answer:?}"
    );
    assert_eq!(server.seen().len(), 1);
}

/// A layer whose ARN is longer than AWS takes.
fn long() -> LayerArn {
    LayerArn {
        layer: "a".repeat(140),
        ..arn()
    }
}

fn account(digits: &str) -> Answer {
    text(&format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{digits}:user/x</Arn><UserId>x</UserId><Account>{digits}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    ))
}

#[tokio::test]
async fn a_layer_with_a_long_name_is_named_without_its_arn() {
    let (server, registry) = scripted([account("123456789012"), published()]).await;
    registry.delete(&long()).await.unwrap();
    let expected = format!("DELETE /2018-10-31/layers/{}/versions/1", long().layer);
    assert_eq!(server.seen()[1].0, expected);
}

#[tokio::test]
async fn a_layer_with_a_long_name_of_another_account_is_not_asked_for() {
    let missing = error(404, "ResourceNotFoundException");
    let (server, registry) = scripted([account("210987654321"), missing]).await;
    let read = registry.read(&long()).await;
    assert!(
        matches!(read, Err(RegistryError::Refused { .. })),
        "{read:?}"
    );
    assert_eq!(server.seen().len(), 1);
}
