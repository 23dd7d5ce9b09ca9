use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};
use serde::Serialize;
use tokio::{pin, time::Instant};

use super::{
    Asked, Patience, StepStatus, Why, ask_registry,
    fill::{again_where, claim},
    new_change, start_claimed,
};
use crate::{
    endpoint::{Claim, EndpointError},
    registry::{ProbeAnswer, RegistryClient},
    store::{Claimed, Resumed, Store},
};

/// How many repositories the registry is asked for at once, where it takes them.
const AT_ONCE: usize = 8;

/// The longest the registry may take to say that it is there.
const PROBE: Duration = Duration::from_secs(5);

/// What a sweep did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sweep {
    /// Parked repositories that went on with the final step.
    pub resumed: u32,
    /// Parked repositories whose final step is held, and that gave their slots back.
    pub held: u32,
    /// Repositories that took a free slot.
    pub started: u32,
    /// Repositories that have more tags than the settings allow, and are skipped.
    pub skipped: u32,
    /// Why it ended.
    pub ended: Why,
}

/// Starts what is due: first the parked repositories, which hold their slots and give them back where their final step is
/// held, then, once those that have too
/// many tags are skipped, as many as there are free slots. Ends at the first sign that the registry has no room, or that
/// something is wrong with it: asking on would only move rows to and fro, or let them take slots that nobody works in.
///
/// # Errors
/// [`EndpointError`] when the writer did not answer.
pub async fn sweep(
    store: &Store<Claim>,
    registry: &RegistryClient,
    deadline: Instant,
) -> Result<Sweep, EndpointError> {
    let mut sweep = Sweep { resumed: 0, held: 0, started: 0, skipped: 0, ended: Why::NoneDue };
    if !answers(registry, deadline).await {
        return Ok(Sweep { ended: Why::RegistryUnavailable, ..sweep });
    }
    while Instant::now() < deadline {
        let resume = || store.resume_parked(new_change(), deadline);
        let row = match again_where(|resumed| *resumed == Resumed::PassedOver, resume, deadline).await? {
            Resumed::Started(row) => *row,
            Resumed::ToHold(row) => {
                let held = store.hold_parked(&row, new_change(), deadline).await?;
                let held = held.is_some_and(|changed| changed.verdict.took_effect());
                tracing::info!(path = %row.path, held, "the final step is held");
                sweep.held += u32::from(held);
                continue;
            }
            Resumed::Disabled => return Ok(Sweep { ended: Why::Disabled, ..sweep }),
            Resumed::Held(held) => return Ok(Sweep { ended: held.by.into(), ..sweep }),
            Resumed::PassedOver | Resumed::NoneDue => break,
        };
        let asked = ask_registry(store, registry, row, Patience::None, deadline).await?;
        sweep.resumed += u32::from(may_run(asked.standing));
        if asked.standing.ends_the_sweep() {
            return Ok(Sweep { ended: Why::RegistryUnavailable, ..sweep });
        }
    }
    while Instant::now() < deadline {
        let skipped = store.skip_many_tags(deadline).await?;
        sweep.skipped += skipped;
        if skipped < Store::MANY_TAGS_AT_ONCE {
            break;
        }
    }
    fill_slots(store, registry, &mut sweep, deadline).await?;
    Ok(sweep)
}

/// Whether the registry answers at all. Asked before anything is claimed: what is claimed for one that does not would
/// only be put back, each time with two lines in the history.
async fn answers(registry: &RegistryClient, deadline: Instant) -> bool {
    let reason = match registry.probe(deadline.min(Instant::now() + PROBE)).await {
        ProbeAnswer::Supported => return true,
        ProbeAnswer::Unsupported { status } => format!("{status}, which is not the import protocol's"),
        ProbeAnswer::NoAnswer { reason } => reason,
    };
    tracing::warn!(reason, "the registry does not answer: nothing is started");
    false
}

/// Whether the registry may run the step that it was asked for.
const fn may_run(standing: StepStatus) -> bool {
    match standing {
        StepStatus::Running | StepStatus::Unknown | StepStatus::MovedOn => true,
        StepStatus::Settled
        | StepStatus::Postponed
        | StepStatus::NotReady
        | StepStatus::Aborted
        | StepStatus::Unwelcome
        | StepStatus::NotTheRegistry => false,
    }
}

/// Starts repositories while slots are free. They are claimed one after the other; what the registry says of one is
/// not waited for before the next, once it has taken some: one at first, then two at once, and so on. So a registry
/// without room turns one away, and no more.
async fn fill_slots(
    store: &Store<Claim>,
    registry: &RegistryClient,
    sweep: &mut Sweep,
    deadline: Instant,
) -> Result<(), EndpointError> {
    let mut asked = FuturesUnordered::new();
    let mut filling = Filling { at_once: 1, started: 0, ended: None, failure: None };
    loop {
        if filling.is_over() || asked.len() >= filling.at_once {
            let Some(answer) = asked.next().await else { break };
            filling.learn(answer);
            continue;
        }
        if Instant::now() >= deadline {
            filling.ended = Some(Why::OutOfTime);
            continue;
        }
        let claim = claim(store, deadline);
        pin!(claim);
        let claimed = loop {
            tokio::select! {
                claimed = &mut claim => break claimed,
                Some(answer) = asked.next() => filling.learn(answer),
            }
        };
        match claimed {
            Ok(Claimed::Started(row)) => {
                asked.push(start_claimed(store, registry, *row, Patience::None, deadline))
            }
            Ok(Claimed::Disabled) => filling.end(Why::Disabled),
            Ok(Claimed::NoSlot | Claimed::PassedOver) => filling.end(Why::NoSlot),
            Ok(Claimed::Held(held)) => filling.end(held.by.into()),
            Ok(Claimed::SlotWaits) => filling.end(Why::SlotWaits),
            Ok(Claimed::NoneDue) => filling.end(Why::NoneDue),
            Err(error) => filling.failure = Some(error),
        }
    }
    sweep.started = filling.started;
    sweep.ended = filling.ended.unwrap_or(sweep.ended);
    filling.failure.map_or(Ok(()), Err)
}

/// How far the filling of slots has come.
struct Filling {
    at_once: usize,
    started: u32,
    /// Why nothing more is claimed.
    ended: Option<Why>,
    /// The writer did not answer. What the registry has been asked for by then is seen through.
    failure: Option<EndpointError>,
}

impl Filling {
    fn is_over(&self) -> bool {
        self.ended.is_some() || self.failure.is_some()
    }

    /// Claims nothing more. What an answer has said meanwhile is the better reason.
    fn end(&mut self, why: Why) {
        self.ended.get_or_insert(why);
    }

    /// Learns what asking the registry for one repository came to.
    fn learn(&mut self, answer: Result<Asked, EndpointError>) {
        let standing = match answer {
            Ok(asked) => asked.standing,
            Err(error) => return self.failure = Some(error),
        };
        self.started += u32::from(may_run(standing));
        if standing.ends_the_sweep() {
            self.ended = Some(Why::RegistryUnavailable);
        } else if may_run(standing) {
            self.at_once = (self.at_once * 2).min(AT_ONCE);
        } else if matches!(self.ended, Some(Why::NoSlot | Why::SlotWaits | Why::NoneDue)) {
            // Its slot is free again.
            self.ended = None;
        }
    }
}
