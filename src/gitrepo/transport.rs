//! Talking to the SSH server: host key, deploy key, and what its failures mean.
//!
//! What went wrong is told from how far the conversation came and from libgit2's codes, never from its texts.

use super::GitError;
use super::address::{Address, SshAddress};
use super::error::Fault;
use super::known_hosts::KnownHosts;
use super::relay::Relay;
use super::stop::Stop;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, ErrorClass, ErrorCode,
    FetchOptions, PushOptions, Remote, RemoteCallbacks, RemoteUpdateFlags, Repository,
};
use secrecy::{ExposeSecret as _, SecretString};
use std::cell::RefCell;
use std::time::Duration;

/// How much of what the server says is kept.
const WORDS_LIMIT: usize = 4096;

/// How to reach the catalog repository.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) known_hosts: KnownHosts,
    pub(super) deploy_key: Option<SecretString>,
    pub(super) passphrase: Option<SecretString>,
    pub(super) timeout: Duration,
}

/// How far one conversation came.
#[derive(Debug, Default)]
struct Progress {
    /// The verdict on the host key, once there is one.
    host_key: Option<Result<(), String>>,
    keys_offered: u32,
    /// The server asked for another key after it was given one.
    key_refused: bool,
    /// What the server's side of the repository printed.
    words: Vec<u8>,
    /// For each pushed ref, why the server refused it; `None` when it did not.
    refs: Vec<Option<String>>,
}

/// What became of a push that the server answered.
#[derive(Debug)]
pub(super) enum PushAnswer {
    Accepted,
    /// The branch is not an ancestor of what was to be pushed.
    Behind,
    /// The server said no, in these words.
    Refused(String),
}

/// One ref of the server.
#[derive(Debug)]
pub(super) struct RemoteRef {
    pub(super) name: String,
    pub(super) id: git2::Oid,
    /// The branch that `HEAD` stands for, where the server says it.
    pub(super) stands_for: Option<String>,
}

impl Server {
    /// Lists the server's refs.
    pub(super) fn list(
        &self,
        repository: &Repository,
        stop: &Stop,
    ) -> Result<Vec<RemoteRef>, Fault> {
        self.converse(repository, Direction::Fetch, stop, |talk| talk.list())
    }

    /// Lists the server's refs and, in the same conversation, fetches what `wanted` picks of them.
    pub(super) fn list_and_fetch<T>(
        &self,
        repository: &Repository,
        stop: &Stop,
        wanted: impl Fn(&[RemoteRef]) -> Result<(T, Option<String>), Fault>,
    ) -> Result<T, Fault> {
        self.converse(repository, Direction::Fetch, stop, |talk| {
            let (picked, refspec) = wanted(&talk.list()?)?;
            if let Some(refspec) = refspec {
                talk.fetch(&refspec)?;
            }
            Ok(picked)
        })
    }

    /// Pushes one refspec.
    pub(super) fn push(
        &self,
        repository: &Repository,
        stop: &Stop,
        refspec: &str,
    ) -> Result<PushAnswer, Fault> {
        self.converse(repository, Direction::Push, stop, |talk| talk.push(refspec))
    }

    fn converse<T>(
        &self,
        repository: &Repository,
        direction: Direction,
        stop: &Stop,
        work: impl FnOnce(&mut Talk<'_, '_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let progress = RefCell::new(Progress::default());
        // Kept until the conversation is over: dropping it hangs up.
        let mut relay = None;
        let url = match &self.address {
            Address::Local(path) => path.to_string_lossy().into_owned(),
            Address::Ssh(to) => {
                let opened = Relay::open(to, self.timeout, stop)
                    .map_err(|error| self.late(stop).unwrap_or(error))?;
                to.through(relay.insert(opened).port())
            }
        };
        let mut remote = repository.remote_anonymous(&url)?;
        let callbacks = self.callbacks(&progress, stop);
        let mut connection = remote
            .connect_auth(direction, Some(callbacks), None)
            .map_err(|error| self.not_connected(&error, direction, &progress.borrow(), stop))?;
        let mut talk = Talk {
            server: self,
            remote: connection.remote(),
            progress: &progress,
            stop,
        };
        work(&mut talk)
    }

    fn callbacks<'a>(
        &'a self,
        progress: &'a RefCell<Progress>,
        stop: &'a Stop,
    ) -> RemoteCallbacks<'a> {
        let mut callbacks = RemoteCallbacks::new();
        if let Address::Ssh(host) = &self.address {
            callbacks.certificate_check(move |certificate, _| {
                let key = certificate.as_hostkey().and_then(|key| key.hostkey());
                let verdict = match key {
                    Some(key) => self.known_hosts.judge(host, key),
                    None => Err(format!("{} showed no host key", host.known_as())),
                };
                let trusted = verdict.is_ok();
                progress.borrow_mut().host_key = Some(verdict);
                if trusted {
                    Ok(CertificateCheckStatus::CertificateOk)
                } else {
                    Err(refusal(
                        ErrorCode::Certificate,
                        "the host key is not trusted",
                    ))
                }
            });
            callbacks
                .credentials(move |_, _, asked_for| self.credentials(host, asked_for, progress));
        }
        callbacks.transfer_progress(move |_| !stop.stopped());
        callbacks.sideband_progress(move |words| {
            let kept = &mut progress.borrow_mut().words;
            let room = WORDS_LIMIT.saturating_sub(kept.len());
            kept.extend_from_slice(&words[..words.len().min(room)]);
            !stop.stopped()
        });
        callbacks.push_update_reference(move |_, refused| {
            progress.borrow_mut().refs.push(refused.map(str::to_owned));
            Ok(())
        });
        callbacks
    }

    /// Gives the deploy key once: libgit2 asks again and again for another when the server refuses it.
    fn credentials(
        &self,
        host: &SshAddress,
        asked_for: CredentialType,
        progress: &RefCell<Progress>,
    ) -> Result<Cred, git2::Error> {
        if asked_for.contains(CredentialType::USERNAME) {
            return Cred::username(&host.user);
        }
        let mut progress = progress.borrow_mut();
        let Some(key) = self.deploy_key.as_ref() else {
            return Err(refusal(ErrorCode::Auth, "no deploy key is set"));
        };
        if !asked_for.contains(CredentialType::SSH_MEMORY) || progress.keys_offered > 0 {
            progress.key_refused = true;
            return Err(refusal(ErrorCode::Auth, "the deploy key was refused"));
        }
        progress.keys_offered += 1;
        let passphrase = self
            .passphrase
            .as_ref()
            .map(|passphrase| passphrase.expose_secret());
        Cred::ssh_key_from_memory(&host.user, None, key.expose_secret(), passphrase)
    }

    fn not_connected(
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

    /// The error to report when the operation was ended because its time was up.
    fn late(&self, stop: &Stop) -> Option<GitError> {
        stop.stopped().then(|| self.timed_out())
    }

    /// The time was up.
    pub(super) fn timed_out(&self) -> GitError {
        let name = match &self.address {
            Address::Ssh(to) => to.known_as(),
            Address::Local(path) => path.display().to_string(),
        };
        let seconds = self.timeout.as_secs_f32();
        GitError::Unreachable(format!("{name} did not answer within {seconds} seconds"))
    }
}

