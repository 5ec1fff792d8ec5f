//! moto, started, filled and looked at without an AWS client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use layersmith_testbed::moto::Moto;
use serde_json::json;

#[tokio::test]
async fn layers_are_listed_by_region_and_a_reset_forgets_them() {
    let moto = Moto::start().await;
    moto.put_parameter("eu-west-1", "/layersmith/deploy-key", "secret")
        .await;
    moto.put_secret(
        "eu-west-1",
        "layersmith/github",
        "{\"webhook_secret\":\"a\"}",
    )
    .await;
    moto.put_secret(
        "eu-west-1",
        "layersmith/github",
        "{\"webhook_secret\":\"b\"}",
    )
    .await;

    let client = reqwest::Client::new();
    let scope = "AWS4-HMAC-SHA256 Credential=testing/20261101/eu-west-1/lambda/aws4_request, SignedHeaders=host, Signature=0";
    let body = json!({
        "Content": {"ZipFile": STANDARD.encode("zip")}, "Description": "numpy 2.4.6 | sha256:0", "CompatibleRuntimes": ["python3.13"],
        "CompatibleArchitectures": ["arm64"],
    });
    for _ in 0..2 {
        let url = format!(
            "{}/2018-10-31/layers/Layersmith-p313-arm64-numpy/versions",
            moto.endpoint()
        );
        let answer = client
            .post(url)
            .header("authorization", scope)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
    }
    let versions = moto
        .layer_versions("eu-west-1", "Layersmith-p313-arm64-numpy")
        .await;
    assert_eq!(
        versions
            .iter()
            .map(|version| version.version)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        versions[1].arn,
        "arn:aws:lambda:eu-west-1:123456789012:layer:Layersmith-p313-arm64-numpy:2"
    );
    assert_eq!(versions[1].description, "numpy 2.4.6 | sha256:0");
    assert_eq!(
        (
            versions[1].runtimes.as_slice(),
            versions[1].architectures.as_slice()
        ),
        (&["python3.13".to_owned()][..], &["arm64".to_owned()][..])
    );
    assert_eq!(
        moto.layers("eu-west-1").await,
        ["Layersmith-p313-arm64-numpy"]
    );
    assert_eq!(moto.layers("us-east-1").await, Vec::<String>::new());
    assert_eq!(
        moto.layer_policy("eu-west-1", "Layersmith-p313-arm64-numpy", 1)
            .await,
        None
    );
    moto.reset().await;
    assert_eq!(moto.layers("eu-west-1").await, Vec::<String>::new());

    let process = format!("/proc/{}", moto.process_id());
    assert!(std::path::Path::new(&process).exists());
    drop(moto);
    assert!(
        !std::path::Path::new(&process).exists(),
        "the server ends with its handle"
    );
}
