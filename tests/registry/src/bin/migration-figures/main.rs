//! The importer beside the tools that people use, on the same fleet, the same registries, the same machine, in one run.

mod between;
mod fleet;
mod measured;
mod registries;
mod tools;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::{Parser, ValueEnum};
use local_registry::storage::Storage;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use between::{Between, Counts};
use fleet::Fleet;
use measured::{Measured, cpu, measure};
use registries::Registry;
use tools::{Programs, Tool};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    programs: Programs,
    /// Debian's docker-registry: the source, and a target
    #[arg(long)]
    distribution_2: PathBuf,
    /// Distribution 3: another target
    #[arg(long)]
    distribution_3: Option<PathBuf>,
    /// Only these tools
    #[arg(long, value_delimiter = ',')]
    tools: Vec<Tool>,
    /// How often each is run on the fleet; the best counts
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each request takes longer in the run that is delayed, in milliseconds
    #[arg(long, default_value_t = 20)]
    delay: u64,
    /// What each tool is run on
    #[arg(long, value_delimiter = ',', default_values = ["fleet", "delayed", "again"])]
    jobs: Vec<Job>,
    /// Where the figures go, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Job {
    /// The fleet, into an empty target
    Fleet,
    /// The same, each request delayed
    Delayed,
    /// The same, with nothing changed since
    Again,
    /// One repository of 5 GB
    Giant,
}

/// What a run came to.
struct Run {
    tool: Tool,
    target: &'static str,
    what: &'static str,
    fleet: Fleet,
    measured: Measured,
    counts: [Counts; 2],
    /// CPU of the source, of the target, and of this program: it stands between them where requests are delayed, and measures.
    others_cpu: [f64; 3],
    lost: String,
    /// Ours: what the plan said, when it was made, and how long the database took to be there.
    forecast: Option<u64>,
    planned: Option<f64>,
    database: Option<f64>,
    load: f64,
}

#[derive(Clone, Copy)]
struct Bench<'a> {
    arguments: &'a Arguments,
    folder: &'a Path,
    source: &'a Path,
    fleet: Fleet,
    /// The source's and the target's: a state belongs to two addresses.
    ports: [u16; 2],
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = std::env::temp_dir().join(format!("migration-figures-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    // The database of ours runs as another account where this is root.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    let mut ended = signal(SignalKind::terminate())?;
    let done = tokio::select! {
        done = figures(&arguments, &folder) => done,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("ended before it was done")),
        _ = ended.recv() => Err(anyhow!("ended before it was done")),
    };
    // A tool that still runs ends with its registries; what it writes until then goes with the folder.
    measured::end();
    fs::remove_dir_all(&folder)?;
    done
}

async fn figures(arguments: &Arguments, folder: &Path) -> anyhow::Result<()> {
    let source = folder.join("source");
    let mut runs = Vec::new();
    let ports = ports()?;
    if arguments.jobs.iter().any(|job| *job != Job::Giant) {
        compare_all(arguments, folder, &source, ports, &mut runs).await?;
    }
    if arguments.jobs.contains(&Job::Giant) {
        remove(&source)?;
        say("Writing the repository of 5 GB")?;
        let bench = Bench { arguments, folder, source: &source, fleet: fleet::write_giant(&source)?, ports };
        let (target, program) = match &arguments.distribution_3 {
            Some(program) => ("distribution 3", program),
            None => ("distribution 2", &arguments.distribution_2),
        };
        say(&head())?;
        for tool in bench.tools() {
            runs.push(bench.fresh(tool, target, "5 GB", program, Duration::ZERO).await?);
        }
    }
    if let Some(path) = &arguments.json {
        let all: Vec<Value> = runs.iter().map(|run| run.json()).collect();
        fs::write(path, serde_json::to_string_pretty(&json!({"runs": all}))?)?;
    }
    Ok(())
}

/// Every tool on the fleet, to each target.
async fn compare_all(
    arguments: &Arguments,
    folder: &Path,
    source: &Path,
    ports: [u16; 2],
    runs: &mut Vec<Run>,
) -> anyhow::Result<()> {
    say("Writing the fleet")?;
    let made = fleet::write(source)?;
    say(&format!(
        "{} repositories, {} tags, {} manifests, {} distinct blobs of {:.0} MB",
        made.repositories,
        made.tags,
        made.manifests,
        made.blobs,
        made.bytes as f64 / 1e6
    ))?;
    let bench = Bench { arguments, folder, source, fleet: made, ports };
    let targets = [
        ("distribution 2", Some(&arguments.distribution_2)),
        ("distribution 3", arguments.distribution_3.as_ref()),
    ];
    for (target, program) in targets {
        let Some(program) = program else {
            say(&format!("NOT DONE {target} as a target: it is not there"))?;
            continue;
        };
        bench.compare(target, program, runs).await?;
    }
    Ok(())
}

