//! What people do on GitHub: each method changes the repository and sends the web hooks that come of it.

use serde_json::json;

use super::git::{Change, Files};
use super::repositories::{announce, commit, follow_head, fork, publish_head, pull};
use super::state::{Comment, Delivery, Merge, Pull, State};
use super::{GithubDouble, Shared, webhooks};
use crate::support::timestamp;

impl GithubDouble {
    /// Commits to a branch (made from the default branch when new) and pushes it.
    pub async fn push(&self, branch: &str, files: impl Into<Files>, author: &str) -> String {
        let files = files.into();
        let sha = self.with(|state, name| {
            let sha = commit(state, name, branch, &files, &subject(&files), author);
            announce(state, name, branch, Some(author));
            sha
        });
        self.shared.send_waiting().await;
        sha
    }

    /// Opens a pull request from a new branch of the repository itself; answers its number.
    pub async fn open_pull_request(
        &self,
        branch: &str,
        title: &str,
        files: impl Into<Files>,
        author: &str,
    ) -> u64 {
        self.open(branch, title, &files.into(), author, false).await
    }

    /// Opens a pull request from a branch of the author's fork, which is made when it is not there.
    pub async fn open_pull_request_from_fork(
        &self,
        branch: &str,
        title: &str,
        files: impl Into<Files>,
        author: &str,
    ) -> u64 {
        self.open(branch, title, &files.into(), author, true).await
    }

    async fn open(
        &self,
        branch: &str,
        title: &str,
        files: &Files,
        author: &str,
        from_fork: bool,
    ) -> u64 {
        let number = self.with(|state, name| {
            state.user(author);
            let head = if from_fork {
                fork(state, name, author)
            } else {
                name.to_owned()
            };
            let head_sha = commit(state, &head, branch, files, title, author);
            let (id, now) = (state.next_id(), state.tick_text());
            let repository = state.repository_mut(name);
            let number = repository.next_number;
            repository.next_number += 1;
            let base = repository.default_branch.clone();
            let base_sha = repository
                .git
                .head(&base)
                .expect("a repository has its default branch");
            let pull = Pull {
                id,
                number,
                title: title.to_owned(),
                body: None,
                author: author.to_owned(),
                open: true,
                draft: false,
                base,
                base_sha,
                head_repository: head.clone(),
                head_branch: branch.to_owned(),
                head_sha,
                created_at: now.clone(),
                updated_at: now,
                closed_at: None,
                merged: None,
            };
            repository.pulls.insert(number, pull);
            publish_head(state, name, number);
            announce(state, &head, branch, Some(author));
            webhooks::pull_request(state, name, number, "opened", author, json!({}));
            number
        });
        self.shared.send_waiting().await;
        number
    }

    /// Adds a commit to a pull request's branch; answers its id.
    pub async fn push_to_pull_request(&self, number: u64, files: impl Into<Files>) -> String {
        let files = files.into();
        let sha = self.with(|state, name| {
            let (author, head, branch) = {
                let pull = pull(state, name, number);
                (
                    pull.author.clone(),
                    pull.head_repository.clone(),
                    pull.head_branch.clone(),
                )
            };
            let sha = commit(state, &head, &branch, &files, &subject(&files), &author);
            announce(state, &head, &branch, Some(&author));
            follow_head(state, name, number, &author);
            sha
        });
        self.shared.send_waiting().await;
        sha
    }

    /// Turns a pull request into a draft, or says that a draft is ready for review.
    pub async fn set_draft(&self, number: u64, draft: bool) {
        self.with(|state, name| {
            let now = state.tick_text();
            let author = {
                let pull = pull(state, name, number);
                (pull.draft, pull.updated_at) = (draft, now);
                pull.author.clone()
            };
            let action = if draft {
                "converted_to_draft"
            } else {
                "ready_for_review"
            };
            webhooks::pull_request(state, name, number, action, &author, json!({}));
        });
        self.shared.send_waiting().await;
    }

    /// Closes a pull request without merging it.
    pub async fn close(&self, number: u64) {
        self.with(|state, name| {
            let now = state.tick_text();
            let author = {
                let pull = pull(state, name, number);
                pull.open = false;
                pull.closed_at = Some(now.clone());
                pull.updated_at = now;
                pull.author.clone()
            };
            webhooks::pull_request(state, name, number, "closed", &author, json!({}));
        });
        self.shared.send_waiting().await;
    }

    /// Opens a closed pull request again.
    pub async fn reopen(&self, number: u64) {
        self.with(|state, name| {
            let now = state.tick_text();
            let author = {
                let pull = pull(state, name, number);
                assert!(
                    pull.merged.is_none(),
                    "a merged pull request cannot be opened again"
                );
                (pull.open, pull.closed_at, pull.updated_at) = (true, None, now);
                pull.author.clone()
            };
            webhooks::pull_request(state, name, number, "reopened", &author, json!({}));
        });
        self.shared.send_waiting().await;
    }

