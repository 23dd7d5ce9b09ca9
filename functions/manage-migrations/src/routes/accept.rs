//! `POST /migrations/accept/<path>`

use lambda_http::{Body, Response};
use serde::Deserialize;
use shared::{
    migration::{RepositoryPath, TagsCheck},
    web::{Problem, json_body},
};
use uuid::Uuid;

use crate::deps::{Call, WRITER, acting_store};

/// The longest reason, in characters: what the history holds.
const MAX_REASON: usize = 255;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    reason: String,
}

/// Accepts that tags of a repository are missing after its import, or were not compared.
pub async fn accept(call: &Call<'_>, path: &RepositoryPath) -> Result<Response<Body>, Problem> {
    let Accept { reason } = json_body(call.request)?;
    let reason = checked(&reason)?;
    let deadline = call.deadline();
    let changed = acting_store(call)?.accept_tags(path, reason, Uuid::new_v4(), deadline).await?;
    let changed = changed.ok_or_else(Problem::unknown_repository)?;
    if changed.verdict.took_effect() {
        return Ok(call.ok(WRITER, changed.row));
    }
    let says = changed.row.tags_check.map_or("says nothing of its tags", TagsCheck::name);
    let text = format!("there is nothing to accept: the repository {says}");
    Err(Problem::conflict(text).of_kind("nothing-to-accept").about(&changed.row))
}

fn checked(reason: &str) -> Result<&str, Problem> {
    let reason = reason.trim();
    let fits = !reason.is_empty() && reason.chars().count() <= MAX_REASON;
    if fits && !reason.contains(char::is_control) {
        return Ok(reason);
    }
    let text = format!("the body's field reason is wrong: must be one line of 1 to {MAX_REASON} characters");
    Err(Problem::bad_request(text))
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn wants_a_reason_that_the_history_can_hold() {
        assert_eq!(checked(" deleted by its owner "), Ok("deleted by its owner"));
        assert!(checked(&"ü".repeat(255)).is_ok());
        for reason in ["", " ", "a\0", "a\nb", &"ü".repeat(256)] {
            assert!(checked(reason).is_err(), "{reason:?}");
        }
    }
}
