//! What AWS says of an account and moto does not know.

use axum::body::Body;
use axum::http::header;
use axum::response::Response;

/// `account:ListRegions`, which moto does not know, as AWS answers it: what is enabled need not be listed here.
pub(crate) fn list_regions(disabled: &[String]) -> Response {
    let regions: Vec<_> = disabled
        .iter()
        .map(|name| serde_json::json!({"RegionName": name, "RegionOptStatus": "DISABLED"}))
        .collect();
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(
            serde_json::json!({ "Regions": regions }).to_string(),
        ))
        .expect("a list of regions is an answer")
}

/// `lambda:GetAccountSettings`, which moto does not know, as an account with these and the usual limits answers it.
pub(super) fn settings(executions: u32) -> Response {
    let limits = serde_json::json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64, "CodeSizeUnzipped": 262_144_000, "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": executions, "UnreservedConcurrentExecutions": executions - executions / 10,
        },
        "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 0},
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(limits.to_string()))
        .expect("limits are an answer")
}
