//! An upgrade and the way back, with repositories in every state and notifications all the while.

mod entrance;
mod notifier;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use local::{
    DATABASE, Function, FunctionSet, OWNER_ROLE, RegistryChoice, Stack, StackOptions, Ticker,
    local_registry::{StepTime, storage::verify},
    output::say,
};
use serde_json::{Value, json};
use shared::store::schema::{newest, scripts};
use suite::{STATES, given, primary, push_image, sql, until};
use tokio_postgres::NoTls;
use uuid::Uuid;

use entrance::Entrance;
use notifier::Notifier;

/// The newest script of the earlier version.
const EARLIER: usize = 5;

/// What an upgrade and the way back cost, and that nothing is lost to them.
#[derive(Parser)]
struct Arguments {
    /// How many repositories there are besides, all of them done.
    #[arg(long, default_value_t = 0)]
    rows: i64,
}

/// How many repositories are put into a state by hand, and how many are left to be begun.
const PUT: [(&str, usize); 6] = [
    ("import_done", 6),
    ("import_aborted", 6),
    ("import_skipped", 6),
    ("pre_importing", 4),
    ("pre_import_done", 4),
    ("importing", 4),
];
const TO_BEGIN: usize = 20;
const STEP: Duration = Duration::from_millis(1500);

/// The rows that are held.
const HELD: &str = "migration_state = 'pre_import_done' AND held_since IS NOT NULL AND slot IS NULL";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let earlier = std::env::var_os("EARLIER_FUNCTIONS_DIR").context("EARLIER_FUNCTIONS_DIR is not set")?;
    Upgrade::begin(PathBuf::from(earlier), arguments.rows).await?.tell().await
}

struct Upgrade {
    stack: Stack,
    earlier: PathBuf,
    entrance: Entrance,
    notifier: Notifier,
    paths: Vec<String>,
    /// The rows' versions, as they were seen last.
    versions: BTreeMap<String, i64>,
}

