//! What is told to others when layers change, and to whom.

use super::{InvalidValue, LayerVersion, Timestamp, serde_as_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Who is told of what is published: an SNS topic, or a web server. As text, the topic's ARN or the server's address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// An SNS topic, by its ARN.
    Sns(String),
    /// A web server that takes a POST at this address.
    Webhook(String),
}

/// The longest name of a topic, `.fifo` included (Amazon SNS API reference, `CreateTopic`).
const TOPIC_LIMIT: usize = 256;

impl Destination {
    /// A topic by its ARN: `arn:PARTITION:sns:REGION:ACCOUNT:NAME`.
    ///
    /// # Errors
    /// When the text is not the ARN of a topic.
    pub fn sns(text: &str) -> Result<Self, InvalidValue> {
        let invalid = || {
            InvalidValue(format!(
                "`{text}` is not the ARN of an SNS topic: write it as arn:aws:sns:eu-west-1:123456789012:layers"
            ))
        };
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, topic] = parts.as_slice() else {
            return Err(invalid());
        };
        let word = |text: &str, others: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        };
        let name = topic.strip_suffix(".fifo").unwrap_or(topic);
        let valid = ["aws", "aws-cn", "aws-us-gov"].contains(partition)
            && word(region, "-")
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && topic.len() <= TOPIC_LIMIT
            && word(name, "-_");
        valid
            .then(|| Self::Sns(text.to_owned()))
            .ok_or_else(invalid)
    }

    /// A web server by its address, over `https://`; `http://` only for this machine.
    ///
    /// # Errors
    /// When the text is no such address, or holds a user or password. The error does not repeat it: an address may be
    /// a secret by itself.
    pub fn webhook(text: &str) -> Result<Self, InvalidValue> {
        let invalid = |what: &str| Err(InvalidValue(what.to_owned()));
        let Ok(url) = url::Url::parse(text) else {
            return invalid("the webhook is not an address");
        };
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.host_str().is_none() || !(url.scheme() == "https" || url.scheme() == "http" && local)
        {
            return invalid("the webhook must begin with `https://`");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return invalid("the webhook contains credentials");
        }
        if url.fragment().is_some() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return invalid("the webhook is not an address");
        }
        Ok(Self::Webhook(text.to_owned()))
    }

    /// The destination in logs: an address is shortened to its host, because the rest of it may be a secret.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Sns(arn) => arn.clone(),
            Self::Webhook(address) => {
                let url = url::Url::parse(address).ok();
                let host = url.as_ref().and_then(url::Url::host_str);
                format!("the webhook at {}", host.unwrap_or("an unknown host"))
            }
        }
    }
}

impl FromStr for Destination {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("arn:") {
            Self::sns(text)
        } else {
            Self::webhook(text)
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Sns(text) | Self::Webhook(text)) = self;
        f.write_str(text)
    }
}

serde_as_text!(Destination);

/// What became of a layer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewsKind {
    /// It went live.
    Published,
    /// It was superseded or retired.
    Deprecated,
}

/// Something that became of a layer version and that nobody was told of yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Counts what happened, by which it is marked as told.
    pub sequence: u64,
    /// What happened.
    pub kind: NewsKind,
    /// The version as the store knows it by now.
    pub version: LayerVersion,
}

/// A message on its way to one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The same for every try and every destination: by it, receivers know a repetition.
    pub id: String,
    /// To whom.
    pub destination: Destination,
    /// One line.
    pub subject: String,
    /// JSON.
    pub body: String,
    /// When it was written down.
    pub created_at: Timestamp,
    /// Tries so far.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_read_back_as_they_are_shown() {
        for text in [
            "arn:aws:sns:eu-west-1:123456789012:layers",
            "arn:aws-cn:sns:cn-north-1:123456789012:layers.fifo",
            "https://hooks.example.com/services/T0/B0?x=1",
            "http://127.0.0.1:8080/hook",
        ] {
            let destination: Destination = text.parse().unwrap();
            assert_eq!(destination.to_string(), text);
        }
    }

    #[test]
    fn what_is_neither_a_topic_nor_an_address_is_refused() {
        for text in [
            "",
            "arn:aws:sns:eu-west-1:1234:layers",
            "arn:aws:sqs:eu-west-1:123456789012:layers",
            "arn:aws:sns:eu-west-1:123456789012:",
            "arn:aws:sns:eu-west-1:123456789012:layers:2f0c",
            "http://hooks.example.com/",
            "https://user:secret@hooks.example.com/",
            "https://hooks.example.com/#part",
            "file:///etc/passwd",
            "https://",
        ] {
            let error = text.parse::<Destination>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_address_is_not_shown_whole() {
        let hook = Destination::webhook("https://hooks.example.com/T0/secret").unwrap();
        assert_eq!(hook.shown(), "the webhook at hooks.example.com");
    }
}
