//! Every kind of reference, and what a person reads when one leads nowhere.

use super::{SecretError, SecretSource};
use crate::model::SecretReference;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_ssm::types::ParameterType;
use axum::Router;
use axum::http::StatusCode;
use moto::Moto;
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[expect(
    clippy::duplicate_mod,
    reason = "rooms on one floor know nothing of each other, and both are tested against moto"
)]
#[path = "../registry/tests/moto.rs"]
mod moto;

fn config(url: &str) -> SdkConfig {
    let keys = Credentials::new("testing", "testing", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

fn source(config: impl Fn() -> SdkConfig + Send + Sync + 'static) -> SecretSource {
    SecretSource::new(
        move || std::future::ready(config()),
        Arc::new(|name| match name {
            "WEBHOOK_SECRET" => Some("hunter2\n".to_owned()),
            "BLANK" => Some("\r\n".to_owned()),
            _ => None,
        }),
    )
}

/// A source for which AWS must not be needed.
fn local() -> SecretSource {
    source(|| panic!("AWS was asked for a secret that is not there"))
}

async fn read(source: &SecretSource, reference: &str) -> Result<String, SecretError> {
    let reference: SecretReference = reference.parse().unwrap();
    let secret = source.read(&reference).await?;
    Ok(secret.expose_secret().to_owned())
}

async fn failure(source: &SecretSource, reference: &str) -> String {
    let error = read(source, reference).await.unwrap_err();
    let shown = error.to_string();
    assert!(
        !format!("{shown} {error:?}").contains("hunter2"),
        "{error:?}"
    );
    shown
}

#[tokio::test]
async fn plain_values_and_environment_variables() {
    let source = local();
    assert_eq!(read(&source, "hunter2").await.unwrap(), "hunter2");
    assert_eq!(read(&source, "two\n\n").await.unwrap(), "two\n");
    assert_eq!(
        read(&source, "env:WEBHOOK_SECRET").await.unwrap(),
        "hunter2"
    );
    insta::assert_snapshot!(failure(&source, "env:NOTHING").await, @"env:NOTHING: the environment variable is not set: set it, or point the setting somewhere else");
    insta::assert_snapshot!(failure(&source, "env:BLANK").await, @"env:BLANK: the value is empty: put the secret there");
    assert!(!format!("{source:?}").contains("hunter2"));
}

#[tokio::test]
async fn files() {
    let folder = tempfile::tempdir().unwrap();
    let source = local();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        format!("file:{}", path.display())
    };
    let key = write(
        "key",
        b"-----BEGIN KEY-----\nhunter2\n-----END KEY-----\r\n",
    );
    assert_eq!(
        read(&source, &key).await.unwrap(),
        "-----BEGIN KEY-----\nhunter2\n-----END KEY-----"
    );
    let mut shown = Vec::new();
    for reference in [
        format!("file:{}", folder.path().join("nothing").display()),
        format!("file:{}", folder.path().display()),
        write("empty", b"\n"),
        write("binary", b"hunter2\xff"),
        write("large", &vec![b'x'; 65_537]),
    ] {
        let text = failure(&source, &reference).await;
        shown.push(text.replace(&folder.path().display().to_string(), "FOLDER"));
    }
    insta::assert_snapshot!(shown.join("\n"), @r"
    file:FOLDER/nothing: cannot be read (No such file or directory (os error 2)): put the secret there, or correct the path
    file:FOLDER: cannot be read (Is a directory (os error 21)): point the setting at a file that can be read
    file:FOLDER/empty: the value is empty: put the secret there
    file:FOLDER/binary: is not text in UTF-8: point the setting at the file that holds the secret and nothing else
    file:FOLDER/large: is larger than 64 KiB: point the setting at the file that holds the secret and nothing else
    ");
}

/// Runs the work on this thread and returns what was logged meanwhile.
fn logged(work: impl Future<Output = ()>) -> String {
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let dispatch = tracing::Dispatch::new(subscriber);
    // Files are read on blocking threads, so each thread gets the subscriber.
    let on_thread = dispatch.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&on_thread)))
        .build()
        .unwrap();
    tracing::dispatcher::with_default(&dispatch, || runtime.block_on(work));
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[cfg(unix)]
#[test]
fn a_file_that_everybody_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "hunter2").unwrap();
    let reference = format!("file:{}", path.display());
    let read_with_mode = |mode: u32| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        logged(async {
            read(&local(), &reference).await.unwrap();
        })
    };
    assert_eq!(read_with_mode(0o600), "");
    let warning = read_with_mode(0o644);
    assert!(
        warning.contains("WARN") && warning.contains("chmod 600"),
        "{warning}"
    );
    assert!(!warning.contains("hunter2"), "{warning}");
}

async fn fill(config: &SdkConfig) {
    let parameters = aws_sdk_ssm::Client::new(config);
    for (name, kind) in [
        ("/layersmith/deploy-key", ParameterType::SecureString),
        ("/layersmith/text", ParameterType::String),
    ] {
        let put = parameters.put_parameter().name(name).r#type(kind);
        put.value("hunter2 key\n").send().await.unwrap();
    }
    let secrets = aws_sdk_secretsmanager::Client::new(config);
    for (name, value) in [
        ("layersmith/plain", "hunter2"),
        (
            "layersmith/github",
            r#"{"webhook_secret": "hunter2", "app_id": 1234567, "nested": {"hunter2": 1}, "blank": ""}"#,
        ),
    ] {
        let create = secrets.create_secret().name(name);
        create.secret_string(value).send().await.unwrap();
    }
    let create = secrets.create_secret().name("layersmith/binary");
    let blob = aws_sdk_secretsmanager::primitives::Blob::new("hunter2");
    create.secret_binary(blob).send().await.unwrap();
}

