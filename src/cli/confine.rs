//! `layersmith confine`: what isolates packages on AWS Lambda starts itself by. Nobody else has use for it.

use super::{Ended, Failure, Output};
use crate::build::{Reach, confine};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// What `confine` is told.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Do not let the program change the modes of files
    #[arg(long)]
    keep_modes: bool,

    /// A file or folder that it may read and run
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,

    /// A file or folder that it may do anything with
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,

    /// The program and its arguments; without one, only whether confining works is tried
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

pub(super) fn run(output: &Output, options: &Options) -> Result<Ended, Failure> {
    let reach = Reach {
        read: options.read.clone(),
        write: options.write.clone(),
    };
    let keeps_to_files = confine(&options.program, &reach, options.keep_modes)?;
    let text = match keeps_to_files {
        true => "A program can be confined here, and is kept to its files.\n",
        false => "A program can be confined here, but not kept to its files.\n",
    };
    output.answer(
        &serde_json::json!({ "keeps_to_files": keeps_to_files }),
        text,
    )?;
    Ok(Ended::Done)
}
