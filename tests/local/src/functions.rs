//! A set of functions behind one cargo lambda: started, watched over, invoked, ended.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::Signal;
use postgres_pair::keeper::Keeper;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::binaries;
use crate::function::{Environment, Function};
use crate::gateway::Gateway;
use crate::worker::{Recipe, TO_END, end, platform_environment, tail, tell};

const PATIENCE: Duration = Duration::from_secs(60);
/// A function whose processes have ended so often, all of them, does not stay up.
const DEATHS: usize = 3;
const ROUND: Duration = Duration::from_millis(100);

/// Running functions. Dropping the set ends them.
#[derive(Debug)]
pub struct FunctionSet {
    workers: Arc<Mutex<Workers>>,
    watcher: JoinHandle<()>,
    logs: PathBuf,
    http: reqwest::Client,
    keeper: Arc<Keeper>,
    gateway: Gateway,
}

#[derive(Debug, Default)]
struct Workers {
    ended: bool,
    /// How many processes of a function died and were started again.
    deaths: BTreeMap<Function, usize>,
    processes: Vec<(Recipe, Child)>,
}

/// What a set is started from.
pub(crate) struct SetPlan<'a> {
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) functions: Vec<(Function, Environment)>,
    pub(crate) instances: usize,
    /// The folder with their programs, if not the one that they are built into.
    pub(crate) programs: Option<&'a Path>,
    pub(crate) logs: &'a Path,
    pub(crate) keeper: &'a Arc<Keeper>,
}

impl FunctionSet {
    /// Starts cargo lambda and the processes, and waits until each function with a route answers.
    pub(crate) async fn start(plan: SetPlan<'_>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(plan.logs).with_context(|| format!("cannot make {}", plan.logs.display()))?;
        let log = plan.logs.join("cargo-lambda.log");
        let (folder, gateway) = if plan.functions.is_empty() {
            (PathBuf::new(), Gateway::absent(plan.port, plan.keeper))
        } else {
            let folder = match plan.programs {
                Some(folder) => folder.to_owned(),
                None => tokio::task::spawn_blocking(binaries::functions).await??,
            };
            (folder, Gateway::start(plan.host, plan.port, &log, plan.keeper).await?)
        };
        let workers: Arc<Mutex<Workers>> = Arc::default();
        let set = Self {
            watcher: tokio::spawn(watch(Arc::clone(&workers), Arc::clone(plan.keeper))),
            workers,
            logs: plan.logs.to_owned(),
            http: reqwest::Client::builder().timeout(Duration::from_secs(90)).build()?,
            keeper: Arc::clone(plan.keeper),
            gateway,
        };
        for (function, mut environment) in plan.functions.clone() {
            environment.extend(platform_environment(function, set.runtime_api(function.name())));
            let recipe = Recipe {
                function,
                program: folder.join(function.name()),
                environment,
                log: set.log_path(function),
            };
            for _ in 0..plan.instances {
                let child = recipe.spawn(plan.keeper)?;
                lock(&set.workers).processes.push((recipe.clone(), child));
            }
        }
        for (function, _) in plan.functions {
            set.until_it_answers(function, plan.instances).await?;
        }
        Ok(set)
    }

    /// Where the functions' routes are, e.g. `http://127.0.0.1:9000`.
    pub fn base_url(&self) -> String {
        self.gateway.base_url()
    }

    /// What a process of `function` joins through: its `AWS_LAMBDA_RUNTIME_API`.
    pub fn runtime_api(&self, function: &str) -> String {
        self.gateway.runtime_api(function)
    }

    /// Everything a function's processes have written so far.
    pub fn log(&self, function: Function) -> String {
        std::fs::read_to_string(self.log_path(function)).unwrap_or_default()
    }

    /// The processes of a function.
    pub fn pids(&self, function: Function) -> Vec<u32> {
        let workers = lock(&self.workers);
        let of_it = workers.processes.iter().filter(|(recipe, _)| recipe.function == function);
        of_it.map(|(_, child)| child.id()).collect()
    }

    /// The process of cargo lambda.
    pub fn gateway_pid(&self) -> Option<u32> {
        self.gateway.pid()
    }

    /// How many processes died and were started again.
    pub fn restarts(&self) -> usize {
        lock(&self.workers).deaths.values().sum()
    }

    /// Invokes a function with an event, as a schedule or a console would, and says what it answered.
    ///
    /// # Errors
    /// When it cannot be reached, or answered with an error.
    pub async fn invoke(&self, function: Function, event: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/2015-03-31/functions/{}/invocations", self.base_url(), function.name());
        let answer = self.http.post(url).body(event.to_string()).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{} answered {status}: {text}", function.name());
        serde_json::from_str(&text).with_context(|| format!("{} answered {text}", function.name()))
    }

    /// Invokes enqueue-migrations as its schedule does.
    pub async fn tick(&self) -> anyhow::Result<Value> {
        self.invoke_on_schedule(Function::EnqueueMigrations).await
    }

