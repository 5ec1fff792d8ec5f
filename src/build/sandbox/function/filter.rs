//! The system calls that a confined program is refused.
//!
//! What asks for a privilege is not listed: the program has none. What is listed reaches other processes, the network,
//! parts of the kernel that nobody needs to import or build a package, or outlives the program. A number that Linux 5.10
//! does not know, which is the kernel of AWS Lambda, does not exist inside: nothing new comes in unseen, programs fall
//! back to what they did before, and the numbers of the x32 interface, all of them large, are gone with it.

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, sock_filter,
};
use std::collections::BTreeMap;

/// The last number that exists inside: one that came with Linux 5.11, and is numbered alike on all architectures.
const LAST: u32 = libc::SYS_epoll_pwait2 as u32;
/// Refused always.
const REFUSED: &[c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    // Out of the group that is killed as a whole.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // Namespaces, with which more of the kernel could be reached, and what they are filled with.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // Large interfaces of the kernel.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_syslog,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // What stays when the program ends.
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
];
/// Changing modes, with which what is read-only would be made writable again.
const MODES: &[c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
];
/// The flags of `clone` that make namespaces (clone(2)).
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// Typing into a terminal, and selecting in one (`ioctl_tty(2)`, `ioctl_console(2)`).
const TYPING: [u64; 2] = [libc::TIOCSTI, 0x541c];

/// The filters for the program that this very process is about to become, in the order they are installed in. The one
/// that refuses most counts. `keeps_modes` leaves files as readable and writable as they are.
///
/// # Errors
/// When this processor's system calls are not known.
pub(super) fn filters(keeps_modes: bool) -> Result<Vec<BpfProgram>, BackendError> {
    let own = u64::from(std::process::id());
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = REFUSED
        .iter()
        .chain(if keeps_modes { MODES } else { &[] })
        .map(|number| (*number, Vec::new()))
        .collect();
    let not = |argument, value| condition(argument, SeccompCmpOp::Ne, value);
    // Itself, and its group by the number 0; what it forks stays whatever comes of it.
    refused.insert(
        libc::SYS_kill,
        vec![SeccompRule::new(vec![not(0, own)?, not(0, 0)?])?],
    );
    refused.insert(
        libc::SYS_tgkill,
        vec![SeccompRule::new(vec![not(0, own)?])?],
    );
    refused.insert(
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![not(0, own)?, not(0, 0)?])?],
    );
    refused.insert(libc::SYS_clone, any_bit(0, NAMESPACES)?);
    refused.insert(
        libc::SYS_ioctl,
        TYPING
            .into_iter()
            .map(|request| SeccompRule::new(vec![condition(1, SeccompCmpOp::Eq, request)?]))
            .collect::<Result<_, _>>()?,
    );
    let unix = u64::from(libc::AF_UNIX.unsigned_abs());
    let network = BTreeMap::from([
        (libc::SYS_socket, Vec::new()),
        (
            libc::SYS_socketpair,
            vec![SeccompRule::new(vec![not(0, unix)?])?],
        ),
    ]);
    // Its flags are in memory, where a filter cannot look; the C library falls back to `clone`.
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let mut known_only = only_known_numbers();
    known_only.extend(program(unknown, libc::ENOSYS)?);
    Ok(vec![
        program(network, libc::EACCES)?,
        program(refused, libc::EPERM)?,
        known_only,
    ])
}

/// What is matched answers with an error; everything else is let through. Calls of another architecture end the program.
fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: libc::c_int,
) -> Result<BpfProgram, BackendError> {
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(error.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

fn condition(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    // All that is compared here is an `int` to the kernel: the upper half may hold anything.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value)
}

/// Rules that match when any of these bits is set.
fn any_bit(argument: u8, bits: &[libc::c_int]) -> Result<Vec<SeccompRule>, BackendError> {
    bits.iter()
        .map(|bit| {
            let bit = u64::from(bit.unsigned_abs());
            let set = condition(argument, SeccompCmpOp::MaskedEq(bit), bit)?;
            SeccompRule::new(vec![set])
        })
        .collect()
}

/// The start of a program: numbers above [`LAST`] answer that there is no such call.
fn only_known_numbers() -> BpfProgram {
    let (load, jump_if_greater, answer) = (0x20, 0x25, 0x06);
    let no_such_call = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        // The number comes first in `struct seccomp_data` (seccomp(2)).
        instruction(load, 0, 0, 0),
        instruction(jump_if_greater, 0, 1, LAST),
        instruction(answer, 0, 0, no_such_call),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_filters_for_this_machine() {
        let filters = filters(true).unwrap();
        assert_eq!(filters.len(), 3);
        // BPF programs hold 4,096 instructions (bpf(4)).
        assert!(filters.iter().all(|filter| filter.len() < 1024));
        assert_eq!(LAST, 441);
    }
}
