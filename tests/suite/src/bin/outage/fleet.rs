//! The fleet: a stack as it is deployed, with more repositories than slots.

use std::time::{Duration, Instant};

use anyhow::ensure;
use local::{
    AS_DEPLOYED, Function, RegistryChoice, Stack, StackOptions, Ticker, Topology,
    local_registry::{Registry, StepTime},
};
use suite::{primary, repositories, sql};
use tokio_postgres::Client;

/// How many repositories may be in progress at once; the registry has as much room.
pub(crate) const CAPACITY: usize = 10;
/// How long each step takes at least.
const STEP: Duration = Duration::from_secs(2);
/// How long a step may take before it is canceled.
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(60);
/// How long a step usually takes at most.
pub(crate) const USUAL: Duration = Duration::from_secs(15);
/// A wait that lasts so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);
const GLANCE: Duration = Duration::from_millis(20);

/// A stack and a look at its database.
pub(crate) struct Fleet {
    pub(crate) stack: Stack,
    pub(crate) database: Client,
    ticker: Ticker,
}

impl Fleet {
    /// Starts a fleet of so many repositories.
    pub(crate) async fn start(count: usize) -> anyhow::Result<Self> {
        let fleet = Self::stand_up(Topology::DirectReader, STEP).await?;
        let paths: Vec<String> = (0..count).map(|number| format!("fleet/image{number:03}")).collect();
        repositories(&fleet.stack, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        Ok(fleet)
    }

    /// Starts the stack alone.
    pub(crate) async fn stand_up(topology: Topology, step: Duration) -> anyhow::Result<Self> {
        let options = StackOptions {
            topology,
            proxies: true,
            registry: RegistryChoice::Local {
                old_storage: None,
                new_storage: None,
                max_concurrent_imports: CAPACITY,
                step_time: StepTime { pre: step, r#final: step },
            },
            functions: vec![
                Function::RegistryNotification,
                Function::EnqueueMigrations,
                Function::GuardMigrations,
                Function::ObserveMigrations,
            ],
            instances: CAPACITY,
            capacity: i32::try_from(CAPACITY)?,
            log_level: "warn".to_owned(),
            repeat: AS_DEPLOYED.1,
            // As it is until somebody sets it.
            retry_backoff_seconds: 30,
            ..StackOptions::default()
        };
        let stack = Stack::start(options).await?;
        sql(&stack, &settings()).await?;
        let (database, ticker) = (primary(&stack).await?, stack.tick_every(AS_DEPLOYED.0));
        Ok(Self { stack, database, ticker })
    }

    pub(crate) fn registry(&self) -> anyhow::Result<&Registry> {
        self.stack.registry()
    }

    /// One number from the primary.
    pub(crate) async fn number(&self, query: &str) -> anyhow::Result<i64> {
        let query = format!("SELECT ({query})::bigint");
        Ok(self.database.query_one(&query, &[]).await?.get::<_, Option<i64>>(0).unwrap_or_default())
    }

    /// Waits until `share` of the fleet has been migrated, so that all is in full swing.
    pub(crate) async fn until_done(&self, wanted: i64) -> anyhow::Result<()> {
        let began = Instant::now();
        let done = "SELECT count(*) FROM container_repositories WHERE migration_state = 'import_done'";
        while self.number(done).await? < wanted {
            ensure!(began.elapsed() < PATIENCE, "the fleet does not get going");
            tokio::time::sleep(GLANCE).await;
        }
        Ok(())
    }

    /// How long it takes from now until so many imports run at the registry at once.
    pub(crate) async fn until_running(&self, wanted: usize) -> anyhow::Result<Option<Duration>> {
        let began = Instant::now();
        while self.registry()?.slots_in_use() < wanted {
            if began.elapsed() > PATIENCE {
                return Ok(None);
            }
            tokio::time::sleep(GLANCE).await;
        }
        Ok(Some(began.elapsed()))
    }

    pub(crate) async fn given_up(&self) -> anyhow::Result<i64> {
        self.number("SELECT count(*) FROM container_repositories WHERE migration_state = 'import_skipped'")
            .await
    }

    pub(crate) async fn retries(&self) -> anyhow::Result<i64> {
        self.number("SELECT sum(retries_count) FROM container_repositories").await
    }

    /// What holds starts back now: a column of the row that says so, as seconds from now; None where nothing does.
    pub(crate) async fn held_for(&self, column: &str) -> anyhow::Result<Option<Duration>> {
        let query =
            format!("SELECT extract(epoch FROM {column} - clock_timestamp())::float8 FROM migration_brake");
        let row = self.database.query_opt(&query, &[]).await?;
        let seconds = row.and_then(|row| row.get::<_, Option<f64>>(0)).filter(|seconds| *seconds > 0.0);
        Ok(seconds.map(Duration::from_secs_f64))
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        drop(self.ticker);
        self.stack.stop().await
    }
}

fn settings() -> String {
    format!(
        "UPDATE migration_settings SET max_step_duration_seconds = {usual}, pre_import_timeout_seconds = {limit},
            import_timeout_seconds = {limit}, pre_import_seconds_per_tag = 0",
        usual = USUAL.as_secs(),
        limit = STEP_LIMIT.as_secs(),
    )
}
