//! What tests and the demo see of the double.

use std::fmt::Write as _;

use super::GithubDouble;
use super::history::Commit;
use super::state::{CheckRun, Comment, CommitStatus, Delivery, Issue, Pull, Repository, Request};

impl GithubDouble {
    /// The comments of a conversation, oldest first.
    pub fn comments(&self, number: u64) -> Vec<Comment> {
        self.with(|state, name| {
            state
                .repository(name)
                .comments
                .values()
                .filter(|comment| comment.pull == number)
                .cloned()
                .collect()
        })
    }

    /// The issues that are no pull requests, oldest first.
    pub fn issues(&self) -> Vec<Issue> {
        self.with(|state, name| state.repository(name).issues.values().cloned().collect())
    }

    /// The check runs of a commit, oldest first.
    pub fn check_runs(&self, sha: &str) -> Vec<CheckRun> {
        self.with(|state, name| {
            state
                .repository(name)
                .check_runs
                .values()
                .filter(|run| run.head_sha == sha)
                .cloned()
                .collect()
        })
    }

    /// The statuses of a commit, oldest first.
    pub fn statuses(&self, sha: &str) -> Vec<CommitStatus> {
        self.with(|state, name| {
            state
                .repository(name)
                .statuses
                .iter()
                .filter(|status| status.sha == sha)
                .cloned()
                .collect()
        })
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Every attempt at a delivery so far, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.lock().deliveries.clone()
    }

    /// What was against GitHub's contract so far, in requests or in the double's own answers; a test wants none.
    pub fn violations(&self) -> Vec<String> {
        self.shared.lock().violations.clone()
    }

    /// As [`violations`](Self::violations), and forgets them: for tests that make some on purpose.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().violations)
    }

    /// Faults that nothing has met yet.
    pub fn faults_left(&self) -> usize {
        self.shared.lock().faults.len()
    }

    /// The commit a branch is at.
    pub fn branch_head(&self, branch: &str) -> Option<String> {
        self.with(|state, name| state.repository(name).git.head(branch))
    }

    /// The commit a pull request is at.
    pub fn pull_request_head(&self, number: u64) -> String {
        self.with(|state, name| known(state.repository(name), number).head_sha.clone())
    }

    /// The text of a file on a branch (or at a commit).
    pub fn file_at(&self, revision: &str, path: &str) -> Option<String> {
        self.with(|state, name| {
            let git = &state.repository(name).git;
            let (_, blob) = git.at_path(revision, path)?;
            git.blob(&blob)
                .map(|content| String::from_utf8_lossy(&content).into_owned())
        })
    }

    /// The paths of all files on a branch (or at a commit).
    pub fn files_at(&self, revision: &str) -> Vec<String> {
        self.with(|state, name| {
            let git = &state.repository(name).git;
            let tree = git
                .resolve(revision, "tree")
                .unwrap_or_else(|| panic!("{name} has no {revision}"));
            git.tree(&tree, true)
                .into_iter()
                .filter(|entry| entry.kind == "blob")
                .map(|entry| entry.path)
                .collect()
        })
    }

    /// The commits of a branch, newest first.
    pub fn log(&self, branch: &str) -> Vec<Commit> {
        self.with(|state, name| {
            let git = &state.repository(name).git;
            git.head(branch)
                .map(|sha| git.log(&[&sha]))
                .unwrap_or_default()
        })
    }

    /// A conversation as a person reads it: title, comments without hidden marks, statuses, checks with their annotations.
    pub fn conversation(&self, number: u64) -> String {
        self.with(|state, name| {
            let repository = state.repository(name);
            let pull = known(repository, number);
            let mut text = heading(repository, pull);
            for comment in repository
                .comments
                .values()
                .filter(|comment| comment.pull == number)
            {
                add_comment(&mut text, comment);
            }
            add_checks(&mut text, repository, pull);
            text
        })
    }
}

fn known(repository: &Repository, number: u64) -> &Pull {
    repository
        .pulls
        .get(&number)
        .unwrap_or_else(|| panic!("{} has no pull request {number}", repository.full_name()))
}

