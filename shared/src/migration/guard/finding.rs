use crate::migration::{Plan, RegistryStatus, state::named};

/// What the registry says when the guard asks it to cancel a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cancelation {
    /// It is canceled.
    Accepted,
    /// Nothing ran any more: it stands so.
    Stands(RegistryStatus),
    /// It knows of no import of it.
    KnowsNothing,
    /// Nobody knows whether it was canceled.
    NoAnswer,
}

/// What the guard does about a row.
#[derive(Clone, Debug, PartialEq)]
pub enum GuardDecision {
    /// Ask the registry to cancel the step; what it says to that decides.
    Cancel,
    /// This.
    Apply(Remedy),
}

/// What is done about a row without asking the registry any further.
#[derive(Clone, Debug, PartialEq)]
pub enum Remedy {
    /// Nothing.
    Leave(Finding),
    /// Record it. Where that begins an attempt, the registry is to be asked for its step; where it frees a
    /// slot, the slot is to be filled.
    Record {
        /// Why.
        finding: Finding,
        /// What.
        plan: Plan,
    },
    /// Ask the registry for the row's step with the row's own attempt, without a transition.
    AskAgain,
}

named! {
    /// What the guard found about a row, as its summary counts it.
    Finding, "finding" {
        /// The registry did not say.
        Unanswered = "unanswered",
        /// The step runs and has time.
        Running = "running",
        /// The new storage serves the repository without an import.
        Native = "native",
        /// The final step succeeded.
        Finished = "finished",
        /// Another step runs than the row says.
        Adopted = "adopted",
        /// The pre step succeeded: on to the final step.
        Promoted = "promoted",
        /// The pre step succeeded, and the kill switch is off: the row waits for it, in possession of its slot.
        Parked = "parked",
        /// The row was parked: on to the final step.
        Resumed = "resumed",
        /// The registry knows nothing of it: a new attempt.
        Restarted = "restarted",
        /// The registry was not asked, or forgot: asked again with the same attempt.
        AskedAgain = "asked_again",
        /// The step failed.
        Failed = "failed",
        /// Somebody canceled the step.
        Canceled = "canceled",
        /// The step was canceled past its time.
        TimedOut = "timed_out",
        /// It does not run, and the kill switch is off: back to where it came from.
        GivenBack = "given_back",
    }
}
