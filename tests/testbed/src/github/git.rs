//! The bare repositories behind the double, driven through the `git` program.
//!
//! Authors and dates are always given, so the same actions make the same commit ids.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::run;

/// Who writes a commit.
#[derive(Clone, Debug)]
pub struct Identity {
    pub name: String,
    pub email: String,
}

/// Changes to files: what to write and what to delete. Made from an array of `(path, content)`.
#[derive(Clone, Debug, Default)]
pub struct Files(pub(crate) Vec<(String, Change)>);

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write(Vec<u8>),
    Link(String),
    Delete,
}

impl Files {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn write(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.0.push((path.into(), Change::Write(content.into())));
        self
    }

    /// A symbolic link to `target`.
    #[must_use]
    pub fn link(mut self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.0.push((path.into(), Change::Link(target.into())));
        self
    }

    #[must_use]
    pub fn delete(mut self, path: impl Into<String>) -> Self {
        self.0.push((path.into(), Change::Delete));
        self
    }
}

impl<const N: usize, P: Into<String>, C: Into<Vec<u8>>> From<[(P, C); N]> for Files {
    fn from(files: [(P, C); N]) -> Self {
        files
            .into_iter()
            .fold(Self::new(), |all, (path, content)| all.write(path, content))
    }
}

impl<P: Into<String>, C: Into<Vec<u8>>> From<Vec<(P, C)>> for Files {
    fn from(files: Vec<(P, C)>) -> Self {
        files
            .into_iter()
            .fold(Self::new(), |all, (path, content)| all.write(path, content))
    }
}

#[derive(Clone)]
pub(crate) struct BareRepository {
    path: PathBuf,
}

impl BareRepository {
    pub(crate) fn create(path: &Path, default_branch: &str) -> Self {
        run(bare_git()
            .args([
                "init",
                "--quiet",
                "--bare",
                "--initial-branch",
                default_branch,
                "--",
            ])
            .arg(path));
        Self {
            path: path.to_path_buf(),
        }
    }

    pub(crate) fn fork(&self, path: &Path) -> Self {
        run(bare_git()
            .args(["clone", "--quiet", "--bare", "--"])
            .arg(&self.path)
            .arg(path));
        Self {
            path: path.to_path_buf(),
        }
    }

