//! Many repositories are migrated while everything around the driver fails at random: messages, processes, both
//! services, the registry and the writer. In the end each must stand where it belongs, with nothing counted that
//! was not its own failure.

mod disturb;
mod engine;
mod importer;
mod outcome;
mod plan;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use local::{
    Function, RegistryChoice, Stack, StackOptions, Topology, local_registry::StepTime, output::say,
    postgres_pair::free_ports,
};
use nix::sys::signal::Signal;
use rand::{SeedableRng, rngs::StdRng};
use suite::{primary, sql};
use tokio_postgres::Client;

use disturb::Disturbances;
use engine::Engine;
use importer::Importer;
use outcome::Outcome;
use plan::Plan;

/// How often each schedule is invoked, and how long its answer is waited for: that of a process that is killed
/// never comes.
const TICK: Duration = Duration::from_millis(500);
const TICK_ENDS: Duration = Duration::from_secs(5);
/// A run in which no row has changed for so long has failed.
const PATIENCE: Duration = Duration::from_secs(90);
/// For how long a step is left alone.
const TIMES: &str =
    "max_step_duration_seconds = 1, pre_import_timeout_seconds = 30, import_timeout_seconds = 30";
/// So many lines of a function's log are shown of a run that has failed.
const LAST_LINES: usize = 20;
const STEP_TIME: Duration = Duration::from_millis(200);

/// Migrates repositories while everything fails at random, and checks what became of each.
#[derive(Parser)]
struct Arguments {
    /// How many container repositories.
    #[arg(long, default_value_t = 200)]
    repositories: usize,
    /// How many of them may be in progress at once.
    #[arg(long, default_value_t = 12)]
    capacity: u16,
    /// What copies.
    #[arg(long, value_enum, default_value_t = Copier::Registry)]
    engine: Copier,
    /// What everything is drawn with; drawn itself where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// So many runs, each with the seed after the one before.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// For how long processes are killed and services restarted. What is left then ends in peace.
    #[arg(long, default_value_t = 45)]
    seconds: u64,
}

/// What copies.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Copier {
    /// A local registry that imports by itself.
    Registry,
    /// The importer, between two local registries.
    Importer,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    // A small one: seeds are written down, and those after it are used too.
    let first = arguments.seed.unwrap_or_else(|| rand::random::<u32>().into());
    for seed in first..first + arguments.runs {
        if !run(&arguments, seed).await? {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Migrates them once. Whether each is where it belongs.
async fn run(arguments: &Arguments, seed: u64) -> anyhow::Result<bool> {
    let Arguments { repositories, capacity, engine, seconds, .. } = *arguments;
    let name = engine.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let how = format!("--repositories {repositories} --capacity {capacity} --engine {name} --seed {seed}");
    say(format_args!("{how}"))?;
    let mut random = StdRng::seed_from_u64(seed);

    let (stack, mut engine) = match engine {
        Copier::Registry => {
            let stack = Stack::start(options(capacity, None)).await?;
            let plan = Plan::draw(&mut random, repositories);
            plan.prepare(&stack).await?;
            (stack, Engine::Registry(plan))
        }
        Copier::Importer => {
            let [port] = free_ports()?;
            let mut importer = Importer::fill(&mut random, repositories, port).await?;
            let stack = Stack::start(options(capacity, Some(Importer::url(port)))).await?;
            importer.serve(&stack).await?;
            stack.register(&importer.fates.keys().cloned().collect::<Vec<_>>()).await?;
            importer.disturb(&mut random);
            (stack, Engine::Importer(Box::new(importer)))
        }
    };
    sql(&stack, &format!("UPDATE migration_settings SET {TIMES}")).await?;
    stack.pair().wait_until_replayed().await?;

    let began = Instant::now();
    let mut disturbances = Disturbances::default();
    let ended = {
        let schedules = futures::future::join(
            tick(&stack, Function::EnqueueMigrations),
            tick(&stack, Function::GuardMigrations),
        );
        let disturbed = disturbances.disturb(&stack, &mut engine, &mut random, Duration::from_secs(seconds));
        tokio::select! {
            (never, _) = schedules => match never {},
            ended = async { futures::future::try_join(until_all_have_ended(&stack), disturbed).await } => ended,
        }
    };
    let took = began.elapsed();
    if let Err(error) = ended {
        say(format_args!("FAILED {error:#}"))?;
        for function in [Function::GuardMigrations, Function::EnqueueMigrations] {
            let log = stack.functions().log(function);
            let last: Vec<&str> = log.lines().rev().take(LAST_LINES).collect();
            for line in last.into_iter().rev() {
                say(format_args!("  {} said: {line}", function.name()))?;
            }
        }
    }
    disturbances.print()?;
    let outcome = Outcome::look(&stack, &engine, capacity.into()).await?;
    outcome.print(took)?;
    if let Engine::Importer(importer) = &mut engine {
        importer.end(Signal::SIGINT).await?;
    }
    stack.stop().await?;
    if !outcome.broken.is_empty() {
        say(format_args!("\nAgain with: tests/chaos.sh {how}"))?;
    }
    Ok(outcome.broken.is_empty())
}

/// With the registry at this address, or one of the stack's own.
fn options(capacity: u16, url: Option<String>) -> StackOptions {
    let own = || RegistryChoice::Local {
        old_storage: None,
        new_storage: None,
        max_concurrent_imports: capacity.into(),
        step_time: StepTime { pre: STEP_TIME, r#final: STEP_TIME },
    };
    StackOptions {
        topology: Topology::DirectReader,
        proxies: true,
        registry: url.map_or_else(own, |url| RegistryChoice::Outside { url }),
        notification_timeout: Duration::from_secs(3),
        functions: vec![
            Function::RegistryNotification,
            Function::EnqueueMigrations,
            Function::GuardMigrations,
        ],
        instances: 4,
        capacity: capacity.into(),
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
