//! The real core, asked once for everything that the model may meet: its answers are looked up from then on.
//!
//! Nothing is decided here. A table holds what [`shared::migration`] and [`shared::driver`] say of a row that stands for all
//! of its kind.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use jiff::Timestamp;
use shared::{
    driver::{
        FollowUp, StepStatus,
        decision::{Decision, answered, decide},
        left_to_do,
    },
    migration::{
        AttemptId, Cancelation, ContainerRepository, Event, GuardDecision, GuardSettings, Limits, Made,
        NotificationStatus, Plan, RegistryStatus, RegistryView, Remedy, RepositoryPath, Resumption, Signal,
        Situation, SkipReason, State, Step, StepTimes, Stuck, canceled_decision, guard_decision, resumption,
    },
    registry::{PreImportCode, StartAnswer},
    store::{Answered, Changed, Verdict},
};
use uuid::Uuid;

/// A plan of the core's, by its number.
pub(crate) type PlanId = u16;

/// What a change does with the row's attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptAfter {
    Kept,
    New,
    Adopted,
    Cleared,
}

/// What a plan does to a row in one situation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect {
    pub is_empty: bool,
    pub needs_proof: bool,
    pub state: State,
    pub origin: Option<State>,
    pub attempt: AttemptAfter,
    pub holds_slot: bool,
    pub counts: bool,
    pub resets_retries: bool,
    pub reason: Option<SkipReason>,
    pub waits: bool,
    /// It waits for its final step without a slot.
    pub is_held: bool,
    /// The time of the step that runs afterwards is counted from now.
    pub restarts_time: bool,
    /// The states entered by asking for a step: those of the pre step, of the final step.
    pub asks: [bool; 2],
    /// The last of its events asks for a step.
    pub ends_asking: bool,
    /// It says that the step was surely not started.
    pub is_refusal: bool,
    /// It tells of a registry that is stopping.
    pub stops: bool,
    /// The core's events, by their place in [`Event::ALL`].
    pub events: u16,
}

/// Where a row stands, and what besides decides on a plan's outcome.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Standing {
    pub state: State,
    pub origin: Option<State>,
    /// It waits for its final step without a slot.
    pub is_held: bool,
    /// It has done so for long.
    pub is_old: bool,
    /// A hold holds its final step at this moment.
    pub under_hold: bool,
    pub enabled: bool,
    pub at_retry_limit: bool,
    pub past_time: bool,
}

impl Standing {
    /// The flags besides where the row stands, each a bit.
    const FLAGS: u8 = 5;
}

/// What the guard knows of a row that it has leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seen {
    /// Its state.
    pub state: State,
    /// Where it came from.
    pub origin: Option<State>,
    /// It has an attempt.
    pub has_attempt: bool,
    /// Its step has run longer than the settings allow.
    pub past: bool,
    /// The kill switch.
    pub enabled: bool,
    /// It has had another attempt that the registry may have run.
    pub earlier: bool,
    /// The registry has accepted to be asked again.
    pub asked_again: bool,
    /// A hold holds its final step.
    pub under_hold: bool,
}

/// What the guard does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Care {
    Leave,
    Cancel,
    AskAgain,
    Record(PlanId),
}

/// The registry's answer to a start, without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Said {
    /// 202.
    Accepted,
    /// 200.
    ClaimsMigrated,
    /// 200, and its status says the same.
    Migrated,
    /// 425.
    PreRuns,
    /// 409.
    FinalRuns,
    /// 424.
    PreRequired,
    /// 429.
    Full,
    /// 429, of the repository.
    NotReady,
    /// It was surely not sent.
    NotSent,
    /// Nobody knows.
    Unknown,
    /// Another 4xx of the registry's.
    Refused,
    /// Something else answered.
    Foreign,
}

