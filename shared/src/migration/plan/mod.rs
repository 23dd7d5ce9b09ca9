mod made;
mod observed;
mod operated;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{
    AttemptChange, ContainerRepository, Event, NotificationStatus, Refused, Retries, Signal, SkipReason,
    State, Step, TagsChange, TimestampColumn, Transition, event::Situation,
};

pub use made::Made;

/// A canceled step may be asked for again only this long after its cancellation: sooner the registry answers
/// 429 `IMPORT_REPOSITORY_NOT_READY`.
pub const AFTER_CANCEL: Duration = Duration::from_secs(5);

/// So long after the guard has noted that it has a step canceled it may still be about to. The protocol cancels what runs,
/// whichever attempt it is.
pub const WHILE_CANCELING: Duration = Duration::from_secs(15);

/// `not_before` of a row that is held. It is past every wait, so the release before, which knows of no hold, leaves it
/// alone.
pub const HELD_UNTIL: jiff::Timestamp = jiff::Timestamp::constant(221_845_392_000, 0);

/// The pauses before the first, the second and every further retry of what failed by itself, as multiples of the
/// setting `retry_backoff_seconds`.
pub const RETRY_FACTORS: [u32; 3] = [1, 10, 60];

/// What a plan's outcome may depend on besides the row: settings, and what the guard has noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The kill switch: off means no starts and no promotion from pre to final.
    pub enabled: bool,
    /// A repository that failed this often by itself is skipped.
    pub max_retries: i32,
    /// The guard is having the row's step canceled, because it is past its time.
    pub past_time: bool,
    /// A hold holds the row's final step.
    pub is_held: bool,
    /// The row has been held for so long that it is to be pre-imported again.
    pub is_old: bool,
}

/// What something that happened does to a row, for every situation the row can be in. Rendered as JSON into
/// one statement, which looks up its own row's situation there: the database needs no knowledge of the
/// transitions, and there is no gap between reading a state and deciding on it. A situation that is absent
/// refuses; one without steps has nothing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Plan(BTreeMap<String, Entry>);

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Entry {
    otherwise: RowChange,
    /// Instead, where a hold holds the final step that would begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    when_held: Option<RowChange>,
    /// Instead, where the row has been held for long.
    #[serde(skip_serializing_if = "Option::is_none")]
    when_old: Option<RowChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when_disabled: Option<RowChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_retry_limit: Option<RowChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    past_time: Option<Box<Entry>>,
}

/// The sum of the transitions of one change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowChange {
    /// Each transition with the state it leads to, in order.
    pub steps: Vec<PlannedStep>,
    /// What the change does with the timestamp columns.
    pub timestamps: BTreeMap<&'static str, TimestampChange>,
    /// Whether the slot is kept.
    pub holds_slot: bool,
    /// Whether it waits for its final step without one, from now on.
    #[serde(skip_serializing_if = "is_false")]
    pub is_held: bool,
    /// The attempt.
    pub attempt: AttemptChange,
    /// The number of retries.
    pub retries: Retries,
    /// `skipped_reason` afterwards, as its number.
    pub skipped_reason: Option<i16>,
    /// `aborted_in_state` afterwards.
    pub aborted_in_state: Option<State>,
    /// `resume_state` afterwards.
    pub resume_state: Option<State>,
    /// `not_before` afterwards, in milliseconds from now; none clears it.
    pub not_before_ms: Option<u64>,
    /// The comparison of the tags.
    pub tags: TagsChange,
    /// What it shows of the registry as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// What was said of the row before is forgotten: it is over, or begins anew.
    #[serde(skip_serializing_if = "is_false")]
    pub forgets_detail: bool,
    /// By what the setting `retry_backoff_seconds` is multiplied, by how many retries were counted before: the row is not
    /// started again before. None: it does not wait for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_factors: Option<[u32; 3]>,
    /// Nothing is done before the registry itself has said the same.
    #[serde(skip_serializing_if = "is_false")]
    pub needs_proof: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One line of the history that a change writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedStep {
    /// The event's name.
    pub event: &'static str,
    /// The state entered.
    pub to: State,
}

/// What happens to a timestamp column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampChange {
    /// The database's now.
    Now,
    /// NULL.
    Clear,
}

