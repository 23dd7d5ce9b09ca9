//! What the database must hold by the pure core alone.

use std::{collections::BTreeMap, time::Duration};

use protocol_model::statements::{self, Candidate, Hold, Judged, Outcome, Precondition, Request};
use shared::{
    migration::{AttemptId, ContainerRepository, Limits, Made, Plan, RowChange, SkipReason, State},
    store::Verdict,
};
use uuid::Uuid;

/// One line of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub path: String,
    pub version: i64,
    pub event: String,
    pub from: String,
    pub to: String,
    pub applied: bool,
    pub verdict: Option<String>,
    pub attempt: Option<Uuid>,
    pub slot: Option<i32>,
    pub cause: String,
    pub reported: Option<Uuid>,
}

/// A row, the change that last made it what it is, and whether it has to wait.
#[derive(Clone, Debug)]
pub struct Row {
    pub repository: ContainerRepository,
    pub change: Option<AttemptId>,
    pub waits: bool,
    /// It was held for days, if it is held.
    pub is_old: bool,
}

/// What a statement is to do to a row. The time is the database's, so it is applied once that is known.
#[derive(Clone, Debug)]
pub struct Due {
    pub row: usize,
    outcome: RowChange,
    change: AttemptId,
    /// None: nobody knows the id of the change.
    known_as: Option<AttemptId>,
    adopted: Option<AttemptId>,
    slot: Option<i32>,
    detail: Option<String>,
}

/// What a change of one row compares besides the state, and what it is made for.
#[derive(Clone, Copy, Debug)]
pub enum Guard {
    Attempt(Option<AttemptId>, &'static str),
    Notification(Option<AttemptId>, &'static str),
}

impl Guard {
    /// The cause, and the attempt that was reported, as the history has them.
    fn in_history(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::Attempt(_, cause) => (cause, None),
            Self::Notification(reported, _) => ("notification", reported.map(AttemptId::uuid)),
        }
    }
}

/// What keeps the final steps of a prefix from beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Whoever set the hold.
    Operator,
    /// A window that is closed now.
    Closed,
    /// Nothing: a window that is open now.
    Open,
}

impl Keeper {
    /// None: it has no window.
    pub fn window_is_open(self) -> Option<bool> {
        match self {
            Self::Operator => None,
            Self::Closed => Some(false),
            Self::Open => Some(true),
        }
    }
}

/// All rows, in the order of their registration, the settings, and the history.
#[derive(Clone, Debug)]
pub struct World {
    pub rows: Vec<Row>,
    pub enabled: bool,
    pub capacity: i32,
    pub max_tags: i32,
    pub max_retries: i32,
    /// In seconds.
    pub retry_backoff: u64,
    /// The prefixes whose final steps are held, each with what keeps them.
    pub holds: BTreeMap<&'static str, Keeper>,
    pub lines: Vec<Line>,
}

impl World {
    pub fn limits(&self, row: usize) -> Limits {
        Limits {
            enabled: self.enabled,
            max_retries: self.max_retries,
            past_time: false,
            is_held: self.is_held(row),
            is_old: self.rows[row].is_old,
        }
    }

    /// By which hold the row's final step is held.
    pub fn held_by(&self, row: usize) -> Option<&str> {
        let holds = self.holds.iter().map(|(prefix, keeper)| Hold {
            prefix,
            until_released: *keeper == Keeper::Operator,
            window_is_open: keeper.window_is_open(),
        });
        statements::held_by(self.rows[row].repository.path.as_str(), holds)
    }

    /// Whether a hold holds the row's final step.
    pub fn is_held(&self, row: usize) -> bool {
        self.held_by(row).is_some()
    }

    /// Whether that is the guard's last note about the row as it is.
    fn is_being_canceled(&self, row: &ContainerRepository) -> bool {
        let of_it = |line: &&Line| {
            line.path == row.path.as_str()
                && line.version == row.version
                && ["ask_again", "cancel"].contains(&line.event.as_str())
        };
        self.lines.iter().rev().find(of_it).is_some_and(|line| line.event == "cancel")
    }

    /// None while as many as the capacity are in progress, whichever slots they hold.
    pub fn free_slot(&self) -> Option<i32> {
        let taken: Vec<i32> = self.rows.iter().filter_map(|row| row.repository.slot).collect();
        statements::free_slot(self.capacity, &taken)
    }

    /// The row that a claim takes.
    pub fn next_due(&self) -> Option<usize> {
        statements::next_due(self.rows.iter().enumerate().map(|(number, row)| Candidate {
            path: row.repository.path.as_str(),
            state: row.repository.migration_state,
            is_held: row.repository.is_held(),
            under_hold: self.is_held(number),
            waits: row.waits,
            has_many_tags:
                row.repository.tags_count.is_some_and(|tags| self.max_tags > 0 && tags > self.max_tags),
            priority: row.repository.priority,
        }))
    }

