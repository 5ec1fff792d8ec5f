//! Whether a delivery comes from somebody who knows the webhook secret.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

/// Why a delivery is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No secret is set, so nothing can be believed.
    #[error("no webhook secret is set")]
    NoSecret,
    /// The header is not there.
    #[error("the delivery is not signed: `X-Hub-Signature-256` is missing")]
    Missing,
    /// The header is not `sha256=` and 64 hexadecimal digits.
    #[error("`X-Hub-Signature-256` is not `sha256=` and 64 hexadecimal digits")]
    Malformed,
    /// Signed with another secret, or changed on the way.
    #[error("the signature does not match the body")]
    Mismatch,
}

/// Checks `X-Hub-Signature-256`: HMAC-SHA256 over the body's raw bytes, compared in constant time.
///
/// Any one of the secrets will do, so that a secret can be rotated without losing deliveries; empty ones never match.
/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
///
/// # Errors
/// See [`SignatureError`].
pub fn verify_signature(
    secrets: &[SecretString],
    body: &[u8],
    header: Option<&str>,
) -> Result<(), SignatureError> {
    let mut keys = secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .filter(|secret| !secret.is_empty())
        .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
        .peekable();
    if keys.peek().is_none() {
        return Err(SignatureError::NoSecret);
    }
    let tag = read_header(header.ok_or(SignatureError::Missing)?)?;
    if keys.any(|key| hmac::verify(&key, body, &tag).is_ok()) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
    }
}

/// The value of `X-Hub-Signature-256` for a body, as GitHub would send it: `sha256=` and 64 hexadecimal digits.
#[must_use]
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, body);
    let digits: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}")
}

fn read_header(header: &str) -> Result<[u8; 32], SignatureError> {
    let digits = header
        .strip_prefix("sha256=")
        .filter(|digits| digits.len() == 64)
        .ok_or(SignatureError::Malformed)?;
    let mut tag = [0; 32];
    for (byte, pair) in tag.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        for &digit in pair {
            let value = char::from(digit)
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
                .ok_or(SignatureError::Malformed)?;
            *byte = *byte << 4 | value;
        }
    }
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's own example, from the page named above.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn check(secrets: &[&str], body: &[u8], header: Option<&str>) -> Result<(), SignatureError> {
        let secrets: Vec<SecretString> = secrets.iter().map(|&secret| secret.into()).collect();
        verify_signature(&secrets, body, header)
    }

    #[test]
    fn githubs_own_example_is_believed() {
        assert_eq!(check(&[SECRET], BODY, Some(SIGNATURE)), Ok(()));
        let upper = SIGNATURE.to_uppercase().replace("SHA256", "sha256");
        assert_eq!(check(&[SECRET], BODY, Some(&upper)), Ok(()));
    }

    #[test]
    fn either_secret_will_do_while_one_is_rotated() {
        assert_eq!(check(&["old", SECRET], BODY, Some(SIGNATURE)), Ok(()));
        assert_eq!(check(&[SECRET, "new"], BODY, Some(SIGNATURE)), Ok(()));
    }

    #[test]
    fn everything_else_is_refused() {
        use SignatureError::{Malformed, Mismatch, Missing, NoSecret};
        let wrong = SIGNATURE.replace("757107", "757108");
        let plus = SIGNATURE.replace("757107", "+57107");
        let sha1 = "sha1=757107ea0eb2509fc211221cce984b8a37570b6d";
        for (secrets, body, header, expected) in [
            (vec![SECRET], BODY, None, Missing),
            (vec![SECRET], BODY, Some(wrong.as_str()), Mismatch),
            (vec!["other"], BODY, Some(SIGNATURE), Mismatch),
            (
                vec![SECRET],
                b"Hello, World".as_slice(),
                Some(SIGNATURE),
                Mismatch,
            ),
            (vec![SECRET], BODY, Some(""), Malformed),
            (vec![SECRET], BODY, Some("sha256="), Malformed),
            (vec![SECRET], BODY, Some(&SIGNATURE[..70]), Malformed),
            (vec![SECRET], BODY, Some(plus.as_str()), Malformed),
            (vec![SECRET], BODY, Some(sha1), Malformed),
            (vec![], BODY, Some(SIGNATURE), NoSecret),
            (vec![""], BODY, Some(SIGNATURE), NoSecret),
        ] {
            assert_eq!(check(&secrets, body, header), Err(expected), "{header:?}");
        }
    }
}
