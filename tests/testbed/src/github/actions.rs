//! What people do on GitHub: each method changes the repository and sends the web hooks that come of it.

use serde_json::json;

use super::git::{BareRepository, Files};
use super::state::{Comment, Delivery, Merge, Permission, Pull, Repository, State, User};
use super::webhooks::{self, NO_COMMIT};
use super::{GithubDouble, Shared};

impl GithubDouble {
    /// A public repository with the App installed and one commit on `main`. The first one is what the other methods act on.
    pub async fn create_repository(&self, full_name: &str, files: impl Into<Files>) -> Self {
        self.make_repository(full_name, &files.into(), false)
    }

    /// As [`create_repository`](Self::create_repository), but hidden from whoever has no permission.
    pub async fn create_private_repository(
        &self,
        full_name: &str,
        files: impl Into<Files>,
    ) -> Self {
        self.make_repository(full_name, &files.into(), true)
    }

    fn make_repository(&self, full_name: &str, files: &Files, private: bool) -> Self {
        let mut state = self.shared.lock();
        let git = BareRepository::create(&path_of(&state, full_name), "main");
        let token_logins: Vec<String> = state.personal_tokens.values().cloned().collect();
        let mut repository = new_repository(&mut state, full_name, git, private);
        repository.permissions.extend(
            token_logins
                .into_iter()
                .map(|login| (login, Permission::Write)),
        );
        let owner = state.user(&repository.owner);
        let when = state.tick().unix_timestamp();
        repository.git.commit(
            "main",
            None,
            files,
            "Initial commit",
            &owner.identity(),
            when,
        );
        repository.known_branches = repository.git.branches();
        state
            .first_repository
            .get_or_insert_with(|| full_name.to_owned());
        state.repositories.insert(full_name.to_owned(), repository);
        drop(state);
        self.in_repository(full_name)
    }

    /// Takes the App off the repository.
    pub fn uninstall_app(&self) {
        self.with(|state, name| state.repository_mut(name).installed = false);
    }

    /// An account with a chosen id; others are made with a fresh id when first named.
    pub fn add_user(&self, login: &str, id: u64) -> User {
        let user = User {
            id,
            login: login.to_owned(),
            kind: "User",
        };
        self.shared
            .lock()
            .users
            .insert(login.to_owned(), user.clone());
        user
    }

    /// The account of that login, made when it is new.
    pub fn user(&self, login: &str) -> User {
        self.shared.lock().user(login)
    }

    pub fn set_permission(&self, login: &str, permission: Permission) {
        self.with(|state, name| {
            state.user(login);
            state
                .repository_mut(name)
                .permissions
                .insert(login.to_owned(), permission);
        });
    }

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
            let at = crate::support::timestamp(now);
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

    /// Sends a `ping`.
    pub async fn ping(&self) {
        webhooks::ping(&mut self.shared.lock());
        self.shared.send_waiting().await;
    }

    /// Notices what was pushed over SSH since the last event: a push event, pushed by the deploy key, for each branch that moved,
    /// and `synchronize` for its open pull request. Answers the branches.
    pub async fn sync_pushes(&self) -> Vec<String> {
        let moved = self.with(|state, name| {
            let repository = state.repository(name);
            let (now, known) = (repository.git.branches(), &repository.known_branches);
            let moved: Vec<String> = now
                .iter()
                .chain(known)
                .filter(|(branch, _)| now.get(*branch) != known.get(*branch))
                .map(|(branch, _)| branch.trim_start_matches("refs/heads/").to_owned())
                .collect();
            let moved: Vec<String> = std::collections::BTreeSet::from_iter(moved)
                .into_iter()
                .collect();
            for branch in &moved {
                announce(state, name, branch, None);
                let open: Vec<u64> = state
                    .repository(name)
                    .pulls
                    .values()
                    .filter(|pull| {
                        pull.open && pull.head_branch == *branch && pull.head_repository == name
                    })
                    .map(|pull| pull.number)
                    .collect();
                for number in open {
                    let owner = state.repository(name).owner.clone();
                    follow_head(state, name, number, &owner);
                }
            }
            moved
        });
        self.shared.send_waiting().await;
        moved
    }

