//! All that the protocol's parts know at one moment. Small, since millions of them are kept.

use shared::migration::{
    Cancelation, NotificationStatus, RegistryStatus, RegistryView, SkipReason, State, Step,
};

use crate::{
    decisions::{Said, Seen},
    statements,
};

/// An attempt's number: from 1 in the order of the row's history, from [`FORMER`] where it is a former row's.
pub type Attempt = u8;

/// The first number of an attempt that belongs to a row that was deleted.
pub const FORMER: Attempt = 100;

/// A repository's number.
pub type Repository = u8;

/// An attempt that the row's history has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Known {
    /// Its number.
    pub attempt: Attempt,
    /// It was made for the pre step, for the final step.
    pub asks: [bool; 2],
    /// Its request was not answered with a 202, or its end was reported.
    pub is_over: bool,
    /// It was surely not started.
    pub is_refused: bool,
    /// A process has asked the registry for it, not counting the guard, which asks once more.
    pub is_sent: bool,
}

/// Whether the guard has asked for the step of the row's attempt once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Again {
    /// No.
    No,
    /// It was about to.
    Asking,
    /// The registry has accepted.
    Accepted,
}

/// Who has noted that the row's step is being canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Canceling {
    /// Nobody.
    No,
    /// The guard, past the step's time, and has noted nothing else since.
    Guard,
    /// Somebody, and it is not the guard's last note.
    Otherwise,
}

/// A row on the writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// How its migration stands.
    pub state: State,
    /// Where it came from.
    pub origin: Option<State>,
    /// The attempt whose notification is awaited.
    pub attempt: Option<Attempt>,
    /// Its slot; 0: none.
    pub slot: u8,
    /// How often it failed by itself.
    pub retries: u8,
    /// Why it was skipped, or why there was nothing to import.
    pub reason: Option<SkipReason>,
    /// `not_before` is still to come.
    pub waits: bool,
    /// It waits for its final step without a slot.
    pub is_held: bool,
    /// It has done so for longer than a pre-import is good for.
    pub is_old: bool,
    /// Its step has run longer than the settings allow.
    pub past: bool,
    /// Nothing is recorded since its step was begun.
    pub is_fresh: bool,
    /// See [`Again`].
    pub again: Again,
    /// See [`Canceling`].
    pub canceling: Canceling,
    /// Another attempt's end was reported to the row's.
    pub is_doubted: bool,
    /// It had attempts that the registry may have run and that nobody remembers.
    pub had_others: bool,
    /// The attempts of its history that matter still, in their order.
    pub known: Vec<Known>,
}

impl Row {
    /// One that was just registered.
    pub(crate) const fn registered() -> Self {
        Self {
            state: State::Default,
            origin: None,
            attempt: None,
            slot: 0,
            retries: 0,
            reason: None,
            waits: false,
            is_held: false,
            is_old: false,
            past: false,
            is_fresh: false,
            again: Again::No,
            canceling: Canceling::No,
            is_doubted: false,
            had_others: false,
            known: vec![],
        }
    }

    /// Whether it holds a slot, or has to.
    pub(crate) const fn is_in_slot(&self) -> bool {
        self.state.is_in_progress() && !self.is_held
    }

    pub(crate) fn knows(&self, attempt: Attempt) -> bool {
        self.known.iter().any(|known| known.attempt == attempt)
    }
}

/// A row as the reader has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    /// Its state.
    pub state: State,
    /// Where it came from.
    pub origin: Option<State>,
    /// Its attempt.
    pub attempt: Option<Attempt>,
}

/// What the registry has of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Import {
    /// How it stands; none: it knows nothing of it.
    pub status: Option<RegistryStatus>,
    /// The attempt whose step is worked at. None where none is, as after a step that was cut off without a word.
    pub by: Option<Attempt>,
    /// It has run longer than the settings allow.
    pub is_late: bool,
    /// It was begun by a request that the network had doubled.
    pub is_doubled: bool,
    /// It was complete at some time.
    pub was_complete: bool,
}

impl Import {
    pub(crate) const NONE: Self =
        Self { status: None, by: None, is_late: false, is_doubled: false, was_complete: false };
}

/// Where a process is, between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Task {
    /// It has claimed a repository that was aborted before, and is about to ask how that stands.
    Claimed(Asking),
    /// The registry has told it.
    Told(Asking, RegistryView),
    /// It is about to ask for a step.
    Ask(Asking),
    /// It has asked for a step, and waits.
    Sent(Asking),
    /// It has the answer.
    Answered(Asking, Said),
    /// Asked once more, the registry has accepted: it is about to note that.
    Accept(Asking),
    /// The guard's: it has leased a row, and is about to ask how it stands.
    Look(Looking),
    /// The guard's: the registry has told it.
    Saw(Looking, RegistryView),
    /// The guard's: it has noted that it cancels, and is about to.
    Cancel(Looking),
    /// The guard's: the registry has answered that.
    Canceled(Looking, Cancelation),
    /// An operator's: it is about to give up a row that it has seen so.
    GiveUp(GivingUp),
}

