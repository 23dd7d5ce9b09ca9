use shared::migration::{RegistryStatus, State};

use crate::{
    decisions::Said,
    model::{Met, Model, Turn},
    world::{Hold, Keeper, Notice, Put, Repository, Row, Shown, Task, World},
};

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A process claims the next repository: the schedule, or the chain after a slot was freed.
    Claim,
    /// A process lets a parked repository go on.
    Resume,
    /// The guard leases a row that the reader shows to be in progress.
    Look(Repository),
    /// A process does its next step.
    Step(Task),
    /// The registry does a request.
    Arrive(Put),
    /// The driver judges a notification, and the registry reads the answer.
    Tell(Notice),
    /// A step succeeds.
    Finish(Repository),
    /// The reader replays all that is committed.
    Replay,
    /// A step takes longer than the settings allow.
    TakeLong(Repository),
    /// `not_before` has passed.
    WaitIsOver(Repository),
    /// Starts are held back no longer.
    BrakeIsOver,
    /// The windows of holds open, or close.
    Windows(bool),
    /// A repository has been held for so long that its pre-import is old.
    HeldForLong(Repository),
    /// An operator removes a hold.
    Release(Option<Repository>),
    /// The registry is up again.
    ComeUp,
    /// A fault: a step fails by itself.
    Fail(Repository),
    /// A fault: a process does not get an answer.
    Unanswered(Task),
    /// A fault: a process dies.
    Crash(Task),
    /// A fault: a request gets lost.
    Lose(Put),
    /// A fault: the network sends a request twice.
    Double(Put),
    /// A fault: something answers a request in the registry's place, or the registry refuses it.
    Odd(Put, Said),
    /// A fault: a notification gets lost.
    LoseNotice(Notice),
    /// A fault: the network sends a notification twice.
    DoubleNotice(Notice),
    /// A fault: the registry no longer waits for the answer to a notification, which still comes.
    Delay(Notice),
    /// A fault: a proxy drops the id of a notification's attempt.
    Strip(Notice),
    /// A fault: the registry stops gracefully.
    Stop,
    /// A fault: the registry is killed.
    Kill,
    /// A fault: the guard looks at a row that is being worked on.
    LookEarly(Repository),
    /// An operator starts a repository.
    Start(Repository),
    /// An operator cancels what runs.
    Cancel(Repository),
    /// An operator cancels by force.
    CancelByForce(Repository),
    /// An operator gives up a repository that is at rest.
    Skip(Repository),
    /// An operator reopens a repository.
    Reopen(Repository),
    /// An operator deletes a repository and registers it again.
    RegisterAgain(Repository),
    /// An operator switches migrations on or off.
    Switch(bool),
    /// An operator sets the capacity.
    SetCapacity(u8),
    /// An operator holds final steps.
    Hold(Hold),
}

impl Action {
    const fn is_fault(&self) -> bool {
        match self {
            Self::Fail(_)
            | Self::Unanswered(_)
            | Self::Crash(_)
            | Self::Lose(_)
            | Self::Double(_)
            | Self::Odd(..)
            | Self::LoseNotice(_)
            | Self::DoubleNotice(_)
            | Self::Delay(_)
            | Self::Strip(_)
            | Self::Stop
            | Self::Kill
            | Self::LookEarly(_) => true,
            Self::Claim
            | Self::Resume
            | Self::Look(_)
            | Self::Step(_)
            | Self::Arrive(_)
            | Self::Tell(_)
            | Self::Finish(_)
            | Self::Replay
            | Self::TakeLong(_)
            | Self::WaitIsOver(_)
            | Self::BrakeIsOver
            | Self::Windows(_)
            | Self::HeldForLong(_)
            | Self::Release(_)
            | Self::ComeUp
            | Self::Start(_)
            | Self::Cancel(_)
            | Self::CancelByForce(_)
            | Self::Skip(_)
            | Self::Reopen(_)
            | Self::RegisterAgain(_)
            | Self::Switch(_)
            | Self::SetCapacity(_)
            | Self::Hold(_) => false,
        }
    }

