//! What may happen in a sequence: every way by which the driver changes a row.

use std::time::Duration;

use proptest::{prelude::*, sample::select};
use shared::migration::{
    Cancelation, Event, NotificationStatus, Plan, RegistryStatus, RegistryView, Settled, SkipReason, State,
    Step,
};

use super::world::Keeper;

/// How many repositories a sequence has.
pub const REPOSITORIES: usize = 3;

/// What may be held: all, a namespace, one repository, and what is the beginning of a name only.
const PREFIXES: [&str; 4] = ["", "group", "group/plain", "group/ma"];

/// One thing that happens. Repositories are named by their number.
#[derive(Clone, Debug)]
pub enum Happening {
    /// An operator starts it.
    Start(usize),
    /// An operator retries it.
    Retry(usize),
    /// A free slot is given to whatever is due.
    Claim,
    /// What is parked goes on.
    Resume,
    /// A notification comes.
    Notify(usize, NotificationStatus, Id),
    /// The registry has answered a start, of this row's attempt or of another.
    Answer(usize, Answer, Id),
    /// The registry has said how it stands, before a retry of this step.
    Resumption(usize, Step, RegistryView),
    /// The guard acts on what the registry says of it, past its time or not, and on what it says to a cancelation.
    Guard(usize, RegistryView, Cancelation, Doubts),
    /// An operator gives it up.
    Skip(usize, SkipReason),
    /// An operator reopens it, with a reason or without.
    Reopen(usize, bool),
    /// An operator reopens all in this state.
    ReopenAll(State),
    /// A sweep skips what has too many tags.
    SkipManyTags,
    /// The last statement is sent once more, as after an unknown outcome.
    Again,
    /// It is removed and registered anew.
    Anew(usize),
    /// The final steps below this prefix are held by that, or no more.
    Hold(&'static str, Option<Keeper>),
    /// Nothing is held any more.
    ReleaseAll,
    /// It has been held for days; nothing is held any more, and a free slot is given to whatever is due.
    HeldForDays(usize),
    /// Its wait is over.
    WaitIsOver(usize),
    /// The kill switch.
    Enabled(bool),
    /// The capacity.
    Capacity(i32),
    /// How long a first retry waits.
    RetryBackoff(u64),
    /// The limit of tags.
    MaxTags(i32),
}

/// Which attempt is named.
#[derive(Clone, Copy, Debug)]
pub enum Id {
    None,
    Current,
    Earlier,
    MadeUp,
}

/// What else decides for the guard.
#[derive(Clone, Copy, Debug)]
pub struct Doubts {
    pub past_its_time: bool,
    pub earlier_attempt: bool,
    pub asked_again: bool,
}

/// What the registry's answers to a start come to.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Postponed,
    Migrated(Settled),
    Runs(Step),
    PreStepRequired,
    Refused,
    Unwelcome,
}

impl Answer {
    pub fn plan(self) -> Plan {
        let later = Duration::from_secs(3600);
        match self {
            Self::Postponed => Plan::event(Event::StartRefused).not_before(later),
            Self::Migrated(settled) => Plan::event(Event::AlreadyMigrated(settled)),
            Self::Runs(step) => Plan::event(Event::Adopt(step)),
            Self::PreStepRequired => Plan::event(Event::StartPreImport),
            Self::Refused => Plan::event(Event::AbortImport { counted: true }),
            Self::Unwelcome => Plan::event(Event::AbortImport { counted: false }).not_before(later),
        }
    }
}

fn one() -> impl Strategy<Value = usize> {
    0..REPOSITORIES
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![1 => Just(Id::None), 6 => Just(Id::Current), 1 => Just(Id::Earlier), 1 => Just(Id::MadeUp)]
}

/// What lets a migration go on comes most often: it would not get far otherwise.
fn status() -> impl Strategy<Value = NotificationStatus> {
    prop_oneof![4 => Just(NotificationStatus::PreImportComplete), 4 => select(NotificationStatus::ALL)]
}

