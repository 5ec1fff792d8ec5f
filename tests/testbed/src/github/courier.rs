//! Takes web hooks to their receiver, signed, and writes down what it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use time::OffsetDateTime;

use super::Shared;
use super::state::{DeliveryMode, Hook};
use crate::support::timestamp;

/// After these seconds without an answer GitHub calls a delivery failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The value of `X-Hub-Signature-256` for a body, with the web hook's secret.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    let digits: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}")
}

impl Shared {
    /// Sends what waits, in order, unless that is to be done by hand.
    pub(crate) async fn send_waiting(self: &Arc<Self>) {
        if self.lock().hook.mode != DeliveryMode::Manual {
            self.send_all().await;
        }
    }

    /// Sends what waits, in order, whatever the mode.
    pub(crate) async fn send_all(self: &Arc<Self>) {
        // One sender at a time, so that deliveries keep their order.
        let _turn = self.courier.lock().await;
        loop {
            let next = {
                let mut state = self.lock();
                (!state.outbox.is_empty()).then(|| state.outbox.remove(0))
            };
            let Some(id) = next else { return };
            self.send(id).await;
        }
    }

    /// Sends one delivery in its turn.
    pub(crate) async fn send_one(&self, id: u64) {
        let _turn = self.courier.lock().await;
        self.send(id).await;
    }

    async fn send(&self, id: u64) {
        let (delivery, url, body, signature, hook_id) = {
            let state = self.lock();
            let delivery = state
                .deliveries
                .iter()
                .find(|delivery| delivery.id == id)
                .expect("what waits was recorded")
                .clone();
            let Hook {
                id: hook_id,
                url,
                secret,
                ..
            } = &state.hook;
            let body = delivery.payload.to_string();
            let signature = signature(secret, body.as_bytes());
            (
                delivery,
                url.clone().unwrap_or_default(),
                body,
                signature,
                *hook_id,
            )
        };
        let started = Instant::now();
        let sent = self
            .client
            .post(url)
            .timeout(PATIENCE)
            .header("content-type", "application/json")
            .header("user-agent", "GitHub-Hookshot/044aadd")
            .header("x-github-delivery", &delivery.guid)
            .header("x-github-event", &delivery.event)
            .header("x-github-hook-id", hook_id)
            .header("x-github-hook-installation-target-type", "integration")
            .header("x-hub-signature-256", signature)
            .body(body)
            .send()
            .await;
        let (status, answer) = match sent {
            Ok(response) => (
                response.status().as_u16(),
                response.text().await.unwrap_or_default(),
            ),
            Err(error) => (502, error.to_string()),
        };
        let mut state = self.lock();
        let recorded = state
            .deliveries
            .iter_mut()
            .find(|delivery| delivery.id == id)
            .expect("deliveries are never removed");
        (recorded.status, recorded.answer, recorded.seconds) =
            (status, answer, started.elapsed().as_secs_f64());
        recorded.delivered_at = timestamp(OffsetDateTime::now_utc());
    }
}
