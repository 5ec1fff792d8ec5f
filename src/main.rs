//! The one executable.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    layersmith::cli::run(layersmith::wiring::backends()).await
}
