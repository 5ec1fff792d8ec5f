//! Handling what was taken in, and starting what is due.

use super::FunctionError;
use crate::model::RunKind;
use crate::pipeline::engine::Engine;
use crate::pipeline::intake::Intake;
use crate::pipeline::{Bot, deliver_notifications};
use serde::Deserialize;
use std::sync::Arc;

/// What the webhook or a schedule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    /// Handle events that wait, and deliver messages whose time has come.
    Events,
    /// Carry on what was left lying, and look at GitHub for what nobody said.
    Sweep,
    /// Delete what has expired and read back what is published, when that is due.
    Expire,
    /// Look for new releases, when the policy wants it.
    Upgrade,
}

#[derive(Debug, Deserialize)]
pub(super) struct SweepEvent {
    work: Work,
}

/// Does so.
#[derive(Clone)]
pub(super) struct Sweeper {
    bot: Bot,
    engine: Arc<dyn Engine>,
    intake: Intake,
}

impl Sweeper {
    pub(super) fn new(bot: Bot, engine: Arc<dyn Engine>) -> Self {
        Self {
            intake: Intake::new(bot.clone(), Arc::clone(&engine)),
            bot,
            engine,
        }
    }

    pub(super) async fn handle(&self, event: &SweepEvent) -> Result<(), FunctionError> {
        match event.work {
            Work::Events => {
                self.intake.work_off_waiting().await?;
                deliver_notifications(&self.bot.workshop).await?;
            }
            Work::Sweep => {
                self.engine.take_up().await?;
                self.intake.sweep().await?;
            }
            Work::Expire => {
                let kinds = [RunKind::Expire, RunKind::Verify];
                self.intake.start_what_is_due(&kinds).await?;
            }
            Work::Upgrade => self.intake.start_what_is_due(&[RunKind::Upgrade]).await?,
        }
        Ok(())
    }
}
