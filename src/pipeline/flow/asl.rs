//! The state machines of AWS Step Functions, made of the same stages that one machine walks.
//!
//! In the Amazon States Language (<https://states-language.net/spec.html>) with `JSONPath`. A state holds the run's id and kind
//! and what a stage is to be carried out for; everything else is in the run's journal, so that no state comes near the
//! 256 KiB that an input may have (AWS Step Functions quotas). A list of more than [`INLINE_ITEMS`] is an object in S3, which
//! a distributed map reads: the history of one execution ends at 25,000 events.
//!
//! The files below `deploy/` are what [`definition`] gives; a test holds that.

#[cfg(test)]
mod tests;

use super::{Stage, Worker, stages};
use crate::model::RunKind;
use serde_json::{Map, Value, json};

/// Items that are worked on within the execution itself. Each takes about 9 events of the history, twice in a run, and some
/// hundred bytes of the state.
pub const INLINE_ITEMS: usize = 500;
/// Seconds that an execution may take: half a day, most of it spent waiting for the turn to publish.
const EXECUTION_SECONDS: u32 = 43_200;
/// Tries of what another try may get past: the pauses between them come to about four minutes.
const ATTEMPTS: u32 = 7;
const LONGEST_PAUSE: u32 = 60;
/// Tries to get the turn to publish, half a minute apart on average: about as long as an execution may take.
const TURN_ATTEMPTS: u32 = 2_000;

/// A state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// Shows on a pull request what merging it would do.
    Plan,
    /// Everything that publishes or deletes.
    Apply,
}

impl Machine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plan, Self::Apply];

    /// The machine that carries out a kind of run.
    #[must_use]
    pub fn of(kind: RunKind) -> Self {
        if kind.publishes() {
            Self::Apply
        } else {
            Self::Plan
        }
    }

    /// The end of its name, and the beginning of its file's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
        }
    }

    /// What it carries out.
    #[must_use]
    pub fn kinds(self) -> &'static [RunKind] {
        match self {
            Self::Plan => &[RunKind::Plan],
            Self::Apply => &[
                RunKind::Apply,
                RunKind::Upgrade,
                RunKind::Expire,
                RunKind::Verify,
            ],
        }
    }
}

/// The definition of a state machine. Names in `${…}` are put in by whoever deploys it: the functions, and the beginning of
/// the names of those that build.
#[must_use]
pub fn definition(machine: Machine) -> Value {
    let mut states = Map::new();
    let choices: Vec<Value> = machine
        .kinds()
        .iter()
        .map(|kind| {
            let first = chain(&mut states, *kind);
            json!({"Variable": "$.kind", "StringEquals": kind.name(), "Next": first})
        })
        .collect();
    states.insert(
        "kind".to_owned(),
        json!({"Type": "Choice", "Choices": choices, "Default": "unknown kind"}),
    );
    states.insert(
        "unknown kind".to_owned(),
        json!({"Type": "Fail", "Error": "UnknownKind", "Cause": "The input names no kind of run that this machine carries out."}),
    );
    json!({
        "Comment": format!("Layersmith: {}. Generated from the stages in src/pipeline/flow; `make state-machines` writes it.", machine.name()),
        "StartAt": "kind",
        "TimeoutSeconds": EXECUTION_SECONDS,
        "States": states,
    })
}

/// Adds the states of one kind of run; returns the name of the first.
fn chain(states: &mut Map<String, Value>, kind: RunKind) -> String {
    let of_kind = |what: &str| format!("{}: {what}", kind.name());
    let end = of_kind("end");
    let mut next = end.clone();
    for &stage in stages(kind).iter().rev() {
        let name = of_kind(stage.name());
        let first = match stage.at_once() {
            None => {
                states.insert(name.clone(), task(kind, stage, &next));
                name
            }
            Some(at_once) => for_each(states, kind, stage, at_once, &next),
        };
        next = first;
    }
    let failed = of_kind("failed");
    let failure = of_kind("failure");
    states.insert(end.clone(), last_word("end", &of_kind("ended"), &failed));
    states.insert(failed.clone(), last_word("failed", &failure, &failure));
    states.insert(
        failure,
        json!({"Type": "Fail", "Error": "RunFailed", "CausePath": "$.error.Cause"}),
    );
    let succeeded = of_kind("succeeded");
    // A pull request that was attached while the run was at work is answered, too.
    let again = stages(kind).contains(&Stage::Answer).then(
        || json!({"Variable": "$.answer.again", "BooleanEquals": true, "Next": of_kind(Stage::Answer.name())}),
    );
    states.insert(
        of_kind("ended"),
        match again {
            Some(again) => json!({"Type": "Choice", "Choices": [again], "Default": succeeded}),
            None => json!({"Type": "Pass", "Next": succeeded}),
        },
    );
    states.insert(succeeded, json!({"Type": "Succeed"}));
    next
}

