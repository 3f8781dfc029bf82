//! The allocator that host and plugins share, told not to keep what large values leave.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::ffi::c_int;

/// Blocks above this come from the kernel and go back to it at once. Pages of Parquet files are among them: an
/// encoder asks for a megabyte, keeps the third that compression leaves, and holds it until its row group ends.
/// Cut out of a heap, such pieces left holes of a third of what a run with four workers took.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_THRESHOLD: c_int = 512 << 10;
/// Free memory above this at the end of a heap goes back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TRIM_THRESHOLD: c_int = 8 << 20;

/// Fixes both thresholds of glibc's allocator, once, before threads begin.
///
/// Left alone it raises them with every large block that is freed, up to 32 and 64 MiB for each of
/// its arenas: a process that met a few values of 30 MB keeps hundreds of megabytes that nobody
/// uses. Who sets `MALLOC_*` or `GLIBC_TUNABLES` has decided otherwise.
pub fn settle_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_MMAP_THRESHOLD: c_int = -3;
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        let decided = std::env::vars_os().any(|(name, _)| {
            let name = name.to_string_lossy();
            name.starts_with("MALLOC_") || name == "GLIBC_TUNABLES"
        });
        if !decided {
            // SAFETY: mallopt takes two integers and locks what it touches; glibc, which this is
            // compiled for, has it. A refused value is reported, and changes nothing.
            let _ = unsafe { (mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD), mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)) };
        }
    }
}