impl Said {
    pub(crate) const ALL: [Self; 12] = [
        Self::Accepted,
        Self::ClaimsMigrated,
        Self::Migrated,
        Self::PreRuns,
        Self::FinalRuns,
        Self::PreRequired,
        Self::Full,
        Self::NotReady,
        Self::NotSent,
        Self::Unknown,
        Self::Refused,
        Self::Foreign,
    ];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "202",
            Self::ClaimsMigrated => "200, and its status does not say the same",
            Self::Migrated => "200, and its status says the same",
            Self::PreRuns => "425 PRE_IMPORT_IN_PROGRESS",
            Self::FinalRuns => "409 IMPORT_IN_PROGRESS",
            Self::PreRequired => "424 PRE_IMPORT_REQUIRED",
            Self::Full => "429 IMPORT_RATE_LIMIT",
            Self::NotReady => "429 IMPORT_REPOSITORY_NOT_READY",
            Self::NotSent => "nothing: it was surely not sent",
            Self::Unknown => "nothing",
            Self::Refused => "400 with the registry's error",
            Self::Foreign => "405 without the registry's error",
        }
    }

    fn real(self) -> StartAnswer {
        match self {
            Self::Accepted => StartAnswer::Accepted,
            Self::ClaimsMigrated => StartAnswer::ClaimsMigrated,
            Self::Migrated => StartAnswer::AlreadyMigrated,
            Self::PreRuns => StartAnswer::AlreadyRunning(Step::Pre),
            Self::FinalRuns => StartAnswer::AlreadyRunning(Step::Final),
            Self::PreRequired => StartAnswer::PreImportRequired { code: PreImportCode::Required },
            Self::Full => StartAnswer::RateLimited,
            Self::NotReady => StartAnswer::NotReady,
            Self::NotSent => StartAnswer::NotSent { reason: String::new() },
            Self::Unknown => StartAnswer::Unknown { reason: String::new() },
            Self::Refused => StartAnswer::Refused { status: 400, code: "UNKNOWN".to_owned(), detail: None },
            Self::Foreign => StartAnswer::NotTheRegistry { status: 405 },
        }
    }
}

/// What an answer to a start asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reaction {
    Stay(StepStatus),
    Record { plan: PlanId, standing: StepStatus, by_registry: bool },
}

/// What a notification leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    StartFinal,
    FillSlot,
    Reconcile,
}

/// The core's answers.
pub(crate) struct Decisions {
    effects: HashMap<(PlanId, Standing), Effect>,
    guard: HashMap<(Seen, RegistryView), Care>,
    canceled: HashMap<(Seen, Cancelation), Care>,
    reactions: HashMap<(Step, Said), Reaction>,
    resumptions: HashMap<(Step, RegistryView), Option<PlanId>>,
    notified: HashMap<(NotificationStatus, bool), PlanId>,
    left: HashMap<(Verdict, State, bool, bool), Left>,
    skips: HashMap<(State, SkipReason), PlanId>,
    pub claim: PlanId,
    pub resume: PlanId,
    pub hold: PlanId,
    pub reopen: PlanId,
}

/// The attempts of the row that stands for all.
const OWN: AttemptId = AttemptId::new(Uuid::from_u128(1));
const NEW: AttemptId = AttemptId::new(Uuid::from_u128(2));
const ADOPTED: AttemptId = AttemptId::new(Uuid::from_u128(3));

/// The words of a registry that is stopping.
const CUT_OFF: &str = "forced cancelation";

/// The retry limit of the row that stands for all.
const MAX_RETRIES: i32 = 3;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

impl Decisions {
    /// Those of the real core.
    pub fn real() -> &'static Self {
        static REAL: OnceLock<Decisions> = OnceLock::new();
        REAL.get_or_init(|| Builder::default().build())
    }

    /// None: the row's situation refuses.
    pub fn effect(&self, plan: PlanId, standing: Standing) -> Option<Effect> {
        self.effects.get(&(plan, standing)).copied()
    }

    pub fn guard(&self, seen: Seen, view: RegistryView) -> Care {
        self.guard[&(seen, view)]
    }

    pub fn canceled(&self, seen: Seen, answer: Cancelation) -> Care {
        self.canceled[&(seen, answer)]
    }

    pub fn reaction(&self, step: Step, said: Said) -> Reaction {
        self.reactions[&(step, said)]
    }

    /// The plan that is recorded before a retry; none: the registry is asked.
    pub fn resumption(&self, step: Step, view: RegistryView) -> Option<PlanId> {
        self.resumptions[&(step, view)]
    }

    pub fn notified(&self, status: NotificationStatus, is_cut_off: bool) -> PlanId {
        self.notified[&(status, is_cut_off)]
    }

    pub fn left(&self, verdict: Verdict, state: State, is_held: bool, is_new_attempt: bool) -> Left {
        self.left[&(verdict, state, is_held, is_new_attempt)]
    }

    pub fn skip(&self, state: State, reason: SkipReason) -> PlanId {
        self.skips[&(state, reason)]
    }
}

