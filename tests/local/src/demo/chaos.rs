//! The registry is restarted while it imports.

use std::time::Duration;

use anyhow::Result;
use local::local_registry::{Effect, Operation, Registry, Restart, Rule};
use tokio::sync::{mpsc::UnboundedSender, watch};

use super::CAPACITY;
use super::rows::Standing;

/// How long nobody listens at the registry's address.
const DOWN: Duration = Duration::from_secs(1);

/// Restarts the registry twice, as SIGTERM does: once when a third has come to an end and what is cut off is
/// notified, and once when two thirds have and those notifications are lost as well. Each time it waits until
/// half of what can run does run. Ends early when everything has come to an end.
pub(crate) async fn restart_in_the_middle(
    registry: &Registry,
    mut standing: watch::Receiver<Standing>,
    say: UnboundedSender<String>,
) -> Result<Restarts> {
    let mut restarts = Restarts::default();
    let enough = |count: usize, now: &Standing| count * 2 >= now.left().min(CAPACITY.into());
    let all_run = |now: &Standing| now.ended >= now.all / 3 && enough(running(registry), now);
    if !reached(&mut standing, all_run).await {
        return Ok(restarts);
    }
    restarts.add(restart(registry, &say, "what it was importing is canceled, and it says so").await?);

    let two_thirds = |now: &Standing| now.ended >= now.all * 2 / 3 && running(registry) > 0;
    if !reached(&mut standing, two_thirds).await {
        return Ok(restarts);
    }
    // A rule is for what is begun from now on.
    let deaf = registry.rules().add(Rule::new(Effect::LoseNotification));
    let before = accepted(registry);
    let begun_since = |now: &Standing| {
        running(registry) > 0 && (enough(accepted(registry) - before, now) || now.waiting == 0)
    };
    let again = reached(&mut standing, begun_since).await;
    if again {
        restarts.add(restart(registry, &say, "what it was importing is canceled, and nobody is told").await?);
    }
    registry.rules().remove(deaf);
    Ok(restarts)
}

/// What the registry's restarts came to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Restarts {
    /// How many there were.
    pub(crate) count: usize,
    /// How many imports it accepted while it stopped, and cut off without a word.
    pub(crate) silent: usize,
}

impl Restarts {
    fn add(&mut self, silent: usize) {
        self.count += 1;
        self.silent += silent;
    }
}

/// Restarts it; how many imports it cut off without a word.
async fn restart(registry: &Registry, say: &UnboundedSender<String>, what: &str) -> Result<usize> {
    // Nobody listens any more once everything has come to an end.
    let _ = say.send(format!("the registry is restarted: {what}"));
    registry.restart(Restart::Graceful, DOWN).await?;
    let silent = running(registry);
    let _ = say.send("the registry is back".to_owned());
    Ok(silent)
}

/// Waits until `holds` is true of how everything stands. False when everything has come to an end before.
async fn reached(standing: &mut watch::Receiver<Standing>, holds: impl Fn(&Standing) -> bool) -> bool {
    standing.wait_for(|now| now.all > 0 && holds(now)).await.is_ok()
}

fn running(registry: &Registry) -> usize {
    registry.entries().iter().filter(|entry| entry.status.is_in_progress()).count()
}

fn accepted(registry: &Registry) -> usize {
    let requests = registry.journal().requests().into_iter();
    requests.filter(|request| request.operation == Operation::Start && request.answered == Some(202)).count()
}