impl RowChange {
    /// The given events, one after the other.
    ///
    /// # Errors
    /// [`Refused`] at the first that is not possible.
    pub fn of(situation: Situation, events: &[Event]) -> Result<Self, Refused> {
        let mut outcome = Self {
            steps: vec![],
            timestamps: BTreeMap::new(),
            holds_slot: situation.has_slot(),
            is_held: false,
            attempt: AttemptChange::Keep,
            retries: Retries::Keep,
            skipped_reason: None,
            aborted_in_state: None,
            resume_state: None,
            not_before_ms: None,
            tags: TagsChange::Keep,
            signal: None,
            forgets_detail: false,
            retry_factors: None,
            needs_proof: false,
        };
        let mut situation = situation;
        for &event in events {
            let transition = Transition::of(situation, event)?;
            outcome.add(&transition);
            situation = Situation {
                state: transition.to,
                origin: transition.aborted_in_state.or(transition.resume_state),
                is_held: event == Event::Hold,
            };
        }
        Ok(outcome)
    }

    fn add(&mut self, transition: &Transition) {
        self.steps.push(PlannedStep { event: transition.event.name(), to: transition.to });
        for timestamp in &transition.cleared {
            self.timestamps.insert(timestamp.column(), TimestampChange::Clear);
        }
        for timestamp in &transition.now {
            self.timestamps.insert(timestamp.column(), TimestampChange::Now);
        }
        self.is_held = transition.event == Event::Hold;
        self.holds_slot = transition.to.is_in_progress() && !self.is_held;
        if transition.attempt != AttemptChange::Keep {
            self.attempt = transition.attempt;
        }
        if transition.retries != Retries::Keep {
            self.retries = transition.retries;
        }
        if transition.tags != TagsChange::Keep {
            self.tags = transition.tags;
        }
        self.skipped_reason = transition.skipped_reason.map(SkipReason::number);
        self.aborted_in_state = transition.aborted_in_state;
        self.resume_state = transition.resume_state;
        self.signal = Signal::by(transition.event).or(self.signal);
        self.retry_factors = (transition.retries == Retries::Count).then_some(RETRY_FACTORS);
        self.forgets_detail |= matches!(transition.to, State::ImportDone | State::Default)
            && transition.event != Event::StartRefused;
    }

    /// The state after the change; none where there is nothing to do.
    #[must_use]
    pub fn to(&self) -> Option<State> {
        self.steps.last().map(|step| step.to)
    }

    /// The row after this change: what the statement in the store does, said without a database, where tags are not
    /// compared.
    #[must_use]
    pub fn apply(&self, row: &ContainerRepository, made: &Made<'_>) -> ContainerRepository {
        let Made { now, change, adopted, slot, detail, .. } = *made;
        let Some(to) = self.to() else { return row.clone() };
        let mut after = row.clone();
        after.migration_state = to;
        if to != row.migration_state {
            after.state_since = now;
        }
        after.version += i64::try_from(self.steps.len()).unwrap_or(i64::MAX);
        for timestamp in TimestampColumn::ALL {
            match self.timestamps.get(timestamp.column()) {
                Some(TimestampChange::Now) => *after.timestamp_mut(timestamp) = Some(now),
                Some(TimestampChange::Clear) => *after.timestamp_mut(timestamp) = None,
                None => {}
            }
        }
        after.slot = if self.holds_slot { row.slot.or(slot) } else { None };
        after.held_since = self.is_held.then_some(now);
        after.attempt = match self.attempt {
            AttemptChange::Keep => row.attempt,
            AttemptChange::New => Some(change),
            AttemptChange::Adopt => adopted,
            AttemptChange::Clear => None,
        };
        after.retries_count = match self.retries {
            Retries::Keep => row.retries_count,
            Retries::Count => row.retries_count + 1,
            Retries::Reset => 0,
        };
        after.skipped_reason = self.skipped_reason.and_then(|number| SkipReason::try_from(number).ok());
        after.aborted_in_state = self.aborted_in_state;
        after.resume_state = self.resume_state;
        after.tags_check = self.tags.apply(row.tags_check, false);
        if self.tags == TagsChange::Clear {
            after.missing_tags = None;
        }
        let kept = row.detail.as_deref().filter(|_| !self.forgets_detail);
        after.detail = detail.or(kept).map(str::to_owned);
        after.not_before = if self.is_held {
            Some(HELD_UNTIL)
        } else {
            self.waits_ms(row, made).map(|ms| now + Duration::from_millis(ms))
        };
        after
    }

