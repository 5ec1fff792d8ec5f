//! AWS as it is on bad days: regions that refuse, hang or lose answers, secrets that are not there.

use crate::aws::use_aws;
use crate::command_line::Desk;
use layersmith_testbed::aws_proxy::{AwsCall, AwsFault, AwsProxy};
use layersmith_testbed::moto::Moto;
use std::process::Stdio;
use std::time::Duration;

const LAYER: &str = "Layersmith-p313-demo";

/// A desk that publishes one layer to three regions of AWS.
pub(crate) async fn desk_on_aws(endpoint: &str) -> Desk {
    let mut desk = Desk::new().await;
    use_aws(&mut desk.options, endpoint);
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\nregions: [eu-west-1, us-east-1, sa-east-1]\n",
    );
    let url = desk.index.url();
    let policy = format!("python: [\"3.13\"]\narchitectures: [x86_64]\nindex_url: {url}\n");
    desk.write(".github/layersmith.yaml", &policy);
    desk
}

/// The numbers of the layer's versions in each of the three regions.
async fn numbers(moto: &Moto) -> [Vec<u64>; 3] {
    let mut all = [const { Vec::new() }; 3];
    for (n, region) in ["eu-west-1", "us-east-1", "sa-east-1"].iter().enumerate() {
        let versions = moto.layer_versions(region, LAYER).await;
        all[n] = versions.iter().map(|version| version.version).collect();
    }
    all
}

