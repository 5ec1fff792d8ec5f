//! Amazon SNS.

use super::NotifyError;
use crate::model::{Notification, Region};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::Builder;
use aws_sdk_sns::types::MessageAttributeValue;
use std::error::Error;

/// The longest subject, which has to be printable ASCII (Amazon SNS API reference, `Publish`).
const SUBJECT_LIMIT: usize = 100;

/// Publishes in the topic's own region, with the credentials of its partition.
pub(super) async fn publish(
    configs: &[SdkConfig],
    arn: &str,
    notification: &Notification,
) -> Result<(), NotifyError> {
    let part = |number: usize| arn.split(':').nth(number).unwrap_or_default();
    let (partition, region) = (part(1), part(3));
    let config = configs
        .iter()
        .rfind(|config| partition_of(config) == Some(partition))
        .ok_or_else(|| {
            NotifyError(format!(
                "there are no credentials for the partition {partition}: name a role or a profile in LAYERSMITH_AWS_ROLES"
            ))
        })?;
    // What is to be tried again is in the store; the SDK does not have to.
    let config = Builder::from(config)
        .region(aws_config::Region::new(region.to_owned()))
        .retry_config(RetryConfig::disabled())
        .build();
    let subject: String = notification
        .subject
        .chars()
        .filter(|c| matches!(c, ' '..='~'))
        .take(SUBJECT_LIMIT)
        .collect();
    let id = MessageAttributeValue::builder()
        .data_type("String")
        .string_value(&notification.id)
        .build()
        .map_err(|error| NotifyError(error.to_string()))?;
    let mut publish = Client::from_conf(config)
        .publish()
        .topic_arn(arn)
        .subject(subject)
        .message(&notification.body)
        .message_attributes("id", id);
    if arn.ends_with(".fifo") {
        publish = publish
            .message_group_id("layersmith")
            .message_deduplication_id(&notification.id);
    }
    let error = match publish.send().await {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let causes = std::iter::successors(Some(&error as &(dyn Error + 'static)), |&error| {
        error.source()
    });
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    Err(NotifyError(causes.join(": ")))
}

fn partition_of(config: &SdkConfig) -> Option<&'static str> {
    let region: Region = config.region()?.as_ref().parse().ok()?;
    Some(region.partition())
}
