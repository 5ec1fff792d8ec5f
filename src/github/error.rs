//! What can go wrong between the bot and GitHub's API, by what a caller does about it.

use crate::model::Timestamp;
use http::{HeaderMap, StatusCode};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// The longest piece of GitHub's own words in a message.
const QUOTE_LIMIT: usize = 400;
/// What GitHub asks for when it limits without saying for how long.
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>
pub(super) const UNSTATED_WAIT: Duration = Duration::from_secs(60);

/// Why GitHub's API did not do something. `what` is the request, `GET /repos/o/r/pulls/7`; no text holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GithubError {
    /// The settings cannot work: an address that is none, a key that is no key.
    #[error("{0}")]
    Settings(String),
    /// 404 or 410: not there, or not for these credentials to see.
    #[error("{what}: GitHub has no such thing, or does not show it to the bot")]
    NotFound {
        /// The request.
        what: String,
    },
    /// 401, or the App is not installed on the repository, or its key does not sign.
    #[error("{what}: GitHub does not accept the bot's credentials: {message}")]
    Unauthorized {
        /// The request.
        what: String,
        /// GitHub's words.
        message: String,
    },
    /// 403: the credentials lack a permission.
    #[error("{what}: the bot is not allowed to do this: {message}")]
    Forbidden {
        /// The request.
        what: String,
        /// GitHub's words.
        message: String,
    },
    /// 429, or 403 with the marks of a rate limit, and the wait is longer than the bot waits by itself.
    #[error("{what}: GitHub's rate limit is used up: try again in {} s{}", wait.as_secs(), until_text(*until))]
    RateLimited {
        /// The request.
        what: String,
        /// How long to wait from now.
        wait: Duration,
        /// When that is over, by GitHub's clock.
        until: Option<Timestamp>,
    },
    /// 422 and 400: the request is wrong and will be wrong again.
    #[error("{what}: GitHub refuses the request: {message}")]
    Validation {
        /// The request.
        what: String,
        /// GitHub's words.
        message: String,
    },
    /// No answer, a broken one, or a 5xx; worth another try.
    #[error("{what}: no answer from GitHub: {message}")]
    Unreachable {
        /// The request.
        what: String,
        /// What went wrong on the way.
        message: String,
        /// `false` when it is certain that GitHub never saw the request; otherwise it may have done it.
        sent: bool,
    },
    /// An answer that GitHub's description does not allow for.
    #[error("{what}: unexpected answer from GitHub: {message}")]
    Unexpected {
        /// The request.
        what: String,
        /// What is odd about it.
        message: String,
    },
    /// A commit has more wanted files than the bot reads.
    #[error("the commit has {found} files to read; the bot reads at most {limit}")]
    TooManyFiles {
        /// How many there are.
        found: usize,
        /// How many are read at most.
        limit: usize,
    },
}

fn until_text(until: Option<Timestamp>) -> String {
    until.map_or_else(String::new, |until| format!(" ({until})"))
}

impl GithubError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::RateLimited { .. })
    }

    /// Whether a write that failed like this may have been carried out all the same.
    pub(super) fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unreachable { sent: true, .. })
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(super) fn unexpected(what: &str, message: impl Into<String>) -> Self {
        Self::Unexpected {
            what: what.to_owned(),
            message: message.into(),
        }
    }

    /// From an answer that is not a success. `message` is GitHub's own, scrubbed here.
    pub(super) fn from_answer(
        what: &str,
        status: StatusCode,
        headers: &HeaderMap,
        message: &str,
    ) -> Self {
        let what = what.to_owned();
        let message = scrubbed(message);
        if let Some((wait, until)) = rate_limit(status, headers) {
            return Self::RateLimited { what, wait, until };
        }
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized { what, message },
            StatusCode::FORBIDDEN => Self::Forbidden { what, message },
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::NotFound { what },
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
                Self::Validation { what, message }
            }
            status if status.is_server_error() => Self::Unreachable {
                what,
                message: format!("{status}: {message}"),
                sent: true,
            },
            status => Self::Unexpected {
                what,
                message: format!("{status}: {message}"),
            },
        }
    }
}