/// A request for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asking {
    /// Of which repository.
    pub repository: Repository,
    /// With which attempt.
    pub attempt: Attempt,
    /// Which step.
    pub step: Step,
    /// By the guard, once more.
    pub is_again: bool,
    /// The row is as it was.
    pub is_same: bool,
}

/// A look at a row that the guard has leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Looking {
    /// Of which repository.
    pub repository: Repository,
    /// The row's attempt.
    pub attempt: Option<Attempt>,
    /// What else it has seen.
    pub seen: Seen,
    /// The row is as it was.
    pub is_same: bool,
}

/// A cancelation by an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GivingUp {
    /// Of which repository.
    pub repository: Repository,
    /// The state that was seen.
    pub state: State,
    /// The attempt that was seen.
    pub attempt: Option<Attempt>,
    /// By force.
    pub by_force: bool,
    /// How far it has come.
    pub stage: Stage,
    /// The registry has canceled something for it.
    pub has_canceled: bool,
    /// The row is as it was.
    pub is_same: bool,
}

/// How far an operator's cancelation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The row was read.
    Found,
    /// It is noted, and the registry is about to be asked.
    Noted,
    /// Nothing runs: it is to be recorded.
    Stopped,
}

impl Task {
    /// The repository that it is about.
    pub(crate) const fn repository(&self) -> Repository {
        match self {
            Self::Claimed(asking)
            | Self::Told(asking, _)
            | Self::Ask(asking)
            | Self::Sent(asking)
            | Self::Answered(asking, _)
            | Self::Accept(asking) => asking.repository,
            Self::Look(looking)
            | Self::Saw(looking, _)
            | Self::Cancel(looking)
            | Self::Canceled(looking, _) => looking.repository,
            Self::GiveUp(giving_up) => giving_up.repository,
        }
    }

    pub(crate) const fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match self {
            Self::Claimed(asking)
            | Self::Told(asking, _)
            | Self::Ask(asking)
            | Self::Sent(asking)
            | Self::Answered(asking, _)
            | Self::Accept(asking) => Some(&mut asking.attempt),
            Self::Look(looking)
            | Self::Saw(looking, _)
            | Self::Cancel(looking)
            | Self::Canceled(looking, _) => looking.attempt.as_mut(),
            Self::GiveUp(giving_up) => giving_up.attempt.as_mut(),
        }
    }

    /// Whether it holds the row's lease.
    pub(crate) const fn has_leased(&self, repository: Repository) -> bool {
        match self {
            Self::Look(looking)
            | Self::Saw(looking, _)
            | Self::Cancel(looking)
            | Self::Canceled(looking, _) => looking.repository == repository,
            Self::Claimed(_)
            | Self::Told(..)
            | Self::Ask(_)
            | Self::Sent(_)
            | Self::Answered(..)
            | Self::Accept(_)
            | Self::GiveUp(_) => false,
        }
    }

    /// The row that it knows has changed.
    pub(crate) const fn outdate(&mut self) {
        match self {
            Self::Claimed(asking)
            | Self::Told(asking, _)
            | Self::Ask(asking)
            | Self::Sent(asking)
            | Self::Answered(asking, _)
            | Self::Accept(asking) => asking.is_same = false,
            Self::Look(looking)
            | Self::Saw(looking, _)
            | Self::Cancel(looking)
            | Self::Canceled(looking, _) => looking.is_same = false,
            Self::GiveUp(giving_up) => giving_up.is_same = false,
        }
    }
}

/// A request for a step, on its way to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Put {
    /// Of which repository.
    pub repository: Repository,
    /// With which attempt.
    pub attempt: Attempt,
    /// Which step.
    pub step: Step,
    /// Somebody waits for the answer.
    pub is_awaited: bool,
    /// The network has made two of it, and this is the second.
    pub is_doubled: bool,
}

/// A notification, on its way to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Notice {
    /// Of which repository.
    pub repository: Repository,
    /// Of which attempt; none: a proxy has dropped it.
    pub attempt: Option<Attempt>,
    /// How it ended.
    pub status: NotificationStatus,
    /// In the words of a registry that is stopping.
    pub is_cut_off: bool,
    /// The registry waits for the answer, and its import keeps its slot as long.
    pub is_awaited: bool,
}

/// A prefix whose final steps are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hold {
    /// Of which repository; none: of all.
    pub of: Option<Repository>,
    /// What keeps them.
    pub keeper: Keeper,
}

/// What keeps final steps from beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Keeper {
    /// Whoever set the hold.
    Operator,
    /// A window, that is open or closed.
    Window {
        /// They may begin now.
        is_open: bool,
    },
}

