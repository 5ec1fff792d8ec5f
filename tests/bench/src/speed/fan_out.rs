//! Publishing a layer to 34 regions: against publishing it to one, against plain uploads of the same bytes, and beside
//! Klayers' way, one region after the other.
//!
//! What answers is a double of AWS Lambda behind the proxy that faults are tested with, 150 ms away, both in one process of
//! their own. Every round begins with nothing published: with an endpoint and a store of its own. The layer is built before.
//!
//! Publishing is from the first call to AWS Lambda that comes to the proxy until the last one is answered, for plain uploads
//! as for ours. Starting a program, reading a catalog, asking which regions the account has enabled (once an hour in a
//! program that goes on running) and writing tables belong to the whole command, which stands beside it.

use super::figures::Verdict;
use super::memory::noise;
use super::report::{header, line, seconds};
use super::statistics::Spread;
use crate::ours::{self, Catalog, How};
use crate::process::{self, Finished};
use crate::programs::{PYTHON, Programs};
use crate::say;
use anyhow::Context as _;
use layersmith_testbed::index::{PackageIndex, Wheel};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Milliseconds between a call and its answer.
const LATENCY: &str = "150";
/// All commercial regions.
const REGIONS: usize = 34;
/// How many times longer at most.
const TARGET: f64 = 1.5;
/// The small layer and the large one, in bytes.
const SMALL: usize = 1_000_000;
const LARGE: usize = 20_000_000;
/// About the largest layer that is uploaded directly, in bytes; what the process may hold for it, above publishing the
/// small one to one region.
const LARGEST: usize = 50_000_000;
const MEMORY_TARGET: f64 = 200.0;
const MIB: f64 = 1024.0 * 1024.0;

/// What Klayers does with a zip: for every region, one after the other, publish it and let everybody use it.
const KLAYERS: &str = r#"
import sys, boto3, botocore.config
endpoint, path, name, runtime, *regions = sys.argv[1:]
with open(path, "rb") as file:
    content = file.read()
retries = botocore.config.Config(retries={"max_attempts": 0})
for region in regions:
    client = boto3.client("lambda", region_name=region, endpoint_url=endpoint, config=retries)
    published = client.publish_layer_version(
        LayerName=name, Description="a layer", Content={"ZipFile": content}, CompatibleRuntimes=[runtime])
    client.add_layer_version_permission(
        LayerName=name, VersionNumber=published["Version"], StatementId="make_public",
        Action="lambda:GetLayerVersion", Principal="*")
"#;

/// Seconds, by layer.
#[derive(Debug, Serialize)]
pub(crate) struct FanOut {
    small: Published,
    large: Published,
    memory: Held,
}

/// The most anonymous memory seen, in bytes.
#[derive(Debug, Serialize)]
struct Held {
    /// The small layer, to one region.
    idle: u64,
    /// The largest layer, to all.
    largest: u64,
}

#[derive(Debug, Serialize)]
struct Published {
    /// Bytes of the zip.
    zip: u64,
    /// Ours, to one region.
    one: Taken,
    /// Ours, to all.
    all: Taken,
    /// As many plain uploads, all at once.
    plain: Taken,
    /// Klayers' way, to all; once, it takes long.
    klayers: Vec<f64>,
}

/// What each round took, in seconds.
#[derive(Debug, Default, Serialize)]
struct Taken {
    /// The whole command.
    command: Vec<f64>,
    /// From the first call to the last answer.
    publishing: Vec<f64>,
}

/// A layer that is built, and everything it takes to publish it.
struct Layer<'a> {
    programs: &'a Programs,
    folder: PathBuf,
    zip: PathBuf,
    one: Catalog,
    all: Catalog,
    // Kept alive: its address is in the policies.
    _index: PackageIndex,
}

/// What answers, with nothing published; it ends when it is dropped.
struct Endpoint {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
    address: String,
}

/// Measures by turns.
pub(crate) async fn measure(
    programs: &Programs,
    scratch: &Path,
    runs: usize,
) -> anyhow::Result<FanOut> {
    Ok(FanOut {
        memory: Held {
            idle: held(programs, &scratch.join("small-held"), SMALL, |it| &it.one).await?,
            largest: held(programs, &scratch.join("largest-held"), LARGEST, |it| {
                &it.all
            })
            .await?,
        },
        small: of_layer(programs, &scratch.join("small-layer"), SMALL, runs).await?,
        large: of_layer(programs, &scratch.join("large-layer"), LARGE, runs).await?,
    })
}

