//! Compares what the store reports of a step with what the core says of it.

use anyhow::{Context, ensure};
use protocol_model::statements;
use shared::{
    migration::{
        AttemptId, ContainerRepository, GuardSettings, HoldChange, Plan, Remedy, RepositoryPath, Stuck,
    },
    store::{AskingAgain, Changed, Claimed, HoldSet, Noted, Registration, Resumed, Started},
};
use suite::{PATIENCE, window};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    database::Play,
    steps::{Doubts, Id},
    world::{Due, Guard, Keeper, Line, Row, World},
};

/// The rows, each with whether the slots say the same as it does, and by which hold its final step is held.
const ROWS: &str = "SELECT to_jsonb(c), c.slot IS NOT DISTINCT FROM s.slot, (SELECT migration_held_by(c.path)) FROM container_repositories AS c
    LEFT JOIN migration_slots AS s ON s.repository_id = c.id ORDER BY c.id";

const LINES: &str = "SELECT c.path, t.version, t.event, t.from_state, t.to_state, t.applied, t.verdict,
        t.attempt::text, t.slot, t.cause, t.reported_attempt::text
    FROM migration_transitions AS t JOIN container_repositories AS c ON c.id = t.repository_id
    ORDER BY c.path, t.id";

pub fn made_up() -> AttemptId {
    AttemptId::new(Uuid::new_v4())
}

/// The attempt that is named.
pub fn named(world: &World, one: usize, id: Id) -> Option<AttemptId> {
    let current = world.rows[one].repository.attempt;
    let path = world.rows[one].repository.path.as_str();
    let attempts = world.lines.iter().filter(|line| line.path == path).filter_map(|line| line.attempt);
    match id {
        Id::None => None,
        Id::Current => current,
        Id::Earlier => attempts.map(AttemptId::new).find(|attempt| Some(*attempt) != current),
        Id::MadeUp => Some(made_up()),
    }
}

/// A change of one row, judged.
pub fn changed(
    world: &mut World,
    one: usize,
    plan: &Plan,
    guard: Guard,
    change: Option<AttemptId>,
    detail: Option<&str>,
    report: Option<Changed>,
) -> anyhow::Result<Vec<Due>> {
    let report = report.context("there is such a repository")?;
    let before = world.rows[one].repository.migration_state;
    let (verdict, due) = world.change(one, plan, guard, change, detail);
    ensure!(
        (report.verdict, report.before) == (verdict, before),
        "{report:?} instead of {verdict:?} in {before}"
    );
    Ok(due.into_iter().collect())
}

impl Play {
    pub fn path(&self, world: &World, one: usize) -> RepositoryPath {
        world.rows[one].repository.path.clone()
    }

    pub async fn rows(&self) -> anyhow::Result<Vec<ContainerRepository>> {
        Ok(self.looked_at().await?.0)
    }

    /// The rows, and by which hold the final step of each is held.
    pub async fn looked_at(&self) -> anyhow::Result<(Vec<ContainerRepository>, Vec<Option<String>>)> {
        let rows = self.around.query(ROWS, &[]).await?;
        let row = |row: &tokio_postgres::Row| {
            ensure!(
                row.get::<_, bool>(1),
                "the slots say otherwise than {}",
                row.get::<_, serde_json::Value>(0)
            );
            Ok((serde_json::from_value(row.get(0))?, row.get(2)))
        };
        rows.iter().map(row).collect()
    }

    pub async fn lines(&self) -> anyhow::Result<Vec<Line>> {
        let rows = self.around.query(LINES, &[]).await?;
        let line = |row: &tokio_postgres::Row| Line {
            path: row.get(0),
            version: row.get(1),
            event: row.get(2),
            from: row.get(3),
            to: row.get(4),
            applied: row.get(5),
            verdict: row.get(6),
            attempt: row.get::<_, Option<String>>(7).map(|text| text.parse().unwrap()),
            slot: row.get(8),
            cause: row.get(9),
            reported: row.get::<_, Option<String>>(10).map(|text| text.parse().unwrap()),
        };
        Ok(rows.iter().map(line).collect())
    }

    /// A start by name.
    pub fn started(
        &self,
        world: &mut World,
        one: usize,
        plan: &Plan,
        report: Started,
        change: AttemptId,
    ) -> anyhow::Result<Vec<Due>> {
        let row = &world.rows[one];
        let possible = plan.outcome(&row.repository, world.limits(one)).is_some();
        let slot = world.free_slot().filter(|_| world.enabled);
        let fits = match (&report, slot) {
            (Started::Started(_), _) if row.change == Some(change) => return Ok(vec![]),
            (Started::Started(_), Some(_)) => possible,
            (Started::WrongState(found), _) => !possible && **found == row.repository,
            (Started::Disabled, _) => possible && !world.enabled,
            (Started::NoSlot, None) => possible && world.enabled,
            (
                Started::Started(_)
                | Started::NoSlot
                | Started::PassedOver
                | Started::Held(_)
                | Started::NotFound,
                _,
            ) => false,
        };
        ensure!(fits, "{report:?}, with {slot:?} free");
        let started = matches!(report, Started::Started(_));
        Ok(started.then(|| world.started(one, plan, slot, change, "operator")).into_iter().collect())
    }

