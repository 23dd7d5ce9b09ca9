//! What is of interest only when something went wrong: a file in the state directory.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use tracing::Level;

/// The file's name.
pub const FILE: &str = "run.log";

/// Appends what is logged from now on.
///
/// # Errors
/// When the file cannot be written.
pub fn begin(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    // A second one in a process, as in a test, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .try_init();
    Ok(())
}
