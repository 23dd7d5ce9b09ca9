use std::fmt;

use crate::migration::foreign;

/// The longest part of a message that is kept, in characters.
const MESSAGE: usize = 300;

/// What is known about a statement that gave no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It surely did not run.
    DidNotRun,
    /// It ran, failed and was rolled back: it changed nothing.
    RanAndFailed,
    /// Nobody knows whether it ran.
    Unknown,
}

/// Why a statement gave no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The cluster is waking up.
    Resuming,
    /// Too many calls at once.
    Throttled,
    /// The service or the database cannot be reached, or broke off.
    Unavailable,
    /// The time was up.
    Timeout,
    /// The service lost its connection to the database.
    ConnectionLost,
    /// Another transaction was in the way: a serialization failure, a deadlock, a lock not to be had.
    Conflict,
    /// The statement writes and the server is read-only: this is no writer.
    ReadOnly,
    /// The ARN, the secret, the permissions or the credentials are wrong.
    Misconfigured,
    /// A constraint of the schema refused the change.
    Constraint,
    /// The statement is wrong.
    Defect,
    /// The rows are not what the statement promises.
    Undecodable,
}

impl ErrorClass {
    /// Whether the same statement may succeed later without anybody repairing anything.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Resuming
            | Self::Throttled
            | Self::Unavailable
            | Self::Timeout
            | Self::ConnectionLost
            | Self::Conflict => true,
            Self::ReadOnly | Self::Misconfigured | Self::Constraint | Self::Defect | Self::Undecodable => {
                false
            }
        }
    }

    /// Whether the service is not available now (answered 503), rather than something being wrong with us
    /// (answered 500). A writer that is read-only counts as not available: it may be failing over.
    #[must_use]
    pub const fn is_unavailable(self) -> bool {
        self.is_transient() || matches!(self, Self::ReadOnly)
    }
}

/// A five-character SQLSTATE of PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// Reads five upper-case letters and digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 5] = text.as_bytes().try_into().ok()?;
        code.iter().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()).then_some(Self(code))
    }

    /// The five characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// What the state means, by PostgreSQL's appendix A: whether the statement ran, and why it failed.
    ///
    /// A session that is ended while its statement runs (57P01, 57P02, most of class 08) may have been ended
    /// just after its commit, so nobody knows.
    #[must_use]
    pub fn meaning(&self) -> (Execution, ErrorClass) {
        use Execution::{DidNotRun, RanAndFailed, Unknown};
        match self.as_str() {
            "40001" | "40P01" | "55P03" => (RanAndFailed, ErrorClass::Conflict),
            "25006" => (RanAndFailed, ErrorClass::ReadOnly),
            "57014" => (RanAndFailed, ErrorClass::Timeout),
            "57P03" | "08001" | "08004" => (DidNotRun, ErrorClass::ConnectionLost),
            "53300" => (DidNotRun, ErrorClass::Unavailable),
            "3D000" => (DidNotRun, ErrorClass::Misconfigured),
            "42501" => (RanAndFailed, ErrorClass::Misconfigured),
            // The session was ended between two statements of a transaction, which is taken back.
            "25P03" | "25P04" => (RanAndFailed, ErrorClass::ConnectionLost),
            // It was not told what it needs, the value of a parameter for example: no connection was lost.
            "08P01" => (RanAndFailed, ErrorClass::Defect),
            state if state.starts_with("57P") || state.starts_with("08") || state == "40003" => {
                (Unknown, ErrorClass::ConnectionLost)
            }
            // Something around the server, or in it, is broken: how far it got, it cannot say.
            state if state.starts_with("58") || state.starts_with("XX") => (Unknown, ErrorClass::Unavailable),
            state if state.starts_with("53") => (RanAndFailed, ErrorClass::Unavailable),
            state if state.starts_with("28") => (DidNotRun, ErrorClass::Misconfigured),
            state if state.starts_with("23") => (RanAndFailed, ErrorClass::Constraint),
            _ => (RanAndFailed, ErrorClass::Defect),
        }
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a transport says about a statement that gave no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether it ran.
    pub outcome: Execution,
    /// Why it gave no rows.
    pub class: ErrorClass,
    /// PostgreSQL's code, where PostgreSQL said something.
    pub sql_state: Option<SqlState>,
    /// The service's name for the error, where it gave one.
    pub code: Option<String>,
    /// What else may be shown: never a bound value, never a secret.
    pub detail: Option<String>,
}

impl Failure {
    /// A failure of which nothing further is known.
    #[must_use]
    pub const fn new(outcome: Execution, class: ErrorClass) -> Self {
        Self { outcome, class, sql_state: None, code: None, detail: None }
    }

    /// PostgreSQL refused a statement: the state says why. Of `message` only what may be shown is kept: those
    /// of class 42 speak of the statement's text, which is a constant, and P0001 is what a statement of ours says
    /// itself; of the others only a constraint's name is taken, since they quote values.
    #[must_use]
    pub fn of_postgres(state: SqlState, message: &str) -> Self {
        let (outcome, class) = state.meaning();
        let detail = if state.as_str().starts_with("42") || state.as_str() == "P0001" {
            Some(cut(message))
        } else {
            constraint(message).map(|name| format!("constraint {}", cut(name)))
        };
        Self { sql_state: Some(state), detail, ..Self::new(outcome, class) }
    }

    /// Whether a change of the same id is there already. A statement that is sent again meets the first sending's
    /// own, as soon as that is committed: the next sending finds what it did.
    pub(super) fn is_of_a_known_change(&self) -> bool {
        self.sql_state.is_some_and(|state| state.as_str() == "23505")
            && self.detail.as_ref().is_some_and(|detail| detail.ends_with("_change_key"))
    }

    /// Whether the service says that the database, or the service itself, is not there. It does not promise that the
    /// statement did not run, so that is not known; it is no reason to look for what may have been done twice.
    pub(super) fn is_an_outage(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        matches!(code, "DatabaseUnavailableException" | "ServiceUnavailableError")
    }

    /// Adds the service's name for the error.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// Adds what may be shown: the caller sees to it that it holds no bound value and no secret.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// The constraint's name in a message of class 23.
fn constraint(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("constraint \"")?;
    Some(rest.split_once('"')?.0)
}

/// The longest part of a foreign text that is kept.
pub(super) fn cut(text: &str) -> String {
    foreign::keep_first(text, MESSAGE)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.class, self.outcome)?;
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        if let Some(state) = &self.sql_state {
            write!(f, ", SQLSTATE {state}")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DidNotRun => "did not run",
            Self::RanAndFailed => "ran and failed",
            Self::Unknown => "outcome unknown",
        })
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resuming => "the database is resuming",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timed out",
            Self::ConnectionLost => "the connection to the database was lost",
            Self::Conflict => "conflict with another transaction",
            Self::ReadOnly => "the server is read-only",
            Self::Misconfigured => "misconfigured",
            Self::Constraint => "refused by a constraint",
            Self::Defect => "defective statement",
            Self::Undecodable => "undecodable rows",
        })
    }
}
