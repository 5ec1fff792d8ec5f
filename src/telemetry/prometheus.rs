//! Numbers for Prometheus: kept in this process, shown when they are asked for.

use super::measured::Measured;
use super::metric::{BUCKETS, Kind, Metric};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// What happened since this process began.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<Series>>);

/// By name, then by the labels' values.
type Series = BTreeMap<(&'static str, Vec<String>), Total>;

#[derive(Debug, Clone, Default)]
struct Total {
    /// The sum, or the last number of a gauge.
    value: f64,
    /// How many there were, and how many within each of [`BUCKETS`].
    count: u64,
    within: [u64; BUCKETS.len()],
}

impl Total {
    fn take(&mut self, kind: Kind, value: f64) {
        match kind {
            Kind::Gauge => self.value = value,
            Kind::Counter => self.value += value,
            Kind::Histogram => {
                self.value += value;
                self.count += 1;
                let within = self.within.iter_mut().zip(BUCKETS);
                for (count, _) in within.filter(|(_, bound)| value <= *bound) {
                    *count += 1;
                }
            }
        }
    }
}

impl Counters {
    /// Takes a number up.
    pub fn take(&self, measured: &Measured) {
        let key = (measured.metric.name, measured.labels.clone());
        let mut series = self.series();
        let total = series.entry(key).or_default();
        total.take(measured.metric.kind, measured.value);
    }

    /// Everything in Prometheus' text format, version 0.0.4, with how things are now.
    #[must_use]
    pub fn text(&self, now: &[Measured]) -> String {
        for gauge in now {
            self.take(gauge);
        }
        let series = self.series().clone();
        let mut text = String::new();
        for metric in Metric::ALL {
            show(&mut text, metric, &series);
        }
        text
    }

    fn series(&self) -> MutexGuard<'_, Series> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A metric's lines; nothing for one that has no numbers yet.
fn show(text: &mut String, metric: &Metric, series: &Series) {
    let mut totals: BTreeMap<Vec<String>, Total> = BTreeMap::new();
    // What is counted is there from the beginning: from nothing to 1 would be no increase.
    if metric.kind == Kind::Counter {
        let all = metric.combinations().into_iter();
        totals.extend(all.map(|labels| (labels, Total::default())));
    }
    let of_metric = series.iter().filter(|((name, _), _)| *name == metric.name);
    totals.extend(of_metric.map(|((_, labels), total)| (labels.clone(), total.clone())));
    if totals.is_empty() {
        return;
    }
    let Metric { name, help, .. } = metric;
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let mut totals: Vec<(Vec<String>, Total)> = totals.into_iter().collect();
    totals.sort_by_key(|(labels, _)| place(metric, labels));
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing into a string does not fail.
        text.write_fmt(args).ok();
        text.push('\n');
    };
    line(format_args!("# HELP {name} {help}"));
    line(format_args!("# TYPE {name} {kind}"));
    for (labels, total) in &totals {
        let shown = shown(metric, labels, None);
        let Total { value, count, .. } = total;
        if metric.kind != Kind::Histogram {
            line(format_args!("{name}{shown} {value}"));
            continue;
        }
        for (bound, within) in BUCKETS.iter().zip(total.within) {
            let shown = self::shown(metric, labels, Some(&bound.to_string()));
            line(format_args!("{name}_bucket{shown} {within}"));
        }
        let all = self::shown(metric, labels, Some("+Inf"));
        line(format_args!("{name}_bucket{all} {count}"));
        line(format_args!("{name}_sum{shown} {value}"));
        line(format_args!("{name}_count{shown} {count}"));
    }
}

/// Listed values in the order of the list, others by the alphabet.
fn place(metric: &Metric, labels: &[String]) -> Vec<(usize, String)> {
    let labels = metric.labels.iter().zip(labels);
    labels
        .map(|(label, value)| {
            let at = label.values.iter().position(|listed| listed == value);
            (at.unwrap_or(usize::MAX), value.clone())
        })
        .collect()
}

/// `{state="open"}`, or nothing.
fn shown(metric: &Metric, labels: &[String], up_to: Option<&str>) -> String {
    let pairs = metric
        .labels
        .iter()
        .map(|label| label.name)
        .zip(labels.iter().map(String::as_str));
    let pairs: Vec<String> = pairs
        .chain(up_to.map(|bound| ("le", bound)))
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if pairs.is_empty() {
        return String::new();
    }
    format!("{{{}}}", pairs.join(","))
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Takes up every number that it hears of.
pub(super) struct Count(pub(super) Counters);

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if let Some(measured) = Measured::of(event) {
            self.0.take(&measured);
        }
    }
}
