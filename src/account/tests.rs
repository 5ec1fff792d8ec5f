//! The account's answers, as moto gives them.

use super::{Probe, differences, identity, probe, table};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    ScalarAttributeType, TimeToLiveSpecification,
};
use moto::Moto;
use serde_json::json;

#[expect(
    clippy::duplicate_mod,
    reason = "rooms on one floor know nothing of each other, and each is tested against moto"
)]
#[path = "../registry/tests/moto.rs"]
mod moto;

async fn config(url: &str) -> SdkConfig {
    let keys = Credentials::new("testing", "testing", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .load()
        .await
}

async fn make_table(client: &aws_sdk_dynamodb::Client) {
    let mut create = client
        .create_table()
        .table_name("layers")
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind);
        create = create
            .attribute_definitions(attribute.build().unwrap())
            .key_schema(key.build().unwrap());
    }
    create.send().await.unwrap();
}

#[tokio::test]
async fn a_table_a_caller_and_a_probe_that_leaves_nothing() {
    let Some(moto) = Moto::start() else { return };
    let config = config(&moto.url).await;
    let known = identity(&config).await.unwrap();
    assert_eq!(known.account, "123456789012");
    assert!(known.clock_ahead.unwrap().abs() < 60, "{known:?}");

    let missing = table(&config, "layers").await.unwrap_err().to_string();
    assert!(
        missing.starts_with("dynamodb:DescribeTable: ResourceNotFoundException"),
        "{missing}"
    );
    let client = aws_sdk_dynamodb::Client::new(&config);
    make_table(&client).await;
    let names = |names: [&str; 2]| json!(names.map(|name| json!({ "AttributeName": name })));
    let definition = json!({
        "KeySchema": names(["pk", "sk"]),
        "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true}
    });
    let facts = table(&config, "layers").await.unwrap();
    assert_eq!(
        differences(&facts, &definition),
        [
            "nothing expires: turn time to live on for the attribute expires",
            "it cannot be restored: turn point-in-time recovery on"
        ]
    );
    let life = TimeToLiveSpecification::builder()
        .attribute_name("expires")
        .enabled(true);
    client
        .update_time_to_live()
        .table_name("layers")
        .time_to_live_specification(life.build().unwrap())
        .send()
        .await
        .unwrap();
    let recovery = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
    client
        .update_continuous_backups()
        .table_name("layers")
        .point_in_time_recovery_specification(recovery.build().unwrap())
        .send()
        .await
        .unwrap();
    let facts = table(&config, "layers").await.unwrap();
    assert_eq!(differences(&facts, &definition), Vec::<String>::new());

    let question = Probe {
        region: &"eu-west-3".parse().unwrap(),
        layer: "Layersmith-doctor",
        account: &known.account,
        zip: b"moto takes any bytes".to_vec(),
    };
    let arn = probe(&config, question).await.unwrap();
    assert_eq!(
        arn,
        "arn:aws:lambda:eu-west-3:123456789012:layer:Layersmith-doctor:1"
    );
    let there = config.to_builder().region(Region::new("eu-west-3")).build();
    let left = aws_sdk_lambda::Client::new(&there)
        .list_layer_versions()
        .layer_name("Layersmith-doctor")
        .send()
        .await
        .unwrap();
    assert_eq!(left.layer_versions(), []);
}
