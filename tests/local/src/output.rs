//! What commands say. A closed pipe or a full disk is an error message, and no panic.

use std::fmt::Display;
use std::io::Write;

use anyhow::Context;

/// Writes a line to standard output.
///
/// # Errors
/// When nobody reads it any more, or the disk that it goes to is full.
pub fn say(line: impl Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot write to standard output")
}

/// Writes a line to standard error. Where nobody reads it there is nobody to be told.
pub fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