/// One region fails in some way; the others are published, the failure is told, and the next apply makes up for it.
async fn one_region_fails(fault: AwsFault, told: &str) {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let mut desk = desk_on_aws(&proxy.endpoint()).await;
    if fault == AwsFault::Hang {
        // Every try is waited for to its end.
        desk.options.set("LAYERSMITH_AWS_TIMEOUT", "1");
    }
    proxy.fail_region("sa-east-1", fault);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(
        said.stdout.contains("published 1.1.0 to 2 regions\n"),
        "{said:#?}"
    );
    assert!(said.stdout.contains("FAILED    sa-east-1: "), "{said:#?}");
    assert!(said.stdout.contains(told), "{said:#?}");
    assert_eq!(numbers(&moto).await, [vec![1], vec![1], vec![]]);

    proxy.repair();
    let again = desk.run(&["apply"]);
    assert_eq!(again.code, 0, "{again:#?}");
    assert!(
        again
            .stdout
            .contains("published 1.1.0 to 1 more region, live in 3\n"),
        "{again:#?}"
    );
    assert_eq!(numbers(&moto).await, [vec![1], vec![1], vec![1]]);
    assert_eq!(proxy.publications("us-east-1"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_is_broken_stops_no_other() {
    let fault = AwsFault::Refuse(503, "ServiceException");
    one_region_fails(fault, "(another try may help)").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_always_asks_to_slow_down_stops_no_other() {
    let fault = AwsFault::Refuse(429, "TooManyRequestsException");
    one_region_fails(fault, "AWS Lambda asks to slow down: ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_hangs_stops_no_other() {
    one_region_fails(AwsFault::Hang, "no answer: ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_the_account_has_not_enabled_is_no_failure_and_is_filled_later() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let desk = desk_on_aws(&proxy.endpoint()).await;
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\nregions: [us-east-1, af-south-1]\n",
    );
    proxy.disable_regions(&["af-south-1"]);
    let told = "1 region not enabled in the account, left out: af-south-1\n";
    let planned = desk.run(&["plan"]);
    assert_eq!(planned.code, 0, "{planned:#?}");
    assert!(planned.stdout.contains(told), "{planned:#?}");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.stdout.contains("published 1.1.0 to 1 region\n"),
        "{said:#?}"
    );
    assert!(said.stdout.contains(told), "{said:#?}");
    assert!(!said.stdout.contains("FAILED"), "{said:#?}");
    assert_eq!(proxy.publications("af-south-1"), 0);

    proxy.disable_regions(&[]);
    let again = desk.run(&["apply"]);
    assert_eq!(again.code, 0, "{again:#?}");
    assert!(
        again
            .stdout
            .contains("published 1.1.0 to 1 more region, live in 2\n"),
        "{again:#?}"
    );
    assert!(!again.stdout.contains("not enabled"), "{again:#?}");

    // Not enabled any more, it is neither wrong nor a failure.
    proxy.disable_regions(&["af-south-1"]);
    let said = desk.run(&["verify", "--repair"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.stdout.starts_with(told), "{said:#?}");
    assert!(!said.stdout.contains("NOT"), "{said:#?}");
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app ==1.0.0]\nregions: [us-east-1, af-south-1]\n",
    );
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.remove("layers/demo.yaml");
    assert_eq!(desk.run(&["apply"]).code, 0);
    desk.days_pass(366);
    let said = desk.run(&["expire"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.stdout.starts_with("Deleted 2 versions:\n"),
        "{said:#?}"
    );
    assert!(said.stdout.contains(told), "{said:#?}");
    assert!(!said.stdout.contains("FAILED"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_says_itself_that_it_is_not_enabled_is_no_failure() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    proxy.keep_regions_secret();
    let desk = desk_on_aws(&proxy.endpoint()).await;
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\nregions: [us-east-1, af-south-1]\n",
    );
    let fault = AwsFault::Refuse(403, "UnrecognizedClientException");
    proxy.fail_region("af-south-1", fault);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.stdout
            .contains("1 region not enabled in the account, left out: af-south-1\n"),
        "{said:#?}"
    );
    let store = rusqlite::Connection::open(desk.data("store.sqlite")).unwrap();
    let sql = "SELECT count(*) FROM layer_versions WHERE state = 'intent'";
    let intents: i64 = store.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(intents, 0, "nothing waits there to be looked for");

    // It says so after it took the zip, as AWS does to keys that somebody switched off meanwhile.
    proxy.repair();
    proxy.fail_call("af-south-1", AwsCall::Share, fault, usize::MAX);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let intents: i64 = store.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(intents, 1, "there is something to be looked for");
    proxy.repair();
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(moto.layer_versions("af-south-1", LAYER).await.len(), 1);
    assert_eq!(proxy.publications("af-south-1"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_the_account_has_and_that_does_not_know_the_keys_is_a_failure() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let desk = desk_on_aws(&proxy.endpoint()).await;
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\nregions: [us-east-1, af-south-1]\n",
    );
    let fault = AwsFault::Refuse(403, "UnrecognizedClientException");
    proxy.fail_region("af-south-1", fault);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 1, "{said:#?}");
    let told = "FAILED    af-south-1: refused: the keys are not known there";
    assert!(said.stdout.contains(told), "{said:#?}");
    assert!(!said.stdout.contains("not enabled"), "{said:#?}");
    proxy.repair();
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(proxy.publications("af-south-1"), 1);

    proxy.fail_region("af-south-1", fault);
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 1, "{said:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_assumed_and_other_partitions_are_published_to() {
    let moto = Moto::start().await;
    let mut desk = desk_on_aws(&moto.endpoint()).await;
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\nregions: [us-east-1, cn-north-1, us-gov-west-1]\n",
    );
    desk.options.set(
        "LAYERSMITH_AWS_ROLES",
        "arn:aws:iam::999999999999:role/layers,arn:aws-cn:iam::888888888888:role/layers",
    );
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(
        said.stdout
            .contains("arn:aws:lambda:us-east-1:999999999999:layer:Layersmith-p313-demo:1"),
        "{said:#?}"
    );
    assert!(
        said.stdout.contains("FAILED    us-gov-west-1: refused: there are no credentials for the partition aws-us-gov"),
        "{said:#?}"
    );
    let table = std::fs::read_to_string(desk.path("layers/arns/p3.13/cn-north-1.csv")).unwrap();
    assert!(
        table.contains("arn:aws-cn:lambda:cn-north-1:888888888888:layer:Layersmith-p313-demo:1"),
        "{table}"
    );
    let doctor = desk.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("36 regions of aws, aws-cn"),
        "{doctor:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_may_name_a_role() {
    let moto = Moto::start().await;
    let mut desk = desk_on_aws(&moto.endpoint()).await;
    desk.write(
        "layers/demo.yaml",
        "packages: [demo-app]\nregions: [us-east-1, cn-north-1]\n",
    );
    desk.write(
        "aws-config",
        "[profile keys]\naws_access_key_id = testing\naws_secret_access_key = testing\n
[profile china]\nrole_arn = arn:aws-cn:iam::888888888888:role/layers\nsource_profile = keys\n",
    );
    desk.options.set("AWS_CONFIG_FILE", desk.path("aws-config"));
    desk.options
        .set("LAYERSMITH_AWS_ROLES", "aws-cn=profile:china");
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let table = std::fs::read_to_string(desk.path("layers/arns/p3.13/cn-north-1.csv")).unwrap();
    let arn = "arn:aws-cn:lambda:cn-north-1:888888888888:layer:Layersmith-p313-demo:1";
    assert!(table.contains(arn), "{table}");
}

/// A small call has two seconds, so a publication is waited for six, and AWS may be at work on it for eight.
async fn unheard_it_is_published_once(late: AwsFault) {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let mut desk = desk_on_aws(&proxy.endpoint()).await;
    desk.options.set("LAYERSMITH_AWS_TIMEOUT", "2");
    proxy.fail_publishing("eu-west-1", late, 1);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(proxy.publications("eu-west-1"), 1);
    assert_eq!(numbers(&moto).await, [vec![1], vec![1], vec![1]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_that_takes_effect_after_it_was_given_up_makes_no_second_one() {
    unheard_it_is_published_once(AwsFault::Late(Duration::from_secs(7))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_that_takes_effect_after_its_connection_broke_makes_no_second_one() {
    unheard_it_is_published_once(AwsFault::LateAfterReset(Duration::from_secs(5))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_that_takes_effect_after_its_process_was_killed_makes_no_second_one() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let mut desk = desk_on_aws(&proxy.endpoint()).await;
    desk.options.set("LAYERSMITH_AWS_PUBLISH_TIMEOUT", "10");
    let late = AwsFault::Late(Duration::from_secs(4));
    proxy.fail_publishing("eu-west-1", late, 1);
    let mut command = desk.command(&["apply"]);
    let mut process = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while proxy.publications("eu-west-1") == 0 {
        assert_eq!(process.try_wait().unwrap(), None, "it publishes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(numbers(&moto).await[0], [0_u64; 0]);
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert_eq!(proxy.publications("eu-west-1"), 1);
    assert_eq!(numbers(&moto).await, [vec![1], vec![1], vec![1]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_lost_after_the_publication_makes_no_second_one() {
    let moto = Moto::start().await;
    let proxy = AwsProxy::start(&moto.endpoint()).await;
    let desk = desk_on_aws(&proxy.endpoint()).await;
    proxy.fail_publishing("eu-west-1", AwsFault::LoseAnswer, 1);
    proxy.fail_publishing(
        "us-east-1",
        AwsFault::Refuse(429, "TooManyRequestsException"),
        2,
    );
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.stdout.contains("published 1.1.0 to 3 regions\n"),
        "{said:#?}"
    );
    assert!(proxy.is_through());
    assert_eq!(numbers(&moto).await, [vec![1], vec![1], vec![1]]);
    assert_eq!(proxy.publications("eu-west-1"), 1);
    assert_eq!(proxy.publications("us-east-1"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_of_another_store_with_the_same_zip_is_adopted() {
    let moto = Moto::start().await;
    let mut desk = desk_on_aws(&moto.endpoint()).await;
    assert_eq!(desk.run(&["apply"]).code, 0);
    // The memory is lost; what AWS has is found again.
    desk.options.set(
        "LAYERSMITH_STORE",
        format!("sqlite:{}", desk.data("other.sqlite").display()),
    );
    assert_eq!(desk.run(&["apply"]).code, 0);
    assert_eq!(numbers(&moto).await, [vec![1], vec![1], vec![1]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_are_not_there_are_named_and_nothing_is_served() {
    let moto = Moto::start().await;
    let region = "eu-central-1";
    moto.put_parameter(region, "/layersmith/deploy-key", "not a key")
        .await;
    moto.put_secret(
        region,
        "layersmith/github",
        r#"{"webhook_secret": "hush-hush"}"#,
    )
    .await;
    moto.put_secret(region, "layersmith/text", "hush-hush")
        .await;
    let mut desk = desk_on_aws(&moto.endpoint()).await;
    desk.options.set("LAYERSMITH_REPOSITORY", "octo/catalog");
    desk.options
        .set("LAYERSMITH_GITHUB_TOKEN", "secretsmanager:layersmith/text");
    desk.options
        .set("LAYERSMITH_GITHUB_API_URL", "http://127.0.0.1:1");
    let good = desk.options.clone();
    let mut told = String::new();
    for (name, reference) in [
        ("LAYERSMITH_DEPLOY_KEY", "ssm:/layersmith/no-such-parameter"),
        (
            "LAYERSMITH_WEBHOOK_SECRET",
            "secretsmanager:layersmith/no-such-secret",
        ),
        (
            "LAYERSMITH_WEBHOOK_SECRET",
            "secretsmanager:layersmith/github#no_such_key",
        ),
        (
            "LAYERSMITH_WEBHOOK_SECRET",
            "secretsmanager:layersmith/text#webhook_secret",
        ),
        ("LAYERSMITH_GITHUB_TOKEN", "env:NO_SUCH_VARIABLE"),
        ("LAYERSMITH_GITHUB_TOKEN", "file:/no/such/file"),
    ] {
        desk.options = good.clone();
        desk.options.set(
            "LAYERSMITH_WEBHOOK_SECRET",
            "secretsmanager:layersmith/github#webhook_secret",
        );
        desk.options
            .set("LAYERSMITH_DEPLOY_KEY", "ssm:/layersmith/deploy-key");
        desk.options.set(name, reference);
        let said = desk.run(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (1, ""),
            "{reference}: {said:#?}"
        );
        assert!(!said.stderr.contains("hush"), "{said:#?}");
        told.push_str(&said.stderr);
        let doctor = desk.run(&["doctor"]);
        assert_eq!(doctor.code, 1, "{doctor:#?}");
        assert!(!doctor.stdout.contains("hush"), "{doctor:#?}");
    }
    insta::assert_snapshot!(told, @"
    error: LAYERSMITH_DEPLOY_KEY: ssm:/layersmith/no-such-parameter: does not exist in eu-central-1: create it there, or correct the name or the region
    error: LAYERSMITH_WEBHOOK_SECRET: secretsmanager:layersmith/no-such-secret: does not exist in eu-central-1: create it there, or correct the name or the region
    error: LAYERSMITH_WEBHOOK_SECRET: secretsmanager:layersmith/github#no_such_key: the secret has no key `no_such_key`: it has `webhook_secret`
    error: LAYERSMITH_WEBHOOK_SECRET: secretsmanager:layersmith/text#webhook_secret: the secret is not a JSON object: leave out the `#` and the key, or store it as JSON
    error: LAYERSMITH_GITHUB_TOKEN: env:NO_SUCH_VARIABLE: the environment variable is not set: set it, or point the setting somewhere else
    error: LAYERSMITH_GITHUB_TOKEN: file:/no/such/file: cannot be read (No such file or directory (os error 2)): put the secret there, or correct the path
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_nothing_is_published_and_that_is_said() {
    let moto = Moto::start().await;
    let mut desk = desk_on_aws(&moto.endpoint()).await;
    desk.options
        .variables
        .retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SECRET"));
    desk.options.set("HOME", desk.path("."));
    let said = desk.run(&["apply"]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(
        said.stdout.contains("no credentials for AWS were found"),
        "{said:#?}"
    );
    assert_eq!(numbers(&moto).await, [const { Vec::<u64>::new() }; 3]);
}
