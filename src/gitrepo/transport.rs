//! Talking to the SSH server: host key, deploy key, listing, fetching, pushing.

use super::GitError;
use super::address::{Address, SshAddress};
use super::diagnosis::{WORDS_LIMIT, printable};
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
pub(super) struct Progress {
    /// The verdict on the host key, once there is one.
    pub(super) host_key: Option<Result<(), String>>,
    pub(super) keys_offered: u32,
    /// The server asked for another key after it was given one.
    pub(super) key_refused: bool,
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

    /// Begins a push and ends it before anything is sent.
    pub(super) fn may_push(&self, repository: &Repository, stop: &Stop) -> Result<(), Fault> {
        self.converse(repository, Direction::Push, stop, |talk| {
            talk.list().map(drop)
        })
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

    /// Fetches one commit by its id into a ref; `false` when the server does not give it.
    pub(super) fn fetch_commit(
        &self,
        repository: &Repository,
        stop: &Stop,
        commit: git2::Oid,
        into: &str,
    ) -> Result<bool, Fault> {
        self.converse(repository, Direction::Fetch, stop, |talk| {
            match talk.download(&format!("+{commit}:{into}")) {
                Ok(()) => Ok(true),
                // A server that may not, or cannot, give a commit by its id answers with something that is no pack;
                // one that is gone does not answer.
                Err(error) if answered(&error) && !stop.stopped() => Ok(false),
                Err(error) => Err(talk.broken(error)),
            }
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

    /// The error to report when the operation was ended because its time was up.
    pub(super) fn late(&self, stop: &Stop) -> Option<GitError> {
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
        self.download(refspec).map_err(|error| self.broken(error))
    }

    fn download(&mut self, refspec: &str) -> Result<(), git2::Error> {
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(self.server.callbacks(self.progress, self.stop))
            .download_tags(AutotagOption::None)
            .update_fetchhead(false);
        // libgit2 has no shallow fetch from a folder.
        if matches!(self.server.address, Address::Ssh(_)) {
            options.depth(1);
        }
        self.remote.download(&[refspec], Some(&mut options))?;
        self.remote
            .update_tips(None, RemoteUpdateFlags::empty(), AutotagOption::None, None)
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

fn answered(error: &git2::Error) -> bool {
    error.class() != ErrorClass::Ssh && error.code() != ErrorCode::Eof
}
