//! What the program says of itself while it runs: lines of the log, and numbers.
//!
//! Rooms log with `tracing`, in spans that say which run, layer, target and region they are at; numbers go the same way
//! ([`add`], [`took`]), so that no room knows who listens: this process, which Prometheus asks, or CloudWatch, which reads
//! standard output. Deliberately absent: what is worth a line, and sending anything anywhere.

mod embedded;
mod fields;
mod json_lines;
mod measured;
pub mod metric;
mod prometheus;
#[cfg(test)]
mod tests;

pub use measured::{Measured, add, took};
pub use prometheus::Counters;

use crate::settings::LogFormat;
use embedded::EmbeddedMetrics;
use fields::KeepFields;
use json_lines::JsonLines;
use measured::TARGET;
use prometheus::Count;
use serde_json::Value;
use std::io::{IsTerminal as _, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span};
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Where numbers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumbersTo {
    /// They are kept in this process until somebody asks.
    Counters,
    /// Lines of standard output in CloudWatch's embedded metric format.
    CloudWatch,
}

/// A line that is written at once.
pub(crate) struct Line(String);

impl Line {
    fn of(value: &Value) -> Self {
        Self(format!("{value}\n"))
    }

    fn write(&self, mut to: impl Write) {
        // There is nowhere left to say that standard output or error is gone.
        to.write_all(self.0.as_bytes())
            .and_then(|()| to.flush())
            .ok();
    }
}

/// Sends lines to standard error, those that the filter asks for (`warn,layersmith=info`), and numbers where they are wanted.
///
/// # Errors
/// When the filter cannot be read, or this was done before.
pub fn start(filter: &str, format: LogFormat, numbers: NumbersTo) -> Result<Counters, String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
    // Spans stay, however little is wanted: the lines that are left would not say what they are about.
    let spans = filter_fn(|it| it.is_span() && is_ours(it.target()))
        .with_max_level_hint(LevelFilter::ERROR);
    let lines = filter.or(spans).and(filter_fn(|it| it.target() != TARGET));
    let lines = match format {
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(lines)
            .boxed(),
        LogFormat::Json => JsonLines {
            write: |line: &Line| line.write(std::io::stderr().lock()),
        }
        .with_filter(lines)
        .boxed(),
    };
    let counters = Counters::default();
    let numbers = match numbers {
        NumbersTo::Counters => Count(counters.clone()).boxed(),
        NumbersTo::CloudWatch => EmbeddedMetrics {
            write: |line: &Line| line.write(std::io::stdout().lock()),
            clock: now,
        }
        .boxed(),
    };
    let of_numbers = Targets::new()
        .with_target(TARGET, Level::INFO)
        .with_target("layersmith", Level::ERROR);
    tracing_subscriber::registry()
        .with(KeepFields.with_filter(Targets::new().with_target("layersmith", Level::ERROR)))
        .with(lines)
        .with(numbers.with_filter(of_numbers))
        .try_init()
        .map_err(|error| error.to_string())?;
    Ok(counters)
}

/// The span of one invocation of a function: every line below it has the id that AWS Lambda gave it.
#[must_use]
pub fn invocation(request_id: &str) -> Span {
    tracing::error_span!("invocation", request_id)
}

/// Whether a target is of this program.
fn is_ours(target: &str) -> bool {
    target.starts_with("layersmith")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, milliseconds)
}

/// Whole milliseconds as a number: in logs as JSON, the type that [`Duration::as_millis`] gives becomes a text.
#[must_use]
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
