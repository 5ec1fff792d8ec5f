//! How long others are waited for.

use clap::Args;

/// Its settings, each as a flag and as an environment variable.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Timeouts {
    /// Seconds that one small call to AWS Lambda may take; the pauses between tries grow with it
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_AWS_TIMEOUT",
        default_value_t = 20.0,
        value_name = "SECONDS"
    )]
    pub aws_timeout: f64,

    /// Seconds that AWS Lambda may be at work on a publish, upload aside; before, one that nobody heard of is not sent again;
    /// default: four times the above
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_AWS_PUBLISH_TIMEOUT",
        value_name = "SECONDS"
    )]
    pub aws_publish_timeout: Option<f64>,

    /// Seconds that one exchange with the git server may take; the first one, after a start on a new machine, fetches the
    /// whole catalog
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        env = "LAYERSMITH_GIT_TIMEOUT",
        default_value_t = 120.0,
        value_name = "SECONDS"
    )]
    pub git_timeout: f64,
}
