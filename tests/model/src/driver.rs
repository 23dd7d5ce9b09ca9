//! The driver's processes: what they do between two calls, with the core's decisions and the statements' verdicts.

use shared::{
    driver::StepStatus,
    endpoint::{EndpointKind, Notification, Purpose},
    migration::{Cancelation, RegistryStatus, RegistryView, SkipReason, State, Step},
    store::Verdict,
};

use crate::{
    Flip,
    decisions::{AttemptAfter, Care, Effect, Left, PlanId, Reaction, Said, Seen, Standing},
    model::{Met, Turn, Violation},
    statements::{self, Candidate, Judged, Outcome, Precondition, Request},
    world::{
        Again, Asking, Attempt, Canceling, FORMER, GivingUp, Known, Looking, Notice, Put, Repository, Row,
        Stage, Task,
    },
};

/// Why a row changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The registry has notified the end of this attempt.
    Notification(Option<Attempt>),
    /// The registry has answered.
    Answer,
    /// The driver itself.
    Driver,
    /// An operator.
    Operator,
}

impl Turn<'_> {
    fn index(&self, repository: Repository) -> usize {
        usize::from(repository)
    }

    fn now(&self, repository: Repository) -> &Row {
        &self.world.rows[self.index(repository)]
    }

    /// The kill switch, or the brake, which does the same to what is decided while a row is locked.
    fn may_start(&self) -> bool {
        self.world.enabled && !self.world.is_held
    }

    fn standing(&self, row: &Row) -> Standing {
        Standing {
            state: row.state,
            origin: row.origin,
            enabled: self.may_start(),
            at_retry_limit: row.retries + 1 >= self.model.max_retries,
            past_time: row.canceling == Canceling::Guard,
        }
    }

    /// One change of one row: a statement.
    pub(crate) fn change(
        &mut self,
        repository: Repository,
        plan: PlanId,
        precondition: Precondition<Attempt>,
        cause: Cause,
    ) -> Verdict {
        let row = self.now(repository);
        let effect = self.model.decisions.effect(plan, self.standing(row));
        let judged = Judged {
            is_repeated: false,
            state: row.state,
            attempt: row.attempt,
            is_known: match precondition {
                Precondition::Notification(Some(reported)) => row.knows(reported),
                Precondition::Notification(None) | Precondition::Attempt(_) => false,
            },
            outcome: effect
                .map(|effect| Outcome { needs_proof: effect.needs_proof, is_empty: effect.is_empty }),
        };
        let mut verdict = statements::verdict(&judged, precondition);
        let is_believed = self.model.flip == Some(Flip::AnyAttemptIsOwn)
            && verdict == Verdict::Unverified
            && effect.is_some_and(|effect| !effect.needs_proof && !effect.is_empty);
        if is_believed {
            verdict = Verdict::Applied;
        }
        match (verdict, effect) {
            (Verdict::Applied, Some(effect)) => self.apply(repository, effect, cause),
            (Verdict::Unverified, _) => self.world.row(repository).is_doubted = true,
            _ => {}
        }
        verdict
    }

    /// What a statement does to the row that it has decided on.
    fn apply(&mut self, repository: Repository, effect: Effect, cause: Cause) {
        self.check_change(repository, effect, cause);
        let (slot, new) = (self.free_slot(), self.new_attempt(repository));
        let stops = effect.stops && self.now(repository).canceling == Canceling::No;
        let row = self.world.row(repository);
        let before = row.attempt;
        for known in &mut row.known {
            let is_own = Some(known.attempt) == before;
            known.is_over |= match cause {
                Cause::Notification(reported) => Some(known.attempt) == reported,
                Cause::Answer => is_own && row.is_fresh,
                Cause::Driver | Cause::Operator => false,
            };
            known.is_refused |= is_own && effect.is_refusal;
        }
        row.attempt = match effect.attempt {
            AttemptAfter::Kept => before,
            AttemptAfter::Cleared => None,
            AttemptAfter::New => {
                row.known.push(Known {
                    attempt: new,
                    asks: effect.asks,
                    is_over: false,
                    is_refused: false,
                    is_sent: false,
                });
                Some(new)
            }
            AttemptAfter::Adopted => {
                let step = usize::from(effect.state == State::Importing);
                let requests = row.known.iter().filter(|known| known.asks[step]).map(|known| Request {
                    attempt: Some(known.attempt),
                    is_over: known.is_over || known.is_refused,
                });
                let was_asked_again = row.again != Again::No && before.is_some() && effect.state == row.state;
                statements::adopted(before, was_asked_again, requests)
            }
        };
        if row.attempt != before {
            (row.again, row.is_doubted) = (Again::No, false);
        }
        row.past &= effect.state == row.state && !effect.restarts_time;
        row.is_fresh = effect.ends_asking;
        row.canceling = Canceling::No;
        (row.state, row.origin, row.waits, row.reason) =
            (effect.state, effect.origin, effect.waits, effect.reason);
        row.slot = match (effect.holds_slot, row.slot) {
            (false, _) => 0,
            (true, 0) => slot.unwrap_or_default(),
            (true, kept) => kept,
        };
        row.retries = if effect.resets_retries { 0 } else { row.retries + u8::from(effect.counts) };
        self.world.is_held |= stops;
        self.meet_events(effect.events);
        self.outdate(repository);
    }

    fn outdate(&mut self, repository: Repository) {
        for task in self.world.tasks.iter_mut().filter(|task| task.repository() == repository) {
            task.outdate();
        }
    }

    fn check_change(&mut self, repository: Repository, effect: Effect, cause: Cause) {
        let row = self.now(repository).clone();
        let import = self.world.imports[self.index(repository)];
        let by_operator = cause == Cause::Operator;
        if row.state.is_terminal() && !by_operator {
            self.broke(Violation::LeftTheEnd);
        }
        if let Cause::Notification(Some(reported)) = cause
            && reported >= FORMER
            && row.attempt.is_some()
        {
            self.broke(Violation::ChangedByFormerRow);
        }
        if effect.state == State::ImportDone && !import.was_complete {
            self.broke(Violation::DoneWithoutWord);
        }
        let may_yet_end_well = import.status == Some(RegistryStatus::ImportComplete)
            || import.by.is_some() && !import.is_doubled;
        if effect.state == State::ImportSkipped && !by_operator && may_yet_end_well {
            self.broke(Violation::GaveUpTooSoon);
        }
        if effect.state == State::ImportSkipped && effect.reason.is_none() {
            self.broke(Violation::SkippedWithoutReason);
        }
    }

    fn new_attempt(&self, repository: Repository) -> Attempt {
        1 + self.now(repository).known.iter().map(|known| known.attempt).max().unwrap_or_default()
    }

    fn free_slot(&self) -> Option<u8> {
        let taken: Vec<i32> =
            self.world.rows.iter().map(|row| i32::from(row.slot)).filter(|slot| *slot > 0).collect();
        let capacity = i32::from(self.world.capacity);
        let slot = if self.model.flip == Some(Flip::ClaimDoesNotCount) {
            (1..=capacity).find(|slot| !taken.contains(slot))
        } else {
            statements::free_slot(capacity, &taken)
        };
        slot.and_then(|slot| u8::try_from(slot).ok())
    }

    /// A row that is started, with the slot that it has or takes: a process goes on with it.
    fn begin(&mut self, repository: Repository, plan: PlanId) {
        let standing = Standing {
            enabled: true,
            at_retry_limit: false,
            past_time: false,
            ..self.standing(self.now(repository))
        };
        let Some(effect) = self.model.decisions.effect(plan, standing) else { return };
        let was_in_progress = self.now(repository).state.is_in_progress();
        self.apply(repository, effect, Cause::Driver);
        if !was_in_progress && self.world.in_progress() > usize::from(self.world.capacity) {
            self.broke(Violation::OverCapacity);
        }
        self.go_on(repository);
    }

    /// A process goes on with a row whose step it has just begun.
    fn go_on(&mut self, repository: Repository) {
        let row = self.now(repository);
        let (Some(attempt), Some(step)) = (row.attempt, row.state.running_step()) else { return };
        let asking = Asking { repository, attempt, step, is_again: false, is_same: true };
        let was_aborted = row.origin == Some(State::ImportAborted);
        self.world.tasks.push(if was_aborted { Task::Claimed(asking) } else { Task::Ask(asking) });
    }

    /// Which row a claim would take.
    pub(crate) fn next_due(&self) -> Option<Repository> {
        let candidates = self.world.rows.iter().map(|row| Candidate {
            state: row.state,
            waits: row.waits,
            has_many_tags: false,
            priority: 0,
        });
        let next =
            statements::next_due(candidates).filter(|_| self.may_start() && self.free_slot().is_some());
        next.and_then(|next| Repository::try_from(next).ok())
    }

    pub(crate) fn claim(&mut self) {
        if let Some(repository) = self.next_due() {
            self.begin(repository, self.model.decisions.claim);
        }
    }

    /// Which parked row would go on.
    pub(crate) fn next_parked(&self) -> Option<Repository> {
        let parked = |row: &Row| row.state == State::PreImportDone && !row.waits;
        let next = self.world.rows.iter().position(parked).filter(|_| self.may_start());
        next.and_then(|next| Repository::try_from(next).ok())
    }

    pub(crate) fn resume(&mut self) {
        if let Some(repository) = self.next_parked() {
            self.begin(repository, self.model.decisions.resume);
        }
    }

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

    /// A notification is judged and answered; what is left to do begins.
    pub(crate) fn tell(&mut self, notice: Notice) {
        let plan = self.model.decisions.notified(notice.status, notice.is_cut_off);
        let endpoint = match self.model.flip {
            Some(Flip::NotificationOnReader) => EndpointKind::Reader,
            _ => Notification::RULE.endpoint,
        };
        let is_refused = match endpoint {
            EndpointKind::Writer | EndpointKind::Both => false,
            EndpointKind::Reader => self.is_refused_by_reader(notice, plan),
        };
        let repository = notice.repository;
        let new = self.new_attempt(repository);
        let row = self.now(repository);
        let is_known = notice.attempt.is_some_and(|attempt| row.knows(attempt));
        let is_expected = is_known || notice.attempt.is_none() && row.state.is_active();
        let verdict = if is_refused {
            Verdict::Refused
        } else {
            let precondition = Precondition::Notification(notice.attempt);
            self.change(repository, plan, precondition, Cause::Notification(notice.attempt))
        };
        self.meet(match verdict {
            Verdict::Applied => Met::NoticeApplied,
            Verdict::EarlierAttempt => Met::NoticeOfEarlier,
            Verdict::AlreadyOver => Met::NoticeOfOver,
            Verdict::Nothing => Met::NoticeOfNothingNew,
            Verdict::Unverified => Met::NoticeUnverified,
            Verdict::Refused | Verdict::Repeat | Verdict::Superseded => Met::NoticeRefused,
        });
        if verdict == Verdict::Refused && is_expected {
            self.broke(Violation::RefusedNotification);
        }
        let row = self.now(repository);
        match self.model.decisions.left(verdict, row.state, row.attempt == Some(new)) {
            // A freed slot is filled by a claim, which may come at any time.
            Left::Nothing | Left::FillSlot => {}
            Left::StartFinal => self.ask_first(repository),
            Left::Reconcile => self.look(repository),
        }
    }

    /// The same judgement by what the reader has.
    fn is_refused_by_reader(&self, notice: Notice, plan: PlanId) -> bool {
        let (row, shown) = (self.now(notice.repository), self.world.shown[self.index(notice.repository)]);
        let standing = Standing { state: shown.state, origin: shown.origin, ..self.standing(row) };
        let effect = self.model.decisions.effect(plan, standing);
        let judged = Judged {
            is_repeated: false,
            state: shown.state,
            attempt: shown.attempt,
            is_known: notice
                .attempt
                .is_some_and(|reported| shown.attempt.is_some_and(|newest| reported <= newest)),
            outcome: effect
                .map(|effect| Outcome { needs_proof: effect.needs_proof, is_empty: effect.is_empty }),
        };
        statements::verdict(&judged, Precondition::Notification(notice.attempt)) == Verdict::Refused
    }

    fn ask_first(&mut self, repository: Repository) {
        let row = self.now(repository);
        let (Some(attempt), Some(step)) = (row.attempt, row.state.running_step()) else { return };
        let asking = Asking { repository, attempt, step, is_again: false, is_same: true };
        self.world.tasks.push(Task::Ask(asking));
    }

    /// The guard leases a row, unless it has nothing to do with it.
    pub(crate) fn look(&mut self, repository: Repository) {
        let row = self.now(repository);
        let is_leased = self.world.tasks.iter().any(|task| task.has_leased(repository));
        if !row.state.is_in_progress() || is_leased {
            return;
        }
        let others = |known: &Known| Some(known.attempt) != row.attempt && !known.is_refused;
        let seen = Seen {
            state: row.state,
            origin: row.origin,
            has_attempt: row.attempt.is_some(),
            past: row.past,
            enabled: self.world.enabled,
            earlier: row.known.iter().any(others) || row.had_others || row.is_doubted,
            asked_again: row.again == Again::Accepted,
        };
        let looking = Looking { repository, attempt: row.attempt, seen, is_same: true };
        self.world.tasks.push(Task::Look(looking));
    }

    /// A process does what it is about to do next.
    pub(crate) fn step(&mut self, task: Task) {
        self.remove(task);
        match task {
            Task::Claimed(asking) => {
                let view = self.view(asking.repository);
                self.world.tasks.push(Task::Told(asking, view));
            }
            Task::Told(asking, view) => self.go_on_after_abort(asking, view),
            Task::Ask(asking) => self.send(asking),
            // The request is lost: nobody answers.
            Task::Sent(asking) => self.world.tasks.push(Task::Answered(asking, Said::Unknown)),
            Task::Answered(asking, said) => self.answered(asking, said),
            Task::Accept(asking) => {
                let row = self.world.row(asking.repository);
                if asking.is_same && row.attempt == Some(asking.attempt) {
                    row.again = Again::Accepted;
                    self.not_canceling(asking.repository);
                    self.meet(Met::AskedAgain);
                }
            }
            Task::Look(looking) => {
                let view = self.view(looking.repository);
                self.world.tasks.push(Task::Saw(looking, view));
            }
            Task::Saw(looking, view) => self.care(looking, view),
            Task::Cancel(looking) => {
                let import = self.world.imports[self.index(looking.repository)];
                if import.by.is_some() && !import.is_late {
                    self.broke(Violation::AbortedHealthy);
                }
                let answer = self.delete(looking.repository, false);
                self.meet(Met::GuardCancels);
                self.world.tasks.push(Task::Canceled(looking, answer));
            }
            Task::Canceled(looking, answer) => {
                let care = self.model.decisions.canceled(looking.seen, answer);
                self.remedy(looking, care);
            }
            Task::GiveUp(giving_up) => self.give_up(giving_up),
        }
    }

    fn remove(&mut self, task: Task) {
        if let Some(at) = self.world.tasks.iter().position(|known| *known == task) {
            self.world.tasks.remove(at);
        }
    }

    /// A repository that was aborted goes on, by what the registry says of it.
    fn go_on_after_abort(&mut self, asking: Asking, view: RegistryView) {
        let Some(plan) = self.model.decisions.resumption(asking.step, view) else {
            return self.world.tasks.push(Task::Ask(asking));
        };
        let new = self.new_attempt(asking.repository);
        let precondition = Precondition::Attempt(Some(asking.attempt));
        if self.change(asking.repository, plan, precondition, Cause::Answer) == Verdict::Applied
            && self.now(asking.repository).attempt == Some(new)
        {
            self.ask_first(asking.repository);
        }
    }

    fn send(&mut self, asking: Asking) {
        let Asking { repository, attempt, step, is_again, .. } = asking;
        let row = self.world.row(repository);
        let known = row.known.iter_mut().find(|known| known.attempt == attempt && !is_again);
        if known.is_some_and(|known| std::mem::replace(&mut known.is_sent, true)) {
            self.broke(Violation::StartedTwice);
        }
        self.world.puts.push(Put { repository, attempt, step, is_awaited: true, is_doubled: false });
        self.world.tasks.push(Task::Sent(asking));
    }

    fn answered(&mut self, asking: Asking, said: Said) {
        let Asking { repository, attempt, step, is_again, .. } = asking;
        let migrated = [RegistryStatus::Native, RegistryStatus::ImportComplete].map(RegistryView::Says);
        let said = match said {
            Said::ClaimsMigrated if migrated.contains(&self.view(repository)) => Said::Migrated,
            Said::Unknown if self.model.flip == Some(Flip::SilenceIsRefusal) => Said::Refused,
            other => other,
        };
        self.meet_said(said);
        let runs = match step {
            Step::Pre => Said::PreRuns,
            Step::Final => Said::FinalRuns,
        };
        if is_again && said == runs {
            return self.world.tasks.push(Task::Accept(asking));
        }
        match self.model.decisions.reaction(step, said) {
            Reaction::Stay(StepStatus::Running) if is_again => self.world.tasks.push(Task::Accept(asking)),
            Reaction::Stay(_) => {}
            Reaction::Record { plan, standing, by_registry } => {
                let cause = if by_registry { Cause::Answer } else { Cause::Driver };
                let precondition = Precondition::Attempt(Some(attempt));
                let verdict = self.change(repository, plan, precondition, cause);
                if verdict == Verdict::Applied && standing == StepStatus::MovedOn {
                    self.ask_first(repository);
                }
            }
        }
    }

    fn care(&mut self, looking: Looking, view: RegistryView) {
        let mut seen = looking.seen;
        if self.model.flip == Some(Flip::GuardHasNoPatience) {
            seen.past = true;
        }
        let care = self.model.decisions.guard(seen, view);
        self.remedy(looking, care);
    }

    fn remedy(&mut self, looking: Looking, care: Care) {
        let repository = looking.repository;
        match care {
            Care::Leave => {}
            Care::Cancel => {
                if looking.is_same {
                    self.world.row(repository).canceling = Canceling::Guard;
                    self.world.tasks.push(Task::Cancel(looking));
                }
            }
            Care::AskAgain => {
                let row = self.now(repository);
                let (Some(attempt), Some(step)) = (row.attempt, row.state.running_step()) else { return };
                if !looking.is_same || !self.may_start() {
                    return;
                }
                let row = self.world.row(repository);
                row.again = row.again.max(Again::Asking);
                row.past = false;
                self.not_canceling(repository);
                let asking = Asking { repository, attempt, step, is_again: true, is_same: true };
                self.world.tasks.push(Task::Ask(asking));
            }
            Care::Record(plan) => {
                let new = self.new_attempt(repository);
                let verdict =
                    self.change(repository, plan, Precondition::Attempt(looking.attempt), Cause::Driver);
                if verdict == Verdict::Applied {
                    self.meet(Met::GuardRepairs);
                    if self.now(repository).attempt == Some(new) {
                        self.ask_first(repository);
                    }
                }
            }
        }
    }

    /// The guard's newest note about the row is another one than that it cancels.
    fn not_canceling(&mut self, repository: Repository) {
        let row = self.world.row(repository);
        if row.canceling == Canceling::Guard {
            row.canceling = Canceling::Otherwise;
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

    fn give_up(&mut self, giving_up: GivingUp) {
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

    /// A process does not get an answer to what it asks.
    pub(crate) fn unanswered(&mut self, task: Task) {
        self.remove(task);
        self.meet(Met::Unanswered);
        match task {
            Task::Claimed(asking) => self.world.tasks.push(Task::Told(asking, RegistryView::NoAnswer)),
            Task::Look(looking) => self.world.tasks.push(Task::Saw(looking, RegistryView::NoAnswer)),
            Task::Cancel(looking) => {
                let import = self.world.imports[self.index(looking.repository)];
                if import.by.is_some() && !import.is_late {
                    self.broke(Violation::AbortedHealthy);
                }
                self.delete(looking.repository, false);
                self.world.tasks.push(Task::Canceled(looking, Cancelation::NoAnswer));
            }
            Task::GiveUp(giving_up) => {
                self.delete(giving_up.repository, giving_up.by_force);
            }
            Task::Sent(asking) | Task::Answered(asking, _) => {
                self.forget(asking);
                self.world.tasks.push(Task::Answered(asking, Said::Unknown));
            }
            Task::Told(..) | Task::Ask(_) | Task::Accept(_) | Task::Saw(..) | Task::Canceled(..) => {}
        }
    }

    /// A process dies.
    pub(crate) fn crash(&mut self, task: Task) {
        self.remove(task);
        self.meet(Met::Crashes);
        if let Task::Sent(asking) = task {
            self.forget(asking);
        }
    }

    /// Nobody waits for the answer to a request any more.
    fn forget(&mut self, asking: Asking) {
        let is_it = |put: &&mut Put| {
            put.is_awaited
                && (put.repository, put.attempt, put.step) == (asking.repository, asking.attempt, asking.step)
        };
        if let Some(put) = self.world.puts.iter_mut().find(is_it) {
            put.is_awaited = false;
        }
    }
}