impl Bench<'_> {
    fn tools(&self) -> Vec<Tool> {
        let asked = &self.arguments.tools;
        [Tool::Ours, Tool::Crane, Tool::Regsync, Tool::Skopeo]
            .into_iter()
            .filter(|tool| asked.is_empty() || asked.contains(tool))
            .filter(|tool| tool.program(&self.arguments.programs).is_some())
            .collect()
    }

    async fn compare(&self, target: &'static str, program: &Path, runs: &mut Vec<Run>) -> anyhow::Result<()> {
        say(&head())?;
        // By turns, so that what the machine does besides falls on all of them.
        let has = |job| self.arguments.jobs.contains(&job);
        let rounds = if has(Job::Fleet) { self.arguments.rounds } else { 0 };
        let mut best: Vec<Run> = Vec::new();
        for _ in 0..rounds {
            for tool in self.tools() {
                let run = self.fresh(tool, target, "all", program, Duration::ZERO).await?;
                match best.iter_mut().find(|run| run.tool == tool) {
                    Some(known) if known.measured.seconds > run.measured.seconds => *known = run,
                    Some(_) => {}
                    None => best.push(run),
                }
            }
        }
        runs.append(&mut best);
        if has(Job::Delayed) {
            for tool in self.tools() {
                let delay = Duration::from_millis(self.arguments.delay);
                runs.push(self.fresh(tool, target, "delayed", program, delay).await?);
            }
        }
        if !has(Job::Again) {
            return Ok(());
        }
        for tool in self.tools() {
            let storage = self.empty_target()?;
            let home = self.home()?;
            self.run(tool, target, "", program, &storage, &home, Duration::ZERO).await?;
            runs.push(self.run(tool, target, "again", program, &storage, &home, Duration::ZERO).await?);
            if tool == Tool::Ours {
                let home = self.home()?;
                runs.push(
                    self.run(tool, target, "new state", program, &storage, &home, Duration::ZERO).await?,
                );
            }
        }
        Ok(())
    }

    /// A target with nothing in it.
    fn empty_target(&self) -> anyhow::Result<PathBuf> {
        let storage = self.folder.join("target");
        remove(&storage)?;
        Ok(storage)
    }

    /// A new folder for what a tool keeps.
    fn home(&self) -> anyhow::Result<PathBuf> {
        let home = self.folder.join("home");
        remove(&home)?;
        fs::create_dir(&home)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755))?;
        Ok(home)
    }

    async fn fresh(
        &self,
        tool: Tool,
        target: &'static str,
        what: &'static str,
        program: &Path,
        delay: Duration,
    ) -> anyhow::Result<Run> {
        self.run(tool, target, what, program, &self.empty_target()?, &self.home()?, delay).await
    }

    #[expect(clippy::too_many_arguments, reason = "each is another thing")]
    async fn run(
        &self,
        tool: Tool,
        target: &'static str,
        what: &'static str,
        registry: &Path,
        storage: &Path,
        home: &Path,
        delay: Duration,
    ) -> anyhow::Result<Run> {
        let source = Registry::start(&self.arguments.distribution_2, self.source, self.ports[0])?;
        let written = Registry::start(registry, storage, self.ports[1])?;
        let between = if delay.is_zero() {
            None
        } else {
            Some([
                Between::start(&source.address, delay).await?,
                Between::start(&written.address, delay).await?,
            ])
        };
        let addresses = match &between {
            Some([from, to]) => [from.address.clone(), to.address.clone()],
            None => [source.address.clone(), written.address.clone()],
        };
        let program = tool.program(&self.arguments.programs).context("it is not there")?;
        let repositories = Storage::new(self.source).repositories()?;
        let command = tool.command(program, [&addresses[0], &addresses[1]], &repositories, home, &[])?;
        let [begun, there, plan_file] =
            ["state/database", "state/manifests", "state/plan.json"].map(|name| home.join(name));
        remove_file(&plan_file)?;
        let name = tool.name();
        let own = i32::try_from(std::process::id())?;
        let own_before: f64 = cpu(own)?.iter().take(1).sum();
        let (measured, database, planned) = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            let (started, mut planned) = (Instant::now(), None);
            let (mut from, mut to) = (None, None);
            let measured = measure(command, name, || {
                if from.is_none() && begun.exists() {
                    from = Some(Instant::now());
                }
                if from.is_some() && to.is_none() && there.exists() {
                    to = Some(Instant::now());
                }
                if planned.is_none() && plan_file.exists() {
                    planned = Some(started.elapsed().as_secs_f64());
                }
            })?;
            let took =
                from.zip(to).map(|(from, to): (Instant, Instant)| to.duration_since(from).as_secs_f64());
            Ok((measured, took, planned))
        })
        .await??;
        let own_cpu = cpu(own)?.iter().take(1).sum::<f64>() - own_before;
        let others_cpu = [source.cpu()?, written.cpu()?, own_cpu];
        let counts = match &between {
            Some([from, to]) => [from.counts(), to.counts()],
            None => [source.counts()?, written.counts()?],
        };
        let plan: Option<Value> =
            fs::read(home.join("state/plan.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let run = Run {
            tool,
            target,
            what,
            fleet: self.fleet,
            measured,
            counts,
            others_cpu,
            lost: self.lost(storage)?,
            forecast: plan.and_then(|plan| plan["forecast_seconds"].as_u64()),
            planned,
            database,
            load: load(),
        };
        if !what.is_empty() {
            say(&run.line())?;
        }
        if measured.status != 0 {
            let said = fs::read_to_string(home.join("output"))?;
            let lines: Vec<&str> = said.lines().rev().take(3).collect();
            say(&format!("  {} ended with {}: {}", tool.name(), measured.status, lines.join(" / ")))?;
            for row in unequal(home) {
                say(&format!("  {row}"))?;
            }
        }
        Ok(run)
    }

    /// What the target lacks, by the storages of both.
    fn lost(&self, target: &Path) -> anyhow::Result<String> {
        let (source, target) = (Storage::new(self.source), Storage::new(target));
        let (mut tags, mut manifests) = (0, 0);
        for name in source.repositories()? {
            let has = target.tags(&name)?;
            tags += source.tags(&name)?.iter().filter(|(tag, digest)| has.get(*tag) != Some(*digest)).count();
            let has: BTreeSet<_> = target.revisions(&name)?;
            manifests += source.revisions(&name)?.iter().filter(|digest| !has.contains(*digest)).count();
        }
        Ok(match (tags, manifests) {
            (0, 0) => "nothing".to_owned(),
            (tags, manifests) => format!("{tags} tags, {manifests} manifests"),
        })
    }
}

