//! What routes with pages have in common.

use shared::web::{Problem, Query};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;

/// How many a page holds at most, by its parameter `limit`.
///
/// # Errors
/// A 400 where it is no number, or none from 1 to 500.
pub fn limit(query: &Query) -> Result<u32, Problem> {
    let outside = || format!("must be between 1 and {MAX_LIMIT}");
    let read =
        |text: &str| text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(outside);
    Ok(query.get("limit", read)?.unwrap_or(DEFAULT_LIMIT))
}
