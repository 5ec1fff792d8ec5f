//! Every metric there is: name, unit, labels and what it tells. Prometheus and CloudWatch get the same names.
//!
//! A label whose values are all listed is a dimension in CloudWatch, where each combination of dimensions is a metric that is
//! paid for by the month. A region or a target is none: it is a property of the line there, which CloudWatch Logs Insights
//! searches, and a label for Prometheus only.

/// What the numbers of a metric mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How often something happened; adds up.
    Counter,
    /// How something is now; the last number counts.
    Gauge,
    /// How long or how large each of many was.
    Histogram,
}

/// What the numbers of a metric count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds; of a gauge, those since 1970-01-01T00:00:00Z.
    Seconds,
}

/// What tells the numbers of one metric apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Every value there is; none where there are many.
    pub values: &'static [&'static str],
}

impl Label {
    /// Whether CloudWatch keeps the numbers of each value apart.
    #[must_use]
    pub fn is_dimension(&self) -> bool {
        !self.values.is_empty()
    }

    /// The value as the list has it: what is not listed is [`OTHER`].
    pub(super) fn known<'a>(&self, value: &'a str) -> &'a str {
        if !self.is_dimension() || self.values.contains(&value) {
            value
        } else {
            OTHER
        }
    }
}

/// The value of a label for what its list does not name.
pub const OTHER: &str = "other";

/// Something that is counted or measured.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, the same everywhere.
    pub name: &'static str,
    /// What its numbers mean.
    pub kind: Kind,
    /// What they count.
    pub unit: Unit,
    /// One sentence for people.
    pub help: &'static str,
    /// What tells its numbers apart, in the order that values are given in.
    pub labels: &'static [Label],
}

/// Upper bounds of the buckets that durations are counted in, in seconds: from a call to the longest build that a policy
/// usually allows.
pub const BUCKETS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 900.0];

const REGION: Label = Label {
    name: "region",
    values: &[],
};
const TARGET: Label = Label {
    name: "target",
    values: &[],
};
const RUN_STATES: &[&str] = &["open", "done", "failed", "superseded", "cancelled"];

/// Runs that the store has.
pub const RUNS: Metric = Metric {
    name: "layersmith_runs",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "Runs by state.",
    labels: &[Label {
        name: "state",
        values: RUN_STATES,
    }],
};
/// Layer versions that the store has.
pub const LAYER_VERSIONS: Metric = Metric {
    name: "layersmith_layer_versions",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "Layer versions by state.",
    labels: &[Label {
        name: "state",
        values: &["intent", "live", "deprecated"],
    }],
};
/// Events that wait.
pub const EVENTS_WAITING: Metric = Metric {
    name: "layersmith_events_waiting",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "Events nobody has handled yet.",
    labels: &[],
};
/// Regions that are behind.
pub const REGIONS_FAILED: Metric = Metric {
    name: "layersmith_regions_failed",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "Regions in which something that was to be published is not live.",
    labels: &[],
};
/// Intents that should have ended by now.
pub const INTENTS_IN_DOUBT: Metric = Metric {
    name: "layersmith_intents_in_doubt",
    kind: Kind::Gauge,
    unit: Unit::Count,
    help: "Intents to publish that are open for more than an hour: nobody knows whether there is a version.",
    labels: &[],
};
/// The last apply that came to its end.
pub const LAST_APPLY: Metric = Metric {
    name: "layersmith_last_apply_timestamp_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    help: "When the last apply that reached its end was written down.",
    labels: &[],
};
/// Runs that ended.
pub const RUNS_ENDED: Metric = Metric {
    name: "layersmith_runs_ended_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Runs that ended, by how they did.",
    labels: &[Label {
        name: "state",
        values: &["done", "failed", "superseded", "cancelled"],
    }],
};
/// Publications in one region.
pub const PUBLISHES: Metric = Metric {
    name: "layersmith_publishes_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Layer versions brought live in a region, and those that could not be.",
    labels: &[
        REGION,
        Label {
            name: "result",
            values: &["live", "failed", "not_enabled"],
        },
    ],
};
/// Builds of a layer for a target.
pub const BUILDS: Metric = Metric {
    name: "layersmith_builds_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Layers resolved and built for a target, and those that could not be.",
    labels: &[
        TARGET,
        Label {
            name: "result",
            values: &["built", "failed", "from_source"],
        },
    ],
};
/// Steps of runs.
pub const STEP_SECONDS: Metric = Metric {
    name: "layersmith_step_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    help: "How long the steps of runs took.",
    labels: &[Label {
        name: "step",
        values: &[
            "read", "build", "plan", "upgrade", "publish", "tables", "comment", "expire",
            "observe", "repair", OTHER,
        ],
    }],
};
/// Answers of AWS Lambda that ask for patience.
pub const THROTTLES: Metric = Metric {
    name: "layersmith_throttles_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Answers of AWS Lambda that asked to slow down.",
    labels: &[REGION],
};
/// Events that nobody could handle.
pub const DELIVERIES_GIVEN_UP: Metric = Metric {
    name: "layersmith_deliveries_given_up_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Webhook deliveries whose event could not be handled and was given up.",
    labels: &[],
};
/// Messages that nobody took.
pub const NOTIFICATIONS_GIVEN_UP: Metric = Metric {
    name: "layersmith_notifications_given_up_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    help: "Messages that their receiver did not take and that were given up.",
    labels: &[],
};