    /// How long the row is not started again, in milliseconds.
    fn waits_ms(&self, row: &ContainerRepository, made: &Made<'_>) -> Option<u64> {
        let factor = self.retry_factors.map(|factors| {
            let counted = usize::try_from(row.retries_count).unwrap_or(0).min(factors.len() - 1);
            u64::from(factors[counted])
        });
        let backoff = factor.map(|factor| made.retry_backoff.as_secs() * factor * made.change.permille());
        self.not_before_ms.max(backoff.filter(|&ms| ms > 0))
    }
}

impl Plan {
    /// One event, in every situation that allows it. A counted abort becomes a skip at the retry limit.
    ///
    /// Only a claim takes a slot. A row that has lost its slot meanwhile does not go on with a step, whatever the
    /// registry has answered to the attempt that it had.
    #[must_use]
    pub fn event(event: Event) -> Self {
        Self::in_situations(
            |situation| situation.has_slot() || !takes_slot(situation, &[event]),
            |_| vec![event],
        )
    }

    /// What a notification does (its table stands in functions/README.md).
    #[must_use]
    pub fn notification(status: NotificationStatus) -> Self {
        let active = |situation: Situation| situation.state.is_active();
        match status {
            NotificationStatus::PreImportComplete => {
                let mut plan = Self::in_situations(active, |situation| match situation.state {
                    State::PreImporting => vec![Event::FinishPreImport, Event::StartImport],
                    // Already there. A second start would be one too many.
                    _ => vec![],
                });
                plan.stop_at_pre_import_done_when_disabled();
                plan.waiting_past_its_time()
            }
            NotificationStatus::ImportComplete => {
                // The final step was not asked for: the pre step must not be taken for it.
                let mut plan = Self::in_situations(active, |situation| match situation.state {
                    State::Importing => vec![Event::FinishImport],
                    _ => vec![],
                });
                plan.change_entries(|situation, entry| {
                    entry.otherwise.needs_proof = situation.state == State::PreImporting;
                });
                plan
            }
            NotificationStatus::PreImportFailed | NotificationStatus::ImportFailed => {
                Self::in_situations(active, |_| vec![Event::AbortImport { counted: true }])
                    .waiting_past_its_time()
            }
            NotificationStatus::PreImportCanceled | NotificationStatus::ImportCanceled => {
                Self::in_situations(active, |_| vec![Event::AbortImport { counted: false }])
                    .not_before(AFTER_CANCEL)
                    .counted_past_its_time()
            }
        }
    }

    /// The same, with what the notification's words tell.
    #[must_use]
    pub fn notified(status: NotificationStatus, detail: Option<&str>) -> Self {
        let plan = Self::notification(status);
        match Signal::by_notification(status, detail) {
            Some(signal) => plan.with_signal(signal),
            None => plan,
        }
    }

    /// A start, by an operator: a row that has not begun starts with the pre step, an aborted one with the step it was
    /// aborted in, or with the pre step where the final one is held.
    #[must_use]
    pub fn start() -> Self {
        Self::in_situations(
            |situation| matches!(situation.state, State::Default | State::ImportAborted),
            |situation| match resume_step(situation) {
                Step::Pre if situation.state == State::Default => vec![Event::StartPreImport],
                Step::Pre => vec![Event::RetryPreImport],
                Step::Final => vec![Event::RetryImport],
            },
        )
    }

    /// A claim, by the driver itself: as [`Plan::start`], and a row that was held and is held no more goes on with the
    /// final step, or, where it was held for long, with the pre step once more.
    #[must_use]
    pub fn claim() -> Self {
        let Self(mut entries) = Self::start();
        let Self(mut released) =
            Self::in_situations(|situation| situation.is_held, |_| vec![Event::StartImport]);
        for situation in Situation::all().into_iter().filter(|situation| situation.is_held) {
            if let Some(entry) = released.get_mut(&situation.key()) {
                entry.when_old = RowChange::of(situation, &[Event::RepeatPreImport]).ok();
            }
        }
        entries.append(&mut released);
        Self(entries)
    }

    /// A parked row whose final step is held gives its slot back.
    #[must_use]
    pub fn hold() -> Self {
        let mut plan = Self::resume();
        plan.change_entries(|situation, entry| {
            if let Ok(nothing) = RowChange::of(situation, &[]) {
                entry.otherwise = nothing;
            }
        });
        plan
    }

    /// An operator's retry: as [`Plan::start`], of an aborted row only.
    #[must_use]
    pub fn retry() -> Self {
        let Self(mut entries) = Self::start();
        entries.remove(State::Default.name());
        Self(entries)
    }

