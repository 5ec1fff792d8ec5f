//! Who is asking, and whether they may: Apps, installations, people with tokens.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::call::Answer;
use super::state::{Permission, State};

/// An assertion may name an end at most ten minutes away
/// (docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App").
const LONGEST_ASSERTION_SECONDS: i64 = 600;

/// How far the clocks of a bot and the double may differ.
const CLOCK_DRIFT_SECONDS: i64 = 60;

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    Anonymous,
    App,
    Installation {
        permissions: BTreeMap<String, String>,
        repositories: Option<Vec<String>>,
    },
    Person(String),
}

/// What an operation asks of its caller.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Anyone,
    /// A JSON Web Token signed by the App.
    App,
    /// Any of these permissions of an App on the repository in the path; of a person, the right that goes with it.
    Repository(&'static [&'static str], Level),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Read,
    Write,
}

#[derive(Deserialize)]
struct Claims {
    iss: Value,
    iat: i64,
    exp: i64,
}

/// Reads the `authorization` header; `Err` is GitHub's refusal.
pub(crate) fn identify(state: &State, header: Option<&str>) -> Result<Caller, Answer> {
    let Some(header) = header else {
        return Ok(Caller::Anonymous);
    };
    let (scheme, credential) = header.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("token") {
        return Err(Answer::refused(401, "Bad credentials"));
    }
    if credential.split('.').count() == 3 {
        return verify_assertion(state, credential)
            .map(|()| Caller::App)
            .map_err(|reason| Answer::refused(401, reason));
    }
    if let Some(login) = state.personal_tokens.get(credential) {
        return Ok(Caller::Person(login.clone()));
    }
    match state.tokens.get(credential) {
        Some(token) if token.expires_at > OffsetDateTime::now_utc() => Ok(Caller::Installation {
            permissions: token.permissions.clone(),
            repositories: token.repositories.clone(),
        }),
        _ => Err(Answer::refused(401, "Bad credentials")),
    }
}

fn verify_assertion(state: &State, assertion: &str) -> Result<(), &'static str> {
    let key =
        DecodingKey::from_rsa_pem(&state.app.public_key_pem).expect("the App's public key is PEM");
    let mut validation = Validation::new(Algorithm::RS256);
    // Both bounds are checked below, with GitHub's own texts.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let claims = decode::<Claims>(assertion, &key, &validation)
        .map_err(|_| "A JSON web token could not be decoded")?
        .claims;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let issuer = claims
        .iss
        .as_str()
        .map_or_else(|| claims.iss.to_string(), str::to_owned);
    if issuer != state.app.id.to_string() && issuer != format!("Iv1.{:016x}", state.app.id) {
        return Err("'Issuer' claim ('iss') must be an Integer or the client ID of the App");
    }
    if claims.iat > now + CLOCK_DRIFT_SECONDS {
        return Err(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        );
    }
    if claims.exp <= now - CLOCK_DRIFT_SECONDS {
        return Err(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        );
    }
    if claims.exp > now + LONGEST_ASSERTION_SECONDS + CLOCK_DRIFT_SECONDS {
        return Err("'Expiration time' claim ('exp') is too far in the future");
    }
    Ok(())
}

/// Whether the caller may do this; `Err` is GitHub's refusal, which hides what the caller may not see.
pub(crate) fn admit(
    state: &State,
    caller: &Caller,
    access: Access,
    repository: Option<&str>,
) -> Result<(), Answer> {
    match access {
        Access::Anyone => Ok(()),
        Access::App => match caller {
            Caller::App => existing(state, repository),
            _ => Err(Answer::refused(
                401,
                "A JSON web token could not be decoded",
            )),
        },
        Access::Repository(permissions, level) => {
            let name = repository.expect("an operation on a repository names it in its path");
            existing(state, repository)?;
            on_repository(state, caller, name, permissions, level)
        }
    }
}

/// What only those see who administrate the repository.
fn administrates(permissions: &[&str]) -> bool {
    permissions
        .iter()
        .all(|permission| matches!(*permission, "administration" | "repository_hooks"))
}

fn existing(state: &State, repository: Option<&str>) -> Result<(), Answer> {
    let known = repository.is_none_or(|name| state.repositories.contains_key(name));
    if known {
        Ok(())
    } else {
        Err(Answer::not_found())
    }
}

fn on_repository(
    state: &State,
    caller: &Caller,
    name: &str,
    permissions: &[&str],
    level: Level,
) -> Result<(), Answer> {
    let repository = state.repository(name);
    match caller {
        Caller::App => Err(Answer::refused(
            401,
            "A JSON web token cannot be used here: create an installation access token",
        )),
        Caller::Anonymous if repository.private || administrates(permissions) => {
            Err(Answer::not_found())
        }
        Caller::Anonymous if level == Level::Write => {
            Err(Answer::refused(401, "Requires authentication"))
        }
        Caller::Anonymous => Ok(()),
        Caller::Installation {
            permissions: granted,
            repositories,
        } => {
            let included = repository.installed
                && repositories
                    .as_ref()
                    .is_none_or(|names| names.iter().any(|one| one == name));
            if !included && (repository.private || level == Level::Write) {
                return Err(if repository.private {
                    Answer::not_found()
                } else {
                    Answer::refused(403, "Resource not accessible by integration")
                });
            }
            let allows = |permission: &&str| match granted.get(*permission).map(String::as_str) {
                Some("write" | "admin") => true,
                Some("read") => level == Level::Read,
                _ => false,
            };
            let public_reading = level == Level::Read
                && !repository.private
                && permissions != ["checks"]
                && !administrates(permissions);
            let allowed = public_reading
                || permissions.contains(&"metadata")
                || permissions.iter().any(allows);
            if allowed {
                Ok(())
            } else {
                Err(Answer::refused(
                    403,
                    "Resource not accessible by integration",
                ))
            }
        }
        Caller::Person(login) => {
            let has = repository.permission(login);
            if has == Permission::None {
                return Err(Answer::not_found());
            }
            if permissions == ["checks"] && level == Level::Write {
                return Err(Answer::refused(
                    403,
                    "You must authenticate via a GitHub App.",
                ));
            }
            if administrates(permissions) && has < Permission::Admin {
                return Err(Answer::not_found());
            }
            // Whoever may read may join the conversation.
            let conversation = permissions.contains(&"issues");
            let enough = level == Level::Read || conversation || has >= Permission::Write;
            if enough {
                Ok(())
            } else {
                Err(Answer::not_found())
            }
        }
    }
}
