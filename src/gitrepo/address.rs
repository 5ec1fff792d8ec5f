//! Where the catalog repository is.

use super::GitError;
use anyhow::anyhow;
use std::path::PathBuf;

/// The port of SSH (RFC 4253, section 4.1).
const SSH_PORT: u16 = 22;

/// A validated address of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Ssh(SshAddress),
    /// A bare repository on this machine. No key, no host key, no shallow clone, and no hooks are run.
    Local(PathBuf),
}

/// An SSH server and a path on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SshAddress {
    pub(super) user: String,
    /// Lowercase; an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    path: String,
    /// Written as `user@host:path`, whose path counts from the user's home.
    scp_like: bool,
}

impl Address {
    /// Reads `ssh://user@host:port/path`, `user@host:path`, `file:///path` or an absolute path.
    pub(super) fn parse(text: &str) -> Result<Self, GitError> {
        // The text is not repeated: somebody may have put a password into it.
        let invalid = |what: &str| {
            GitError::Other(anyhow!(
                "the address of the catalog repository {what}: write ssh://git@HOST/OWNER/NAME.git or git@HOST:OWNER/NAME.git"
            ))
        };
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(invalid("holds a space or a control character"));
        }
        if text.starts_with('/') {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        if !text.contains("://") {
            return SshAddress::from_scp_like(text)
                .map(Self::Ssh)
                .ok_or_else(|| invalid("cannot be read"));
        }
        let url =
            url::Url::parse(text).map_err(|error| invalid(&format!("is not a URL ({error})")))?;
        match url.scheme() {
            "file" => {
                let path = url.to_file_path();
                return path
                    .map(Self::Local)
                    .map_err(|()| invalid("does not name a folder of this machine"));
            }
            "ssh" => {}
            _ => return Err(invalid("is not one of SSH")),
        }
        if url.password().is_some() {
            return Err(invalid("holds a password; a deploy key is used instead"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("holds a `?` or a `#`"));
        }
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() || url.path().trim_matches('/').is_empty() {
            return Err(invalid("names no host or no repository"));
        }
        let user = if url.username().is_empty() {
            "git"
        } else {
            url.username()
        };
        Ok(Self::Ssh(SshAddress {
            user: user.to_owned(),
            host: host.trim_matches(['[', ']']).to_lowercase(),
            port: url.port().unwrap_or(SSH_PORT),
            path: url.path().to_owned(),
            scp_like: false,
        }))
    }
}

impl SshAddress {
    fn from_scp_like(text: &str) -> Option<Self> {
        let (login, path) = text.split_once(':')?;
        let (user, host) = login.split_once('@').unwrap_or(("git", login));
        let plain = |part: &str| !part.is_empty() && !part.contains(['/', '@', '[', ']']);
        if !plain(user) || !plain(host) || path.trim_matches('/').is_empty() {
            return None;
        }
        Some(Self {
            user: user.to_owned(),
            host: host.to_lowercase(),
            port: SSH_PORT,
            path: path.to_owned(),
            scp_like: true,
        })
    }

    /// The name under which the host stands in a `known_hosts` file: `host`, or `[host]:port` when the port is not 22
    /// (sshd(8), "`SSH_KNOWN_HOSTS` FILE FORMAT").
    pub(super) fn known_as(&self) -> String {
        if self.port == SSH_PORT {
            self.host.clone()
        } else {
            format!("[{}]:{}", self.host, self.port)
        }
    }

    /// The same repository, reached through a port of this machine.
    pub(super) fn through(&self, port: u16) -> String {
        let Self { user, path, .. } = self;
        if self.scp_like {
            format!("[{user}@127.0.0.1:{port}]:{path}")
        } else {
            format!("ssh://{user}@127.0.0.1:{port}{path}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(text: &str) -> SshAddress {
        match Address::parse(text) {
            Ok(Address::Ssh(address)) => address,
            other => panic!("{text} was read as {other:?}"),
        }
    }

    #[test]
    fn both_ways_to_write_an_ssh_address_are_read() {
        let url = ssh("ssh://git@GitHub.com/o/r.git");
        assert_eq!(
            (url.user.as_str(), url.known_as()),
            ("git", "github.com".to_owned())
        );
        assert_eq!(url.through(9), "ssh://git@127.0.0.1:9/o/r.git");
        assert_eq!(ssh("ssh://[::1]:2222/r.git").known_as(), "[::1]:2222");
        let scp = ssh("deploy@example.com:o/r.git");
        assert_eq!(
            (scp.user.as_str(), scp.known_as()),
            ("deploy", "example.com".to_owned())
        );
        assert_eq!(scp.through(9), "[deploy@127.0.0.1:9]:o/r.git");
    }

    #[test]
    fn what_is_not_an_address_of_ssh_is_refused_without_repeating_it() {
        for bad in [
            "",
            "o/r",
            "https://github.com/o/r.git",
            "ssh://git:hunter2@example.com/o/r.git",
            "ssh://git@example.com/",
            "ssh://git@example.com/o r.git",
            "ssh://git@example.com/o/r.git?x=hunter2",
            "git@host:",
            "git@ho/st:o/r.git",
        ] {
            let error = Address::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_folder_of_this_machine_is_an_address() {
        let folder = Address::Local(PathBuf::from("/srv/catalog.git"));
        assert_eq!(Address::parse("/srv/catalog.git").unwrap(), folder);
        assert_eq!(Address::parse("file:///srv/catalog.git").unwrap(), folder);
    }
}
