//! 10,000 status reads that name what their caller has seen, with the reader from 0 ms behind to paused for ever.

use std::time::{Duration, Instant};

use local::{Function, Stack, StackOptions, Topology, output::say};
use suite::{options, positions::read_with_positions};

const READS: usize = 2000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let functions = vec![Function::MigrationStatus];
    let options = StackOptions { topology: Topology::DirectReader, functions, instances: 4, ..options() };
    let stack = Stack::start(options).await?;
    for lag in [0, 5, 50, 500] {
        stack.pair().set_lag(Duration::from_millis(lag)).await?;
        report(&stack, &format!("{lag} ms behind")).await?;
    }
    stack.pair().set_lag(Duration::ZERO).await?;
    stack.pair().pause_replay().await?;
    report(&stack, "paused").await?;
    stack.stop().await
}

async fn report(stack: &Stack, lag: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let reads = read_with_positions(stack, READS, 4).await?;
    let share = 100.0 * reads.by_the_reader as f64 / reads.all as f64;
    let took = began.elapsed().as_secs_f64();
    say(format_args!(
        "{lag:>14}: {} reads in {took:.1} s, none older than asked for, {share:.1} % by the reader",
        reads.all
    ))?;
    Ok(())
}
