//! Pinned host keys, in the format of OpenSSH's `known_hosts` (sshd(8), "`SSH_KNOWN_HOSTS` FILE FORMAT").
//!
//! Strict on purpose: a key that no line trusts is refused, a line that cannot be read is an error, and a line that
//! starts with `@cert-authority` trusts nothing, because libssh2 has no host certificates.

use super::GitError;
use super::address::SshAddress;
use crate::model::Digest;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// GitHub's published host keys ("GitHub's SSH key fingerprints" in GitHub's documentation; `ssh_keys` of `GET /meta`).
/// Used when nothing is pinned in the settings.
const GITHUB: &str = "\
github.com,[ssh.github.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
github.com,[ssh.github.com]:443 ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=
github.com,[ssh.github.com]:443 ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCj7ndNxQowgcQnjshcLrqPEiiphnt+VTTvDP6mHBL9j1aNUkY4Ue1gvwnGLVlOhGeYrnZaMgRK6+PKCUXaDbC7qtbW8gIkhL7aGCsOr/C56SJMy/BCZfxd1nWzAOxSDPgVsmerOBYfNqltV9/hWCqBywINIR+5dIg6JTJ72pcEpEjcYgXkE2YEFXV1JHnsKgbLWNlhScqb2UmyRkQyytRLtL+38TGxkxCflmO+5Z8CSSNY7GidjMIZ7Q4zMjA2n1nGrlTDkzwDCsw+wqFPGQA179cnfGWOWRVruj16z6XyvxvjJwbz0wQZ75XK5tKSb7FNyeIEs4TT4jk+S4dhPeAUC5y+bDYirYgM4GC7uEnztnZyaVWQ7B381AK4Qdrwt51ZqExKbQpTUNn+EjqoTwvqNj4kqx5QUCI0ThS/YkOxJCXmPUWZbhjpCg56i+2aB6CmK2JGhn57K5mj0MNdBXA4/WnwH6XoPWJzK5Nyu2zB3nAZp+S5hpQs+p1vN1/wsjk=
";

/// Host keys that are trusted or revoked, each for some hosts.
#[derive(Debug, Clone)]
pub(super) struct KnownHosts(Vec<Line>);

#[derive(Debug, Clone)]
struct Line {
    hosts: Hosts,
    revoked: bool,
    /// The public key as it goes over the wire (RFC 4253, section 6.6).
    key: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Hosts {
    /// `|1|salt|hash`: HMAC-SHA1 of the name, keyed with the salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Patterns with `*` and `?`; true for those written with a leading `!`.
    Patterns(Vec<(bool, String)>),
}

impl KnownHosts {
    /// Reads the lines of the setting; without any, GitHub's published keys.
    pub(super) fn parse(setting: Option<&str>) -> Result<Self, GitError> {
        let text = setting.filter(|text| !text.trim().is_empty());
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.unwrap_or(GITHUB).lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.starts_with("@cert-authority") {
                continue;
            }
            lines.push(Line::parse(line).map_err(|what| {
                GitError::HostKey(format!(
                    "line {number} of the known hosts (LAYERSMITH_KNOWN_HOSTS) {what}: write it as `host ssh-ed25519 AAAA…`, as ssh-keyscan prints it"
                ))
            })?);
        }
        Ok(Self(lines))
    }

    /// Whether the key that a host showed is pinned for it; else what to tell whoever runs the bot.
    pub(super) fn judge(&self, host: &SshAddress, shown: &[u8]) -> Result<(), String> {
        let name = host.known_as();
        let lines = || self.0.iter().filter(|line| line.hosts.include(&name));
        let shown_text = describe(shown);
        if lines().any(|line| line.revoked && line.key == shown) {
            return Err(format!(
                "the host key that {name} showed is marked @revoked: {shown_text}"
            ));
        }
        let mut pinned = lines().filter(|line| !line.revoked).peekable();
        if pinned.peek().is_none() {
            return Err(format!(
                "no host key is pinned for {name}, which showed {shown_text}. {}",
                how_to_pin(&name, shown)
            ));
        }
        let pinned: Vec<&[u8]> = pinned.map(|line| line.key.as_slice()).collect();
        if pinned.contains(&shown) {
            return Ok(());
        }
        let shown_kind = kind(shown);
        let same_kind: Vec<String> = pinned
            .iter()
            .filter(|key| kind(key) == shown_kind)
            .map(|key| describe(key))
            .collect();
        if same_kind.is_empty() {
            let kinds: Vec<String> = pinned.iter().map(|key| kind(key)).collect();
            return Err(format!(
                "{name} showed {shown_text}, but only its {} key is pinned. {}",
                kinds.join(", "),
                how_to_pin(&name, shown)
            ));
        }
        Err(format!(
            "the host key of {name} has changed: {} is pinned, but it showed {shown_text}. Somebody may be listening in. {}",
            same_kind.join(" or "),
            how_to_pin(&name, shown)
        ))
    }
}

