//! A fleet of repositories meets the outages that a migration meets, with schedules that tick once a minute as they are
//! deployed. What that costs is measured, printed and held against its goal.

mod failing;
mod figures;
mod fleet;
mod hour;
mod lost;
mod restart;
mod unreachable;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use local::output::say;

use figures::Figures;

/// Measures what outages cost, and fails where a goal is missed.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// How many container repositories the fleet has.
    #[arg(long, default_value_t = 300)]
    repositories: usize,
    /// Only these scenarios; without it all of them.
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// How long the registry is not there, in seconds.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// How many rounds of ten seconds make the outage that is turned up: an hour has 360.
    #[arg(long, default_value_t = 360)]
    rounds: u32,
}

/// What happens to the fleet.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Nobody listens at the registry's address.
    Down,
    /// A load balancer answers 502 for it.
    BadGateway,
    /// A page of somebody else's answers 200 for it.
    ForeignPage,
    /// Every import fails for ten seconds.
    Failing,
    /// The registry is restarted as an orchestrator does it.
    Restart,
    /// Starts, promotions and notifications are lost while the reader is out, in several ways.
    Lost,
    /// The same with a second cluster that still copies its tables.
    LostCopying,
    /// The registry is down for an hour.
    HourDown,
    /// The registry answers 429 for an hour.
    HourFull,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut figures = Figures::default();
    for scenario in Scenario::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(scenario) {
            continue;
        }
        measure(*scenario, &arguments, &mut figures).await?;
    }
    if figures.missed() > 0 {
        say(format_args!("{} goals were missed", figures.missed()))?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(scenario: Scenario, arguments: &Arguments, figures: &mut Figures) -> anyhow::Result<()> {
    match scenario {
        Scenario::Down | Scenario::BadGateway | Scenario::ForeignPage => {
            unreachable::measure(scenario, arguments, figures).await
        }
        Scenario::Failing => failing::measure(arguments, figures).await,
        Scenario::Restart => restart::measure(arguments, figures).await,
        Scenario::Lost => lost::measure(figures).await,
        Scenario::LostCopying => lost::measure_copying(figures).await,
        Scenario::HourDown | Scenario::HourFull => hour::measure(scenario, arguments, figures).await,
    }
}
