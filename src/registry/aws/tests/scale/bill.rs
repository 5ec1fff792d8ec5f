//! What a run costs on AWS, in US dollars of us-east-1, arm64. Prices are from memory, to be compared with the pages named.

use super::Ran;
use super::catalog::ZIP;

/// A state transition of a standard workflow: <https://aws.amazon.com/step-functions/pricing/>.
const TRANSITION: f64 = 0.025 / 1_000.0;
/// A second of a function with one GB, and an invocation: <https://aws.amazon.com/lambda/pricing/>.
const GB_SECOND: f64 = 0.000_013_333_4;
const INVOCATION: f64 = 0.20 / 1e6;
/// Units on demand: <https://aws.amazon.com/dynamodb/pricing/on-demand/>.
const WRITE: f64 = 0.625 / 1e6;
const READ: f64 = 0.125 / 1e6;
/// A GB to another region: <https://aws.amazon.com/ec2/pricing/on-demand/>, "Data Transfer".
const GB_TO_A_REGION: f64 = 0.02;
/// A request that writes, and a GB for a month: <https://aws.amazon.com/s3/pricing/>.
const PUT: f64 = 0.005 / 1_000.0;
const GB_MONTH: f64 = 0.023;
/// A GB of logs: <https://aws.amazon.com/cloudwatch/pricing/>.
const GB_OF_LOGS: f64 = 0.50;

/// Memory of the functions that publish and build, in GB, as the template has it.
const PUBLISH_GB: f64 = 1.769 * 1000.0 / 1024.0;
const BUILD_GB: f64 = 3.008 * 1000.0 / 1024.0;

/// States that a run passes by itself, and for each item in each of its two maps; children of a distributed map count one
/// more.
const STATES: usize = 14;
/// Items above which a map is distributed.
const INLINE_ITEMS: usize = 500;
/// Events that an item leaves in the history of the execution, in each of the two maps, and the limit for one execution:
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>.
const EVENTS: usize = 9;
pub(super) const HISTORY_LIMIT: usize = 25_000;

/// Units for a version from its intent to live, told and in the tables; for an item's journal and build.
const WRITES_OF_VERSION: f64 = 41.0;
const READS_OF_VERSION: f64 = 8.0;
const WRITES_OF_ITEM: f64 = 19.0;
/// Task, result, zip and documents.
const OBJECTS_OF_ITEM: f64 = 4.0;
/// Bytes of the log for a version: a number and a part of a line.
const LOG_OF_VERSION: f64 = 700.0;

/// Bytes of layers that a region keeps for an account unless it is asked for more: AWS Lambda quotas, "Function and layer
/// storage".
pub(super) const STORAGE_LIMIT: f64 = 75e9;

/// One line of a bill.
pub(super) struct Part {
    pub(super) what: &'static str,
    pub(super) amount: String,
    pub(super) dollars: f64,
}

pub(super) fn transitions(items: usize) -> usize {
    let per_item = if items > INLINE_ITEMS { 2 } else { 1 };
    STATES + 2 * items * per_item
}

/// The longest history that an execution of the run has.
pub(super) fn events(items: usize) -> usize {
    let inline = if items > INLINE_ITEMS { 0 } else { items };
    STATES * 5 + 2 * inline * EVENTS
}

/// Everything that a run is charged for.
pub(super) fn bill(ran: &Ran) -> Vec<Part> {
    let (items, versions) = (ran.items as f64, ran.versions as f64);
    let part = |what, amount, dollars| Part {
        what,
        amount,
        dollars,
    };
    let transitions = transitions(ran.items);
    let publishing = ran.publishing_seconds * PUBLISH_GB;
    let building = ran.building_seconds * BUILD_GB;
    let invocations = 2.0 * items + STATES as f64;
    let writes = versions * WRITES_OF_VERSION + items * WRITES_OF_ITEM;
    let reads = versions * READS_OF_VERSION;
    let uploaded = versions * ZIP as f64 * 4.0 / 3.0 / 1e9;
    let kept = items * ZIP as f64 / 1e9;
    let logs = versions * LOG_OF_VERSION / 1e9;
    vec![
        part(
            "Step Functions",
            format!("{transitions} transitions"),
            transitions as f64 * TRANSITION,
        ),
        part(
            "Lambda, building",
            format!("{building:.0} GB-s"),
            building * GB_SECOND,
        ),
        part(
            "Lambda, publishing",
            format!("{publishing:.0} GB-s"),
            publishing * GB_SECOND,
        ),
        part(
            "Lambda, invocations",
            format!("{invocations:.0}"),
            invocations * INVOCATION,
        ),
        part(
            "DynamoDB",
            format!("{writes:.0} W, {reads:.0} R"),
            writes * WRITE + reads * READ,
        ),
        part(
            "S3",
            format!("{:.0} PUT, {kept:.1} GB a month", items * OBJECTS_OF_ITEM),
            items * OBJECTS_OF_ITEM * PUT + kept * GB_MONTH,
        ),
        part(
            "Uploads to other regions",
            format!("{uploaded:.0} GB"),
            uploaded * GB_TO_A_REGION,
        ),
        part(
            "Logs and metrics",
            format!("{logs:.2} GB"),
            logs * GB_OF_LOGS,
        ),
    ]
}
