//! `make demo`: shows the whole loop on this machine, checks every claim, and leaves the server up.
//!
//! Exit codes: 0 everything was as told, 1 something fell short, 2 bad usage, 130 stopped before the end.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use futures::FutureExt as _;
use layersmith_testbed::demo::{self, Asked, Narrator, Options};
use tokio::signal::unix::{SignalKind, signal};

const STOPPED: u8 = 130;

fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let options = match Options::parse(std::env::args().skip(1), variable) {
        Ok(Asked::Demo(options)) => options,
        Ok(Asked::Help) => {
            Narrator::new().plain(demo::HELP);
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            demo::complain(&format!(
                "{mistake}\nTry `layersmith-demo --help` for what it takes."
            ));
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|broken| {
        let text = broken.payload_as_str().unwrap_or("for no stated reason");
        demo::complain(&format!("The demo broke off: {text}"));
    }));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            demo::complain(&format!("the demo cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(show(&options))
}

async fn show(options: &Options) -> ExitCode {
    // Whatever was started is ended when it is dropped; so nothing may end this process but its own return.
    let mut stop = std::pin::pin!(stop());
    let mut narrator = Narrator::new();
    let told = AssertUnwindSafe(demo::tell(options, &mut narrator)).catch_unwind();
    let told = tokio::select! {
        () = &mut stop => {
            demo::complain("\nStopped before the end; everything that was started is ended.");
            return ExitCode::from(STOPPED);
        }
        told = told => told,
    };
    let Ok(stage) = told else {
        return ExitCode::FAILURE;
    };
    let Some(stage) = stage else {
        return ExitCode::FAILURE;
    };
    if !options.exit {
        narrator.plain(&stage.invitation());
        stop.await;
        drop(stage);
        narrator.plain("\nStopped; everything that was started is ended.");
    }
    ExitCode::SUCCESS
}

/// Done when somebody presses Ctrl-C or the process is told to end.
async fn stop() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}