    /// A parked row, done with the pre step and in possession of its slot, goes on with the final step.
    #[must_use]
    pub fn resume() -> Self {
        Self::in_situations(
            |situation| situation.state == State::PreImportDone && !situation.is_held,
            |_| vec![Event::StartImport],
        )
    }

    /// The plan as the store's statements read it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The same, and not started again before `delay` has passed.
    #[must_use]
    pub fn not_before(mut self, delay: Duration) -> Self {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        for entry in self.0.values_mut() {
            entry.otherwise.not_before_ms = Some(ms);
        }
        self
    }

    /// The same, and what it shows of the registry as a whole.
    #[must_use]
    pub fn with_signal(mut self, signal: Signal) -> Self {
        for entry in self.0.values_mut() {
            entry.otherwise.signal = Some(signal);
        }
        self
    }

    /// What the plan does to a row: what the statement in the store looks up, said without a database. None
    /// where the row's situation refuses.
    #[must_use]
    pub fn outcome(&self, row: &ContainerRepository, limits: Limits) -> Option<&RowChange> {
        let situation = row.situation();
        let entry = self.0.get(&situation.key())?;
        let entry = entry.past_time.as_deref().filter(|_| limits.past_time).unwrap_or(entry);
        let held = entry.when_held.as_ref().filter(|_| limits.is_held);
        let old = entry.when_old.as_ref().filter(|_| limits.is_old);
        let disabled = entry.when_disabled.as_ref().filter(|_| !limits.enabled);
        let limit = entry.at_retry_limit.as_ref().filter(|_| row.retries_count + 1 >= limits.max_retries);
        Some(held.or(old).or(disabled).or(limit).unwrap_or(&entry.otherwise))
    }

    pub(super) fn in_situations(
        applies: impl Fn(Situation) -> bool,
        events: impl Fn(Situation) -> Vec<Event>,
    ) -> Self {
        let entry = |situation: Situation| {
            let events = events(situation);
            let otherwise = RowChange::of(situation, &events).ok()?;
            let at_retry_limit = matches!(events.last(), Some(Event::AbortImport { counted: true }))
                .then(|| [events.as_slice(), &[Event::SkipImport(SkipReason::TooManyRetries)]].concat())
                .and_then(|events| RowChange::of(situation, &events).ok());
            let when_held = when_held(situation, &events);
            let entry = Entry {
                otherwise,
                when_held,
                when_old: None,
                when_disabled: None,
                at_retry_limit,
                past_time: None,
            };
            Some((situation.key(), entry))
        };
        Self(Situation::all().into_iter().filter(|&s| applies(s)).filter_map(entry).collect())
    }

    fn stop_at_pre_import_done_when_disabled(&mut self) {
        for situation in Situation::all().into_iter().filter(|s| s.state == State::PreImporting) {
            if let Some(entry) = self.0.get_mut(&situation.key()) {
                entry.when_disabled = RowChange::of(situation, &[Event::FinishPreImport]).ok();
            }
        }
    }
}

/// Whether these events would take a slot that the row does not hold. Only a claim may.
fn takes_slot(situation: Situation, events: &[Event]) -> bool {
    !situation.has_slot() && RowChange::of(situation, events).is_ok_and(|outcome| outcome.holds_slot)
}

/// What is done instead of `events` where they end by beginning the final step and a hold holds that. What is done with
/// the pre step waits without a slot; what was aborted in the final step begins with the pre step; and what is surely not
/// running goes back to where it came from. A row that is held goes on by a claim only, which has asked before.
fn when_held(situation: Situation, events: &[Event]) -> Option<RowChange> {
    let (&last, before) = events.split_last()?;
    let instead = match last {
        Event::StartImport if situation.is_held => return None,
        Event::StartImport => Event::Hold,
        Event::RetryImport => Event::RetryPreImport,
        _ => return None,
    };
    let held = RowChange::of(situation, &[before, &[instead]].concat());
    held.or_else(|_| RowChange::of(situation, &give_back(situation))).ok()
}

/// What is surely not running goes back to where it came from.
pub(super) fn give_back(situation: Situation) -> Vec<Event> {
    match situation.origin {
        Some(_) => vec![Event::StartRefused],
        None => vec![Event::AbortImport { counted: false }],
    }
}

/// The step that a claim of the row begins with.
fn resume_step(situation: Situation) -> Step {
    match situation.origin {
        Some(State::PreImportDone | State::Importing) => Step::Final,
        Some(
            State::Default
            | State::PreImporting
            | State::ImportDone
            | State::ImportAborted
            | State::ImportSkipped,
        )
        | None => Step::Pre,
    }
}