    /// Invokes a function as its schedule does.
    ///
    /// # Errors
    /// As [`FunctionSet::invoke`].
    pub async fn invoke_on_schedule(&self, function: Function) -> anyhow::Result<Value> {
        let event = json!({
            "version": "0",
            "id": uuid::Uuid::new_v4(),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": jiff::Timestamp::now(),
            "region": crate::names::REGION,
            "resources": [],
            "detail": {},
        });
        self.invoke(function, &event).await
    }

    /// Ends the functions and cargo lambda.
    pub fn stop(self) {
        drop(self);
    }

    /// The same for a set that is shared; a second time does nothing.
    pub(crate) fn end(&self) {
        self.watcher.abort();
        let mut workers = lock(&self.workers);
        workers.ended = true;
        // All are told before the first is waited for, and none for longer than all: some may be in the middle of work
        // that takes half a minute.
        let deadline = Instant::now() + TO_END;
        for (_, child) in &mut workers.processes {
            tell(child, Signal::SIGTERM);
        }
        for (_, child) in workers.processes.drain(..) {
            end(child, Signal::SIGTERM, deadline, &self.keeper);
        }
        self.gateway.end();
    }

    fn log_path(&self, function: Function) -> PathBuf {
        self.logs.join(format!("{}.log", function.name()))
    }

    fn tail(&self, function: Function) -> String {
        let log = self.log_path(function);
        format!("{}:\n{}", log.display(), tail(&log))
    }

    /// Waits until a function answers. A process may die on a busy machine: another takes its place.
    async fn until_it_answers(&self, function: Function, instances: usize) -> anyhow::Result<()> {
        let Some((method, path)) = function.probe() else { return Ok(()) };
        let deadline = Instant::now() + PATIENCE;
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        loop {
            let deaths = lock(&self.workers).deaths.clone();
            if let Some((dying, times)) = does_not_stay_up(&deaths, instances) {
                bail!(
                    "{} does not stay up, {times} processes of it ended: {}",
                    dying.name(),
                    self.tail(dying)
                );
            }
            let probe = self.http.request(method.clone(), format!("{}{path}", self.base_url()));
            let asked = probe.body("{}").timeout(Duration::from_secs(2)).send().await;
            match asked {
                Ok(answer) if answer.status() == reqwest::StatusCode::UNAUTHORIZED => return Ok(()),
                asked if Instant::now() > deadline => {
                    let how = match asked {
                        Ok(answer) => format!("it answered {}", answer.status()),
                        Err(error) => format!("{:#}", anyhow::Error::from(error)),
                    };
                    let (waited, (dying, times)) =
                        (function.name(), most_deaths(&deaths).unwrap_or((function, 0)));
                    bail!(
                        "{waited} does not answer ({how}), and {times} processes of {} ended: {}",
                        dying.name(),
                        self.tail(dying)
                    );
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for FunctionSet {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process that died is started again, as Lambda would start another instance.
async fn watch(workers: Arc<Mutex<Workers>>, keeper: Arc<Keeper>) {
    loop {
        tokio::time::sleep(ROUND).await;
        let mut workers = lock(&workers);
        if workers.ended {
            return;
        }
        let mut died = Vec::new();
        for (recipe, child) in &mut workers.processes {
            let Ok(Some(status)) = child.try_wait() else { continue };
            died.push(recipe.function);
            tracing::warn!(function = recipe.function.name(), %status, "a function's process ended; starting another");
            let again = keeper.forget(child.id()).and_then(|()| recipe.spawn(&keeper));
            match again {
                Ok(started) => *child = started,
                Err(error) => tracing::error!(%error, "a function's process could not be started again"),
            }
        }
        for function in died {
            *workers.deaths.entry(function).or_default() += 1;
        }
    }
}

/// The function whose processes end again and again, and how many did.
fn does_not_stay_up(deaths: &BTreeMap<Function, usize>, instances: usize) -> Option<(Function, usize)> {
    most_deaths(deaths).filter(|(_, times)| *times >= DEATHS * instances)
}

fn most_deaths(deaths: &BTreeMap<Function, usize>) -> Option<(Function, usize)> {
    deaths.iter().max_by_key(|(_, times)| **times).map(|(function, times)| (*function, *times))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::does_not_stay_up;
    use crate::function::Function::{EnqueueMigrations, MigrationStatus, StartMigration};

    #[test]
    fn names_the_function_that_dies_and_bears_a_death() {
        for (deaths, named) in [
            (vec![], None),
            (vec![(MigrationStatus, 1)], None),
            (vec![(MigrationStatus, 5), (StartMigration, 5)], None),
            (vec![(MigrationStatus, 1), (StartMigration, 6)], Some((StartMigration, 6))),
            (vec![(EnqueueMigrations, 7), (StartMigration, 6)], Some((EnqueueMigrations, 7))),
        ] {
            let deaths: BTreeMap<_, _> = deaths.into_iter().collect();
            assert_eq!(does_not_stay_up(&deaths, 2), named, "{deaths:?}");
        }
    }
}
