//! What is peculiar to Amazon S3: its errors are XML, it tells checksums, and what a call is shows in the query.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use super::AwsCall;
use crate::relay::{Passed, Passing};

const CHECKSUM: &str = "x-amz-checksum-sha256";
/// The checksum of nothing that anybody would upload.
const ANOTHER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Which call a request of these is.
pub(super) fn call(method: &Method, query: &str) -> Option<AwsCall> {
    let has = |name: &str| query.split('&').any(|field| field.starts_with(name));
    match method.as_str() {
        "HEAD" => Some(AwsCall::HeadObject),
        "PUT" if has("partNumber=") => Some(AwsCall::UploadPart),
        "POST" if has("uploadId=") => Some(AwsCall::CompleteUpload),
        "DELETE" if !has("uploadId=") => Some(AwsCall::DeleteObject),
        _ => None,
    }
}

pub(super) fn refusal(status: u16, code: &str) -> Response {
    let error = format!("<Error><Code>{code}</Code><Message>the words of AWS</Message></Error>");
    Response::builder()
        .status(StatusCode::from_u16(status).expect("a fault has a status of HTTP"))
        .header(header::CONTENT_TYPE, "application/xml")
        .body(Body::from(error))
        .expect("a refusal is an answer")
}

/// Another byte in the middle.
pub(super) fn spoil(passing: &mut Passing) {
    let mut bytes = passing.body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    passing.body = bytes.into();
}

/// The answer with another checksum, be it to a part, to all parts or to the question what is there.
pub(super) fn tell_another_checksum(answer: &mut Passed) {
    let another = HeaderValue::from_static(ANOTHER);
    answer.headers.insert(CHECKSUM, another);
    let end = "</CompleteMultipartUploadResult>";
    let body = String::from_utf8_lossy(&answer.body);
    if body.contains(end) {
        let told = format!("<ChecksumSHA256>{ANOTHER}</ChecksumSHA256>{end}");
        answer.body = body.replace(end, &told).into();
    }
}

/// How many parts a request puts together.
pub(super) fn parts(body: &[u8]) -> usize {
    String::from_utf8_lossy(body)
        .matches("<PartNumber>")
        .count()
}

/// What moto leaves out: the number of parts, after the checksum of an object that was put together of so many.
pub(super) fn tell_parts(answer: &mut Passed, parts: usize) {
    let told = answer.headers.get(CHECKSUM);
    let told = told.and_then(|told| told.to_str().ok()).map(str::to_owned);
    if let Some(told) = told.filter(|told| !told.contains('-'))
        && let Ok(whole) = HeaderValue::from_str(&format!("{told}-{parts}"))
    {
        answer.headers.insert(CHECKSUM, whole);
    }
}
