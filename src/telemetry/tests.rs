//! Lines and numbers as they come out, and what they are held to.

use super::embedded::NAMESPACE;
use super::*;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::{Subscriber, error_span};
use tracing_subscriber::Registry;

/// Runs the work with a subscriber of this thread.
fn heard(subscriber: impl Subscriber + Send + Sync, work: impl FnOnce()) {
    tracing::subscriber::with_default(subscriber, work);
}

/// Lines that were written, and the hand that writes them.
fn page() -> (Arc<Mutex<Vec<Value>>>, impl Fn(&Line) + Clone) {
    let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
    let page = Arc::clone(&lines);
    let write = move |line: &Line| {
        let line = line.0.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'));
        page.lock()
            .unwrap()
            .push(serde_json::from_str(line).unwrap());
    };
    (lines, write)
}

fn something_happens() {
    let run = error_span!("run", run = "apply-1");
    let _run = run.enter();
    let item = error_span!("item", layer = "pandas", target = "p3.13");
    let _item = item.enter();
    let region = error_span!("region", region = "eu-west-1");
    let _region = region.enter();
    tracing::warn!(tries = 2, "publishing failed");
    add(&metric::PUBLISHES, &["eu-west-1", "failed"], 1);
    took(
        &metric::STEP_SECONDS,
        &["publish"],
        Duration::from_millis(700),
    );
    took(&metric::STEP_SECONDS, &["owners"], Duration::from_secs(3));
    add(&metric::NOTIFICATIONS_GIVEN_UP, &[], 2);
}

#[test]
fn a_json_line_has_what_the_spans_around_it_say() {
    let (lines, write) = page();
    let numbers_are_no_lines = filter_fn(|it| it.target() != TARGET);
    let log = JsonLines { write }.with_filter(numbers_are_no_lines);
    heard(
        Registry::default().with(KeepFields).with(log),
        something_happens,
    );
    let mut line = lines.lock().unwrap()[0].clone();
    let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    let expected = json!({
        "level": "WARN", "module": "layersmith::telemetry::tests", "message": "publishing failed", "tries": 2,
        "run": "apply-1", "layer": "pandas", "target": "p3.13", "region": "eu-west-1",
    });
    assert_eq!(line, expected);
    assert_eq!(lines.lock().unwrap().len(), 1);
}

#[test]
fn prometheus_gets_what_was_counted_and_measured() {
    let counters = Counters::default();
    let counting = Registry::default().with(Count(counters.clone()));
    heard(counting, || {
        something_happens();
        something_happens();
    });
    let waiting = Measured::new(&metric::EVENTS_WAITING, &[], 3.0);
    counters.take(&Measured::new(&metric::EVENTS_WAITING, &[], 9.0));
    let text = counters.text(&[waiting]);
    // Of the buckets, the first and the last of one step stand for all.
    let lines = text.lines().filter(|line| {
        let bucket = line.contains("_bucket");
        !bucket || (line.contains("publish") && (line.contains("0.5") || line.contains("Inf")))
    });
    let lines: Vec<&str> = lines.collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    # HELP layersmith_events_waiting Events nobody has handled yet.
    # TYPE layersmith_events_waiting gauge
    layersmith_events_waiting 3
    # HELP layersmith_runs_ended_total Runs that ended, by how they did.
    # TYPE layersmith_runs_ended_total counter
    layersmith_runs_ended_total{state="done"} 0
    layersmith_runs_ended_total{state="failed"} 0
    layersmith_runs_ended_total{state="superseded"} 0
    layersmith_runs_ended_total{state="cancelled"} 0
    # HELP layersmith_publishes_total Layer versions brought live in a region, and those that could not be.
    # TYPE layersmith_publishes_total counter
    layersmith_publishes_total{region="eu-west-1",result="failed"} 2
    # HELP layersmith_step_seconds How long the steps of runs took.
    # TYPE layersmith_step_seconds histogram
    layersmith_step_seconds_bucket{step="publish",le="0.5"} 0
    layersmith_step_seconds_bucket{step="publish",le="+Inf"} 2
    layersmith_step_seconds_sum{step="publish"} 1.4
    layersmith_step_seconds_count{step="publish"} 2
    layersmith_step_seconds_sum{step="other"} 6
    layersmith_step_seconds_count{step="other"} 2
    # HELP layersmith_deliveries_given_up_total Webhook deliveries whose event could not be handled and was given up.
    # TYPE layersmith_deliveries_given_up_total counter
    layersmith_deliveries_given_up_total 0
    # HELP layersmith_notifications_given_up_total Messages that their receiver did not take and that were given up.
    # TYPE layersmith_notifications_given_up_total counter
    layersmith_notifications_given_up_total 4
    "#);
}

/// What the specification asks of a document, as far as a document of ours could break it.
fn conforms(document: &Value) {
    let of = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let aws = document["_aws"].as_object().unwrap();
    assert!(aws["Timestamp"].is_u64());
    for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(of(directive, "Namespace"), NAMESPACE);
        for set in directive["Dimensions"].as_array().unwrap() {
            let set = set.as_array().unwrap();
            assert!(set.len() <= 30);
            for dimension in set {
                let value = of(document, dimension.as_str().unwrap());
                assert!(!value.trim().is_empty() && value.len() <= 1024 && value.is_ascii());
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert!(["Count", "Seconds"].contains(&of(metric, "Unit").as_str()));
            let value = &document[of(metric, "Name")];
            assert!(value.as_f64().unwrap().is_finite(), "{value}");
        }
    }
}

#[test]
fn cloudwatch_gets_the_same_names_with_listed_labels_as_dimensions() {
    let (lines, write) = page();
    let clock = || 1_800_000_000_000;
    let numbers = EmbeddedMetrics { write, clock };
    heard(
        Registry::default().with(KeepFields).with(numbers),
        something_happens,
    );
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 4);
    lines.iter().for_each(conforms);
    let expected = json!({
        "_aws": {
            "Timestamp": 1_800_000_000_000_u64,
            "CloudWatchMetrics": [{
                "Namespace": "Layersmith",
                "Dimensions": [["result"]],
                "Metrics": [{"Name": "layersmith_publishes_total", "Unit": "Count"}],
            }],
        },
        "layersmith_publishes_total": 1.0, "result": "failed",
        "run": "apply-1", "layer": "pandas", "target": "p3.13", "region": "eu-west-1",
    });
    assert_eq!(lines[0], expected);
    assert_eq!(lines[2]["step"], "other");
    assert_eq!(
        lines[3]["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
        json!([[]])
    );
}

#[test]
fn values_of_labels_cannot_break_a_line() {
    let counters = Counters::default();
    counters.take(&Measured::new(&metric::THROTTLES, &["a\"b\\c\nd"], 1.0));
    let text = counters.text(&[]);
    assert!(text.contains(r#"{region="a\"b\\c\nd"} 1"#), "{text}");
}
