//! What operators do.

use shared::{
    migration::{Cancelation, RegistryStatus, SkipReason, State},
    store::Verdict,
};

use crate::{
    model::{Met, Turn},
    statements::Precondition,
    world::{Canceling, GivingUp, Hold, Keeper, Repository, Row, Stage, Task},
    writer::Cause,
};

impl Turn<'_> {
    /// Whether an operator's start would be accepted.
    pub(crate) fn may_be_started(&self, repository: Repository) -> bool {
        let state = self.now(repository).state;
        matches!(state, State::Default | State::ImportAborted)
            && self.may_start()
            && self.free_slot().is_some()
    }

    pub(crate) fn start(&mut self, repository: Repository) {
        self.begin(repository, self.model.decisions.claim);
    }

    /// An operator gives up a row that is at rest.
    pub(crate) fn skip(&mut self, repository: Repository) {
        let row = self.now(repository);
        let (plan, seen) = (self.model.decisions.skip(row.state, SkipReason::NotInPlan), row.attempt);
        self.change(repository, plan, Precondition::Attempt(seen), Cause::Operator);
    }

    pub(crate) fn reopen(&mut self, repository: Repository) {
        let seen = self.now(repository).attempt;
        self.change(repository, self.model.decisions.reopen, Precondition::Attempt(seen), Cause::Operator);
    }

    /// A row is deleted, and its path registered again: the history is gone.
    pub(crate) fn register_again(&mut self, repository: Repository) {
        *self.world.row(repository) = Row::registered();
        self.outdate(repository);
        // What still names the former row's attempts must not be taken for one of the new row.
        self.world.rename_former(repository);
    }

    /// An operator holds final steps.
    pub(crate) fn hold(&mut self, hold: Hold) {
        self.release(hold.of);
        self.world.holds.push(hold);
    }

    /// An operator removes a hold.
    pub(crate) fn release(&mut self, of: Option<Repository>) {
        self.world.holds.retain(|hold| hold.of != of);
    }

    /// The windows open or close.
    pub(crate) fn turn_windows(&mut self, opens: bool) {
        for hold in &mut self.world.holds {
            if let Keeper::Window { is_open } = &mut hold.keeper {
                *is_open = opens;
            }
        }
    }

    /// An operator wants to cancel what runs.
    pub(crate) fn begin_giving_up(&mut self, repository: Repository, by_force: bool) {
        let row = self.now(repository);
        let giving_up = GivingUp {
            repository,
            state: row.state,
            attempt: row.attempt,
            by_force,
            stage: Stage::Found,
            has_canceled: false,
            is_same: true,
        };
        self.world.tasks.push(Task::GiveUp(giving_up));
    }

    pub(crate) fn give_up(&mut self, giving_up: GivingUp) {
        let GivingUp { repository, state, attempt, by_force, stage, has_canceled, is_same } = giving_up;
        let again = |turn: &Self| {
            let row = turn.now(repository);
            GivingUp {
                state: row.state,
                attempt: row.attempt,
                stage: Stage::Found,
                is_same: true,
                ..giving_up
            }
        };
        match stage {
            Stage::Found if state.is_active() && is_same => {
                self.world.row(repository).canceling = match self.now(repository).canceling {
                    Canceling::Guard => Canceling::Guard,
                    Canceling::No | Canceling::Otherwise => Canceling::Otherwise,
                };
                self.world.tasks.push(Task::GiveUp(GivingUp { stage: Stage::Noted, ..giving_up }));
            }
            Stage::Found if state.is_active() => {
                let found = again(self);
                self.world.tasks.push(Task::GiveUp(found));
            }
            Stage::Found if state == State::PreImportDone || has_canceled && !state.is_terminal() => {
                self.world.tasks.push(Task::GiveUp(GivingUp { stage: Stage::Stopped, ..giving_up }));
            }
            Stage::Found => {}
            Stage::Noted => {
                let stopped = match self.delete(repository, by_force) {
                    Cancelation::Accepted => true,
                    Cancelation::Stands(
                        RegistryStatus::PreImportCanceled | RegistryStatus::ImportCanceled,
                    ) => has_canceled,
                    Cancelation::KnowsNothing => by_force,
                    Cancelation::Stands(_) | Cancelation::NoAnswer => false,
                };
                self.meet(Met::OperatorCancels);
                if stopped {
                    let stage = Stage::Stopped;
                    self.world.tasks.push(Task::GiveUp(GivingUp { stage, has_canceled: true, ..giving_up }));
                }
            }
            Stage::Stopped => {
                let reason = if by_force {
                    SkipReason::MigrationForcedCanceled
                } else {
                    SkipReason::MigrationCanceled
                };
                let plan = self.model.decisions.skip(state, reason);
                let verdict = self.change(repository, plan, Precondition::Attempt(attempt), Cause::Operator);
                if verdict != Verdict::Applied {
                    let found = again(self);
                    self.world.tasks.push(Task::GiveUp(found));
                }
            }
        }
    }
}