#[tokio::test]
async fn secrets_in_aws() {
    let Some(moto) = Moto::start() else { return };
    let config = config(&moto.url);
    fill(&config).await;
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let source = source(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        config.clone()
    });
    let secret = async |reference: &str| read(&source, reference).await.unwrap();
    assert_eq!(secret("env:WEBHOOK_SECRET").await, "hunter2");
    assert_eq!(
        made.load(Ordering::SeqCst),
        0,
        "AWS is not asked before it is needed"
    );
    assert_eq!(secret("ssm:/layersmith/deploy-key").await, "hunter2 key");
    assert_eq!(secret("ssm:/layersmith/text").await, "hunter2 key");
    assert_eq!(secret("secretsmanager:layersmith/plain").await, "hunter2");
    assert_eq!(
        secret("secretsmanager:layersmith/github#webhook_secret").await,
        "hunter2"
    );
    assert_eq!(
        secret("secretsmanager:layersmith/github#app_id").await,
        "1234567"
    );
    assert_eq!(made.load(Ordering::SeqCst), 1);

    let mut shown = Vec::new();
    for reference in [
        "ssm:/layersmith/nothing",
        "ssm:/layersmith/deploy-key:9",
        "secretsmanager:layersmith/nothing",
        "secretsmanager:layersmith/github#webhook-secret",
        "secretsmanager:layersmith/github#nested",
        "secretsmanager:layersmith/github#blank",
        "secretsmanager:layersmith/plain#key",
        "secretsmanager:layersmith/binary",
        "secretsmanager:arn:aws:secretsmanager:us-west-2:123456789012:secret:layersmith/plain",
    ] {
        shown.push(failure(&source, reference).await);
    }
    insta::assert_snapshot!(shown.join("\n"), @r"
    ssm:/layersmith/nothing: does not exist in eu-west-1: create it there, or correct the name or the region
    ssm:/layersmith/deploy-key:9: does not exist in eu-west-1: create it there, or correct the name or the region
    secretsmanager:layersmith/nothing: does not exist in eu-west-1: create it there, or correct the name or the region
    secretsmanager:layersmith/github#webhook-secret: the secret has no key `webhook-secret`: it has `app_id`, `blank`, `nested`, `webhook_secret`
    secretsmanager:layersmith/github#nested: what the key names is neither a text nor a number: store it as a JSON string
    secretsmanager:layersmith/github#blank: the value is empty: put the secret there
    secretsmanager:layersmith/plain#key: the secret is not a JSON object: leave out the `#` and the key, or store it as JSON
    secretsmanager:layersmith/binary: the secret is binary: store it as text
    secretsmanager:arn:aws:secretsmanager:us-west-2:123456789012:secret:layersmith/plain: does not exist in us-west-2: create it there, or correct the name or the region
    ");
}

/// A source whose AWS answers every request with one error.
async fn refusing(status: StatusCode, code: &'static str) -> SecretSource {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = format!(r#"{{"__type": "{code}", "message": "the words of AWS"}}"#);
    let router = Router::new().fallback(move || std::future::ready((status, body.clone())));
    tokio::spawn(axum::serve(listener, router).into_future());
    source(move || config(&url))
}

#[tokio::test]
async fn what_aws_says_no_to() {
    let denied = refusing(StatusCode::BAD_REQUEST, "AccessDeniedException").await;
    let key_off = refusing(StatusCode::BAD_REQUEST, "InvalidKeyId").await;
    let shown = [
        failure(&denied, "ssm:/layersmith/deploy-key").await,
        failure(&denied, "secretsmanager:layersmith/github#app_id").await,
        failure(&key_off, "ssm:/layersmith/deploy-key").await,
    ];
    insta::assert_snapshot!(shown.join("\n"), @r"
    ssm:/layersmith/deploy-key: access denied (the words of AWS): allow this role `ssm:GetParameter` on it, and `kms:Decrypt` on its key if it has one of its own
    secretsmanager:layersmith/github#app_id: access denied (the words of AWS): allow this role `secretsmanager:GetSecretValue` on it, and `kms:Decrypt` on its key if it has one of its own
    ssm:/layersmith/deploy-key: AWS did not hand it out: InvalidKeyId: the words of AWS
    ");
}

#[tokio::test]
async fn without_credentials_or_an_answer() {
    #[derive(Debug)]
    struct Nobody;
    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            Provided::ready(Err(CredentialsError::not_loaded("nothing to be found")))
        }
    }
    let nobody = SharedCredentialsProvider::new(Nobody);
    let config_without = config("http://127.0.0.1:9")
        .into_builder()
        .credentials_provider(nobody)
        .build();
    let source_without = source(move || config_without.clone());
    insta::assert_snapshot!(failure(&source_without, "ssm:/layersmith/deploy-key").await, @"ssm:/layersmith/deploy-key: no credentials for AWS were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let unreachable = source(move || config(&url));
    let shown = failure(&unreachable, "secretsmanager:layersmith/github").await;
    assert!(
        shown.starts_with("secretsmanager:layersmith/github: AWS did not hand it out: "),
        "{shown}"
    );
}
