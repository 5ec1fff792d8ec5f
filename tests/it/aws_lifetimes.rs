//! `verify`, `expire` and `upgrade` against AWS, where people delete and share versions by hand.

use crate::aws_trouble::desk_on_aws;
use crate::command_line::Desk;
use layersmith_testbed::aws_proxy::{AwsCall, AwsFault, AwsProxy};
use layersmith_testbed::index::Wheel;
use layersmith_testbed::moto::Moto;

const LAYER: &str = "Layersmith-p313-demo";

async fn numbers(moto: &Moto, region: &str) -> Vec<u64> {
    let versions = moto.layer_versions(region, LAYER).await;
    versions.iter().map(|version| version.version).collect()
}

fn listed(desk: &Desk, region: &str) -> String {
    let path = format!("p3.13/{region}.csv");
    String::from_utf8(desk.tables()[&path].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_by_hand_is_found_and_mended() {
    let moto = Moto::start().await;
    let desk = desk_on_aws(&moto.endpoint()).await;
    assert_eq!(desk.run(&["apply"]).code, 0);
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 0, "{said:#?}");
    moto.delete_layer_version("eu-west-1", LAYER, 1).await;
    moto.delete_layer_version("us-east-1", LAYER, 1).await;
    moto.allow("sa-east-1", LAYER, 1, "210987654321").await;
    moto.publish_layer_version("sa-east-1", LAYER, "somebody's own", b"PK")
        .await;
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 1, "{said:#?}");
    insta::assert_snapshot!(said.stdout, @"
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:1
      missing: AWS does not have it
    arn:aws:lambda:sa-east-1:123456789012:layer:Layersmith-p313-demo:1
      shared otherwise: others may use it than the policy says
    arn:aws:lambda:sa-east-1:123456789012:layer:Layersmith-p313-demo:2
      unknown to us: it is none of the builds that are known
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1
      missing: AWS does not have it
    3 versions read back: 4 wrong.
    `layersmith verify --repair` mends what can be mended.
    ");
    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(
        said.code, 1,
        "what is somebody's own is left alone: {said:#?}"
    );
    insta::assert_snapshot!(said.stdout, @"
    arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:1
      missing: AWS does not have it
      published anew as arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-demo:2
    arn:aws:lambda:sa-east-1:123456789012:layer:Layersmith-p313-demo:1
      shared otherwise: others may use it than the policy says
      shared as the policy says
    arn:aws:lambda:sa-east-1:123456789012:layer:Layersmith-p313-demo:2
      unknown to us: it is none of the builds that are known
    arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:1
      missing: AWS does not have it
      published anew as arn:aws:lambda:us-east-1:123456789012:layer:Layersmith-p313-demo:2
    3 versions read back: 4 wrong, 3 mended.
    Tables in [HERE]/catalog/layers/arns: 11 files written, 0 removed.
    ");
    assert_eq!(numbers(&moto, "eu-west-1").await, [2]);
    assert_eq!(numbers(&moto, "sa-east-1").await, [1, 2]);
    let policy = moto.layer_policy("sa-east-1", LAYER, 1).await.unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 1, "{policy}");
    assert!(listed(&desk, "us-east-1").contains("Layersmith-p313-demo:2"));
    assert!(!listed(&desk, "us-east-1").contains("Layersmith-p313-demo:1"));
    moto.delete_layer_version("sa-east-1", LAYER, 2).await;
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 0, "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expire_in_the_middle_of_a_look_are_renewed() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let desk = desk_on_aws(&proxy.endpoint()).await;
    assert_eq!(desk.run(&["apply"]).code, 0);
    // Those that are got then are good.
    let expired = AwsFault::Refuse(400, "ExpiredTokenException");
    proxy.fail_call("us-east-1", AwsCall::Read, expired, 1);
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.stdout
            .contains("3 versions read back: nothing is wrong."),
        "{said:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_region_is_not_verified_and_what_expired_there_waits() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let desk = desk_on_aws(&proxy.endpoint()).await;
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.index.publish(
        Wheel::new("demo-core", "2.0.0")
            .module("demo_core", "VALUE = 2\n")
            .license("MIT"),
    );
    let said = desk.run(&["upgrade"]);
    assert_eq!(said.code, 0, "{said:#?}");
    desk.days_pass(366);
    proxy.fail_region("sa-east-1", AwsFault::Refuse(503, "ServiceException"));
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(
        said.stdout.contains("NOT VERIFIED: sa-east-1: "),
        "{said:#?}"
    );
    assert!(
        said.stdout
            .contains("4 versions read back: nothing is wrong. 1 region could not be asked."),
        "{said:#?}"
    );
    let said = desk.run(&["expire"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(
        said.stdout.starts_with("Deleted 2 versions:\n"),
        "{said:#?}"
    );
    assert_eq!(numbers(&moto, "us-east-1").await, [2]);
    assert_eq!(numbers(&moto, "sa-east-1").await, [1, 2]);
    proxy.repair();
    let said = desk.run(&["expire"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(numbers(&moto, "sa-east-1").await, [2]);
    assert!(!listed(&desk, "sa-east-1").contains("Layersmith-p313-demo:1"));
    assert_eq!(desk.run(&["verify"]).code, 0);
}
