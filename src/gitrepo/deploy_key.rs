//! A deploy key: an Ed25519 key pair in the forms that OpenSSH and GitHub read.
//!
//! The private half is written as OpenSSH's `PROTOCOL.key` describes it. The crates that do so bring a second library of
//! cryptography; a key without a passphrase is some forty lines here, on the one that is there anyway.

use anyhow::{Context as _, bail};
use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

/// What OpenSSH's private keys begin with.
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The kind of key that is made.
const KIND: &[u8] = b"ssh-ed25519";
/// Without a cipher the private part is filled up to a multiple of this many bytes.
const BLOCK: usize = 8;
/// Characters on a line, as `ssh-keygen` writes them.
const LINE: usize = 70;
const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// A key pair.
#[derive(Debug)]
pub struct DeployKey {
    /// The private half as a file of OpenSSH's, without a passphrase.
    pub private: SecretString,
    /// The public half: `ssh-ed25519 AAAA… comment`.
    pub public: String,
}

impl DeployKey {
    /// A new key. The comment is what lists of keys show beside it.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate(comment: &str) -> anyhow::Result<Self> {
        let no_key = "no key could be made";
        let pair = Ed25519KeyPair::generate().context(no_key)?;
        let mut check = [0; 4];
        rand::fill(&mut check).context(no_key)?;
        let seed = pair.seed().and_then(|seed| seed.as_be_bytes());
        let seed = seed.context(no_key)?;
        let seed: &[u8] = seed.as_ref();
        Ok(Self::of(
            seed,
            pair.public_key().as_ref(),
            check,
            comment.trim(),
        ))
    }

    fn of(seed: &[u8], public: &[u8], check: [u8; 4], comment: &str) -> Self {
        let mut blob = Vec::new();
        put(&mut blob, KIND);
        put(&mut blob, public);
        let mut both = Zeroizing::new(Vec::with_capacity(64));
        both.extend_from_slice(seed);
        both.extend_from_slice(public);

        // Room for all of it at once: a vector that grows leaves copies behind.
        let mut secret = Zeroizing::new(Vec::with_capacity(256 + comment.len()));
        secret.extend_from_slice(&check);
        secret.extend_from_slice(&check);
        secret.extend_from_slice(&blob);
        put(&mut secret, &both);
        put(&mut secret, comment.as_bytes());
        for filler in 1.. {
            if secret.len().is_multiple_of(BLOCK) {
                break;
            }
            secret.push(filler);
        }

        let mut whole = Zeroizing::new(Vec::with_capacity(512 + comment.len()));
        whole.extend_from_slice(MAGIC);
        for text in ["none", "none", ""] {
            put(&mut whole, text.as_bytes());
        }
        whole.extend_from_slice(&1_u32.to_be_bytes());
        put(&mut whole, &blob);
        put(&mut whole, &secret);
        let encoded = Zeroizing::new(STANDARD.encode(&*whole));
        let mut text = String::with_capacity(encoded.len() * 2);
        text.push_str(BEGIN);
        for (at, character) in encoded.char_indices() {
            if at % LINE == 0 {
                text.push('\n');
            }
            text.push(character);
        }
        text.push('\n');
        text.push_str(END);
        text.push('\n');
        Self {
            private: text.into(),
            public: format!("ssh-ed25519 {} {comment}", STANDARD.encode(&blob)),
        }
    }
}

/// The public half of a private key of OpenSSH's, of any kind, with a passphrase or without: `ssh-ed25519 AAAA…`.
///
/// # Errors
/// When the text is no such key; a key in another form (`BEGIN RSA PRIVATE KEY`) does not hold its public half in the
/// clear. The text is not repeated.
pub fn public_half(private: &SecretString) -> anyhow::Result<String> {
    let text = private.expose_secret().trim();
    let inside = text
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END));
    let Some(inside) = inside else {
        bail!("it is no private key in OpenSSH's form (`{BEGIN}`)");
    };
    let packed: Zeroizing<String> = Zeroizing::new(inside.split_whitespace().collect());
    let bytes = STANDARD.decode(packed.as_bytes()).map(Zeroizing::new);
    let blob = bytes.ok().as_deref().and_then(|bytes| {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        // Cipher, key derivation and its options.
        for _ in 0..3 {
            (_, rest) = take(rest)?;
        }
        let (number, rest) = rest.split_at_checked(4)?;
        let (blob, _) = take(rest)?;
        (number == [0, 0, 0, 1]).then(|| blob.to_vec())
    });
    let kind = blob
        .as_deref()
        .and_then(take)
        .and_then(|(kind, _)| std::str::from_utf8(kind).ok());
    match (&blob, kind) {
        (Some(blob), Some(kind)) => Ok(format!("{kind} {}", STANDARD.encode(blob))),
        _ => bail!("it begins as a private key of OpenSSH's does, and what follows is damaged"),
    }
}

/// Appends bytes with their length before them.
fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
}

/// Splits off what [`put`] appended.
fn take(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::{Command, Output};

    fn keygen(arguments: &[&str]) -> Output {
        let output = Command::new("ssh-keygen").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }

    #[test]
    fn ssh_keygen_reads_the_private_half_and_agrees_about_the_public_one() {
        let folder = tempfile::tempdir().unwrap();
        // Every length of the filler.
        for comment in ["", "a", "layersmith", "octo/catalog", "layersmith of octo"] {
            let key = DeployKey::generate(comment).unwrap();
            let path = folder.path().join("key");
            std::fs::write(&path, key.private.expose_secret()).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let output = keygen(&["-y", "-P", "", "-f", path.to_str().unwrap()]);
            let read = String::from_utf8(output.stdout).unwrap();
            assert_eq!(read.trim(), key.public.trim());
            let half = public_half(&key.private).unwrap();
            assert!(key.public.starts_with(&half), "{half} {}", key.public);
            assert!(!format!("{key:?}").contains("BEGIN"), "{key:?}");
        }
    }

    #[test]
    fn two_keys_differ() {
        let [one, other] = [(); 2].map(|()| DeployKey::generate("x").unwrap().public);
        assert_ne!(one, other);
    }

    #[test]
    fn the_public_half_is_read_from_every_key_of_openssh() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, passphrase) in [
            ("ed25519", ""),
            ("ed25519", "hunter2"),
            ("ecdsa", ""),
            ("rsa", ""),
        ] {
            let path = folder.path().join(format!("{kind}{passphrase}"));
            let path = path.to_str().unwrap();
            keygen(&["-q", "-t", kind, "-N", passphrase, "-C", "note", "-f", path]);
            let private = std::fs::read_to_string(path).unwrap().into();
            let public = std::fs::read_to_string(format!("{path}.pub")).unwrap();
            assert_eq!(
                format!("{} note", public_half(&private).unwrap()),
                public.trim()
            );
        }
    }

    #[test]
    fn what_is_no_key_is_said_and_not_repeated() {
        for text in [
            "hunter2",
            "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5v\n-----END OPENSSH PRIVATE KEY-----",
        ] {
            let error = public_half(&text.into()).unwrap_err().to_string();
            assert!(error.starts_with("it "), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
