//! The calls and their answers, as AWS Lambda's API reference describes them.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::body::Received;
use super::{ACCOUNT, Layer, Layers, Version};

/// The folder of the calls about layers.
const LAYERS: &str = "/2018-10-31/layers";

impl Layers {
    pub(super) fn answer(
        &mut self,
        region: &str,
        method: &Method,
        path: &str,
        received: Received,
    ) -> Response {
        let path = path.strip_prefix(LAYERS).unwrap_or_default();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let [name, "versions", rest @ ..] = parts.as_slice() else {
            return match (method, parts.as_slice()) {
                (&Method::GET, []) => self.list_layers(region),
                _ => refusal(404, "ResourceNotFoundException", "no such call"),
            };
        };
        let name = layer_name(name);
        let key = (region.to_owned(), name.clone());
        if (method, rest) == (&Method::POST, &[][..]) {
            let layer = self.0.entry(key).or_default();
            return layer.publish(region, &name, received);
        }
        let Some(layer) = self.0.get_mut(&key) else {
            return match (method, rest) {
                (&Method::GET, []) => done(200, &json!({"LayerVersions": []})),
                _ => absent(),
            };
        };
        match (method, rest) {
            (&Method::GET, []) => layer.list(region, &name),
            (_, [number, rest @ ..]) => {
                let number = number.parse().unwrap_or_default();
                layer.version_call(region, &name, method, number, rest, &received.json)
            }
            _ => absent(),
        }
    }

    fn list_layers(&self, region: &str) -> Response {
        let layers: Vec<Value> = self
            .0
            .iter()
            .filter(|((place, _), _)| place == region)
            .filter_map(|((_, name), layer)| {
                let (number, version) = layer.versions.last_key_value()?;
                Some(json!({
                    "LayerName": name,
                    "LayerArn": arn(region, name),
                    "LatestMatchingVersion": version.described(region, name, *number),
                }))
            })
            .collect();
        done(200, &json!({ "Layers": layers }))
    }
}

impl Layer {
    fn publish(&mut self, region: &str, name: &str, received: Received) -> Response {
        let Some(zip) = received.zip else {
            return refusal(400, "InvalidParameterValueException", "there is no zip");
        };
        self.last += 1;
        let version = Version {
            digest: zip.digest,
            size: zip.size,
            request: received.json,
            statements: Default::default(),
        };
        let answer = version.with_content(region, name, self.last);
        self.versions.insert(self.last, version);
        done(201, &answer)
    }

    fn list(&self, region: &str, name: &str) -> Response {
        let versions: Vec<Value> = self
            .versions
            .iter()
            .rev()
            .map(|(number, version)| version.described(region, name, *number))
            .collect();
        done(200, &json!({ "LayerVersions": versions }))
    }

    fn version_call(
        &mut self,
        region: &str,
        name: &str,
        method: &Method,
        number: u64,
        rest: &[&str],
        body: &Value,
    ) -> Response {
        if (method, rest) == (&Method::DELETE, &[][..]) {
            self.versions.remove(&number);
            return no_content();
        }
        let Some(version) = self.versions.get_mut(&number) else {
            return absent();
        };
        match (method, rest) {
            (&Method::GET, []) => done(200, &version.with_content(region, name, number)),
            (&Method::POST, ["policy"]) => version.allow(region, name, number, body),
            (&Method::GET, ["policy"]) if version.statements.is_empty() => absent(),
            (&Method::GET, ["policy"]) => {
                let statements: Vec<&Value> = version.statements.values().collect();
                let policy =
                    json!({"Version": "2012-10-17", "Id": "default", "Statement": statements});
                done(
                    200,
                    &json!({"Policy": policy.to_string(), "RevisionId": "1"}),
                )
            }
            (&Method::DELETE, ["policy", statement]) => {
                match version.statements.remove(*statement) {
                    Some(_) => no_content(),
                    None => absent(),
                }
            }
            _ => absent(),
        }
    }
}

impl Version {
    /// As lists show it.
    fn described(&self, region: &str, name: &str, number: u64) -> Value {
        let mut shown = json!({
            "LayerVersionArn": format!("{}:{number}", arn(region, name)),
            "Version": number,
            "CreatedDate": "2026-11-02T09:00:00.000+0000",
        });
        for key in [
            "Description",
            "CompatibleRuntimes",
            "CompatibleArchitectures",
            "LicenseInfo",
        ] {
            if !self.request[key].is_null() {
                shown[key] = self.request[key].clone();
            }
        }
        shown
    }

    /// As a publish and a look at one version answer.
    fn with_content(&self, region: &str, name: &str, number: u64) -> Value {
        let mut shown = self.described(region, name, number);
        shown["LayerArn"] = arn(region, name).into();
        shown["Content"] =
            json!({"Location": "", "CodeSha256": self.digest, "CodeSize": self.size});
        shown
    }

    fn allow(&mut self, region: &str, name: &str, number: u64, body: &Value) -> Response {
        let id = body["StatementId"].as_str().unwrap_or_default().to_owned();
        if self.statements.contains_key(&id) {
            let message = format!("The statement id ({id}) provided already exists.");
            return refusal(409, "ResourceConflictException", &message);
        }
        let principal = match body["Principal"].as_str().unwrap_or_default() {
            "*" => json!("*"),
            account => {
                let partition = partition(region);
                json!({"AWS": format!("arn:{partition}:iam::{account}:root")})
            }
        };
        let mut statement = json!({
            "Sid": id,
            "Effect": "Allow",
            "Principal": principal,
            "Action": body["Action"],
            "Resource": format!("{}:{number}", arn(region, name)),
        });
        if let Some(organization) = body["OrganizationId"].as_str() {
            statement["Condition"] = json!({"StringEquals": {"aws:PrincipalOrgID": organization}});
        }
        let answer = json!({"Statement": statement.to_string(), "RevisionId": "1"});
        self.statements.insert(id, statement);
        done(201, &answer)
    }
}

/// A call may name a layer by its name or its ARN, whose colons are escaped in the path.
fn layer_name(given: &str) -> String {
    let plain = given.replace("%3A", ":");
    plain.rsplit(':').next().unwrap_or_default().to_owned()
}

fn arn(region: &str, name: &str) -> String {
    let partition = partition(region);
    format!("arn:{partition}:lambda:{region}:{ACCOUNT}:layer:{name}")
}

fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

fn done(status: u16, value: &Value) -> Response {
    let builder = Response::builder()
        .status(StatusCode::from_u16(status).expect("a status of HTTP"))
        .header(header::CONTENT_TYPE, "application/json");
    builder
        .body(Body::from(value.to_string()))
        .expect("an answer of JSON")
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn absent() -> Response {
    refusal(
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    )
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    let mut response = done(status, &json!({"Type": "User", "Message": message}));
    response.headers_mut().insert(
        "x-amzn-errortype",
        code.parse().expect("an error's code is a header"),
    );
    response
}
