//! What becomes of everything once no fault happens any more.

use shared::migration::{RegistryStatus, State};

use crate::{
    Violation,
    model::{Model, Turn},
    world::{Repository, Row, Task, World},
};

/// So many rounds of the schedules and the guard must end every migration.
const ROUNDS: usize = 8;

/// So many steps in one round are a loop.
const STEPS: usize = 200;

impl Model {
    /// Whether every repository ends done, or skipped with a reason, in a fixed number of rounds without any fault, with
    /// the kill switch on and capacity; and what the registry has completed is done, unless an operator gives it up. What a
    /// hold holds waits for it without a slot, and ends once nothing is held any more.
    pub(crate) fn settles(&self, world: &World) -> bool {
        let settled = self.settled(world);
        let ends_or_waits = |at: usize| {
            let row = &settled.held.rows[at];
            is_over(row) || row.is_held && Repository::try_from(at).is_ok_and(|at| world.is_under_hold(at))
        };
        let all = 0..world.rows.len();
        let is_done = |at: usize| settled.ended.rows[at].state == State::ImportDone;
        !settled.begins_while_held()
            && all.clone().all(ends_or_waits)
            && settled.ended.rows.iter().all(is_over)
            && all.clone().all(|at| !is_finished(world, at) || is_done(at))
    }

    /// What becomes of a world without any fault.
    pub(crate) fn settled(&self, world: &World) -> Settled {
        let held = self.after_rounds(world);
        let mut ended = World { holds: vec![], ..held.clone() };
        if held.holds != ended.holds {
            ended = self.after_rounds(&ended);
        }
        Settled { held, ended }
    }

    fn after_rounds(&self, world: &World) -> World {
        let mut turn = self.turn(world.clone());
        turn.world.enabled = true;
        turn.world.capacity = turn.world.capacity.max(1);
        for _ in 0..ROUNDS {
            if !turn.round() || turn.is_at_rest() {
                break;
            }
        }
        turn.close()
    }
}

/// What becomes of a world without any fault.
pub(crate) struct Settled {
    /// With the holds that it has.
    pub held: World,
    /// After that, once nothing is held any more.
    pub ended: World,
}

impl Settled {
    /// Whether that begins a final step while a hold holds it.
    pub(crate) const fn begins_while_held(&self) -> bool {
        self.held.broken >> Violation::BegunWhileHeld as u16 & 1 == 1
    }
}

/// Done, or skipped with a reason.
fn is_over(row: &Row) -> bool {
    row.state == State::ImportDone || row.state == State::ImportSkipped && row.reason.is_some()
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
        self.world.is_braked = false;
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

    /// Whether nothing is left to do: all is over, or waits for its hold.
    fn is_at_rest(&self) -> bool {
        let waits = |(at, row): (Repository, &Row)| {
            row.state.is_terminal() || row.is_held && self.world.is_under_hold(at)
        };
        (0..).zip(&self.world.rows).all(waits)
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
