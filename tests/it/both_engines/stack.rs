//! The bot as the stack of AWS: its secrets where the template looks for them, its functions with the template's variables.

use crate::aws::use_aws;
use crate::world::{REPOSITORY, World};
use layersmith_testbed::cloud::{Cloud, REGION, STACK};
use layersmith_testbed::local_client;
use layersmith_testbed::tools;
use serde_json::json;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// How long a test waits for the next step before it gives up: state machines wait up to a minute before they try again, and
/// the machine may have other work.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running stack.
pub(crate) struct Stack {
    pub(crate) cloud: Cloud,
}

impl Stack {
    /// Starts the stack for a world; its webhook is the world's.
    pub(super) async fn start(world: &mut World) {
        let app = world.github.app_id().to_string();
        let parameters = [
            ("Repository", REPOSITORY),
            ("GitHubAppId", app.as_str()),
            ("KnownHostsParameter", "/layersmith/known-hosts"),
            ("CodeBucket", "code"),
            ("CodeX8664Key", "x86_64.zip"),
            ("CodeArm64Key", "arm64.zip"),
        ];
        let mut cloud = Cloud::open(&parameters).await;
        store_secrets(world, &cloud).await;
        let options = &mut world.options;
        let value = |name: &str| {
            let variable = options.variables.iter().find(|(known, _)| known == name);
            variable.map(|(_, value)| value.clone())
        };
        let uv = tools::uv().unwrap_or_else(|missing| panic!("{missing}"));
        let executable = options.executable.clone();
        cloud.serve(&executable, |function, variables| {
            // Where everything is that is not AWS, and no pauses for its sake.
            for name in [
                "PATH",
                "SSL_CERT_FILE",
                "LAYERSMITH_GITHUB_API_URL",
                "LAYERSMITH_GITHUB_WRITE_INTERVAL",
                "LAYERSMITH_LOCK_MAX_AGE",
                "LAYERSMITH_LOG",
            ] {
                if let Some(value) = value(name) {
                    variables.insert(name.to_owned(), value);
                }
            }
            if function == "tables" {
                let url = value("LAYERSMITH_GIT_URL").unwrap_or_default();
                variables.insert("LAYERSMITH_GIT_URL".to_owned(), url);
            }
            if function.starts_with("build") {
                // What the managed runtime and the zip have; the same as one machine has in these worlds.
                for name in [
                    "LAYERSMITH_PYTHON",
                    "LAYERSMITH_INTERPRETERS",
                    "LAYERSMITH_BWRAP",
                ] {
                    match value(name) {
                        Some(value) => variables.insert(name.to_owned(), value),
                        None => variables.remove(name),
                    };
                }
                variables.insert("LAYERSMITH_UV".to_owned(), uv.clone().into());
                variables.remove("AWS_LAMBDA_EXEC_WRAPPER");
            }
            // What a function asked for that died takes effect at once.
            let at_work = "LAYERSMITH_AWS_PUBLISH_TIMEOUT".to_owned();
            variables.insert(at_work, OsString::from("1"));
            let data = OsString::from("{room}/layersmith");
            variables.insert("LAYERSMITH_DATA".to_owned(), data);
        });
        let url = format!("{}/webhooks/github", cloud.url("webhook"));
        world.github.set_hook_url(&url);
        // An operator's command line beside it.
        use_aws(options, &cloud.endpoint());
        options.set("AWS_REGION", REGION);
        let table = cloud.template.table();
        let table = table["TableName"].as_str().unwrap_or_default();
        options.set("LAYERSMITH_STORE", format!("dynamodb:{table}"));
        let artifacts = format!("s3://{}/layersmith", cloud.template.bucket());
        options.set("LAYERSMITH_ARTIFACTS", artifacts);
        world.stack = Some(Self { cloud });
    }

    /// Waits until nothing is under way, and nothing waits that a schedule would take up.
    pub(crate) async fn settled(&self) {
        let mut fired = Instant::now();
        let (mut steps, mut since) = (0, Instant::now());
        loop {
            let asked = self.cloud.steps();
            if asked != steps {
                (steps, since) = (asked, Instant::now());
            }
            assert!(
                since.elapsed() < PATIENCE,
                "the stack does not come to an end:\n{:#?}\n{}",
                self.cloud.executions().await,
                self.cloud.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
            if !self.cloud.is_idle().await {
                continue;
            }
            let (waiting, open) = (self.waiting().await, self.open().await);
            if (waiting, open) == (Some(0), Some(0)) && self.cloud.is_idle().await {
                return;
            }
            // The schedules' time has come; in AWS it comes every minute, and every ten minutes.
            if fired.elapsed() > Duration::from_secs(2) {
                self.cloud.fire("events").await;
                self.cloud.fire("sweep").await;
                fired = Instant::now();
            }
        }
    }

    async fn waiting(&self) -> Option<u64> {
        self.metric("layersmith_events_waiting").await
    }

    async fn open(&self) -> Option<u64> {
        self.metric("layersmith_runs{state=\"open\"}").await
    }

    async fn metric(&self, name: &str) -> Option<u64> {
        let url = format!("{}/metrics", self.cloud.url("api"));
        let answer = local_client().get(url).send().await.ok()?;
        let text = answer.text().await.ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse().ok()
    }

    /// Fails on what is left over: an execution that nobody expected to fail, something that AWS would not have let
    /// through, a death nobody died.
    pub(crate) async fn finish(&self) {
        let left = self.cloud.left();
        let operations = self.cloud.operations();
        assert!(
            left.is_empty(),
            "did not happen: {left:#?}\n{operations:#?}"
        );
        assert_eq!(self.cloud.violations(), Vec::<String>::new());
        let holder = self.cloud.turn_holder().await;
        assert_eq!(holder, None, "the turn to publish was not given back");
        let stopped = self.cloud.stopped();
        for execution in self.cloud.executions().await {
            assert!(
                execution.status == "SUCCEEDED" || stopped.contains(&execution.arn),
                "{execution:?}\n{:#?}",
                self.cloud.history(&execution).await
            );
        }
        for function in self.cloud.template.functions() {
            assert!(function.name.starts_with(STACK));
        }
    }
}

/// Each secret where the template says it is, and nowhere else.
async fn store_secrets(world: &World, cloud: &Cloud) {
    let app = json!({"private_key": world.github.app_private_key_pem()});
    let webhook = json!({"webhook_secret": world.github.webhook_secret()});
    let moto = &cloud.moto;
    moto.put_secret(REGION, "layersmith/github", &app.to_string())
        .await;
    moto.put_secret(REGION, "layersmith/webhook", &webhook.to_string())
        .await;
    moto.put_parameter(REGION, "/layersmith/deploy-key", &world.git.writing_key())
        .await;
    moto.put_parameter(REGION, "/layersmith/known-hosts", &world.git.known_hosts())
        .await;
}