/// What publishing a layer of about this many bytes holds.
async fn held(
    programs: &Programs,
    folder: &Path,
    size: usize,
    catalog: for<'l> fn(&'l Layer<'_>) -> &'l Catalog,
) -> anyhow::Result<u64> {
    let layer = Layer::build(programs, folder, size).await?;
    say(&format!("memory of publishing {:.0} MB", size as f64 / 1e6));
    let endpoint = layer.endpoint().await?;
    let finished = layer.apply(catalog(&layer), &endpoint, true).await?;
    std::fs::remove_dir_all(folder)?;
    Ok(finished.peak_anonymous)
}

async fn of_layer(
    programs: &Programs,
    folder: &Path,
    size: usize,
    runs: usize,
) -> anyhow::Result<Published> {
    let layer = Layer::build(programs, folder, size).await?;
    let zip = std::fs::metadata(&layer.zip)?.len();
    say(&format!("publishing {:.1} MB", zip as f64 / 1e6));
    let mut published = Published {
        zip,
        one: Taken::default(),
        all: Taken::default(),
        plain: Taken::default(),
        klayers: Vec::new(),
    };
    for round in 0..runs {
        published.one.add(layer.publish(&layer.one).await?);
        published.all.add(layer.publish(&layer.all).await?);
        published.plain.add(layer.upload().await?);
        if round == 0 {
            published.klayers.push(layer.klayers().await?);
        }
    }
    std::fs::remove_dir_all(folder)?;
    Ok(published)
}

impl Taken {
    fn add(&mut self, (command, publishing): (f64, f64)) {
        self.command.push(command);
        self.publishing.push(publishing);
    }
}

impl<'a> Layer<'a> {
    /// Builds a layer of about this many bytes that cannot be compressed.
    async fn build(programs: &'a Programs, folder: &Path, size: usize) -> anyhow::Result<Self> {
        let index = PackageIndex::start().await;
        let wheel = Wheel::new("payload", "1.0").module("payload", "");
        index.publish(wheel.file("payload_data/noise.bin", noise(1, size)));
        let catalog = |name: &str, regions: &str| {
            let catalog = Catalog::write(folder.join(name))?;
            let policy = format!(
                "python: [\"{PYTHON}\"]\narchitectures: [{}]\nregions: {regions}\nindex_url: {}\n",
                ours::architecture(),
                index.url()
            );
            catalog.put(".github/layersmith.yaml", &policy)?;
            catalog.request("payload", &["payload"], "bytecode: false\n")?;
            anyhow::Ok(catalog)
        };
        let (one, all) = (catalog("one", "[us-east-1]")?, catalog("all", "all")?);
        let (data, zip) = (folder.join("data"), folder.join("layer.zip"));
        ours::build(programs, &all, "payload", &data, &zip, How::default()).await?;
        Ok(Self {
            programs,
            folder: folder.to_owned(),
            zip,
            one,
            all,
            _index: index,
        })
    }

    /// Seconds of the whole command, and of publishing.
    async fn publish(&self, catalog: &Catalog) -> anyhow::Result<(f64, f64)> {
        let endpoint = self.endpoint().await?;
        let finished = self.apply(catalog, &endpoint, false).await?;
        Ok((finished.seconds, endpoint.busy().await?))
    }

    /// `layersmith apply`, from its start to its end.
    async fn apply(
        &self,
        catalog: &Catalog,
        endpoint: &Endpoint,
        watched: bool,
    ) -> anyhow::Result<Finished> {
        let store = tempfile::tempdir_in(&self.folder)?;
        let store = store.path().join("store.sqlite");
        let mut command = ours::command(self.programs, &self.folder.join("data"));
        command
            .arg("apply")
            .arg(&catalog.folder)
            .env("LAYERSMITH_STORE", format!("sqlite:{}", store.display()))
            .env("LAYERSMITH_REGISTRY", "aws")
            .env("LAYERSMITH_BWRAP", "off")
            .env("AWS_ENDPOINT_URL", &endpoint.address)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "testing")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        let finished = process::run_watched(&mut command, watched).await?;
        finished.succeeded("layersmith apply")
    }

    /// The plainest client there can be, with the same bytes.
    async fn upload(&self) -> anyhow::Result<(f64, f64)> {
        let endpoint = self.endpoint().await?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["upload", "--to", &endpoint.address])
            .args(["--times", &REGIONS.to_string()])
            .arg("--zip")
            .arg(&self.zip);
        let finished = process::run(&mut command).await?;
        let finished = finished.succeeded("uploading")?;
        Ok((finished.seconds, endpoint.busy().await?))
    }

    async fn klayers(&self) -> anyhow::Result<f64> {
        let endpoint = self.endpoint().await?;
        let mut command = self.programs.command(self.programs.venv.join("python"));
        command
            .args(["-c", KLAYERS, &endpoint.address])
            .arg(&self.zip)
            .args(["payload", &format!("python{PYTHON}")])
            .args((1..=REGIONS).map(|number| format!("xx-region-{number}")))
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "testing");
        let finished = process::run(&mut command).await?;
        Ok(finished.succeeded("Klayers' loop")?.seconds)
    }

    async fn endpoint(&self) -> anyhow::Result<Endpoint> {
        Endpoint::start(&self.zip).await
    }
}

