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

/// Has all threads share two arenas. To be called before there are other threads: an arena that exists stays.
///
/// Nothing happens with another C library than glibc.
pub fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` takes two numbers and may be called at any time; one that it does not know changes nothing.
        let _is_known = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
    }
}
