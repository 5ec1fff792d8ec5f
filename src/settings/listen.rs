//! Where and how `layersmith serve` listens.

use clap::Args;
use std::net::SocketAddr;

/// Where `layersmith serve` listens.
#[derive(Debug, Clone, Args)]
pub struct ListenSettings {
    /// Address and port to listen on
    #[arg(
        long,
        env = "LAYERSMITH_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,

    /// Seconds between two looks at GitHub for whatever a lost webhook did not say
    #[arg(
        long,
        env = "LAYERSMITH_SWEEP_INTERVAL",
        default_value_t = 600,
        value_name = "SECONDS"
    )]
    pub sweep_interval: u64,

    /// Seconds that a run goes on trying while GitHub, git or the machine's own files let it down
    #[arg(
        long,
        env = "LAYERSMITH_PATIENCE",
        default_value_t = 120,
        value_name = "SECONDS"
    )]
    pub patience: u64,
}
