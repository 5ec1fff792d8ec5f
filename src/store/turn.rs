//! The turn to publish, whatever holds it.

use super::Result;
use anyhow::bail;
use tokio::sync::watch;

/// The turn to publish; it ends when this is dropped.
#[must_use = "the turn ends when this is dropped"]
pub struct Turn {
    #[expect(dead_code, reason = "held, not read")]
    held: Box<dyn Send + Sync>,
    lost: Option<watch::Receiver<bool>>,
}

impl Turn {
    /// A turn that lasts as long as this value, whatever it is.
    pub(super) fn new(held: impl Send + Sync + 'static) -> Self {
        Self {
            held: Box::new(held),
            lost: None,
        }
    }

    /// The same, which is lost as soon as the channel says so.
    pub(super) fn that_may_be_lost(
        held: impl Send + Sync + 'static,
        lost: watch::Receiver<bool>,
    ) -> Self {
        Self {
            lost: Some(lost),
            ..Self::new(held)
        }
    }

    /// Works for as long as the turn lasts: work is broken off, as if the process had ended, when the turn is lost.
    ///
    /// # Errors
    /// When the turn was lost before the work was done.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let Some(mut lost) = self.lost.clone() else {
            return Ok(work.await);
        };
        let lost = async move {
            // Without a sender, nobody says so any more.
            if lost.wait_for(|lost| *lost).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = lost => bail!("the turn to publish was lost, to another process or for lack of an answer"),
            answer = work => Ok(answer),
        }
    }
}
