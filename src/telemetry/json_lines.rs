//! The log for machines: one JSON object a line, with the fields of the event and of all spans around it side by side.
//!
//! Always there are `timestamp`, `level`, `module` and `message`; `run`, `step`, `layer`, `target`, `region` and `request_id`
//! where they apply.

use super::Line;
use super::fields::Fields;
use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Writes every event that it hears of.
pub(super) struct JsonLines<W> {
    pub(super) write: W,
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&Line) + 'static,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::around(event, &context).0;
        fields.extend(Fields::of(event).0);
        let metadata = event.metadata();
        let mut put = |name: &str, value: &str| fields.insert(name.to_owned(), value.into());
        put("level", metadata.level().as_str());
        put("module", metadata.target());
        put("timestamp", &now());
        (self.write)(&Line::of(&Value::Object(fields)));
    }
}

/// The time in the format of RFC 3339, with microseconds.
fn now() -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    SystemTime.format_time(&mut Writer::new(&mut text)).ok();
    text
}
