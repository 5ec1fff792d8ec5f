//! Where a secret is to be found, as a setting says it.

use super::InvalidValue;
use secrecy::SecretString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A secret, or the place it is kept at: `ssm:/name`, `secretsmanager:name#key`, `file:PATH`, `env:NAME`; every other
/// text is the secret itself. Neither `Display` nor `Debug` shows a secret.
#[derive(Debug, Clone)]
pub enum SecretReference {
    /// The secret itself.
    Plain(SecretString),
    /// An environment variable.
    Environment(String),
    /// A file that holds nothing else.
    File(PathBuf),
    /// A parameter of AWS Systems Manager, by name or ARN; a `SecureString` is decrypted.
    Ssm(String),
    /// A secret of AWS Secrets Manager.
    SecretsManager {
        /// Its name or ARN.
        id: String,
        /// The key to pick, if the secret is a JSON object.
        key: Option<String>,
    },
}

impl FromStr for SecretReference {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |what: &str| Err(InvalidValue(what.to_owned()));
        // What follows `env:` or another of these is a name, not a secret, but a mistyped setting may be anything:
        // the errors do not repeat it.
        let Some((kind, place)) = text.split_once(':') else {
            return if text.is_empty() {
                invalid("a secret or a reference to one is expected, and nothing was given")
            } else {
                Ok(Self::Plain(text.into()))
            };
        };
        match kind {
            "env" if place.is_empty() || place.contains(['=', '\0']) => {
                invalid("`env:` wants the name of an environment variable: env:WEBHOOK_SECRET")
            }
            "env" => Ok(Self::Environment(place.to_owned())),
            "file" if place.is_empty() => {
                invalid("`file:` wants a path: file:/run/secrets/webhook")
            }
            "file" => Ok(Self::File(PathBuf::from(place))),
            "ssm" if place.is_empty() => {
                invalid("`ssm:` wants a parameter's name: ssm:/layersmith/deploy-key")
            }
            "ssm" => Ok(Self::Ssm(place.to_owned())),
            "secretsmanager" => {
                let (id, key) = match place.rsplit_once('#') {
                    Some((id, key)) => (id, Some(key)),
                    None => (place, None),
                };
                if id.is_empty() || key == Some("") {
                    return invalid(
                        "`secretsmanager:` wants a secret's name, and after a `#` the key in it: secretsmanager:layersmith/webhook#webhook_secret",
                    );
                }
                Ok(Self::SecretsManager {
                    id: id.to_owned(),
                    key: key.map(str::to_owned),
                })
            }
            _ => Ok(Self::Plain(text.into())),
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("a secret given as it is"),
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Ssm(name) => write!(f, "ssm:{name}"),
            Self::SecretsManager { id, key: None } => write!(f, "secretsmanager:{id}"),
            Self::SecretsManager { id, key: Some(key) } => write!(f, "secretsmanager:{id}#{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn references_read_back_as_they_are_shown() {
        for text in [
            "env:WEBHOOK_SECRET",
            "file:/run/secrets/webhook",
            "ssm:/layersmith/deploy-key",
            "ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/layersmith/deploy-key",
            "secretsmanager:layersmith/github",
            "secretsmanager:layersmith/github#webhook_secret",
        ] {
            let reference: SecretReference = text.parse().unwrap();
            assert!(!matches!(reference, SecretReference::Plain(_)), "{text}");
            assert_eq!(reference.to_string(), text);
        }
        for bad in [
            "",
            "env:",
            "env:A=B",
            "file:",
            "ssm:",
            "secretsmanager:",
            "secretsmanager:#k",
            "secretsmanager:a#",
        ] {
            assert!(bad.parse::<SecretReference>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn everything_else_is_the_secret_and_is_never_shown() {
        for text in [
            "hunter2",
            "a:b",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nx: y",
        ] {
            let reference: SecretReference = text.parse().unwrap();
            let SecretReference::Plain(secret) = &reference else {
                panic!("{text} was taken for {reference}");
            };
            assert_eq!(secret.expose_secret(), text);
            assert!(!format!("{reference} {reference:?}").contains(text));
        }
    }
}