/// The state of a stage without items.
fn task(kind: RunKind, stage: Stage, next: &str) -> Value {
    let failed = format!("{}: failed", kind.name());
    let on_failure = if stage.may_fail() { next } else { &failed };
    let mut state = invoke(
        worker_name(stage.worker()),
        &json!({
            "run.$": "$.run", "execution.$": "$$.Execution.Name", "kind.$": "$.kind", "stage": stage.name(),
        }),
        stage.seconds(),
    );
    state["Retry"] = retries(stage.worker());
    // A run that was stopped was told of: its execution has nothing more to say.
    state["Catch"] = json!([
        {"ErrorEquals": ["RunOver"], "ResultPath": "$.error", "Next": format!("{}: succeeded", kind.name())},
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": on_failure},
    ]);
    if stage.gives_items() {
        state["ResultSelector"] = json!({
            "items.$": "$.Payload.items", "many.$": "$.Payload.many",
            "bucket.$": "$.Payload.bucket", "key.$": "$.Payload.key",
        });
        state["ResultPath"] = json!("$.answer");
    } else {
        state["ResultPath"] = Value::Null;
    }
    state["Next"] = json!(next);
    state
}

/// The states of a stage that is carried out for each of its items; returns the name of the first. An item that fails for
/// good stops no other: what became of it is in the journal, and a later stage looks there.
fn for_each(
    states: &mut Map<String, Value>,
    kind: RunKind,
    stage: Stage,
    at_once: usize,
    next: &str,
) -> String {
    let name = |what: &str| format!("{}: {}{what}", kind.name(), stage.name());
    let (choice, inline, distributed) = (name(" how?"), name(""), name(" many"));
    let selector = json!({
        "run.$": "$.run", "execution.$": "$$.Execution.Name", "kind.$": "$.kind", "stage": stage.name(),
        "item.$": "$$.Map.Item.Value",
    });
    let processor = |mode: Value, end: &str| {
        let one = |stage: Stage| format!("{}: {} one{end}", kind.name(), stage.name());
        let given_up = name(&format!(" given up{end}"));
        let unanswered = name(&format!(" unanswered{end}"));
        let mut all = Map::new();
        // Whoever builds cannot say itself that it could not even begin, or died of it.
        let at_last = if stage.worker() == Worker::Build {
            all.insert(unanswered.clone(), unanswered_one(stage, &given_up));
            &unanswered
        } else {
            &given_up
        };
        let mut add = |stage: Stage, next: Option<Stage>, lost: Option<Stage>| {
            let next = next.map(one);
            let state = for_one(stage, next.as_deref(), lost.map(one).as_deref(), at_last);
            all.insert(one(stage), state);
        };
        let lost = stage.when_lost();
        add(stage, None, lost.first().copied());
        for (at, stage) in lost.iter().enumerate() {
            add(*stage, lost.get(at + 1).copied(), None);
        }
        all.insert(
            given_up.clone(),
            json!({"Type": "Pass", "Result": {}, "End": true}),
        );
        json!({"ProcessorConfig": mode, "StartAt": one(stage), "States": all})
    };
    let failed = format!("{}: failed", kind.name());
    let catch = json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": failed}]);
    states.insert(
        choice.clone(),
        json!({"Type": "Choice", "Default": inline, "Choices": [
            {"Variable": "$.answer.many", "BooleanEquals": true, "Next": distributed},
        ]}),
    );
    states.insert(
        inline,
        json!({
            "Type": "Map", "ItemsPath": "$.answer.items", "MaxConcurrency": at_once,
            "ItemSelector": selector, "ItemProcessor": processor(json!({"Mode": "INLINE"}), ""),
            "Catch": catch, "ResultPath": null, "Next": next,
        }),
    );
    states.insert(
        distributed,
        json!({
            "Type": "Map", "MaxConcurrency": at_once, "Label": format!("{}{}", kind.name(), stage.name()),
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Parameters": {"Bucket.$": "$.answer.bucket", "Key.$": "$.answer.key"},
            },
            "ItemSelector": selector,
            "ItemProcessor": processor(json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}), " of many"),
            // More than there can be: none that failed stops the others.
            "ToleratedFailureCount": 100_000,
            "Catch": catch, "ResultPath": null, "Next": next,
        }),
    );
    choice
}

/// The state of a stage for one item: what comes after it whatever came of it, or else the end; where it goes when it finds
/// the zip lost; and where when it fails for good.
fn for_one(stage: Stage, next: Option<&str>, lost: Option<&str>, given_up: &str) -> Value {
    let mut state = invoke("", &Value::Null, stage.seconds());
    let (key, function) = match stage.worker() {
        Worker::Build => (
            "FunctionName.$",
            "States.Format('${BuildFunctionPrefix}{}', $.item.function)",
        ),
        worker => ("FunctionName", worker_name(worker)),
    };
    state["Parameters"] = json!({
        key: function,
        "Payload": of_item(stage),
    });
    state["Retry"] = retries(stage.worker());
    // What a later state needs of the item stays.
    let catch = |errors: &str, next: &str| json!({"ErrorEquals": [errors], "ResultPath": "$.error", "Next": next});
    let mut catches = Vec::new();
    catches.extend(lost.map(|lost| catch("ArtifactLost", lost)));
    catches.push(catch("States.ALL", next.unwrap_or(given_up)));
    state["Catch"] = json!(catches);
    match next {
        Some(next) => {
            state["ResultPath"] = Value::Null;
            state["Next"] = json!(next);
        }
        None => {
            state["ResultSelector"] = json!({});
            state["End"] = json!(true);
        }
    }
    state
}

