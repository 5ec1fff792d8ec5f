//! Puts secrets where references point: a file that only its owner reads, AWS Systems Manager, AWS Secrets Manager.
//!
//! What is there already is not overwritten unless that is asked for.

use super::aws::{explain, in_region_of};
use super::{SecretError, SecretSource};
use crate::model::SecretReference;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_ssm::operation::put_parameter::PutParameterError;
use aws_sdk_ssm::types::ParameterType;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Whether a secret that is there already may be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// No.
    Never,
    /// Yes.
    Allowed,
}

impl SecretSource {
    /// Keeps a secret at the place a reference names.
    ///
    /// # Errors
    /// [`SecretError::IsThere`] when something is there and must not be replaced, [`SecretError::NoPlace`] for a reference
    /// that nothing can be put into; otherwise see [`SecretError`].
    pub async fn keep(
        &self,
        reference: &SecretReference,
        secret: &SecretString,
        replace: Replace,
    ) -> Result<(), SecretError> {
        match reference {
            SecretReference::Plain(_) | SecretReference::Environment(_) => {
                Err(SecretError::NoPlace(reference.to_string()))
            }
            SecretReference::File(path) => write_file(path, secret, replace).await,
            SecretReference::Ssm(name) => {
                put_parameter(self.config().await, name, secret, replace).await
            }
            SecretReference::SecretsManager { id, key } => {
                put_secret(self.config().await, id, key.as_deref(), secret, replace).await
            }
        }
    }
}

async fn write_file(
    path: &Path,
    secret: &SecretString,
    replace: Replace,
) -> Result<(), SecretError> {
    let (owned, secret) = (path.to_owned(), secret.clone());
    let work = tokio::task::spawn_blocking(move || write_now(&owned, &secret, replace));
    match work.await {
        Ok(answer) => answer,
        Err(broken_off) => Err(unwritten(path, std::io::Error::other(broken_off))),
    }
}

/// Written beside its place and moved there, so that nobody ever reads half of it; such files are made with mode 0600.
fn write_now(path: &Path, secret: &SecretString, replace: Replace) -> Result<(), SecretError> {
    let unwritten = |reason| unwritten(path, reason);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    std::fs::create_dir_all(&folder).map_err(unwritten)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(unwritten)?;
    let text = secret.expose_secret();
    let ended = if text.ends_with('\n') { "" } else { "\n" };
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(ended.as_bytes()))
        .and_then(|()| file.as_file().sync_all())
        .map_err(unwritten)?;
    let moved = match replace {
        Replace::Allowed => file.persist(path),
        Replace::Never => file.persist_noclobber(path),
    };
    match moved {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            Err(SecretError::IsThere(format!("file:{}", path.display())))
        }
        Err(error) => Err(unwritten(error.error)),
    }
}

fn unwritten(path: &Path, reason: std::io::Error) -> SecretError {
    SecretError::Unwritten {
        path: path.to_owned(),
        reason,
    }
}

async fn put_parameter(
    config: &SdkConfig,
    name: &str,
    secret: &SecretString,
    replace: Replace,
) -> Result<(), SecretError> {
    let reference = format!("ssm:{name}");
    let config = in_region_of(name, config);
    let answer = aws_sdk_ssm::Client::new(&config)
        .put_parameter()
        .name(name)
        .r#type(ParameterType::SecureString)
        .value(secret.expose_secret())
        .overwrite(replace == Replace::Allowed)
        .send()
        .await;
    match answer {
        Ok(_) => Ok(()),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(PutParameterError::is_parameter_already_exists) =>
        {
            Err(SecretError::IsThere(reference))
        }
        Err(error) => Err(explain(
            &reference,
            "ssm:PutParameter",
            &config,
            &error,
            false,
        )),
    }
}

