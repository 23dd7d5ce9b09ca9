//! What one statement does on the writer: a change of one row, and the claims.

use shared::{
    migration::{RegistryStatus, State},
    store::Verdict,
};

use crate::{
    Flip,
    decisions::{AttemptAfter, Effect, PlanId, Standing},
    model::{Met, Turn, Violation},
    statements::{self, Candidate, Judged, Outcome, Precondition, Request},
    world::{Again, Asking, Attempt, Canceling, FORMER, Known, Repository, Row, Task, path},
};

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
    pub(crate) fn index(&self, repository: Repository) -> usize {
        usize::from(repository)
    }

    pub(crate) fn now(&self, repository: Repository) -> &Row {
        &self.world.rows[self.index(repository)]
    }

    /// The kill switch, or the brake, which does the same to what is decided while a row is locked.
    pub(crate) fn may_start(&self) -> bool {
        self.world.enabled && !self.world.is_braked
    }

    pub(crate) fn standing(&self, repository: Repository) -> Standing {
        let row = self.now(repository);
        Standing {
            state: row.state,
            origin: row.origin,
            is_held: row.is_held,
            is_old: row.is_old,
            under_hold: self.world.is_under_hold(repository),
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
        let effect = self.model.decisions.effect(plan, self.standing(repository));
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
        row.is_held = effect.is_held;
        row.is_old &= effect.is_held;
        let has_its_place = (row.slot > 0) == row.is_in_slot();
        self.world.is_braked |= stops;
        if !has_its_place {
            self.broke(Violation::SlotOfHeld);
        }
        self.meet_events(effect.events);
        self.outdate(repository);
    }

    pub(crate) fn outdate(&mut self, repository: Repository) {
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
        if effect.asks[1] && self.world.is_under_hold(repository) {
            self.broke(Violation::BegunWhileHeld);
        }
        if effect.state == State::ImportSkipped && effect.reason.is_none() {
            self.broke(Violation::SkippedWithoutReason);
        }
    }

    pub(crate) fn new_attempt(&self, repository: Repository) -> Attempt {
        1 + self.now(repository).known.iter().map(|known| known.attempt).max().unwrap_or_default()
    }

    pub(crate) fn free_slot(&self) -> Option<u8> {
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
    pub(crate) fn begin(&mut self, repository: Repository, plan: PlanId) {
        let standing = Standing {
            enabled: true,
            at_retry_limit: false,
            past_time: false,
            under_hold: self.is_kept_from_claims(repository),
            ..self.standing(repository)
        };
        let Some(effect) = self.model.decisions.effect(plan, standing) else { return };
        let had_slot = self.now(repository).is_in_slot();
        self.apply(repository, effect, Cause::Driver);
        if !had_slot && self.world.in_progress() > usize::from(self.world.capacity) {
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

    /// Whether a hold holds the final step of a repository, for whoever claims it.
    fn is_kept_from_claims(&self, repository: Repository) -> bool {
        self.model.flip != Some(Flip::ClaimIgnoresHold) && self.world.is_under_hold(repository)
    }

    /// Which row a claim would take.
    pub(crate) fn next_due(&self) -> Option<Repository> {
        let candidates = (0..).zip(&self.world.rows).map(|(repository, row)| Candidate {
            path: path(repository),
            state: row.state,
            is_held: row.is_held,
            under_hold: self.is_kept_from_claims(repository),
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
            let was_held = self.now(repository).is_held;
            self.begin(repository, self.model.decisions.claim);
            if was_held && self.now(repository).state == State::Importing {
                self.meet(Met::GoesOn);
            }
        }
    }

    /// Which parked row would go on.
    pub(crate) fn next_parked(&self) -> Option<Repository> {
        let parked = |row: &Row| row.state == State::PreImportDone && !row.is_held && !row.waits;
        let next = self.world.rows.iter().position(parked).filter(|_| self.may_start());
        next.and_then(|next| Repository::try_from(next).ok())
    }

    pub(crate) fn resume(&mut self) {
        let Some(repository) = self.next_parked() else { return };
        if self.world.is_under_hold(repository) {
            let seen = self.now(repository).attempt;
            self.change(repository, self.model.decisions.hold, Precondition::Attempt(seen), Cause::Driver);
        } else {
            self.meet(Met::Resumes);
            self.begin(repository, self.model.decisions.resume);
        }
    }
}
