//! What goes wrong, with which calls.

use std::time::Duration;

use axum::http::{Method, Uri};

use super::buckets;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsFault {
    /// This status with this AWS error code; AWS never sees the request.
    Refuse(u16, &'static str),
    /// AWS does it, and answers this status with this error code all the same.
    RefuseAfterwards(u16, &'static str),
    /// The connection is reset; AWS never sees the request.
    Reset,
    /// No answer, ever; AWS never sees the request.
    Hang,
    /// AWS sees the request that much later.
    Slow(Duration),
    /// No answer, ever; AWS sees the request that much later, whether or not somebody still waits.
    Late(Duration),
    /// The connection is reset at once; AWS sees the request that much later.
    LateAfterReset(Duration),
    /// AWS does it, and the connection breaks before the answer is through.
    LoseAnswer,
    /// AWS does it, and the answer never comes.
    HangAfterwards,
    /// AWS gets another byte than was sent, and does not see it.
    Spoil,
    /// AWS does it, and tells another checksum.
    OtherChecksum,
}

/// The calls that publishing consists of, those for zips that go through a bucket included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsCall {
    /// `ListLayerVersions`
    List,
    /// `PublishLayerVersion`
    Publish,
    /// `AddLayerVersionPermission`
    Share,
    /// `GetLayerVersion`
    Read,
    /// `GetLayerVersionPolicy`
    ReadPolicy,
    /// `HeadObject`
    HeadObject,
    /// `UploadPart`
    UploadPart,
    /// `CompleteMultipartUpload`
    CompleteUpload,
    /// `DeleteObject`
    DeleteObject,
    /// Any call of Parameter Store.
    Parameters,
}

/// Which requests a fault is for, and how many of them.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) region: String,
    pub(super) call: Option<AwsCall>,
    pub(super) fault: AwsFault,
    pub(super) times: usize,
}

impl AwsCall {
    pub(super) fn of(service: &str, method: &Method, uri: &Uri) -> Option<Self> {
        if service == "s3" {
            return buckets::call(method, uri.query().unwrap_or_default());
        }
        if service == "ssm" {
            return Some(Self::Parameters);
        }
        match (method.as_str(), uri.path().rsplit('/').next()?) {
            ("GET", "versions") => Some(Self::List),
            ("POST", "versions") => Some(Self::Publish),
            ("POST", "policy") => Some(Self::Share),
            ("GET", "policy") => Some(Self::ReadPolicy),
            ("GET", number) if number.parse::<u64>().is_ok() => Some(Self::Read),
            _ => None,
        }
    }
}

/// The first fault that is for this call; it is used up by it.
pub(super) fn take(rules: &mut [Rule], region: &str, call: Option<AwsCall>) -> Option<AwsFault> {
    let rule = rules.iter_mut().find(|rule| {
        let is_meant = rule.call.is_none() || rule.call == call;
        rule.region == region && rule.times > 0 && is_meant
    })?;
    if rule.times != usize::MAX {
        rule.times -= 1;
    }
    Some(rule.fault)
}