    /// Sends what [`DeliveryMode::Manual`](super::DeliveryMode::Manual) held back.
    pub async fn deliver_pending(&self) {
        self.shared.send_all().await;
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

fn path_of(state: &State, full_name: &str) -> std::path::PathBuf {
    let path = state.root.join(format!("{full_name}.git"));
    std::fs::create_dir_all(
        path.parent()
            .expect("a repository lies in its owner's folder"),
    )
    .expect("the folder of repositories is writable");
    path
}

fn new_repository(
    state: &mut State,
    full_name: &str,
    git: BareRepository,
    private: bool,
) -> Repository {
    let (owner, name) = full_name
        .split_once('/')
        .unwrap_or_else(|| panic!("a repository is named owner/name, not {full_name}"));
    state.user(owner);
    let now = state.tick_text();
    Repository {
        id: state.next_id(),
        owner: owner.to_owned(),
        name: name.to_owned(),
        private,
        default_branch: "main".to_owned(),
        git,
        parent: None,
        installed: true,
        created_at: now.clone(),
        pushed_at: now,
        next_number: 1,
        pulls: std::collections::BTreeMap::new(),
        comments: std::collections::BTreeMap::new(),
        check_runs: std::collections::BTreeMap::new(),
        statuses: Vec::new(),
        permissions: std::collections::BTreeMap::new(),
        known_branches: std::collections::BTreeMap::new(),
    }
}

/// The full name of `author`'s fork.
fn fork(state: &mut State, parent: &str, author: &str) -> String {
    let full_name = format!("{author}/{}", state.repository(parent).name);
    if !state.repositories.contains_key(&full_name) {
        let path = path_of(state, &full_name);
        let git = state.repository(parent).git.fork(&path);
        let mut repository = new_repository(state, &full_name, git, false);
        repository.parent = Some(parent.to_owned());
        repository.installed = false;
        repository.known_branches = repository.git.branches();
        state.repositories.insert(full_name.clone(), repository);
    }
    full_name
}

fn commit(
    state: &mut State,
    name: &str,
    branch: &str,
    files: &Files,
    message: &str,
    author: &str,
) -> String {
    let (who, now) = (state.user(author).identity(), state.tick());
    let repository = state.repository_mut(name);
    repository.pushed_at = crate::support::timestamp(now);
    let parent = repository
        .git
        .head(branch)
        .or_else(|| repository.git.head(&repository.default_branch));
    repository.git.commit(
        branch,
        parent.as_deref(),
        files,
        message,
        &who,
        now.unix_timestamp(),
    )
}

/// Sends a push event for a branch, and remembers where it is. The App hears of repositories it is installed on only.
fn announce(state: &mut State, name: &str, branch: &str, pusher: Option<&str>) {
    let reference = format!("refs/heads/{branch}");
    let repository = state.repository(name);
    let (before, after) = (
        repository.known_branches.get(&reference).cloned(),
        repository.git.head(branch),
    );
    if repository.installed && before != after {
        webhooks::push(
            state,
            name,
            branch,
            before.as_deref(),
            after.as_deref(),
            pusher,
        );
    }
    let known = &mut state.repository_mut(name).known_branches;
    match after {
        Some(sha) => known.insert(reference, sha),
        None => known.remove(&reference),
    };
}

/// Moves a pull request to where its branch is now, and says so.
fn follow_head(state: &mut State, name: &str, number: u64, sender: &str) {
    let now = state.tick_text();
    let (head, branch) = {
        let pull = pull(state, name, number);
        pull.updated_at = now;
        (pull.head_repository.clone(), pull.head_branch.clone())
    };
    let after = state
        .repository(&head)
        .git
        .head(&branch)
        .unwrap_or_else(|| NO_COMMIT.to_owned());
    let repository = state.repository(name);
    let base_sha = repository
        .git
        .head(&repository.pulls[&number].base)
        .expect("the base branch is there");
    let pull = pull(state, name, number);
    let before = std::mem::replace(&mut pull.head_sha, after.clone());
    pull.base_sha = base_sha;
    publish_head(state, name, number);
    webhooks::pull_request(
        state,
        name,
        number,
        "synchronize",
        sender,
        json!({"before": before, "after": after}),
    );
}

/// Puts a pull request's head where its base repository can read it, as GitHub does.
fn publish_head(state: &State, name: &str, number: u64) {
    let repository = state.repository(name);
    let pull = &repository.pulls[&number];
    repository.git.fetch(
        &state.repository(&pull.head_repository).git,
        &pull.head_branch,
        &format!("refs/pull/{number}/head"),
    );
}

fn pull<'a>(state: &'a mut State, name: &str, number: u64) -> &'a mut Pull {
    state
        .repository_mut(name)
        .pulls
        .get_mut(&number)
        .unwrap_or_else(|| panic!("{name} has no pull request {number}"))
}

fn subject(files: &Files) -> String {
    match files.0.as_slice() {
        [(path, Some(_))] => format!("Update {path}"),
        [(path, None)] => format!("Delete {path}"),
        several => format!("Update {} files", several.len()),
    }
}