    /// Makes a commit on `branch` (whose parent is `parent`, or nothing) and moves the branch to it.
    pub(crate) fn commit(
        &self,
        branch: &str,
        parent: Option<&str>,
        files: &Files,
        message: &str,
        who: &Identity,
        when: i64,
    ) -> String {
        let mut stream = Vec::new();
        let mut line = |text: String| stream.extend_from_slice(text.as_bytes());
        line(format!("commit refs/heads/{branch}\n"));
        line(format!(
            "author {} <{}> {when} +0000\n",
            who.name, who.email
        ));
        line(format!(
            "committer {} <{}> {when} +0000\n",
            who.name, who.email
        ));
        line(format!("data {}\n{message}\n", message.len()));
        if let Some(parent) = parent {
            line(format!("from {parent}\n"));
        }
        for (path, change) in &files.0 {
            let (mode, content) = match change {
                Change::Write(content) => (100_644, content.as_slice()),
                Change::Link(target) => (120_000, target.as_bytes()),
                Change::Delete => {
                    stream.extend_from_slice(format!("D {path}\n").as_bytes());
                    continue;
                }
            };
            let head = format!("M {mode} inline {path}\ndata {}\n", content.len());
            stream.extend_from_slice(head.as_bytes());
            stream.extend_from_slice(content);
            stream.push(b'\n');
        }
        let mut child = self
            .git(["fast-import", "--quiet", "--force"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("git fast-import starts");
        child
            .stdin
            .take()
            .expect("stdin is piped")
            .write_all(&stream)
            .expect("git fast-import reads its input");
        let status = child.wait().expect("git fast-import ends");
        assert!(
            status.success(),
            "git fast-import refused the files {:?}",
            files.0.iter().map(|file| &file.0).collect::<Vec<_>>()
        );
        self.head(branch).expect("the branch was just written")
    }

    /// Merges `head` into `branch` with a merge commit; `Err` holds git's text about the conflict.
    pub(crate) fn merge(
        &self,
        branch: &str,
        head: &str,
        message: &str,
        who: &Identity,
        when: i64,
    ) -> Result<String, String> {
        let base = self
            .head(branch)
            .ok_or_else(|| format!("there is no branch {branch}"))?;
        let merged = self
            .git(["merge-tree", "--write-tree", &base, head])
            .output()
            .expect("git merge-tree starts");
        let text = String::from_utf8_lossy(&merged.stdout).into_owned();
        if !merged.status.success() {
            return Err(text);
        }
        let tree = text.lines().next().unwrap_or_default().to_owned();
        let date = format!("{when} +0000");
        let mut command = self.git(["commit-tree", &tree, "-p", &base, "-p", head, "-m", message]);
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), &who.name)
                .env(format!("GIT_{role}_EMAIL"), &who.email)
                .env(format!("GIT_{role}_DATE"), &date);
        }
        let sha = text_of(&mut command);
        self.set_ref(&format!("refs/heads/{branch}"), &sha);
        Ok(sha)
    }

    pub(crate) fn can_merge(&self, base: &str, head: &str) -> bool {
        self.git(["merge-tree", "--write-tree", base, head])
            .output()
            .is_ok_and(|output| output.status.success())
    }

    pub(crate) fn set_ref(&self, name: &str, sha: &str) {
        run(&mut self.git(["update-ref", name, sha]));
    }

    /// Copies a commit with its history from another bare repository to `name`.
    pub(crate) fn fetch(&self, from: &Self, branch: &str, name: &str) {
        run(self
            .git(["fetch", "--quiet", "--no-tags"])
            .arg(&from.path)
            .arg(format!("+refs/heads/{branch}:{name}")));
    }

    /// All branches: full reference name → commit.
    pub(crate) fn branches(&self) -> BTreeMap<String, String> {
        text_of(&mut self.git([
            "for-each-ref",
            "--format=%(refname) %(objectname)",
            "refs/heads",
        ]))
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, sha)| (name.to_owned(), sha.to_owned()))
        .collect()
    }

    pub(crate) fn head(&self, branch: &str) -> Option<String> {
        self.resolve(&format!("refs/heads/{branch}"), "commit")
    }

    /// The id of the object a revision names, peeled to `kind` (`commit`, `tree`, `blob`).
    pub(crate) fn resolve(&self, revision: &str, kind: &str) -> Option<String> {
        let peeled = format!("{revision}^{{{kind}}}");
        self.try_text([
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &peeled,
        ])
        .map(|sha| sha.trim().to_owned())
    }

    /// The kind (`blob`, `tree`, `commit`) and id of what lies at a path.
    pub(crate) fn at_path(&self, revision: &str, path: &str) -> Option<(String, String)> {
        let commit = self.resolve(revision, "commit")?;
        let object = format!("{commit}:{path}");
        let sha = self.try_text([
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &object,
        ])?;
        let kind = self.try_text(["cat-file", "-t", sha.trim()])?;
        Some((kind.trim().to_owned(), sha.trim().to_owned()))
    }

    pub(super) fn git<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = bare_git();
        command.arg("--git-dir").arg(&self.path).args(arguments);
        command
    }

    pub(super) fn try_text<const N: usize>(&self, arguments: [&str; N]) -> Option<String> {
        let output = self.git(arguments).output().expect("git starts");
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// `git` that reads no configuration of the machine and trusts folders of any owner.
fn bare_git() -> Command {
    let mut command =
        Command::new(crate::tools::git().unwrap_or_else(|missing| panic!("{missing}")));
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE");
    command
}

pub(super) fn text_of(command: &mut Command) -> String {
    String::from_utf8_lossy(&run(command).stdout)
        .trim_end_matches('\n')
        .to_owned()
}