impl Hold {
    /// As the rule takes it.
    pub(crate) fn as_rule(self) -> statements::Hold<'static> {
        statements::Hold {
            prefix: self.of.map_or("", path),
            until_released: self.keeper == Keeper::Operator,
            window_is_open: match self.keeper {
                Keeper::Operator => None,
                Keeper::Window { is_open } => Some(is_open),
            },
        }
    }
}

/// A repository's path.
pub(crate) fn path(repository: Repository) -> &'static str {
    const PATHS: [&str; 4] = ["a", "b", "c", "d"];
    PATHS[usize::from(repository)]
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The rows on the writer, in the order of their registration.
    pub rows: Vec<Row>,
    /// The same on the reader.
    pub shown: Vec<Shown>,
    /// What the registry has of each.
    pub imports: Vec<Import>,
    /// What processes are at.
    pub tasks: Vec<Task>,
    /// Requests on their way.
    pub puts: Vec<Put>,
    /// Notifications on their way.
    pub notices: Vec<Notice>,
    /// The kill switch.
    pub enabled: bool,
    /// How many repositories may be in progress.
    pub capacity: u8,
    /// Starts are held back, since the registry is stopping.
    pub is_braked: bool,
    /// The holds of final steps.
    pub holds: Vec<Hold>,
    /// The registry is stopping.
    pub is_stopping: bool,
    /// How many faults may still happen.
    pub faults: u8,
    /// How much operators may still do.
    pub operations: u8,
    /// What does not hold any more: a bit for each of [`Violation`](crate::Violation).
    pub broken: u16,
}

impl World {
    pub(crate) fn row(&mut self, repository: Repository) -> &mut Row {
        &mut self.rows[usize::from(repository)]
    }

    pub(crate) fn import(&mut self, repository: Repository) -> &mut Import {
        &mut self.imports[usize::from(repository)]
    }

    pub(crate) fn in_progress(&self) -> usize {
        self.rows.iter().filter(|row| row.is_in_slot()).count()
    }

    /// Whether a hold holds the final step of a repository at this moment.
    pub(crate) fn is_under_hold(&self, repository: Repository) -> bool {
        statements::held_by(path(repository), self.holds.iter().map(|hold| hold.as_rule())).is_some()
    }

    /// Brings what is the same into the same form: what nobody refers to any more is forgotten, attempts are numbered
    /// anew, and what has no order is sorted.
    pub(crate) fn settle_form(&mut self) {
        for repository in 0..self.rows.len() {
            self.renumber(repository);
        }
        self.tasks.sort_unstable();
        self.puts.sort_unstable();
        self.notices.sort_unstable();
        self.holds.sort_unstable();
    }

    /// What still names an attempt of a row that was deleted names none of its successor's.
    pub(crate) fn rename_former(&mut self, repository: Repository) {
        self.each_attempt(usize::from(repository), |attempt| {
            if *attempt < FORMER {
                *attempt += FORMER + FORMER / 2;
            }
        });
    }

    /// Every place that names one of the repository's attempts.
    fn each_attempt(&mut self, repository: usize, mut visit: impl FnMut(&mut Attempt)) {
        let is_of = |of: Repository| usize::from(of) == repository;
        self.rows[repository].attempt.iter_mut().for_each(&mut visit);
        self.shown[repository].attempt.iter_mut().for_each(&mut visit);
        self.imports[repository].by.iter_mut().for_each(&mut visit);
        for task in self.tasks.iter_mut().filter(|task| is_of(task.repository())) {
            task.attempt_mut().into_iter().for_each(&mut visit);
        }
        for put in self.puts.iter_mut().filter(|put| is_of(put.repository)) {
            visit(&mut put.attempt);
        }
        for notice in self.notices.iter_mut().filter(|notice| is_of(notice.repository)) {
            notice.attempt.iter_mut().for_each(&mut visit);
        }
    }

    fn renumber(&mut self, repository: usize) {
        let mut named = [false; 256];
        self.each_attempt(repository, |attempt| named[usize::from(*attempt)] = true);
        let mut number = [0; 256];
        let row = &mut self.rows[repository];
        let mut next = 1;
        let mut had_others = row.had_others;
        row.known.retain_mut(|known| {
            let is_kept = named[usize::from(known.attempt)] || !(known.is_over || known.is_refused);
            if is_kept {
                number[usize::from(known.attempt)] = next;
                known.attempt = next;
                next += 1;
            } else {
                had_others |= !known.is_refused;
            }
            is_kept
        });
        row.had_others = had_others;
        let mut former = FORMER;
        for attempt in 0..named.len() {
            if named[attempt] && number[attempt] == 0 {
                number[attempt] = former;
                former += 1;
            }
        }
        self.each_attempt(repository, |attempt| *attempt = number[usize::from(*attempt)]);
    }
}
