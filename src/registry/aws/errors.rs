//! The SDK's errors as the kinds a caller acts on: by type, code and status, never by message.
//!
//! Source: AWS Lambda API reference, "Common errors" and the errors of `PublishLayerVersion`.

use super::gate::LeftAlone;
use crate::model::Region;
use crate::registry::RegistryError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// Codes of answers that ask to slow down, besides status 429.
const THROTTLING: [&str; 5] = [
    "TooManyRequestsException",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
    "RequestThrottledException",
];

/// What a region answers that the account has not enabled, and what any region answers to wrong keys. Which of the two
/// it is shows in the regions that every account has.
const UNKNOWN_KEYS: [&str; 2] = ["UnrecognizedClientException", "InvalidClientTokenId"];

/// What AWS answers to credentials that were right and have expired.
const EXPIRED: [&str; 4] = [
    "ExpiredTokenException",
    "ExpiredToken",
    "RequestExpired",
    "TokenRefreshRequired",
];

/// What AWS answers to a signature that is of another time than its own.
///
/// Source: AWS Identity and Access Management, "Troubleshoot Signature Version 4 signing for AWS API requests".
const MISTIMED: [&str; 4] = [
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "RequestTimeTooSkewed",
    "RequestExpired",
];

/// Turns a failed call into what the caller acts on.
pub(super) fn explain<E>(region: &Region, error: &SdkError<E, HttpResponse>) -> RegistryError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let region = region.clone();
    let message = chain(error);
    match error {
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or_default();
            let status = answer.raw().status().as_u16();
            let message = words(status, code, answer.err().message().unwrap_or_default());
            if status == 429 || THROTTLING.contains(&code) {
                RegistryError::Throttled { region, message }
            } else if UNKNOWN_KEYS.contains(&code) && region.is_opt_in() {
                RegistryError::NotEnabled { region }
            } else if EXPIRED.contains(&code) {
                RegistryError::Expired { region, message }
            } else if status >= 500 || status == 408 {
                RegistryError::Failed { region, message }
            } else {
                RegistryError::Refused { region, message }
            }
        }
        // Nothing was sent.
        SdkError::ConstructionFailure(_) => RegistryError::Refused { region, message },
        _ if causes(error).any(|cause| cause.is::<LeftAlone>()) => left_alone(&region),
        _ => match credentials_error(error) {
            // A provider that could not be asked now may answer later; one that has nothing will not.
            None
            | Some(CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_)) => {
                RegistryError::Unreachable { region, message }
            }
            Some(_) => RegistryError::Refused {
                region,
                message: format!("no credentials for AWS were found ({message})"),
            },
        },
    }
}

/// The region was not asked.
pub(super) fn left_alone(region: &Region) -> RegistryError {
    RegistryError::Unreachable {
        region: region.clone(),
        message: LeftAlone.to_string(),
    }
}

/// An answer that cannot be understood; what was asked for may have happened.
pub(super) fn odd_answer(region: &Region, what: &str) -> RegistryError {
    RegistryError::Failed {
        region: region.clone(),
        message: format!("the answer cannot be understood: {what}"),
    }
}

/// Whether what was asked about does not exist.
pub(super) fn is_not_found<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    code_of(error) == Some("ResourceNotFoundException")
}

/// Whether it exists already.
pub(super) fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    code_of(error) == Some("ResourceConflictException")
}

/// Whether the credentials have expired; the next call gets new ones.
pub(super) fn is_expired<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    code_of(error).is_some_and(|code| EXPIRED.contains(&code))
}

/// Whether a call was refused for its signature. The next one may have a better one: the SDK sets its clock by what AWS
/// answers.
pub(super) fn is_mistimed<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    code_of(error).is_some_and(|code| MISTIMED.contains(&code))
}

/// Whether a call was sent, as far as anybody can tell, and no answer to it was heard: not from whoever carries it out, if
/// something on the way says that it waited in vain (RFC 9110, "504 Gateway Timeout").
pub(super) fn is_unheard<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: Error + 'static,
{
    let is_on_the_way = match error {
        SdkError::ServiceError(answer) => answer.raw().status().as_u16() == 504,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            true
        }
        _ => false,
    };
    let never_left = |cause: &(dyn Error + 'static)| {
        let error = cause.downcast_ref::<hyper_util::client::legacy::Error>();
        cause.is::<LeftAlone>() || error.is_some_and(|error| error.is_connect())
    };
    is_on_the_way && !causes(error).any(never_left) && credentials_error(error).is_none()
}

fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
}

fn words(status: u16, code: &str, message: &str) -> String {
    let mut words = match (code, message) {
        ("", "") => format!("status {status}"),
        ("", message) => format!("status {status}: {message}"),
        (code, "") => format!("{code} (status {status})"),
        (code, message) => format!("{code}: {message}"),
    };
    if UNKNOWN_KEYS.contains(&code) {
        words.push_str(" (the keys are wrong)");
    }
    words
}

/// An error and its causes, outermost first.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
    causes.join(": ")
}

fn credentials_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CredentialsError> {
    causes(error).find_map(|error| error.downcast_ref::<CredentialsError>())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| Error::source(*error))
}
