//! Sending the body of a publish ahead, all but its end, while it is found out whether there is anything to publish.
//!
//! AWS carries out no request that it did not get whole: the length is announced, and the signature is over the hash of all
//! of it (AWS Identity and Access Management, "Signature Version 4 for API requests"). So a request whose last piece is kept
//! back may be broken off, and was never made. It counts as a call from when it is let go: that is when it waits for its
//! turn, and when the region begins to owe an answer.

use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::SdkError;
use aws_sdk_lambda::operation::publish_layer_version::{
    PublishLayerVersionError, PublishLayerVersionOutput,
};
use futures::future::BoxFuture;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// How long the end of a body is kept back at most. What is waited for usually takes a round trip; a server that gets
/// nothing for long closes the connection.
pub(super) const KEPT_BACK: Duration = Duration::from_secs(2);

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// Its body is being sent, or all of it is but the end.
    Begun,
    /// It is to be made, as soon as its turn comes.
    Wanted,
    /// It is made: the last piece goes.
    LetGo,
    /// It never will be made.
    BrokenOff,
}

/// What the sender of a request, the gate and the body know of each other. Clones are about the same request.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    progress: Arc<watch::Sender<Progress>>,
    at_most: Duration,
}

impl Hold {
    /// The end is kept back so long at most.
    pub(super) fn new(at_most: Duration) -> Self {
        Self {
            progress: Arc::new(watch::Sender::new(Progress::Begun)),
            at_most,
        }
    }

    /// It is to be made.
    fn want(&self) {
        self.step(Progress::Wanted, |now| now == Progress::Begun);
    }

    /// Waits until it is to be made; false when it never will be.
    pub(super) async fn is_wanted(&self) -> bool {
        self.reached(|now| now > Progress::Begun).await != Progress::BrokenOff
    }

    /// Lets the end go; false when it is too late for that.
    pub(super) fn let_go(&self) -> bool {
        self.step(Progress::LetGo, |now| now == Progress::Wanted);
        self.is_let_go()
    }

    /// Waits for leave to send the end; without it the body breaks off.
    pub(super) async fn may_end(self) -> bool {
        let decided = self.reached(|now| now > Progress::Wanted);
        if tokio::time::timeout(self.at_most, decided).await.is_err() {
            self.break_off();
        }
        // Let go at the same moment, it stays let go.
        self.is_let_go()
    }

    pub(super) fn is_broken_off(&self) -> bool {
        *self.progress.borrow() == Progress::BrokenOff
    }

    fn break_off(&self) {
        self.step(Progress::BrokenOff, |now| now < Progress::LetGo);
    }

    fn is_let_go(&self) -> bool {
        *self.progress.borrow() == Progress::LetGo
    }

    /// Waits until it is so far; how far it is then.
    async fn reached(&self, is_there: fn(Progress) -> bool) -> Progress {
        let mut progress = self.progress.subscribe();
        let reached = progress.wait_for(|now| is_there(*now)).await;
        // It fails only when every sender is gone, and one is here.
        reached.map_or(Progress::BrokenOff, |now| *now)
    }

    /// Goes on to where it can only go from some places.
    fn step(&self, to: Progress, from: fn(Progress) -> bool) {
        self.progress.send_if_modified(|now| {
            let goes = from(*now);
            if goes {
                *now = to;
            }
            goes
        });
    }
}

/// What became of a publish that was sent.
pub(super) type Answer =
    Result<PublishLayerVersionOutput, SdkError<PublishLayerVersionError, HttpResponse>>;

/// A publish of which AWS has everything but the end, or will have. Dropped, it is broken off.
#[derive(Debug)]
pub(in crate::registry) struct Begun {
    hold: Hold,
    answer: JoinHandle<Answer>,
}

impl Begun {
    /// Begins to send a request that is held, whether or not somebody waits for it.
    pub(super) fn new(hold: Hold, answer: BoxFuture<'static, Answer>) -> Self {
        let answer = tokio::spawn(answer.in_current_span());
        Self { hold, answer }
    }

    /// Sends the end, and waits for the answer. Nothing when it was broken off before, so that nothing was asked.
    pub(super) async fn make(mut self) -> Option<Answer> {
        // An answer to what is not whole is about the connection, the signature or the pace.
        if self.answer.is_finished() {
            return None;
        }
        self.hold.want();
        let answer = match (&mut self.answer).await {
            Ok(answer) => answer,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(everything_ends) => Err(SdkError::timeout_error(everything_ends)),
            },
        };
        self.hold.is_let_go().then_some(answer)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.hold.break_off();
        self.answer.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const AT_MOST: Duration = Duration::from_millis(5);

    /// Whether the body goes on, for one that is let go or broken off in this order.
    async fn ends(steps: &[fn(&Hold)]) -> bool {
        let hold = Hold::new(AT_MOST);
        for step in steps {
            step(&hold);
        }
        hold.may_end().await
    }

    fn let_go(hold: &Hold) {
        hold.let_go();
    }

    #[tokio::test]
    async fn the_end_goes_only_when_it_was_wanted_and_not_broken_off_before() {
        let (want, break_off) = (Hold::want, Hold::break_off);
        assert!(ends(&[want, let_go]).await);
        assert!(ends(&[want, let_go, break_off]).await);
        assert!(!ends(&[]).await);
        assert!(!ends(&[want]).await);
        assert!(!ends(&[let_go]).await);
        assert!(!ends(&[want, break_off, let_go]).await);
        assert!(!ends(&[break_off, want, let_go]).await);
    }

    #[tokio::test]
    async fn what_is_dropped_is_broken_off() {
        let hold = Hold::new(Duration::from_secs(3_600));
        let body = hold.clone().may_end();
        drop(Begun::new(hold, std::future::pending().boxed()));
        assert!(!body.await);
    }

    #[tokio::test]
    async fn it_is_wanted_or_never_will_be() {
        let (wanted, broken) = (Hold::new(AT_MOST), Hold::new(AT_MOST));
        wanted.want();
        broken.break_off();
        assert!(wanted.is_wanted().await);
        assert!(!broken.is_wanted().await);
    }

    #[tokio::test]
    async fn what_is_kept_back_for_long_is_broken_off() {
        let hold = Hold::new(AT_MOST);
        assert!(!hold.clone().may_end().await);
        hold.want();
        assert!(!hold.let_go());
    }
}
