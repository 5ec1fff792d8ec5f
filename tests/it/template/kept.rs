//! What is kept and for how long, and what somebody is told of.

use super::{Template, list, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// What alarms there have to be: the metric, and what of the template it is about.
const ALARMS: &[(&str, &str)] = &[
    ("ExecutionsFailed", "${PlanMachine}"),
    ("ExecutionsFailed", "${ApplyMachine}"),
    ("ExecutionsTimedOut", "${PlanMachine}"),
    ("ExecutionsTimedOut", "${ApplyMachine}"),
    (
        "ApproximateNumberOfMessagesVisible",
        "${DeadLetters.QueueName}",
    ),
    ("Errors", "${Webhook}"),
    ("Url5xxCount", "${Webhook}"),
    ("Throttles", "${Webhook}"),
    ("Errors", "${Sweep}"),
    ("Invocations", "${Sweep}"),
    ("layersmith_deliveries_given_up_total", ""),
    ("layersmith_notifications_given_up_total", ""),
    ("layersmith_intents_in_doubt", ""),
];

pub(super) fn complaints(template: &Template) -> Vec<String> {
    let mut found = table(template);
    found.extend(bucket(template));
    found.extend(alarms(template));
    found.extend(schedules(template));
    found
}

fn table(template: &Template) -> Vec<String> {
    let table = template.properties("Table");
    let mut found = Vec::new();
    if table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] != true {
        found.push("the table cannot be brought back to what it was".to_owned());
    }
    if table["DeletionProtectionEnabled"] != true {
        found.push("the table can be deleted".to_owned());
    }
    for name in ["Table", "Artifacts"] {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            if template.resources()[name][policy] != "Retain" {
                found.push(format!("{name} goes with the stack: {policy}"));
            }
        }
    }
    found
}

fn bucket(template: &Template) -> Vec<String> {
    let bucket = template.properties("Artifacts");
    let mut found = Vec::new();
    let public = bucket["PublicAccessBlockConfiguration"].as_object();
    let closed = public.into_iter().flatten().filter(|(_, it)| **it == true);
    if closed.count() != 4 {
        found.push("the bucket can be made public".to_owned());
    }
    if bucket["BucketEncryption"].is_null() {
        found.push("the bucket is not encrypted".to_owned());
    }
    let rules = list(&bucket["LifecycleConfiguration"]["Rules"]);
    for rule in &rules {
        let prefix = text(&rule["Prefix"]);
        let goes = !rule["ExpirationInDays"].is_null();
        let may_go = ["build/tasks/", "build/results/", "lists/"];
        if goes && !may_go.iter().any(|it| prefix == format!("layersmith/{it}")) {
            found.push(format!("what is below `{prefix}` goes, and is needed"));
        }
    }
    if !rules
        .iter()
        .any(|it| !it["AbortIncompleteMultipartUpload"].is_null())
    {
        found.push("unfinished uploads stay for ever".to_owned());
    }
    for (policy, kind) in [
        ("ArtifactsPolicy", "AWS::S3::BucketPolicy"),
        ("DeadLettersPolicy", "AWS::SQS::QueuePolicy"),
    ] {
        let statements = list(&template.properties(policy)["PolicyDocument"]["Statement"]);
        let tls = statements.iter().any(|it| {
            it["Effect"] == "Deny" && it["Condition"]["Bool"]["aws:SecureTransport"] == "false"
        });
        let allows = statements.iter().any(|it| it["Effect"] == "Allow");
        if template.resources()[policy]["Type"] != kind || !tls || allows {
            found.push(format!(
                "{policy} does not ask for TLS, or allows something"
            ));
        }
    }
    found
}

