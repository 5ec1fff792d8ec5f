//! Secrets in AWS Systems Manager and AWS Secrets Manager: reading them, and why that did not work.

use super::SecretError;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use secrecy::SecretString;
use serde_json::Value;
use std::error::Error;

/// A parameter's value, decrypted where it is a `SecureString`.
pub(super) async fn parameter(config: &SdkConfig, name: &str) -> Result<SecretString, SecretError> {
    let reference = format!("ssm:{name}");
    let config = in_region_of(name, config);
    let answer = aws_sdk_ssm::Client::new(&config)
        .get_parameter()
        .name(name)
        .with_decryption(true)
        .send()
        .await;
    let output = answer.map_err(|error| {
        let missing = error.as_service_error().is_some_and(|answer| {
            matches!(
                answer,
                GetParameterError::ParameterNotFound(_)
                    | GetParameterError::ParameterVersionNotFound(_)
            )
        });
        explain(&reference, "ssm:GetParameter", &config, &error, missing)
    })?;
    output
        .parameter
        .and_then(|parameter| parameter.value)
        .map(SecretString::from)
        .ok_or(SecretError::Empty(reference))
}

/// A secret's text, or what a key names in it.
pub(super) async fn secret(
    config: &SdkConfig,
    id: &str,
    key: Option<&str>,
) -> Result<SecretString, SecretError> {
    let reference = match key {
        Some(key) => format!("secretsmanager:{id}#{key}"),
        None => format!("secretsmanager:{id}"),
    };
    let config = in_region_of(id, config);
    let answer = aws_sdk_secretsmanager::Client::new(&config)
        .get_secret_value()
        .secret_id(id)
        .send()
        .await;
    let output = answer.map_err(|error| {
        let missing = error
            .as_service_error()
            .is_some_and(GetSecretValueError::is_resource_not_found_exception);
        let action = "secretsmanager:GetSecretValue";
        explain(&reference, action, &config, &error, missing)
    })?;
    let Some(text) = output.secret_string else {
        return Err(SecretError::NotPickable {
            reference,
            what: "the secret is binary: store it as text",
        });
    };
    match key {
        None => Ok(text.into()),
        Some(key) => pick(&text, key, reference),
    }
}

fn pick(text: &str, key: &str, reference: String) -> Result<SecretString, SecretError> {
    // The reason is dropped on purpose: it may repeat a part of the secret.
    let Ok(Value::Object(mut object)) = serde_json::from_str(text) else {
        return Err(SecretError::NotPickable {
            reference,
            what: "the secret is not a JSON object: leave out the `#` and the key, or store it as JSON",
        });
    };
    match object.remove(key) {
        Some(Value::String(value)) => Ok(value.into()),
        // An App's id, say, that was stored without quotes.
        Some(Value::Number(value)) => Ok(value.to_string().into()),
        Some(_) => Err(SecretError::NotPickable {
            reference,
            what: "what the key names is neither a text nor a number: store it as a JSON string",
        }),
        None => {
            let mut keys: Vec<String> = object.keys().cloned().collect();
            keys.sort();
            Err(SecretError::MissingKey {
                reference,
                key: key.to_owned(),
                keys,
            })
        }
    }
}

/// An ARN names its region, which need not be the one the program runs in.
pub(super) fn in_region_of(name: &str, config: &SdkConfig) -> SdkConfig {
    match name.split(':').collect::<Vec<_>>()[..] {
        ["arn", _, _, region, ..] if !region.is_empty() => config
            .to_builder()
            .region(Region::new(region.to_owned()))
            .build(),
        _ => config.clone(),
    }
}

pub(super) fn explain<E>(
    reference: &str,
    action: &'static str,
    config: &SdkConfig,
    error: &SdkError<E, HttpResponse>,
    missing: bool,
) -> SecretError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let reference = reference.to_owned();
    if missing {
        let place = config
            .region()
            .map_or("this region", Region::as_ref)
            .to_owned();
        return SecretError::Missing { reference, place };
    }
    match error {
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or("no code");
            let message = answer.err().message().unwrap_or("no message");
            match code {
                "AccessDeniedException" | "AccessDenied" => SecretError::AccessDenied {
                    reference,
                    action,
                    message: message.to_owned(),
                },
                _ => SecretError::Aws {
                    reference,
                    message: format!("{code}: {message}"),
                },
            }
        }
        _ if has_no_credentials(error) => SecretError::NoCredentials { reference },
        _ => SecretError::Aws {
            reference,
            message: chain(error),
        },
    }
}

fn has_no_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| {
        matches!(
            error.downcast_ref(),
            Some(CredentialsError::CredentialsNotLoaded(_))
        )
    })
}

/// An error and its causes, outermost first.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
    causes.join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| Error::source(*error))
}
