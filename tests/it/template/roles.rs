//! Who may do what.

use super::{Template, chosen, list, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The services each role speaks to, and no others; `logs` is its own group, or the delivery of a state machine's logs.
const SERVICES: &[(&str, &[&str])] = &[
    (
        "WebhookRole",
        &["dynamodb", "kms", "lambda", "logs", "s3", "secretsmanager"],
    ),
    ("ApiRole", &["dynamodb", "logs", "s3"]),
    (
        "SweepRole",
        &[
            "account",
            "dynamodb",
            "ec2",
            "kms",
            "logs",
            "s3",
            "secretsmanager",
            "sns",
            "sqs",
            "states",
        ],
    ),
    ("ScheduleRole", &["lambda", "sqs"]),
    (
        "PlanRole",
        &[
            "account",
            "dynamodb",
            "ec2",
            "kms",
            "logs",
            "s3",
            "secretsmanager",
        ],
    ),
    ("BuildRole", &["logs", "s3"]),
    (
        "PublishRole",
        &["account", "dynamodb", "ec2", "lambda", "logs", "s3", "ssm"],
    ),
    ("TablesRole", &["dynamodb", "kms", "logs", "s3", "ssm"]),
    (
        "CommentRole",
        &["dynamodb", "kms", "logs", "s3", "secretsmanager"],
    ),
    ("ExpireRole", &["dynamodb", "lambda", "logs", "s3"]),
    ("PlanMachineRole", &["lambda", "logs", "s3", "states"]),
    ("ApplyMachineRole", &["lambda", "logs", "s3", "states"]),
];

/// Actions that AWS has no resource for but the whole account (AWS Service Authorization Reference).
const ACCOUNT_WIDE: &[&str] = &[
    "account:ListRegions",
    "ec2:DescribeRegions",
    "lambda:ListLayers",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
];

/// What only some roles may do: an action's beginning, what the resource names, and those roles, all of which can do it.
const KEPT_TO: &[(&str, &str, &[&str])] = &[
    ("ssm:GetParameter", "${DeployKeyParameter}", &["TablesRole"]),
    ("secretsmanager:", "${WebhookSecret}", &["WebhookRole"]),
    (
        "secretsmanager:",
        "${AppSecret}",
        &["CommentRole", "PlanRole", "SweepRole"],
    ),
    ("secretsmanager:", "${NotifySecret}", &["SweepRole"]),
    ("lambda:PublishLayerVersion", "", &["PublishRole"]),
    (
        "lambda:DeleteLayerVersion",
        "",
        &["ExpireRole", "PublishRole"],
    ),
    ("lambda:AddLayerVersionPermission", "", &["PublishRole"]),
    ("sns:", "", &["SweepRole"]),
    (
        "states:StartExecution",
        "",
        &["ApplyMachineRole", "PlanMachineRole", "SweepRole"],
    ),
    (
        "lambda:InvokeFunction",
        "${Sweep.Arn}",
        &["ScheduleRole", "WebhookRole"],
    ),
    (
        "lambda:InvokeFunction",
        "-build-",
        &["ApplyMachineRole", "PlanMachineRole"],
    ),
    (
        "s3:PutObject",
        "/layersmith/build/artifacts/",
        &["BuildRole"],
    ),
    (
        "s3:PutObject",
        "/layersmith/build/tasks/",
        &["PlanRole", "PublishRole"],
    ),
];

/// All that the function may do that has strangers' code beside it.
const BUILD: &[(&str, &str)] = &[
    ("logs:CreateLogStream", "${Logsbuild.Arn}"),
    ("logs:PutLogEvents", "${Logsbuild.Arn}"),
    (
        "s3:AbortMultipartUpload",
        "${Artifacts.Arn}/layersmith/build/artifacts/*",
    ),
    (
        "s3:AbortMultipartUpload",
        "${Artifacts.Arn}/layersmith/build/results/*",
    ),
    (
        "s3:GetObject",
        "${Artifacts.Arn}/layersmith/build/artifacts/*",
    ),
    (
        "s3:GetObject",
        "${Artifacts.Arn}/layersmith/build/results/*",
    ),
    ("s3:GetObject", "${Artifacts.Arn}/layersmith/build/tasks/*"),
    ("s3:ListBucket", "${Artifacts.Arn}"),
    (
        "s3:PutObject",
        "${Artifacts.Arn}/layersmith/build/artifacts/*",
    ),
    (
        "s3:PutObject",
        "${Artifacts.Arn}/layersmith/build/results/*",
    ),
];

/// One action on one resource that a role is allowed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    role: String,
    action: String,
    resource: String,
}

pub(super) fn complaints(template: &Template) -> Vec<String> {
    let mut found = Vec::new();
    let roles = template.of_type("AWS::IAM::Role");
    let mut grants = BTreeSet::new();
    for (name, role) in &roles {
        if role.get("ManagedPolicyArns").is_some() {
            found.push(format!("{name} has policies that are not written out"));
        }
        if !list(&role["AssumeRolePolicyDocument"]["Statement"])
            .iter()
            .all(|statement| {
                let who = &statement["Principal"]["Service"];
                who.as_str()
                    .is_some_and(|it| it.ends_with(".amazonaws.com"))
            })
        {
            found.push(format!("{name} can be assumed by more than one service"));
        }
        for policy in list(&role["Policies"]) {
            for statement in list(&policy["PolicyDocument"]["Statement"]) {
                grants.extend(grants_of(name, chosen(statement)));
            }
        }
    }
    for kind in [
        "AWS::IAM::Policy",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::User",
    ] {
        for (name, _) in template.of_type(kind) {
            found.push(format!("{name}: rights are given in roles only"));
        }
    }
    found.extend(grants.iter().filter_map(too_much));
    found.extend(services(&grants));
    found.extend(kept_to(&grants));
    found.extend(look_for(&grants));
    found.extend(conditions(&roles));
    let build: BTreeSet<(&str, &str)> = grants
        .iter()
        .filter(|grant| grant.role == "BuildRole")
        .map(|grant| (grant.action.as_str(), grant.resource.as_str()))
        .collect();
    let expected: BTreeSet<(&str, &str)> = BUILD.iter().copied().collect();
    for (action, resource) in build.symmetric_difference(&expected) {
        found.push(format!("BuildRole: {action} on {resource}"));
    }
    found
}

