//! A web server that takes a signed POST.

use super::NotifyError;
use crate::model::Notification;
use aws_lc_rs::hmac;
use reqwest::Client;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;

/// A client that goes where it is sent and nowhere else: what answers with a redirection has not taken the message.
///
/// # Errors
/// When the machine's certificates cannot be used.
pub(super) fn client(time_limit: Duration) -> Result<Client, NotifyError> {
    Client::builder()
        .user_agent(concat!("layersmith/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(time_limit / 2)
        .timeout(time_limit)
        .redirect(Policy::none())
        .build()
        .map_err(|error| NotifyError(format!("HTTP cannot be set up: {error}")))
}

/// Any 2xx is taken for "received". The answer's body is not read, so its size does not matter.
pub(super) async fn post(
    client: &Client,
    address: &str,
    signing_key: Option<&SecretString>,
    notification: &Notification,
) -> Result<(), NotifyError> {
    let body = notification.body.as_bytes();
    let mut request = client
        .post(address)
        .header("content-type", "application/json")
        .header("x-layersmith-delivery", &notification.id);
    if let Some(key) = signing_key {
        request = request.header("x-layersmith-signature-256", signature(key, body));
    }
    let response = request
        .body(body.to_vec())
        .send()
        .await
        // The address may be a secret by itself.
        .map_err(|error| NotifyError(chain(&error.without_url())))?;
    let status = response.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(NotifyError(format!("it answered {status}")))
    }
}

/// `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits, as GitHub signs its webhooks.
pub(super) fn signature(key: &SecretString, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes());
    let digits: String = hmac::sign(&key, body)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}")
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
