//! Repositories as people set them up, and how their branches move.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::GithubDouble;
use super::git::{BareRepository, Files};
use super::state::{Permission, Pull, Repository, State, User};
use super::webhooks::{self, NO_COMMIT};

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

    /// Notices what was pushed over SSH since the last event: a push event, pushed by the deploy key, for each branch that moved,
    /// and `synchronize` for its open pull request. Answers the branches.
    pub async fn sync_pushes(&self) -> Vec<String> {
        let moved = self.with(|state, name| {
            let repository = state.repository(name);
            let (now, known) = (repository.git.branches(), &repository.known_branches);
            let both = now.iter().chain(known).map(|(reference, _)| reference);
            let moved: BTreeSet<String> = both
                .filter(|reference| now.get(*reference) != known.get(*reference))
                .map(|reference| reference.trim_start_matches("refs/heads/").to_owned())
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
            moved.into_iter().collect()
        });
        self.shared.send_waiting().await;
        moved
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
        pulls: BTreeMap::new(),
        issues: BTreeMap::new(),
        comments: BTreeMap::new(),
        check_runs: BTreeMap::new(),
        statuses: Vec::new(),
        permissions: BTreeMap::new(),
        deploy_keys: Vec::new(),
        known_branches: BTreeMap::new(),
    }
}

/// The full name of `author`'s fork.
pub(super) fn fork(state: &mut State, parent: &str, author: &str) -> String {
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

pub(super) fn commit(
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
pub(super) fn announce(state: &mut State, name: &str, branch: &str, pusher: Option<&str>) {
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
pub(super) fn follow_head(state: &mut State, name: &str, number: u64, sender: &str) {
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
pub(super) fn publish_head(state: &State, name: &str, number: u64) {
    let repository = state.repository(name);
    let pull = &repository.pulls[&number];
    repository.git.fetch(
        &state.repository(&pull.head_repository).git,
        &pull.head_branch,
        &format!("refs/pull/{number}/head"),
    );
}

pub(super) fn pull<'a>(state: &'a mut State, name: &str, number: u64) -> &'a mut Pull {
    state
        .repository_mut(name)
        .pulls
        .get_mut(&number)
        .unwrap_or_else(|| panic!("{name} has no pull request {number}"))
}
