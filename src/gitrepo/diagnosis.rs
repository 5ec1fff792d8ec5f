//! What it means when a conversation with the server fails.
//!
//! Told from how far the conversation came and from libgit2's codes, never from its texts, which are only repeated.

use super::GitError;
use super::address::Address;
use super::stop::Stop;
use super::transport::{Progress, Server};
use git2::{Direction, ErrorClass, ErrorCode};

/// How much of what the server says is kept, in bytes.
pub(super) const WORDS_LIMIT: usize = 4096;

impl Server {
    /// Why no conversation came about in which the deploy key was accepted.
    pub(super) fn not_connected(
        &self,
        error: &git2::Error,
        direction: Direction,
        progress: &Progress,
        stop: &Stop,
    ) -> GitError {
        if let Some(late) = self.late(stop) {
            return late;
        }
        let to = match &self.address {
            Address::Ssh(to) => to,
            Address::Local(path) => {
                let path = path.display();
                return GitError::NotFound(format!(
                    "{path} cannot be opened as a git repository: {}",
                    error.message()
                ));
            }
        };
        let name = to.known_as();
        let words = printable(error.message().as_bytes());
        match &progress.host_key {
            None => {
                return GitError::Unreachable(format!(
                    "{name} did not complete the start of SSH: {words}"
                ));
            }
            Some(Err(verdict)) => return GitError::HostKey(verdict.clone()),
            Some(Ok(())) => {}
        }
        if self.deploy_key.is_none() {
            return GitError::Auth(format!(
                "{name} asks for a key, and none is set (LAYERSMITH_DEPLOY_KEY)"
            ));
        }
        if progress.key_refused {
            return GitError::Auth(format!(
                "{name} refused the deploy key for user `{}`: add its public half to the repository's deploy keys, with write access",
                to.user
            ));
        }
        if progress.keys_offered == 0 {
            return GitError::Unreachable(format!("{name} ended the conversation: {words}"));
        }
        // Only a program on the server that ends after the key was accepted gives this pair.
        if (error.class(), error.code()) == (ErrorClass::Ssh, ErrorCode::Eof) {
            return match direction {
                Direction::Fetch => GitError::NotFound(format!(
                    "{name} does not give the repository to this deploy key: {words}"
                )),
                Direction::Push => GitError::Auth(format!(
                    "{name} lets this deploy key read but not write: {words}"
                )),
            };
        }
        if error.class() == ErrorClass::Ssh {
            return GitError::Auth(
                "the deploy key (LAYERSMITH_DEPLOY_KEY) cannot be used: it is not a private key in OpenSSH or PEM format, or its passphrase is missing or wrong".to_owned(),
            );
        }
        GitError::Unreachable(format!("{name} ended the conversation: {words}"))
    }
}

/// What the server said, on one line, without control characters.
pub(super) fn printable(words: &[u8]) -> String {
    let words = &words[..words.len().min(WORDS_LIMIT)];
    let text = String::from_utf8_lossy(words);
    let lines = text.split(['\n', '\r']).map(|line| {
        // A terminal's colours are `ESC [ … letter`.
        let mut in_colour = false;
        let clean: String = line
            .chars()
            .filter(|c| {
                let hidden = in_colour || c.is_control();
                in_colour = *c == '\x1b' || (in_colour && !c.is_ascii_alphabetic());
                !hidden
            })
            .collect();
        clean.trim().to_owned()
    });
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}
