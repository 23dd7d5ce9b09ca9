//! The `local` command: the stack by hand, its replica's lag, and the main job watched live.

mod demo;
mod lag;
mod signals;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Migrate a whole registry and show that no notification is lost to a stale replica.
    Demo(demo::Demo),
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .init();
    let done = match Cli::parse().command {
        Command::Up(up) => up.run().await,
        Command::Lag(lag) => lag.run().await,
        Command::Demo(demo) => demo.run().await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("local: {error:#}");
        ExitCode::FAILURE
    })
}