/// A conversation in which the deploy key was accepted.
struct Talk<'a, 'repository> {
    server: &'a Server,
    remote: &'a mut Remote<'repository>,
    progress: &'a RefCell<Progress>,
    stop: &'a Stop,
}

impl Talk<'_, '_> {
    fn list(&self) -> Result<Vec<RemoteRef>, Fault> {
        let refs = self.remote.list().map_err(|error| self.broken(error))?;
        Ok(refs
            .iter()
            .map(|head| RemoteRef {
                name: head.name().to_owned(),
                id: head.oid(),
                stands_for: head.symref_target().map(str::to_owned),
            })
            .collect())
    }

    fn fetch(&mut self, refspec: &str) -> Result<(), Fault> {
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(self.server.callbacks(self.progress, self.stop))
            .download_tags(AutotagOption::None)
            .update_fetchhead(false);
        // libgit2 has no shallow fetch from a folder.
        if matches!(self.server.address, Address::Ssh(_)) {
            options.depth(1);
        }
        let fetched = self.remote.download(&[refspec], Some(&mut options));
        fetched.map_err(|error| self.broken(error))?;
        self.remote
            .update_tips(None, RemoteUpdateFlags::empty(), AutotagOption::None, None)?;
        Ok(())
    }

    fn push(&mut self, refspec: &str) -> Result<PushAnswer, Fault> {
        let mut options = PushOptions::new();
        options.remote_callbacks(self.server.callbacks(self.progress, self.stop));
        match self.remote.push(&[refspec], Some(&mut options)) {
            Ok(()) => {}
            Err(error) if error.code() == ErrorCode::NotFastForward => {
                return Ok(PushAnswer::Behind);
            }
            Err(error) => return Err(self.broken(error)),
        }
        // libgit2 calls a push a success when the server answered, whatever the answer was.
        let progress = self.progress.borrow();
        let refused: Vec<&str> = progress.refs.iter().flatten().map(String::as_str).collect();
        if refused.is_empty() && !progress.refs.is_empty() {
            return Ok(PushAnswer::Accepted);
        }
        let status = if refused.is_empty() {
            "the server did not say what became of the branch".to_owned()
        } else {
            printable(refused.join(", ").as_bytes())
        };
        let words = printable(&progress.words);
        Ok(PushAnswer::Refused(if words.is_empty() {
            status
        } else {
            format!("{words} ({status})")
        }))
    }

    /// A failure in the middle of the conversation.
    fn broken(&self, error: git2::Error) -> Fault {
        if let Some(late) = self.server.late(self.stop) {
            return late.into();
        }
        let words = printable(error.message().as_bytes());
        match error.class() {
            ErrorClass::Ssh | ErrorClass::Net | ErrorClass::Callback => GitError::Unreachable(
                format!("the conversation with the server broke off: {words}"),
            )
            .into(),
            _ => Fault::Damaged(error),
        }
    }
}

fn refusal(code: ErrorCode, message: &str) -> git2::Error {
    git2::Error::new(code, ErrorClass::Callback, message)
}

/// What the server said, on one line, without control characters.
fn printable(words: &[u8]) -> String {
    let words = &words[..words.len().min(WORDS_LIMIT)];
    let text = String::from_utf8_lossy(words);
    let lines = text.split(['\n', '\r']).map(|line| {
        let clean: String = line.chars().filter(|c| !c.is_control()).collect();
        clean.trim().to_owned()
    });
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}
