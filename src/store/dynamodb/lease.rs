//! The turn to publish as a lease: who has it and until when, in one item.
//!
//! A holder counts on it until the time written there has come by its own clock; others take it once that time is
//! [`CLOCK_SKEW`] past by theirs. So no two think that they have it as long as no two clocks differ by more than that.

use super::item::{Item, number_value, text_value};
use super::schema;
use super::table::Table;
use crate::model::Timestamp;
use crate::store::Result;

/// How far apart the clocks of two holders may be, in seconds. Machines in AWS keep theirs within milliseconds.
pub const CLOCK_SKEW: i64 = 30;

/// The turn to publish, for holders that outlive a process: a run of a state machine has it over many invocations.
#[derive(Debug, Clone)]
pub struct Lease {
    table: Table,
}

/// Who has the turn to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What it calls itself: a run's id, or a process' own name.
    pub owner: String,
    /// When its turn ends if it is not renewed.
    pub until: Timestamp,
}

impl Lease {
    pub(super) fn of(table: &Table) -> Self {
        Self {
            table: table.clone(),
        }
    }

    /// Takes the turn for so many seconds from `now` on, or renews it: `true` also when the owner has it already. An owner
    /// that comes back after its time was over takes it anew if nobody else did; [`Self::renew`] tells the two apart.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn take(&self, owner: &str, now: Timestamp, for_seconds: u32) -> Result<bool> {
        let condition = "attribute_not_exists(#owner) OR #owner = :owner OR #until < :over";
        self.write(owner, now, for_seconds, condition).await
    }

    /// Renews the turn that the owner has; `false` when it has lost it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn renew(&self, owner: &str, now: Timestamp, for_seconds: u32) -> Result<bool> {
        let condition = "#owner = :owner AND #until >= :over";
        self.write(owner, now, for_seconds, condition).await
    }

    async fn write(
        &self,
        owner: &str,
        now: Timestamp,
        for_seconds: u32,
        condition: &str,
    ) -> Result<bool> {
        let until = now.unix() + i64::from(for_seconds);
        let written = self
            .table
            .update(
                &schema::lease(),
                "SET #owner = :owner, #until = :until",
                Some(condition),
                &[
                    (":owner", text_value(owner)),
                    (":until", number_value(until)),
                    // Times are whole seconds, and so are their differences.
                    (":over", number_value(now.unix() - CLOCK_SKEW)),
                ],
            )
            .await?;
        Ok(written.is_some())
    }

    /// Gives the turn back, if the owner has it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn release(&self, owner: &str) -> Result<()> {
        self.table
            .update(
                &schema::lease(),
                "REMOVE #owner, #until",
                Some("#owner = :owner"),
                &[(":owner", text_value(owner))],
            )
            .await?;
        Ok(())
    }

    /// Who has the turn, even if its time is over; `None` when nobody does.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn holder(&self) -> Result<Option<Holder>> {
        let item = self.table.get(&schema::lease()).await?;
        item.as_ref().and_then(holder).transpose()
    }
}

fn holder(item: &Item) -> Option<Result<Holder>> {
    let owner = item.find("owner")?.to_owned();
    Some(item.count("until").map(|until| Holder {
        owner,
        until: Timestamp::from_unix(until),
    }))
}