/// Asks the core, and numbers its plans.
#[derive(Default)]
struct Builder {
    plans: Vec<Plan>,
}

impl Builder {
    fn plan(&mut self, plan: Plan) -> PlanId {
        let number = self.plans.iter().position(|known| *known == plan).unwrap_or_else(|| {
            self.plans.push(plan);
            self.plans.len() - 1
        });
        PlanId::try_from(number).unwrap_or(PlanId::MAX)
    }

    fn build(mut self) -> Decisions {
        let (claim, resume) = (self.plan(Plan::claim()), self.plan(Plan::resume()));
        let (hold, reopen) = (self.plan(Plan::hold()), self.plan(Plan::reopen_with_reason()));
        let guard = self.all_seen(&views(), |stuck, view| guard_decision(stuck, view, None));
        let canceled = self.all_seen(&cancelations(), |stuck, answer| {
            GuardDecision::Apply(canceled_decision(stuck, answer))
        });
        let mut reactions = HashMap::new();
        let mut resumptions = HashMap::new();
        for step in [Step::Pre, Step::Final] {
            for said in Said::ALL {
                reactions.insert((step, said), self.reaction(step, &said.real()));
            }
            for view in views() {
                let plan = match resumption(step, view) {
                    Resumption::Ask => None,
                    Resumption::Record(plan) => Some(self.plan(plan)),
                };
                resumptions.insert((step, view), plan);
            }
        }
        let mut notified = HashMap::new();
        for &status in NotificationStatus::ALL {
            for is_cut_off in [false, true] {
                let plan = Plan::notified(status, is_cut_off.then_some(CUT_OFF));
                notified.insert((status, is_cut_off), self.plan(plan));
            }
        }
        let mut skips = HashMap::new();
        for &state in State::ALL {
            for reason in
                [SkipReason::MigrationCanceled, SkipReason::MigrationForcedCanceled, SkipReason::NotInPlan]
            {
                skips.insert((state, reason), self.plan(Plan::skip_seen_in(state, reason)));
            }
        }
        let effects = self.effects();
        let left = left();
        Decisions {
            effects,
            guard,
            canceled,
            reactions,
            resumptions,
            notified,
            left,
            skips,
            claim,
            resume,
            hold,
            reopen,
        }
    }

    fn reaction(&mut self, step: Step, answer: &StartAnswer) -> Reaction {
        let by_registry = answered(answer) == Answered::ByTheRegistry;
        match decide(step, answer, 0.0) {
            Decision::Stay(standing) => Reaction::Stay(standing),
            Decision::Record { plan, standing, .. } => {
                Reaction::Record { plan: self.plan(plan), standing, by_registry }
            }
            Decision::StartPreAgain(plan) => {
                Reaction::Record { plan: self.plan(plan), standing: StepStatus::MovedOn, by_registry }
            }
        }
    }

