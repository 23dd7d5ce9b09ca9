use std::fmt::{self, Write as _};

use super::{Consistency, EndpointKind, ErrorClass, PURPOSES, PurposeRule};

/// What is done where the endpoint of a purpose gave no rows, once sending the statement again has come to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resort {
    /// The writer is asked, through the secret that can only SELECT and within a budget; then 503.
    Writer,
    /// 503 with Retry-After.
    Unavailable,
    /// 500, or the run fails: somebody has to repair something.
    Error,
    /// The failure itself is the measurement.
    Report,
}

/// What is done for a purpose after a failure of a class. A misconfiguration or a defect is loud everywhere and
/// never a reason to ask elsewhere: it would only stay unseen.
#[must_use]
pub const fn resort(rule: &PurposeRule, class: ErrorClass) -> Resort {
    match rule.consistency {
        Consistency::Compared => Resort::Report,
        Consistency::Latest if class.is_unavailable() => Resort::Unavailable,
        Consistency::MinVersion | Consistency::Any | Consistency::Hint if class.is_transient() => {
            Resort::Writer
        }
        Consistency::Latest | Consistency::MinVersion | Consistency::Any | Consistency::Hint => Resort::Error,
    }
}

/// Whether a statement is sent again after a failure of a class, where that is safe. A writer that is read-only is
/// failing over.
#[must_use]
pub const fn is_sent_again(rule: &PurposeRule, class: ErrorClass) -> bool {
    let asks_the_writer = !matches!(rule.endpoint, EndpointKind::Reader);
    class.is_transient() || (matches!(class, ErrorClass::ReadOnly) && asks_the_writer)
}

/// What is done for a purpose where the reader lags past the operators' bound. None: it cannot be.
///
/// The bound holds for a caller that names a version too, even one that the reader has: who always sends back what
/// was last shown would be shown the same for as long as the reader hangs. And it holds for hints: they would name
/// nothing of what became stuck since.
#[must_use]
pub const fn resort_past_bound(rule: &PurposeRule) -> Option<Resort> {
    match rule.consistency {
        Consistency::Latest => None,
        Consistency::MinVersion | Consistency::Any | Consistency::Hint => Some(Resort::Writer),
        Consistency::Compared => Some(Resort::Report),
    }
}

/// What is done where the reader is behind what its caller names: a row's version, or a line of the history.
const fn behind(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::MinVersion | Consistency::Hint => "writer",
        Consistency::Any => "shown as it is",
        Consistency::Latest => "cannot be",
        Consistency::Compared => "reported",
    }
}

impl fmt::Display for Resort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writer => "writer",
            Self::Unavailable => "503",
            Self::Error => "error",
            Self::Report => "reported",
        })
    }
}

/// The failures that the table shows, each by an example.
const FAILURES: [(&str, ErrorClass); 7] = [
    ("down, refused", ErrorClass::Unavailable),
    ("cut", ErrorClass::ConnectionLost),
    ("timeout", ErrorClass::Timeout),
    ("conflict (40001)", ErrorClass::Conflict),
    ("read-only (25006)", ErrorClass::ReadOnly),
    ("wrong password", ErrorClass::Misconfigured),
    ("missing table", ErrorClass::Defect),
];

/// [`resort`] as a Markdown table, as shared/README.md shows it.
#[must_use]
pub fn fallback_table() -> String {
    let mut table = String::from("| purpose | behind its caller | lagging past its bound |");
    let mut line = String::from("\n|---|---|---|");
    for (failure, _) in FAILURES {
        let _ = write!(table, " {failure} |");
        line.push_str("---|");
    }
    table.push_str(&line);
    table.push('\n');
    for rule in PURPOSES {
        let past =
            resort_past_bound(rule).map_or_else(|| "cannot be".to_owned(), |resort| resort.to_string());
        let _ = write!(table, "| {} | {} | {past} |", rule.name, behind(rule.consistency));
        for (_, class) in FAILURES {
            let again = if is_sent_again(rule, class) { "again, then " } else { "" };
            let _ = write!(table, " {again}{} |", resort(rule, class));
        }
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Resort, fallback_table, resort, resort_past_bound};
    use crate::endpoint::{EndpointKind, ErrorClass, PURPOSES};

    #[test]
    fn resorts_are_as_the_snapshot_says() {
        insta::assert_snapshot!(fallback_table());
    }

    #[test]
    fn never_falls_back_because_of_a_misconfiguration() {
        use ErrorClass::{Constraint, Defect, Misconfigured, ReadOnly, Undecodable};
        for rule in PURPOSES {
            for class in [Misconfigured, Defect, Constraint, Undecodable] {
                assert!(matches!(resort(rule, class), Resort::Error | Resort::Report), "{rule:?} {class}");
            }
            if rule.endpoint != EndpointKind::Reader {
                assert_ne!(resort(rule, ErrorClass::Unavailable), Resort::Writer, "{rule:?}");
                assert_ne!(resort_past_bound(rule), Some(Resort::Writer), "{rule:?}");
                continue;
            }
            assert_eq!(resort(rule, ReadOnly), Resort::Error, "a statement that writes was sent to a reader");
        }
    }
}