    /// The parked row that goes on: those that never had to wait first, then by the end of their wait.
    pub fn next_parked(&self) -> Option<usize> {
        let parked = |row: &Row| {
            row.repository.migration_state == State::PreImportDone
                && row.repository.holds_slot()
                && !row.waits
        };
        let rows = self.rows.iter().enumerate().filter(|(_, row)| parked(row));
        rows.min_by_key(|(number, row)| (row.repository.not_before, *number)).map(|(number, _)| number)
    }

    /// A start of any kind, in `slot` where the row has none.
    pub fn started(
        &mut self,
        row: usize,
        plan: &Plan,
        slot: Option<i32>,
        change: AttemptId,
        cause: &str,
    ) -> Due {
        let outcome =
            plan.outcome(&self.rows[row].repository, self.limits(row)).expect("it can be started").clone();
        let slot = self.rows[row].repository.slot.or(slot);
        self.note_steps(row, &outcome, Some(change), slot, (cause, None));
        Due { row, outcome, change, known_as: Some(change), adopted: None, slot, detail: None }
    }

    /// A change of one row, and how it must be judged.
    pub fn change(
        &mut self,
        row: usize,
        plan: &Plan,
        guard: Guard,
        change: Option<AttemptId>,
        detail: Option<&str>,
    ) -> (Verdict, Option<Due>) {
        let before = self.rows[row].repository.clone();
        let limits = Limits { past_time: self.is_being_canceled(&before), ..self.limits(row) };
        let outcome = plan.outcome(&before, limits).cloned();
        let verdict = self.verdict(row, outcome.as_ref(), guard, change);
        if let (
            Guard::Notification(_, event),
            Verdict::EarlierAttempt | Verdict::AlreadyOver | Verdict::Nothing | Verdict::Unverified,
        ) = (guard, verdict)
        {
            let name = serde_json::to_value(verdict).unwrap().as_str().unwrap().to_owned();
            self.note(row, event, &name, guard.in_history());
        }
        let (Verdict::Applied, Some(outcome)) = (verdict, outcome) else { return (verdict, None) };
        let made_by = change.unwrap_or_else(|| AttemptId::new(Uuid::nil()));
        let adopted = outcome.to().and_then(|to| self.adopted(row, to));
        let slot = before.slot;
        let after =
            outcome.apply(&before, &Made { adopted, ..Made::new(jiff::Timestamp::UNIX_EPOCH, made_by) });
        self.note_steps(row, &outcome, after.attempt, slot, guard.in_history());
        let detail = detail.map(str::to_owned);
        (verdict, Some(Due { row, outcome, change: made_by, known_as: change, adopted, slot, detail }))
    }

    fn verdict(
        &self,
        row: usize,
        outcome: Option<&RowChange>,
        guard: Guard,
        change: Option<AttemptId>,
    ) -> Verdict {
        let Row { repository, change: last, .. } = &self.rows[row];
        let precondition = match guard {
            Guard::Attempt(seen, _) => Precondition::Attempt(seen),
            Guard::Notification(reported, _) => Precondition::Notification(reported),
        };
        let is_known = match precondition {
            Precondition::Notification(Some(reported)) => {
                let of_it = |line: &&Line| line.path == repository.path.as_str();
                self.lines.iter().filter(of_it).any(|line| line.attempt == Some(reported.uuid()))
            }
            Precondition::Notification(None) | Precondition::Attempt(_) => false,
        };
        let judged = Judged {
            is_repeated: change.is_some() && *last == change,
            state: repository.migration_state,
            attempt: repository.attempt,
            is_known,
            outcome: outcome.map(|outcome| Outcome {
                needs_proof: outcome.needs_proof,
                is_empty: outcome.steps.is_empty(),
            }),
        };
        statements::verdict(&judged, precondition)
    }

    /// The row's own attempt where the guard has asked for this step with it once more; else the last other one that asked
    /// for this step, was not answered otherwise than with 202, and has not reported its end.
    fn adopted(&self, row: usize, to: State) -> Option<AttemptId> {
        let Row { repository, .. } = &self.rows[row];
        let own = repository.attempt.map(AttemptId::uuid);
        let of_it = || self.lines.iter().filter(|line| line.path == repository.path.as_str());
        let asked_again = |line: &Line| {
            line.event == "ask_again" && line.attempt == own && own.is_some() && line.to == to.name()
        };
        let is_over = |asked: &Line| {
            of_it().filter(|line| line.applied).any(|line| {
                line.version == asked.version + 1 && line.cause == "registry_answer"
                    || asked.attempt.is_some()
                        && (line.attempt == asked.attempt && line.event == "start_refused"
                            || line.reported == asked.attempt)
            })
        };
        let requests = of_it()
            .filter(|line| line.applied && line.to == to.name() && !line.event.starts_with("adopt"))
            .map(|line| Request { attempt: line.attempt.map(AttemptId::new), is_over: is_over(line) });
        statements::adopted(repository.attempt, of_it().any(asked_again), requests)
    }