fn answer() -> impl Strategy<Value = Answer> {
    select(vec![
        Answer::Postponed,
        Answer::Postponed,
        Answer::Postponed,
        Answer::Migrated(Settled::NativeImport),
        Answer::Migrated(Settled::NotFound),
        Answer::Runs(Step::Pre),
        Answer::Runs(Step::Final),
        Answer::PreStepRequired,
        Answer::Refused,
        Answer::Unwelcome,
    ])
}

fn view() -> impl Strategy<Value = RegistryView> {
    let statuses = RegistryStatus::ALL.iter().copied().map(RegistryView::Says);
    select(statuses.chain([RegistryView::KnowsNothing, RegistryView::NoAnswer]).collect::<Vec<_>>())
}

fn cancelation() -> impl Strategy<Value = Cancelation> {
    let stands = RegistryStatus::ALL.iter().copied().map(Cancelation::Stands);
    let others = [Cancelation::Accepted, Cancelation::KnowsNothing, Cancelation::NoAnswer];
    prop_oneof![Just(Cancelation::Accepted), select(stands.chain(others).collect::<Vec<_>>())]
}

fn keeper() -> impl Strategy<Value = Option<Keeper>> {
    let keepers = [Keeper::Operator, Keeper::Operator, Keeper::Closed, Keeper::Open].map(Some);
    select(keepers.into_iter().chain([None, None]).collect::<Vec<_>>())
}

fn doubts() -> impl Strategy<Value = Doubts> {
    any::<[bool; 3]>().prop_map(|[past_its_time, earlier_attempt, asked_again]| Doubts {
        past_its_time,
        earlier_attempt,
        asked_again,
    })
}

/// A sequence.
pub fn sequence() -> impl Strategy<Value = Vec<Happening>> {
    let reasons =
        vec![SkipReason::NotInPlan, SkipReason::MigrationCanceled, SkipReason::MigrationForcedCanceled];
    let happening = prop_oneof![
        5 => one().prop_map(Happening::Start),
        3 => one().prop_map(Happening::Retry),
        8 => Just(Happening::Claim),
        4 => Just(Happening::Resume),
        16 => (one(), status(), id()).prop_map(|(one, status, id)| Happening::Notify(one, status, id)),
        12 => (one(), answer(), id()).prop_map(|(one, answer, id)| Happening::Answer(one, answer, id)),
        6 => (one(), select(vec![Step::Pre, Step::Final]), view())
            .prop_map(|(one, step, view)| Happening::Resumption(one, step, view)),
        12 => (one(), view(), cancelation(), doubts())
            .prop_map(|(one, view, canceled, doubts)| Happening::Guard(one, view, canceled, doubts)),
        3 => (one(), select(reasons)).prop_map(|(one, reason)| Happening::Skip(one, reason)),
        4 => (one(), any::<bool>()).prop_map(|(one, reason)| Happening::Reopen(one, reason)),
        1 => select(vec![State::ImportAborted, State::ImportSkipped, State::ImportDone])
            .prop_map(Happening::ReopenAll),
        1 => Just(Happening::SkipManyTags),
        6 => Just(Happening::Again),
        5 => one().prop_map(Happening::Anew),
        10 => (select(PREFIXES.to_vec()), keeper())
            .prop_map(|(prefix, keeper)| Happening::Hold(prefix, keeper)),
        4 => Just(Happening::ReleaseAll),
        8 => one().prop_map(Happening::HeldForDays),
        4 => one().prop_map(Happening::WaitIsOver),
        4 => prop_oneof![2 => Just(true), 1 => Just(false)].prop_map(Happening::Enabled),
        1 => (0..4).prop_map(Happening::Capacity),
        1 => select(vec![0, 10]).prop_map(Happening::MaxTags),
        2 => select(vec![0, 30, 3600]).prop_map(Happening::RetryBackoff),
    ];
    proptest::collection::vec(happening, 40..80)
}