fn heading(repository: &Repository, pull: &Pull) -> String {
    let from = if pull.head_repository == repository.full_name() {
        pull.head_branch.clone()
    } else {
        format!(
            "{}:{}",
            pull.head_repository.split('/').next().unwrap_or_default(),
            pull.head_branch
        )
    };
    let state = match (&pull.merged, pull.open) {
        (Some(_), _) => "Merged",
        (None, true) => "Open",
        (None, false) => "Closed",
    };
    let mut text = format!(
        "{} #{}\n{state} · {} · {} ← {from}\n",
        pull.title, pull.number, pull.author, pull.base
    );
    if let Some(body) = &pull.body {
        add(&mut text, format_args!("\n{}\n", visible(body)));
    }
    text
}

fn add_comment(text: &mut String, comment: &Comment) {
    let edited = if comment.updated_at == comment.created_at {
        ""
    } else {
        " · edited"
    };
    add(
        text,
        format_args!(
            "\n── {}{edited} ──\n{}\n",
            comment.author,
            visible(&comment.body)
        ),
    );
    if !comment.reactions.is_empty() {
        let reactions: Vec<String> = comment
            .reactions
            .iter()
            .map(|(login, content)| format!("{} {login}", symbol(content)))
            .collect();
        add(text, format_args!("[{}]\n", reactions.join(", ")));
    }
}

fn add_checks(text: &mut String, repository: &Repository, pull: &Pull) {
    let runs: Vec<&CheckRun> = repository
        .check_runs
        .values()
        .filter(|run| run.head_sha == pull.head_sha)
        .collect();
    let statuses: Vec<&CommitStatus> = repository
        .statuses
        .iter()
        .filter(|status| status.sha == pull.head_sha)
        .collect();
    if runs.is_empty() && statuses.is_empty() {
        return;
    }
    text.push_str("\n── checks ──\n");
    for status in statuses {
        add(
            text,
            format_args!(
                "{} {}: {}\n",
                mark(&status.state),
                status.context,
                status.description.as_deref().unwrap_or(&status.state)
            ),
        );
    }
    for run in runs {
        let outcome = run.conclusion.as_deref().unwrap_or(&run.status);
        add(
            text,
            format_args!("{} {}: {outcome}", mark(outcome), run.name),
        );
        if let Some(title) = &run.title {
            add(text, format_args!(" · {title}"));
        }
        text.push('\n');
        for one in &run.annotations {
            let column = one
                .start_column
                .map(|column| format!(":{column}"))
                .unwrap_or_default();
            let title = one
                .title
                .as_ref()
                .map(|title| format!("{title}: "))
                .unwrap_or_default();
            add(
                text,
                format_args!(
                    "  {}:{}{column} {} · {title}{}\n",
                    one.path, one.start_line, one.level, one.message
                ),
            );
        }
    }
}

fn mark(outcome: &str) -> &'static str {
    match outcome {
        "success" => "✓",
        "failure" | "error" | "timed_out" | "action_required" => "✗",
        "neutral" | "skipped" | "cancelled" => "–",
        _ => "•",
    }
}

fn symbol(content: &str) -> &str {
    match content {
        "+1" => "👍",
        "-1" => "👎",
        "eyes" => "👀",
        "rocket" => "🚀",
        "heart" => "❤",
        "hooray" => "🎉",
        "confused" => "😕",
        "laugh" => "😄",
        other => other,
    }
}

/// A text without its HTML comments.
fn visible(text: &str) -> String {
    let mut rest = text;
    let mut shown = String::new();
    while let Some(start) = rest.find("<!--") {
        shown.push_str(&rest[..start]);
        let Some(end) = rest[start..].find("-->") else {
            rest = "";
            break;
        };
        rest = &rest[start + end + 3..];
    }
    shown.push_str(rest);
    shown.trim().to_owned()
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more)
        .expect("writing to a string never fails");
}
