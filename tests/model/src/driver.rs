//! The driver's processes: what they do between two calls, with the core's decisions and the statements' verdicts.

use shared::{
    driver::StepStatus,
    endpoint::{EndpointKind, Notification, Purpose},
    migration::{RegistryStatus, RegistryView, Step},
    store::Verdict,
};

use crate::{
    Flip,
    decisions::{Care, Left, PlanId, Reaction, Said, Seen, Standing},
    model::{Met, Turn, Violation},
    statements::{self, Judged, Outcome, Precondition},
    world::{Again, Asking, Canceling, Known, Looking, Notice, Put, Repository, Task},
    writer::Cause,
};

impl Turn<'_> {
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
        match self.model.decisions.left(verdict, row.state, row.is_held, row.attempt == Some(new)) {
            // A freed slot is filled by a claim, which may come at any time.
            Left::Nothing | Left::FillSlot => {}
            Left::StartFinal => self.ask_first(repository),
            Left::Reconcile => self.look(repository),
        }
    }

    /// The same judgement by what the reader has.
    fn is_refused_by_reader(&self, notice: Notice, plan: PlanId) -> bool {
        let shown = self.world.shown[self.index(notice.repository)];
        let standing = Standing {
            state: shown.state,
            origin: shown.origin,
            is_held: false,
            ..self.standing(notice.repository)
        };
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
        if !row.is_in_slot() || is_leased {
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
            under_hold: self.world.is_under_hold(repository),
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

    pub(crate) fn remove(&mut self, task: Task) {
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
                let under_hold = self.world.is_under_hold(repository);
                if !looking.is_same
                    || !statements::may_be_asked_again(self.may_start(), row.state, under_hold)
                {
                    return;
                }
                if step == Step::Final && under_hold {
                    self.broke(Violation::BegunWhileHeld);
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
}