    const fn is_operation(&self) -> bool {
        matches!(
            self,
            Self::Start(_)
                | Self::Cancel(_)
                | Self::CancelByForce(_)
                | Self::Skip(_)
                | Self::Reopen(_)
                | Self::RegisterAgain(_)
                | Self::Switch(false)
                | Self::SetCapacity(_)
                | Self::Hold(_)
        )
    }
}

impl Model {
    /// All that can happen next.
    pub(crate) fn possible(&self, world: &World, actions: &mut Vec<Action>) {
        self.driven(world, actions);
        self.answered(world, actions);
        if world.faults > 0 {
            self.faulty(world, actions);
        }
        if world.operations > 0 {
            self.operated(world, actions);
        }
        if !world.enabled {
            actions.push(Action::Switch(true));
        }
    }

    fn has_process(&self, world: &World) -> bool {
        world.tasks.len() < self.processes
    }

    /// Whether something about the row is under way.
    fn is_busy(world: &World, repository: Repository) -> bool {
        world.tasks.iter().any(|task| task.repository() == repository)
            || world.puts.iter().any(|put| put.repository == repository)
    }

    /// Whether the guard has noted that it has a step canceled, and is about to.
    fn is_being_canceled(world: &World, repository: Repository) -> bool {
        let cancels = |task: &Task| matches!(task, Task::Cancel(looking) if looking.repository == repository);
        world.tasks.iter().any(cancels)
    }

    fn driven(&self, world: &World, actions: &mut Vec<Action>) {
        let turn = self.turn(world.clone());
        if self.has_process(world) {
            actions.extend(turn.next_due().map(|_| Action::Claim));
            actions.extend(turn.next_parked().map(|_| Action::Resume));
            for repository in 0..self.repositories {
                let shown = world.shown[usize::from(repository)];
                let row = &world.rows[usize::from(repository)];
                let is_told = world.notices.iter().any(|notice| notice.repository == repository);
                let is_due =
                    row.state.is_active() || row.state == State::PreImportDone && world.enabled && !row.waits;
                if shown.state.is_in_progress()
                    && row.is_in_slot()
                    && is_due
                    && !Self::is_busy(world, repository)
                {
                    // A step that runs, or whose end is just being told, is left alone: that changes nothing.
                    let import = &world.imports[usize::from(repository)];
                    if (import.by.is_none() || import.is_late) && !is_told {
                        actions.push(Action::Look(repository));
                    }
                }
            }
        }
        for task in each(&world.tasks) {
            let waits = |put: &Put| {
                matches!(task, Task::Sent(asking) if put.is_awaited
                    && (put.repository, put.attempt, put.step) == (asking.repository, asking.attempt, asking.step))
            };
            if !world.puts.iter().any(waits) {
                actions.push(Action::Step(task));
            }
        }
    }

    fn answered(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(each(&world.puts).map(Action::Arrive));
        if self.has_process(world) {
            actions.extend(each(&world.notices).map(Action::Tell));
        }
        for repository in 0..self.repositories {
            let import = world.imports[usize::from(repository)];
            let row = &world.rows[usize::from(repository)];
            if import.by.is_some() {
                actions.push(Action::Finish(repository));
            }
            let runs = import.status.and_then(RegistryStatus::running_step).is_some();
            let costs_nothing = import.by.is_none() || world.faults > 0;
            if row.state.is_active()
                && runs
                && !row.past
                && costs_nothing
                && !Self::is_busy(world, repository)
            {
                actions.push(Action::TakeLong(repository));
            }
            if row.is_held && !row.is_old {
                actions.push(Action::HeldForLong(repository));
            }
            // Whoever has noted that it cancels does so while the row waits.
            if row.waits && !Self::is_being_canceled(world, repository) {
                actions.push(Action::WaitIsOver(repository));
            }
        }
        let shows = |(row, shown): (&Row, &Shown)| self.shown(row) != *shown;
        if world.rows.iter().zip(&world.shown).any(shows) {
            actions.push(Action::Replay);
        }
        if world.is_braked {
            actions.push(Action::BrakeIsOver);
        }
        if world.is_stopping {
            actions.push(Action::ComeUp);
        }
        for hold in &world.holds {
            actions.push(Action::Release(hold.of));
            if let Keeper::Window { is_open } = hold.keeper {
                actions.push(Action::Windows(!is_open));
            }
        }
    }

