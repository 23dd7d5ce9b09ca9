//! A door for whoever feeds the reading of placeholders with rubbish. Built with the feature `fuzzing` alone.

use crate::placeholders;

/// A statement with its placeholders by number, and their names in the order of the numbers.
#[must_use]
pub fn numbered(sql: &str) -> (String, Vec<String>) {
    let numbered = placeholders::numbered(sql);
    (numbered.sql, numbered.names)
}
