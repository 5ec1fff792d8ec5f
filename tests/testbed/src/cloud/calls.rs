//! What a request to AWS asks for, and which permissions that takes, in the words of IAM; and who asks: every environment
//! signs with a key of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;

use super::instances::function_of;
use crate::aws_proxy::scope;
use crate::relay::Passing;

/// The account of everything here, moto's.
pub(super) const ACCOUNT: &str = "123456789012";

/// One request to AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The access key: the environment, `publish-4711-1`.
    pub caller: String,
    /// `lambda:PublishLayerVersion`.
    pub operation: String,
    /// What has to be allowed: an action, and the ARN that it is for.
    pub needs: Vec<(String, String)>,
}

impl Call {
    pub(super) fn of(passing: &Passing) -> Self {
        let service = scope(&passing.headers, 3);
        let region = scope(&passing.headers, 2);
        let at = format!("arn:aws:{service}:{region}:{ACCOUNT}");
        let (operation, needs) = match service.as_str() {
            "lambda" => lambda(&passing.method, passing.uri.path(), &at),
            "s3" => s3(&passing.method, &passing.uri),
            "account" => one("account:ListRegions", "*"),
            _ => named(&service, &passing.headers, &passing.body, &at),
        };
        Self {
            caller: scope(&passing.headers, 0),
            operation,
            needs,
        }
    }

    /// What the caller has to be allowed beside that when this is the answer: that an object is not there is told only to
    /// whoever may list its bucket; others are refused, as if it might be.
    pub(super) fn needed_for(&self, answer: StatusCode) -> Option<Self> {
        let (_, object) = self.needs.first()?;
        if answer != StatusCode::NOT_FOUND || self.operation != "s3:GetObject" {
            return None;
        }
        let bucket = object.split('/').next()?;
        Some(Self {
            caller: self.caller.clone(),
            operation: "s3:GetObject of what is not there".to_owned(),
            needs: vec![("s3:ListBucket".to_owned(), bucket.to_owned())],
        })
    }

    /// The function whose environment it is.
    pub fn function(&self) -> &str {
        function_of(&self.caller)
    }
}

type Asked = (String, Vec<(String, String)>);

fn one(action: &str, resource: &str) -> Asked {
    let needs = vec![(action.to_owned(), resource.to_owned())];
    (action.to_owned(), needs)
}

/// Operations that say their names: in a header, or in a form.
fn named(service: &str, headers: &HeaderMap, body: &[u8], at: &str) -> Asked {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    let Some(target) = target else {
        let fields: Vec<_> = url::form_urlencoded::parse(body).collect();
        let value = |name: &str| {
            let field = fields.iter().find(|(key, _)| key == name);
            field.map_or("?", |(_, value)| value)
        };
        return one(&format!("{service}:{}", value("Action")), value("TopicArn"));
    };
    let operation = target.rsplit('.').next().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let action = format!("{service}:{operation}");
    match service {
        "dynamodb" => (action, dynamodb(operation, &body, at)),
        "ssm" => {
            let name = [
                text("Name"),
                text("Path"),
                body["Names"][0].as_str().unwrap_or_default(),
            ];
            let name = name.into_iter().find(|name| !name.is_empty());
            one(
                &action,
                &format!("{at}:parameter{}", name.unwrap_or_default()),
            )
        }
        "secretsmanager" => one(&action, &format!("{at}:secret:{}-AbCdEf", text("SecretId"))),
        _ => {
            let arns = ["stateMachineArn", "executionArn", "TopicArn"].map(text);
            let arn = arns.into_iter().find(|arn| !arn.is_empty());
            one(&action, arn.unwrap_or("*"))
        }
    }
}

/// A transaction takes the permission of each thing that it does.
fn dynamodb(operation: &str, body: &Value, at: &str) -> Vec<(String, String)> {
    let need = |operation: &str, table: &Value, index: &Value| {
        let mut resource = format!("{at}:table/{}", table.as_str().unwrap_or("?"));
        if let Some(index) = index.as_str() {
            resource.push_str(&format!("/index/{index}"));
        }
        (format!("dynamodb:{operation}"), resource)
    };
    let parts = body["TransactItems"].as_array().into_iter().flatten();
    let parts = parts.filter_map(Value::as_object).flatten();
    let mut needs: Vec<_> = parts
        .map(|(kind, part)| {
            let kind = match kind.as_str() {
                "ConditionCheck" => "ConditionCheckItem".to_owned(),
                kind => format!("{kind}Item"),
            };
            need(&kind, &part["TableName"], &Value::Null)
        })
        .collect();
    if let Some(tables) = body["RequestItems"].as_object() {
        let of_table = |table: &String| need(operation, &Value::from(table.as_str()), &Value::Null);
        needs.extend(tables.keys().map(of_table));
    }
    if needs.is_empty() {
        needs.push(need(operation, &body["TableName"], &body["IndexName"]));
    }
    needs.sort();
    needs.dedup();
    needs
}

/// Operations of Lambda: on layers, and on functions.
fn lambda(method: &Method, path: &str, at: &str) -> Asked {
    let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    let action = match (method.as_str(), parts.as_slice()) {
        ("POST", ["functions", _, "invocations"]) => "InvokeFunction",
        ("GET", ["layers"]) => "ListLayers",
        ("GET", ["layers", _, "versions"]) => "ListLayerVersions",
        ("POST", ["layers", _, "versions"]) => "PublishLayerVersion",
        ("GET", ["layers", _, "versions", _]) => "GetLayerVersion",
        ("DELETE", ["layers", _, "versions", _]) => "DeleteLayerVersion",
        ("GET", ["layers", _, "versions", _, "policy"]) => "GetLayerVersionPolicy",
        ("POST", ["layers", _, "versions", _, "policy"]) => "AddLayerVersionPermission",
        ("DELETE", ["layers", _, "versions", _, "policy", _]) => "RemoveLayerVersionPermission",
        ("GET", ["account-settings"]) => "GetAccountSettings",
        _ => "?",
    };
    // A layer and a function may be named by their ARNs.
    let named = |kind: &str, name: &str| {
        let name = super::door::percent_decoded(name);
        if name.starts_with("arn:") {
            name
        } else {
            format!("{at}:{kind}:{name}")
        }
    };
    let resource = match parts.as_slice() {
        ["layers", name, "versions", number, ..] => format!("{}:{number}", named("layer", name)),
        ["layers", name, ..] => named("layer", name),
        ["functions", name, ..] => named("function", name),
        _ => "*".to_owned(),
    };
    one(&format!("lambda:{action}"), &resource)
}

/// Operations of S3, by the names of the permissions that they take.
fn s3(method: &Method, uri: &Uri) -> Asked {
    let query = uri.query().unwrap_or_default();
    let path = uri.path().trim_matches('/');
    let action = match (method.as_str(), path.contains('/')) {
        ("GET" | "HEAD", true) => "GetObject",
        ("PUT" | "POST", true) => "PutObject",
        ("DELETE", true) if query.contains("uploadId") => "AbortMultipartUpload",
        ("DELETE", true) => "DeleteObject",
        ("GET" | "HEAD", false) if query.contains("location") => "GetBucketLocation",
        ("GET" | "HEAD", false) if query.contains("uploads") => "ListBucketMultipartUploads",
        ("GET" | "HEAD", false) => "ListBucket",
        _ => "?",
    };
    one(&format!("s3:{action}"), &format!("arn:aws:s3:::{path}"))
}

/// An id in AWS' form, another one each time.
pub(super) fn request_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    format!("00000000-0000-4000-8000-{number:012}")
}