    fn faulty(&self, world: &World, actions: &mut Vec<Action>) {
        for task in each(&world.tasks) {
            actions.push(Action::Crash(task));
            let asks = match task {
                Task::Claimed(_) | Task::Look(_) | Task::Cancel(_) | Task::Sent(_) | Task::Answered(..) => {
                    true
                }
                Task::GiveUp(giving_up) => giving_up.stage == crate::world::Stage::Noted,
                Task::Told(..) | Task::Ask(_) | Task::Accept(_) | Task::Saw(..) | Task::Canceled(..) => false,
            };
            if asks && !matches!(task, Task::Answered(_, Said::Unknown)) {
                actions.push(Action::Unanswered(task));
            }
        }
        for put in each(&world.puts) {
            actions.push(Action::Lose(put));
            if put.is_awaited {
                for said in
                    [Said::NotSent, Said::Foreign, Said::Refused, Said::ClaimsMigrated, Said::NotReady]
                {
                    actions.push(Action::Odd(put, said));
                }
            }
            if !put.is_doubled {
                actions.push(Action::Double(put));
            }
        }
        for notice in each(&world.notices) {
            actions.push(Action::LoseNotice(notice));
            actions.push(Action::DoubleNotice(notice));
            if notice.is_awaited {
                actions.push(Action::Delay(notice));
            }
            if notice.attempt.is_some() {
                actions.push(Action::Strip(notice));
            }
        }
        for repository in 0..self.repositories {
            if world.imports[usize::from(repository)].by.is_some() {
                actions.push(Action::Fail(repository));
            }
            let row = &world.rows[usize::from(repository)];
            let is_told = world.notices.iter().any(|notice| notice.repository == repository);
            let is_worked_on = Self::is_busy(world, repository) || is_told;
            if row.is_in_slot() && self.has_process(world) && is_worked_on {
                actions.push(Action::LookEarly(repository));
            }
        }
        if world.imports.iter().any(|import| import.by.is_some()) {
            if !world.is_stopping {
                actions.push(Action::Stop);
            }
            actions.push(Action::Kill);
        }
    }

    fn operated(&self, world: &World, actions: &mut Vec<Action>) {
        let turn = self.turn(world.clone());
        for repository in 0..self.repositories {
            let row = &world.rows[usize::from(repository)];
            // A cancelation names no attempt: whoever starts anew in the same moment has to start once more.
            if Self::is_being_canceled(world, repository) {
                continue;
            }
            if self.has_process(world) {
                // One that is due is started by a claim as well.
                if row.waits && turn.may_be_started(repository) {
                    actions.push(Action::Start(repository));
                }
                if row.state.is_in_progress() {
                    actions.extend([Action::Cancel(repository), Action::CancelByForce(repository)]);
                }
            }
            if !row.state.is_in_progress() {
                if !row.state.is_terminal() {
                    actions.push(Action::Skip(repository));
                } else {
                    actions.push(Action::Reopen(repository));
                }
                if row.attempt.is_some() {
                    actions.push(Action::RegisterAgain(repository));
                }
            }
        }
        if world.enabled {
            actions.push(Action::Switch(false));
        }
        for capacity in [0, 1, 2] {
            if capacity != world.capacity && (capacity > 0) {
                actions.push(Action::SetCapacity(capacity));
            }
        }
        let of_one = (0..self.repositories).filter(|_| self.repositories > 1);
        let of_one = of_one.map(|repository| Hold { of: Some(repository), keeper: Keeper::Operator });
        let of_all = [Keeper::Operator, Keeper::Window { is_open: false }];
        let of_all = of_all.into_iter().map(|keeper| Hold { of: None, keeper });
        let is_new = |hold: &Hold| world.holds.iter().all(|known| known.of != hold.of);
        actions.extend(of_one.chain(of_all).filter(is_new).map(Action::Hold));
    }
}