    /// Merges a pull request, as the repository's owner, with a merge commit; answers its id.
    ///
    /// # Panics
    /// When it conflicts with its base branch, or is not open.
    pub async fn merge_pull_request(&self, number: u64) -> String {
        let sha = self.with(|state, name| {
            let now = state.tick();
            let owner = state.known_user(&state.repository(name).owner);
            let repository = state.repository(name);
            let pull = &repository.pulls[&number];
            assert!(pull.open, "pull request {number} is not open");
            let message = format!(
                "Merge pull request #{number} from {}/{}\n\n{}",
                pull.head_repository.split('/').next().unwrap_or_default(),
                pull.head_branch,
                pull.title
            );
            let base = pull.base.clone();
            let merged = repository.git.merge(
                &base,
                &pull.head_sha,
                &message,
                &owner.identity(),
                now.unix_timestamp(),
            );
            let sha = merged.unwrap_or_else(|conflict| {
                panic!("pull request {number} cannot be merged:\n{conflict}")
            });
            let at = timestamp(now);
            let pull = state
                .repository_mut(name)
                .pulls
                .get_mut(&number)
                .expect("it was there a moment ago");
            pull.open = false;
            pull.closed_at = Some(at.clone());
            pull.updated_at.clone_from(&at);
            pull.merged = Some(Merge {
                at,
                by: owner.login.clone(),
                sha: sha.clone(),
            });
            webhooks::pull_request(state, name, number, "closed", &owner.login, json!({}));
            announce(state, name, &base, Some(&owner.login));
            sha
        });
        self.shared.send_waiting().await;
        sha
    }

    /// Writes a comment; answers its id.
    pub async fn comment(&self, number: u64, author: &str, body: &str) -> u64 {
        let id = self.with(|state, name| {
            state.user(author);
            pull(state, name, number);
            let (id, now) = (state.next_id(), state.tick_text());
            let comment = Comment {
                id,
                pull: number,
                author: author.to_owned(),
                body: body.to_owned(),
                created_at: now.clone(),
                updated_at: now,
                reactions: Vec::new(),
                by_app: false,
            };
            state.repository_mut(name).comments.insert(id, comment);
            webhooks::comment(state, name, id, "created", author, None);
            id
        });
        self.shared.send_waiting().await;
        id
    }

    /// Changes the text of a comment, as its author.
    pub async fn edit_comment(&self, id: u64, body: &str) {
        self.with(|state, name| {
            let now = state.tick_text();
            let comment = state
                .repository_mut(name)
                .comments
                .get_mut(&id)
                .unwrap_or_else(|| panic!("there is no comment {id}"));
            let before = std::mem::replace(&mut comment.body, body.to_owned());
            comment.updated_at = now;
            let author = comment.author.clone();
            webhooks::comment(state, name, id, "edited", &author, Some(&before));
        });
        self.shared.send_waiting().await;
    }

    /// Removes a comment, as anybody with the right might.
    pub fn delete_comment(&self, id: u64) {
        self.with(|state, name| state.repository_mut(name).comments.remove(&id));
    }

    /// Closes an issue as the repository's owner would, as `completed` or `not_planned`.
    ///
    /// # Panics
    /// When there is no such issue.
    pub fn close_issue(&self, number: u64, reason: &str) {
        self.with(|state, name| {
            let now = state.tick_text();
            let issue = state
                .repository_mut(name)
                .issues
                .get_mut(&number)
                .unwrap_or_else(|| panic!("there is no issue {number}"));
            issue.open = false;
            issue.state_reason = Some(reason.to_owned());
            issue.closed_at = Some(now.clone());
            issue.updated_at = now;
        });
    }

    /// Sends a `ping`.
    pub async fn ping(&self) {
        webhooks::ping(&mut self.shared.lock());
        self.shared.send_waiting().await;
    }

    /// Sends what [`DeliveryMode::Manual`](super::DeliveryMode::Manual) held back.
    pub async fn deliver_pending(&self) {
        self.shared.send_all().await;
    }

    /// Sends the first one of those held back that `matches`, before those that came earlier.
    ///
    /// # Panics
    /// When none of them does.
    pub async fn deliver_first(&self, matches: impl Fn(&Delivery) -> bool) {
        let id = {
            let mut state = self.shared.lock();
            let waiting = state.outbox.iter().position(|id| {
                let known = state.deliveries.iter().find(|delivery| delivery.id == *id);
                known.is_some_and(&matches)
            });
            let position = waiting.expect("one of the deliveries held back matches");
            state.outbox.remove(position)
        };
        self.shared.send_one(id).await;
    }

    /// Delivers once more what was delivered under this GUID; answers the record of the attempt.
    pub async fn redeliver(&self, guid: &str) -> Delivery {
        let id = webhooks::queue_again(&mut self.shared.lock(), guid);
        self.shared.send_all().await;
        self.shared
            .lock()
            .deliveries
            .iter()
            .find(|delivery| delivery.id == id)
            .expect("it was queued a moment ago")
            .clone()
    }

    /// Runs `work` on the state and the full name of the repository this handle acts on.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State, &str) -> T) -> T {
        let mut state = Shared::lock(&self.shared);
        let name = self
            .repository
            .clone()
            .or_else(|| state.first_repository.clone())
            .expect("create_repository comes first");
        work(&mut state, &name)
    }
}

fn subject(files: &Files) -> String {
    match files.0.as_slice() {
        [(path, Change::Delete)] => format!("Delete {path}"),
        [(path, _)] => format!("Update {path}"),
        several => format!("Update {} files", several.len()),
    }
}
