//! What becomes of everything once no fault happens any more.

use shared::migration::{RegistryStatus, State};

use crate::{
    model::{Model, Turn},
    world::{Repository, Row, Task, World},
};

/// So many rounds of the schedules and the guard must end every migration.
const ROUNDS: usize = 8;

/// So many steps in one round are a loop.
const STEPS: usize = 200;

impl Model {
    /// Whether every repository ends done, or skipped with a reason, in a fixed number of rounds without any fault, with
    /// the kill switch on and capacity; and what the registry has completed is done, unless an operator gives it up.
    pub(crate) fn settles(&self, world: &World) -> bool {
        let ends = |row: &Row| {
            row.state == State::ImportDone || row.state == State::ImportSkipped && row.reason.is_some()
        };
        let settled = self.settled(world);
        settled.rows.iter().all(ends)
            && (0..world.rows.len())
                .all(|at| !is_finished(world, at) || settled.rows[at].state == State::ImportDone)
    }

    /// What becomes of a world without any fault.
    pub(crate) fn settled(&self, world: &World) -> World {
        let mut turn = self.turn(world.clone());
        turn.world.enabled = true;
        turn.world.capacity = turn.world.capacity.max(1);
        for _ in 0..ROUNDS {
            let is_over = |world: &World| world.rows.iter().all(|row| row.state.is_terminal());
            if !turn.round() || is_over(&turn.world) {
                break;
            }
        }
        turn.close()
    }
}

/// Whether the registry has completed a repository whose row is not over, and that nobody gives up.
fn is_finished(world: &World, at: usize) -> bool {
    let gives_up =
        |task: &Task| matches!(task, Task::GiveUp(giving_up) if usize::from(giving_up.repository) == at);
    world.imports[at].status == Some(RegistryStatus::ImportComplete)
        && !world.rows[at].state.is_terminal()
        && !world.tasks.iter().any(gives_up)
}

impl Turn<'_> {
    /// Everything that is under way ends; then time passes, and the schedules and the guard do a round. False: it does not
    /// end.
    fn round(&mut self) -> bool {
        self.world.is_stopping = false;
        self.world.is_held = false;
        if !self.rest() {
            return false;
        }
        for repository in 0..self.model.repositories {
            let row = self.world.row(repository);
            row.waits = false;
            row.past |= row.state.is_active();
        }
        self.replay();
        while self.next_parked().is_some() {
            self.resume();
            if !self.rest() {
                return false;
            }
        }
        for _ in 0..self.model.repositories {
            self.claim();
            if !self.rest() {
                return false;
            }
        }
        for repository in 0..self.model.repositories {
            self.look_at(repository);
            if !self.rest() {
                return false;
            }
        }
        true
    }

    fn look_at(&mut self, repository: Repository) {
        if self.world.shown[usize::from(repository)].state.is_in_progress() {
            self.look(repository);
        }
    }

    /// Until nothing is under way any more: processes go on, messages come, steps succeed.
    fn rest(&mut self) -> bool {
        for _ in 0..STEPS {
            if let Some(&put) = self.world.puts.first() {
                self.arrive(put);
            } else if let Some(&task) = self.world.tasks.first() {
                self.step(task);
            } else if let Some(&notice) = self.world.notices.first() {
                self.take(notice);
                self.tell(notice);
            } else if let Some(repository) = self.runs() {
                self.finish(repository, true);
            } else {
                return true;
            }
            // What the rows' names for attempts are does not matter, but they must not run out.
            self.world.settle_form();
        }
        false
    }

    fn runs(&self) -> Option<Repository> {
        (0..self.model.repositories)
            .find(|&repository| self.world.imports[usize::from(repository)].by.is_some())
    }
}
