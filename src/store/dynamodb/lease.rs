//! The turn to publish as a lease: who has it and until when, in one item.
//!
//! A holder counts on it until the time written there has come by its own clock; others take it once that time is
//! [`CLOCK_SKEW`] past by theirs. So no two think that they have it as long as no two clocks differ by more than that.
//!
//! A run on AWS has the turn for hours while functions build, and is carried on by another execution when the first was
//! stopped. What that one has to wait for is only a function that may still be at work, so this time is written down, too.

use super::item::{Item, number_value, text_value};
use super::schema;
use super::table::Table;
use crate::model::Timestamp;
use crate::store::Result;
use aws_sdk_dynamodb::types::AttributeValue;

/// How far apart the clocks of two holders may be, in seconds. Machines in AWS keep theirs within milliseconds.
pub const CLOCK_SKEW: i64 = 30;

/// The turn to publish, for holders that outlive a process: a run of a state machine has it over many invocations.
#[derive(Debug, Clone)]
pub struct Lease {
    table: Table,
}

/// Who asks for the turn to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimant<'a> {
    /// What it calls itself: an execution of a run, or a process. Nobody else does.
    pub owner: &'a str,
    /// The run that an execution carries out. Of one run there is only one execution at a time, but a function that an
    /// earlier one called may still be at work.
    pub run: Option<&'a str>,
}

/// For how long the turn is wanted, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Until others may take it.
    pub turn: u32,
    /// Until nothing that is at work now can still be: then another execution of the same run may take it.
    pub work: u32,
}

/// Who has the turn to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What it calls itself: an execution of a run, or a process' own name.
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

    /// Takes the turn from `now` on, or renews it: `true` also when the claimant has it already. One that comes back after
    /// its time was over takes it anew if nobody else did; [`Self::renew`] tells the two apart.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn take(&self, claimant: Claimant<'_>, now: Timestamp, term: Term) -> Result<bool> {
        let mut condition =
            "attribute_not_exists(#owner) OR #owner = :owner OR #until < :over".to_owned();
        if claimant.run.is_some() {
            condition.push_str(" OR (#run = :run AND #work_until < :over)");
        }
        // Times are whole seconds, and so are their differences.
        let over = now.unix() - CLOCK_SKEW;
        self.write(
            claimant,
            now,
            term,
            &condition,
            &[(":over", number_value(over))],
        )
        .await
    }

    /// Renews the turn that the claimant has; `false` when somebody else has taken it since. A turn whose time is over
    /// and that nobody took is still the claimant's: nothing can have been published in between.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn renew(&self, claimant: Claimant<'_>, now: Timestamp, term: Term) -> Result<bool> {
        self.write(claimant, now, term, "#owner = :owner", &[])
            .await
    }

    async fn write(
        &self,
        claimant: Claimant<'_>,
        now: Timestamp,
        term: Term,
        condition: &str,
        more: &[(&str, AttributeValue)],
    ) -> Result<bool> {
        let after = |seconds: u32| number_value(now.unix() + i64::from(seconds));
        let mut values = vec![
            (":owner", text_value(claimant.owner)),
            (":until", after(term.turn)),
            (":work_until", after(term.work)),
        ];
        values.extend_from_slice(more);
        let mut change =
            "SET #owner = :owner, #until = :until, #work_until = :work_until".to_owned();
        match claimant.run {
            Some(run) => {
                change.push_str(", #run = :run");
                values.push((":run", text_value(run)));
            }
            None => change.push_str(" REMOVE #run"),
        }
        let written = self
            .table
            .update(&schema::lease(), &change, Some(condition), &values)
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
                "REMOVE #owner, #until, #run, #work_until",
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
