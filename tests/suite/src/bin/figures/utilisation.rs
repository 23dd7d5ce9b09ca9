//! How well the driver uses its slots: how much of the time that repositories waited for one the slots were held,
//! and how much of it the registry was really at work.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Args;
use local::{
    RegistryChoice, Stack, StackOptions,
    local_registry::{Effect, Operation, Registry, Rule, Step, StepTime},
    output::say,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use suite::{data_api_calls, primary, repositories};
use tokio_postgres::Client;

use crate::record::{Goal, record};

/// How often enqueue-migrations is invoked; the chain after each finished import does the rest.
const TICK: Duration = Duration::from_secs(1);
/// A run that has not moved for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The capacities at which the throughput is measured, and how long a step takes.
const CAPACITIES: [u16; 6] = [1, 2, 4, 8, 16, 32];
const STEP_MILLISECONDS: u64 = 1;
/// The kernel counts processors' time in hundredths of a second, on every machine that Linux runs on today.
const TICKS: f64 = 100.0;
/// The transitions that take a slot or give it back, in the order in which they happened.
const OCCUPANCY: &str = "
    occupancy AS (
        SELECT
            t.id,
            t.slot,
            t.created_at,
            t.to_state = ANY (ARRAY['pre_importing', 'pre_import_done', 'importing']) AS taken
        FROM migration_transitions AS t
        WHERE t.applied
            AND (t.from_state = ANY (ARRAY['pre_importing', 'pre_import_done', 'importing']))
                <> (t.to_state = ANY (ARRAY['pre_importing', 'pre_import_done', 'importing']))
    ),
    span AS (
        SELECT min(created_at) AS began, max(created_at) AS ended FROM occupancy WHERE taken
    )";

/// Migrates many repositories with import times drawn at random, and prints how the slots were used.
#[derive(Args, Clone, Copy)]
pub struct Arguments {
    /// How many container repositories.
    #[arg(long, default_value_t = 1000)]
    repositories: usize,
    /// How many of them may be in progress at once: the setting, the processes of each function, and the imports
    /// that the registry runs at once.
    #[arg(long, default_value_t = 25)]
    capacity: u16,
    /// How long a step takes at least, in milliseconds.
    #[arg(long, default_value_t = 50)]
    shortest: u64,
    /// How long it takes at most.
    #[arg(long, default_value_t = 500)]
    longest: u64,
    /// Draws the times with a heavy tail, so that most steps are short and a few take nearly the longest time: as many
    /// between 10 and 100 ms as between 1 and 10 s.
    #[arg(long)]
    tail: bool,
    /// Measures instead how many repositories are migrated in a second where a step takes no time, at growing capacities,
    /// and who needs how much of the processors for each.
    #[arg(long)]
    throughput: bool,
    /// What the times are drawn with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Arguments {
    /// The time of one step.
    fn draw(&self, random: &mut StdRng) -> u64 {
        if !self.tail {
            return random.random_range(self.shortest..=self.longest);
        }
        let [shortest, longest] = [self.shortest, self.longest].map(|bound| (bound.max(1) as f64).ln());
        random.random_range(shortest..=longest).exp() as u64
    }
}

/// Steps of 10 ms to 10 s, most of them short, at this capacity, for about two minutes.
pub const fn with_a_tail(capacity: u16) -> Arguments {
    let repositories = 40 * capacity as usize;
    let (shortest, longest) = (10, 10_000);
    Arguments { repositories, capacity, shortest, longest, tail: true, throughput: false, seed: 1 }
}

/// Steps that take no time, at growing capacities.
pub const THROUGHPUT: Arguments = Arguments { repositories: 1000, throughput: true, ..with_a_tail(1) };

/// Measures and prints what is asked for.
pub async fn utilisation(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.throughput {
        return throughput(arguments).await;
    }
    let stack = Stack::start(options(&arguments)).await?;
    let drawn = prepare(&stack, &arguments).await?;
    say(format_args!(
        "{} repositories, capacity {}, steps of {} to {} ms (seed {}), a registry with room for {} imports",
        arguments.repositories,
        arguments.capacity,
        arguments.shortest,
        arguments.longest,
        arguments.seed,
        arguments.capacity
    ))?;
    let ticker = stack.tick_every(TICK);
    migrate(&stack, arguments.repositories).await?;
    drop(ticker);
    report(&stack, &arguments, drawn).await?;
    stack.stop().await
}

/// Migrates the same repositories at each capacity.
async fn throughput(asked: Arguments) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    say(format_args!(
        "{} repositories, steps of {STEP_MILLISECONDS} ms, {cores} cores {:>15} {:>10} {:>10} {:>13} {:>12} {:>7} {:>6}",
        asked.repositories,
        "a second",
        "functions",
        "PostgreSQL",
        "cargo lambda",
        "stand-ins",
        "busy",
        "calls"
    ))?;
    for capacity in CAPACITIES {
        let (shortest, longest) = (STEP_MILLISECONDS, STEP_MILLISECONDS);
        let arguments = Arguments { capacity, shortest, longest, tail: false, ..asked };
        let stack = Stack::start(options(&arguments)).await?;
        prepare(&stack, &arguments).await?;
        let before = processors(&stack).await?;
        let calls_before = data_api_calls(&stack);
        let began = Instant::now();
        let ticker = stack.tick_every(TICK);
        migrate(&stack, asked.repositories).await?;
        let took = began.elapsed().as_secs_f64();
        drop(ticker);
        let after = processors(&stack).await?;
        let calls = data_api_calls(&stack) - calls_before;
        stack.stop().await?;
        let each = |who: &str| {
            let seconds = |taken: &BTreeMap<&str, f64>| taken.get(who).copied().unwrap_or_default();
            seconds(&after) - seconds(&before)
        };
        let milliseconds = |who: &str| 1000.0 * each(who) / asked.repositories as f64;
        let together: f64 = WHO.iter().map(|who| each(who)).sum();
        say(format_args!(
            "  capacity {capacity:3} {:47.1} {:7.1} ms {:7.1} ms {:10.1} ms {:9.1} ms {:5.0} % {:6.1}",
            asked.repositories as f64 / took,
            milliseconds("functions"),
            milliseconds("postgres"),
            milliseconds("cargo-lambda"),
            milliseconds("local"),
            100.0 * together / (took * cores as f64),
            calls as f64 / asked.repositories as f64
        ))?;
        let a_second = asked.repositories as f64 / took;
        record("repositories a second", &format!("capacity {capacity}"), "a second", a_second, Goal::None);
    }
    say(
        "The times are of the processors, for each repository, and so are the calls, of the Data API. Stand-ins are the local Data API, the registry and the secrets.",
    )?;
    Ok(())
}

