//! AWS' registry: the conformance suite against moto and the light double, and against scripted answers what moto never says.

use super::moto::Moto;
use super::scripted::{Answer, Scripted, error, ok, page};
use super::{conformance, request};
use crate::model::{LayerArn, Region, Visibility};
use crate::registry::{AwsRegistry, Clock, Registry as _, RegistryError, Timing, aws_config};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use base64::Engine as _;
use layersmith_testbed::lambda::Lambda;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:layer:layer:1";

pub(super) async fn config(url: &str) -> SdkConfig {
    let keys = Credentials::new("testing", "testing", None, None, "test");
    aws_config(Some(url), "us-east-1")
        .await
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

pub(super) async fn registry(url: &str) -> AwsRegistry {
    let china = config(url).await.into_builder();
    let china = china.region(aws_config::Region::new("cn-north-1")).build();
    AwsRegistry::new(vec![config(url).await, china], timing(), clock())
}

/// Retries without pauses; regions are never left alone for long.
pub(super) fn timing() -> Timing {
    Timing {
        call_timeout: Duration::from_secs(20),
        publishing: Duration::from_secs(80),
        first_pause: Duration::from_millis(1),
        cool_down: Duration::ZERO,
    }
}

pub(super) fn clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

pub(super) async fn scripted(answers: impl IntoIterator<Item = Answer>) -> (Scripted, AwsRegistry) {
    let server = Scripted::start(answers).await;
    let registry = registry(&server.url).await;
    (server, registry)
}

pub(super) fn home() -> Region {
    "us-east-1".parse().unwrap()
}

pub(super) fn arn() -> LayerArn {
    ARN.parse().unwrap()
}

pub(super) fn published() -> Answer {
    ok(&json!({"LayerVersionArn": ARN, "Version": 1, "Description": "six 1.17.0"}))
}

fn policy(principal: &str) -> Answer {
    let statement =
        json!({"Effect": "Allow", "Action": "lambda:GetLayerVersion", "Principal": principal});
    ok(&json!({"Policy": json!({"Statement": [statement]}).to_string()}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms() {
    let Some(moto) = Moto::start() else { return };
    conformance::check(&registry(&moto.url).await).await;
}

/// What crashes and speed are measured against answers as moto does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms_over_the_light_double() {
    let lambda = Lambda::start().await;
    conformance::check_layers(&registry(lambda.endpoint()).await).await;
}

#[tokio::test]
async fn what_is_sent_is_what_was_asked_for() {
    let (server, registry) = scripted([published()]).await;
    let request = request("layer", "a");
    registry.publish(&home(), &request).await.unwrap();
    let organization = Visibility::Organization("o-abc1234567".to_owned());
    let accounts = Visibility::Accounts(vec!["111111111111".to_owned(), "222222222222".to_owned()]);
    for visibility in [Visibility::Public, organization, accounts] {
        registry.share(&arn(), &visibility).await.unwrap();
    }
    registry.delete(&arn()).await.unwrap();
    let zip = std::fs::read(&request.zip).unwrap();
    let sent = base64::engine::general_purpose::STANDARD.encode(zip);
    let shown: Vec<String> = server
        .seen()
        .into_iter()
        .map(|(line, mut body)| {
            if let Some(zip) = body.pointer_mut("/Content/ZipFile") {
                assert_eq!(zip.as_str(), Some(sent.as_str()));
                *zip = Value::from("…");
            }
            format!("{line} {body}")
        })
        .collect();
    let shown = shown.join("\n").replace(&request.digest.short(), "DIGEST");
    insta::assert_snapshot!(shown, @r#"
    POST /2018-10-31/layers/layer/versions {"CompatibleArchitectures":["arm64"],"CompatibleRuntimes":["python3.13"],"Content":{"ZipFile":"…"},"Description":"six 1.17.0 | sha256:DIGEST","LicenseInfo":"MIT"}
    POST /2018-10-31/layers/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Alayer%3Alayer/versions/1/policy {"Action":"lambda:GetLayerVersion","Principal":"*","StatementId":"layersmith-public"}
    POST /2018-10-31/layers/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Alayer%3Alayer/versions/1/policy {"Action":"lambda:GetLayerVersion","OrganizationId":"o-abc1234567","Principal":"*","StatementId":"layersmith-organization-o-abc1234567"}
    POST /2018-10-31/layers/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Alayer%3Alayer/versions/1/policy {"Action":"lambda:GetLayerVersion","Principal":"111111111111","StatementId":"layersmith-account-111111111111"}
    POST /2018-10-31/layers/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Alayer%3Alayer/versions/1/policy {"Action":"lambda:GetLayerVersion","Principal":"222222222222","StatementId":"layersmith-account-222222222222"}
    DELETE /2018-10-31/layers/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Alayer%3Alayer/versions/1 null
    "#);
}

#[tokio::test]
async fn a_throttled_publish_is_sent_again() {
    let slow_down = error(429, "TooManyRequestsException");
    let (server, registry) = scripted([slow_down.clone(), slow_down.clone(), published()]).await;
    let answer = registry
        .publish(&home(), &request("layer", "a"))
        .await
        .unwrap();
    assert_eq!(answer.arn, arn());
    assert_eq!((answer.digest, answer.size), (None, None));
    assert_eq!(server.seen().len(), 3);

    let (server, registry) = scripted([slow_down]).await;
    let answer = registry.publish(&home(), &request("layer", "a")).await;
    let throttled = answer.unwrap_err();
    assert!(throttled.is_transient() && matches!(throttled, RegistryError::Throttled { .. }));
    insta::assert_snapshot!(throttled, @"us-east-1: AWS Lambda asks to slow down: TooManyRequestsException: the words of AWS");
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_publish_that_may_have_happened_is_sent_once() {
    for answer in [
        error(500, "ServiceException"),
        error(503, "ServiceUnavailableException"),
        page(502),
        ok(&json!({"Version": 1})),
    ] {
        let (server, registry) = scripted([answer]).await;
        let failed = registry.publish(&home(), &request("layer", "a")).await;
        assert!(
            matches!(failed, Err(RegistryError::Failed { .. })),
            "{failed:?}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_publish_whose_connection_breaks_off_is_sent_once() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hanging_up = tokio::spawn(async move {
        let mut connections = 0;
        while let Ok(accepted) =
            tokio::time::timeout(Duration::from_millis(500), listener.accept()).await
        {
            drop(accepted.unwrap());
            connections += 1;
        }
        connections
    });
    let failed = registry(&url)
        .await
        .publish(&home(), &request("layer", "a"))
        .await;
    // It broke at once: all of the time that AWS may be at work on it is still to come.
    let whole = timing().publishing;
    assert!(
        matches!(failed, Err(RegistryError::Unheard { at_work_for, .. }) if at_work_for == whole),
        "{failed:?}"
    );
    assert_eq!(hanging_up.await.unwrap(), 1);
}

#[tokio::test]
async fn a_gateway_that_waited_in_vain_knows_nothing_of_the_publication() {
    for (answer, is_unheard) in [(page(504), true), (page(502), false)] {
        let (_server, registry) = scripted([answer]).await;
        let failed = registry.publish(&home(), &request("layer", "a")).await;
        let failed = failed.unwrap_err();
        assert!(failed.is_transient());
        let unheard = matches!(failed, RegistryError::Unheard { .. });
        assert_eq!(unheard, is_unheard, "{failed:?}");
    }
}

#[tokio::test]
async fn a_region_that_is_not_there_is_unreachable() {
    // A port that was free a moment ago, and that nobody listens on.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let registry = registry(&url).await;
    let begin = Instant::now();
    for failed in [
        registry.read(&arn()).await.map(drop),
        registry
            .publish(&home(), &request("layer", "a"))
            .await
            .map(drop),
        registry.share(&arn(), &Visibility::Public).await,
        registry
            .is_shared(&arn(), &Visibility::Public)
            .await
            .map(drop),
        registry
            .find(&home(), "layer", &request("layer", "a").digest)
            .await
            .map(drop),
        registry.delete(&arn()).await,
    ] {
        assert!(
            matches!(failed, Err(RegistryError::Unreachable { .. })),
            "{failed:?}"
        );
    }
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn small_calls_are_tried_again() {
    let version = ok(&json!({"LayerVersionArn": ARN, "Description": "six 1.17.0"}));
    let (server, registry) = scripted([
        error(500, "ServiceException"),
        error(429, "TooManyRequestsException"),
        version,
    ])
    .await;
    let read = registry.read(&arn()).await.unwrap().unwrap();
    assert_eq!(read.description, "six 1.17.0");
    assert_eq!(server.seen().len(), 3);

    let (server, registry) = scripted([error(429, "TooManyRequestsException")]).await;
    let throttled = registry.read(&arn()).await;
    assert!(
        matches!(throttled, Err(RegistryError::Throttled { .. })),
        "{throttled:?}"
    );
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn what_aws_refuses_is_refused_once() {
    let mut refusals = Vec::new();
    for answer in [
        error(400, "InvalidParameterValueException"),
        error(403, "AccessDeniedException"),
        error(403, "UnrecognizedClientException"),
        error(413, "RequestEntityTooLargeException"),
        page(413),
    ] {
        let (server, registry) = scripted([answer]).await;
        let refused = registry
            .publish(&home(), &request("layer", "a"))
            .await
            .unwrap_err();
        assert!(
            matches!(refused, RegistryError::Refused { .. }),
            "{refused:?}"
        );
        assert!(!refused.is_transient());
        assert_eq!(server.seen().len(), 1);
        refusals.push(refused.to_string());
    }
    insta::assert_snapshot!(refusals.join("\n"), @r"
    us-east-1: refused: InvalidParameterValueException: the words of AWS
    us-east-1: refused: AccessDeniedException: the words of AWS
    us-east-1: refused: UnrecognizedClientException: the words of AWS (the keys are wrong)
    us-east-1: refused: RequestEntityTooLargeException: the words of AWS
    us-east-1: refused: status 413
    ");
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    #[derive(Debug)]
    struct Nobody;
    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            Provided::ready(Err(CredentialsError::not_loaded("nothing to be found")))
        }
    }
    let server = Scripted::start([published()]).await;
    let config = config(&server.url).await.into_builder();
    let config = config
        .credentials_provider(SharedCredentialsProvider::new(Nobody))
        .build();
    let registry = AwsRegistry::new(vec![config], timing(), clock());
    let refused = registry
        .publish(&home(), &request("layer", "a"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RegistryError::Refused { .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("no credentials"), "{refused}");
    assert_eq!(server.seen(), []);
}

#[tokio::test]
async fn a_statement_that_is_there_already_has_to_say_the_same() {
    let conflict = error(409, "ResourceConflictException");
    let (_server, registry) = scripted([conflict.clone(), policy("*")]).await;
    registry.share(&arn(), &Visibility::Public).await.unwrap();

    let (_server, registry) = scripted([conflict, policy("111111111111")]).await;
    let refused = registry.share(&arn(), &Visibility::Public).await;
    assert!(
        matches!(refused, Err(RegistryError::Refused { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_version_is_found_on_a_later_page() {
    let digest = request("layer", "a").digest;
    let item = |version: u64, description: String| {
        let arn = LayerArn { version, ..arn() }.to_string();
        json!({"LayerVersionArn": arn, "Version": version, "Description": description})
    };
    let wanted = format!("six 1.17.0 | sha256:{}", digest.short());
    let (server, registry) = scripted([
        ok(&json!({"NextMarker": "more", "LayerVersions": [item(9, "six 1.18.0".to_owned())]})),
        ok(&json!({"NextMarker": "even more", "LayerVersions": [item(7, wanted.clone()), item(8, wanted.clone())]})),
        ok(&json!({"LayerVersions": [item(2, wanted)]})),
    ])
    .await;
    let found = registry
        .find(&home(), "layer", &digest)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.arn.version, 8);
    let lines: Vec<String> = server.seen().into_iter().map(|(line, _)| line).collect();
    assert_eq!(
        lines,
        [
            "GET /2018-10-31/layers/layer/versions",
            "GET /2018-10-31/layers/layer/versions?Marker=more"
        ]
    );
}

#[tokio::test]
async fn another_accounts_version_is_not_taken_for_ours() {
    let other = ARN.replace("123456789012", "210987654321");
    let (_server, registry) = scripted([ok(&json!({"LayerVersionArn": other}))]).await;
    let refused = registry.read(&arn()).await;
    assert!(
        matches!(refused, Err(RegistryError::Refused { .. })),
        "{refused:?}"
    );
}
