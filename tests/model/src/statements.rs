//! What SQL decides, said in Rust: how a change is judged, which slot is free, who is next, whose attempt is adopted, what
//! is held.
//!
//! Only here, so that it cannot change alone: the model decides by these functions, and the suite's model test compares
//! the statements on a real database with them.

use std::cmp::Reverse;

use shared::{migration::State, store::Verdict};

/// What a change of one row compares besides the state. `A` is whatever names an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition<A> {
    /// It follows up one attempt, or none: void once the row has another.
    Attempt(Option<A>),
    /// A notification, with the attempt that it reports.
    Notification(Option<A>),
}

/// What a plan has for a row, as far as it decides on the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Nothing is done before the registry itself has said the same.
    pub needs_proof: bool,
    /// There is nothing to do.
    pub is_empty: bool,
}

/// All that a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Judged<A> {
    /// The row was last changed by this very change.
    pub is_repeated: bool,
    /// How its migration stands.
    pub state: State,
    /// Its attempt.
    pub attempt: Option<A>,
    /// The attempt that is reported stands in the row's history.
    pub is_known: bool,
    /// What the plan has for the row. None: its situation refuses.
    pub outcome: Option<Outcome>,
}

/// How a change is judged (`change.sql`).
pub fn verdict<A: Copy + PartialEq>(judged: &Judged<A>, precondition: Precondition<A>) -> Verdict {
    if judged.is_repeated {
        return Verdict::Repeat;
    }
    let mut foreign = false;
    match precondition {
        Precondition::Attempt(seen) if seen != judged.attempt => return Verdict::Superseded,
        Precondition::Notification(Some(reported)) if judged.attempt != Some(reported) => {
            if judged.is_known {
                return Verdict::EarlierAttempt;
            }
            foreign = judged.attempt.is_some();
        }
        Precondition::Notification(Some(_)) if !judged.state.is_active() => return Verdict::AlreadyOver,
        Precondition::Notification(_) | Precondition::Attempt(_) => {}
    }
    match judged.outcome {
        None => Verdict::Refused,
        Some(outcome) if outcome.needs_proof || foreign => Verdict::Unverified,
        Some(outcome) if outcome.is_empty => Verdict::Nothing,
        Some(_) => Verdict::Applied,
    }
}

/// The slot that a claim takes (`room.sql`, `claim.sql`): the lowest that is free. None while as many as the capacity are
/// in progress, whichever slots they hold.
pub fn free_slot(capacity: i32, taken: &[i32]) -> Option<i32> {
    let in_progress = i32::try_from(taken.len()).unwrap_or(i32::MAX);
    (1..=capacity).find(|slot| !taken.contains(slot)).filter(|_| in_progress < capacity)
}

/// A hold, as far as it decides on what is held at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    /// Whose final steps: those of this path and of what stands below it, by whole components. Empty: all.
    pub prefix: &'a str,
    /// They are held whatever the time is.
    pub until_released: bool,
    /// They are held but while its window is open. None: it has no window.
    pub window_is_open: Option<bool>,
}

/// By which hold the final step of a path is held at this moment (`migration_held_by`): the one of the shortest prefix. None:
/// by none.
pub fn held_by<'a>(path: &str, holds: impl IntoIterator<Item = Hold<'a>>) -> Option<&'a str> {
    let is_about = |prefix: &str| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
    };
    let holding = holds.into_iter().filter(|hold| hold.until_released || hold.window_is_open == Some(false));
    holding.map(|hold| hold.prefix).filter(|prefix| is_about(prefix)).min_by_key(|prefix| prefix.len())
}

/// Whether the guard may ask once more for the step that a row is in (`guard_note.sql`). `may_start` is the kill switch and
/// what holds starts back; `under_hold`: a hold holds the row's final step at this moment.
#[must_use]
pub fn may_be_asked_again(may_start: bool, state: State, under_hold: bool) -> bool {
    may_start && !(state == State::Importing && under_hold)
}

/// A row as a claim looks for one.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its path.
    pub path: &'a str,
    /// How its migration stands.
    pub state: State,
    /// It waits for its final step without a slot.
    pub is_held: bool,
    /// A hold holds its final step at this moment.
    pub under_hold: bool,
    /// Its `not_before` is still to come.
    pub waits: bool,
    /// It has more tags than the settings allow.
    pub has_many_tags: bool,
    /// The higher, the earlier.
    pub priority: i32,
}

/// The row that a claim takes (`claim.sql`), of rows in the order of their registration: first what was held and is held no
/// more, by priority and then by path; then retries, then by priority, then by age.
pub fn next_due<'a>(rows: impl IntoIterator<Item = Candidate<'a>>) -> Option<usize> {
    let is_due = |row: &Candidate<'_>| match row.state {
        State::PreImportDone => row.is_held && !row.under_hold,
        State::ImportAborted => !row.waits,
        State::Default => !row.waits && !row.has_many_tags,
        State::PreImporting | State::Importing | State::ImportDone | State::ImportSkipped => false,
    };
    let rank = |row: &Candidate<'a>| {
        let path = row.is_held.then_some(row.path);
        (!row.is_held, row.state != State::ImportAborted, Reverse(row.priority), path)
    };
    let due = rows.into_iter().enumerate().filter(|(_, row)| is_due(row));
    due.min_by_key(|(number, row)| (rank(row), *number)).map(|(number, _)| number)
}

/// A request for a step, as the history has it.
#[derive(Clone, Copy, Debug)]
pub struct Request<A> {
    /// The attempt that it was made for.
    pub attempt: Option<A>,
    /// It was not answered with a 202, or has reported its end.
    pub is_over: bool,
}

/// Whose a step is that runs and was asked for by somebody else than the row's attempt (`change.sql`): the row's own
/// attempt where the guard has asked for this step with it once more, else the last other one of `requests` for the step,
/// which are in the order of the history, that is not over.
pub fn adopted<A: Copy + PartialEq>(
    own: Option<A>,
    was_asked_again: bool,
    requests: impl DoubleEndedIterator<Item = Request<A>>,
) -> Option<A> {
    if was_asked_again {
        return own;
    }
    let mut others = requests.filter(|request| request.attempt != own);
    others.rfind(|request| !request.is_over)?.attempt
}
