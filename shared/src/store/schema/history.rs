use serde::Deserialize;

use super::{
    FORMER, Script,
    refusal::{SchemaError, Step},
};
use crate::endpoint::{ErrorClass, Execution, Failure};

/// A script that was applied, as the database remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Recorded {
    pub(super) number: u16,
    pub(super) name: String,
    pub(super) checksum: String,
}

impl Recorded {
    /// Rows of one JSON document each.
    pub(super) fn read(rows: &[String]) -> Result<Vec<Self>, SchemaError> {
        let read: Result<Vec<Self>, _> = rows.iter().map(|row| serde_json::from_str(row)).collect();
        read.map_err(|error| {
            let failure = Failure::new(Execution::RanAndFailed, ErrorClass::Undecodable);
            SchemaError::failed(Step::History, failure.with_detail(error.to_string()))
        })
    }
}

fn is_of(script: &Script, found: &Recorded) -> bool {
    script.name == found.name
        && (script.checksum() == found.checksum || FORMER.contains(&(script.name, &found.checksum)))
}

/// What a database has of the scripts that this version knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct History<'a> {
    /// What is left of them.
    pub(super) pending: &'a [Script],
    /// The newest script that was applied, whoever knows it; empty before the first.
    pub(super) newest: String,
    /// Whether scripts were applied that this version does not know.
    pub(super) is_newer: bool,
}

impl<'a> History<'a> {
    /// What was applied are the first of `scripts`, unchanged. Up to the number `newer_is_known` there may be others
    /// that follow.
    pub(super) fn of(
        recorded: &[Recorded],
        scripts: &'a [Script],
        newer_is_known: u16,
    ) -> Result<Self, SchemaError> {
        let mut applied = 0;
        for (expected, found) in (1_u16..).zip(recorded) {
            if found.number != expected {
                return Err(SchemaError::Gap { number: expected });
            }
            match scripts.get(usize::from(expected - 1)) {
                Some(script) if is_of(script, found) => applied += 1,
                Some(script) => return Err(SchemaError::Changed { name: script.name }),
                None if expected <= newer_is_known => {}
                None => {
                    let newest = scripts.last().map_or("none", |script| script.name);
                    return Err(SchemaError::Newer { name: found.name.clone(), newest });
                }
            }
        }
        Ok(Self {
            pending: scripts.get(applied..).unwrap_or_default(),
            newest: recorded.last().map(|last| last.name.clone()).unwrap_or_default(),
            is_newer: recorded.len() > scripts.len(),
        })
    }
}
