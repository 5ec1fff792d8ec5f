//! How commands speak: text on standard output, JSON when asked, errors and progress on standard error.

use crate::settings::Settings;
use crate::telemetry::{self, Counters, NumbersTo};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Where a command's answer goes.
pub struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Answers: the value as JSON when JSON was asked for, otherwise the text.
    pub(super) fn answer<T: Serialize>(&self, value: &T, text: &str) -> anyhow::Result<()> {
        let mut answer = if self.json {
            serde_json::to_string_pretty(value)?
        } else {
            text.to_owned()
        };
        if !answer.is_empty() && !answer.ends_with('\n') {
            answer.push('\n');
        }
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(answer.as_bytes());
        match written.and_then(|()| stdout.flush()) {
            // A reader that has seen enough (`| head`) is no failure.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Says on standard error what a person has to do while the command waits: the value as one line of JSON when JSON was
    /// asked for, otherwise the text.
    pub(super) fn ask(&self, value: &serde_json::Value, text: &str) {
        let line = if self.json {
            value.to_string()
        } else {
            text.to_owned()
        };
        drop(writeln!(std::io::stderr(), "{line}"));
    }

    /// Says on standard error why the command failed.
    pub(super) fn error(&self, message: &str) {
        let line = if self.json {
            serde_json::json!({ "error": message }).to_string()
        } else {
            format!("error: {message}")
        };
        // There is nowhere left to say that standard error is gone.
        drop(writeln!(std::io::stderr(), "{line}"));
    }

    /// A progress bar over `total` pieces of work; plain lines where standard error is no terminal, nothing with JSON.
    pub(super) fn progress(&self, what: &str, total: usize) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {msg}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what.to_owned());
        let plain = !self.json && !std::io::stderr().is_terminal();
        Progress {
            bar,
            plain,
            what: what.to_owned(),
        }
    }
}

/// Progress of one phase of a command.
pub(super) struct Progress {
    bar: ProgressBar,
    plain: bool,
    what: String,
}

impl Progress {
    /// One more piece is done.
    pub(super) fn done(&self, piece: &str) {
        self.bar.set_message(piece.to_owned());
        self.bar.inc(1);
        if self.plain {
            let (position, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            drop(writeln!(
                std::io::stderr(),
                "{} {position}/{total} {piece}",
                self.what
            ));
        }
    }

    /// So many pieces of so many are done.
    pub(super) fn reached(&self, position: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(position as u64);
        if self.plain {
            drop(writeln!(
                std::io::stderr(),
                "{} {position}/{total}",
                self.what
            ));
        }
    }

    /// The phase is over.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Sends logs to standard error, as the settings ask for; returns where numbers are kept.
///
/// # Errors
/// When the settings' filter is none.
pub fn start_logging(settings: &Settings, numbers: NumbersTo) -> Result<Counters, String> {
    telemetry::start(&settings.log, settings.log_format, numbers)
}
