//! Settings typed wrong: the server does not start, says which one and what to write, and repeats no secret.

use crate::bad_input::annotations;
use crate::world::World;
use layersmith_testbed::bot::BotOptions;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long a server that cannot start may take to say so.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts `serve` with these options and waits for its end: its exit code and what it said.
fn refused(options: &BotOptions) -> (i32, String) {
    let mut process = options
        .command()
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = wait(&mut process);
    let mut said = String::new();
    process
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    (status, said)
}

fn wait(process: &mut Child) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status.code().unwrap();
        }
        if Instant::now() > deadline {
            process.kill().unwrap();
            panic!("the server started, or does not come to an end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_work_does_not_start_and_says_what_to_write() {
    let world = World::start().await;
    let unset = "";
    let cases: [(&str, &str); 23] = [
        ("LAYERSMITH_WEBHOOK_SECRET", "env:hush=hush"),
        ("LAYERSMITH_DEPLOY_KEY", "secretsmanager:#hush"),
        ("LAYERSMITH_GITHUB_TOKEN", "env:hush=hush"),
        ("LAYERSMITH_WEBHOOK_SECRET", unset),
        ("LAYERSMITH_WEBHOOK_SECRET", "\n  \n"),
        ("LAYERSMITH_WEBHOOK_SECRET", "file:/nowhere/secret"),
        ("LAYERSMITH_WEBHOOK_SECRET", "env:NOT_SET"),
        ("LAYERSMITH_GITHUB_PRIVATE_KEY", unset),
        ("LAYERSMITH_GITHUB_PRIVATE_KEY", "hunter2-hunter2"),
        ("LAYERSMITH_GITHUB_APP_ID", unset),
        ("LAYERSMITH_GITHUB_APP_ID", "my-app"),
        ("LAYERSMITH_GITHUB_API_URL", "api.github.com"),
        ("LAYERSMITH_GITHUB_WRITE_INTERVAL", "-1"),
        ("LAYERSMITH_GITHUB_TIMEOUT", "soon"),
        ("LAYERSMITH_REPOSITORY", "catalog"),
        ("LAYERSMITH_STORE", "postgres:layers"),
        ("LAYERSMITH_REGISTRY", "s3:bucket"),
        ("LAYERSMITH_ARTIFACTS", "s3://Bucket"),
        (
            "LAYERSMITH_AWS_ROLES",
            "arn:aws:iam::123456789012:role/a,arn:aws:iam::210987654321:role/b",
        ),
        ("LAYERSMITH_GIT_IDENTITY", "Layersmith"),
        ("LAYERSMITH_KNOWN_HOSTS", "github.com"),
        ("LAYERSMITH_GIT_URL", "https://github.com/octo/catalog.git"),
        ("LAYERSMITH_LOG", "layersmith=loud"),
    ];
    let mut text = String::new();
    for (name, value) in cases {
        let mut options = world.options.clone();
        options.variables.retain(|(known, _)| known != name);
        if !value.is_empty() {
            options.set(name, value);
        }
        let (code, said) = refused(&options);
        assert!(
            !said.contains("hush") && !said.contains("hunter2"),
            "{said}"
        );
        text.push_str(&format!("{name}={value:?}: {code}\n{said}\n"));
    }
    for secret in [
        world.github.webhook_secret(),
        world
            .github
            .app_private_key_pem()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned(),
        world.git.writing_key().lines().nth(1).unwrap().to_owned(),
    ] {
        assert!(!text.contains(&secret), "a secret is told: {text}");
    }
    insta::assert_snapshot!(text, @r#"
        LAYERSMITH_WEBHOOK_SECRET="env:hush=hush": 2
        error: invalid value '***' for '--webhook-secret <SECRET>': `env:` wants the name of an environment variable: env:WEBHOOK_SECRET

        For more information, try '--help'.

        LAYERSMITH_DEPLOY_KEY="secretsmanager:#hush": 2
        error: invalid value '***' for '--deploy-key <SECRET>': `secretsmanager:` wants a secret's name, and after a `#` the key in it: secretsmanager:layersmith/webhook#webhook_secret

        For more information, try '--help'.

        LAYERSMITH_GITHUB_TOKEN="env:hush=hush": 2
        error: invalid value '***' for '--github-token <SECRET>': `env:` wants the name of an environment variable: env:WEBHOOK_SECRET

        For more information, try '--help'.

        LAYERSMITH_WEBHOOK_SECRET="": 1
        error: webhooks without a secret are anybody's: set LAYERSMITH_WEBHOOK_SECRET

        LAYERSMITH_WEBHOOK_SECRET="\n  \n": 1
        error: webhooks without a secret are anybody's: set LAYERSMITH_WEBHOOK_SECRET

        LAYERSMITH_WEBHOOK_SECRET="file:/nowhere/secret": 1
        error: LAYERSMITH_WEBHOOK_SECRET: file:/nowhere/secret: cannot be read (No such file or directory (os error 2)): put the secret there, or correct the path

        LAYERSMITH_WEBHOOK_SECRET="env:NOT_SET": 1
        error: LAYERSMITH_WEBHOOK_SECRET: env:NOT_SET: the environment variable is not set: set it, or point the setting somewhere else

        LAYERSMITH_GITHUB_PRIVATE_KEY="": 1
        error: a GitHub App is named without its key: set LAYERSMITH_GITHUB_PRIVATE_KEY

        LAYERSMITH_GITHUB_PRIVATE_KEY="hunter2-hunter2": 1
        error: the GitHub App's private key is not an RSA key in PEM (`-----BEGIN RSA PRIVATE KEY-----`)

        LAYERSMITH_GITHUB_APP_ID="": 1
        error: GitHub does not know the bot: set LAYERSMITH_GITHUB_APP_ID and LAYERSMITH_GITHUB_PRIVATE_KEY, or LAYERSMITH_GITHUB_TOKEN

        LAYERSMITH_GITHUB_APP_ID="my-app": 2
        error: invalid value 'my-app' for '--github-app-id <ID>': invalid digit found in string

        For more information, try '--help'.

        LAYERSMITH_GITHUB_API_URL="api.github.com": 1
        error: `api.github.com` is not the address of GitHub's API: write it as https://api.github.com

        LAYERSMITH_GITHUB_WRITE_INTERVAL="-1": 1
        error: LAYERSMITH_GITHUB_WRITE_INTERVAL is no number of seconds: cannot convert float seconds to Duration: value is negative

        LAYERSMITH_GITHUB_TIMEOUT="soon": 2
        error: invalid value 'soon' for '--github-timeout <SECONDS>': invalid digit found in string

        For more information, try '--help'.

        LAYERSMITH_REPOSITORY="catalog": 2
        error: invalid value 'catalog' for '--repository <OWNER/NAME>': `catalog` is not a repository: write it as owner/name

        For more information, try '--help'.

        LAYERSMITH_STORE="postgres:layers": 2
        error: invalid value 'postgres:layers' for '--store <STORE>': `postgres:layers` is not a store: write `sqlite:PATH` or `dynamodb:TABLE`

        For more information, try '--help'.

        LAYERSMITH_REGISTRY="s3:bucket": 2
        error: invalid value 's3:bucket' for '--registry <REGISTRY>': `s3:bucket` is not a registry: write `dir:PATH` or `aws`

        For more information, try '--help'.

        LAYERSMITH_ARTIFACTS="s3://Bucket": 2
        error: invalid value 's3://Bucket' for '--artifacts <ARTIFACTS>': `s3://Bucket` is not a place for artifacts: write `dir:PATH` or `s3://BUCKET/PREFIX`

        For more information, try '--help'.

        LAYERSMITH_AWS_ROLES="arn:aws:iam::123456789012:role/a,arn:aws:iam::210987654321:role/b": 2
        error: invalid value 'arn:aws:iam::123456789012:role/a,arn:aws:iam::210987654321:role/b' for '--aws-roles <ROLES>': there are two for the partition aws: name one account for each partition

        For more information, try '--help'.

        LAYERSMITH_GIT_IDENTITY="Layersmith": 2
        error: invalid value 'Layersmith' for '--git-identity <IDENTITY>': `Layersmith` is not an identity: write `Name <address@example.com>`

        For more information, try '--help'.

        LAYERSMITH_KNOWN_HOSTS="github.com": 1
        error: line 1 of the known hosts (LAYERSMITH_KNOWN_HOSTS) has not three words: write it as `host ssh-ed25519 AAAA…`, as ssh-keyscan prints it

        LAYERSMITH_GIT_URL="https://github.com/octo/catalog.git": 1
        error: the address of the catalog repository is not one of SSH: write ssh://git@HOST/OWNER/NAME.git or git@HOST:OWNER/NAME.git

        LAYERSMITH_LOG="layersmith=loud": 2
        error: --log: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5

        Usage: layersmith [OPTIONS] <COMMAND>

        For more information, try '--help'.
        "#);
    world.finish().await;
}

/// The server is an engine itself: one that leaves runs to state machines would start what nobody carries out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_does_not_start_with_the_engine_of_functions() {
    let mut world = World::prepare("[eu-west-1]", "").await;
    world.options.set(
        "LAYERSMITH_ENGINE",
        "stepfunctions:arn:aws:states:eu-central-1:123456789012:stateMachine:layersmith",
    );
    let (code, said) = refused(&world.options);
    assert_eq!(code, 2);
    insta::assert_snapshot!(said, @"error: `serve` carries runs out itself; LAYERSMITH_ENGINE=stepfunctions:arn:aws:states:eu-central-1:123456789012:stateMachine:layersmith is for functions on AWS Lambda");
}

/// Whoever deploys a function with settings that cannot be read finds why in its log, and no secret there.
#[test]
fn a_function_that_cannot_read_its_settings_says_which() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, why) in [
        (
            "LAYERSMITH_STORE",
            "postgres:hush",
            "the value of LAYERSMITH_STORE cannot be read",
        ),
        (
            "LAYERSMITH_DEPLOY_KEY",
            "secretsmanager:#hush",
            "the value of LAYERSMITH_DEPLOY_KEY cannot be read",
        ),
        (
            "LAYERSMITH_FUNCTION",
            "hush",
            "the value of LAYERSMITH_FUNCTION cannot be read",
        ),
        (
            "LAYERSMITH_LOG",
            "layersmith=loud",
            "LAYERSMITH_LOG: error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5",
        ),
    ] {
        let mut options = BotOptions::new(env!("CARGO_BIN_EXE_layersmith"), folder.path());
        options.set("LAYERSMITH_FUNCTION", "plan");
        options.set(name, value);
        let output = options.command().output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert_eq!(said, format!("the function cannot start: {why}\n"));
        assert_eq!(output.stdout, b"", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_uv_the_author_reads_that_it_is_not_their_mistake() {
    let request = "packages:\n  - demo-core\npython: [\"3.13\"]\narchitectures: [x86_64]\n";
    let world = World::start_with("", |options, _| {
        options.set("LAYERSMITH_UV", "/nowhere/uv");
    })
    .await;
    let number = world.pull_request(&[("layers/core.yaml", request)]).await;
    world.settled().await;
    insta::assert_snapshot!(annotations(&world, number), @"
        failure: 1 build did not work out this time
        layers/core.yaml:2:5 failure core is not possible for p3.13: uv, which resolves packages, is missing where Layersmith runs. Whoever runs it can install it with `pip install uv` or `pipx install uv`, or set `LAYERSMITH_UV` to its path.
        ");
    let doctor = world.command(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("pip install uv"), "{said}");
    world.comment(number);
    world.finish().await;

    let world = World::start_with("", |options, _| {
        options
            .variables
            .retain(|(name, _)| name != "LAYERSMITH_UV");
        options.set("PATH", "/nowhere");
    })
    .await;
    let number = world.pull_request(&[("layers/core.yaml", request)]).await;
    world.settled().await;
    let again = annotations(&world, number);
    assert!(again.contains("pip install uv"), "{again}");
    world.comment(number);
    world.finish().await;
}
