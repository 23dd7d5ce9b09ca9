//! Figures of the running stack, as tables: how soon it is ready, what its processes hold, what each operation
//! asks of the Data API and the registry, and what a notification costs beside its bare statement.

mod handlers;
mod plans;
mod process;
mod record;
mod secure;
mod statements;
mod utilisation;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use local::{
    Function, Stack, StackOptions,
    local_registry::{Effect, Operation, Rule, When},
    output::say,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use shared::{
    endpoint::Notification,
    migration::{AttemptId, NotificationStatus},
    store::Store,
};
use suite::{given, options, repositories, sql, writer};
use uuid::Uuid;

use crate::record::{Goal, record};

/// The sizes of the tables on which every statement is measured, in repositories.
const SIZES: [usize; 3] = [1000, 100_000, 1_000_000];
/// How often the stack is started.
const STARTS: usize = 3;
/// How many notifications, and how many bare statements, are timed; and how many of each go before, untimed.
const TIMED: usize = 300;
const WARM_UP: usize = 20;

/// Measures what the driver costs, and prints it.
#[derive(Parser)]
struct Arguments {
    /// A part alone; none: all that takes some minutes.
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Every part that has a goal, and all figures once more as one table
    All,
    /// What a notification's statement costs beside plain ones
    Plans,
    /// What every statement costs, on tables of each size
    Statements { sizes: Vec<usize> },
    /// The instructions of a notification, compared with those in a file
    Instructions { file: PathBuf },
    /// The functions beside the same handler in other languages
    Handlers,
    /// How the slots are used, or how many repositories are migrated in a second
    Utilisation(utilisation::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().part {
        None => everyday().await?,
        Some(Part::All) => all().await?,
        Some(Part::Plans) => {
            // They are quick, and so alone.
            let stack = Stack::start(StackOptions::default()).await?;
            sql(&stack, "UPDATE migration_settings SET enabled = false").await?;
            plans::plans(&stack).await?;
            stack.stop().await?;
        }
        Some(Part::Statements { sizes }) if sizes.len() > 1 => statements::statements(&sizes).await?,
        Some(Part::Statements { .. }) => statements::statements(&SIZES).await?,
        Some(Part::Instructions { file }) => handlers::instructions(&file).await?,
        Some(Part::Handlers) => handlers::handlers().await?,
        Some(Part::Utilisation(arguments)) => utilisation::utilisation(arguments).await?,
    }
    write_down()
}

async fn everyday() -> anyhow::Result<()> {
    ready()?;
    operations().await?;
    let stack = Stack::start(StackOptions::default()).await?;
    notifications(&stack).await?;
    plans::plans(&stack).await?;
    memory(&stack).await?;
    stack.stop().await?;
    handlers::handlers().await
}

/// Each figure that has a goal, in one run.
async fn all() -> anyhow::Result<()> {
    sizes()?;
    handlers::handlers().await?;
    for capacity in [25, 100] {
        utilisation::utilisation(utilisation::with_a_tail(capacity)).await?;
    }
    utilisation::utilisation(utilisation::THROUGHPUT).await?;
    statements::statements(&SIZES).await?;
    record::table()
}

/// What the script has measured of each function, a line each: its name, its crates, and how large it is zipped, in MB.
fn sizes() -> anyhow::Result<()> {
    let file = std::env::var("FIGURES_SIZES").context("FIGURES_SIZES names no file")?;
    for line in fs::read_to_string(&file)?.lines() {
        let [name, crates, zip] = line.split(' ').collect::<Vec<_>>()[..] else {
            anyhow::bail!("{file} has the line {line}");
        };
        let goal = if name == "registry-notification" { Goal::AtMost(3.5) } else { Goal::None };
        record("crates", name, "crates", crates.parse()?, Goal::None);
        record("zipped", name, "MB", zip.parse()?, goal);
    }
    Ok(())
}

/// Writes the figures for programs, where the script wants them.
fn write_down() -> anyhow::Result<()> {
    match std::env::var_os("FIGURES_JSON") {
        Some(file) => record::write(Path::new(&file)),
        None => Ok(()),
    }
}

/// How long `local up` takes until it says that it is ready.
fn ready() -> anyhow::Result<()> {
    say("\n`local up` to ready, everything built")?;
    let program = std::env::current_exe()?.with_file_name("local");
    for number in 1..=STARTS {
        let began = Instant::now();
        let mut child =
            Command::new(&program).arg("up").stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let took = began.elapsed();
        kill(Pid::from_raw(child.id().try_into()?), Signal::SIGINT)?;
        let ended = child.wait()?;
        ensure!(line.contains("\"ready\":true") && ended.success(), "local up: {ended}");
        say(format_args!("  {number}. start {:30.2} s", took.as_secs_f64()))?;
    }
    Ok(())
}

/// How many calls there were.
struct Calls {
    data_api: usize,
    registry: usize,
}

fn calls(stack: &Stack) -> anyhow::Result<Calls> {
    Ok(Calls {
        data_api: stack.data_api().journal().len(),
        registry: stack.registry()?.journal().requests().len(),
    })
}

/// Prints what has been called since `before`, once the work after the last answer is done: with one process
/// for each function, the next request is served only then.
async fn cost(stack: &Stack, what: &str, before: Calls) -> anyhow::Result<()> {
    let refused = stack.client().notify("group/image", "none of the six", None).await?;
    ensure!(refused.status() == 400, "{what}: {}", refused.status());
    let after = calls(stack)?;
    say(format_args!(
        "  {what:58} {:8} {:8}",
        after.data_api - before.data_api,
        after.registry - before.registry
    ))?;
    Ok(())
}

async fn operations() -> anyhow::Result<()> {
    say(format_args!("\nCalls per operation {:39} {:>8} {:>8}", "", "Data API", "registry"))?;
    let stack = Stack::start(StackOptions { instances: 1, ..options() }).await?;
    let accepted = Effect::Answer { status: 202, code: None, detail: None, body: None, when: When::Before };
    let client = stack.client();
    repositories(&stack, &["group/started", "group/a", "group/b", "group/c"]).await?;
    stack.register(&["group/missing".to_owned()]).await?;

    let before = calls(&stack)?;
    client.start("group/missing").await?.error_for_status()?;
    cost(&stack, "start, nothing to import", before).await?;
    stack.registry()?.rules().add(Rule::new(accepted).operation(Operation::Start));
    let before = calls(&stack)?;
    client.start("group/started").await?.error_for_status()?;
    cost(&stack, "start, accepted", before).await?;

    let before = calls(&stack)?;
    stack.functions().tick().await?;
    cost(&stack, "sweep that starts 3 repositories", before).await?;
    let before = calls(&stack)?;
    stack.functions().tick().await?;
    cost(&stack, "sweep that finds nothing", before).await?;

    for (status, what) in [
        ("pre_import_complete", "notification, pre step complete: the final step is asked for"),
        ("import_complete", "notification, final step complete: nothing else is due"),
        ("pre_import_failed", "notification, pre step failed: it is begun again"),
    ] {
        let path = format!("group/{status}");
        given(&stack, &path, "pre_importing", None).await?;
        sql(
            &stack,
            "UPDATE container_repositories SET not_before = now() + interval '1 h' WHERE slot IS NULL",
        )
        .await?;
        let before = calls(&stack)?;
        client.notify(&path, status, None).await?.error_for_status()?;
        cost(&stack, what, before).await?;
    }
    stack.pair().wait_until_replayed().await?;
    let before = calls(&stack)?;
    client.status("group/started").await?;
    cost(&stack, "status of one repository", before).await?;
    let before = calls(&stack)?;
    client.list().await?;
    cost(&stack, "list", before).await?;
    let before = calls(&stack)?;
    stack.functions().invoke_on_schedule(Function::GuardMigrations).await?;
    cost(&stack, "guard's round with nothing stuck", before).await?;
    stack.stop().await
}

/// Half of them go over HTTP through the function, half straight to the Data API; they take turns.
async fn notifications(stack: &Stack) -> anyhow::Result<()> {
    let count = TIMED + WARM_UP;
    for number in 0..count {
        for kind in ["http", "bare"] {
            given(stack, &format!("{kind}/image{number}"), "pre_importing", None).await?;
        }
    }
    // Each is applied, and nothing follows it that would be at work while the next is timed.
    sql(stack, "UPDATE migration_settings SET enabled = false").await?;
    let store: Store<Notification> = Store::new(writer(stack));
    let (client, status) = (stack.client(), NotificationStatus::PreImportComplete);
    let (mut http, mut bare) = (Vec::new(), Vec::new());
    for number in 0..count {
        let began = Instant::now();
        client.notify(&format!("http/image{number}"), status.name(), None).await?.error_for_status()?;
        http.push(began.elapsed());
        let (path, change) = (format!("bare/image{number}").parse()?, AttemptId::new(Uuid::new_v4()));
        let began = Instant::now();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(8);
        let changed = store.apply_notification(&path, status, None, None, change, deadline).await?;
        bare.push(began.elapsed());
        ensure!(changed.is_some(), "{path} is not there");
    }
    let [http_50, http_99] = percentiles(http.split_off(WARM_UP));
    let [bare_50, bare_99] = percentiles(bare.split_off(WARM_UP));
    say(format_args!("\nA notification, applied; n = {TIMED} each, by turns {:15} {:>8}", "p50", "p99"))?;
    say(format_args!(
        "  over HTTP, through cargo lambda and the function {http_50:13.2} ms {http_99:8.2} ms"
    ))?;
    say(format_args!("  the bare statement, by the SDK {bare_50:31.2} ms {bare_99:8.2} ms"))?;
    say(format_args!("  ratio {:56.2} {:11.2}", http_50 / bare_50, http_99 / bare_99))?;
    Ok(())
}

/// The median and the 99th percentile, in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort_unstable();
    [50, 99].map(|percent| {
        let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(index).copied().unwrap_or_default().as_secs_f64() * 1000.0
    })
}

/// What each kind of process holds, after the notifications: the largest of its kind.
async fn memory(stack: &Stack) -> anyhow::Result<()> {
    say("\nResident memory, the largest process of each kind")?;
    let mut kinds: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    for (name, pid) in stack.describe().await.pids {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
        let kind =
            if kind == "local" { "local (Data API, registry, secrets, and these figures)" } else { kind };
        let (count, largest) = kinds.entry(kind.to_owned()).or_default();
        *count += 1;
        *largest = (*largest).max(resident_kib(pid)?);
    }
    for (kind, (count, kib)) in kinds {
        say(format_args!("  {kind:54} x {count:<2} {:9.1} MiB", kib as f64 / 1024.0))?;
    }
    Ok(())
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("memory is measured on Linux only")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
