//! What the table looks like: its keys, its indexes, and which key an item has.

use super::item::Key;
use crate::model::{Destination, Digest, LayerArn, LayerName, Region, SlotKey, Target};
use serde_json::{Value, json};

/// An index of the table, by its name; its partition key is the attribute of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// What is to be done, by when: intents, what expires, events and messages that wait, runs by state.
    Work,
    /// What is looked through: runs by kind, versions by who may use them.
    List,
    /// Live versions, by region and target; with what the read API answers, so that it costs one query.
    Live,
}

impl Index {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::List => "list",
            Self::Live => "live",
        }
    }

    /// The names of its sort key.
    pub(super) fn sort(self) -> &'static str {
        match self {
            Self::Work => "work_at",
            Self::List => "list_at",
            Self::Live => "layer",
        }
    }
}

/// What the `live` index carries besides keys: the rest of a layer version.
const CARRIED: [&str; 10] = [
    "target",
    "region",
    "digest",
    "published_name",
    "state",
    "arn",
    "version",
    "created_at",
    "live_at",
    "sequence",
];

/// The table, as the properties of an `AWS::DynamoDB::Table`, which are those of `CreateTable` too, less its name. A
/// template has to say the same.
#[must_use]
pub fn table_definition() -> Value {
    let key = |partition: &str, sort: &str| {
        json!([
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"}
        ])
    };
    let index = |index: Index, projection: Value| {
        json!({
            "IndexName": index.name(),
            "KeySchema": key(index.name(), index.sort()),
            "Projection": projection
        })
    };
    let keys_only = json!({"ProjectionType": "KEYS_ONLY"});
    let carried = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": CARRIED});
    let attributes = [
        "pk", "sk", "work", "work_at", "list", "list_at", "live", "layer",
    ]
    .map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
    json!({
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": key("pk", "sk"),
        "GlobalSecondaryIndexes": [
            index(Index::Work, keys_only.clone()),
            index(Index::List, keys_only),
            index(Index::Live, carried)
        ],
        "TimeToLiveSpecification": {"AttributeName": super::EXPIRES_BY_ITSELF, "Enabled": true}
    })
}

pub(super) fn delivery(id: &str) -> Key {
    Key::new(format!("DELIVERY#{id}"), "DELIVERY")
}

pub(super) fn event(key: &str) -> Key {
    Key::new(format!("EVENT#{key}"), "EVENT")
}

pub(super) fn run(id: &str) -> Key {
    Key::new(format!("RUN#{id}"), "RUN")
}

pub(super) fn step(run: &str, name: &str) -> Key {
    Key::new(format!("RUN#{run}"), format!("STEP#{name}"))
}

/// Where what is known of a pull request lies together.
pub(super) fn pull_request(number: u64) -> String {
    format!("PULL#{number}")
}

pub(super) fn conversation(number: u64) -> Key {
    Key::new(pull_request(number), "CONVERSATION")
}

/// Where what is known of a layer lies together.
pub(super) fn layer(name: &LayerName) -> String {
    format!("LAYER#{name}")
}

/// Where a layer's deleted versions lie: nobody reads them but to tell what became of them.
pub(super) fn gone(name: &LayerName) -> String {
    format!("GONE#{name}")
}

pub(super) const LAYERS: &str = "LAYERS";

pub(super) fn listed(name: &LayerName) -> Key {
    Key::new(LAYERS, name.to_string())
}

pub(super) const PLACES: &str = "PLACES";

/// Says that something was live there.
pub(super) fn place(target: Target, region: &Region) -> Key {
    Key::new(PLACES, format!("{target}#{region}"))
}

/// The sort key of a layer's version.
pub(super) fn version(target: Target, region: &Region, sequence: u64) -> String {
    format!("V#{target}#{region}#{sequence:020}")
}

/// Names the intent or the live version with this key.
pub(super) fn slot(key: &SlotKey) -> Key {
    let sort = format!(
        "S#{}#{}#{}#{}",
        key.target, key.region, key.digest, key.published_name
    );
    Key::new(layer(&key.layer), sort)
}

/// Names the live version of a layer, target and region.
pub(super) fn live(name: &LayerName, target: Target, region: &Region) -> Key {
    Key::new(layer(name), format!("{}{region}", live_of(target)))
}

pub(super) fn live_of(target: Target) -> String {
    format!("L#{target}#")
}

/// Names the version, not deleted, that has this ARN.
pub(super) fn arn(arn: &LayerArn) -> Key {
    Key::new(format!("ARN#{arn}"), "ARN")
}

pub(super) fn build(name: &LayerName, target: Target, fingerprint: &Digest, zip: &Digest) -> Key {
    let sort = format!("{}{zip}", builds_with(target, fingerprint));
    Key::new(layer(name), sort)
}

pub(super) fn builds_with(target: Target, fingerprint: &Digest) -> String {
    format!("B#{target}#{fingerprint}#")
}

/// Says that a version with this zip was deleted.
pub(super) fn deleted_zip(name: &LayerName, target: Target, zip: &Digest) -> Key {
    Key::new(layer(name), format!("G#{target}#{zip}"))
}

pub(super) const NEWS: &str = "NEWS";

pub(super) fn news(sequence: u64) -> Key {
    Key::new(NEWS, format!("{sequence:020}"))
}

/// News that count as told, and are to be removed.
pub(super) const TOLD: &str = "TOLD";

/// An address may be longer than a sort key.
pub(super) fn message(id: &str, destination: &Destination) -> Key {
    let destination = Digest::of(destination.to_string().as_bytes());
    Key::new(format!("MESSAGE#{id}"), destination.to_string())
}

/// Where what the committed tables do not show lies together, with what they were made of.
pub(super) const TABLES: &str = "TABLES";

pub(super) fn tables_note() -> Key {
    Key::new(TABLES, "NOTE")
}

/// Says that something changed of what is published there.
pub(super) fn changed_slot(name: &LayerName, target: Target, region: &Region) -> Key {
    Key::new(TABLES, format!("V#{name}#{target}#{region}"))
}

/// Says that a build was put.
pub(super) fn changed_builds(name: &LayerName, target: Target) -> Key {
    Key::new(TABLES, format!("B#{name}#{target}"))
}

pub(super) fn listed_for() -> Key {
    Key::new("LISTED", "FOR")
}

pub(super) fn counter() -> Key {
    Key::new("COUNTER", "COUNTER")
}

pub(super) fn lease() -> Key {
    Key::new("LEASE", "PUBLISH")
}