    /// A decision on each row that the guard may lease, by each of `facts`.
    fn all_seen<F: Copy + Eq + std::hash::Hash>(
        &mut self,
        facts: &[F],
        decide: impl Fn(&Stuck, F) -> GuardDecision,
    ) -> HashMap<(Seen, F), Care> {
        let mut all = HashMap::new();
        for situation in Situation::all().into_iter().filter(|situation| situation.has_slot()) {
            for bits in 0..64u8 {
                let bit = |number: u8| bits >> number & 1 == 1;
                let seen = Seen {
                    state: situation.state,
                    origin: situation.origin,
                    has_attempt: bit(0),
                    past: bit(1),
                    enabled: bit(2),
                    earlier: bit(3),
                    asked_again: bit(4),
                    under_hold: bit(5),
                };
                let stuck = stuck(seen);
                for &fact in facts {
                    let care = match decide(&stuck, fact) {
                        GuardDecision::Cancel => Care::Cancel,
                        GuardDecision::Apply(Remedy::Leave(_)) => Care::Leave,
                        GuardDecision::Apply(Remedy::AskAgain) => Care::AskAgain,
                        GuardDecision::Apply(Remedy::Record { plan, .. }) => Care::Record(self.plan(plan)),
                    };
                    all.insert((seen, fact), care);
                }
            }
        }
        all
    }

    fn effects(&self) -> HashMap<(PlanId, Standing), Effect> {
        let mut effects = HashMap::new();
        for (number, plan) in (0..).zip(&self.plans) {
            for situation in Situation::all() {
                for bits in 0..1u8 << Standing::FLAGS {
                    let bit = |number: u8| bits >> number & 1 == 1;
                    let standing = Standing {
                        state: situation.state,
                        origin: situation.origin,
                        is_held: situation.is_held,
                        is_old: bit(4),
                        under_hold: bit(3),
                        enabled: bit(0),
                        at_retry_limit: bit(1),
                        past_time: bit(2),
                    };
                    effects.extend(effect(plan, standing).map(|effect| ((number, standing), effect)));
                }
            }
        }
        effects
    }
}

fn views() -> Vec<RegistryView> {
    let statuses = RegistryStatus::ALL.iter().copied().map(RegistryView::Says);
    statuses.chain([RegistryView::KnowsNothing, RegistryView::NoAnswer]).collect()
}

fn cancelations() -> Vec<Cancelation> {
    let stands = RegistryStatus::ALL.iter().copied().map(Cancelation::Stands);
    stands.chain([Cancelation::Accepted, Cancelation::KnowsNothing, Cancelation::NoAnswer]).collect()
}

/// The row that stands for all in a situation. Its steps began at the time 0.
fn row(Situation { state, origin, is_held }: Situation) -> ContainerRepository {
    let aborted = state == State::ImportAborted;
    ContainerRepository {
        path: path(),
        migration_state: state,
        version: 7,
        attempt: Some(OWN),
        slot: (state.is_in_progress() && !is_held).then_some(1),
        retries_count: 0,
        skipped_reason: None,
        aborted_in_state: origin.filter(|_| aborted),
        resume_state: origin.filter(|_| !aborted),
        pre_import_started_at: Some(at(0)),
        pre_import_done_at: Some(at(0)),
        import_started_at: Some(at(0)),
        import_done_at: Some(at(0)),
        aborted_at: aborted.then_some(at(0)),
        skipped_at: Some(at(0)),
        held_since: is_held.then_some(at(0)),
        not_before: None,
        detail: None,
        tags_count: None,
        tags_check: None,
        missing_tags: None,
        plan: None,
        priority: 0,
        state_since: at(0),
        created_at: at(0),
    }
}

#[expect(clippy::expect_used, reason = "a name that is one")]
fn path() -> RepositoryPath {
    RepositoryPath::parse("group/image").expect("a path")
}

/// A step may take an hour; one that is past its time has taken two.
fn stuck(seen: Seen) -> Stuck {
    let steps = StepTimes {
        max_step_duration_seconds: 300,
        pre_import_timeout_seconds: 3600,
        import_timeout_seconds: 3600,
        pre_import_seconds_per_tag: 0.5,
    };
    let mut row = row(Situation::new(seen.state, seen.origin));
    row.attempt = row.attempt.filter(|_| seen.has_attempt);
    Stuck {
        row,
        settings: GuardSettings { enabled: seen.enabled, steps },
        is_held: seen.under_hold,
        now: at(if seen.past { 7200 } else { 60 }),
        asked_again_at: None,
        asked_again: seen.asked_again,
        earlier_attempt: seen.earlier,
    }
}

