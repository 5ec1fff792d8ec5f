//! What the bare repositories hold: commits, trees, files, differences.

use super::git::{BareRepository, Identity, text_of};

/// A commit as `git log` knows it. Dates are RFC 3339.
#[derive(Clone, Debug)]
pub struct Commit {
    pub sha: String,
    pub tree: String,
    pub parents: Vec<String>,
    pub author: Identity,
    pub author_date: String,
    pub committer: Identity,
    pub committer_date: String,
    pub message: String,
}

/// One entry of a tree, as `git ls-tree` lists it.
pub(crate) struct TreeEntry {
    pub(crate) mode: String,
    pub(crate) kind: String,
    pub(crate) sha: String,
    pub(crate) size: Option<u64>,
    pub(crate) path: String,
}

/// One file that differs between two commits.
pub(crate) struct ChangedFile {
    pub(crate) path: String,
    pub(crate) previous: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) sha: String,
    pub(crate) additions: u64,
    pub(crate) deletions: u64,
    pub(crate) patch: Option<String>,
}

impl BareRepository {
    pub(crate) fn commit_info(&self, sha: &str) -> Option<Commit> {
        let sha = self.resolve(sha, "commit")?;
        self.log(&[&sha, "-1"]).into_iter().next()
    }

    /// `git log` with the given arguments, newest first.
    pub(crate) fn log(&self, arguments: &[&str]) -> Vec<Commit> {
        const FORMAT: &str =
            "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x01";
        let mut command = self.git(["-c", "log.showSignature=false", "log", FORMAT]);
        text_of(command.env("TZ", "UTC").args(arguments))
            .split('\u{1}')
            .filter_map(parse_commit)
            .collect()
    }

    pub(crate) fn tree(&self, tree: &str, recursive: bool) -> Vec<TreeEntry> {
        let mut command = self.git(["ls-tree", "-z", "-l"]);
        if recursive {
            command.args(["-r", "-t"]);
        }
        text_of(command.arg(tree))
            .split('\0')
            .filter_map(parse_entry)
            .collect()
    }

    pub(crate) fn blob(&self, sha: &str) -> Option<Vec<u8>> {
        let output = self
            .git(["cat-file", "blob", sha])
            .output()
            .expect("git cat-file starts");
        output.status.success().then_some(output.stdout)
    }

    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Option<String> {
        self.try_text(["merge-base", one, other])
            .map(|sha| sha.trim().to_owned())
    }

    /// The files that differ between two commits, renames found, with patches while they are few.
    pub(crate) fn changes(&self, from: &str, to: &str) -> Vec<ChangedFile> {
        let raw = text_of(&mut self.git(["diff", "--raw", "-z", "--no-abbrev", "-M", from, to]));
        let mut fields = raw.split('\0');
        let mut changes = Vec::new();
        while let Some(header) = fields.next().filter(|field| field.starts_with(':')) {
            let columns: Vec<&str> = header.split(' ').collect();
            let (old_sha, new_sha, letter) = (columns[2], columns[3], columns[4].as_bytes()[0]);
            let first = fields.next().expect("a changed file has a path").to_owned();
            let (path, previous, status) = match letter {
                b'R' => (
                    fields
                        .next()
                        .expect("a renamed file has a new path")
                        .to_owned(),
                    Some(first),
                    "renamed",
                ),
                b'A' => (first, None, "added"),
                b'D' => (first, None, "removed"),
                b'T' => (first, None, "changed"),
                _ => (first, None, "modified"),
            };
            let sha = if letter == b'D' { old_sha } else { new_sha }.to_owned();
            changes.push(ChangedFile {
                path,
                previous,
                status,
                sha,
                additions: 0,
                deletions: 0,
                patch: None,
            });
        }
        let with_patches = changes.len() <= 50;
        for change in &mut changes {
            self.measure(change, from, to, with_patches);
        }
        changes
    }

    fn measure(&self, change: &mut ChangedFile, from: &str, to: &str, with_patch: bool) {
        let mut paths = vec![change.path.as_str()];
        paths.extend(change.previous.as_deref());
        let patch = text_of(
            self.git(["diff", "--no-color", "-M", from, to, "--"])
                .args(paths),
        );
        let hunks = patch
            .find("\n@@ ")
            .map(|start| patch[start + 1..].trim_end_matches('\n'));
        for line in hunks.unwrap_or_default().lines() {
            match line.as_bytes().first() {
                Some(b'+') => change.additions += 1,
                Some(b'-') => change.deletions += 1,
                _ => {}
            }
        }
        change.patch = hunks.filter(|_| with_patch).map(str::to_owned);
    }
}

fn parse_commit(record: &str) -> Option<Commit> {
    let fields: Vec<&str> = record.trim_start_matches('\n').split('\0').collect();
    let [
        sha,
        tree,
        parents,
        author,
        author_email,
        author_date,
        committer,
        committer_email,
        committer_date,
        message,
    ] = fields[..]
    else {
        return None;
    };
    let identity = |name: &str, email: &str| Identity {
        name: name.to_owned(),
        email: email.to_owned(),
    };
    Some(Commit {
        sha: sha.to_owned(),
        tree: tree.to_owned(),
        parents: parents.split_whitespace().map(str::to_owned).collect(),
        author: identity(author, author_email),
        author_date: author_date.to_owned(),
        committer: identity(committer, committer_email),
        committer_date: committer_date.to_owned(),
        message: message.trim_end_matches('\n').to_owned(),
    })
}

fn parse_entry(record: &str) -> Option<TreeEntry> {
    let (columns, path) = record.split_once('\t')?;
    let mut columns = columns.split_whitespace().map(str::to_owned);
    let (mode, kind, sha) = (columns.next()?, columns.next()?, columns.next()?);
    Some(TreeEntry {
        mode,
        kind,
        sha,
        size: columns.next()?.parse().ok(),
        path: path.to_owned(),
    })
}
