//! The same small thing for many layer versions: all regions at once, a few at a time in each.

use crate::model::{LayerArn, Region};
use crate::registry::RegistryError;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use tracing::{Instrument as _, error_span};

/// Versions worked on at once in one region; what it takes of requests is the registry's to bound.
const AT_ONCE: usize = 8;

/// Something that could not be done about one layer version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArnFailure {
    /// Which one.
    pub arn: LayerArn,
    /// What the registry said.
    pub message: String,
    /// Whether trying again later may help.
    pub transient: bool,
}

impl ArnFailure {
    pub(super) fn new(arn: LayerArn, error: &RegistryError) -> Self {
        Self {
            arn,
            message: error.reason(),
            transient: error.is_transient(),
        }
    }
}

/// Why the rest of a region is not tried.
enum Hopeless {
    Silent(String),
    NotEnabled,
    UnknownKeys,
}

impl Hopeless {
    fn of(error: &RegistryError) -> Option<Self> {
        match error {
            RegistryError::Unreachable { message, .. } | RegistryError::Unheard { message, .. } => {
                Some(Self::Silent(message.clone()))
            }
            RegistryError::NotEnabled { .. } => Some(Self::NotEnabled),
            RegistryError::UnknownKeys { .. } => Some(Self::UnknownKeys),
            // What is about one item says nothing of the next.
            RegistryError::Throttled { .. }
            | RegistryError::Failed { .. }
            | RegistryError::Expired { .. }
            | RegistryError::Refused { .. } => None,
        }
    }

    fn error(&self, region: Region) -> RegistryError {
        match self {
            Self::Silent(message) => {
                let message = message.clone();
                RegistryError::Unreachable { region, message }
            }
            Self::NotEnabled => RegistryError::NotEnabled { region },
            Self::UnknownKeys => RegistryError::UnknownKeys { region },
        }
    }
}

/// Does `work` for every item, and once more where the credentials had expired. After the first one that a region does not
/// answer, or answers that it does not know the account, the rest of that region is not tried: each of them would wait as
/// long, or hear the same.
pub(super) async fn in_all_regions<T, R, F>(
    items: Vec<(Region, T)>,
    work: impl Fn(T) -> F,
) -> Vec<Result<R, RegistryError>>
where
    T: Clone,
    F: Future<Output = Result<R, RegistryError>>,
{
    let total = items.len();
    let mut regions: BTreeMap<Region, Vec<(usize, T)>> = BTreeMap::new();
    for (place, (region, item)) in items.into_iter().enumerate() {
        regions.entry(region).or_default().push((place, item));
    }
    let work = &work;
    let regions = regions.into_iter().map(|(region, items)| async move {
        let hopeless: OnceLock<Hopeless> = OnceLock::new();
        let (region, hopeless) = (&region, &hopeless);
        let results: Vec<(usize, Result<R, RegistryError>)> = stream::iter(items)
            .map(|(place, item)| async move {
                if let Some(hopeless) = hopeless.get() {
                    return (place, Err(hopeless.error(region.clone())));
                }
                let span = error_span!("region", %region);
                let mut result = work(item.clone()).instrument(span.clone()).await;
                if let Err(RegistryError::Expired { .. }) = result {
                    result = work(item).instrument(span).await;
                }
                if let Some(found) = result.as_ref().err().and_then(Hopeless::of) {
                    // Whoever was first has said it.
                    hopeless.set(found).ok();
                }
                (place, result)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        results
    });
    let mut results: Vec<(usize, Result<R, RegistryError>)> = Vec::with_capacity(total);
    results.extend(join_all(regions).await.into_iter().flatten());
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn a_silent_region_is_asked_a_few_times_and_costs_the_others_nothing() {
        let region = |name: &str| name.parse::<Region>().unwrap();
        let mut items: Vec<(Region, usize)> = Vec::new();
        for number in 0..50 {
            items.push((region("me-south-1"), number));
            items.push((region("us-east-1"), number));
        }
        let asked = Mutex::new(0);
        let results = in_all_regions(items.clone(), |number| {
            let asked = &asked;
            async move {
                *asked.lock().unwrap() += 1;
                Ok::<usize, RegistryError>(number)
            }
        })
        .await;
        let numbers: Vec<usize> = results.into_iter().map(Result::unwrap).collect();
        let expected: Vec<usize> = items.iter().map(|(_, number)| *number).collect();
        assert_eq!((numbers, *asked.lock().unwrap()), (expected, 100));

        let items = items
            .into_iter()
            .map(|(region, _)| (region.clone(), region));
        let here = || region("us-east-1");
        let failed = |message: &str| RegistryError::Failed {
            region: here(),
            message: message.to_owned(),
        };
        let expired = || RegistryError::Expired {
            region: here(),
            message: "ExpiredToken".to_owned(),
        };
        // Each item's answers, the last one first.
        let answers = Mutex::new([
            vec![Ok(()), Err(failed("once is enough"))],
            vec![Ok(()), Err(expired())],
            vec![Ok(()), Err(expired()), Err(expired())],
        ]);
        let items_here = (0..3).map(|number| (here(), number)).collect();
        let results = in_all_regions(items_here, |number: usize| {
            let answer = answers.lock().unwrap()[number].pop().unwrap();
            async move { answer }
        });
        let succeeded: Vec<bool> = results.await.iter().map(Result::is_ok).collect();
        assert_eq!(succeeded, [false, true, false]);
        let asked = Mutex::new(0);
        let results = in_all_regions(items.collect(), |region: Region| {
            let asked = &asked;
            async move {
                if region.as_str() == "us-east-1" {
                    return Ok(());
                }
                *asked.lock().unwrap() += 1;
                let message = "nothing".to_owned();
                Err(RegistryError::Unreachable { region, message })
            }
        })
        .await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 50);
        assert!(*asked.lock().unwrap() <= AT_ONCE);
    }
}