fn head() -> String {
    format!(
        "\n{:15} {:9} {:18} {:>6} {:>6} {:>6} {:>17} {:>5} {:>5} {:>15} {:>11} {:>5} lost",
        "target",
        "run",
        "tool",
        "s",
        "CPU",
        "DB CPU",
        "from, to, between",
        "MB",
        "DB MB",
        "requests",
        "bytes",
        "load"
    )
}

impl Run {
    fn line(&self) -> String {
        let Measured { seconds, own_cpu, children_cpu, memory, others_memory, .. } = self.measured;
        let (own, others) =
            if self.tool == Tool::Ours { (own_cpu, children_cpu) } else { (own_cpu + children_cpu, 0.0) };
        let ratio = |count: u64| {
            if count == 0 { "-".to_owned() } else { format!("{:.2}", count as f64 / self.fleet.bytes as f64) }
        };
        let mut line = format!(
            "{:15} {:9} {:18} {seconds:>6.1} {own:>6.1} {others:>6.1} {:>17} {memory:>5.0} {others_memory:>5.0} {:>7}/{:>7} {:>5}/{:>5} {:>5.1} {}",
            self.target,
            self.what,
            self.tool.name(),
            self.others_cpu.map(|seconds| format!("{seconds:.1}")).join(", "),
            self.counts[0].all(),
            self.counts[1].all(),
            ratio(self.counts[0].read),
            ratio(self.counts[1].sent),
            self.load,
            self.lost
        );
        if let Some(forecast) = self.forecast {
            line.push_str(&format!(
                "; forecast {forecast} s after {:.1} s, database ready in {:.1} s",
                self.planned.unwrap_or_default(),
                self.database.unwrap_or_default()
            ));
        }
        line
    }

    fn json(&self) -> Value {
        let Measured { seconds, own_cpu, children_cpu, memory, others_memory, status } = self.measured;
        let side =
            |counts: &Counts| json!({"requests": counts.requests, "read": counts.read, "sent": counts.sent});
        json!({
            "tool": self.tool.name(), "target": self.target, "run": self.what, "seconds": seconds,
            "cpu_seconds": own_cpu, "cpu_seconds_of_its_children": children_cpu, "memory_mb": memory,
            "memory_mb_of_its_children": others_memory, "exit_status": status, "source": side(&self.counts[0]),
            "target_side": side(&self.counts[1]), "distinct_bytes": self.fleet.bytes, "tags": self.fleet.tags,
            "cpu_seconds_of_source_target_and_between": self.others_cpu,
            "lost": self.lost, "forecast_seconds": self.forecast, "planned_after_seconds": self.planned, "database_seconds": self.database, "load": self.load
        })
    }
}

/// The rows of our proof about what is not as it was, where there is a proof.
fn unequal(home: &Path) -> Vec<String> {
    let text = fs::read_to_string(home.join("state/proof.ndjson")).unwrap_or_default();
    let is_equal = |row: &str| {
        let row: Value = serde_json::from_str(row).unwrap_or_default();
        matches!(row["state"].as_str(), Some("equal" | "merged" | "empty"))
    };
    text.lines().filter(|row| !is_equal(row)).map(str::to_owned).collect()
}

/// Two that nobody has just now.
fn ports() -> anyhow::Result<[u16; 2]> {
    let free = || TcpListener::bind("127.0.0.1:0");
    let (one, other) = (free()?, free()?);
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn remove_file(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
