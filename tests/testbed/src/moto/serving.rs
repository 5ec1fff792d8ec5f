//! Starting the server, with requests answered side by side or one at a time.

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
/// What `moto_server` starts, with less to wait for. To tell which service is meant, moto lists the folder of its services at
/// every request, which is most of what a request takes, and then the methods of that service: here it does each once. A bot
/// asks in all regions at once, so that many wait to be accepted.
const SERVER: &str = "
import functools
import sys
from moto import backends
from moto.core import responses
listed = getattr(backends, 'list_of_moto_modules', None)
if listed:
    names = list(listed())
    backends.list_of_moto_modules = lambda: names
named = getattr(responses, 'method_names_from_class', None)
if named:
    responses.method_names_from_class = functools.cache(named)
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication, MotoRequestHandler, create_backend_app)
from werkzeug.serving import BaseWSGIServer, make_server
BaseWSGIServer.request_queue_size = 1024
application = DomainDispatcherApplication(create_backend_app)
threads = sys.argv[2] == 'threads'
server = make_server('127.0.0.1', int(sys.argv[1]), application, threaded=threads, request_handler=MotoRequestHandler)
server.serve_forever()
";
/// What moto's own calls need: a bucket is part of the path, as there is no name for it here.
const CONFIGURATION: &str = "[default]\ns3 =\n  addressing_style = path\n";

impl Moto {
    /// Starts a server of its own on a free port and waits until it answers.
    ///
    /// # Panics
    /// When `moto_server` is missing (the text says how to get it) or does not come up.
    pub async fn start() -> Self {
        let port = free_port();
        Self::start_with(server(port, "threads"), port, port).await
    }

    /// Starts `moto`'s server, one request at a time: answered side by side, its DynamoDB lets two conditional writes
    /// both win.
    ///
    /// # Panics
    /// As [`Self::start`] does.
    pub async fn start_serial() -> Self {
        let port = free_port();
        Self::start_with(server(port, "serial"), port, port).await
    }

    /// The same, with state machines whose executions run; their functions and objects are asked for at another port.
    ///
    /// # Panics
    /// As [`Self::start`] does.
    pub(crate) async fn start_behind(door: u16) -> Self {
        let port = free_port();
        let moto = Self::start_with(server(port, "serial"), port, door).await;
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

/// Answers requests side by side with `threads`, else one after the other.
fn server(port: u16, how: &str) -> Command {
    let program = crate::tools::moto_server().unwrap_or_else(|missing| panic!("{missing}"));
    let mut command = Command::new(interpreter_of(&program));
    command.args(["-c", SERVER, &port.to_string(), how]);
    command
}

/// The Python that a program's first line names.
fn interpreter_of(program: &Path) -> PathBuf {
    let text = fs::read_to_string(program).expect("moto_server is a script");
    let first = text.lines().next().and_then(|line| line.strip_prefix("#!"));
    PathBuf::from(first.expect("moto_server names its interpreter").trim())
}