impl Metric {
    /// Every metric, in the order they are shown in.
    pub const ALL: [&'static Self; 13] = [
        &RUNS,
        &LAYER_VERSIONS,
        &EVENTS_WAITING,
        &REGIONS_FAILED,
        &INTENTS_IN_DOUBT,
        &LAST_APPLY,
        &RUNS_ENDED,
        &PUBLISHES,
        &BUILDS,
        &STEP_SECONDS,
        &THROTTLES,
        &DELIVERIES_GIVEN_UP,
        &NOTIFICATIONS_GIVEN_UP,
    ];

    /// The metric of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|metric| metric.name == name)
    }

    /// Every combination of values that its labels can have; none where one of them has many.
    pub(super) fn combinations(&self) -> Vec<Vec<String>> {
        let mut all = vec![Vec::new()];
        for label in self.labels {
            let longer = |begun: Vec<String>| {
                let values = label.values.iter();
                values.map(move |value| [begun.clone(), vec![(*value).to_owned()]].concat())
            };
            all = all.into_iter().flat_map(longer).collect();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Custom metrics that an account pays for at most, in an hour in which everything happens.
    const PAID_FOR: usize = 45;

    #[test]
    fn names_are_those_that_prometheus_asks_for_and_there_are_few_in_cloudwatch() {
        let mut names = BTreeSet::new();
        let mut paid_for = 0;
        for metric in Metric::ALL {
            let name = metric.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("layersmith_"), "{name}");
            assert!(name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'));
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter);
            assert_eq!(name.ends_with("_seconds"), metric.unit == Unit::Seconds);
            assert!(metric.help.ends_with('.'), "{name}");
            let dimensions = metric.labels.iter().filter(|label| label.is_dimension());
            paid_for += dimensions
                .map(|label| label.values.len())
                .product::<usize>();
        }
        assert!(paid_for <= PAID_FOR, "{paid_for}");
    }

    #[test]
    fn the_readme_explains_each_in_their_order() {
        let readme = include_str!("../../README.md");
        let (_, section) = readme.split_once("\n### Numbers\n").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let rows = section.lines().filter_map(|line| {
            let (first, _) = line.strip_prefix("| `")?.split_once(" | ")?;
            Some(first.to_owned())
        });
        let expected = Metric::ALL.map(|metric| {
            let labels = metric
                .labels
                .iter()
                .map(|label| match label.is_dimension() {
                    true => format!(" [`{}`]", label.name),
                    false => format!(" `{}`", label.name),
                });
            format!("{}`{}", metric.name, labels.collect::<String>())
        });
        assert_eq!(rows.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn combinations_are_those_of_the_listed_values() {
        assert_eq!(EVENTS_WAITING.combinations(), [Vec::<String>::new()]);
        assert_eq!(LAYER_VERSIONS.combinations().len(), 3);
        assert_eq!(PUBLISHES.combinations().len(), 0, "regions are not listed");
        assert_eq!(STEP_SECONDS.labels[0].known("owners"), OTHER);
        assert_eq!(REGION.known("eu-west-1"), "eu-west-1");
    }
}
