//! Web servers as they are met: what they get, and what they do not get.

use super::webhook::signature;
use super::*;
use crate::model::Timestamp;
use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// A server that takes one request, gives one answer, and tells what it got.
fn server(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook?key=hidden", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut got = String::new();
        let mut buffer = [0; 4096];
        while !got.ends_with('}') && !got.contains("Action=Publish") {
            let read = connection.read(&mut buffer).unwrap();
            got.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        connection.write_all(answer.as_bytes()).unwrap();
        got
    });
    (address, thread)
}

fn message(address: &str) -> Notification {
    Notification {
        id: "0f".to_owned(),
        destination: Destination::webhook(address).unwrap(),
        subject: "pandas 2.3.3".to_owned(),
        body: r#"{"schema":1}"#.to_owned(),
        created_at: Timestamp::from_unix(0),
        attempts: 0,
        next_attempt_at: Timestamp::from_unix(0),
    }
}

fn notifier(key: Option<&str>) -> Notifier {
    let aws = || async { Vec::new() };
    Notifier::new(aws, key.map(SecretString::from))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_posted_and_signed() {
    let (address, thread) = server("HTTP/1.1 204 No Content\r\n\r\n");
    notifier(Some("key"))
        .send(&message(&address))
        .await
        .unwrap();
    let got = thread.join().unwrap();
    assert!(
        got.starts_with("POST /hook?key=hidden HTTP/1.1\r\n"),
        "{got}"
    );
    // openssl dgst -sha256 -hmac key, over the body.
    let signed = "x-layersmith-signature-256: sha256=c785caaa38811334f824915daed75c875a563045111aa127a45c08951038149d\r\n";
    assert!(got.contains(signed), "{got}");
    assert!(got.contains("x-layersmith-delivery: 0f\r\n"), "{got}");
    assert!(got.ends_with("\r\n\r\n{\"schema\":1}"), "{got}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_nothing_is_signed() {
    let (address, thread) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    notifier(None).send(&message(&address)).await.unwrap();
    assert!(!thread.join().unwrap().contains("signature"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirection_is_not_followed() {
    let (elsewhere, _never) = server("HTTP/1.1 200 OK\r\n\r\n");
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere}\r\n\r\n");
    let (address, thread) = server(answer.leak());
    let error = notifier(None).send(&message(&address)).await.unwrap_err();
    thread.join().unwrap();
    assert_eq!(error.to_string(), "it answered 307 Temporary Redirect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_costs_a_bounded_time_and_no_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hidden", listener.local_addr().unwrap());
    let silent = Notifier {
        time_limit: Duration::from_millis(50),
        ..notifier(None)
    };
    let error = silent.send(&message(&address)).await.unwrap_err();
    assert!(error.to_string().contains("no answer"), "{error}");
    drop(listener);
    let error = notifier(None).send(&message(&address)).await.unwrap_err();
    assert!(!error.to_string().contains("hidden"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_told_with_the_credentials_of_its_partition() {
    let (address, thread) = server("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
    let endpoint = address.trim_end_matches("/hook?key=hidden").to_owned();
    let config = move |region: &str, key: &str| {
        let credentials = Credentials::new(key, "secret", None, None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws_config::Region::new(region.to_owned()))
            .endpoint_url(&endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build()
    };
    let configs = vec![config("us-east-1", "OURS"), config("cn-north-1", "CHINA")];
    let notifier = Notifier::new(move || std::future::ready(configs.clone()), None);
    let to = |arn: &str| Notification {
        destination: Destination::sns(arn).unwrap(),
        ..message(&address)
    };
    let unknown = to("arn:aws-us-gov:sns:us-gov-west-1:123456789012:layers");
    let refused = notifier.send(&unknown).await.unwrap_err();
    insta::assert_snapshot!(refused, @"there are no credentials for the partition aws-us-gov: name a role or a profile in LAYERSMITH_AWS_ROLES");
    let chinese = to("arn:aws-cn:sns:cn-northwest-1:123456789012:layers");
    notifier.send(&chinese).await.unwrap_err();
    let got = thread.join().unwrap();
    assert!(got.contains("Credential=CHINA/"), "{got}");
    assert!(got.contains("/cn-northwest-1/sns/"), "{got}");
}

#[test]
fn signatures_are_those_of_githubs_own_example() {
    // GitHub Docs, "Validating webhook deliveries".
    let key = SecretString::from("It's a Secret to Everybody");
    assert_eq!(
        signature(&key, b"Hello, World!"),
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
}
