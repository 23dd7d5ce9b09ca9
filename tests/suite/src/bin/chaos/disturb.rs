//! What happens to the processes and the services while migrations run.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use local::{
    Function, NOTIFICATION_SECRET_ARN, Stack, WRITER_ARN,
    local_data_api::{Effect, ErrorCode, Fault, When},
    local_registry::{self, Restart, Rule},
    output::say,
    postgres_pair::proxy::Way,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt, rngs::StdRng};

use crate::engine::Engine;

const FUNCTIONS: [Function; 3] =
    [Function::RegistryNotification, Function::EnqueueMigrations, Function::GuardMigrations];

/// What a proxy or a gateway answers in the registry's place.
const PAGE: &str =
    "<html><head><title>Sorry</title></head><body><h1>Something else answers</h1></body></html>";

/// The statuses that such a page comes with.
const PAGES: [u16; 8] = [200, 301, 401, 403, 404, 405, 502, 503];

/// How often each kind of thing has happened.
#[derive(Default)]
pub(crate) struct Disturbances {
    counts: BTreeMap<&'static str, usize>,
    /// The registry sends the secret before the current one.
    is_rotated: bool,
}

impl Disturbances {
    /// Disturbs the stack at random moments for so long.
    ///
    /// # Errors
    /// When a service does not come back.
    pub(crate) async fn disturb(
        &mut self,
        stack: &Stack,
        engine: &mut Engine,
        random: &mut StdRng,
        at_most: Duration,
    ) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < at_most {
            tokio::time::sleep(Duration::from_millis(random.random_range(50..600))).await;
            let what = match random.random_range(0..100) {
                0..38 => kill_one(stack, random)?,
                38..76 => data_api_fault(stack, random),
                76..84 => restart(stack, engine, random).await?,
                84..88 => {
                    stack.pair().restart_writer().await?;
                    "the writer was restarted"
                }
                88..93 => silence_reader(stack, random).await?,
                93..97 => self.rotate_secret(stack).await,
                _ => foreign_page(stack, random).unwrap_or("nothing could answer in the registry's place"),
            };
            *self.counts.entry(what).or_default() += 1;
        }
        stack.data_api().clear_faults();
        Ok(())
    }

    /// The secret of notifications changes. The registry sends what was given to it, which is the current one or the one
    /// before by turns, and both are valid.
    async fn rotate_secret(&mut self, stack: &Stack) -> &'static str {
        let next = if self.is_rotated {
            stack.describe().await.notification_secret
        } else {
            "the-next-secret-of-notifications".to_owned()
        };
        stack.secrets().put(NOTIFICATION_SECRET_ARN, next);
        self.is_rotated = !self.is_rotated;
        "the secret of notifications was rotated"
    }

    pub(crate) fn print(&self) -> Result<()> {
        for (what, count) in &self.counts {
            say(format_args!("  {what:60} {count:6}"))?;
        }
        Ok(())
    }
}

/// What copies is restarted. The importer also without warning; a registry that is killed so says of all that ran that it
/// still does, until each step's time is over.
async fn restart(stack: &Stack, engine: &mut Engine, random: &mut StdRng) -> Result<&'static str> {
    match engine {
        Engine::Registry(_) => {
            let down = Duration::from_millis(random.random_range(0..500));
            stack.registry()?.restart(Restart::Graceful, down).await?;
        }
        Engine::Importer(importer) if random.random_range(0..3) == 0 => {
            importer.restart(stack, Signal::SIGKILL).await?;
            return Ok("the importer was killed");
        }
        Engine::Importer(importer) => importer.restart(stack, Signal::SIGINT).await?,
    }
    Ok("the registry, or the importer, was restarted gracefully")
}

/// Connections to the reader stay, and nothing comes through.
async fn silence_reader(stack: &Stack, random: &mut StdRng) -> Result<&'static str> {
    let reader = &stack.proxies()?.reader;
    reader.go(Way::Silent).await?;
    tokio::time::sleep(Duration::from_millis(random.random_range(200..3_000))).await;
    reader.go(Way::Open).await?;
    Ok("the reader was silent")
}

/// Something else answers the next calls to the registry. None: nothing can.
fn foreign_page(stack: &Stack, random: &mut StdRng) -> Option<&'static str> {
    let status = PAGES[random.random_range(0..PAGES.len())];
    let effect = local_registry::Effect::Answer {
        status,
        code: None,
        detail: None,
        body: Some(PAGE.to_owned()),
        when: local_registry::When::Before,
    };
    let rules = stack.registry().ok()?.rules();
    rules.add(Rule::new(effect).times(random.random_range(1..6)));
    Some("a foreign page answered calls to the registry")
}

fn kill_one(stack: &Stack, random: &mut StdRng) -> Result<&'static str> {
    let function = FUNCTIONS[random.random_range(0..FUNCTIONS.len())];
    let pids = stack.functions().pids(function);
    let pid = Pid::from_raw(pids[random.random_range(0..pids.len())].try_into()?);
    // It may have ended just now, and not have been started again yet.
    Ok(match kill(pid, Signal::SIGKILL) {
        Ok(()) => "a function's process was killed",
        Err(_) => "a function's process had just ended",
    })
}

/// The next calls to the writer meet a fault.
fn data_api_fault(stack: &Stack, random: &mut StdRng) -> &'static str {
    let when = if random.random() { When::Before } else { When::After };
    let (effect, what) = match random.random_range(0..5) {
        0 => (Effect::Cut { when }, "the Data API cut connections"),
        1 => (Effect::HalfAnswer, "the Data API answered in half"),
        2 => (
            Effect::Error { code: ErrorCode::InternalServerErrorException, when },
            "the Data API had internal errors",
        ),
        3 => (Effect::Slow { milliseconds: random.random_range(100..2_000) }, "the Data API was slow"),
        _ => (
            Effect::Error { code: ErrorCode::DatabaseResumingException, when: When::Before },
            "the database was resuming",
        ),
    };
    stack.data_api().inject(Fault::new(effect).on(WRITER_ARN).times(random.random_range(1..4)));
    what
}
