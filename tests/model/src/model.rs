use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
};

use shared::{
    endpoint::{EndpointKind, Notification, Purpose},
    migration::{Event, State},
};
use stateright::Property;

use crate::{
    Action, Flip,
    decisions::{Decisions, Said},
    world::{Import, Repository, Row, Shown, World},
};

/// What must never happen, and the property that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A notification of the row's own attempt was refused.
    RefusedNotification,
    /// More repositories are in progress than the capacity allows.
    OverCapacity,
    /// A process has asked for the same attempt that was asked for already.
    StartedTwice,
    /// An attempt of a row that was deleted has changed its successor.
    ChangedByFormerRow,
    /// A row is done although the registry never said so.
    DoneWithoutWord,
    /// The driver gave up what is complete, or may yet be.
    GaveUpTooSoon,
    /// The guard canceled a step that is within its time.
    AbortedHealthy,
    /// A row has left a terminal state, and no operator wanted it.
    LeftTheEnd,
    /// A row was given up without saying why.
    SkippedWithoutReason,
    /// A row is held and holds a slot, or is in progress and neither.
    SlotOfHeld,
    /// A final step was begun, or asked for once more, while a hold held it.
    BegunWhileHeld,
}

impl Violation {
    /// Every one of them.
    pub const ALL: [Self; 11] = [
        Self::RefusedNotification,
        Self::OverCapacity,
        Self::StartedTwice,
        Self::ChangedByFormerRow,
        Self::DoneWithoutWord,
        Self::GaveUpTooSoon,
        Self::AbortedHealthy,
        Self::LeftTheEnd,
        Self::SkippedWithoutReason,
        Self::SlotOfHeld,
        Self::BegunWhileHeld,
    ];

    /// The property that it breaks.
    #[must_use]
    pub const fn property(self) -> &'static str {
        match self {
            Self::RefusedNotification => {
                "no notification is refused for a state that the writer has already passed"
            }
            Self::OverCapacity => "the capacity is never exceeded, also after it was lowered",
            Self::StartedTwice => "no repository is started twice in one attempt",
            Self::ChangedByFormerRow => "no attempt of a former row changes a new one",
            Self::DoneWithoutWord => "import_done never comes without the registry having said so",
            Self::GaveUpTooSoon => "a finished import is never lost",
            Self::AbortedHealthy => "nothing healthy is aborted",
            Self::LeftTheEnd => "terminal stays terminal but for an operator's reopen",
            Self::SkippedWithoutReason => "what is skipped has a reason",
            Self::SlotOfHeld => "a held repository holds no slot, and every other one in progress does",
            Self::BegunWhileHeld => "no final step begins while a hold holds it",
        }
    }
}

/// The property that faults and their end are about.
pub(crate) const SETTLES: &str = "once faults stop, every repository ends done, or skipped with a reason, or waits for its hold and ends after it";

/// Declares what may be met, each with its name.
macro_rules! met {
    ($($name:ident = $text:literal,)+) => {
        /// What is met somewhere, besides the core's events and the registry's answers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Met { $(
            #[doc = $text]
            $name,
        )+ }

        impl Met {
            const NAMES: &'static [&'static str] = &[$($text),+];
        }
    };
}

met! {
    NoticeApplied = "a notification is applied",
    NoticeOfEarlier = "a notification is of an earlier attempt",
    NoticeOfOver = "a notification is of an attempt that is over",
    NoticeOfNothingNew = "a notification tells nothing new",
    NoticeUnverified = "a notification proves nothing by itself",
    NoticeRefused = "a notification is refused",
    AskedAgain = "the guard asks again with the same attempt",
    GuardCancels = "the guard cancels a step past its time",
    GuardRepairs = "the guard records what the registry says",
    OperatorCancels = "an operator cancels what runs",
    Stops = "the registry stops gracefully",
    IsKilled = "the registry is killed",
    Crashes = "a process dies",
    Unanswered = "a question is not answered",
    Loses = "the network loses a message",
    Doubles = "the network doubles a message",
    Delays = "the network delays a message past its time",
    Strips = "a proxy drops the id of an attempt",
    Lags = "the reader has caught up",
    Lowers = "the capacity is lowered",
    SwitchesOff = "the kill switch is off",
    Deletes = "a repository is deleted and registered again",
    Resumes = "a parked repository goes on",
    OperatorStarts = "an operator starts a repository",
    Releases = "an operator removes a hold",
    Opens = "a window opens",
    Closes = "a window closes",
    GoesOn = "what was held goes on with its final step",
}

