//! Web hooks as they travel.

use aws_lc_rs::hmac;
use layersmith_testbed::github::DeliveryMode;

use crate::support::{Bench, REQUEST_FILE, Receiver};

#[tokio::test]
async fn web_hooks_are_signed_and_can_be_lost_repeated_and_held_back() {
    let bench = Bench::start().await;
    let hook = Receiver::start().await;
    let double = &bench.double;
    double.set_hook_url(&hook.url);
    double.ping().await;
    let ping = hook.take().remove(0);
    let key = hmac::Key::new(hmac::HMAC_SHA256, double.webhook_secret().as_bytes());
    let tag: String = hmac::sign(&key, &ping.raw)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(ping.header("x-hub-signature-256"), format!("sha256={tag}"));
    assert_eq!(
        ping.header("x-github-hook-id"),
        ping.payload["hook_id"].to_string()
    );

    double.set_delivery_mode(DeliveryMode::Lost);
    let number = double
        .open_pull_request(
            "requests",
            "Add requests",
            [(REQUEST_FILE, "packages: [requests]\n")],
            "mona",
        )
        .await;
    assert_eq!(hook.take_names(), Vec::<String>::new());
    let (_, failed) = bench
        .send_as(
            &crate::support::assertion(double, 0, 60),
            "GET",
            "/app/hook/deliveries?status=failure",
            None,
        )
        .await;
    assert_eq!(failed.as_array().unwrap().len(), 2);
    double.set_delivery_mode(DeliveryMode::Automatic);
    let attempts = format!("/app/hook/deliveries/{}/attempts", failed[0]["id"]);
    let (status, _) = bench
        .send_as(
            &crate::support::assertion(double, 0, 60),
            "POST",
            &attempts,
            None,
        )
        .await;
    assert_eq!(status, 202);
    let again = double.redeliver(failed[1]["guid"].as_str().unwrap()).await;
    assert_eq!((again.status, again.redelivery), (202, true));
    // The attempt asked for through the interface is sent before the one asked for afterwards.
    assert_eq!(hook.take_names(), ["pull_request opened", "push"]);

    double.set_delivery_mode(DeliveryMode::Twice);
    double.comment(number, "mona", "/layersmith plan").await;
    let twice = hook.take();
    assert_eq!(twice.len(), 2);
    assert_eq!(
        twice[0].header("x-github-delivery"),
        twice[1].header("x-github-delivery")
    );

    double.set_delivery_mode(DeliveryMode::Manual);
    double.close(number).await;
    assert_eq!(hook.take_names(), Vec::<String>::new());
    double.deliver_pending().await;
    assert_eq!(hook.take_names(), ["pull_request closed"]);
    bench.assert_clean();
}
