//! The `local` command: the stack by hand, its replica's lag, and the main job watched live.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod demo;
mod lag;
mod list_storage;
mod signals;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::output::note;

/// Brings the registry migration driver up on this machine, on real parts.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the stack, print one JSON line when it is ready, run until stopped.
    Up(up::Up),
    /// Make the running stack's reader stale, or let it catch up.
    Lag(lag::Lag),
    /// Print a registry storage's container repositories, ready to be registered.
    ListStorage(list_storage::ListStorage),
    /// Migrate a whole registry and show that no notification is lost to a stale replica.
    Demo(demo::Demo),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .without_time()
        // It would panic where standard error cannot be written to.
        .log_internal_errors(false)
        .init();
    let done = match Cli::parse().command {
        Command::Up(up) => up.run().await,
        Command::Lag(lag) => lag.run().await,
        Command::ListStorage(list) => list.run(),
        Command::Demo(demo) => demo.run().await,
    };
    done.unwrap_or_else(|error| {
        note(format_args!("local: {error:#}"));
        ExitCode::FAILURE
    })
}
