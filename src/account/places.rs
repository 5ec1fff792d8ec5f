//! A bucket and a state machine that the settings name.

use super::{explain, patient};
use anyhow::ensure;
use aws_config::SdkConfig;

/// The region of a bucket, below whose prefix the credentials may list; `None` where S3 does not say it.
///
/// # Errors
/// When it is not there, belongs to somebody else, or may not be listed.
pub async fn bucket_region(
    config: &SdkConfig,
    by_path: bool,
    bucket: &str,
    prefix: &str,
) -> anyhow::Result<Option<String>> {
    let config = patient(config);
    let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(by_path);
    let client = aws_sdk_s3::Client::from_conf(s3.build());
    let head = client.head_bucket().bucket(bucket).send().await;
    let head = head.map_err(|error| {
        if error
            .as_service_error()
            .is_some_and(|answer| answer.is_not_found())
        {
            anyhow::anyhow!("there is no bucket {bucket}: make it, or correct LAYERSMITH_ARTIFACTS")
        } else {
            explain("s3:ListBucket", &error)
        }
    })?;
    client
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .max_keys(1)
        .send()
        .await
        .map_err(|error| explain("s3:ListBucket", &error))?;
    Ok(head.bucket_region)
}

/// Looks at a state machine by its ARN.
///
/// # Errors
/// When it is not there, not active, or not of the standard kind (express ones forget a run after five minutes).
pub async fn state_machine(config: &SdkConfig, arn: &str) -> anyhow::Result<()> {
    let answer = aws_sdk_sfn::Client::new(&patient(config))
        .describe_state_machine()
        .state_machine_arn(arn)
        .send()
        .await
        .map_err(|error| explain("states:DescribeStateMachine", &error))?;
    let status = answer
        .status
        .as_ref()
        .map_or("ACTIVE", |status| status.as_str());
    ensure!(status == "ACTIVE", "{arn} is {status}");
    let kind = answer.r#type.as_str();
    ensure!(
        kind == "STANDARD",
        "{arn} is of the kind {kind}, and runs need STANDARD"
    );
    Ok(())
}
