//! The DynamoDB table: what it is, and how it differs from what the store needs.

use super::{explain, patient};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    KeySchemaElement, KeyType, PointInTimeRecoveryStatus, TimeToLiveStatus,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a table is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableFacts {
    /// `ACTIVE`, or what else it is.
    pub status: String,
    /// The attributes of its key: the partition key, then the sort key.
    pub key: Vec<String>,
    /// Its global indexes by name, each with its key.
    pub indexes: BTreeMap<String, Vec<String>>,
    /// The attribute that lets items expire, where that is on.
    pub time_to_live: Option<String>,
    /// Whether it can be restored as of any second of the last weeks.
    pub point_in_time_recovery: bool,
}

/// Looks at a table.
///
/// # Errors
/// When it is not there, or may not be looked at.
pub async fn table(config: &SdkConfig, name: &str) -> anyhow::Result<TableFacts> {
    let client = aws_sdk_dynamodb::Client::new(&patient(config));
    let (description, backups, life) = futures::join!(
        client.describe_table().table_name(name).send(),
        client.describe_continuous_backups().table_name(name).send(),
        client.describe_time_to_live().table_name(name).send(),
    );
    let description = description.map_err(|error| explain("dynamodb:DescribeTable", &error))?;
    let backups = backups.map_err(|error| explain("dynamodb:DescribeContinuousBackups", &error))?;
    let life = life.map_err(|error| explain("dynamodb:DescribeTimeToLive", &error))?;
    let table = description
        .table
        .unwrap_or_else(|| aws_sdk_dynamodb::types::TableDescription::builder().build());
    let indexes = table.global_secondary_indexes();
    let life = life.time_to_live_description.filter(|life| {
        matches!(
            life.time_to_live_status,
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        )
    });
    let recovery = backups
        .continuous_backups_description
        .and_then(|backups| backups.point_in_time_recovery_description)
        .and_then(|recovery| recovery.point_in_time_recovery_status);
    Ok(TableFacts {
        status: table
            .table_status()
            .map_or("unknown", |status| status.as_str())
            .to_owned(),
        key: key(table.key_schema()),
        indexes: indexes
            .iter()
            .map(|index| {
                let name = index.index_name().unwrap_or_default().to_owned();
                (name, key(index.key_schema()))
            })
            .collect(),
        time_to_live: life.and_then(|life| life.attribute_name),
        point_in_time_recovery: recovery == Some(PointInTimeRecoveryStatus::Enabled),
    })
}

fn key(schema: &[KeySchemaElement]) -> Vec<String> {
    let of = |kind: &KeyType| {
        let element = schema.iter().find(|element| element.key_type() == kind);
        element.map(|element| element.attribute_name().to_owned())
    };
    [of(&KeyType::Hash), of(&KeyType::Range)]
        .into_iter()
        .flatten()
        .collect()
}

/// What is wrong with a table, in words; empty when nothing is. `definition` is what it should be, as the properties of an
/// `AWS::DynamoDB::Table`: `KeySchema`, `GlobalSecondaryIndexes`, `TimeToLiveSpecification`; what it leaves out is not held
/// against the table.
#[must_use]
pub fn differences(facts: &TableFacts, definition: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if facts.status != "ACTIVE" {
        wrong.push(format!("it is {}", facts.status));
    }
    let names = |schema: &Value| -> Vec<String> {
        let elements = schema.as_array().into_iter().flatten();
        let names = elements.filter_map(|element| element["AttributeName"].as_str());
        names.map(str::to_owned).collect()
    };
    let wanted = names(&definition["KeySchema"]);
    if !wanted.is_empty() && facts.key != wanted {
        wrong.push(format!(
            "its key is {}, not {}",
            facts.key.join(", "),
            wanted.join(", ")
        ));
    }
    let indexes = definition["GlobalSecondaryIndexes"].as_array();
    for index in indexes.into_iter().flatten() {
        let name = index["IndexName"].as_str().unwrap_or_default();
        let wanted = names(&index["KeySchema"]);
        match facts.indexes.get(name) {
            None => wrong.push(format!("the index {name} is missing")),
            Some(key) if *key != wanted => wrong.push(format!(
                "the key of the index {name} is {}, not {}",
                key.join(", "),
                wanted.join(", ")
            )),
            Some(_) => {}
        }
    }
    let attribute = definition["TimeToLiveSpecification"]["AttributeName"].as_str();
    match (attribute, facts.time_to_live.as_deref()) {
        (Some(wanted), None) => wrong.push(format!(
            "nothing expires: turn time to live on for the attribute {wanted}"
        )),
        (Some(wanted), Some(other)) if wanted != other => wrong.push(format!(
            "what expires is decided by {other}, not by {wanted}"
        )),
        _ => {}
    }
    if !facts.point_in_time_recovery {
        wrong.push("it cannot be restored: turn point-in-time recovery on".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(names: [&str; 2]) -> Value {
        let element = |name: &str| json!({ "AttributeName": name });
        json!(names.map(element))
    }

    #[test]
    fn what_is_wrong_with_a_table_is_said_and_nothing_else() {
        let definition = json!({
            "KeySchema": key(["pk", "sk"]),
            "GlobalSecondaryIndexes": [
                {"IndexName": "work", "KeySchema": key(["work", "at"])},
                {"IndexName": "live", "KeySchema": key(["live", "layer"])}
            ],
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": true}
        });
        let pair = |one: &str, other: &str| vec![one.to_owned(), other.to_owned()];
        let right = TableFacts {
            status: "ACTIVE".to_owned(),
            key: pair("pk", "sk"),
            indexes: BTreeMap::from([
                ("live".to_owned(), pair("live", "layer")),
                ("more".to_owned(), pair("a", "b")),
                ("work".to_owned(), pair("work", "at")),
            ]),
            time_to_live: Some("expires".to_owned()),
            point_in_time_recovery: true,
        };
        assert_eq!(differences(&right, &definition), Vec::<String>::new());
        let mut wrong = TableFacts {
            status: "UPDATING".to_owned(),
            key: pair("id", "sk"),
            time_to_live: Some("at".to_owned()),
            point_in_time_recovery: false,
            ..right
        };
        wrong.indexes.remove("live");
        wrong
            .indexes
            .insert("work".to_owned(), pair("work", "when"));
        insta::assert_snapshot!(differences(&wrong, &definition).join("\n"), @"
        it is UPDATING
        its key is id, sk, not pk, sk
        the key of the index work is work, when, not work, at
        the index live is missing
        what expires is decided by at, not by expires
        it cannot be restored: turn point-in-time recovery on
        ");
    }
}
