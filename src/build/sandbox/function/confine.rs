//! The launcher: gives up what it may do, then becomes the program.

use super::files::Reach;
use super::filter::filters;
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::ffi::OsString;
use std::io;
use std::net::UdpSocket;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Confines this process for good and becomes `program`, should there be one. Its environment and standard streams are this
/// process's own. `keeps_modes` refuses it to change the modes of files, and `reach` says which it gets at.
///
/// Without a program, whether confining works is tried: with what is then left, the network and the environment of the
/// process that started this one must be out of reach. Then says whether the kernel keeps a program to its files.
///
/// # Errors
/// Always, unless there is no program and all is well: whoever becomes another program does not return.
pub fn confine(program: &[OsString], reach: &Reach, keeps_modes: bool) -> io::Result<bool> {
    let keeps_to_files = give_up(reach, keeps_modes)?;
    match program.split_first() {
        Some((program, arguments)) => Err(Command::new(program).args(arguments).exec()),
        None => nothing_is_in_reach().map(|()| keeps_to_files),
    }
}

/// Says whether the kernel keeps this process to the files in its reach.
fn give_up(reach: &Reach, keeps_modes: bool) -> io::Result<bool> {
    // A group of its own that can be killed as a whole, and no terminal. A leader of a group is in one already.
    rustix::process::setsid().or_else(|error| match error {
        rustix::io::Errno::PERM => Ok(rustix::process::getpid()),
        error => Err(error),
    })?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // Before privileges are dropped, so that starting the program gives none back, not even to root (capabilities(7)).
    rustix::thread::set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    let keeps_to_files = reach.keep_to().map_err(io::Error::other)?;
    for filter in filters(keeps_modes).map_err(io::Error::other)? {
        seccompiler::apply_filter(&filter).map_err(io::Error::other)?;
    }
    Ok(keeps_to_files)
}

fn nothing_is_in_reach() -> io::Result<()> {
    let refused = |what: &str, is_refused: bool| match is_refused {
        true => Ok(()),
        false => Err(io::Error::other(format!("{what} can be reached"))),
    };
    let socket = UdpSocket::bind("127.0.0.1:0");
    refused(
        "the network",
        socket.is_err_and(|error| error.raw_os_error() == Some(libc::EACCES)),
    )?;
    let parent = rustix::process::getppid().map_or(1, |parent| parent.as_raw_nonzero().get());
    refused(
        "the environment of Layersmith",
        std::fs::read(format!("/proc/{parent}/environ")).is_err(),
    )
}
