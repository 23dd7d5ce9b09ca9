//! Explores the protocol's model, and says what it found.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use protocol_model::{Flip, Model};

/// Explores every order in which the protocol's parts can act, within these bounds.
#[derive(Parser)]
struct Arguments {
    /// How many repositories.
    #[arg(long, default_value_t = 2)]
    repositories: u8,
    /// How many processes at once.
    #[arg(long, default_value_t = 2)]
    processes: usize,
    /// How many repositories may be in progress at first.
    #[arg(long, default_value_t = 1)]
    capacity: u8,
    /// How many faults happen at most.
    #[arg(long, default_value_t = 1)]
    faults: u8,
    /// How much operators do at most.
    #[arg(long, default_value_t = 1)]
    operations: u8,
    /// A repository that failed this often is skipped.
    #[arg(long, default_value_t = 2)]
    max_retries: u8,
    /// Ends after so many steps, at the earliest.
    #[arg(long)]
    steps: Option<usize>,
    /// Everything within the bounds must be met.
    #[arg(long)]
    whole: bool,
    /// So many worlds must be met.
    #[arg(long, default_value_t = 1)]
    at_least: usize,
    /// The decision that is turned round, by its number from 0.
    #[arg(long)]
    flip: Option<usize>,
    /// With more than one a trace need not be the shortest.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut model = Model::new(arguments.capacity, arguments.faults, arguments.operations);
    model.repositories = arguments.repositories;
    model.processes = arguments.processes;
    model.max_retries = arguments.max_retries;
    model.flip = arguments.flip.and_then(|flip| Flip::ALL.get(flip).copied());
    let began = Instant::now();
    let explored = model.explore(arguments.threads, arguments.steps);
    println!("{} worlds, depth {}, {:.1?}", explored.worlds, explored.depth, began.elapsed());
    println!("not met: {}", explored.missed.join(", "));
    for (property, trace) in &explored.fallen {
        println!("\n{property}:\n{trace}");
    }
    let is_enough = explored.worlds >= arguments.at_least && (explored.is_whole || !arguments.whole);
    if !is_enough {
        println!("too few worlds were met");
    }
    if explored.fallen.is_empty() && is_enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
