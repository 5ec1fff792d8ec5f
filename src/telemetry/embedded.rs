//! Numbers for Amazon CloudWatch: a line of standard output each, in its embedded metric format, which CloudWatch Logs makes
//! metrics of.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//! Nothing has to be flushed, so that a function that is frozen or killed loses nothing that it had said.

use super::Line;
use super::fields::Fields;
use super::measured::Measured;
use super::metric::Unit;
use serde_json::{Map, Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The namespace of all metrics in CloudWatch.
pub(super) const NAMESPACE: &str = "Layersmith";

/// Writes a line for every number that it hears of. The clock tells milliseconds since 1970-01-01T00:00:00Z.
pub(super) struct EmbeddedMetrics<W, C> {
    pub(super) write: W,
    pub(super) clock: C,
}

impl<S, W, C> Layer<S> for EmbeddedMetrics<W, C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&Line) + 'static,
    C: Fn() -> u64 + 'static,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if let Some(measured) = Measured::of(event) {
            let around = Fields::around(event, &context).0;
            (self.write)(&Line::of(&document(&measured, around, (self.clock)())));
        }
    }
}

/// One number with everything that is known about where it comes from; only listed labels are dimensions.
fn document(measured: &Measured, around: Map<String, Value>, milliseconds: u64) -> Value {
    let metric = measured.metric;
    let dimensions = metric.labels.iter().filter(|label| label.is_dimension());
    let dimensions: Vec<&str> = dimensions.map(|label| label.name).collect();
    let unit = match metric.unit {
        Unit::Count => "Count",
        Unit::Seconds => "Seconds",
    };
    let mut document = around;
    let labels = metric.labels.iter().zip(&measured.labels);
    document.extend(labels.map(|(label, value)| (label.name.to_owned(), value.as_str().into())));
    document.insert(metric.name.to_owned(), measured.value.into());
    document.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": milliseconds,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [dimensions],
                "Metrics": [{"Name": metric.name, "Unit": unit}],
            }],
        }),
    );
    Value::Object(document)
}