fn alarms(template: &Template) -> Vec<String> {
    let mut found = Vec::new();
    let mut there: BTreeSet<(String, String)> = BTreeSet::new();
    for (name, alarm) in template.of_type("AWS::CloudWatch::Alarm") {
        let about: Vec<String> = list(&alarm["Dimensions"])
            .into_iter()
            .map(|it| text(&it["Value"]))
            .collect();
        there.insert((text(&alarm["MetricName"]), about.join(" ")));
        if text(&alarm["AlarmActions"]) != "HasAlarmTopic ${AlarmTopic} ${AWS::NoValue}" {
            found.push(format!("{name} tells nobody"));
        }
        // Silence is good, but where it says that the clock has stopped.
        let missing = if alarm["MetricName"] == "Invocations" {
            "breaching"
        } else {
            "notBreaching"
        };
        if alarm["TreatMissingData"] != missing {
            found.push(format!("{name}: no data is not {missing}"));
        }
    }
    let expected: BTreeSet<(String, String)> = ALARMS
        .iter()
        .map(|(metric, about)| ((*metric).to_owned(), (*about).to_owned()))
        .collect();
    for (metric, about) in there.symmetric_difference(&expected) {
        found.push(format!(
            "alarms: {metric} of `{about}` is in one of template and test only"
        ));
    }
    let board = text(&template.properties("Dashboard")["DashboardBody"]);
    let board = board.replace("${AWS::Region}", "eu-west-1");
    if serde_json::from_str::<Value>(&board).is_err() {
        found.push("the dashboard is no JSON".to_owned());
    }
    for metric in [
        "layersmith_intents_in_doubt",
        "layersmith_publishes_total",
        "ExecutionsFailed",
    ] {
        if !board.contains(metric) {
            found.push(format!("the dashboard does not show {metric}"));
        }
    }
    found
}

/// What the sweep is woken for, by the clock; what comes to nothing is kept.
fn schedules(template: &Template) -> Vec<String> {
    let mut found = Vec::new();
    let mut works = BTreeSet::new();
    for (name, schedule) in template.of_type("AWS::Scheduler::Schedule") {
        let target = &schedule["Target"];
        let input: Value = serde_json::from_str(&text(&target["Input"])).unwrap_or_default();
        works.insert(text(&input["work"]));
        if text(&target["Arn"]) != "${Sweep.Arn}"
            || text(&target["RoleArn"]) != "${ScheduleRole.Arn}"
        {
            found.push(format!("{name} wakes something else"));
        }
        if text(&target["DeadLetterConfig"]["Arn"]) != "${DeadLetters.Arn}" {
            found.push(format!("{name}: what comes to nothing is lost"));
        }
    }
    let expected = ["events", "sweep", "expire", "upgrade"].map(str::to_owned);
    if works != BTreeSet::from(expected) {
        found.push(format!("the schedules ask for {works:?}"));
    }
    let asynchronous = template.of_type("AWS::Lambda::EventInvokeConfig");
    let kept = asynchronous.iter().any(|(_, config)| {
        text(&config["FunctionName"]) == "${Sweep}"
            && text(&config["DestinationConfig"]["OnFailure"]) == "${DeadLetters.Arn}"
    });
    if !kept {
        found.push("a wake-up of the webhook that comes to nothing is lost".to_owned());
    }
    found
}

/// The store makes its requests to this table, with these keys.
#[test]
fn the_table_is_that_of_the_code() {
    let table = Template::ours().properties("Table");
    let code = layersmith::store::table_definition();
    for (property, value) in code.as_object().unwrap() {
        assert_eq!(&table[property], value, "{property}");
    }
}

/// Alarms and dashboard ask for numbers that there are, under the name and the label that they have.
#[test]
fn every_metric_is_one_of_the_list() {
    let list = std::fs::read_to_string(super::root().join("src/telemetry/metric.rs")).unwrap();
    let template = super::source();
    let mut seen = BTreeSet::new();
    for place in template.split("layersmith_").skip(1) {
        let end = place.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        seen.insert(&place[..end.unwrap_or(place.len())]);
    }
    assert!(seen.len() > 6, "only {seen:?} were found");
    for name in seen {
        let metric = list.contains(&format!("name: \"layersmith_{name}\""));
        assert!(metric, "nobody counts layersmith_{name}");
    }
}
