//! What GitHub's webhook delivered, or tried to, and asking for it once more.
//!
//! GitHub does not repeat a delivery that failed by itself; for three days it does so when asked, with the same GUID.
//! <https://docs.github.com/en/webhooks/using-webhooks/automatically-redelivering-failed-deliveries-for-a-github-app-webhook>

use super::client::GithubClient;
use super::error::GithubError;
use super::requests::{Freshness, Repeat, Signer};
use crate::model::Timestamp;
use http::{HeaderMap, Method, header};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::time::Duration;

/// How long GitHub keeps deliveries and repeats them.
/// <https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks>
pub const DELIVERIES_KEPT: Duration = Duration::from_secs(3 * 86_400);
/// How many pages of a hundred are read at most.
const PAGES: usize = 200;
/// The path below which webhooks of the bot arrive.
const INTAKE: &str = "/webhooks/github";

/// One try to deliver an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// The try's own id.
    pub id: u64,
    /// The delivery's id, which every try of it has: `X-GitHub-Delivery`.
    pub guid: String,
    /// When it was tried.
    pub at: Timestamp,
    /// What the server answered, as GitHub words it; `OK` is a success.
    pub status: String,
    /// The status code; 0 when there was no answer.
    pub code: u16,
    /// The event's name.
    pub event: String,
    /// What happened to the subject of the event.
    pub action: Option<String>,
}

impl DeliveryAttempt {
    /// Whether the server took it.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == "OK" || (200..300).contains(&self.code)
    }
}

/// The webhook whose deliveries these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// The App's.
    App,
    /// One of the repository's own, by its id.
    Repository(u64),
}

#[derive(Deserialize)]
struct Item {
    id: u64,
    guid: String,
    delivered_at: String,
    status: String,
    #[serde(default)]
    status_code: u16,
    event: String,
    action: Option<String>,
}

#[derive(Deserialize)]
struct HookPayload {
    id: u64,
    active: bool,
    config: HookConfig,
}

#[derive(Deserialize)]
struct HookConfig {
    url: Option<String>,
}

impl GithubClient {
    /// The webhook that tells the bot of things: the App's, or with a token the repository's that leads to a bot.
    ///
    /// # Errors
    /// See [`GithubError`]; [`GithubError::Settings`] when the repository has no such webhook, or several.
    pub async fn hook(&self) -> Result<Hook, GithubError> {
        if self.is_app() {
            return Ok(Hook::App);
        }
        let mut hooks = Vec::new();
        self.search_pages(&self.path("hooks"), |page: Vec<HookPayload>| {
            hooks.extend(page);
            None::<()>
        })
        .await?;
        let leads_here = |hook: &&HookPayload| {
            let url = hook.config.url.as_deref().unwrap_or_default();
            hook.active && url.trim_end_matches('/').ends_with(INTAKE)
        };
        let found: Vec<u64> = hooks
            .iter()
            .filter(leads_here)
            .map(|hook| hook.id)
            .collect();
        match found[..] {
            [id] => Ok(Hook::Repository(id)),
            _ => Err(GithubError::Settings(format!(
                "{} has {} active webhooks to …{INTAKE}, and one is expected",
                self.settings.repository,
                found.len()
            ))),
        }
    }

    /// Every try since a moment, newest first.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn delivery_attempts(
        &self,
        hook: Hook,
        since: Timestamp,
    ) -> Result<Vec<DeliveryAttempt>, GithubError> {
        let base = self.deliveries_path(hook);
        let mut path = format!("{base}?per_page=100");
        let mut attempts = Vec::new();
        for _ in 0..PAGES {
            let (items, headers): (Vec<Item>, _) = self
                .read_answer(signer(hook), &path, Freshness::Settled)
                .await?;
            for item in items {
                let at: Timestamp = item.delivered_at.parse().map_err(|_| {
                    let what = format!("`{}` is no time", item.delivered_at);
                    GithubError::unexpected(&format!("GET {path}"), what)
                })?;
                if at < since {
                    return Ok(attempts);
                }
                attempts.push(DeliveryAttempt {
                    id: item.id,
                    guid: item.guid,
                    at,
                    status: item.status,
                    code: item.status_code,
                    event: item.event,
                    action: item.action,
                });
            }
            match next_cursor(&headers) {
                Some(cursor) => path = format!("{base}?per_page=100&cursor={cursor}"),
                None => return Ok(attempts),
            }
        }
        Err(GithubError::unexpected(
            &format!("GET {base}"),
            format!("more than {PAGES} pages: ask for a shorter time"),
        ))
    }

    /// Has a delivery tried again, by the id of one of its tries.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn redeliver(&self, hook: Hook, attempt: u64) -> Result<(), GithubError> {
        let path = format!("{}/{attempt}/attempts", self.deliveries_path(hook));
        // A delivery that comes twice is one to the bot.
        let _: IgnoredAny = self
            .write_as(signer(hook), Method::POST, &path, None, Repeat::Safe)
            .await?;
        Ok(())
    }

    fn deliveries_path(&self, hook: Hook) -> String {
        match hook {
            Hook::App => "/app/hook/deliveries".to_owned(),
            Hook::Repository(id) => self.path(&format!("hooks/{id}/deliveries")),
        }
    }
}

fn signer(hook: Hook) -> Signer {
    match hook {
        Hook::App => Signer::App,
        Hook::Repository(_) => Signer::Installation,
    }
}

/// Where the next page starts: the parameter `cursor` of the link `next`.
fn next_cursor(headers: &HeaderMap) -> Option<String> {
    let links = headers.get(header::LINK)?.to_str().ok()?;
    let next = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    let (_, query) = address.split_once('?')?;
    let (_, cursor) = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == "cursor")?;
    // It goes into an address as it came out of one.
    Some(cursor.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_by_its_cursor() {
        let of = |link: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, header::HeaderValue::from_static(link));
            next_cursor(&headers)
        };
        assert_eq!(
            of(
                r#"<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_17%2F>; rel="next""#
            ),
            Some("v1_17%2F".to_owned())
        );
        assert_eq!(
            of(
                r#"<https://x/d?cursor=v1_9>; rel="prev", <https://x/d?cursor=v1_12&per_page=100>; rel="next""#
            ),
            Some("v1_12".to_owned())
        );
        assert_eq!(of(r#"<https://x/d?cursor=v1_9>; rel="prev""#), None);
    }
}