/// What the plan does to the row that stands for all, as the core applies it.
fn effect(plan: &Plan, standing: Standing) -> Option<Effect> {
    let Standing { state, origin, is_held, .. } = standing;
    let mut before = row(Situation { state, origin, is_held });
    before.retries_count = if standing.at_retry_limit { MAX_RETRIES - 1 } else { 0 };
    let limits = Limits {
        enabled: standing.enabled,
        max_retries: MAX_RETRIES,
        past_time: standing.past_time,
        is_held: standing.under_hold,
        is_old: standing.is_old,
    };
    let change = plan.outcome(&before, limits)?;
    let now = at(9000);
    let made = Made {
        adopted: Some(ADOPTED),
        slot: Some(1),
        retry_backoff: Duration::from_secs(1),
        ..Made::new(now, NEW)
    };
    let mut after = change.apply(&before, &made);
    let started = match after.migration_state.running_step() {
        Some(Step::Pre) => after.pre_import_started_at,
        Some(Step::Final) => after.import_started_at,
        None => None,
    };
    let asks = |event: &str| {
        [
            Event::StartPreImport,
            Event::StartImport,
            Event::RetryPreImport,
            Event::RetryImport,
            Event::RepeatPreImport,
        ]
        .iter()
        .any(|asking| asking.name() == event)
    };
    let asks_for = |state| change.steps.iter().any(|step| step.to == state && asks(step.event));
    let is_event = |event: &Event| change.steps.iter().any(|step| step.event == event.name());
    Some(Effect {
        is_empty: change.steps.is_empty(),
        needs_proof: change.needs_proof,
        state: after.migration_state,
        origin: after.situation().origin,
        attempt: match after.attempt.take() {
            None => AttemptAfter::Cleared,
            Some(OWN) => AttemptAfter::Kept,
            Some(ADOPTED) => AttemptAfter::Adopted,
            Some(_) => AttemptAfter::New,
        },
        holds_slot: after.slot.is_some(),
        counts: after.retries_count > before.retries_count,
        resets_retries: after.retries_count == 0 && is_event(&Event::Reopen),
        reason: after.skipped_reason,
        // What is held waits for its hold, and for nothing else.
        waits: after.not_before.is_some() && !after.is_held(),
        is_held: after.is_held(),
        restarts_time: started == Some(now),
        asks: [asks_for(State::PreImporting), asks_for(State::Importing)],
        ends_asking: change.steps.last().is_some_and(|step| asks(step.event)),
        is_refusal: is_event(&Event::StartRefused),
        stops: change.signal == Some(Signal::Stopping),
        events: (0..)
            .zip(Event::ALL.iter())
            .filter(|(_, event)| is_event(event))
            .map(|(bit, _)| 1 << bit)
            .sum(),
    })
}

/// What each notification leaves to do.
fn left() -> HashMap<(Verdict, State, bool, bool), Left> {
    let verdicts = [
        Verdict::Applied,
        Verdict::Repeat,
        Verdict::EarlierAttempt,
        Verdict::AlreadyOver,
        Verdict::Nothing,
        Verdict::Unverified,
        Verdict::Refused,
        Verdict::Superseded,
    ];
    let mut all = HashMap::new();
    for verdict in verdicts {
        let held = Situation { is_held: true, ..Situation::new(State::PreImportDone, None) };
        let others = State::ALL.iter().map(|&state| Situation::new(state, None));
        for situation in others.chain([held]) {
            for is_new in [false, true] {
                let mut row = row(situation);
                row.attempt = Some(if is_new { NEW } else { OWN });
                let changed = Changed { verdict, before: State::PreImporting, row };
                let left = match left_to_do(&changed, NEW) {
                    FollowUp::None => Left::Nothing,
                    FollowUp::StartFinal(_) => Left::StartFinal,
                    FollowUp::FillSlot | FollowUp::CompareTags(_) => Left::FillSlot,
                    FollowUp::Reconcile(_) => Left::Reconcile,
                };
                all.insert((verdict, situation.state, situation.is_held, is_new), left);
            }
        }
    }
    all
}
