//! What routes with pages have in common.

use shared::web::{Problem, Query};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;

/// How many a page holds at most, by its parameter `limit`.
///
/// # Errors
/// A 400 where it is no number, or none from 1 to 500.
pub fn limit(query: &Query) -> Result<u32, Problem> {
    Ok(limit_up_to(MAX_LIMIT, query)?.unwrap_or(DEFAULT_LIMIT))
}

/// The parameter `limit`, where it is given.
///
/// # Errors
/// A 400 where it is no number, or none from 1 to `most`.
pub fn limit_up_to(most: u32, query: &Query) -> Result<Option<u32>, Problem> {
    let outside = || format!("must be between 1 and {most}");
    let read = |text: &str| text.parse().ok().filter(|limit| (1..=most).contains(limit)).ok_or_else(outside);
    query.get("limit", read)
}