/// How long GitHub asks to wait: `retry-after`, else `x-ratelimit-reset` once nothing remains, else a minute for a 429.
/// The reset is a moment by GitHub's clock, so it is compared with the answer's own `date`.
fn rate_limit(status: StatusCode, headers: &HeaderMap) -> Option<(Duration, Option<Timestamp>)> {
    if status != StatusCode::FORBIDDEN && status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let date = headers
        .get(http::header::DATE)
        .and_then(|value| value.to_str().ok());
    let now = date
        .and_then(|text| OffsetDateTime::parse(text, &Rfc2822).ok())
        .map(OffsetDateTime::unix_timestamp);
    let seconds = |count: i64| Duration::from_secs(u64::try_from(count).unwrap_or(0));
    if let Some(after) = number("retry-after") {
        let until = now.map(|now| Timestamp::from_unix(now.saturating_add(after)));
        return Some((seconds(after), until));
    }
    let reset = number("x-ratelimit-reset");
    if let (Some(0), Some(reset)) = (number("x-ratelimit-remaining"), reset) {
        // Without a date the wait is unknown; an hour is the length of GitHub's window.
        let wait = now.map_or(Duration::from_secs(3600), |now| {
            seconds(reset.saturating_sub(now)) + Duration::from_secs(1)
        });
        return Some((wait, Some(Timestamp::from_unix(reset))));
    }
    (status == StatusCode::TOO_MANY_REQUESTS).then_some((UNSTATED_WAIT, None))
}

/// One line, not too long, with everything masked that looks like a token of GitHub's or a signed one.
/// <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>
pub(super) fn scrubbed(text: &str) -> String {
    let mut clean = String::new();
    for word in text.split_whitespace() {
        if !clean.is_empty() {
            clean.push(' ');
        }
        let secret = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "eyJ"]
            .into_iter()
            .filter_map(|mark| word.find(mark))
            .min();
        match secret.and_then(|at| word.get(..at)) {
            Some(before) => {
                clean.push_str(before);
                clean.push_str("***");
            }
            None => clean.push_str(word),
        }
    }
    if clean.chars().count() > QUOTE_LIMIT {
        clean = clean.chars().take(QUOTE_LIMIT).collect();
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> GithubError {
        let headers: HeaderMap = headers
            .iter()
            .map(|&(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    http::HeaderValue::from_static(value),
                )
            })
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        GithubError::from_answer("GET /x", status, &headers, "No")
    }

    #[test]
    fn rate_limits_say_how_long_and_until_when() {
        let date = ("date", "Sun, 22 Nov 2026 10:00:00 GMT");
        insta::assert_snapshot!(
            answer(403, &[("retry-after", "90"), date]),
            @"GET /x: GitHub's rate limit is used up: try again in 90 s (2026-11-22T10:01:30Z)"
        );
        // 1795342200 is ten minutes after that date.
        let spent = ("x-ratelimit-remaining", "0");
        let reset = ("x-ratelimit-reset", "1795342200");
        insta::assert_snapshot!(
            answer(403, &[spent, reset, date]),
            @"GET /x: GitHub's rate limit is used up: try again in 601 s (2026-11-22T10:10:00Z)"
        );
        insta::assert_snapshot!(
            answer(403, &[spent, reset]),
            @"GET /x: GitHub's rate limit is used up: try again in 3600 s (2026-11-22T10:10:00Z)"
        );
        insta::assert_snapshot!(
            answer(429, &[]),
            @"GET /x: GitHub's rate limit is used up: try again in 60 s"
        );
    }

    #[test]
    fn a_refusal_is_no_rate_limit() {
        let left = ("x-ratelimit-remaining", "4999");
        let reset = ("x-ratelimit-reset", "1795342200");
        assert!(matches!(
            answer(403, &[left, reset]),
            GithubError::Forbidden { .. }
        ));
        assert!(!answer(422, &[("retry-after", "1")]).is_transient());
        assert!(answer(502, &[]).may_have_happened());
    }

    #[test]
    fn tokens_never_reach_a_message() {
        assert_eq!(
            scrubbed("Bad\n token=ghs_16C7e42F292c6912E7710c838347Ae178B4a, \"eyJhbGciOi.x.y\""),
            "Bad token=*** \"***"
        );
        assert_eq!(scrubbed(&"é".repeat(500)).chars().count(), QUOTE_LIMIT + 1);
    }
}
