//! The stack that `deploy/template.yaml` describes, on this machine: `cargo lambda watch` runs the real executable as every
//! function, moto is everything else of AWS and runs the state machines that the translated template has.
//!
//! What AWS does and these two do not is done between them: errors and refusals have Lambda's manners, deadlines are moments,
//! a function that dies ends its invocation and gets a new environment, an event that fails is tried again, payloads have
//! their limits, and what a function does is held against what its role allows. Nothing is fired by a schedule: a test does.

mod calls;
mod deaths;
mod door;
mod functions;
mod instances;
mod machines;
mod permissions;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

pub use calls::Call;
pub use deaths::Death;
pub use door::Invoke;
use door::{Door, locked};
pub use functions::Function;
use functions::Functions;
pub use machines::Execution;
pub use template::{Described, REGION, STACK, Template};

use crate::aws_proxy::AwsProxy;
use crate::moto::Moto;

/// A running stack. All its processes are ended, by their ids, on drop.
pub struct Cloud {
    // Dropped first: who calls ends before who is called.
    functions: Option<Functions>,
    door: Door,
    /// The way to AWS, with trouble on it when a test wants some.
    pub aws: AwsProxy,
    pub moto: Moto,
    pub template: Template,
    folder: TempDir,
}

impl Cloud {
    /// What the stack consists of, without the functions' executables: the table, the bucket and the state machines.
    ///
    /// # Panics
    /// When a tool is missing (the text says how to get it), or moto refuses something.
    pub async fn open(parameters: &[(&str, &str)]) -> Self {
        let template = Template::translate(parameters);
        let folder = TempDir::new().expect("the temporary folder is writable");
        let door = Door::open(folder.path().to_owned()).await;
        let moto = Moto::start_behind(door.port()).await;
        let aws = AwsProxy::start(&moto.endpoint()).await;
        *locked(&door.shared.aws) = aws.endpoint();
        let cloud = Self {
            functions: None,
            door,
            aws,
            moto,
            template,
            folder,
        };
        let table = cloud.template.table();
        let made =
            cloud
                .moto
                .try_json_call("dynamodb", REGION, "DynamoDB_20120810.CreateTable", &table);
        let (status, said) = made.await;
        assert_eq!(status, 200, "moto refuses the table: {said}");
        cloud
            .moto
            .make_bucket(REGION, &cloud.template.bucket())
            .await;
        cloud.make_state_machines().await;
        cloud
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.door.address)
    }

    /// Starts the functions. Each gets the variables of the template, with those that `change` puts in their place.
    ///
    /// `{instance}` and `{room}` in a value become the name of the environment and a folder of its own.
    pub fn serve(
        &mut self,
        executable: &Path,
        change: impl Fn(&str, &mut BTreeMap<String, OsString>),
    ) {
        let mut functions = BTreeMap::new();
        for described in self.template.functions() {
            let program = program(&described.name).to_owned();
            let own = described.variables.iter();
            let mut variables = own
                .map(|(name, value)| (name.clone(), OsString::from(value)))
                .collect();
            change(&program, &mut variables);
            // What Lambda itself sets; the key says whose calls are whose.
            for (name, value) in [
                ("AWS_LAMBDA_FUNCTION_NAME", described.name.as_str()),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
                ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
                ("AWS_REGION", REGION),
                ("AWS_DEFAULT_REGION", REGION),
                ("AWS_ACCESS_KEY_ID", "{instance}"),
                ("AWS_SECRET_ACCESS_KEY", "testing"),
                ("AWS_ENDPOINT_URL", &self.endpoint()),
            ] {
                variables.insert(name.to_owned(), value.into());
            }
            let shared = &self.door.shared;
            locked(&shared.names).insert(described.name.clone(), program.clone());
            let known = json!({
                "FunctionName": described.name,
                "State": "Active",
                "LastUpdateStatus": "Successful",
                "Environment": {"Variables": described.variables},
                "Architectures": [described.architecture],
                "CodeSha256": format!("of {}", described.architecture),
            });
            locked(&shared.configurations).insert(described.name.clone(), known);
            let limit = Duration::from_secs(described.timeout);
            locked(&shared.timeouts).insert(program.clone(), limit);
            let function = Function {
                executable: executable.to_owned(),
                variables: variables.into_iter().collect(),
            };
            functions.insert(program, function);
        }
        let started = Functions::start(self.folder.path(), &functions, &self.door.address);
        *locked(&self.door.shared.functions) = started.url();
        self.functions = Some(started);
    }

    /// The address of a function on the web.
    pub fn url(&self, function: &str) -> String {
        format!("{}/lambda-url/{function}", self.endpoint())
    }

    /// Invokes a function as a schedule does, with the input of the template's schedule that says this work.
    ///
    /// # Panics
    /// When no schedule does.
    pub async fn fire(&self, work: &str) {
        let mut schedules = self.template.schedules().into_iter();
        let schedule = schedules.find(|(_, input)| input["work"] == work);
        let (function, input) = schedule.unwrap_or_else(|| panic!("no schedule says {work}"));
        let name = function.rsplit(':').next().unwrap_or_default();
        let url = format!(
            "{}/2015-03-31/functions/{name}/invocations",
            self.endpoint()
        );
        let request = crate::local_client()
            .post(url)
            .header("x-amz-invocation-type", "Event")
            .body(input.to_string());
        let status = request.send().await.expect("the door answers").status();
        assert!(status.is_success(), "the schedule of {work}: {status}");
    }

    /// Lets a function die of this operation of AWS, the n-th time from now on: `dies("publish", "lambda:PublishLayerVersion", …)`.
    pub fn dies(&self, function: &str, operation: &str, number: usize, death: Death) {
        self.door
            .shared
            .deaths
            .plan(function, operation, number, death);
    }

    /// Refuses the next invocations of a function, as Lambda does when too many are under way.
    pub fn throttle(&self, function: &str, times: usize) {
        self.door.shared.throttle(function, times);
    }

    /// Gives a function less time than the template does.
    pub fn limit(&self, function: &str, limit: Duration) {
        locked(&self.door.shared.timeouts).insert(function.to_owned(), limit);
    }

    /// Takes every zip away that was built: out of the bucket, and where a function still has a copy.
    pub async fn lose_zips(&self) {
        let bucket = self.template.bucket();
        for key in self.moto.objects(REGION, &bucket).await {
            if key.contains("/artifacts/") {
                self.moto.delete_object(REGION, &bucket, &key).await;
            }
        }
        let rooms = fs::read_dir(self.folder.path().join("rooms"));
        for room in rooms.into_iter().flatten().flatten() {
            let copies = room.path().join("layersmith/artifacts");
            if copies.exists() {
                fs::remove_dir_all(copies).expect("the rooms are writable");
            }
        }
    }

    /// Who has the turn to publish: an attribute of an item with a fixed key.
    pub async fn turn_holder(&self) -> Option<String> {
        let table = self.template.table();
        let key = json!({"pk": {"S": "LEASE"}, "sk": {"S": "PUBLISH"}});
        let body = json!({"TableName": table["TableName"], "Key": key, "ConsistentRead": true});
        let target = "DynamoDB_20120810.GetItem";
        let (status, said) = self
            .moto
            .try_json_call("dynamodb", REGION, target, &body)
            .await;
        assert_eq!(status, 200, "moto does not read the table: {said}");
        let owner = said["Item"]["owner"]["S"].as_str();
        owner.map(str::to_owned)
    }

    /// Deaths and refusals that were planned and did not happen.
    pub fn left(&self) -> Vec<String> {
        let mut left = self.door.shared.deaths.left();
        let throttles = self.door.shared.throttles_left();
        if throttles > 0 {
            left.push(format!("{throttles} invocations were to be refused"));
        }
        left
    }

    /// Every invocation that a function was asked for, in order.
    pub fn invokes(&self) -> Vec<Invoke> {
        locked(&self.door.shared.invokes).clone()
    }

    /// How many invocations state machines asked for.
    pub fn steps(&self) -> usize {
        let invokes = locked(&self.door.shared.invokes);
        invokes.iter().filter(|invoke| invoke.is_step).count()
    }

    /// Every call to AWS, in order.
    pub fn calls(&self) -> Vec<Call> {
        locked(&self.door.shared.calls).clone()
    }

    /// How often each function did what: what a death may be planned for.
    pub fn operations(&self) -> BTreeMap<String, usize> {
        let mut operations = BTreeMap::new();
        for call in self.calls() {
            let name = format!("{} {}", call.function(), call.operation);
            *operations.entry(name).or_default() += 1;
        }
        operations
    }

    fn note_stop(&self, execution: &Execution) {
        locked(&self.door.shared.calls).push(Call {
            caller: "console".to_owned(),
            operation: "states:StopExecution".to_owned(),
            needs: vec![("states:StopExecution".to_owned(), execution.arn.clone())],
        });
    }

    /// What AWS would not have let through: payloads too large, events given up, what a function's role does not allow.
    pub fn violations(&self) -> Vec<String> {
        let mut violations = locked(&self.door.shared.violations).clone();
        violations.extend(self.not_allowed());
        violations
    }

    /// What functions did and their roles do not allow.
    pub fn not_allowed(&self) -> BTreeSet<String> {
        let described = self.template.functions().into_iter();
        let statements: BTreeMap<String, Vec<Value>> = described
            .map(|it| (program(&it.name).to_owned(), it.statements))
            .collect();
        permissions::missing(&self.calls(), &statements)
    }

    /// Whether no invocation is under way or waits, and no execution runs.
    pub async fn is_idle(&self) -> bool {
        self.door.shared.under_way() == 0 && self.running().await == 0
    }

    /// What the functions logged, one after the other.
    pub fn log(&self) -> String {
        let files = fs::read_dir(self.folder.path().join("logs"));
        let mut paths: Vec<_> = files
            .into_iter()
            .flatten()
            .flatten()
            .map(|file| file.path())
            .collect();
        paths.sort();
        let logs = paths.into_iter().map(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let log = fs::read_to_string(&path).unwrap_or_default();
            format!("--- {name}\n{log}")
        });
        logs.collect()
    }
}

/// The program of a function: its name without the stack's.
fn program(name: &str) -> &str {
    let program = name.strip_prefix(STACK).unwrap_or(name);
    program.trim_start_matches('-')
}
