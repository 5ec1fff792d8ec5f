//! Transactions, each on a thread for blocking work.

use super::SqliteStore;
use crate::store::Result;
use anyhow::Context as _;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::sync::{Arc, PoisonError};

impl SqliteStore {
    /// Runs reads on a blocking thread; they see one state of the store.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.transact(TransactionBehavior::Deferred, work).await
    }

    /// Runs a change on a blocking thread, in a transaction that holds the write lock from its start.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.transact(TransactionBehavior::Immediate, work).await
    }

    async fn transact<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.on_connection(move |connection| {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        })
        .await
    }

    pub(super) async fn on_connection<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            // A panic between begin and commit rolls back, so the connection behind a poisoned lock is sound.
            let mut link = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(link.connection()?)
        })
        .await
        .context("a call to the store was broken off")?
    }
}
