//! What a caller has seen, and never is shown less than.

use shared::{
    endpoint::{Served, ServedBy},
    web::{Problem, Query, number},
};

/// The version that a caller has seen, by its parameter `min_version`.
///
/// # Errors
/// A 400 where it is no whole number.
pub fn min_version(query: &Query) -> Result<Option<i64>, Problem> {
    query.get("min_version", number(0..=i64::MAX))
}

/// What was found and who served it.
///
/// # Errors
/// A 404 where there is nothing, a 400 where even the writer has not seen what the caller says it has.
pub fn not_before<T>(
    min_version: Option<i64>,
    served: Served<Option<T>>,
    version: impl Fn(&T) -> i64,
) -> Result<(ServedBy, T), Problem> {
    let found = served.found.ok_or_else(Problem::unknown_repository)?;
    let version = version(&found);
    if min_version.is_some_and(|min_version| version < min_version) {
        let text = format!("the repository is at version {version}, which is before min_version");
        return Err(Problem::bad_request(text).of_kind("version-from-the-future").with("version", version));
    }
    Ok((served.by, found))
}
