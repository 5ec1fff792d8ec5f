//! moto's server, standing in for AWS: every region, in memory, unsigned requests welcome.
//!
//! It accepts much that AWS refuses (names, sizes, not a zip), so it proves that calls arrive, not that they are right.
//!
//! The helpers speak plain HTTP, so that a test can prepare and look without an AWS client.

mod buckets;
mod queues;
mod serving;
mod tables;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::aws_proxy::AwsProxy;
use crate::support::Server;

/// A running server. It is killed, by its process id, when dropped.
pub struct Moto {
    endpoint: String,
    client: reqwest::Client,
    server: Server,
    folder: TempDir,
    /// Answers for AWS what moto does not know, or knows wrongly.
    front: Option<AwsProxy>,
}

/// One version of a layer, as Lambda lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerVersion {
    pub arn: String,
    pub version: u64,
    pub description: String,
    pub runtimes: Vec<String>,
    pub architectures: Vec<String>,
}

impl Moto {
    /// What `AWS_ENDPOINT_URL` is set to: in front of moto, every region is one that the account has enabled.
    pub fn endpoint(&self) -> String {
        let front = self.front.as_ref().map(AwsProxy::endpoint);
        front.unwrap_or_else(|| self.endpoint.clone())
    }

    pub fn process_id(&self) -> u32 {
        self.server.id()
    }

    /// Forgets everything, in all regions.
    pub async fn reset(&self) {
        let answer = self
            .client
            .post(format!("{}/moto-api/reset", self.endpoint))
            .send()
            .await
            .expect("moto answers");
        assert!(
            answer.status().is_success(),
            "moto does not reset: {}",
            answer.status()
        );
    }

    /// Puts a `SecureString` into the parameter store of a region.
    pub async fn put_parameter(&self, region: &str, name: &str, value: &str) {
        let body = json!({"Name": name, "Value": value, "Type": "SecureString", "Overwrite": true});
        self.json_call("ssm", region, "AmazonSSM.PutParameter", &body)
            .await;
    }

    /// The value of a parameter that is no `SecureString`; `None` when it is not there.
    pub async fn parameter(&self, region: &str, name: &str) -> Option<String> {
        let body = json!({ "Name": name });
        let (_, answer) = self
            .try_json_call("ssm", region, "AmazonSSM.GetParameter", &body)
            .await;
        answer["Parameter"]["Value"].as_str().map(str::to_owned)
    }

    /// Puts a secret into Secrets Manager of a region, or a new version of it.
    pub async fn put_secret(&self, region: &str, name: &str, value: &str) {
        let create = json!({"Name": name, "SecretString": value, "ClientRequestToken": "00000000-0000-4000-8000-000000000001"});
        let (status, answer) = self
            .try_json_call(
                "secretsmanager",
                region,
                "secretsmanager.CreateSecret",
                &create,
            )
            .await;
        if status == 400 && answer["__type"] == "ResourceExistsException" {
            let update = json!({"SecretId": name, "SecretString": value});
            self.json_call(
                "secretsmanager",
                region,
                "secretsmanager.PutSecretValue",
                &update,
            )
            .await;
        } else {
            assert_eq!(status, 200, "moto refuses the secret {name}: {answer}");
        }
    }

