//! Pull requests, branches and commits, as they are now.

use super::client::GithubClient;
use super::error::GithubError;
use super::event::Person;
use super::payload::UserPayload;
use super::requests::Freshness;
use serde::Deserialize;

/// The repository, as far as the bot cares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Repository {
    /// Where merged requests end up.
    pub default_branch: String,
    /// Whether only its members see it.
    pub private: bool,
}

/// A pull request as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Whether it is open: neither closed nor merged.
    pub is_open: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// The commit on the base branch; only once it was merged.
    pub merge_commit_sha: Option<String>,
    /// The commit it proposes.
    pub head_sha: String,
    /// The branch it proposes, in its own repository.
    pub head_ref: String,
    /// The tip of the base branch when GitHub last looked.
    pub base_sha: String,
    /// The branch it is to be merged into.
    pub base_ref: String,
    /// Who opened it.
    pub author: Person,
    /// Its title.
    pub title: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it comes from another repository; so it is said of one whose repository is gone.
    pub from_fork: bool,
}

#[derive(Deserialize)]
struct PullRequestAnswer {
    number: u64,
    state: String,
    merged_at: Option<String>,
    merge_commit_sha: Option<String>,
    title: String,
    #[serde(default)]
    draft: bool,
    user: Option<UserPayload>,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    repo: Option<WithId>,
}

#[derive(Deserialize)]
struct WithId {
    id: u64,
}

#[derive(Deserialize)]
struct WithSha {
    sha: String,
}

#[derive(Deserialize)]
struct BranchAnswer {
    commit: WithSha,
}

#[derive(Deserialize)]
struct WithParents {
    parents: Vec<WithSha>,
}

#[derive(Deserialize)]
struct Comparison {
    merge_base_commit: WithSha,
}

impl From<PullRequestAnswer> for PullRequest {
    fn from(answer: PullRequestAnswer) -> Self {
        // A list has no `merged`, so the time of merging is asked for.
        let merged = answer.merged_at.is_some();
        let id = |side: &Side| side.repo.as_ref().map(|repository| repository.id);
        Self {
            number: answer.number,
            is_open: answer.state == "open",
            merged,
            // Until then it is a commit that GitHub made to try the merge.
            merge_commit_sha: answer.merge_commit_sha.filter(|_| merged),
            from_fork: id(&answer.head).is_none() || id(&answer.head) != id(&answer.base),
            head_sha: answer.head.sha,
            head_ref: answer.head.name,
            base_sha: answer.base.sha,
            base_ref: answer.base.name,
            author: Person::new(answer.user),
            title: answer.title,
            draft: answer.draft,
        }
    }
}

impl GithubClient {
    /// The repository.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn repository(&self) -> Result<Repository, GithubError> {
        let path = format!("/repos/{}", self.settings.repository);
        self.read(&path, Freshness::Settled).await
    }

    /// A pull request. A fresh one that GitHub does not show yet is asked for a few times.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn pull_request(&self, number: u64) -> Result<PullRequest, GithubError> {
        let path = self.path(&format!("pulls/{number}"));
        let answer: PullRequestAnswer = self.read(&path, Freshness::MayLag).await?;
        Ok(answer.into())
    }

    /// Every open pull request, whatever its base, newest first.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn open_pull_requests(&self) -> Result<Vec<PullRequest>, GithubError> {
        let mut all = Vec::new();
        self.search_pages(
            &self.path("pulls?state=open"),
            |page: Vec<PullRequestAnswer>| {
                all.extend(page.into_iter().map(PullRequest::from));
                None::<()>
            },
        )
        .await?;
        Ok(all)
    }

    /// Pull requests that are closed or merged, whatever their base, the ones that changed last first; at most `limit`,
    /// and at most 100.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn recently_closed_pull_requests(
        &self,
        limit: usize,
    ) -> Result<Vec<PullRequest>, GithubError> {
        let path = format!(
            "pulls?state=closed&sort=updated&direction=desc&per_page={}",
            limit.min(100)
        );
        let page: Vec<PullRequestAnswer> = self.read(&self.path(&path), Freshness::Settled).await?;
        Ok(page.into_iter().map(PullRequest::from).collect())
    }

    /// The commit a branch points at.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn branch_head(&self, branch: &str) -> Result<String, GithubError> {
        let path = self.path(&format!("branches/{}", segment(branch)));
        let answer: BranchAnswer = self.read(&path, Freshness::MayLag).await?;
        Ok(answer.commit.sha)
    }

    /// The first parent of a commit; `None` for one without any.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn parent_of(&self, commit: &str) -> Result<Option<String>, GithubError> {
        let path = self.path(&format!("git/commits/{}", segment(commit)));
        let answer: WithParents = self.read(&path, Freshness::MayLag).await?;
        Ok(answer.parents.into_iter().next().map(|parent| parent.sha))
    }

    /// The commit where two lines of history parted: what a pull request is compared with.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn merge_base(&self, base: &str, head: &str) -> Result<String, GithubError> {
        let path = format!("compare/{}...{}?per_page=1", segment(base), segment(head));
        let answer: Comparison = self.read(&self.path(&path), Freshness::MayLag).await?;
        Ok(answer.merge_base_commit.sha)
    }
}

/// One segment of a path: everything outside RFC 3986's unreserved characters is escaped.
pub(super) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
