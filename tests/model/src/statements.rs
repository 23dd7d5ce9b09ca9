//! What SQL decides, said in Rust: how a change is judged, which slot is free, who is next, whose attempt is adopted.
//!
//! Only here, so that it cannot change alone: the model decides by these functions, and the suite's model test compares
//! the statements on a real database with them.

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

/// A row as a claim looks for one.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// How its migration stands.
    pub state: State,
    /// Its `not_before` is still to come.
    pub waits: bool,
    /// It has more tags than the settings allow.
    pub has_many_tags: bool,
    /// The higher, the earlier.
    pub priority: i32,
}

/// The row that a claim takes (`claim.sql`), of rows in the order of their registration: retries first, then by priority,
/// then by age.
pub fn next_due(rows: impl IntoIterator<Item = Candidate>) -> Option<usize> {
    let is_due = |row: &Candidate| match row.state {
        State::ImportAborted => !row.waits,
        State::Default => !row.waits && !row.has_many_tags,
        State::PreImporting
        | State::PreImportDone
        | State::Importing
        | State::ImportDone
        | State::ImportSkipped => false,
    };
    let rank = |row: &Candidate| (row.state != State::ImportAborted, std::cmp::Reverse(row.priority));
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
