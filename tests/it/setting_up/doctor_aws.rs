//! `layersmith doctor --aws`.

use super::said;
use crate::aws::use_aws;
use crate::world::World;
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
    let clock = |line: &String| line.contains(" clock ");
    let mut lines = about_aws(&text);
    assert_eq!(lines.iter().filter(|line| clock(line)).count(), 1, "{text}");
    lines.retain(|line| !clock(line));
    insta::assert_snapshot!(lines.join("\n"), @"");
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
    insta::assert_snapshot!(bad.join("\n"), @"");

    aws.disable_regions(&[]);
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
