//! `layersmith confine`: what isolates packages on AWS Lambda starts itself by. Nobody else has use for it.

use super::{Ended, Failure};
use crate::build::confine;
use clap::Args;
use std::ffi::OsString;

/// What `confine` is told.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Do not let the program change the modes of files
    #[arg(long)]
    keep_modes: bool,

    /// The program and its arguments; without one, only whether confining works is tried
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

pub(super) fn run(options: &Options) -> Result<Ended, Failure> {
    confine(&options.program, options.keep_modes)?;
    Ok(Ended::Done)
}
