//! One scenario, two engines: the process of one machine, and the stack of `deploy/template.yaml`. The same assertions.
//!
//! `make test` runs the first, `make test-cloud` the second: it needs more tools and takes longer. AWS is moto for both.

mod examined;
mod lost;
mod many;
mod scenarios;
mod stack;
mod trouble;

pub(crate) use stack::Stack;

use crate::aws::use_aws;
use crate::world::World;
use layersmith_testbed::aws_proxy::AwsProxy;
use layersmith_testbed::moto::Moto;
use std::collections::BTreeMap;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// Where layers are published in these worlds.
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// What carries the runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Local,
    Cloud,
}

/// Registers each scenario once for each engine.
macro_rules! on_both_engines {
    ($($scenario:ident),* $(,)?) => {
        mod local {
            use crate::both_engines::Engine;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    super::$scenario(Engine::Local).await;
                }
            )*
        }

        mod cloud {
            use crate::both_engines::Engine;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "make test-cloud runs it"]
                async fn $scenario() {
                    super::$scenario(Engine::Cloud).await;
                }
            )*
        }
    };
}
use on_both_engines;

/// A world in which an engine runs, with more lines in the policy.
async fn world_on(engine: Engine, policy: &str) -> World {
    let mut world = World::prepare(&format!("[{}]", REGIONS.join(", ")), policy).await;
    match engine {
        Engine::Cloud => Stack::start(&mut world).await,
        Engine::Local => {
            let moto = Moto::start().await;
            let aws = AwsProxy::start(&moto.endpoint()).await;
            use_aws(&mut world.options, &aws.endpoint());
            // Nothing hangs here, and the machine may have other work.
            world.options.set("LAYERSMITH_AWS_TIMEOUT", "120");
            world.options.set("LAYERSMITH_AWS_PUBLISH_TIMEOUT", "1");
            world.aws = Some((moto, aws));
            world.start_bot().await;
        }
    }
    world
}

impl World {
    /// AWS, where layers are published there.
    pub(crate) fn moto(&self) -> Option<&Moto> {
        let stack = self.stack.as_ref().map(|stack| &stack.cloud.moto);
        stack.or(self.aws.as_ref().map(|(moto, _)| moto))
    }

    /// The way to AWS.
    fn way(&self) -> &AwsProxy {
        let stack = self.stack.as_ref().map(|stack| &stack.cloud.aws);
        let way = stack.or(self.aws.as_ref().map(|(_, aws)| aws));
        way.expect("layers are published to AWS")
    }

    /// Takes every zip away that was built, and whatever else building left behind.
    async fn lose_zips(&self) {
        match &self.stack {
            Some(stack) => stack.cloud.lose_zips().await,
            None => {
                for name in ["artifacts", "cache"] {
                    let folder = self.folder.path().join("data").join(name);
                    std::fs::remove_dir_all(folder).unwrap();
                }
            }
        }
    }

    /// How many of something the bot counts, by the metric's full name.
    async fn metric(&self, name: &str) -> Option<u64> {
        let (_, text) = self.get("/metrics").await;
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.trim().parse().ok())
    }

    /// What must hold when everything is done, on either engine: each version once, nothing begun and not ended.
    async fn finish_published(self, versions: usize) {
        self.settled().await;
        let published = self.published_once();
        assert_eq!(published.len(), versions, "{published:#?}");
        let intents = self.metric("layersmith_layer_versions{state=\"intent\"}");
        assert_eq!(intents.await, Some(0), "an intent is open");
        self.finish().await;
    }
}

/// Every version that AWS has: `region/layer/number` → description.
pub(crate) fn published(moto: &Moto) -> BTreeMap<String, String> {
    let versions = async {
        let mut versions = BTreeMap::new();
        for region in REGIONS {
            for layer in moto.layers(region).await {
                for version in moto.layer_versions(region, &layer).await {
                    let name = format!("{region}/{layer}/{}", version.version);
                    versions.insert(name, version.description);
                }
            }
        }
        versions
    };
    block_in_place(|| Handle::current().block_on(versions))
}
