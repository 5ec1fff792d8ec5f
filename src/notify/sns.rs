//! Amazon SNS.

use super::NotifyError;
use crate::model::Notification;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::{Builder, Region};
use aws_sdk_sns::types::MessageAttributeValue;
use std::error::Error;

/// The longest subject, which has to be printable ASCII (Amazon SNS API reference, `Publish`).
const SUBJECT_LIMIT: usize = 100;

/// Publishes in the topic's own region.
pub(super) async fn publish(
    config: &SdkConfig,
    arn: &str,
    notification: &Notification,
) -> Result<(), NotifyError> {
    let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
    // What is to be tried again is in the store; the SDK does not have to.
    let config = Builder::from(config)
        .region(Region::new(region))
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
