//! `ec2:DescribeRegions`, the one call of EC2 that is needed: asked without EC2's SDK, which is larger than all others.
//!
//! Source: Amazon EC2 API reference, `DescribeRegions` (version 2016-11-15, query protocol).

use super::CONNECT_TIMEOUT;
use super::partition::Partition;
use crate::model::Region;
use anyhow::{Context as _, anyhow, ensure};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

const QUESTION: &str = "Action=DescribeRegions&AllRegions=true&Version=2016-11-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// Bytes of an answer; 40 regions take some 8,000.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// The regions of a partition that the account has not enabled.
///
/// # Errors
/// When EC2 does not tell.
pub(super) async fn not_enabled(
    partition: &Partition,
    limit: Duration,
) -> anyhow::Result<BTreeSet<Region>> {
    let text = tokio::time::timeout(limit, ask(partition)).await??;
    Ok(read(&text))
}

async fn ask(partition: &Partition) -> anyhow::Result<String> {
    let home = partition.home.as_str();
    let suffix = match partition.home.partition() {
        "aws-cn" => "amazonaws.com.cn",
        _ => "amazonaws.com",
    };
    let endpoint = match partition.config.endpoint_url() {
        Some(url) => format!("{}/", url.trim_end_matches('/')),
        None => format!("https://ec2.{home}.{suffix}/"),
    };
    let host = reqwest::Url::parse(&endpoint)?;
    let host = match (host.host_str(), host.port()) {
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => return Err(anyhow!("{endpoint} names no host")),
    };
    let provider = partition.config.credentials_provider();
    let provider = provider.context("there are no credentials")?;
    let identity = provider.provide_credentials().await?.into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(home)
        .name("ec2")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers = [("host", host.as_str()), ("content-type", FORM)];
    let body = SignableBody::Bytes(QUESTION.as_bytes());
    let request = SignableRequest::new("POST", &endpoint, headers.into_iter(), body)?;
    let (signature, _) = sign(request, &parameters)?.into_parts();
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .build()?;
    let mut call = client
        .post(&endpoint)
        .header("content-type", FORM)
        .body(QUESTION);
    for (name, value) in signature.headers() {
        call = call.header(name, value);
    }
    let mut answer = call.send().await?;
    let status = answer.status();
    let mut text = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        ensure!(
            text.len() + piece.len() <= ANSWER_LIMIT,
            "the answer is too long"
        );
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8(text)?;
    if status.is_success() && text.contains("<regionInfo>") {
        return Ok(text);
    }
    let code = between(&text, "<Code>", "</Code>").unwrap_or("no answer of EC2");
    Err(anyhow!("{code} (status {status})"))
}

/// The regions that an answer says are not opted in to. `regionInfo` is a flat list of items with a name and a status.
fn read(text: &str) -> BTreeSet<Region> {
    text.split("<item>")
        .skip(1)
        .filter(|item| between(item, "<optInStatus>", "</optInStatus>") == Some("not-opted-in"))
        .filter_map(|item| between(item, "<regionName>", "</regionName>")?.parse().ok())
        .collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inner, _)| inner.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_are_not_opted_in_to_are_read() {
        let item = |name: &str, status: &str| {
            format!(
                "<item><regionName>{name}</regionName><regionEndpoint>e</regionEndpoint><optInStatus>{status}</optInStatus></item>"
            )
        };
        let items = [
            item("us-east-1", "opt-in-not-required"),
            item("af-south-1", "not-opted-in"),
            item("ap-east-1", "opted-in"),
            item("moon-north-1", "not-opted-in"),
        ];
        let text = format!(
            "<DescribeRegionsResponse><regionInfo>{}</regionInfo></DescribeRegionsResponse>",
            items.concat()
        );
        assert_eq!(read(&text), BTreeSet::from(["af-south-1".parse().unwrap()]));
        assert_eq!(read("<html>"), BTreeSet::new());
    }
}
