//! The environment that a function is carried out in, as far as it is a process: starts the function's executable with its
//! own variables and a room of its own, says when it ended, and starts another in a new room, as Lambda does.
//!
//! `cargo lambda watch` starts this, once for each environment; the name of the function is all that it says.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// How often is looked whether the executable ended, or whoever started this.
const LOOK: Duration = Duration::from_millis(20);
/// Between an executable that ended and the next: one that cannot start must not keep the machine busy.
const PAUSE: Duration = Duration::from_millis(200);

fn main() {
    let function = env::var("AWS_LAMBDA_FUNCTION_NAME").expect("the function has a name");
    let folder = PathBuf::from(env::var_os("TESTBED_FUNCTIONS").expect("the functions have a folder"));
    let door = env::var("TESTBED_DOOR").expect("somebody passes the invocations on");
    let parent = parent_id();
    for number in 1.. {
        let instance = format!("{function}-{}-{number}", process::id());
        let mut child = start(&function, &instance, &folder, &door);
        let file = folder.join("processes").join(&instance);
        fs::write(&file, child.id().to_string()).expect("the folder of the processes is there");
        let status = wait(&mut child, parent);
        drop(fs::remove_file(&file));
        let Some(status) = status else { return };
        say(&door, &instance, status);
        thread::sleep(PAUSE);
    }
}

/// The variables are those of the function's file and no others; `{instance}` and `{room}` in them are replaced.
fn start(function: &str, instance: &str, folder: &Path, door: &str) -> Child {
    let room = folder.join("rooms").join(instance);
    fs::create_dir_all(&room).expect("the folder of the rooms is there");
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("logs").join(function))
        .expect("the folder of the logs is there");
    let file = fs::read(folder.join("functions").join(function)).expect("the function has variables");
    let room = room.display().to_string();
    let mut parts = file.split(|byte| *byte == 0);
    let executable = OsString::from_vec(parts.next().unwrap_or_default().to_vec());
    let mut command = Command::new(executable);
    command.env_clear().stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a file can be had twice")).stderr(log);
    for variable in parts {
        let text = String::from_utf8(variable.to_vec()).expect("variables are text");
        let text = text.replace("{instance}", instance).replace("{room}", &room);
        if let Some((name, value)) = text.split_once('=') {
            command.env(name, value);
        }
    }
    command.env("AWS_LAMBDA_RUNTIME_API", format!("http://{door}/.instances/{instance}"));
    command.spawn().expect("the executable starts")
}

/// How it ended; nothing when whoever started this is gone, and it was ended for that.
fn wait(child: &mut Child, parent: u32) -> Option<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if parent_id() != parent {
            drop(child.kill());
            drop(child.wait());
            return None;
        }
        thread::sleep(LOOK);
    }
}

fn say(door: &str, instance: &str, status: ExitStatus) {
    let Ok(mut stream) = TcpStream::connect(door) else {
        return;
    };
    let body = status.to_string();
    let length = body.len();
    let request = format!(
        "POST /.instances/{instance}/ended HTTP/1.1\r\nHost: {door}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    if stream.write_all(request.as_bytes()).is_ok() {
        drop(stream.read_to_end(&mut Vec::new()));
    }
}
