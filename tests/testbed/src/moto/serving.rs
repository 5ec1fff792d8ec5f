//! Starting the server, as it comes or with one request at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use super::Moto;
use crate::aws_proxy::AwsProxy;
use crate::support::{Server, free_port};

/// How long the server may take until it answers; importing all of moto is slow on a cold disk.
const STARTUP: Duration = Duration::from_secs(60);
/// moto's application behind a server without threads.
const SERIAL: &str = "
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
application = DomainDispatcherApplication(create_backend_app)
make_server('127.0.0.1', int(sys.argv[1]), application, threaded=False).serve_forever()
";
/// What moto's own calls need: a bucket is part of the path, as there is no name for it here.
const CONFIGURATION: &str = "[default]\ns3 =\n  addressing_style = path\n";

impl Moto {
    /// Starts a server of its own on a free port and waits until it answers.
    ///
    /// # Panics
    /// When `moto_server` is missing (the text says how to get it) or does not come up.
    pub async fn start() -> Self {
        let program = crate::tools::moto_server().unwrap_or_else(|missing| panic!("{missing}"));
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Self::start_with(command, port, port).await
    }

    /// Starts `moto`'s server, one request at a time: answered side by side, its DynamoDB lets two conditional writes
    /// both win.
    ///
    /// # Panics
    /// As [`Self::start`] does.
    pub async fn start_serial() -> Self {
        let port = free_port();
        Self::start_with(serial(port), port, port).await
    }

    /// The same, with state machines whose executions run; their functions and objects are asked for at another port.
    ///
    /// # Panics
    /// As [`Self::start`] does.
    pub(crate) async fn start_behind(door: u16) -> Self {
        let port = free_port();
        let moto = Self::start_with(serial(port), port, door).await;
        let request = moto
            .client
            .post(format!("{}/moto-api/config", moto.endpoint))
            .body(json!({"stepfunctions": {"execute_state_machine": true}}).to_string());
        let answer = request.send().await.expect("moto answers");
        assert!(answer.status().is_success(), "{}", answer.status());
        moto
    }

    /// `itself` is the port where its own calls go.
    async fn start_with(mut command: Command, port: u16, itself: u16) -> Self {
        let folder = TempDir::new().expect("the temporary folder is writable");
        let log =
            fs::File::create(folder.path().join("log")).expect("the temporary folder is writable");
        let configuration = folder.path().join("configuration");
        fs::write(&configuration, CONFIGURATION).expect("the temporary folder is writable");
        command
            .env("MOTO_PORT", itself.to_string())
            .env("AWS_CONFIG_FILE", configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let server = Server::spawn(&mut command);
        let mut moto = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            client: crate::local_client(),
            server,
            folder,
            front: None,
        };
        let started = Instant::now();
        while moto
            .client
            .get(format!("{}/moto-api/data.json", moto.endpoint))
            .send()
            .await
            .is_err()
        {
            let log = fs::read_to_string(moto.folder.path().join("log")).unwrap_or_default();
            assert!(
                !moto.server.ended() && started.elapsed() < STARTUP,
                "moto_server does not answer:\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        moto.front = Some(AwsProxy::start(&moto.endpoint).await);
        moto
    }
}

fn serial(port: u16) -> Command {
    let program = crate::tools::moto_server().unwrap_or_else(|missing| panic!("{missing}"));
    let mut command = Command::new(interpreter_of(&program));
    command.args(["-c", SERIAL, &port.to_string()]);
    command
}

/// The Python that a program's first line names.
fn interpreter_of(program: &Path) -> PathBuf {
    let text = fs::read_to_string(program).expect("moto_server is a script");
    let first = text.lines().next().and_then(|line| line.strip_prefix("#!"));
    PathBuf::from(first.expect("moto_server names its interpreter").trim())
}