impl Upgrade {
    async fn begin(earlier: PathBuf, rows: i64) -> anyhow::Result<Self> {
        let options = StackOptions {
            functions: Vec::new(),
            instances: 4,
            capacity: 20,
            registry: RegistryChoice::Local {
                old_storage: None,
                new_storage: None,
                max_concurrent_imports: 20,
                step_time: StepTime { pre: STEP, r#final: STEP },
            },
            ..StackOptions::default()
        };
        let stack = Stack::start(options).await?;
        as_new(&stack).await?;
        let schema = stack.run_programs(Some(&earlier), &[Function::ApplySchema], |_, _| ()).await?;
        let applied = schema.invoke(Function::ApplySchema, &json!({})).await?;
        ensure!(
            applied["applied"].as_array().map(Vec::len) == Some(EARLIER),
            "the earlier schema: {applied}"
        );
        schema.stop();
        sql(
            &stack,
            "UPDATE migration_settings SET enabled = true, capacity = 20, max_step_duration_seconds = 5",
        )
        .await?;

        let mut paths = Vec::new();
        for (state, count) in PUT {
            for number in 0..count {
                let path = format!("put/{}{number}", state.replace('_', "-"));
                push_image(&stack.old_storage()?, &path)?;
                given(&stack, &path, state, Some(Uuid::new_v4())).await?;
                paths.push(path);
            }
        }
        // What could go on at once waits until the schema is another one.
        sql(
            &stack,
            "UPDATE container_repositories SET not_before = now() + interval '30 seconds'
             WHERE migration_state IN ('import_aborted', 'pre_import_done')",
        )
        .await?;
        let to_begin: Vec<String> = (0..TO_BEGIN).map(|number| format!("begun/image{number}")).collect();
        for path in &to_begin {
            push_image(&stack.old_storage()?, path)?;
        }
        stack.register(&to_begin).await?;
        paths.extend(to_begin);
        let attempt = Uuid::new_v4();
        given(&stack, "watched/done", "import_done", Some(attempt)).await?;
        sql(
            &stack,
            &format!(
            "INSERT INTO container_repositories (path, migration_state, version, import_done_at, tags_count)
             SELECT 'bulk/image' || n, 'import_done', 5, now(), n % 7 FROM generate_series(1, {rows}) AS n"
        ),
        )
        .await?;
        sql(&stack, "ANALYZE container_repositories").await?;

        let description = stack.describe().await;
        let address =
            description.notification_url.split('/').nth(2).context("no address for notifications")?;
        let entrance = Entrance::open(address).await?;
        let url = description.notification_url.replace("{path}", "watched/done");
        let notifier = Notifier::start(url, description.notification_secret.clone(), attempt.to_string())?;
        Ok(Self { stack, earlier, entrance, notifier, paths, versions: BTreeMap::new() })
    }

    async fn tell(mut self) -> anyhow::Result<()> {
        let earlier = self.work(true).await?;
        self.notifier.answered("while nobody is there yet").ok();
        until("some repositories are done", async || Ok(self.in_state("import_done").await? >= 8)).await?;
        ensure!(
            self.states().await? == STATES.into_iter().collect(),
            "not every state: {:?}",
            self.states().await?
        );
        self.phase("the earlier functions, the earlier schema").await?;

        let before = scripts()[EARLIER - 1].name;
        let begun = Instant::now();
        let applied = self.apply(None, newest(), before).await?;
        say(format_args!(
            "the schema was upgraded in {:.1} s: {}",
            begun.elapsed().as_secs_f64(),
            applied["applied"]
        ))?;
        self.phase("the upgrade of the schema").await?;
        self.go_on().await?;
        self.phase("the earlier functions, the present schema").await?;

        let present = self.work(false).await?;
        drop(earlier);
        self.go_on().await?;
        let held = self.hold().await?;
        self.phase("the present functions").await?;

        // As a stack that goes back: functions and schema of the earlier version, after those of the later one.
        let earlier = self.work(true).await?;
        drop(present);
        let folder = self.earlier.clone();
        self.apply(Some(&folder), before, newest()).await?;
        for path in self.paths_in("import_skipped").await? {
            self.reopen(&path).await?;
        }
        let all = self.paths.len();
        until("all is migrated by the earlier functions", async || {
            Ok(self.in_state("import_done").await? == all)
        })
        .await?;
        self.phase("the earlier functions again").await?;

        let still = format!("SELECT count(*) FROM container_repositories WHERE {HELD}");
        ensure!(number(&self.stack, &still).await? == held.len() as i64, "what was held has gone on");
        sql(&self.stack, "DELETE FROM migration_holds").await?;
        let present = self.work(false).await?;
        drop(earlier);
        self.paths.extend(held);
        let all = self.paths.len();
        until("what was held is migrated too", async || Ok(self.in_state("import_done").await? == all))
            .await?;
        self.phase("the present functions again, and what was held").await?;
        drop(present);

        let (old, new) = (self.stack.old_storage()?, self.stack.registry()?.new_storage());
        for path in self.paths.iter().filter(|path| !path.starts_with("put/import-done")) {
            verify(&old, &new, path)?;
        }
        let occupied = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
        ensure!(number(&self.stack, occupied).await? == 0, "a slot is occupied by what is done");
        say(format_args!("{} repositories are done, none was lost", self.paths.len()))?;
        self.stack.stop().await
    }

    /// Registers repositories whose final steps are held, and waits until they are. The earlier functions leave them so.
    async fn hold(&self) -> anyhow::Result<Vec<String>> {
        sql(&self.stack, "INSERT INTO migration_holds (prefix, is_until_released) VALUES ('held', true)")
            .await?;
        let paths: Vec<String> = (0..3).map(|number| format!("held/image{number}")).collect();
        for path in &paths {
            push_image(&self.stack.old_storage()?, path)?;
        }
        self.stack.register(&paths).await?;
        let held = format!("SELECT count(*) FROM container_repositories WHERE {HELD}");
        until("some are held", async || Ok(number(&self.stack, &held).await? == paths.len() as i64)).await?;
        Ok(paths)
    }

    /// All functions of a version, with their schedules; the entrance leads to them.
    async fn work(&self, earlier: bool) -> anyhow::Result<(Ticker, Arc<FunctionSet>)> {
        let programs = earlier.then_some(self.earlier.as_path());
        let functions = Arc::new(self.stack.run_programs(programs, &Function::ALL, |_, _| ()).await?);
        self.entrance.lead_to(functions.base_url());
        let ticker = Ticker::start(&functions, Duration::from_secs(1));
        // Requests that are under way are answered by who took them.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok((ticker, functions))
    }

    /// Invokes apply-schema as an update of the stack does.
    async fn apply(&self, programs: Option<&Path>, wanted: &str, before: &str) -> anyhow::Result<Value> {
        let schema = self.stack.run_programs(programs, &[Function::ApplySchema], |_, _| ()).await?;
        let event = json!({
            "RequestType": "Update",
            "ResourceProperties": {"NewestScript": wanted},
            "OldResourceProperties": {"NewestScript": before},
        });
        let applied = schema.invoke(Function::ApplySchema, &event).await;
        schema.stop();
        applied
    }

    /// Waits until some more are done, if there are more to do.
    async fn go_on(&self) -> anyhow::Result<()> {
        // Those that were given up wait for their operator.
        let most = self.paths.len() - self.in_state("import_skipped").await?;
        let goal = most.min(self.in_state("import_done").await? + 6);
        until("some more are done", async || Ok(self.in_state("import_done").await? >= goal)).await
    }

    /// What the phase cost. No row may be gone, nor have gone back.
    async fn phase(&mut self, phase: &str) -> anyhow::Result<()> {
        let (answered, slowest) = self.notifier.answered(phase)?;
        let rows = primary(&self.stack)
            .await?
            .query("SELECT path, version FROM container_repositories WHERE path = ANY ($1)", &[&self.paths])
            .await?;
        let versions: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        ensure!(versions.len() == self.paths.len(), "{phase}: {} rows are left", versions.len());
        for (path, before) in &self.versions {
            ensure!(versions.get(path) >= Some(before), "{phase}: {path} has gone back");
        }
        self.versions = versions;
        let done = self.in_state("import_done").await?;
        say(format_args!(
            "{phase}: {answered} notifications, the slowest in {:.2} s; {done} of {} done",
            slowest.as_secs_f64(),
            self.paths.len()
        ))
    }

    async fn reopen(&self, path: &str) -> anyhow::Result<()> {
        let description = self.stack.describe().await;
        let address = description.notification_url.split('/').nth(2).context("no address")?;
        let url = format!("http://{address}/migrations/reopen/{path}");
        let answer = reqwest::Client::new().post(url).bearer_auth(&description.operator_token).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "reopening {path} was answered {status}: {}", answer.text().await?);
        Ok(())
    }