/// Whose processor time is shown.
const WHO: [&str; 4] = ["functions", "postgres", "cargo-lambda", "local"];

/// How much of the processors' time each has taken so far, in seconds.
async fn processors(stack: &Stack) -> anyhow::Result<BTreeMap<&'static str, f64>> {
    let pids = stack.describe().await.pids;
    let mut taken = BTreeMap::new();
    for process in fs::read_dir("/proc")? {
        let Some(pid) = process?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that has just ended is not there.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // Behind the name, which may hold anything, and the state: the parent, and later on the times.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number =
            |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
        let parent = u32::try_from(number(1))?;
        let named = pids
            .iter()
            .find(|(name, known)| **known == pid || **known == parent && name.starts_with("postgres"));
        let Some((name, _)) = named else { continue };
        let who = WHO.iter().find(|who| name.starts_with(**who)).copied().unwrap_or("functions");
        // A server's children that have ended count as the server's.
        let ended = if who == "postgres" { number(13) + number(14) } else { 0 };
        *taken.entry(who).or_default() += (number(11) + number(12) + ended) as f64 / TICKS;
    }
    Ok(taken)
}

fn options(arguments: &Arguments) -> StackOptions {
    StackOptions {
        registry: RegistryChoice::Local {
            old_storage: None,
            new_storage: None,
            max_concurrent_imports: arguments.capacity.into(),
            step_time: StepTime::default(),
        },
        instances: arguments.capacity.into(),
        capacity: arguments.capacity.into(),
        log_level: "warn".to_owned(),
        ..StackOptions::default()
    }
}

