//! Two processes that publishing is measured with: what answers as AWS Lambda does, and the plainest client there can be.

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use aws_lc_rs::digest::{SHA256, digest};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use futures::future::try_join_all;
use layersmith_testbed::aws_proxy::AwsProxy;
use layersmith_testbed::lambda::Lambda;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

#[derive(Debug, Args)]
pub(crate) struct Endpoint {
    /// Milliseconds before each answer
    #[arg(long)]
    latency: u64,

    /// The zip that will be published, so that it is hashed once
    #[arg(long)]
    expect: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Upload {
    #[arg(long)]
    to: String,

    #[arg(long)]
    zip: PathBuf,

    /// How often, all at once
    #[arg(long)]
    times: usize,
}

/// Says its address on standard output and answers until standard input ends; then it says how many seconds lay between the
/// first call to AWS Lambda and the last answer to one.
pub(crate) async fn serve(options: &Endpoint) -> anyhow::Result<bool> {
    let lambda = Lambda::start().await;
    lambda.expect(&std::fs::read(&options.expect)?);
    let latency = Duration::from_millis(options.latency);
    let proxy = AwsProxy::start_far(lambda.endpoint(), latency).await;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", proxy.endpoint())?;
    stdout.flush()?;
    let until_the_end = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(until_the_end).await??;
    writeln!(stdout, "{}", proxy.busy().as_secs_f64())?;
    Ok(true)
}

/// Sends the body of a publish so many times at once, encoded and hashed once. Without a signature AWS would not take it
/// (AWS Identity and Access Management, "Signature Version 4 for API requests": the hash of the payload is a part of it).
pub(crate) async fn upload(options: &Upload) -> anyhow::Result<bool> {
    let zip = std::fs::read(&options.zip)
        .with_context(|| format!("{} cannot be read", options.zip.display()))?;
    let body = format!(
        r#"{{"CompatibleRuntimes":["python3.11"],"Content":{{"ZipFile":"{}"}},"Description":"plain"}}"#,
        STANDARD.encode(zip)
    );
    // Clones of it share the bytes.
    let body = bytes::Bytes::from(body);
    let hash = digest(&SHA256, &body);
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let client = reqwest::Client::new();
    let url = format!("{}/2018-10-31/layers/plain/versions", options.to);
    let host = options.to.trim_start_matches("http://");
    let uploads = (0..options.times).map(|number| {
        let request = client.post(&url).body(body.clone());
        let signed = signed(request, &url, host, &format!("region-{number}"), &hash);
        async move {
            let request = signed?;
            let status = request.send().await?.status();
            if !status.is_success() {
                bail!("an upload was answered {status}");
            }
            Ok(())
        }
    });
    try_join_all(uploads).await?;
    Ok(true)
}

/// A request with the headers of its signature.
fn signed(
    request: reqwest::RequestBuilder,
    url: &str,
    host: &str,
    region: &str,
    hash: &str,
) -> anyhow::Result<reqwest::RequestBuilder> {
    let identity = Credentials::new("testing", "testing", None, None, "bench").into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("lambda")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let body = SignableBody::Precomputed(hash.to_owned());
    let headers = [("host", host)].into_iter();
    let (signature, _) = sign(
        SignableRequest::new("POST", url, headers, body)?,
        &parameters,
    )?
    .into_parts();
    Ok(signature.headers().fold(request, |request, (name, value)| {
        request.header(name, value)
    }))
}
