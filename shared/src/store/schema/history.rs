use serde::Deserialize;

use super::{
    FORMER, Script,
    refusal::{SchemaError, Step},
};
use crate::endpoint::{ErrorClass, Failure, Outcome};

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
            let failure = Failure::new(Outcome::RanAndFailed, ErrorClass::Undecodable);
            SchemaError::failed(Step::History, failure.with_detail(error.to_string()))
        })
    }
}

fn is_of(script: &Script, found: &Recorded) -> bool {
    script.name == found.name
        && (script.checksum() == found.checksum || FORMER.contains(&(script.name, &found.checksum)))
}

/// What is left of `scripts` after those that were applied, which are the first of them, unchanged. Up to the number
/// `newer_is_known` there may be others that follow.
pub(super) fn pending<'a>(
    recorded: &[Recorded],
    scripts: &'a [Script],
    newer_is_known: u16,
) -> Result<&'a [Script], SchemaError> {
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
    Ok(scripts.get(applied..).unwrap_or_default())
}