    /// A start of whatever is next; `nothing` where there is none.
    pub fn claimed(
        &self,
        world: &mut World,
        plan: &Plan,
        next: Option<usize>,
        nothing: Claimed,
        report: Claimed,
        change: AttemptId,
    ) -> anyhow::Result<Vec<Due>> {
        let known = world.rows.iter().position(|row| row.change == Some(change));
        let expected = if world.enabled || known.is_some() { known.or(next) } else { None };
        let Some(one) = expected else {
            let nothing = if world.enabled { nothing } else { Claimed::Disabled };
            ensure!(report == nothing, "{report:?} instead of {nothing:?}");
            return Ok(vec![]);
        };
        let path = self.path(world, one);
        ensure!(matches!(&report, Claimed::Started(row) if row.path == path), "{report:?} instead of {path}");
        if known.is_some() {
            return Ok(vec![]);
        }
        let slot = world.free_slot();
        Ok(vec![world.started(one, plan, slot, change, "claim")])
    }

    /// As [`Play::claimed`], of what is parked; what is held gives its slot back.
    pub async fn resumed(
        &self,
        world: &mut World,
        report: Resumed,
        change: AttemptId,
    ) -> anyhow::Result<Vec<Due>> {
        let next = world.next_parked();
        let known = world.rows.iter().any(|row| row.change == Some(change));
        let held = next.filter(|next| world.enabled && !known && world.is_held(*next));
        let report = match report {
            Resumed::ToHold(row) => {
                let one = held.with_context(|| format!("{row:?} is to be held"))?;
                ensure!(*row == world.rows[one].repository, "{row:?} is to be held");
                let (change, until) = (made_up(), Instant::now() + PATIENCE);
                let report = self.claim.hold_parked(&row, change, until).await?;
                let guard = Guard::Attempt(row.attempt, "sweep");
                return changed(world, one, &Plan::hold(), guard, Some(change), None, report);
            }
            Resumed::Started(row) => Claimed::Started(row),
            Resumed::Disabled => Claimed::Disabled,
            Resumed::PassedOver => Claimed::PassedOver,
            Resumed::Held(held) => Claimed::Held(held),
            Resumed::NoneDue => Claimed::NoneDue,
        };
        ensure!(held.is_none(), "{report:?} instead of a hold");
        self.claimed(world, &Plan::resume(), next, Claimed::NoneDue, report, change)
    }

    /// Holds the final steps below a prefix, or lets them go on.
    pub async fn hold(
        &self,
        world: &mut World,
        prefix: &'static str,
        keeper: Option<Keeper>,
    ) -> anyhow::Result<Vec<Due>> {
        let until = Instant::now() + PATIENCE;
        if let Some(keeper) = keeper {
            let change = HoldChange {
                prefix: prefix.parse()?,
                until_released: keeper == Keeper::Operator,
                window: keeper.window_is_open().map(window).transpose()?,
                priority: None,
                reason: None,
            };
            ensure!(self.manage.set_hold(&change, Uuid::new_v4(), until).await? == HoldSet::Set);
            world.holds.insert(prefix, keeper);
        } else {
            let released = self.manage.release_hold(&prefix.parse()?, Uuid::new_v4(), until).await?;
            let is_known = world.holds.remove(prefix).is_some();
            ensure!(released == is_known, "{prefix} is released: {released}");
        }
        Ok(vec![])
    }

    /// Lets all final steps go on.
    pub async fn release_all(&self, world: &mut World) -> anyhow::Result<Vec<Due>> {
        for prefix in world.holds.clone().into_keys() {
            self.hold(world, prefix, None).await?;
        }
        Ok(vec![])
    }

    /// Sets back since when a row is held, if it is, in both.
    pub async fn age(&self, world: &mut World, one: usize) -> anyhow::Result<()> {
        let set = format!(
            "UPDATE container_repositories SET held_since = held_since - interval '2 days',
                pre_import_done_at = pre_import_done_at - interval '2 days'
             WHERE held_since IS NOT NULL AND path = '{}'",
            self.path(world, one)
        );
        self.around.batch_execute(&set).await?;
        world.rows[one].is_old |= world.rows[one].repository.is_held();
        let found = self.rows().await?.swap_remove(one);
        let row = &mut world.rows[one].repository;
        (row.held_since, row.pre_import_done_at) = (found.held_since, found.pre_import_done_at);
        Ok(())
    }

