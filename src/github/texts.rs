//! The texts of many files with few requests.
//!
//! Source: GitHub's GraphQL API reference, `Repository.object` and `Blob`; GitHub Docs, "Rate limits and query limits for
//! the GraphQL API": such a request is one point of 5,000 an hour, as the request for a single file is by REST.

use super::client::GithubClient;
use super::error::{GithubError, UNSTATED_WAIT};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

const WHAT: &str = "POST /graphql";
/// So many files are worth it.
pub(super) const MANY: usize = 20;
/// Files in one request: GitHub gives up on what takes longer than ten seconds.
const IN_ONE: usize = 100;
/// Files in one request that are asked for again as they are when GitHub gives no answer.
const FEW: usize = 25;
/// Requests at once.
const AT_ONCE: usize = 4;

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    #[serde(default)]
    errors: Value,
}

#[derive(Deserialize)]
struct Data {
    repository: Option<BTreeMap<String, Option<Text>>>,
}

#[derive(Deserialize)]
struct Text {
    text: Option<String>,
}

impl GithubClient {
    /// The contents of those files that are texts, by their ids. What GitHub cuts short or shows otherwise than it is stored
    /// is left out, as are files that it does not find.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub(super) async fn texts(
        &self,
        shas: &[String],
    ) -> Result<BTreeMap<String, Bytes>, GithubError> {
        let requests: Vec<Vec<String>> = shas.chunks(IN_ONE).map(<[String]>::to_vec).collect();
        let most = AtomicUsize::new(IN_ONE);
        let mut answers = stream::iter(requests)
            .map(|shas| self.texts_in_parts(shas, &most))
            .buffer_unordered(AT_ONCE);
        let mut found = BTreeMap::new();
        while let Some(texts) = answers.try_next().await? {
            found.extend(texts);
        }
        Ok(found)
    }

    /// What GitHub gives no answer to, or one without data, may have taken it too long: it is asked for in halves, and `most` is
    /// how many are asked for from then on.
    async fn texts_in_parts(
        &self,
        shas: Vec<String>,
        most: &AtomicUsize,
    ) -> Result<Vec<(String, Bytes)>, GithubError> {
        let mut found = Vec::new();
        let mut waiting = vec![shas];
        while let Some(mut shas) = waiting.pop() {
            let half = shas.len().div_ceil(2);
            if shas.len() > most.load(Ordering::Relaxed) {
                waiting.push(shas.split_off(half));
                waiting.push(shas);
                continue;
            }
            match self.texts_in_one(&shas).await {
                Ok(texts) => found.extend(texts),
                Err(GithubError::Unreachable { .. } | GithubError::Unexpected { .. })
                    if shas.len() > FEW =>
                {
                    most.fetch_min(half.max(FEW), Ordering::Relaxed);
                    waiting.push(shas);
                }
                Err(error) => return Err(error),
            }
        }
        for (sha, text) in &found {
            self.kept().put(sha, text.clone());
        }
        Ok(found)
    }

    async fn texts_in_one(&self, shas: &[String]) -> Result<Vec<(String, Bytes)>, GithubError> {
        let mut query =
            "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) {"
                .to_owned();
        // What is asked for are ids from a listing, which GitHub wrote itself; anything else is not put into a query.
        let shas: Vec<&String> = shas.iter().filter(|sha| is_id(sha)).collect();
        for (number, sha) in shas.iter().enumerate() {
            // Writing into a string cannot fail.
            let _written = write!(
                query,
                " f{number}: object(oid: \"{sha}\") {{ ... on Blob {{ isBinary isTruncated text }} }}"
            );
        }
        query.push_str(" } }");
        let repository = &self.settings.repository;
        let variables = json!({"owner": repository.owner(), "name": repository.name()});
        let body = json!({"query": query, "variables": variables});
        let answer: Answer = match self.query_once(&body).await {
            // Fewer would not help: only time may.
            Err(GithubError::RateLimited { .. }) => self.query(&body).await?,
            Err(GithubError::Unreachable { .. }) if shas.len() <= FEW => self.query(&body).await?,
            answer => answer?,
        };
        let Some(mut texts) = answer.data.and_then(|data| data.repository) else {
            return Err(refusal(&answer.errors));
        };
        let found = shas.into_iter().enumerate().filter_map(|(number, sha)| {
            let text = texts.remove(&format!("f{number}"))??.text?;
            // As it is stored: then it is neither cut short nor read in another encoding.
            (id_of(&text) == *sha).then(|| (sha.clone(), Bytes::from(text)))
        });
        Ok(found.collect())
    }
}

/// What GitHub says in an answer that has status 200 all the same.
fn refusal(errors: &Value) -> GithubError {
    let mut errors_of = errors.as_array().into_iter().flatten();
    if errors_of.any(|error| error["type"] == "RATE_LIMITED") {
        return GithubError::RateLimited {
            what: WHAT.to_owned(),
            wait: UNSTATED_WAIT,
            until: None,
        };
    }
    GithubError::unexpected(WHAT, errors.to_string())
}

fn is_id(sha: &str) -> bool {
    sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The id that git gives a file (Git's documentation, "Git Internals - Git Objects").
fn id_of(text: &str) -> String {
    let mut hash = Sha1::new_with_prefix(format!("blob {}\0", text.len()));
    hash.update(text);
    let hash = hash.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