/// The state that writes down why there is no answer to a stage that builds: by now only the error is known.
fn unanswered_one(stage: Stage, given_up: &str) -> Value {
    let mut payload = of_item(stage);
    payload["error.$"] = json!("$.error");
    let mut state = invoke(worker_name(Worker::Plan), &payload, Stage::Plan.seconds());
    state["Retry"] = retries(Worker::Plan);
    state["Catch"] =
        json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.unsaid", "Next": given_up}]);
    state["ResultSelector"] = json!({});
    state["End"] = json!(true);
    state
}

/// What a function is handed for one item.
fn of_item(stage: Stage) -> Value {
    json!({
        "run.$": "$.run", "execution.$": "$.execution", "kind.$": "$.kind", "stage": stage.name(), "item.$": "$.item",
    })
}

/// The states that end a run: they are told what happened.
fn last_word(stage: &str, next: &str, on_failure: &str) -> Value {
    let mut payload = json!({
        "run.$": "$.run", "execution.$": "$$.Execution.Name", "kind.$": "$.kind", "stage": stage,
    });
    let failed = stage == "failed";
    if failed {
        payload["error.$"] = json!("$.error");
    }
    let mut state = invoke(worker_name(Worker::Comment), &payload, 300);
    state["Retry"] = retries(Worker::Comment);
    state["ResultPath"] = if failed {
        Value::Null
    } else {
        json!("$.answer")
    };
    if !failed {
        state["ResultSelector"] = json!({"again.$": "$.Payload.again"});
    }
    // What went wrong first is what is told.
    let result = if failed { "$.unsaid" } else { "$.error" };
    state["Catch"] =
        json!([{"ErrorEquals": ["States.ALL"], "ResultPath": result, "Next": on_failure}]);
    state["Next"] = json!(next);
    state
}

fn invoke(function: &str, payload: &Value, seconds: u32) -> Value {
    json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": payload},
        // Longer than the function itself may take: its own end is the one to hear of.
        "TimeoutSeconds": seconds + 30,
    })
}

fn worker_name(worker: Worker) -> &'static str {
    match worker {
        Worker::Plan => "${PlanFunction}",
        Worker::Build => "${BuildFunctionPrefix}",
        Worker::Publish => "${PublishFunction}",
        Worker::Tables => "${TablesFunction}",
        Worker::Comment => "${CommentFunction}",
        Worker::Expire => "${ExpireFunction}",
    }
}

/// What is tried again, by the name of the error. The first that fits counts (Amazon States Language, "Retrying after error").
fn retries(worker: Worker) -> Value {
    let mut retries = vec![
        // What another try would only repeat. The last two: there is no such function, or it may not be called.
        json!({
            "ErrorEquals": [
                "Lasting", "ArtifactLost", "RunOver", "Lambda.ResourceNotFoundException", "Lambda.AccessDeniedException",
            ],
            "MaxAttempts": 0,
        }),
        // The turn to publish, and a free function, come with time.
        json!({
            "ErrorEquals": ["TurnTaken", "Lambda.TooManyRequestsException"], "IntervalSeconds": 5, "BackoffRate": 1.5,
            "MaxDelaySeconds": LONGEST_PAUSE, "JitterStrategy": "FULL", "MaxAttempts": TURN_ATTEMPTS,
        }),
    ];
    match worker {
        // A build that took a function's whole time or memory does so once more, and seldom succeeds then.
        Worker::Build => retries.push(json!({
            "ErrorEquals": ["Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory", "Lambda.Unknown", "States.Timeout"],
            "IntervalSeconds": 5, "BackoffRate": 2, "MaxAttempts": 1,
        })),
        // An answer that was lost says nothing of the function, which may still be publishing: another one beside it could
        // publish the same once more. One that died publishes no more, and by its open intents the next one knows to wait.
        Worker::Publish => retries.push(json!({
            "ErrorEquals": ["Lambda.SdkClientException", "Lambda.ServiceException", "Lambda.AWSLambdaException"],
            "IntervalSeconds": Stage::Publish.seconds() + 30, "BackoffRate": 1, "MaxAttempts": 2,
        })),
        _ => {}
    }
    // Whatever else goes wrong may pass: what a step called transient, a function that died, and AWS' own troubles.
    retries.push(json!({
        "ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "BackoffRate": 2,
        "MaxDelaySeconds": LONGEST_PAUSE, "JitterStrategy": "FULL", "MaxAttempts": ATTEMPTS,
    }));
    json!(retries)
}
