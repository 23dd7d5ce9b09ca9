//! What becomes of memory that was used for parts.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What glibc reads as it starts, and nothing in Rust can tell it later.
const THRESHOLD: &str = "MALLOC_MMAP_THRESHOLD_";

/// From how many bytes on memory goes back to the system as soon as it is freed.
const BYTES: &str = "131072";

/// Begins the program once more with an allocator that gives large blocks back when they are freed. By itself glibc does so
/// only until the first one was freed, and then keeps the room of blocks of all sizes for each thread. Without effect where
/// the operator has set it, where the program cannot be begun again, and with other allocators, which do so by themselves.
pub fn give_back_freed_memory() {
    if !cfg!(target_env = "gnu") || env::var_os(THRESHOLD).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It comes back only where it fails. The process stays the same one.
    let error = again.args(arguments).env(THRESHOLD, BYTES).exec();
    tracing::debug!(%error, "freed memory may be kept");
}