fn grants_of(role: &str, statement: &Value) -> Vec<Grant> {
    if statement["Effect"] != "Allow" {
        return Vec::new();
    }
    let resources = list(&statement["Resource"]);
    list(&statement["Action"])
        .into_iter()
        .flat_map(|action| resources.iter().map(move |resource| (action, resource)))
        .map(|(action, resource)| Grant {
            role: role.to_owned(),
            action: text(action),
            resource: text(resource),
        })
        .collect()
}

/// What no role may do, whoever it is.
fn too_much(grant: &Grant) -> Option<String> {
    let Grant {
        role,
        action,
        resource,
    } = grant;
    if action.contains('*') {
        return Some(format!("{role}: the action {action} is more than one"));
    }
    if ["iam:", "sts:", "kms:Create"]
        .iter()
        .any(|it| action.starts_with(it))
    {
        return Some(format!("{role}: nobody needs {action}"));
    }
    if resource == "*" && !ACCOUNT_WIDE.contains(&action.as_str()) {
        return Some(format!("{role}: {action} on everything"));
    }
    let is_about_layers = action.contains("LayerVersion");
    if is_about_layers && !resource.ends_with(":layer:${Prefix}-*") {
        return Some(format!(
            "{role}: {action} on {resource}, not on layers under the prefix"
        ));
    }
    if action.starts_with("dynamodb:") && !resource.starts_with("${Table.Arn}") {
        return Some(format!("{role}: {action} on {resource}"));
    }
    if action == "logs:PutLogEvents" && !resource.starts_with("${Logs") {
        return Some(format!("{role}: {action} on {resource}"));
    }
    let reads = [
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
    ];
    if role == "ApiRole" && action.starts_with("dynamodb:") && !reads.contains(&action.as_str()) {
        return Some(format!("{role}: {action}, and the API changes nothing"));
    }
    None
}

fn services(grants: &BTreeSet<Grant>) -> Vec<String> {
    let mut spoken: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for grant in grants {
        let service = grant.action.split(':').next().unwrap_or_default();
        spoken.entry(&grant.role).or_default().insert(service);
    }
    let expected: BTreeMap<&str, BTreeSet<&str>> = SERVICES
        .iter()
        .map(|(role, services)| (*role, services.iter().copied().collect()))
        .collect();
    let names: BTreeSet<&&str> = spoken.keys().chain(expected.keys()).collect();
    names
        .into_iter()
        .filter(|name| spoken.get(**name) != expected.get(**name))
        .map(|name| {
            let (is, should) = (spoken.get(*name), expected.get(*name));
            format!("{name} speaks to {is:?}, and should to {should:?}")
        })
        .collect()
}

fn kept_to(grants: &BTreeSet<Grant>) -> Vec<String> {
    KEPT_TO
        .iter()
        .filter_map(|(action, resource, expected)| {
            let who: BTreeSet<&str> = grants
                .iter()
                .filter(|it| it.action.starts_with(action) && it.resource.contains(resource))
                .map(|it| it.role.as_str())
                .collect();
            let expected: BTreeSet<&str> = expected.iter().copied().collect();
            (who != expected)
                .then(|| format!("{action} on `{resource}`: {who:?}, and should be {expected:?}"))
        })
        .collect()
}

/// Objects that are always there when somebody reads them: the table refers to bodies and nobody deletes those, and a state
/// machine reads the list that was put down just before.
const ALWAYS_THERE: [&str; 2] = ["/layersmith/bodies/", "/layersmith/lists/"];

/// Whoever looks whether an object is there has to be able to list its bucket: AWS answers 403 for what is missing otherwise,
/// not 404 (Amazon S3 API reference, `GetObject`, "Permissions").
fn look_for(grants: &BTreeSet<Grant>) -> Vec<String> {
    let mut found = Vec::new();
    for grant in grants {
        if grant.action != "s3:GetObject"
            || ALWAYS_THERE.iter().any(|it| grant.resource.contains(it))
        {
            continue;
        }
        let bucket = grant.resource.split('/').next().unwrap_or_default();
        let list = Grant {
            role: grant.role.clone(),
            action: "s3:ListBucket".to_owned(),
            resource: bucket.to_owned(),
        };
        if !grants.contains(&list) {
            found.push(format!(
                "{} reads {} and may not list {bucket}",
                grant.role, grant.resource
            ));
        }
    }
    found
}

/// What holds only under a condition.
fn conditions(roles: &[(&str, &Value)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, role) in roles {
        for policy in list(&role["Policies"]) {
            for statement in list(&policy["PolicyDocument"]["Statement"])
                .into_iter()
                .map(chosen)
            {
                let (action, condition) =
                    (text(&statement["Action"]), text(&statement["Condition"]));
                if action.contains("kms:Decrypt") && !condition.contains(".amazonaws.com") {
                    found.push(format!("{name}: kms:Decrypt for whoever asks"));
                }
                if *name == "WebhookRole"
                    && action.contains("dynamodb:")
                    && condition != "DELIVERY#* EVENT#* COUNTER"
                {
                    found.push(format!("{name}: {action} on any item"));
                }
            }
        }
    }
    found
}
