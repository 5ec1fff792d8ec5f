//! How much memory the C library's allocator keeps for itself.
//!
//! A crate of its own, because no library on the registry sets this without unsafe code, which the others forbid.

/// Arenas of glibc's allocator. By default there may be eight for each core, one for nearly every thread that ever waited
/// for a file, and what was freed in one is of no use to the others: building a layer of a thousand modules held twice the
/// memory that it needed.
///
/// Source: `mallopt(3)`, `M_ARENA_MAX`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 2;

/// Bytes up to which memory that was freed is kept for the next who wants some. By default most of it goes back to the
/// kernel at once, which hands it out again page by page, each of them cleared: rendering a hundred tables of a megabyte
/// took half as long again.
///
/// Source: `mallopt(3)`, `M_MMAP_THRESHOLD`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_PIECE: libc::c_int = 4 * 1024 * 1024;
/// Bytes at the end of an arena that are kept, of all that is free there.
///
/// Source: `mallopt(3)`, `M_TRIM_THRESHOLD`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_AT_THE_END: libc::c_int = 16 * 1024 * 1024;

/// Has all threads share two arenas, which keep some of what was freed in them. To be called before there are other
/// threads: an arena that exists stays.
///
/// Nothing happens with another C library than glibc.
pub fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, KEPT_PIECE),
        (libc::M_TRIM_THRESHOLD, KEPT_AT_THE_END),
    ] {
        // SAFETY: `mallopt` takes two numbers and may be called at any time; one that it does not know changes nothing.
        let _is_known = unsafe { libc::mallopt(parameter, value) };
    }
}
