//! Plays a sequence on the database and in the core, and compares after each step.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use local::Stack;
use shared::{
    endpoint::{self, Claim, Manage, Notification, Start},
    migration::{
        AttemptId, GuardDecision, Plan, Resumption, Settings, State, canceled_decision, guard_decision,
        resumption,
    },
    store::{Claimed, Noted, ReopenFilter, Store},
};
use suite::{PATIENCE, primary, writer};
use tokio::time::Instant;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    compare::{changed, made_up, named},
    steps::{Happening, REPOSITORIES},
    world::{Due, Guard, Row, World},
};

/// What the tables hold at the beginning of a sequence.
const BEGINNING: &str = "
    UPDATE migration_slots SET repository_id = NULL;
    DELETE FROM migration_brake;
    DELETE FROM migration_holds;
    DELETE FROM container_repositories;
    UPDATE migration_settings SET enabled = true, capacity = 2, max_tags_count = 0, max_retries = 3,
        verify_tags = false, retry_backoff_seconds = 0;
    INSERT INTO container_repositories (path, tags_count, priority, created_at) VALUES
        ('group/plain', NULL, 0, now() - interval '3 days'),
        ('group/urgent', 5, 1, now() - interval '2 days'),
        ('group/many-tags', 100, 0, now() - interval '1 day');";

/// The store for each purpose, and a way around it.
pub struct Play {
    start: Store<Start>,
    pub(super) claim: Store<Claim>,
    notification: Store<Notification>,
    pub(super) guard: Store<endpoint::Guard>,
    pub(super) manage: Store<Manage>,
    pub(super) settings: Settings,
    pub(super) around: Client,
}

impl Play {
    pub async fn new(stack: &Stack) -> Self {
        let writer = || writer(stack);
        let manage = Store::new(writer());
        let settings = manage.settings(Instant::now() + PATIENCE).await.unwrap().unwrap();
        Self {
            start: Store::new(writer()),
            claim: Store::new(writer()),
            notification: Store::new(writer()),
            guard: Store::new(writer()),
            manage,
            settings,
            around: primary(stack).await.unwrap(),
        }
    }

    /// Plays a whole sequence. The situations that it has met, each with the event that led out of it.
    pub async fn all(&self, happenings: &[Happening]) -> anyhow::Result<BTreeSet<(String, String)>> {
        self.around.batch_execute(BEGINNING).await?;
        let rows = self.rows().await?.into_iter();
        let mut world = World {
            rows: rows
                .map(|repository| Row { repository, change: None, waits: false, is_old: false })
                .collect(),
            enabled: true,
            capacity: 2,
            max_tags: 0,
            max_retries: 3,
            retry_backoff: 0,
            holds: BTreeMap::new(),
            lines: vec![],
        };
        ensure!(world.rows.len() == REPOSITORIES);
        let mut met = BTreeSet::new();
        let mut last: Option<(Happening, AttemptId)> = None;
        for (number, happening) in happenings.iter().enumerate() {
            let again = matches!(happening, Happening::Again);
            let (happening, change) = match (again, last.take()) {
                (true, Some(last)) => last,
                (true, None) => continue,
                (false, _) => (happening.clone(), AttemptId::new(Uuid::new_v4())),
            };
            let step = self.step(&mut world, &happening, change, &mut met).await;
            step.with_context(|| format!("step {number}, {happening:?}, again: {again}"))?;
            last = Some((happening, change));
        }
        // What one statement does to many rows has no order among them.
        world.lines.sort_by(|one, other| one.path.cmp(&other.path));
        let lines = self.lines().await?;
        for (number, line) in world.lines.iter().enumerate() {
            ensure!(
                lines.get(number) == Some(line),
                "line {number}: {:?} instead of {line:?}",
                lines.get(number)
            );
        }
        ensure!(lines.len() == world.lines.len(), "more lines than {}", world.lines.len());
        Ok(met)
    }

    async fn step(
        &self,
        world: &mut World,
        happening: &Happening,
        change: AttemptId,
        met: &mut BTreeSet<(String, String)>,
    ) -> anyhow::Result<()> {
        let before: Vec<_> = world.rows.iter().map(|row| row.repository.situation().key()).collect();
        let known = world.lines.len();
        let due = self.happens(world, happening, change).await?;
        let (rows, held_by) = self.looked_at().await?;
        for due in due {
            let path = world.rows[due.row].repository.path.as_str();
            let lines = world.lines[known..].iter().filter(|line| line.applied && line.path == path);
            let from =
                std::iter::once(before[due.row].clone()).chain(lines.clone().map(|line| line.to.clone()));
            met.extend(from.zip(lines.map(|line| line.event.clone())));
            let found = &rows[due.row];
            world.apply(due, found);
        }
        for (row, found) in world.rows.iter().zip(&rows) {
            ensure!(
                row.repository == *found,
                "the database has\n{found:?}\ninstead of\n{:?}",
                row.repository
            );
        }
        for (number, found) in held_by.iter().enumerate() {
            let (row, by) = (&world.rows[number].repository.path, world.held_by(number));
            ensure!(found.as_deref() == by, "{row} is held by {found:?} instead of {by:?}");
        }
        self.nothing_falls_due_by_itself(world).await
    }

