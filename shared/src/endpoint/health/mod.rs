use std::time::Duration;

use super::{
    Consistency, EndpointError, ErrorClass, Execution, Failure, PurposeRule, Read, ReaderLag, ReaderStatus,
    Relation, Resort, Statement, WriterStatus, bypass::BypassReason, resort_past_bound,
};
use crate::freshness::FetchedAt;

/// How long the endpoints' health is cached where all is well, and so the longest an operator's switch takes to reach
/// every process.
pub(super) const HEALTH_TTL: Duration = Duration::from_secs(30);

/// How long it is cached where something is wrong: the writer does not answer, the reader lags, or the reader is
/// silent. The writer is to be spared again as soon as the reader can serve.
pub(super) const HEALTH_RETRY: Duration = Duration::from_secs(5);

/// How long an endpoint may take to say how it stands.
pub(super) const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);

/// What the endpoints are asked about themselves. The rows are a [`WriterStatus`] and a [`ReaderStatus`].
#[derive(Clone, Debug)]
pub struct HealthProbe {
    /// For the writer.
    pub writer: Statement<Read>,
    /// For the reader.
    pub reader: Statement<Read>,
}

/// What a process knows of its two endpoints.
#[derive(Clone, Debug, Default)]
pub(super) struct EndpointHealth {
    /// When they were last asked, and whether the writer answered then.
    asked: Option<(FetchedAt, bool)>,
    /// The writer's last word.
    writer: Option<WriterStatus>,
    relation: Option<Relation>,
    lag: ReaderLag,
    /// When the reader was last found silent, and by which failure. The circuit breaker: until this is old nobody
    /// waits for the reader.
    silence: Option<(FetchedAt, EndpointError)>,
    /// The reader took too long for something, and has not said since how it stands.
    is_suspect: bool,
}

impl EndpointHealth {
    /// Whether the endpoints are to be asked again how they stand.
    pub(super) fn is_due(&self) -> bool {
        let on_trial = self.silence.as_ref().is_some_and(|(at, _)| at.is_older_than(HEALTH_RETRY));
        self.writer_is_due() || on_trial || self.is_suspect
    }

    /// Whether the writer's last word is too old.
    pub(super) fn writer_is_due(&self) -> bool {
        let is_old = self.asked.is_none_or(|(at, answered)| {
            let is_well = answered && self.lag == ReaderLag::Fresh;
            at.is_older_than(if is_well { HEALTH_TTL } else { HEALTH_RETRY })
        });
        is_old || self.writer_is_read_only()
    }

    /// Whether the writer's last word is that the reader may be asked.
    pub(super) fn reader_is_in(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.rule.reader_enabled)
    }

    pub(super) fn writer_is_read_only(&self) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.identity.read_only)
    }

    /// The failure by which the reader was last found silent.
    pub(super) fn silence(&self) -> Option<&EndpointError> {
        self.silence.as_ref().map(|(_, error)| error)
    }

    /// Why the reader may not answer for a purpose, whatever it says.
    pub(super) fn bypass(&self, rule: &PurposeRule) -> Option<BypassReason> {
        let writer = self.writer.as_ref()?;
        let lags = match self.lag {
            ReaderLag::Fresh => false,
            ReaderLag::Overdue => writer.rule.lag_is_bounded || rule.consistency == Consistency::Hint,
            ReaderLag::Copying => true,
        };
        if !writer.rule.reader_enabled {
            Some(BypassReason::ReaderOff)
        } else if lags && resort_past_bound(rule) == Some(Resort::Writer) {
            Some(BypassReason::ReaderLagging)
        } else {
            None
        }
    }

    /// The writer is being asked. If nobody waits for its answer, it counts as one that did not come.
    pub(super) fn begin_asking(&mut self) {
        self.asked = Some((FetchedAt::now(), false));
    }

    pub(super) fn learn_writer(&mut self, writer: WriterStatus) {
        self.asked = Some((FetchedAt::now(), true));
        self.writer = Some(writer);
    }

    /// What the reader says, or that it does not. Gives what the two are to each other where that is new. What was
    /// known of the lag of a reader that does not say stays.
    pub(super) fn learn_reader(&mut self, reader: &Result<ReaderStatus, EndpointError>) -> Option<Relation> {
        self.is_suspect = false;
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => {
                self.note_failure(error, true);
                return None;
            }
        };
        self.note_answer();
        let writer = self.writer.as_ref()?;
        self.lag = ReaderLag::of(writer.rule, reader);
        let relation = Some(Relation::of(&writer.identity, &reader.identity));
        let before = std::mem::replace(&mut self.relation, relation);
        relation.filter(|_| before != relation)
    }

    /// The reader has given rows.
    pub(super) fn note_answer(&mut self) {
        self.silence = None;
    }

    /// The reader has given none. `is_quick`: to what it answers within milliseconds.
    pub(super) fn note_failure(&mut self, error: &EndpointError, is_quick: bool) {
        match silence(&error.failure, is_quick) {
            Silence::Silent => self.silence = Some((FetchedAt::now(), error.clone())),
            // Unless it was found out just now whether it is silent or slow, that is asked beside the next read.
            Silence::Perhaps => self.is_suspect = self.silence.is_none(),
            Silence::Speaks => self.silence = None,
        }
    }
}

/// Whether statements for a purpose find a row or a few by an index, so that a reader which answers at all answers
/// within milliseconds. Lists and counts may take their time.
pub(super) const fn is_quick(rule: &PurposeRule) -> bool {
    match rule.consistency {
        Consistency::MinVersion | Consistency::Hint => true,
        Consistency::Any | Consistency::Latest | Consistency::Compared => false,
    }
}

/// What a failure says about the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// Nobody is there, or nobody answers.
    Silent,
    /// It may be silent, or slow.
    Perhaps,
    /// It has answered with a refusal.
    Speaks,
}

fn silence(failure: &Failure, is_quick: bool) -> Silence {
    match (failure.class, failure.outcome) {
        (ErrorClass::ConnectionLost, _) => Silence::Silent,
        // With a code of PostgreSQL's it is a server that is there and has no room.
        (ErrorClass::Unavailable, _) if failure.sql_state.is_none() => Silence::Silent,
        (ErrorClass::Timeout, Execution::Unknown) if is_quick => Silence::Silent,
        (ErrorClass::Timeout, Execution::Unknown | Execution::DidNotRun) => Silence::Perhaps,
        (
            ErrorClass::Timeout
            | ErrorClass::Unavailable
            | ErrorClass::Resuming
            | ErrorClass::Throttled
            | ErrorClass::Conflict
            | ErrorClass::ReadOnly
            | ErrorClass::Misconfigured
            | ErrorClass::Constraint
            | ErrorClass::Defect
            | ErrorClass::Undecodable,
            _,
        ) => Silence::Speaks,
    }
}

#[cfg(test)]
mod tests;