/// Makes the repositories known, each with a time of its own for each step; how long the steps take together.
async fn prepare(stack: &Stack, arguments: &Arguments) -> anyhow::Result<Duration> {
    let mut random = StdRng::seed_from_u64(arguments.seed);
    let mut together = Duration::ZERO;
    let paths: Vec<String> =
        (0..arguments.repositories).map(|number| format!("group/image{number}")).collect();
    for path in &paths {
        for step in [Step::Pre, Step::Final] {
            let milliseconds = arguments.draw(&mut random);
            together += Duration::from_millis(milliseconds);
            // Used up by the import, so that those that are left are soon looked through.
            let slow = Rule::new(Effect::Slow { milliseconds }).repository(path).step(step).times(1);
            stack.registry()?.rules().add(slow);
        }
    }
    repositories(stack, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    Ok(together)
}

/// Waits until every repository has come to its end.
async fn migrate(stack: &Stack, wanted: usize) -> anyhow::Result<()> {
    let client = primary(stack).await?;
    let mut last = (0, Instant::now());
    loop {
        let query = "SELECT count(*) FROM container_repositories WHERE migration_state = 'import_done'";
        let done: i64 = client.query_one(query, &[]).await?.get(0);
        if usize::try_from(done)? == wanted {
            return Ok(());
        }
        if done != last.0 {
            last = (done, Instant::now());
        }
        ensure!(last.1.elapsed() < PATIENCE, "nothing moves: {done} of {wanted} are done");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn report(stack: &Stack, arguments: &Arguments, drawn: Duration) -> anyhow::Result<()> {
    let capacity = f64::from(arguments.capacity);
    let client = primary(stack).await?;
    let span = seconds(&client, "SELECT extract(epoch FROM ended - began) FROM span").await?;
    let began = seconds(&client, "SELECT extract(epoch FROM began) FROM span").await?;
    let held = seconds(
        &client,
        "SELECT extract(epoch FROM sum(least(coalesce(freed, ended), ended) - created_at))
        FROM span, (SELECT *, lead(created_at) OVER (PARTITION BY slot ORDER BY id) AS freed FROM occupancy) AS o
        WHERE taken",
    )
    .await?;
    // A slot that was never taken was empty for all of the time.
    let filling = seconds(
        &client,
        &format!(
            "SELECT extract(epoch FROM sum(coalesce(first.taken, ended) - began))
            FROM span, generate_series(1, {capacity}) AS slots (slot)
            LEFT JOIN (SELECT slot, min(created_at) AS taken FROM occupancy WHERE taken GROUP BY slot) AS first
                ON first.slot = slots.slot"
        ),
    )
    .await?;
    let registry = stack.registry()?;
    let busy = busy(registry, began, began + span)?;
    let (refused, starts) = (
        seconds(&client, "SELECT count(*) FROM migration_transitions WHERE event = 'start_refused'").await?,
        registry.journal().requests().iter().filter(|call| call.operation == Operation::Start).count(),
    );
    let retries = seconds(&client, "SELECT sum(retries_count) FROM container_repositories").await?;

    say(format_args!("\nFrom the first start to the last, while repositories waited {span:17.2} s"))?;
    say(format_args!(
        "  the imports by themselves, over all slots {:34.2} s",
        drawn.as_secs_f64() / capacity
    ))?;
    let share = 100.0 * held / (capacity * span);
    let goal = if arguments.tail { Goal::AtLeast(98.5) } else { Goal::None };
    say(format_args!("  slots held {share:67.1} %{}", goal.said(share)))?;
    record("slots held", &format!("capacity {capacity}"), "%", share, goal);
    say(format_args!(
        "    empty before their first repository {:40.1} %",
        100.0 * filling / (capacity * span)
    ))?;
    say(format_args!(
        "    empty between two repositories {:45.1} %",
        100.0 * (capacity * span - held - filling) / (capacity * span)
    ))?;
    say(format_args!("  the registry at work {:57.1} %", 100.0 * busy / (capacity * span)))?;
    say(format_args!("Starts asked of the registry {starts:49}"))?;
    say(format_args!("Starts it had no room for, parked {refused:44}"))?;
    say(format_args!("Retries counted {retries:62}"))?;
    say(format_args!(
        "\nA slot is held from the transition that takes it to the one that gives it back. Both times are those of \n\
         their transactions' beginning, a few milliseconds before the commit, on either side alike."
    ))?;
    Ok(())
}

async fn seconds(client: &Client, query: &str) -> anyhow::Result<f64> {
    let query = format!("WITH {OCCUPANCY} SELECT ({query})::double precision");
    client.query_one(&query, &[]).await?.get::<_, Option<f64>>(0).context("nothing was migrated")
}

/// How long the registry's imports took together within a span of time, in seconds: each from the call that began
/// it to its notification.
fn busy(registry: &Registry, began: f64, ended: f64) -> anyhow::Result<f64> {
    let at = |time: jiff::Timestamp| time.as_duration().as_secs_f64();
    let accepted: BTreeMap<String, f64> = registry
        .journal()
        .requests()
        .into_iter()
        .filter(|call| call.operation == Operation::Start && call.answered == Some(202))
        .filter_map(|call| Some((call.request_id?, at(call.at))))
        .collect();
    registry.journal().notifications().iter().try_fold(0.0, |sum, notification| {
        let id = notification.request_id.as_deref().context("a notification without an id")?;
        let start = accepted.get(id).context("a notification of an import that nobody began")?;
        Ok(sum + (at(notification.at).min(ended) - start.max(began)).max(0.0))
    })
}