    /// A row as the guard leases it.
    pub fn stuck(&self, world: &World, one: usize, doubts: Doubts) -> Stuck {
        let (row, is_held) = (world.rows[one].repository.clone(), world.is_held(one));
        let settings = GuardSettings { enabled: world.enabled, steps: self.settings.steps };
        let begun = row.import_started_at.max(row.pre_import_started_at).unwrap_or_default();
        let passed = if doubts.past_its_time { 3600 } else { 60 };
        Stuck {
            row,
            settings,
            is_held,
            now: begun + std::time::Duration::from_secs(passed),
            asked_again_at: None,
            asked_again: doubts.asked_again,
            earlier_attempt: doubts.earlier_attempt,
        }
    }

    /// What the guard does about a row.
    pub async fn remedied(
        &self,
        world: &mut World,
        one: usize,
        row: &ContainerRepository,
        remedy: &Remedy,
        change: AttemptId,
    ) -> anyhow::Result<Vec<Due>> {
        let until = Instant::now() + PATIENCE;
        match remedy {
            Remedy::Leave(_) => Ok(vec![]),
            Remedy::Record { plan, .. } => {
                let detail = Some("as the guard found");
                let report = self.guard.record_decision(row, plan, detail, change, until).await?;
                changed(world, one, plan, Guard::Attempt(row.attempt, "guard"), Some(change), detail, report)
            }
            Remedy::AskAgain => {
                let noted = self.guard.note_asking_again(row, AskingAgain::Asking, until).await?;
                let (state, under_hold) = (row.migration_state, world.is_held(one));
                let may_be = statements::may_be_asked_again(world.enabled, state, under_hold);
                let expected = if may_be { Noted::Noted } else { Noted::Disabled };
                ensure!(noted == expected, "{noted:?}");
                if noted == Noted::Noted {
                    world.note(one, "ask_again", "asking", ("guard", None));
                }
                Ok(vec![])
            }
        }
    }

    /// A row is removed unless it is in progress, and registered as the youngest.
    pub async fn anew(&self, world: &mut World, one: usize) -> anyhow::Result<Vec<Due>> {
        let until = Instant::now() + PATIENCE;
        let path = self.path(world, one);
        let report = self.manage.remove(&path, until).await?.context("there is such a repository")?;
        let before = &world.rows[one].repository;
        let mut after = before.clone();
        after.version += i64::from(report.removed);
        ensure!(
            (report.removed, &report.row) == (!before.migration_state.is_in_progress(), &after),
            "{report:?}"
        );
        if report.removed {
            let again = Registration { path: path.clone(), tags_count: None, plan: None, priority: 0 };
            ensure!(self.manage.register(&[again], Uuid::new_v4(), until).await? == 1);
            let repository = self.rows().await?.pop().context("it is there")?;
            ensure!(repository.path == path, "{repository:?}");
            // Above all that the former row had, so that no caller takes the one for the other.
            ensure!(repository.version > after.version, "{repository:?} after {after:?}");
            world.rows.remove(one);
            world.rows.push(Row { repository, change: None, waits: false, is_old: false });
            world.lines.retain(|line| line.path != path.as_str());
        }
        Ok(vec![])
    }

    pub async fn set(&self, setting: &str, value: &str) -> anyhow::Result<Vec<Due>> {
        self.around.batch_execute(&format!("UPDATE migration_settings SET {setting} = {value}")).await?;
        Ok(vec![])
    }

    /// Sets the end of a row's wait, if it has one, in both.
    pub async fn set_wait(&self, world: &mut World, one: usize, until: &str) -> anyhow::Result<()> {
        let set = format!(
            "UPDATE container_repositories SET not_before = {until} WHERE not_before IS NOT NULL AND path = '{}'",
            self.path(world, one)
        );
        self.around.batch_execute(&set).await?;
        world.rows[one].repository.not_before = self.rows().await?[one].not_before;
        Ok(())
    }

    /// A wait ends when the sequence says so, however slow the machine is.
    pub async fn nothing_falls_due_by_itself(&self, world: &mut World) -> anyhow::Result<()> {
        // What holds starts back is about time, and has tests of its own.
        self.around.batch_execute("DELETE FROM migration_brake").await?;
        for one in 0..world.rows.len() {
            let row = &world.rows[one];
            let soon = jiff::Timestamp::now() + std::time::Duration::from_secs(1800);
            if row.waits && row.repository.not_before.is_some_and(|until| until < soon) {
                self.set_wait(world, one, "not_before + interval '1 day'").await?;
            }
        }
        Ok(())
    }
}
