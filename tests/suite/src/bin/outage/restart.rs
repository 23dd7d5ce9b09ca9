//! The registry is restarted as an orchestrator does it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use local::local_registry::Restart;

use crate::{
    Arguments,
    figures::Figures,
    fleet::{CAPACITY, Fleet, PATIENCE, STEP_LIMIT},
    unreachable::tenths,
};

const NAME: &str = "graceful restart";
/// What the registry says of what it cuts off.
const CUT_OFF: &str = "forced cancelation";

pub(crate) async fn measure(arguments: &Arguments, figures: &mut Figures) -> anyhow::Result<()> {
    let fleet = Fleet::start(arguments.repositories).await?;
    fleet.until_done(20).await?;
    let (given_up, retries) = (fleet.given_up().await?, fleet.retries().await?);
    let began = Instant::now();
    fleet.registry()?.restart(Restart::Graceful, Duration::from_secs(1)).await?;
    let back = began.elapsed();
    // What was accepted while it stopped: the registry will not speak of it any more.
    let silent: BTreeSet<String> = in_progress(&fleet)?;
    let running = CAPACITY.saturating_sub(silent.len());
    let pause = fleet.held_for("stopped_until").await?.unwrap_or_default();
    tokio::time::sleep(pause).await;
    let filled = fleet.until_running(running).await?;

    // By path and step.
    let mut cut_off: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for sent in fleet.registry()?.journal().notifications() {
        if sent.report.detail == CUT_OFF {
            *cut_off.entry((sent.report.path, sent.report.status.as_str())).or_default() += 1;
        }
    }
    let notified = cut_off.len();
    for path in &silent {
        for ((notified, _), times) in &mut cut_off {
            *times += usize::from(notified == path);
        }
    }
    let twice = cut_off.values().filter(|times| **times > 1).count();
    figures.note(NAME, "until the registry was back, s", tenths(Some(back)))?;
    figures.note(NAME, "steps that were cut off with a notification", notified)?;
    figures.note(NAME, "steps that were cut off without a word", silent.len())?;
    figures.at_most(NAME, "steps that were cut off twice", i64::try_from(twice)?, 0)?;
    figures.at_most(NAME, "repositories given up", fleet.given_up().await? - given_up, 0)?;
    let goal = Duration::from_secs(15);
    figures.within(NAME, "from the pause's end until all other slots are in use", filled, goal)?;
    let freed = until_left(&fleet, &silent).await?.then(|| began.elapsed());
    // At the step's limit the guard cancels it, in its next round.
    let goal = back + STEP_LIMIT + Duration::from_secs(30);
    if !silent.is_empty() {
        figures.within(NAME, "until the slots of what was cut off without a word are free", freed, goal)?;
    }
    let counted = fleet.retries().await? - retries;
    figures.at_most(NAME, "retries counted, of others than those", counted, i64::try_from(silent.len())?)?;
    fleet.stop().await
}

fn in_progress(fleet: &Fleet) -> anyhow::Result<BTreeSet<String>> {
    let entries = fleet.registry()?.entries().into_iter();
    Ok(entries.filter(|entry| entry.status.is_in_progress()).map(|entry| entry.path).collect())
}

/// Waits until none of them is in progress as it was.
async fn until_left(fleet: &Fleet, paths: &BTreeSet<String>) -> anyhow::Result<bool> {
    let began = Instant::now();
    loop {
        let still = fleet.registry()?.entries().into_iter().filter(|entry| {
            let age = jiff::Timestamp::now().duration_since(entry.since).unsigned_abs();
            paths.contains(&entry.path) && entry.status.is_in_progress() && age > Duration::from_secs(5)
        });
        if still.count() == 0 {
            return Ok(true);
        }
        if began.elapsed() > PATIENCE {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
