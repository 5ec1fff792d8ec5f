//! Two processes that publishing is measured with: what answers as AWS Lambda does, and the plainest client there can be.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use futures::future::try_join_all;
use layersmith_testbed::lambda::Lambda;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

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

/// Says its address on standard output and answers until it is ended.
pub(crate) async fn serve(options: &Endpoint) -> anyhow::Result<bool> {
    let lambda = Lambda::start_slow(Duration::from_millis(options.latency)).await;
    lambda.expect(&std::fs::read(&options.expect)?);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", lambda.endpoint())?;
    stdout.flush()?;
    // Whoever started it ends it.
    std::future::pending().await
}

/// Sends the body of a publish so many times at once, encoded once and not signed.
pub(crate) async fn upload(options: &Upload) -> anyhow::Result<bool> {
    let zip = std::fs::read(&options.zip)
        .with_context(|| format!("{} cannot be read", options.zip.display()))?;
    let body = format!(
        r#"{{"CompatibleRuntimes":["python3.11"],"Content":{{"ZipFile":"{}"}},"Description":"plain"}}"#,
        STANDARD.encode(zip)
    );
    // Clones of it share the bytes.
    let body = bytes::Bytes::from(body);
    let client = reqwest::Client::new();
    let uploads = (0..options.times).map(|number| {
        let request = client
            .post(format!("{}/2018-10-31/layers/plain/versions", options.to))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=testing/20261101/region-{number}/lambda/aws4_request"),
            )
            .body(body.clone());
        async move {
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