    async fn happens(
        &self,
        world: &mut World,
        happening: &Happening,
        change: AttemptId,
    ) -> anyhow::Result<Vec<Due>> {
        let until = Instant::now() + PATIENCE;
        let row = |number: usize| (self.path(world, number), world.rows[number].repository.clone());
        match happening {
            Happening::Start(one) => {
                let report = self.start.start(&row(*one).0, change, until).await?;
                self.started(world, *one, &Plan::start(), report, change)
            }
            Happening::Retry(one) => {
                let report = self.manage.retry(&row(*one).0, change, until).await?;
                self.started(world, *one, &Plan::retry(), report, change)
            }
            Happening::Claim => self.claim_next(world, change).await,
            Happening::Resume => {
                let report = self.claim.resume_parked(change, until).await?;
                self.resumed(world, report, change).await
            }
            Happening::Notify(one, status, id) => {
                let (path, _) = row(*one);
                let reported = named(world, *one, *id);
                let detail = Some(status.name());
                let report = self
                    .notification
                    .apply_notification(&path, *status, reported, detail, change, until)
                    .await?;
                let guard = Guard::Notification(reported, status.name());
                changed(world, *one, &Plan::notification(*status), guard, Some(change), detail, report)
            }
            Happening::Answer(one, answer, id) => {
                let (path, _) = row(*one);
                let attempt = named(world, *one, *id).unwrap_or_else(made_up);
                let (plan, guard) = (answer.plan(), Guard::Attempt(Some(attempt), "registry_answer"));
                let report = self.guard.record_answer(&path, attempt, &plan, None, change, until).await?;
                changed(world, *one, &plan, guard, Some(change), None, report)
            }
            Happening::Resumption(one, step, view) => {
                let (path, before) = row(*one);
                let Some(attempt) = before.attempt else { return Ok(vec![]) };
                let Resumption::Record(plan) = resumption(*step, *view) else { return Ok(vec![]) };
                let detail = Some("as the registry says");
                let report = self.claim.record_answer(&path, attempt, &plan, detail, change, until).await?;
                let guard = Guard::Attempt(Some(attempt), "registry_answer");
                changed(world, *one, &plan, guard, Some(change), detail, report)
            }
            Happening::Guard(one, view, cancelation, doubts) => {
                let (_, before) = row(*one);
                if !before.holds_slot() {
                    return Ok(vec![]);
                }
                let stuck = self.stuck(world, *one, *doubts);
                let remedy = match guard_decision(&stuck, *view, None) {
                    GuardDecision::Apply(remedy) => remedy,
                    GuardDecision::Cancel => {
                        let noted = self.guard.note_canceling(&stuck.row, until).await?;
                        ensure!(noted == Noted::Noted, "{noted:?}");
                        world.note(*one, "cancel", "canceling", ("guard", None));
                        canceled_decision(&stuck, *cancelation)
                    }
                };
                self.remedied(world, *one, &stuck.row, &remedy, change).await
            }
            Happening::Skip(one, reason) => {
                let (path, before) = row(*one);
                let plan = Plan::skip_seen_in(before.migration_state, *reason);
                let report = self.manage.operate(&path, before.attempt, &plan, None, until).await?;
                let guard = Guard::Attempt(before.attempt, "operator");
                changed(world, *one, &plan, guard, None, None, report)
            }
            Happening::Reopen(one, reason) => {
                let (path, before) = row(*one);
                let (plan, reason) = reopening(*reason);
                let report = self.manage.operate(&path, before.attempt, &plan, reason, until).await?;
                let guard = Guard::Attempt(before.attempt, "operator");
                changed(world, *one, &plan, guard, None, reason, report)
            }
            Happening::ReopenAll(state) => {
                let filter = ReopenFilter { state: *state, reason: None, prefix: "group/".parse()? };
                let (_, reason) = reopening(*state == State::ImportDone);
                let report = self.manage.reopen_many(&filter, reason, until).await?.context("an answer")?;
                let due = world.reopen_all(*state, reason);
                ensure!(report.reopened as usize == due.len(), "{report:?}");
                Ok(due)
            }
            Happening::SkipManyTags => {
                let report = self.claim.skip_many_tags(until).await?;
                let due = world.skip_many_tags();
                ensure!(report as usize == due.len(), "{report} are skipped");
                Ok(due)
            }
            Happening::Anew(one) => self.anew(world, *one).await,
            Happening::Again => Ok(vec![]),
            Happening::Hold(prefix, keeper) => self.hold(world, prefix, *keeper).await,
            Happening::ReleaseAll => self.release_all(world).await,
            Happening::HeldForDays(one) => {
                self.age(world, *one).await?;
                self.release_all(world).await?;
                self.claim_next(world, change).await
            }
            Happening::WaitIsOver(one) => {
                self.set_wait(world, *one, "now() - interval '1 second'").await?;
                world.rows[*one].waits = false;
                Ok(vec![])
            }
            Happening::Enabled(enabled) => {
                world.enabled = *enabled;
                self.set("enabled", &enabled.to_string()).await
            }
            Happening::Capacity(capacity) => {
                world.capacity = *capacity;
                self.set("capacity", &capacity.to_string()).await
            }
            Happening::RetryBackoff(seconds) => {
                world.retry_backoff = *seconds;
                self.set("retry_backoff_seconds", &seconds.to_string()).await
            }
            Happening::MaxTags(tags) => {
                world.max_tags = *tags;
                self.set("max_tags_count", &tags.to_string()).await
            }
        }
    }
}

impl Play {
    /// A free slot is given to whatever is due.
    async fn claim_next(&self, world: &mut World, change: AttemptId) -> anyhow::Result<Vec<Due>> {
        let report = self.claim.claim_next(change, Instant::now() + PATIENCE).await?;
        let (slot, next) = (world.free_slot(), world.next_due());
        let nothing = if slot.is_none() { Claimed::NoSlot } else { Claimed::NoneDue };
        self.claimed(world, &Plan::claim(), next.filter(|_| slot.is_some()), nothing, report, change)
    }
}

/// The plan, and the words for the history.
fn reopening(with_reason: bool) -> (Plan, Option<&'static str>) {
    if with_reason { (Plan::reopen_with_reason(), Some("it is not")) } else { (Plan::reopen(), None) }
}