async fn put_secret(
    config: &SdkConfig,
    id: &str,
    key: Option<&str>,
    secret: &SecretString,
    replace: Replace,
) -> Result<(), SecretError> {
    let reference = match key {
        Some(key) => format!("secretsmanager:{id}#{key}"),
        None => format!("secretsmanager:{id}"),
    };
    let config = in_region_of(id, config);
    let client = aws_sdk_secretsmanager::Client::new(&config);
    let present = match client.get_secret_value().secret_id(id).send().await {
        Ok(output) => Some(output.secret_string.map(Zeroizing::new)),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
        {
            None
        }
        Err(error) => {
            let action = "secretsmanager:GetSecretValue";
            return Err(explain(&reference, action, &config, &error, false));
        }
    };
    let exists = present.is_some();
    let present = present.flatten();
    let text = with(
        present.as_deref().map(String::as_str),
        exists,
        key,
        secret,
        replace,
        &reference,
    )?;
    if exists {
        let put = client.put_secret_value().secret_id(id);
        let answer = put.secret_string(text.expose_secret()).send().await;
        let action = "secretsmanager:PutSecretValue";
        answer.map_err(|error| explain(&reference, action, &config, &error, false))?;
    } else {
        let create = client.create_secret().name(id);
        let answer = create.secret_string(text.expose_secret()).send().await;
        let action = "secretsmanager:CreateSecret";
        answer.map_err(|error| explain(&reference, action, &config, &error, false))?;
    }
    Ok(())
}

/// The text of a secret of Secrets Manager with this value in it; other keys of a JSON object are left as they are.
fn with(
    present: Option<&str>,
    exists: bool,
    key: Option<&str>,
    secret: &SecretString,
    replace: Replace,
    reference: &str,
) -> Result<SecretString, SecretError> {
    let is_there = || SecretError::IsThere(reference.to_owned());
    let Some(key) = key else {
        return if exists && replace == Replace::Never {
            Err(is_there())
        } else {
            Ok(secret.clone())
        };
    };
    let mut object = match present.map(serde_json::from_str::<Map<String, Value>>) {
        Some(Ok(object)) => object,
        None if !exists => Map::new(),
        _ => {
            return Err(SecretError::NotPickable {
                reference: reference.to_owned(),
                what: "the secret that is there is not a JSON object, so no key can be put into it: choose another name",
            });
        }
    };
    if object.contains_key(key) && replace == Replace::Never {
        return Err(is_there());
    }
    object.insert(key.to_owned(), Value::from(secret.expose_secret()));
    Ok(Value::Object(object).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn local() -> SecretSource {
        let nowhere = || async { panic!("AWS was asked about a file") };
        SecretSource::new(nowhere, std::sync::Arc::new(|_| None))
    }

    #[tokio::test]
    async fn a_file_is_its_owners_alone_and_not_overwritten_unless_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/key");
        let place = SecretReference::File(path.clone());
        let source = local();
        let keep = async |secret: &str, replace| source.keep(&place, &secret.into(), replace).await;
        keep("one", Replace::Never).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = keep("two", Replace::Never).await.unwrap_err().to_string();
        assert!(error.contains("is left as it is"), "{error}");
        let now = source.read(&place).await.unwrap();
        assert_eq!(now.expose_secret(), "one");
        keep("two\n", Replace::Allowed).await.unwrap();
        let now = source.read(&place).await.unwrap();
        assert_eq!(now.expose_secret(), "two");
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[tokio::test]
    async fn what_is_no_place_is_refused_without_the_secret() {
        for place in ["hunter2", "env:HUNTER"] {
            let place = place.parse().unwrap();
            let (source, secret) = (local(), "hunter2".into());
            let kept = source.keep(&place, &secret, Replace::Allowed).await;
            let error = kept.unwrap_err().to_string();
            assert!(error.contains("is no place"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_key_of_a_secret_leaves_the_others_as_they_are() {
        let put = |present: Option<&str>, replace| {
            let text = with(
                present,
                present.is_some(),
                Some("a"),
                &"new".into(),
                replace,
                "here",
            );
            text.map(|text| text.expose_secret().to_owned())
                .map_err(|error| error.to_string())
        };
        assert_eq!(put(None, Replace::Never).unwrap(), r#"{"a":"new"}"#);
        assert_eq!(
            put(Some(r#"{"b": 7}"#), Replace::Never).unwrap(),
            r#"{"a":"new","b":7}"#
        );
        let there = Some(r#"{"a": "old", "b": 7}"#);
        assert!(
            put(there, Replace::Never)
                .unwrap_err()
                .starts_with("here: something is kept")
        );
        assert_eq!(
            put(there, Replace::Allowed).unwrap(),
            r#"{"a":"new","b":7}"#
        );
        for other in ["hunter2", "[]", ""] {
            let error = put(Some(other), Replace::Allowed).unwrap_err();
            assert!(
                error.contains("not a JSON object") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
