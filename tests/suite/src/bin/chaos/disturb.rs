//! What happens to the processes and the services while migrations run.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use local::{
    Function, Stack, WRITER_ARN,
    local_data_api::{Effect, ErrorCode, Fault, When},
    local_registry::Restart,
    output::say,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt, rngs::StdRng};

const FUNCTIONS: [Function; 3] =
    [Function::RegistryNotification, Function::EnqueueMigrations, Function::GuardMigrations];

/// How often each kind of thing has happened.
#[derive(Default)]
pub(crate) struct Disturbances(BTreeMap<&'static str, usize>);

impl Disturbances {
    /// Disturbs the stack at random moments for so long.
    ///
    /// # Errors
    /// When a service does not come back.
    pub(crate) async fn disturb(
        &mut self,
        stack: &Stack,
        random: &mut StdRng,
        at_most: Duration,
    ) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < at_most {
            tokio::time::sleep(Duration::from_millis(random.random_range(50..600))).await;
            let what = match random.random_range(0..100) {
                0..45 => kill_one(stack, random)?,
                45..90 => data_api_fault(stack, random),
                90..95 => {
                    let down = Duration::from_millis(random.random_range(0..500));
                    stack.registry()?.restart(Restart::Graceful, down).await?;
                    "the registry was restarted"
                }
                _ => {
                    stack.pair().restart_writer().await?;
                    "the writer was restarted"
                }
            };
            *self.0.entry(what).or_default() += 1;
        }
        stack.data_api().clear_faults();
        Ok(())
    }

    pub(crate) fn print(&self) -> Result<()> {
        for (what, count) in &self.0 {
            say(format_args!("  {what:60} {count:6}"))?;
        }
        Ok(())
    }
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