    async fn states(&self) -> anyhow::Result<BTreeSet<&'static str>> {
        let mut states = BTreeSet::new();
        for state in STATES {
            if self.in_state(state).await? > 0 {
                states.insert(state);
            }
        }
        Ok(states)
    }

    async fn in_state(&self, state: &str) -> anyhow::Result<usize> {
        Ok(self.paths_in(state).await?.len())
    }

    async fn paths_in(&self, state: &str) -> anyhow::Result<Vec<String>> {
        let query = "SELECT path FROM container_repositories WHERE migration_state = $1 AND path = ANY ($2)";
        let rows = primary(&self.stack).await?.query(query, &[&state, &self.paths]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

async fn number(stack: &Stack, query: &str) -> anyhow::Result<i64> {
    Ok(primary(stack).await?.query_one(query, &[]).await?.get(0))
}

/// The database as a new cluster has it.
async fn as_new(stack: &Stack) -> anyhow::Result<()> {
    let dsn = stack.pair().writer().dsn().replace(DATABASE, "postgres");
    let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await?;
    tokio::spawn(connection);
    for statement in [
        format!("DROP DATABASE {DATABASE} WITH (FORCE)"),
        "DROP ROLE migration_driver, migration_reader".to_owned(),
        format!("CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}"),
    ] {
        client.batch_execute(&statement).await?;
    }
    Ok(())
}