/// How many things are to be met: the core's events, the registry's answers, and the rest.
pub(crate) const MEETABLE: usize = EVENTS + Said::ALL.len() + Met::NAMES.len();

/// The core's events.
const EVENTS: usize = Event::ALL.len();

/// What is met is a bit each.
const SAID: usize = EVENTS;
const REST: usize = SAID + Said::ALL.len();

/// The protocol, with so many of everything.
pub struct Model {
    /// How many repositories.
    pub repositories: Repository,
    /// How many processes at once.
    pub processes: usize,
    /// How many repositories may be in progress at first.
    pub capacity: u8,
    /// How many imports the registry runs at once.
    pub room: u8,
    /// A repository that failed this often by itself is skipped.
    pub max_retries: u8,
    /// How many faults happen at most.
    pub faults: u8,
    /// How much operators do at most.
    pub operations: u8,
    /// The decision that is turned round, if any.
    pub flip: Option<Flip>,
    pub(crate) decisions: &'static Decisions,
    met: AtomicU64,
    /// The properties that were seen not to hold: a bit each.
    fallen: AtomicU64,
    /// What the checker was told to be met.
    announced: AtomicU64,
}

impl Model {
    /// Two repositories and two processes.
    #[must_use]
    pub fn new(capacity: u8, faults: u8, operations: u8) -> Self {
        Self {
            repositories: 2,
            processes: 2,
            capacity,
            room: capacity,
            max_retries: 2,
            faults,
            operations,
            flip: None,
            decisions: Decisions::real(),
            met: AtomicU64::new(0),
            fallen: AtomicU64::new(0),
            announced: AtomicU64::new(0),
        }
    }

    /// The same, with one decision turned round.
    #[must_use]
    pub fn flipped(self, flip: Flip) -> Self {
        Self { flip: Some(flip), ..self }
    }

    /// What has been met so far, by name.
    #[must_use]
    pub fn met(&self) -> Vec<&'static str> {
        let met = self.met.load(Ordering::Relaxed);
        (0..MEETABLE).filter(|bit| met >> bit & 1 == 1).map(name_of).collect()
    }

    /// What has not been met so far, by name.
    #[must_use]
    pub fn missed(&self) -> Vec<&'static str> {
        let met = self.met.load(Ordering::Relaxed);
        (0..MEETABLE).filter(|bit| met >> bit & 1 == 0).map(name_of).collect()
    }

    /// What the reader shows of a row, as far as anybody asks it: the guard's scan asks whether it is in progress.
    pub(crate) fn shown(&self, row: &Row) -> Shown {
        let is_judged_there = self.flip == Some(Flip::NotificationOnReader)
            || Notification::RULE.endpoint != EndpointKind::Writer;
        match row.state {
            _ if is_judged_there => Shown { state: row.state, origin: row.origin, attempt: row.attempt },
            // The guard looks for none that is held.
            _ if row.is_in_slot() => Shown { state: State::PreImporting, origin: None, attempt: None },
            _ => Shown { state: State::Default, origin: None, attempt: None },
        }
    }

    /// Whether a property still stands. The first world in which it falls is the one that counts: a breadth-first search
    /// meets it first by the shortest way, and the checker would keep the last.
    fn stands(&self, property: usize, holds: bool) -> bool {
        holds || self.fallen.fetch_or(1 << property, Ordering::Relaxed) >> property & 1 == 1
    }

    pub(crate) fn turn(&self, world: World) -> Turn<'_> {
        Turn { model: self, world, met: 0 }
    }
}

