//! Starts moto, a double of AWS, for one test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running moto, ended on drop.
pub(crate) struct Moto {
    process: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Moto {
    /// Starts it from `LAYERSMITH_TEST_MOTO`, else from what `make test` installs, else from `PATH`.
    ///
    /// `None` when there is none and `LAYERSMITH_TEST_WITHOUT_MOTO` is set: the test is then left out, and says so.
    pub(crate) fn start() -> Option<Self> {
        let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/moto_server");
        let program = match std::env::var("LAYERSMITH_TEST_MOTO") {
            Ok(program) => program,
            Err(_) if Path::new(installed).exists() => installed.to_owned(),
            Err(_) => "moto_server".to_owned(),
        };
        // Port 0: the system picks a free one, and moto says which.
        let started = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        match started {
            Ok(process) => Some(Self::wait_for(process)),
            Err(_) if std::env::var_os("LAYERSMITH_TEST_WITHOUT_MOTO").is_some() => {
                skipped();
                None
            }
            Err(reason) => panic!(
                "cannot start {program} ({reason}): install it with `pip install 'moto[server]'`, or set LAYERSMITH_TEST_WITHOUT_MOTO=1 to leave these tests out"
            ),
        }
    }

    fn wait_for(mut process: Child) -> Self {
        let output = process.stderr.take().expect("its output was asked for");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let url = lines
            .find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()))
            .expect("moto ended before it said where it listens");
        // Somebody has to read on, or moto stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Neither can fail in a way that matters: the process is a child that nobody waited for.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a test that is left out has to be seen"
)]
fn skipped() {
    eprintln!("left out: moto_server was not found and LAYERSMITH_TEST_WITHOUT_MOTO is set");
}
