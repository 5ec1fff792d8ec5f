//! Looks at what only an AWS account itself can show, for `layersmith doctor --aws`.

use super::examine::finding;
use super::examine_stack;
use super::{catalog, lazy_aws_config, lazy_aws_configs, registry, secret_source};
use crate::account::{
    Probe, RESERVED, UNRESERVABLE, bucket_region, differences, identity, limits, probe,
    regions_that_answer, state_machine, table,
};
use crate::cli::{AccountQuestions, Finding, FindingState};
use crate::model::{OfferedRegions, Policy, Region, SecretReference};
use crate::settings::{ArtifactsSetting, EngineSetting, RegistrySetting, Settings, StoreSetting};
use crate::store::{CLOCK_SKEW, table_definition};
use anyhow::{Context as _, anyhow, bail, ensure};
use aws_config::SdkConfig;
use std::io::Write as _;
use std::time::Duration;

/// Seconds that a clock may be off: of two machines that are both within it, none is further away from the other than a
/// lease allows for. AWS itself refuses what was signed five minutes ago.
const CLOCK_TOLERANCE: i64 = CLOCK_SKEW / 2;
/// Executions at once that an account needs for the functions of the deployment, on both processors.
const EXECUTIONS: i32 = RESERVED + UNRESERVABLE;
/// How long the bot's address may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
pub(super) type Said = anyhow::Result<String>;

/// Asks one question after the other, and the regions all at once.
pub(super) async fn examine(settings: &Settings, questions: &AccountQuestions) -> Vec<Finding> {
    let configs = lazy_aws_configs(settings)().await;
    let mut findings = Vec::new();
    let mut account = None;
    for config in &configs {
        match identity(config).await {
            Ok(known) => {
                account.get_or_insert(known.account.clone());
                let who = format!("account {} as {}", known.account, known.arn);
                findings.push(finding("AWS credentials", Ok(who)));
                findings.push(finding("clock", clock(known.clock_ahead)));
            }
            Err(error) => findings.push(said("AWS credentials", Err(error))),
        }
    }
    findings.extend(secrets(settings).await);
    findings.extend(places(settings).await);
    findings.extend(regions(settings, questions.policy.as_ref(), &configs).await);
    let home = lazy_aws_config(settings)().await;
    findings.push(said("Lambda limits", executions(&home).await));
    if let Some(stack) = &questions.stack {
        findings.extend(examine_stack::examine(&home, stack).await);
    }
    findings.push(match settings.git_url() {
        None => not_set("push", "LAYERSMITH_REPOSITORY is not set"),
        Some(_) => said("push", push(settings).await),
    });
    if let Some(url) = &questions.url {
        findings.push(said("webhook", unsigned(url).await));
    }
    if questions.publish_probe {
        let probed = published(settings, questions, &home, account.as_deref()).await;
        findings.push(said("publish probe", probed));
    }
    findings
}

pub(super) fn said(what: &str, result: Said) -> Finding {
    finding(what, result.map_err(|error| format!("{error:#}")))
}

fn not_set(what: &str, detail: &str) -> Finding {
    Finding {
        what: what.to_owned(),
        state: FindingState::NotSet,
        detail: detail.to_owned(),
    }
}

fn clock(ahead: Option<i64>) -> Result<String, String> {
    match ahead {
        None => Err("AWS did not say what time it is".to_owned()),
        Some(ahead) if ahead.abs() > CLOCK_TOLERANCE => Err(format!(
            "this machine's clock is {} s {} AWS': set it (NTP), or signatures are refused and leases run out early",
            ahead.abs(),
            if ahead > 0 { "behind" } else { "ahead of" }
        )),
        Some(ahead) => Ok(format!("{} s away from AWS'", ahead.abs())),
    }
}

