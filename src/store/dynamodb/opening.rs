//! The store itself, and how it is opened.

use super::bodies::Bodies;
use super::lease::Lease;
use super::table::Table;
use super::turn::{Clock, RENEWED_EVERY, Turns};
use crate::model::{LayerName, Region, Target};
use aws_config::SdkConfig;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// A [`Store`](crate::store::Store) in a table of Amazon DynamoDB.
#[derive(Clone)]
pub struct DynamoDbStore {
    pub(super) table: Table,
    pub(super) bodies: Bodies,
    pub(super) turns: Turns,
    /// Layers that are known to be listed; they stay so.
    pub(super) listed: Arc<Mutex<BTreeSet<LayerName>>>,
    /// The same of targets and regions.
    pub(super) places: Arc<Mutex<BTreeSet<(Target, Region)>>>,
}

impl DynamoDbStore {
    /// The store in this table, which has to be there ([`table_definition`](super::table_definition)), in the configuration's region; `bucket` and
    /// a prefix in it are for what is too large for an item. Asks for nothing yet. The clock is for the turn to publish.
    #[must_use]
    pub fn new(
        config: &SdkConfig,
        table: &str,
        bucket: Option<(String, String)>,
        clock: Clock,
    ) -> Self {
        let table = Table::new(config, table);
        Self {
            bodies: Bodies::new(config, bucket),
            turns: Turns::new(Lease::of(&table), clock, RENEWED_EVERY),
            listed: Arc::default(),
            places: Arc::default(),
            table,
        }
    }

    /// The turn to publish, for holders that outlive a process. [`turn_to_publish`](crate::store::Store::turn_to_publish) is the same turn.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease::of(&self.table)
    }
}
