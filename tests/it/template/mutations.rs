//! Templates that break the rules, each of which has to be noticed.

use super::{Template, complaints, list};
use serde_json::{Value, json};

struct Mutation {
    what: &'static str,
    change: fn(&mut Value),
    /// A part of what has to be said of it.
    noticed: &'static str,
}

fn role(resources: &mut Value, name: &str) -> Vec<Value> {
    list(&resources[name]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"])
        .into_iter()
        .cloned()
        .collect()
}

fn allow(resources: &mut Value, name: &str, action: &str, resource: &Value) {
    let mut statements = role(resources, name);
    statements.push(json!({"Effect": "Allow", "Action": action, "Resource": resource}));
    resources[name]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"] = json!(statements);
}

fn variables<'v>(resources: &'v mut Value, name: &str) -> &'v mut serde_json::Map<String, Value> {
    resources[name]["Properties"]["Environment"]["Variables"]
        .as_object_mut()
        .unwrap()
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        what: "build reads the table",
        change: |it| {
            allow(
                it,
                "BuildRole",
                "dynamodb:GetItem",
                &json!({"Fn::GetAtt": ["Table", "Arn"]}),
            )
        },
        noticed: "BuildRole speaks to",
    },
    Mutation {
        what: "build writes anywhere in the bucket",
        change: |it| {
            allow(
                it,
                "BuildRole",
                "s3:PutObject",
                &json!({"Fn::Sub": "${Artifacts.Arn}/*"}),
            )
        },
        noticed: "BuildRole: s3:PutObject on ${Artifacts.Arn}/*",
    },
    Mutation {
        what: "build has a secret in its environment",
        change: |it| {
            variables(it, "BuildP313").insert(
                "LAYERSMITH_DEPLOY_KEY".to_owned(),
                json!("ssm:/layersmith/deploy-key"),
            );
        },
        noticed: "BuildP313 is told LAYERSMITH_DEPLOY_KEY",
    },
    Mutation {
        what: "comment reads the deploy key",
        change: |it| {
            let resource = json!({"Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter${DeployKeyParameter}"});
            allow(it, "CommentRole", "ssm:GetParameter", &resource);
        },
        noticed: "ssm:GetParameter on `${DeployKeyParameter}`",
    },
    Mutation {
        what: "plan reads the webhook secret",
        change: |it| {
            allow(
                it,
                "PlanRole",
                "secretsmanager:GetSecretValue",
                &json!({"Fn::Sub": "secret:${WebhookSecret}-??????"}),
            )
        },
        noticed: "secretsmanager: on `${WebhookSecret}`",
    },
    Mutation {
        what: "publish reaches layers of others",
        change: |it| {
            allow(
                it,
                "PublishRole",
                "lambda:DeleteLayerVersion",
                &json!({"Fn::Sub": "arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:layer:*"}),
            )
        },
        noticed: "not on layers under the prefix",
    },
    Mutation {
        what: "tables publishes layers",
        change: |it| {
            allow(
                it,
                "TablesRole",
                "lambda:PublishLayerVersion",
                &json!({"Fn::Sub": "arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:layer:${Prefix}-*"}),
            )
        },
        noticed: "TablesRole speaks to",
    },
    Mutation {
        what: "an action that is many",
        change: |it| {
            allow(
                it,
                "ExpireRole",
                "lambda:*",
                &json!("arn:aws:lambda:*:1:layer:x"),
            )
        },
        noticed: "the action lambda:* is more than one",
    },
    Mutation {
        what: "a resource that is everything",
        change: |it| allow(it, "PlanRole", "s3:GetObject", &json!("*")),
        noticed: "PlanRole: s3:GetObject on everything",
    },
    Mutation {
        what: "the API writes",
        change: |it| {
            allow(
                it,
                "ApiRole",
                "dynamodb:PutItem",
                &json!({"Fn::GetAtt": ["Table", "Arn"]}),
            )
        },
        noticed: "the API changes nothing",
    },
    Mutation {
        what: "the webhook reads any item",
        change: |it| {
            allow(
                it,
                "WebhookRole",
                "dynamodb:Query",
                &json!({"Fn::GetAtt": ["Table", "Arn"]}),
            )
        },
        noticed: "WebhookRole: dynamodb:Query on any item",
    },
    Mutation {
        what: "a policy of AWS",
        change: |it| {
            it["ApiRole"]["Properties"]["ManagedPolicyArns"] =
                json!(["arn:aws:iam::aws:policy/AdministratorAccess"])
        },
        noticed: "ApiRole has policies that are not written out",
    },
    Mutation {
        what: "a role anybody assumes",
        change: |it| {
            let trust =
                json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"});
            it["PlanRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"] = json!([trust]);
        },
        noticed: "PlanRole can be assumed",
    },
    Mutation {
        what: "a function with another one's role",
        change: |it| {
            it["Comment"]["Properties"]["Role"] = json!({"Fn::GetAtt": ["TablesRole", "Arn"]})
        },
        noticed: "Comment: it has another one's role",
    },
    Mutation {
        what: "build on another runtime than its name",
        change: |it| it["BuildP313"]["Properties"]["Runtime"] = json!("python3.12"),
        noticed: "BuildP313: its name",
    },
    Mutation {
        what: "code for the other processor",
        change: |it| {
            it["BuildP313Arm64"]["Properties"]["Code"]["S3Key"] = json!({"Ref": "CodeX8664Key"})
        },
        noticed: "BuildP313Arm64: its code",
    },
    Mutation {
        what: "a setting that is missing",
        change: |it| {
            variables(it, "Plan").remove("LAYERSMITH_STORE");
        },
        noticed: "Plan is not told LAYERSMITH_STORE",
    },
    Mutation {
        what: "a setting that nobody reads",
        change: |it| {
            variables(it, "Plan").insert("LAYERSMITH_STORAGE".to_owned(), json!("x"));
        },
        noticed: "nobody reads LAYERSMITH_STORAGE",
    },
    Mutation {
        what: "publish with too little time",
        change: |it| it["Publish"]["Properties"]["Timeout"] = json!(120),
        noticed: "a state waits 930 seconds for ${PublishFunction}, which has 120",
    },
    Mutation {
        what: "a function without bounds",
        change: |it| {
            it["Webhook"]["Properties"]["ReservedConcurrentExecutions"] =
                json!({"Ref": "AWS::NoValue"})
        },
        noticed: "Webhook: nothing bounds it",
    },
    Mutation {
        what: "a substitution that is missing",
        change: |it| {
            let given = &mut it["ApplyMachine"]["Properties"]["DefinitionSubstitutions"];
            given.as_object_mut().unwrap().remove("ExpireFunction");
        },
        noticed: "${ExpireFunction} is in one of definition and template only",
    },
    Mutation {
        what: "more executions are set aside than doctor asks for",
        change: |it| {
            it["Api"]["Properties"]["ReservedConcurrentExecutions"]["Fn::If"][1] = json!(11)
        },
        noticed: "412 executions are reserved, and doctor asks for 411",
    },
    Mutation {
        what: "fewer publish at once than are called",
        change: |it| {
            it["Publish"]["Properties"]["ReservedConcurrentExecutions"]["Fn::If"][1] = json!(7);
        },
        noticed: "Publish: its state machines call 8 at once",
    },
    Mutation {
        what: "publish cannot tell what is gone from what it may not see",
        change: |it| {
            let mut statements = role(it, "PublishRole");
            statements.retain(|statement| statement["Action"] != "s3:ListBucket");
            it["PublishRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"] =
                json!(statements);
        },
        noticed: "PublishRole reads ${Artifacts.Arn}/layersmith/build/artifacts/* and may not list ${Artifacts.Arn}",
    },
    Mutation {
        what: "the API looks for zips",
        change: |it| {
            allow(
                it,
                "ApiRole",
                "s3:GetObject",
                &json!({"Fn::Sub": "${Artifacts.Arn}/layersmith/build/artifacts/*"}),
            )
        },
        noticed: "ApiRole reads ${Artifacts.Arn}/layersmith/build/artifacts/* and may not list",
    },
    Mutation {
        what: "a function that nobody calls",
        change: |it| {
            it.as_object_mut().unwrap().remove("ApiUrl");
        },
        noticed: "nobody calls Api",
    },
    Mutation {
        what: "a schedule without a place for what failed",
        change: |it| {
            let target = it["Upgrades"]["Properties"]["Target"]
                .as_object_mut()
                .unwrap();
            target.remove("DeadLetterConfig");
        },
        noticed: "Upgrades: what comes to nothing is lost",
    },
    Mutation {
        what: "a schedule that asks for something else",
        change: |it| it["Expiry"]["Properties"]["Target"]["Input"] = json!("{\"work\": \"sweep\"}"),
        noticed: "the schedules ask for",
    },
    Mutation {
        what: "an alarm that is missing",
        change: |it| {
            it.as_object_mut().unwrap().remove("ArnInDoubt");
        },
        noticed: "alarms: layersmith_intents_in_doubt",
    },
    Mutation {
        what: "bodies that the journal needs go",
        change: |it| {
            let rules = &mut it["Artifacts"]["Properties"]["LifecycleConfiguration"]["Rules"];
            let rule = json!({"Id": "all", "Status": "Enabled", "Prefix": "layersmith/", "ExpirationInDays": 30});
            rules.as_array_mut().unwrap().push(rule);
        },
        noticed: "what is below `layersmith/` goes",
    },
    Mutation {
        what: "a table that goes with the stack",
        change: |it| it["Table"]["DeletionPolicy"] = json!("Delete"),
        noticed: "Table goes with the stack",
    },
];

#[test]
fn templates_that_break_a_rule_are_noticed() {
    for mutation in MUTATIONS {
        let mut template = Template::ours().clone();
        (mutation.change)(&mut template.0["Resources"]);
        let found = complaints(&template);
        assert!(
            found.iter().any(|it| it.contains(mutation.noticed)),
            "{}: nobody said `{}`, but\n{}",
            mutation.what,
            mutation.noticed,
            found.join("\n")
        );
    }
}
