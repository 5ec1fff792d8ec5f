//! Measures the release executable against other ways of making a layer, and compares its layers with an installer's.
//!
//! | command | what it does |
//! |---|---|
//! | `speed` | times, memory, imports and the plan of a catalog, against Klayers' recipe, `uv` and the limit of the machine |
//! | `endpoint`, `upload` | processes of their own for a part of `speed`: what answers as AWS Lambda does, and plain uploads to it |
//! | `agree` | for many packages and every target: the files of a layer are those that `uv pip install --target` puts in place |
//!
//! Everything is measured through the front door: the real command in a fresh process. Nothing of `layersmith` is linked
//! in, so a mistake cannot be shared. Both commands use the package index of the machine's set-up.

mod agree;
mod archive;
mod endpoint;
mod layers;
mod limit;
mod machine;
mod ours;
mod peers;
mod process;
mod programs;
mod speed;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
struct Cli {
    /// The layersmith executable
    #[arg(long, global = true, default_value = "target/release/layersmith")]
    layersmith: PathBuf,

    /// Where reports go
    #[arg(long, global = true, default_value = "target/bench")]
    out: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures
    Speed(speed::Options),
    /// Compares
    Agree(agree::Options),
    /// Answers as AWS Lambda does, until it is ended
    Endpoint(endpoint::Endpoint),
    /// Uploads a zip many times at once
    Upload(endpoint::Upload),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether everything is as it should be. A signal drops the work, and with it temporary folders and child processes.
async fn run(cli: Cli) -> anyhow::Result<bool> {
    match &cli.command {
        Command::Endpoint(options) => return endpoint::serve(options).await,
        Command::Upload(options) => return endpoint::upload(options).await,
        Command::Speed(_) | Command::Agree(_) => {}
    }
    let out = std::path::absolute(&cli.out)?;
    std::fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
    let programs = programs::Programs::find(&std::path::absolute(&cli.layersmith)?).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let work = async {
        match &cli.command {
            Command::Speed(options) => speed::run(&programs, &out, options).await,
            Command::Agree(options) => agree::run(&programs, &out, options).await,
            Command::Endpoint(_) | Command::Upload(_) => Ok(true),
        }
    };
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

/// A line for whoever waits, on standard error.
fn say(line: &str) {
    // There is nowhere left to say that standard error is gone.
    drop(writeln!(std::io::stderr(), "{line}"));
}
