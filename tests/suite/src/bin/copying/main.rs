//! `registry-migration run` between two registries, under everything that ends it. `tests/copying.sh` builds and calls it.

use anyhow::Result;
use clap::{Parser, Subcommand};
use local::{local_registry::Personality, output::say};
use suite::copying::{
    Chaos, Leg, NAMES, Program, Pushes, copy_giant, copy_in_chaos, copy_while_pushed, kill_at_each,
};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// What everything is drawn with; drawn itself where it is not given.
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// Only to this kind of registry.
    #[arg(long, global = true)]
    to: Option<Personality>,
}

#[derive(Subcommand)]
enum What {
    /// Kills a run at each moment of a repository, and goes on each time
    Kills {
        /// One of them alone, by its number.
        #[arg(long)]
        only: Option<usize>,
    },
    /// Copies many repositories while everything fails at random
    Chaos {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        repositories: usize,
        /// How many runs are killed.
        #[arg(long, default_value_t = 12)]
        kills: usize,
    },
    /// Copies while users push to the source, which is Debian's docker-registry
    Pushes {
        /// How many tags they push.
        #[arg(long, default_value_t = 200)]
        new: usize,
        /// How many tags they move.
        #[arg(long, default_value_t = 50)]
        moved: usize,
        /// How many tags they delete.
        #[arg(long, default_value_t = 20)]
        deleted: usize,
    },
    /// Copies a layer by five processes
    Giant {
        /// How many bytes it has.
        #[arg(long, default_value_t = 10_000_000_000)]
        bytes: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    say(format_args!("seed {seed}"))?;
    for to in [Personality::Distribution2, Personality::Distribution3] {
        if arguments.to.is_some_and(|only| only != to) {
            continue;
        }
        say(format_args!(
            "to {}",
            if to == Personality::Distribution2 { "distribution 2" } else { "distribution 3" }
        ))?;
        match &arguments.what {
            What::Kills { only } => {
                let moments: Vec<usize> = only.map_or_else(|| (0..NAMES.len()).collect(), |only| vec![only]);
                let kills = kill_at_each(to, &moments, seed).await?;
                for line in &kills.lines {
                    say(format_args!("  {line}"))?;
                }
                say(format_args!(
                    "  {} kills, {} of them with the database: {} uploads begun anew, {} bytes sent again, all equal",
                    kills.kills, kills.with_database, kills.begun_anew, kills.sent_again
                ))?;
            }
            What::Chaos { repositories, kills } => {
                let chaos = Chaos { repositories: *repositories, kills: *kills, refusals: true, seed };
                let outcome = copy_in_chaos(to, chaos).await?;
                say(format_args!("  {outcome:#?}"))?;
            }
            What::Pushes { new, moved, deleted } => {
                let program = match to {
                    Personality::Distribution2 => Program::DockerRegistry,
                    Personality::Distribution3 => Program::Distribution3,
                };
                if !program.is_there() {
                    say(format_args!("  NOT DONE: {program:?} is not there"))?;
                    continue;
                }
                let pushes = Pushes { new: *new, moved: *moved, deleted: *deleted, seed };
                let pushed = copy_while_pushed(program, pushes).await?;
                say(format_args!("  {pushed:?}"))?;
            }
            What::Giant { bytes } => {
                let legs = match to {
                    // A killed process begins it anew there.
                    Personality::Distribution2 => [Leg::Killed, Leg::Asked, Leg::Asked, Leg::Asked],
                    Personality::Distribution3 => [Leg::Asked, Leg::Killed, Leg::Asked, Leg::Killed],
                };
                let giant = copy_giant(to, *bytes, seed, &legs).await?;
                for (number, peak) in giant.peaks.iter().enumerate() {
                    let ended = legs.get(number).map_or("done", |leg| match leg {
                        Leg::Asked => "asked to end",
                        Leg::Killed => "killed",
                    });
                    say(format_args!("  process {}: {ended}, at most {:.1} MB", number + 1, mb(*peak)))?;
                }
                say(format_args!(
                    "  {} begun anew, {} bytes sent again, {} bytes read again, the digest is right",
                    giant.begun_anew, giant.sent_again, giant.read_again
                ))?;
            }
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "printed with one digit")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
