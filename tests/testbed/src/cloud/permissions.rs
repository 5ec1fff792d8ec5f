//! What the roles of the template allow, held against what the functions really did: moto lets everything through.
//!
//! Conditions of a statement count as met: each is about how a request came, which only AWS knows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::calls::Call;

/// What a function did and its role does not allow: `publish: dynamodb:Scan on arn:…`, each once.
pub(super) fn missing(
    calls: &[Call],
    statements: &BTreeMap<String, Vec<Value>>,
) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for call in calls {
        let Some(statements) = statements.get(call.function()) else {
            continue;
        };
        for (action, resource) in &call.needs {
            let is_allowed = statements.iter().any(|statement| {
                statement["Effect"] == "Allow"
                    && has(&statement["Action"], action)
                    && has(&statement["Resource"], resource)
            });
            if !is_allowed {
                missing.insert(format!("{}: {action} on {resource}", call.function()));
            }
        }
    }
    missing
}

/// Whether one of the patterns, a text or a list of them, is for this text.
fn has(patterns: &Value, text: &str) -> bool {
    match patterns {
        Value::Array(patterns) => patterns.iter().any(|pattern| has(pattern, text)),
        Value::String(pattern) => matches(pattern.as_bytes(), text.as_bytes()),
        _ => false,
    }
}

/// `*` is for any characters, `?` for one.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| matches(pattern, text))
        }
        (Some((b'?', pattern)), Some((_, text))) => matches(pattern, text),
        (Some((wanted, pattern)), Some((there, text))) if wanted == there => matches(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(action: &str, resource: &str) -> Call {
        Call {
            caller: "build-p313-arm64-7-1".to_owned(),
            operation: action.to_owned(),
            needs: vec![(action.to_owned(), resource.to_owned())],
        }
    }

    #[test]
    fn what_no_statement_allows_is_missing() {
        let statements = [(
            "build-p313-arm64".to_owned(),
            vec![
                json!({"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::b/x/??.json"}),
            ],
        )];
        let calls = [
            call("s3:GetObject", "arn:aws:s3:::b/x/12.json"),
            call("s3:GetObject", "arn:aws:s3:::b/x/123.json"),
            call("s3:PutObject", "arn:aws:s3:::b/x/12.json"),
        ];
        let missing = missing(&calls, &statements.into());
        let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
        assert_eq!(
            missing,
            [
                "build-p313-arm64: s3:GetObject on arn:aws:s3:::b/x/123.json",
                "build-p313-arm64: s3:PutObject on arn:aws:s3:::b/x/12.json",
            ]
        );
    }
}
