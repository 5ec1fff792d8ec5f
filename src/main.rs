//! The one executable: a function of the deployment on AWS where `LAYERSMITH_FUNCTION` says so, the command line elsewhere.

use layersmith::settings::{FunctionSetting, Settings};
use layersmith::telemetry::NumbersTo;
use layersmith::{cli, lambda, wiring};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the runtime has threads.
    layersmith_allocator::share_arenas();
    run()
}

#[tokio::main]
async fn run() -> ExitCode {
    let Some(settings) = Settings::of_function() else {
        return Box::pin(cli::run(wiring::backends())).await;
    };
    let ended = match settings {
        // On the heap: the future of the command line and that of a function are large together.
        Ok((function, settings)) => Box::pin(serve(function, settings)).await,
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not a line of the log: settings that cannot be read say nothing of how to log.
            writeln!(std::io::stderr(), "the function cannot start: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn serve(function: FunctionSetting, settings: Settings) -> anyhow::Result<()> {
    cli::start_logging(&settings, NumbersTo::CloudWatch)
        .map_err(|error| anyhow::anyhow!("LAYERSMITH_LOG: {error}"))?;
    lambda::run(function, settings, wiring::functions()).await
}
