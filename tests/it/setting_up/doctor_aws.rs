//! `layersmith doctor --aws`.

use super::said;
use crate::aws::use_aws;
use crate::world::World;
use layersmith::store::table_definition;
use layersmith_testbed::aws_proxy::AwsProxy;
use layersmith_testbed::moto::Moto;

/// The lines about the account, those with a state that is not good first; the others are `doctor`'s.
fn about_aws(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .skip_while(|line| !line.contains("AWS credentials"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_looks_at_the_account_and_says_what_to_do() {
    let moto = Moto::start().await;
    let aws = AwsProxy::start(&moto.endpoint()).await;
    let mut world = World::prepare("[eu-west-1]", "").await;
    use_aws(&mut world.options, &aws.endpoint());
    world.options.set("LAYERSMITH_LOG", "warn");
    world.start_bot().await;
    let url = world.url().to_owned();
    moto.put_parameter(
        "eu-central-1",
        "/layersmith/deploy-key",
        &world.git.writing_key(),
    )
    .await;
    world
        .options
        .set("LAYERSMITH_DEPLOY_KEY", "ssm:/layersmith/deploy-key");
    let doctor = ["doctor", "--aws", "--url", &url, "--publish-probe"];
    let (code, text, error) = said(&world, &doctor);
    assert_eq!((code, error.as_str()), (0, ""), "{text}");
    // What differs from machine to machine.
    let clock = |line: &String| line.starts_with("good clock ");
    let push = |line: &String| line.starts_with("good push the deploy key may push to ssh://");
    let mut lines = about_aws(&text);
    assert_eq!(lines.iter().filter(|line| clock(line)).count(), 1, "{text}");
    assert_eq!(lines.iter().filter(|line| push(line)).count(), 1, "{text}");
    lines.retain(|line| !clock(line) && !push(line));
    insta::assert_snapshot!(lines.join("\n"), @"
    good AWS credentials account 123456789012 as arn:aws:sts::123456789012:user/moto
    good GitHub App key a secret given as it is can be read
    not set GitHub token no setting names it
    good webhook secret a secret given as it is can be read
    good deploy key ssm:/layersmith/deploy-key can be read
    not set passphrase no setting names it
    good known hosts a secret given as it is can be read
    not set notify secret no setting names it
    not set table the store is sqlite:[HERE]/data/store.sqlite
    not set bucket artifacts are kept in a folder
    not set state machines runs are carried out in one process
    good regions 34 enabled; there is no .github/layersmith.yaml here to compare them with
    good Lambda answers in 34 regions
    good Lambda limits 1000 executions at once, 900 of them not set aside for single functions
    good webhook http://127.0.0.1:PORT/webhooks/github refuses what is not signed
    good publish probe arn:aws:lambda:eu-central-1:123456789012:layer:Layersmith-doctor:1 was published, shared with 123456789012, read back and deleted
    ");
    assert_eq!(moto.layers("eu-central-1").await, Vec::<String>::new());

    // What is wrong is said, each with what to do.
    world
        .options
        .set("LAYERSMITH_DEPLOY_KEY", "ssm:/layersmith/other");
    world
        .options
        .set("LAYERSMITH_ARTIFACTS", "s3://nowhere/layersmith");
    world.options.set(
        "LAYERSMITH_ENGINE",
        "stepfunctions:arn:aws:states:eu-central-1:123456789012:stateMachine:layersmith",
    );
    moto.make_table("eu-central-1", "layers", &table_definition())
        .await;
    world.options.set("LAYERSMITH_STORE", "dynamodb:layers");
    aws.disable_regions(&["me-south-1"]);
    let folder = world.folder.path().join(".github");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("layersmith.yaml"),
        "python: [\"3.13\"]\nregions: [eu-west-1, me-south-1]\n",
    )
    .unwrap();
    let elsewhere = format!("{url}/elsewhere");
    let (code, text, _) = said(
        &world,
        &[
            "doctor",
            "--aws",
            "--url",
            &elsewhere,
            "--stack",
            "layersmith",
        ],
    );
    assert_eq!(code, 1, "{text}");
    let bad: Vec<String> = about_aws(&text)
        .into_iter()
        .filter(|line| line.starts_with("BAD"))
        .collect();
    insta::assert_snapshot!(bad.join("\n"), @"
    BAD deploy key ssm:/layersmith/other: does not exist in eu-central-1: create it there, or correct the name or the region
    BAD table layers: nothing expires: turn time to live on for the attribute expires_by_itself; it cannot be restored: turn point-in-time recovery on
    BAD bucket there is no bucket nowhere: make it, or correct LAYERSMITH_ARTIFACTS
    BAD state machines states:DescribeStateMachine: StateMachineDoesNotExist: State Machine Does Not Exist: 'arn:aws:states:eu-central-1:123456789012:stateMachine:layersmith-plan'
    BAD regions the policy names me-south-1, which the account has not enabled: enable it under Account → AWS Regions, or take it out
    BAD functions layersmith-webhook is not there; layersmith-api is not there; layersmith-plan is not there; layersmith-publish is not there; layersmith-tables is not there; layersmith-comment is not there; layersmith-sweep is not there; layersmith-expire is not there
    BAD building layersmith has no function that builds
    BAD push LAYERSMITH_DEPLOY_KEY: ssm:/layersmith/other: does not exist in eu-central-1: create it there, or correct the name or the region
    BAD webhook http://127.0.0.1:PORT/elsewhere/webhooks/github answers 404 where 401 is expected: does it lead to the bot?
    ");

    aws.disable_regions(&[]);
    aws.limit_executions(510);
    let (_, text, _) = said(&world, &["doctor", "--aws"]);
    let limits = about_aws(&text)
        .into_iter()
        .find(|line| line.contains("Lambda limits"));
    insta::assert_snapshot!(limits.unwrap_or(text), @"BAD Lambda limits 510 executions at once, 459 of them not set aside for single functions: the functions of the deployment set 411 aside, and AWS keeps 100 for others; ask for 511 under Service Quotas → AWS Lambda → Concurrent executions, or deploy with ReserveConcurrency=no");
    aws.limit_executions(511);
    let (_, text, _) = said(&world, &["doctor", "--aws"]);
    let is_good = |line: &String| line.starts_with("good Lambda limits 511 executions");
    assert!(about_aws(&text).iter().any(is_good), "{text}");

    aws.set_clock(-200);
    let (_, text, _) = said(&world, &["doctor", "--aws"]);
    assert!(text.contains("s ahead of AWS': set it (NTP)"), "{text}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_about_an_account_need_the_option() {
    let world = World::prepare("[eu-west-1]", "").await;
    let (code, _, error) = said(&world, &["doctor", "--publish-probe"]);
    assert_eq!(code, 2);
    assert!(error.contains("--aws"), "{error}");
}
