//! The store that a setting names.

use crate::registry::aws_config;
use crate::settings::{ArtifactsSetting, Settings, StoreSetting};
use crate::store::{DynamoDbStore, Lease, SqliteStore, Store};
use anyhow::bail;
use std::sync::Arc;

/// The store, open or to be opened when it is first used.
pub(super) async fn store(settings: &Settings, place: &StoreSetting) -> Arc<dyn Store> {
    match place {
        StoreSetting::Sqlite(path) => Arc::new(SqliteStore::open_when_used(path)),
        StoreSetting::DynamoDb(table) => Arc::new(dynamodb(settings, table).await),
    }
}

/// The turn to publish, for runs that have it over many invocations.
///
/// # Errors
/// When the store is one machine's own.
pub(super) async fn lease(settings: &Settings) -> anyhow::Result<Lease> {
    match settings.store() {
        StoreSetting::DynamoDb(table) => Ok(dynamodb(settings, &table).await.lease()),
        StoreSetting::Sqlite(_) => {
            bail!("functions share a table: set LAYERSMITH_STORE=dynamodb:TABLE")
        }
    }
}

async fn dynamodb(settings: &Settings, table: &str) -> DynamoDbStore {
    let endpoint = settings.aws_endpoint_url.as_deref();
    let config = aws_config(endpoint, settings.aws_region.as_str()).await;
    let bucket = match &settings.artifacts {
        Some(ArtifactsSetting::S3 { bucket, prefix }) => Some((bucket.clone(), prefix.clone())),
        _ => None,
    };
    DynamoDbStore::new(&config, table, bucket, Arc::new(super::now))
}

/// Whether the store answers.
pub(super) async fn examine(settings: &Settings) -> anyhow::Result<String> {
    let place = settings.store();
    match &place {
        StoreSetting::Sqlite(path) => drop(SqliteStore::open(path)?),
        StoreSetting::DynamoDb(_) => drop(store(settings, &place).await.first_run_at().await?),
    }
    Ok(place.to_string())
}
