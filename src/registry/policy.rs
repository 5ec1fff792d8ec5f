//! Who may use a layer version, as resource policies say it.
//!
//! Source: AWS Lambda API reference, `AddLayerVersionPermission` and `GetLayerVersionPolicy`.

use crate::model::Visibility;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Somebody who is allowed `lambda:GetLayerVersion`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Grantee {
    /// Every AWS account.
    Everyone,
    /// Every account of an organization.
    Organization(String),
    /// One account, 12 digits.
    Account(String),
    /// Something this program never grants; kept, so that it is not taken for nothing.
    Other(String),
}

impl Grantee {
    /// Those whom a visibility names; nobody for private layers.
    pub(super) fn of(visibility: &Visibility) -> BTreeSet<Self> {
        match visibility {
            Visibility::Public => BTreeSet::from([Self::Everyone]),
            Visibility::Private => BTreeSet::new(),
            Visibility::Organization(id) => BTreeSet::from([Self::Organization(id.clone())]),
            Visibility::Accounts(accounts) => accounts.iter().cloned().map(Self::Account).collect(),
        }
    }

    /// Whether all whom a visibility names are among those who may use a version. Of which accounts an organization is made
    /// nobody here knows.
    pub(super) fn reach(allowed: &BTreeSet<Self>, visibility: &Visibility) -> bool {
        allowed.contains(&Self::Everyone) || Self::of(visibility).is_subset(allowed)
    }

    /// Whether AWS would take it: organizations are `o-` and 10 to 32 lowercase letters and digits, accounts 12 digits.
    ///
    /// Source: AWS Lambda API reference, `AddLayerVersionPermission`, patterns of `OrganizationId` and `Principal`.
    pub(super) fn is_well_formed(&self) -> bool {
        match self {
            Self::Everyone => true,
            Self::Organization(id) => id.strip_prefix("o-").is_some_and(|rest| {
                (10..=32).contains(&rest.len())
                    && rest
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            }),
            Self::Account(id) => id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()),
            Self::Other(_) => false,
        }
    }

    /// The same grantee always has the same statement id, so granting twice is a conflict and not a second statement.
    pub(super) fn statement_id(&self) -> String {
        match self {
            Self::Everyone => "layersmith-public".to_owned(),
            Self::Organization(id) => format!("layersmith-organization-{id}"),
            Self::Account(id) => format!("layersmith-account-{id}"),
            Self::Other(_) => "layersmith-other".to_owned(),
        }
    }

    /// The `Principal` of the call.
    pub(super) fn principal(&self) -> &str {
        match self {
            Self::Everyone | Self::Organization(_) => "*",
            Self::Account(id) | Self::Other(id) => id,
        }
    }

    /// The `OrganizationId` of the call.
    pub(super) fn organization(&self) -> Option<&str> {
        match self {
            Self::Organization(id) => Some(id),
            _ => None,
        }
    }
}

/// Everybody a policy document allows to use the version.
///
/// # Errors
/// When the text is not a policy document.
pub(super) fn grantees(document: &str) -> Result<BTreeSet<Grantee>, serde_json::Error> {
    Ok(statements(document)?.iter().flat_map(allowed_by).collect())
}

/// The ids of a policy's statements that allow anybody who is not `wanted`, in the document's order.
///
/// # Errors
/// When the text is not a policy document, or such a statement has no id.
pub(super) fn superfluous(
    document: &str,
    wanted: &BTreeSet<Grantee>,
) -> Result<Vec<String>, serde_json::Error> {
    let statements = statements(document)?;
    let unwanted = statements
        .iter()
        .filter(|statement| !allowed_by(statement).iter().all(|one| wanted.contains(one)));
    unwanted
        .map(|statement| match statement["Sid"].as_str() {
            Some(id) => Ok(id.to_owned()),
            None => Err(serde_json::Error::custom("a statement has no id")),
        })
        .collect()
}

/// Everybody whom a policy allows to use the version once its [`superfluous`] statements are gone.
///
/// # Errors
/// When the text is not a policy document.
pub(super) fn remaining(
    document: &str,
    wanted: &BTreeSet<Grantee>,
) -> Result<BTreeSet<Grantee>, serde_json::Error> {
    let allowed = statements(document)?.into_iter().map(|it| allowed_by(&it));
    let kept = allowed.filter(|allowed| allowed.iter().all(|one| wanted.contains(one)));
    Ok(kept.flatten().collect())
}

