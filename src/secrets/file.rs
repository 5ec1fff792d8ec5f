//! Secrets in files, as container platforms and people keep them.

use super::SecretError;
use secrecy::SecretString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Larger than any key or token, and as much as AWS Secrets Manager takes (65,536 bytes).
const SIZE_LIMIT: u64 = 64 * 1024;

pub(super) async fn read(path: &Path) -> Result<SecretString, SecretError> {
    let owned = path.to_owned();
    match tokio::task::spawn_blocking(move || read_now(&owned)).await {
        Ok(answer) => answer,
        Err(broken_off) => Err(SecretError::File {
            path: path.to_owned(),
            reason: std::io::Error::other(broken_off),
        }),
    }
}

fn read_now(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |reason| SecretError::File {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(unreadable)?;
    warn_if_others_may_read(path, &file);
    let mut bytes = Vec::new();
    file.take(SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let not_a_secret = |what| SecretError::NotASecret {
        path: path.to_owned(),
        what,
    };
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(not_a_secret("is larger than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| not_a_secret("is not text in UTF-8"))?;
    Ok(SecretString::from(text))
}

/// Only a warning: platforms that mount secrets into a container of one user often make them readable by all.
fn warn_if_others_may_read(path: &Path, file: &File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if file
            .metadata()
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
        {
            let path = path.display();
            tracing::warn!(%path, "every user of this machine can read the secret in {path}: chmod 600 it");
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
}