impl Line {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (revoked, line) = match line.strip_prefix("@revoked") {
            Some(rest) => (true, rest),
            None if line.starts_with('@') => return Err("starts with an unknown marker"),
            None => (false, line),
        };
        let mut words = line.split_ascii_whitespace();
        let (Some(hosts), Some(kind_word), Some(key)) = (words.next(), words.next(), words.next())
        else {
            return Err("has not three words");
        };
        let key = STANDARD
            .decode(key)
            .map_err(|_| "holds a key that is not base64")?;
        if kind(&key) != kind_word {
            return Err("holds a key of another type than it says");
        }
        Ok(Self {
            hosts: Hosts::parse(hosts)?,
            revoked,
            key,
        })
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(hashed) = text.strip_prefix("|1|") {
            let parts = hashed.split_once('|');
            let decoded = parts.and_then(|(salt, hash)| {
                Some((STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?))
            });
            let (salt, hash) = decoded.ok_or("holds a hashed host that cannot be read")?;
            return Ok(Self::Hashed { salt, hash });
        }
        if text.starts_with('|') {
            return Err("holds a host hashed in an unknown way");
        }
        let patterns = text.split(',').filter(|pattern| !pattern.is_empty());
        Ok(Self::Patterns(
            patterns
                .map(|pattern| match pattern.strip_prefix('!') {
                    Some(negated) => (true, negated.to_lowercase()),
                    None => (false, pattern.to_lowercase()),
                })
                .collect(),
        ))
    }

    fn include(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                // SHA-1 only hides the name here; the key itself is compared in full.
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Patterns(patterns) => {
                let hits = |wanted: bool| {
                    patterns
                        .iter()
                        .any(|(negated, pattern)| *negated == wanted && matches(pattern, name))
                };
                hits(false) && !hits(true)
            }
        }
    }
}

/// Whether a pattern of `*` (any run of characters) and `?` (any one) fits a whole name.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stands, and how much of the name it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, swallowed)) = star else {
                    return false;
                };
                star = Some((at, swallowed + 1));
                p = at + 1;
                n = swallowed + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// The key's type, the first string of the key itself: `ssh-ed25519`.
fn kind(key: &[u8]) -> String {
    let length = key
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let name = usize::try_from(length)
        .ok()
        .and_then(|length| key.get(4..4usize.checked_add(length)?))
        .filter(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic));
    name.map_or("unknown".to_owned(), |name| {
        String::from_utf8_lossy(name).into_owned()
    })
}

/// Type and fingerprint, as `ssh-keygen -l` shows it: `ssh-ed25519 SHA256:+DiY3w…`.
fn describe(key: &[u8]) -> String {
    let fingerprint = Digest::of(key).base64();
    format!("{} SHA256:{}", kind(key), fingerprint.trim_end_matches('='))
}

fn how_to_pin(name: &str, shown: &[u8]) -> String {
    let published = if name == "github.com" || name == "[ssh.github.com]:443" {
        "Compare the fingerprint with those GitHub publishes (`ssh_keys` of GET /meta)"
    } else {
        "Compare the fingerprint with the one its operator publishes"
    };
    let (kind, key) = (kind(shown), STANDARD.encode(shown));
    format!(
        "{published}; only if they agree, add this line to LAYERSMITH_KNOWN_HOSTS: {name} {kind} {key}"
    )
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
