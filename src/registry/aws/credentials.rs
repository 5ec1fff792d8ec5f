//! Credentials held for all regions together, and renewed before they expire.
//!
//! Every client of the SDK would hold its own otherwise, and assume a role as often as there are regions.

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// Credentials are renewed this long before they expire, and used to the end when that does not work.
const AHEAD: Duration = Duration::from_secs(300);
/// The same for those that live for a shorter time than twice that: this part of what is left counts as the end.
const SHORT_LIVED: Duration = Duration::from_secs(10);
/// How long a source of credentials may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Asks a source of credentials when there are none, or they are about to expire.
#[derive(Debug, Clone)]
pub(super) struct Renewing {
    source: SharedCredentialsProvider,
    held: Arc<Mutex<Option<Held>>>,
}

#[derive(Debug)]
struct Held {
    credentials: Credentials,
    renew_at: Option<SystemTime>,
}

impl Renewing {
    pub(super) fn new(source: SharedCredentialsProvider) -> Self {
        Self {
            source,
            held: Arc::default(),
        }
    }

    /// AWS says that they have expired, whatever the clock here says: the next call asks the source.
    pub(super) fn forget(&self) {
        // Whoever holds the lock is asking already.
        if let Ok(mut held) = self.held.try_lock() {
            *held = None;
        }
    }

    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().await;
        let now = SystemTime::now();
        if let Some(held) = &*held
            && held.renew_at.is_none_or(|at| now < at)
        {
            return Ok(held.credentials.clone());
        }
        let asked = tokio::time::timeout(LIMIT, self.source.provide_credentials()).await;
        match asked.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(LIMIT))) {
            Ok(credentials) => {
                let renew_at = credentials.expiry().map(|expiry| renewal(now, expiry));
                *held = Some(Held {
                    credentials: credentials.clone(),
                    renew_at,
                });
                Ok(credentials)
            }
            Err(error) => match &*held {
                Some(held) if held.credentials.expiry().is_none_or(|at| now < at) => {
                    tracing::warn!(%error, "AWS credentials could not be renewed, the old ones are used to their end");
                    Ok(held.credentials.clone())
                }
                _ => Err(error),
            },
        }
    }
}

/// When credentials got now are renewed.
fn renewal(now: SystemTime, expiry: SystemTime) -> SystemTime {
    let lifetime = expiry.duration_since(now).unwrap_or_default();
    let ahead = if lifetime > 2 * AHEAD {
        AHEAD
    } else {
        SHORT_LIVED
    };
    expiry.checked_sub(ahead).unwrap_or(now)
}

impl ProvideCredentials for Renewing {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(self.credentials())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Gives credentials that live for some seconds, the first time only if told so.
    #[derive(Debug)]
    struct Source {
        lifetime: u64,
        times: usize,
        asked: Arc<AtomicUsize>,
    }

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            if number >= self.times {
                return Provided::ready(Err(CredentialsError::unhandled("no more")));
            }
            let expiry = SystemTime::now() + Duration::from_secs(self.lifetime);
            let key = format!("KEY{number}");
            Provided::ready(Ok(Credentials::new(
                key,
                "secret",
                None,
                Some(expiry),
                "test",
            )))
        }
    }

    /// The keys that three calls get, and how often the source was asked.
    async fn three(lifetime: u64, times: usize) -> (Vec<String>, usize, Renewing) {
        let asked = Arc::new(AtomicUsize::new(0));
        let source = Source {
            lifetime,
            times,
            asked: Arc::clone(&asked),
        };
        let renewing = Renewing::new(SharedCredentialsProvider::new(source));
        let mut keys = Vec::new();
        for _ in 0..3 {
            let credentials = renewing.provide_credentials().await.unwrap();
            keys.push(credentials.access_key_id().to_owned());
        }
        (keys, asked.load(Ordering::SeqCst), renewing)
    }

    #[tokio::test]
    async fn they_are_held_until_shortly_before_they_expire() {
        let (keys, asked, renewing) = three(3_600, 9).await;
        assert_eq!((keys, asked), (vec!["KEY0".to_owned(); 3], 1));
        renewing.forget();
        let next = renewing.provide_credentials().await.unwrap();
        assert_eq!(next.access_key_id(), "KEY1");
        let (keys, ..) = three(5, 9).await;
        assert_eq!(keys, ["KEY0", "KEY1", "KEY2"]);
        let (keys, ..) = three(60, 9).await;
        assert_eq!(keys, ["KEY0"; 3]);
    }

    #[tokio::test]
    async fn those_that_cannot_be_renewed_are_used_to_their_end() {
        let (keys, asked, _) = three(5, 1).await;
        assert_eq!((keys, asked), (vec!["KEY0".to_owned(); 3], 3));
    }
}