fn name_of(bit: usize) -> &'static str {
    if bit < SAID {
        Event::ALL[bit].name()
    } else if bit < REST {
        Said::ALL[bit - SAID].name()
    } else {
        Met::NAMES[bit - REST]
    }
}

/// One action at work on a world.
pub(crate) struct Turn<'a> {
    pub model: &'a Model,
    pub world: World,
    met: u64,
}

impl Turn<'_> {
    pub fn broke(&mut self, violation: Violation) {
        self.world.broken |= 1 << violation as u16;
    }

    pub fn meet(&mut self, met: Met) {
        self.met |= 1 << (REST + met as usize);
    }

    pub fn meet_events(&mut self, events: u16) {
        self.met |= u64::from(events);
    }

    pub fn meet_said(&mut self, said: Said) {
        self.met |= 1 << (SAID + said as usize);
    }

    /// The world afterwards.
    pub fn close(mut self) -> World {
        self.world.settle_form();
        self.world
    }
}

impl stateright::Model for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let rows: Vec<Row> = (0..self.repositories).map(|_| Row::registered()).collect();
        vec![World {
            shown: rows.iter().map(|row| self.shown(row)).collect(),
            imports: rows.iter().map(|_| Import::NONE).collect(),
            rows,
            tasks: vec![],
            puts: vec![],
            notices: vec![],
            enabled: true,
            capacity: self.capacity,
            is_braked: false,
            holds: vec![],
            is_stopping: false,
            faults: self.faults,
            operations: self.operations,
            broken: 0,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken == 0 {
            self.possible(world, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut turn = self.turn(world.clone());
        turn.act(&action);
        self.met.fetch_or(turn.met, Ordering::Relaxed);
        Some(turn.close())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties: Vec<Property<Self>> = vec![
            holds::<0>(),
            holds::<1>(),
            holds::<2>(),
            holds::<3>(),
            holds::<4>(),
            holds::<5>(),
            holds::<6>(),
            holds::<7>(),
            holds::<8>(),
            holds::<9>(),
            holds::<10>(),
            Property::always(SETTLES, |model: &Self, world: &World| {
                model.stands(Violation::ALL.len(), world.broken != 0 || model.settles(world))
            }),
        ];
        if self.flip.is_none() {
            properties.extend(meets());
        }
        properties
    }
}

/// The property that a violation breaks, by its place in [`Violation::ALL`].
fn holds<const NUMBER: usize>() -> Property<Model> {
    Property::always(Violation::ALL[NUMBER].property(), |model: &Model, world: &World| {
        model.stands(NUMBER, world.broken >> NUMBER & 1 == 0)
    })
}

/// That each of what may be met is met.
fn meets() -> Vec<Property<Model>> {
    /// Whether the bit is set, as functions of their own for each: a property holds no data. True once, since the checker
    /// keeps the way to each world in which it is.
    fn met<const BIT: usize>(model: &Model, _: &World) -> bool {
        let is_set = |bits: u64| bits >> BIT & 1 == 1;
        is_set(model.met.load(Ordering::Relaxed))
            && !is_set(model.announced.load(Ordering::Relaxed))
            && !is_set(model.announced.fetch_or(1 << BIT, Ordering::Relaxed))
    }
    macro_rules! conditions {
        ($($bit:literal)+) => { [$(met::<$bit>),+] };
    }
    let conditions: [fn(&Model, &World) -> bool; MEETABLE] = conditions!(
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
        40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55
    );
    let names: [&'static str; MEETABLE] = array::from_fn(name_of);
    names.into_iter().zip(conditions).map(|(name, condition)| Property::sometimes(name, condition)).collect()
}