/// Every setting that is a secret: whether it can be read, from here.
async fn secrets(settings: &Settings) -> Vec<Finding> {
    let source = secret_source(settings);
    let all: [(&str, Option<&SecretReference>); 7] = [
        ("GitHub App key", settings.github_private_key.as_ref()),
        ("GitHub token", settings.github_token.as_ref()),
        ("webhook secret", settings.webhook_secret.as_ref()),
        ("deploy key", settings.deploy_key.as_ref()),
        ("passphrase", settings.deploy_key_passphrase.as_ref()),
        ("known hosts", settings.known_hosts.as_ref()),
        ("notify secret", settings.notify_secret.as_ref()),
    ];
    let mut findings = Vec::new();
    for (what, reference) in all {
        findings.push(match reference {
            None => not_set(what, "no setting names it"),
            Some(reference) => {
                let read = source.read(reference).await;
                let read = read.map(|_| format!("{reference} can be read"));
                finding(what, read.map_err(|error| error.to_string()))
            }
        });
    }
    findings
}

/// The table, the bucket and the state machines.
async fn places(settings: &Settings) -> Vec<Finding> {
    let config = lazy_aws_config(settings)().await;
    let table = match settings.store() {
        StoreSetting::DynamoDb(name) => said("table", table_is_right(&config, &name).await),
        store => not_set("table", &format!("the store is {store}")),
    };
    let bucket = match &settings.artifacts {
        Some(ArtifactsSetting::S3 { bucket, prefix }) => said(
            "bucket",
            bucket_is_near(settings, &config, bucket, prefix).await,
        ),
        _ => not_set("bucket", "artifacts are kept in a folder"),
    };
    let machines = match &settings.engine {
        EngineSetting::Local => not_set("state machines", "runs are carried out in one process"),
        EngineSetting::StepFunctions(arn) => {
            let both = async {
                for kind in ["plan", "apply"] {
                    state_machine(&config, &format!("{arn}-{kind}")).await?;
                }
                anyhow::Ok(format!("{arn}-plan and -apply are there"))
            };
            said("state machines", both.await)
        }
    };
    vec![table, bucket, machines]
}

async fn table_is_right(config: &SdkConfig, name: &str) -> Said {
    let facts = table(config, name).await?;
    let wrong = differences(&facts, &table_definition());
    ensure!(wrong.is_empty(), "{name}: {}", wrong.join("; "));
    Ok(format!(
        "{name} is active, with {} indexes, can be restored, and lets {} decide what expires",
        facts.indexes.len(),
        facts.time_to_live.as_deref().unwrap_or("nothing")
    ))
}

async fn bucket_is_near(
    settings: &Settings,
    config: &SdkConfig,
    bucket: &str,
    prefix: &str,
) -> Said {
    let by_path = settings.aws_endpoint_url.is_some();
    let home = settings.aws_region.as_str();
    match bucket_region(config, by_path, bucket, prefix).await? {
        Some(region) if region != home => bail!(
            "{bucket} is in {region}, and AWS_REGION is {home}: use a bucket there, or traffic between regions is paid for"
        ),
        _ => Ok(format!("{bucket} in {home} can be listed below `{prefix}`")),
    }
}