impl Endpoint {
    async fn start(zip: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command
            .args(["endpoint", "--latency", LATENCY, "--expect"])
            .arg(zip)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().context("its output is piped")?;
        let mut said = BufReader::new(stdout).lines();
        let address = said.next_line().await?;
        Ok(Self {
            process,
            said,
            address: address.context("the endpoint does not start")?,
        })
    }

    /// Ends it; answers the seconds from the first call to the last answer.
    async fn busy(mut self) -> anyhow::Result<f64> {
        drop(self.process.stdin.take());
        let seconds = self.said.next_line().await?;
        let seconds = seconds.context("the endpoint does not say when it was asked")?;
        Ok(seconds.parse()?)
    }
}

impl FanOut {
    /// The table.
    pub(super) fn tell(&self, text: &mut String) {
        let title = format!("Publishing to {REGIONS} regions, each call {LATENCY} ms away");
        let cells = [
            "zip",
            "what is timed",
            "one region",
            "all regions",
            "as many plain uploads",
            "Klayers' loop",
        ];
        header(text, &title, &cells);
        for published in [&self.small, &self.large] {
            let zip = format!("{:.1} MB", published.zip as f64 / 1e6);
            let (one, all, plain) = (&published.one, &published.all, &published.plain);
            let row = |what: &str, [one, all, plain]: [&[f64]; 3], klayers: &str| {
                let plain = against(all, plain);
                [
                    zip.clone(),
                    what.to_owned(),
                    seconds(one),
                    seconds(all),
                    plain,
                    klayers.to_owned(),
                ]
            };
            let publishing = [&*one.publishing, &all.publishing, &plain.publishing];
            let command = [&*one.command, &all.command, &plain.command];
            let klayers = against(&all.command, &published.klayers);
            for cells in [
                row("publishing", publishing, ""),
                row("whole command", command, &klayers),
            ] {
                line(text, &cells.each_ref().map(String::as_str));
            }
        }
        text.push_str(&format!(
            "\nRatios are to all regions by ours. Publishing is from the first call to AWS Lambda to the last answer. Publishing {:.0} MB to all regions holds {:.1} MiB of anonymous memory, publishing {:.0} MB to one {:.1} MiB.\n",
            LARGEST as f64 / 1e6,
            self.memory.largest as f64 / MIB,
            SMALL as f64 / 1e6,
            self.memory.idle as f64 / MIB,
        ));
    }

    /// Whether what is to be reached is.
    pub(super) fn judge(&self) -> [Verdict; 3] {
        let above = self.memory.largest.saturating_sub(self.memory.idle) as f64 / MIB;
        [
            Verdict {
                what: "anonymous memory of publishing 50 MB to 34 regions, above 1 MB to one"
                    .to_owned(),
                target: format!("≤ {MEMORY_TARGET:.0} MiB"),
                reached: format!("{above:.1} MiB"),
                met: Some(above <= MEMORY_TARGET),
            },
            at_most(
                "1 MB to 34 regions, against one",
                &self.small.one.command,
                &self.small.all.command,
            ),
            at_most(
                "20 MB to 34 regions, against as many plain uploads",
                &self.large.plain.publishing,
                &self.large.all.publishing,
            ),
        ]
    }
}

/// Seconds, and how many times as long as ours.
fn against(ours: &[f64], other: &[f64]) -> String {
    let ratio = Spread::ratio(ours, other).map(|ratio| format!(": {:.2} ×", ratio.median));
    format!("{}{}", seconds(other), ratio.unwrap_or_default())
}

fn at_most(what: &str, other: &[f64], ours: &[f64]) -> Verdict {
    let ratio = Spread::ratio(other, ours);
    Verdict {
        what: format!("publishing {what}"),
        target: format!("≤ {TARGET} ×"),
        reached: ratio.map_or_else(String::new, |ratio| {
            format!("{:.2} × ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max)
        }),
        met: ratio.map(|ratio| ratio.median <= TARGET),
    }
}
