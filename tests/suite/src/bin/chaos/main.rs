//! Many repositories are migrated while everything around the driver fails at random: messages, processes, both
//! services, the registry and the writer. In the end each must stand where it belongs, with nothing counted that
//! was not its own failure.

mod disturb;
mod outcome;
mod plan;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::ensure;
use clap::Parser;
use local::{Function, RegistryChoice, Stack, StackOptions, local_registry::StepTime, output::say};
use rand::{SeedableRng, rngs::StdRng};
use suite::{primary, sql};
use tokio_postgres::Client;

use disturb::Disturbances;
use outcome::Outcome;
use plan::Plan;

/// How often each schedule is invoked, and how long its answer is waited for: that of a process that is killed
/// never comes.
const TICK: Duration = Duration::from_millis(500);
const TICK_ENDS: Duration = Duration::from_secs(5);
/// A run in which no row has changed for so long has failed.
const PATIENCE: Duration = Duration::from_secs(90);
const STEP_TIME: Duration = Duration::from_millis(200);

/// Migrates repositories while everything fails at random, and checks what became of each.
#[derive(Parser)]
struct Arguments {
    /// How many container repositories.
    #[arg(long, default_value_t = 200)]
    repositories: usize,
    /// What everything is drawn with; drawn itself where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// For how long processes are killed and services restarted. What is left then ends in peace.
    #[arg(long, default_value_t = 45)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    say(format_args!("{} repositories, seed {seed}", arguments.repositories))?;
    let mut random = StdRng::seed_from_u64(seed);

    let stack = Stack::start(options()).await?;
    sql(&stack, "UPDATE migration_settings SET max_step_duration_seconds = 1").await?;
    let plan = Plan::draw(&mut random, arguments.repositories);
    plan.prepare(&stack).await?;
    stack.pair().wait_until_replayed().await?;

    let began = Instant::now();
    let mut disturbances = Disturbances::default();
    let ended = {
        let schedules = futures::future::join(
            tick(&stack, Function::EnqueueMigrations),
            tick(&stack, Function::GuardMigrations),
        );
        let disturbed = disturbances.disturb(&stack, &mut random, Duration::from_secs(arguments.seconds));
        tokio::select! {
            (never, _) = schedules => match never {},
            ended = async { futures::future::try_join(until_all_have_ended(&stack), disturbed).await } => ended,
        }
    };
    let took = began.elapsed();
    if let Err(error) = ended {
        say(format_args!("FAILED {error:#}"))?;
    }
    disturbances.print()?;
    let outcome = Outcome::look(&stack, &plan).await?;
    outcome.print(took)?;
    stack.stop().await?;
    if outcome.broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!(
        "\nAgain with: tests/chaos.sh --repositories {} --seed {seed}",
        arguments.repositories
    ))?;
    Ok(ExitCode::FAILURE)
}

fn options() -> StackOptions {
    StackOptions {
        registry: RegistryChoice::Local {
            old_storage: None,
            new_storage: None,
            max_concurrent_imports: 12,
            step_time: StepTime { pre: STEP_TIME, r#final: STEP_TIME },
        },
        notification_timeout: Duration::from_secs(3),
        functions: vec![
            Function::RegistryNotification,
            Function::EnqueueMigrations,
            Function::GuardMigrations,
        ],
        instances: 4,
        capacity: 12,
        log_level: "warn".to_owned(),
        ..StackOptions::default()
    }
}

async fn tick(stack: &Stack, function: Function) -> std::convert::Infallible {
    loop {
        // Whatever goes wrong in a round is what the next one is for.
        let _ = tokio::time::timeout(TICK_ENDS, stack.functions().invoke_on_schedule(function)).await;
        tokio::time::sleep(TICK).await;
    }
}

/// Waits until every repository has come to its end, over restarts of the writer.
async fn until_all_have_ended(stack: &Stack) -> anyhow::Result<()> {
    let mut changed = (0, Instant::now());
    let mut client: Option<Client> = None;
    loop {
        ensure!(changed.1.elapsed() < PATIENCE, "no row has changed for {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let query = "SELECT sum(version)::bigint, count(*) FILTER
            (WHERE migration_state NOT IN ('import_done', 'import_skipped')) FROM container_repositories";
        let looked = match client.as_ref().filter(|client| !client.is_closed()) {
            Some(client) => client.query_one(query, &[]).await,
            None => {
                client = primary(stack).await.ok();
                continue;
            }
        };
        let Ok(row) = looked else { continue };
        let (versions, left): (i64, i64) = (row.get(0), row.get(1));
        if left == 0 {
            return Ok(());
        }
        if versions != changed.0 {
            changed = (versions, Instant::now());
        }
    }
}