    /// The versions of a layer in a region, oldest first; none when there is no such layer.
    pub async fn layer_versions(&self, region: &str, layer: &str) -> Vec<LayerVersion> {
        let answer = self
            .get(region, &format!("/2018-10-31/layers/{layer}/versions"))
            .await;
        let mut versions: Vec<LayerVersion> = answer["LayerVersions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(layer_version)
            .collect();
        versions.sort_by_key(|version| version.version);
        versions
    }

    /// The newest version of every layer in a region, by the layer's name.
    pub async fn newest_versions(&self, region: &str) -> BTreeMap<String, LayerVersion> {
        let answer = self.get(region, "/2018-10-31/layers").await;
        let layers = answer["Layers"].as_array().into_iter().flatten();
        layers
            .filter_map(|layer| {
                let name = layer["LayerName"].as_str()?.to_owned();
                Some((name, layer_version(&layer["LatestMatchingVersion"])))
            })
            .collect()
    }

    /// The names of all layers in a region, sorted.
    pub async fn layers(&self, region: &str) -> Vec<String> {
        let answer = self.get(region, "/2018-10-31/layers").await;
        let mut names: Vec<String> = answer["Layers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|layer| layer["LayerName"].as_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// The resource policy of a layer version; `None` when it has none.
    pub async fn layer_policy(&self, region: &str, layer: &str, version: u64) -> Option<Value> {
        let answer = self
            .get(
                region,
                &format!("/2018-10-31/layers/{layer}/versions/{version}/policy"),
            )
            .await;
        answer["Policy"]
            .as_str()
            .and_then(|policy| serde_json::from_str(policy).ok())
    }

    /// Deletes a version of a layer, as somebody at a console would.
    pub async fn delete_layer_version(&self, region: &str, layer: &str, version: u64) {
        let path = format!("/2018-10-31/layers/{layer}/versions/{version}");
        self.send(reqwest::Method::DELETE, region, &path, None)
            .await;
    }

    /// Publishes a version of a layer from these bytes, as somebody at a console would.
    pub async fn publish_layer_version(
        &self,
        region: &str,
        layer: &str,
        description: &str,
        zip: &[u8],
    ) {
        let zip = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, zip);
        let body = json!({"Description": description, "Content": {"ZipFile": zip}});
        let path = format!("/2018-10-31/layers/{layer}/versions");
        self.send(reqwest::Method::POST, region, &path, Some(&body))
            .await;
    }

    /// Lets an account use a version of a layer, as somebody at a console would.
    pub async fn allow(&self, region: &str, layer: &str, version: u64, account: &str) {
        let body = json!({
            "StatementId": "by-hand", "Action": "lambda:GetLayerVersion", "Principal": account,
        });
        let path = format!("/2018-10-31/layers/{layer}/versions/{version}/policy");
        self.send(reqwest::Method::POST, region, &path, Some(&body))
            .await;
    }

    /// SHA-256 of a version's zip, in base64.
    pub async fn layer_digest(&self, region: &str, layer: &str, version: u64) -> String {
        let path = format!("/2018-10-31/layers/{layer}/versions/{version}");
        let answer = self.get(region, &path).await;
        let digest = answer["Content"]["CodeSha256"].as_str();
        digest.unwrap_or_default().to_owned()
    }

    async fn send(&self, method: reqwest::Method, region: &str, path: &str, body: Option<&Value>) {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.endpoint))
            .header("authorization", credential("lambda", region));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let status = request.send().await.expect("moto answers").status();
        assert!(status.is_success(), "moto answers {status} to {path}");
    }

    async fn get(&self, region: &str, path: &str) -> Value {
        let request = self
            .client
            .get(format!("{}{path}", self.endpoint))
            .header("authorization", credential("lambda", region));
        let text = request
            .send()
            .await
            .expect("moto answers")
            .text()
            .await
            .expect("moto's answer is whole");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn json_call(&self, service: &str, region: &str, target: &str, body: &Value) {
        let (status, answer) = self.try_json_call(service, region, target, body).await;
        assert_eq!(status, 200, "moto refuses {target}: {answer}");
    }

    pub(crate) async fn try_json_call(
        &self,
        service: &str,
        region: &str,
        target: &str,
        body: &Value,
    ) -> (u16, Value) {
        let request = self
            .client
            .post(format!("{}/", self.endpoint))
            .header("authorization", credential(service, region))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(body.to_string());
        let response = request.send().await.expect("moto answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("moto's answer is whole");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// moto reads service and region out of the signature's scope and does not check the signature.
fn credential(service: &str, region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=testing/20261101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

fn layer_version(value: &Value) -> LayerVersion {
    let texts = |key: &str| {
        value[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    LayerVersion {
        arn: value["LayerVersionArn"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        version: value["Version"].as_u64().unwrap_or_default(),
        description: value["Description"].as_str().unwrap_or_default().to_owned(),
        runtimes: texts("CompatibleRuntimes"),
        architectures: texts("CompatibleArchitectures"),
    }
}