/// Each of what may be there twice, once.
fn each<T: Copy + PartialEq>(of: &[T]) -> impl Iterator<Item = T> {
    of.iter().enumerate().filter(|(at, one)| *at == 0 || of[at - 1] != **one).map(|(_, one)| *one)
}

impl Turn<'_> {
    /// Lets it happen.
    pub(crate) fn act(&mut self, action: &Action) {
        self.world.faults -= u8::from(action.is_fault());
        self.world.operations -= u8::from(action.is_operation());
        match *action {
            Action::Claim => self.claim(),
            Action::Resume => self.resume(),
            Action::Look(repository) | Action::LookEarly(repository) => self.look(repository),
            Action::Step(task) => self.step(task),
            Action::Arrive(put) => self.arrive(put),
            Action::Tell(notice) => {
                self.take(notice);
                self.tell(notice);
            }
            Action::Finish(repository) => self.finish(repository, true),
            Action::Fail(repository) => self.finish(repository, false),
            Action::Replay => {
                self.meet(Met::Lags);
                self.replay();
            }
            Action::TakeLong(repository) => {
                let import = self.world.import(repository);
                import.is_late = import.by.is_some();
                let is_slow = import.is_late;
                self.world.faults -= u8::from(is_slow);
                self.world.row(repository).past = true;
            }
            Action::WaitIsOver(repository) => self.world.row(repository).waits = false,
            Action::BrakeIsOver => self.world.is_braked = false,
            Action::Windows(opens) => {
                self.meet(if opens { Met::Opens } else { Met::Closes });
                self.turn_windows(opens);
            }
            Action::HeldForLong(repository) => self.world.row(repository).is_old = true,
            Action::Release(of) => {
                self.meet(Met::Releases);
                self.release(of);
            }
            Action::Hold(hold) => self.hold(hold),
            Action::ComeUp => self.world.is_stopping = false,
            Action::Unanswered(task) => self.unanswered(task),
            Action::Crash(task) => self.crash(task),
            Action::Lose(put) => {
                self.meet(Met::Loses);
                self.take_put(put);
            }
            Action::Double(put) => {
                self.meet(Met::Doubles);
                self.world.puts.push(Put { is_awaited: false, is_doubled: true, ..put });
            }
            Action::Odd(put, said) => {
                self.take_put(put);
                self.answer(put, said);
            }
            Action::LoseNotice(notice) => {
                self.meet(Met::Loses);
                self.take(notice);
            }
            Action::DoubleNotice(notice) => {
                self.meet(Met::Doubles);
                self.world.notices.push(Notice { is_awaited: false, ..notice });
            }
            Action::Delay(notice) => {
                self.meet(Met::Delays);
                self.take(notice);
                self.world.notices.push(Notice { is_awaited: false, ..notice });
            }
            Action::Strip(notice) => {
                self.meet(Met::Strips);
                self.take(notice);
                self.world.notices.push(Notice { attempt: None, ..notice });
            }
            Action::Stop => self.stop(),
            Action::Kill => self.kill(),
            Action::Start(repository) => {
                self.meet(Met::OperatorStarts);
                self.start(repository);
            }
            Action::Cancel(repository) => self.begin_giving_up(repository, false),
            Action::CancelByForce(repository) => self.begin_giving_up(repository, true),
            Action::Skip(repository) => self.skip(repository),
            Action::Reopen(repository) => self.reopen(repository),
            Action::RegisterAgain(repository) => {
                self.meet(Met::Deletes);
                self.register_again(repository);
            }
            Action::Switch(enabled) => {
                if !enabled {
                    self.meet(Met::SwitchesOff);
                }
                self.world.enabled = enabled;
            }
            Action::SetCapacity(capacity) => {
                if usize::from(capacity) < self.world.in_progress() {
                    self.meet(Met::Lowers);
                }
                self.world.capacity = capacity;
            }
        }
    }

    pub(crate) fn replay(&mut self) {
        self.world.shown = self.world.rows.iter().map(|row| self.model.shown(row)).collect();
    }
}