fn statements(document: &str) -> Result<Vec<Value>, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        #[serde(default)]
        statement: Vec<Value>,
    }
    Ok(serde_json::from_str::<Document>(document)?.statement)
}

fn allowed_by(statement: &Value) -> Vec<Grantee> {
    let other = || vec![Grantee::Other(statement.to_string())];
    if statement["Effect"] != "Allow" || statement["Action"] != "lambda:GetLayerVersion" {
        return other();
    }
    // `"Principal": "*"`, or `{"AWS": "…"}`, or `{"AWS": ["…", "…"]}`.
    let principal = statement["Principal"]
        .get("AWS")
        .unwrap_or(&statement["Principal"]);
    let principals: Vec<&str> = match principal {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return other(),
    };
    let condition = statement.get("Condition").filter(|c| !c.is_null());
    principals
        .into_iter()
        .map(|principal| match (principal, condition) {
            ("*", None) => Grantee::Everyone,
            ("*", Some(condition)) => organization_of(condition).map_or_else(
                || Grantee::Other(statement.to_string()),
                Grantee::Organization,
            ),
            (principal, None) => account_of(principal).map_or_else(
                || Grantee::Other(principal.to_owned()),
                |id| Grantee::Account(id.to_owned()),
            ),
            (_, Some(_)) => Grantee::Other(statement.to_string()),
        })
        .collect()
}

/// The organization of `{"StringEquals": {"aws:PrincipalOrgID": "o-…"}}`, if that is the whole condition.
fn organization_of(condition: &Value) -> Option<String> {
    let id = condition.get("StringEquals")?.get("aws:PrincipalOrgID")?;
    let whole = serde_json::json!({"StringEquals": {"aws:PrincipalOrgID": id}});
    (*condition == whole).then(|| id.as_str().map(str::to_owned))?
}

/// The account of `arn:aws:iam::123456789012:root`, or of the bare 12 digits.
fn account_of(principal: &str) -> Option<&str> {
    let id = match principal.split(':').collect::<Vec<_>>()[..] {
        [id] => id,
        ["arn", _, "iam", "", id, "root"] => id,
        _ => return None,
    };
    (id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(statements: &str) -> Vec<Grantee> {
        let document =
            format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statements}]}}"#);
        grantees(&document).unwrap().into_iter().collect()
    }

    #[test]
    fn a_policy_names_exactly_its_grantees() {
        let start = r#"{"Sid":"s","Effect":"Allow","Action":"lambda:GetLayerVersion","Resource":"r","Principal":"#;
        assert_eq!(read(&format!(r#"{start}"*"}}"#)), [Grantee::Everyone]);
        assert_eq!(
            read(&format!(
                r#"{start}{{"AWS":"arn:aws-cn:iam::123456789012:root"}}}}, {start}"210987654321"}}"#
            )),
            [
                Grantee::Account("123456789012".to_owned()),
                Grantee::Account("210987654321".to_owned())
            ]
        );
        assert_eq!(
            read(&format!(
                r#"{start}"*","Condition":{{"StringEquals":{{"aws:PrincipalOrgID":"o-abc1234567"}}}}}}"#
            )),
            [Grantee::Organization("o-abc1234567".to_owned())]
        );
        assert_eq!(read(""), []);
    }

    #[test]
    fn what_it_does_not_know_is_never_taken_for_public() {
        for statement in [
            r#"{"Effect":"Deny","Action":"lambda:GetLayerVersion","Principal":"*"}"#,
            r#"{"Effect":"Allow","Action":"lambda:*","Principal":"*"}"#,
            r#"{"Effect":"Allow","Action":"lambda:GetLayerVersion","Principal":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#,
            r#"{"Effect":"Allow","Action":"lambda:GetLayerVersion","Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-abc1234567","aws:PrincipalTag/x":"y"}}}"#,
            r#"{"Effect":"Allow","Action":"lambda:GetLayerVersion","Principal":{"Service":"lambda.amazonaws.com"}}"#,
            r#"{"Effect":"Allow","Action":"lambda:GetLayerVersion","Principal":{"AWS":"AIDACKCEVSQ6C2EXAMPLE"}}"#,
        ] {
            assert!(
                matches!(read(statement)[..], [Grantee::Other(_)]),
                "{statement}"
            );
        }
        assert!(grantees("[").is_err());
    }
}
