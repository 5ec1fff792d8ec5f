//! A layer version that is published, shared with the own account, read back and deleted: the one check that changes
//! something, for a moment.

use super::{explain, in_region};
use crate::model::Region;
use anyhow::{Context as _, ensure};
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{LayerVersionContentInput, Runtime};

/// What the permission is called.
const STATEMENT: &str = "doctor";
const ACTION: &str = "lambda:GetLayerVersion";

/// What to publish, and where.
#[derive(Debug)]
pub struct Probe<'a> {
    /// Where.
    pub region: &'a Region,
    /// The layer's name, which the bot's permissions have to cover.
    pub layer: &'a str,
    /// Whom it is shared with: the own account's 12 digits.
    pub account: &'a str,
    /// A zip.
    pub zip: Vec<u8>,
}

/// Publishes, shares, reads back and deletes. What was published is deleted whatever becomes of the rest; returns its ARN.
///
/// # Errors
/// At the first call that does not work; an ARN that could not be deleted is named.
pub async fn probe(config: &SdkConfig, probe: Probe<'_>) -> anyhow::Result<String> {
    let client = Client::new(&in_region(config, probe.region.as_str()));
    let layer = probe.layer;
    let published = client
        .publish_layer_version()
        .layer_name(layer)
        .description("layersmith doctor: to be deleted at once")
        .compatible_runtimes(Runtime::Python313)
        .content(
            LayerVersionContentInput::builder()
                .zip_file(Blob::new(probe.zip))
                .build(),
        )
        .send()
        .await
        .map_err(|error| explain("lambda:PublishLayerVersion", &error))?;
    let arn = published.layer_version_arn.unwrap_or_default();
    let version = published.version;
    let read_back = share_and_read(&client, layer, version, probe.account).await;
    let deleted = client
        .delete_layer_version()
        .layer_name(layer)
        .version_number(version)
        .send()
        .await
        .map_err(|error| explain("lambda:DeleteLayerVersion", &error))
        .with_context(|| format!("{arn} is left behind, delete it by hand"));
    match (read_back, deleted) {
        (Ok(()), Ok(_)) => Ok(arn),
        (Err(error), Ok(_)) | (Ok(()), Err(error)) => Err(error),
        (Err(error), Err(also)) => Err(error.context(format!("{also:#}"))),
    }
}

async fn share_and_read(
    client: &Client,
    layer: &str,
    version: i64,
    account: &str,
) -> anyhow::Result<()> {
    client
        .add_layer_version_permission()
        .layer_name(layer)
        .version_number(version)
        .statement_id(STATEMENT)
        .action(ACTION)
        .principal(account)
        .send()
        .await
        .map_err(|error| explain("lambda:AddLayerVersionPermission", &error))?;
    let read = client
        .get_layer_version()
        .layer_name(layer)
        .version_number(version)
        .send()
        .await
        .map_err(|error| explain("lambda:GetLayerVersion", &error))?;
    ensure!(read.version == version, "another version was read back");
    let policy = client
        .get_layer_version_policy()
        .layer_name(layer)
        .version_number(version)
        .send()
        .await
        .map_err(|error| explain("lambda:GetLayerVersionPolicy", &error))?;
    let policy = policy.policy.unwrap_or_default();
    ensure!(
        policy.contains(account),
        "the permission was given and is not in the policy: {policy}"
    );
    Ok(())
}
