//! Numbers on their way from the code that knows them to whoever collects them: as events of their own target, so that no
//! room has to know who listens, and nothing is handed through.

use super::fields::Fields;
use super::metric::Metric;
use std::time::Duration;
use tracing::{Event, Level};

/// The target of events that are numbers and no lines of the log.
pub(super) const TARGET: &str = "layersmith::metric";
/// Parts the values of labels; no value has it.
const BETWEEN: char = '\u{1f}';

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What it is a number of.
    pub metric: &'static Metric,
    /// The values of the metric's labels, in their order.
    pub labels: Vec<String>,
    /// The number.
    pub value: f64,
}

impl Measured {
    /// A number with the values of the metric's labels in their order.
    #[must_use]
    pub fn new(metric: &'static Metric, labels: &[&str], value: f64) -> Self {
        let known = metric.labels.iter().zip(labels);
        Self {
            metric,
            labels: known
                .map(|(label, value)| label.known(value).to_owned())
                .collect(),
            value,
        }
    }

    /// Tells whoever listens.
    pub fn send(&self) {
        let labels = self.labels.join(&BETWEEN.to_string());
        tracing::event!(target: TARGET, Level::INFO, metric = self.metric.name, labels, value = self.value);
    }

    /// The number that an event is, if it is one.
    pub(super) fn of(event: &Event<'_>) -> Option<Self> {
        if event.metadata().target() != TARGET {
            return None;
        }
        let fields = Fields::of(event);
        let metric = Metric::named(fields.get("metric")?.as_str()?)?;
        let labels = fields.get("labels")?.as_str()?;
        let labels = labels.split(BETWEEN).take(metric.labels.len());
        Some(Self {
            metric,
            labels: labels.map(str::to_owned).collect(),
            value: fields.get("value")?.as_f64()?,
        })
    }
}

/// Something happened so many times more. `labels` are the values of the metric's labels in their order.
pub fn add(metric: &'static Metric, labels: &[&str], times: u32) {
    Measured::new(metric, labels, f64::from(times)).send();
}

/// Something took so long.
pub fn took(metric: &'static Metric, labels: &[&str], time: Duration) {
    Measured::new(metric, labels, time.as_secs_f64()).send();
}