/// Whether the policy's regions are enabled, and whether Lambda answers in each.
async fn regions(
    settings: &Settings,
    policy: Option<&Policy>,
    configs: &[SdkConfig],
) -> Vec<Finding> {
    if settings.registry() != RegistrySetting::Aws {
        let detail = format!("layers are published to {}", settings.registry());
        return vec![not_set("regions", &detail), not_set("Lambda", &detail)];
    }
    let offered = match registry(settings).await {
        Ok(registry) => registry.regions().await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    let offered = match offered {
        Ok(offered) => offered,
        Err(error) => return vec![said("regions", Err(error))],
    };
    let compared = finding("regions", enabled(&offered, policy));
    let mut failed = Vec::new();
    for config in configs {
        let Some(home) = config
            .region()
            .and_then(|region| region.as_ref().parse::<Region>().ok())
        else {
            continue;
        };
        let mine: Vec<Region> = offered
            .enabled
            .iter()
            .filter(|region| region.partition() == home.partition())
            .cloned()
            .collect();
        for (region, answer) in regions_that_answer(config, &mine).await {
            if let Err(error) = answer {
                failed.push(format!("{region}: {error:#}"));
            }
        }
    }
    let lambda = if failed.is_empty() {
        Ok(format!("answers in {} regions", offered.enabled.len()))
    } else {
        Err(failed.join("; "))
    };
    vec![compared, finding("Lambda", lambda)]
}

fn enabled(offered: &OfferedRegions, policy: Option<&Policy>) -> Result<String, String> {
    let enabled = format!("{} enabled", offered.enabled.len());
    let Some(policy) = policy else {
        return Ok(format!(
            "{enabled}; there is no {} here to compare them with",
            Policy::PATH
        ));
    };
    let (regions, missing) = policy.regions_for(None, offered);
    if policy.regions.is_none() {
        return Ok(format!(
            "{enabled}, and the policy publishes to all but those it excludes: {}",
            regions.len()
        ));
    }
    if missing.is_empty() {
        return Ok(format!(
            "{enabled}, with all {} of the policy",
            regions.len()
        ));
    }
    let missing: Vec<&str> = missing.iter().map(Region::as_str).collect();
    Err(format!(
        "the policy names {}, which the account has not enabled: enable it under Account → AWS Regions, or take it out",
        missing.join(", ")
    ))
}

async fn executions(config: &SdkConfig) -> Said {
    let limits = limits(config).await?;
    let told = format!(
        "{} executions at once, {} of them not set aside for single functions",
        limits.concurrent, limits.unreserved
    );
    ensure!(
        limits.concurrent >= EXECUTIONS,
        "{told}: the functions of the deployment set {RESERVED} aside, and AWS keeps {UNRESERVABLE} for others; ask for {EXECUTIONS} under Service Quotas → AWS Lambda → Concurrent executions, or deploy with ReserveConcurrency=no"
    );
    Ok(told)
}

async fn push(settings: &Settings) -> Said {
    catalog(settings).await?.may_push().await?;
    let url = settings.git_url().unwrap_or_default();
    Ok(format!("the deploy key may push to {url}"))
}

/// A delivery that nobody signed has to be refused, by the bot and by nobody else.
async fn unsigned(url: &url::Url) -> Said {
    let text = url.as_str().trim_end_matches('/');
    let address = format!(
        "{}/webhooks/github",
        text.trim_end_matches("/webhooks/github")
    );
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let answer = client
        .post(&address)
        .header("content-type", "application/json")
        .header("x-github-event", "ping")
        .header("x-github-delivery", "layersmith-doctor")
        .body("{}")
        .send()
        .await
        .map_err(|error| anyhow!("{address} does not answer: {}", error.without_url()))?;
    match answer.status().as_u16() {
        401 => Ok(format!("{address} refuses what is not signed")),
        status @ 200..=299 => bail!(
            "{address} took a delivery that is not signed ({status}): this is not the bot, or its secret is not set"
        ),
        status => {
            bail!("{address} answers {status} where 401 is expected: does it lead to the bot?")
        }
    }
}

async fn published(
    settings: &Settings,
    questions: &AccountQuestions,
    config: &SdkConfig,
    account: Option<&str>,
) -> Said {
    let account = account.context("it is not known whose account this is")?;
    let prefix = questions
        .policy
        .as_ref()
        .map_or_else(|| Policy::default().prefix, |policy| policy.prefix.clone());
    let layer = format!("{prefix}-doctor");
    let region = &settings.aws_region;
    let arn = probe(
        config,
        Probe {
            region,
            layer: &layer,
            account,
            zip: small_zip()?,
        },
    )
    .await?;
    Ok(format!(
        "{arn} was published, shared with {account}, read back and deleted"
    ))
}

fn small_zip() -> anyhow::Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(
        "python/layersmith_doctor.py",
        zip::write::SimpleFileOptions::default(),
    )?;
    zip.write_all(
        b"# Published by `layersmith doctor --aws --publish-probe`, to be deleted at once.\n",
    )?;
    Ok(zip.finish()?.into_inner())
}
