//! The state machines: made as the translated template has them, and looked at.

use serde_json::{Value, json};

use super::Cloud;
use super::calls::ACCOUNT;
use super::template::REGION;

/// One execution of a state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub arn: String,
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: String,
}

impl Execution {
    /// The run's id.
    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }
}

impl Cloud {
    pub(super) async fn make_state_machines(&self) {
        for (name, definition) in self.template.state_machines() {
            let body = json!({
                "name": name,
                "definition": definition,
                "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
            });
            let (status, said) = self.states("CreateStateMachine", &body).await;
            assert_eq!(status, 200, "moto refuses the state machine {name}: {said}");
        }
    }

    /// All executions of all state machines, newest first for each machine.
    pub async fn executions(&self) -> Vec<Execution> {
        let mut executions = Vec::new();
        for name in self.template.state_machines().into_keys() {
            let machine = format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}");
            let body = json!({"stateMachineArn": machine, "maxResults": 1000});
            let (status, said) = self.states("ListExecutions", &body).await;
            assert_eq!(status, 200, "moto does not list executions: {said}");
            let listed = said["executions"].as_array().cloned().unwrap_or_default();
            executions.extend(listed.iter().map(|it| Execution {
                arn: it["executionArn"].as_str().unwrap_or_default().to_owned(),
                status: it["status"].as_str().unwrap_or_default().to_owned(),
            }));
        }
        executions
    }

    /// How many executions run.
    pub async fn running(&self) -> usize {
        let executions = self.executions().await;
        executions
            .iter()
            .filter(|it| it.status == "RUNNING")
            .count()
    }

    /// What happened in an execution, event by event.
    pub async fn history(&self, execution: &Execution) -> Vec<Value> {
        let body = json!({"executionArn": execution.arn, "maxResults": 1000});
        let (_, said) = self.states("GetExecutionHistory", &body).await;
        said["events"].as_array().cloned().unwrap_or_default()
    }

    /// Starts an execution, as somebody at a console would; the status of HTTP, and what is said.
    pub async fn start_execution(&self, machine: &str, name: &str, input: &Value) -> (u16, Value) {
        let body = json!({
            "stateMachineArn": format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{machine}"),
            "name": name,
            "input": input.to_string(),
        });
        self.states("StartExecution", &body).await
    }

    /// The executions that somebody wanted stopped, by their ARNs. What moto makes of one is `ABORTED`, or `FAILED` when a
    /// function of a Map was under way.
    pub fn stopped(&self) -> Vec<String> {
        let calls = self.calls().into_iter();
        let stops = calls.filter(|call| call.operation == "states:StopExecution");
        stops
            .flat_map(|call| call.needs)
            .map(|(_, arn)| arn)
            .collect()
    }

    /// Stops an execution, as somebody at a console would.
    pub async fn stop_execution(&self, execution: &Execution) {
        let body = json!({"executionArn": execution.arn});
        let (status, said) = self.states("StopExecution", &body).await;
        assert_eq!(status, 200, "moto does not stop {execution:?}: {said}");
        self.note_stop(execution);
    }

    async fn states(&self, operation: &str, body: &Value) -> (u16, Value) {
        let target = format!("AWSStepFunctions.{operation}");
        self.moto
            .try_json_call("states", REGION, &target, body)
            .await
    }
}