    /// Every row that has too many tags is skipped.
    pub fn skip_many_tags(&mut self) -> Vec<Due> {
        let plan = Plan::skip_seen_in(State::Default, SkipReason::TooManyTags);
        let many = |row: &Row| {
            row.repository.migration_state == State::Default
                && row.repository.tags_count.is_some_and(|tags| self.max_tags > 0 && tags > self.max_tags)
        };
        let rows: Vec<usize> =
            (0..self.rows.len()).filter(|row| self.enabled && many(&self.rows[*row])).collect();
        self.all(&rows, &plan, "sweep", None)
    }

    /// Every row in this state is reopened.
    pub fn reopen_all(&mut self, state: State, reason: Option<&str>) -> Vec<Due> {
        let rows = 0..self.rows.len();
        let rows: Vec<usize> =
            rows.filter(|row| self.rows[*row].repository.migration_state == state).collect();
        let plan = if reason.is_some() { Plan::reopen_with_reason() } else { Plan::reopen() };
        self.all(&rows, &plan, "operator", reason)
    }

    fn all(&mut self, rows: &[usize], plan: &Plan, cause: &'static str, detail: Option<&str>) -> Vec<Due> {
        let changed = rows.iter().map(|&row| {
            let guard = Guard::Attempt(self.rows[row].repository.attempt, cause);
            self.change(row, plan, guard, None, detail).1.expect("it holds for this state")
        });
        changed.collect()
    }

    /// A line about what changed nothing.
    pub fn note(&mut self, row: usize, event: &str, verdict: &str, (cause, reported): (&str, Option<Uuid>)) {
        let repository = &self.rows[row].repository;
        let state = repository.migration_state.to_string();
        self.lines.push(Line {
            path: repository.path.to_string(),
            version: repository.version,
            event: event.to_owned(),
            from: state.clone(),
            to: state,
            applied: false,
            verdict: Some(verdict.to_owned()),
            attempt: repository.attempt.map(AttemptId::uuid),
            slot: repository.slot,
            cause: cause.to_owned(),
            reported,
        });
    }

    fn note_steps(
        &mut self,
        row: usize,
        outcome: &RowChange,
        attempt: Option<AttemptId>,
        slot: Option<i32>,
        (cause, reported): (&str, Option<Uuid>),
    ) {
        let repository = &self.rows[row].repository;
        let (path, mut version) = (repository.path.to_string(), repository.version);
        let mut from = repository.migration_state.to_string();
        for step in &outcome.steps {
            version += 1;
            let to = step.to.to_string();
            self.lines.push(Line {
                path: path.clone(),
                version,
                event: step.event.to_owned(),
                from: std::mem::replace(&mut from, to.clone()),
                to,
                applied: true,
                verdict: None,
                attempt: attempt.map(AttemptId::uuid),
                slot,
                cause: cause.to_owned(),
                reported,
            });
        }
    }

    /// Applies what is due, at the time that the database's own row tells.
    pub fn apply(&mut self, due: Due, found: &ContainerRepository) {
        let Due { row, outcome, change, known_as, adopted, slot, detail } = due;
        let row = &mut self.rows[row];
        let now = now_of(&outcome, row.repository.migration_state, found);
        let retry_backoff = Duration::from_secs(self.retry_backoff);
        let detail = detail.as_deref();
        let after =
            outcome.apply(&row.repository, &Made { now, change, adopted, slot, detail, retry_backoff });
        row.waits = after.not_before.is_some();
        row.is_old = false;
        row.change = known_as;
        row.repository = after;
    }
}

/// The time at which the database made a change, as far as the change shows it.
fn now_of(outcome: &RowChange, before: State, found: &ContainerRepository) -> jiff::Timestamp {
    use shared::migration::{TimestampChange, TimestampColumn};
    if outcome.to().is_some_and(|to| to != before) {
        return found.state_since;
    }
    if outcome.is_held {
        return found.held_since.unwrap_or_default();
    }
    let mut found = found.clone();
    let now = |timestamp: &TimestampColumn| {
        outcome.timestamps.get(timestamp.column()) == Some(&TimestampChange::Now)
    };
    let column =
        TimestampColumn::ALL.into_iter().find(now).and_then(|timestamp| *found.timestamp_mut(timestamp));
    let waited = std::time::Duration::from_millis(outcome.not_before_ms.unwrap_or_default());
    column.or_else(|| found.not_before.map(|until| until - waited)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}
