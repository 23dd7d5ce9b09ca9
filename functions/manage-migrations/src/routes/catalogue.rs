//! `POST /repositories/from-catalog`

use std::time::Duration;

use lambda_http::{Body, Response, http::StatusCode};
use serde::Deserialize;
use shared::{
    driver::{self, CatalogueEnd, CatalogueRegistered},
    web::{Problem, optional_json_body},
};

use crate::deps::{Call, WRITER};

/// The longest place in the catalogue to go on from, in bytes: a name, or a page's address.
const MAX_AFTER: usize = 4096;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FromCatalogue {
    after: Option<String>,
}

/// Registers what the registry's catalogue lists, as far as the time allows.
pub async fn register_catalogue(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    let FromCatalogue { after } = optional_json_body(call.request)?;
    if after
        .as_deref()
        .is_some_and(|after| after.is_empty() || after.len() > MAX_AFTER || after.contains('\0'))
    {
        let text =
            "the body's field after is wrong: must be a repository's name, or `next` of the last answer";
        return Err(Problem::bad_request(text));
    }
    let deps = call.deps;
    let done = driver::register_catalogue(&deps.store, &deps.registry, after, call.deadline()).await?;
    let CatalogueRegistered { registered, existing, refused_count, ended, .. } = &done;
    tracing::info!(
        registered,
        existing,
        refused = refused_count,
        ended = ended.name(),
        "registered the catalogue"
    );
    match done.is_nothing().then(|| failure(&done)).flatten() {
        Some(problem) => Err(problem),
        None => Ok(call.ok(WRITER, done)),
    }
}

/// The problem that an answer is where nothing was found.
fn failure(done: &CatalogueRegistered) -> Option<Problem> {
    let wait = done.retry_after.map(Duration::from_secs);
    let bad_gateway = |text: String| Problem::new(StatusCode::BAD_GATEWAY, text);
    match done.ended {
        CatalogueEnd::Complete | CatalogueEnd::Empty | CatalogueEnd::OutOfTime => None,
        CatalogueEnd::RegistryUnavailable => {
            let text = "the registry does not list its repositories now";
            Some(Problem::registry_unavailable(text, wait))
        }
        CatalogueEnd::RegistryRefused => {
            let code = done.registry_code.as_deref();
            let said = [done.registry_status.map(|status| status.to_string()).as_deref(), code]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" ");
            let problem =
                bad_gateway(format!("the registry refuses to list its repositories: it answered {said}"))
                    .of_kind("registry-refused")
                    .with("registry_status", done.registry_status)
                    .with("registry_code", code);
            Some(match wait {
                Some(wait) => problem.retry_after(wait),
                None => problem,
            })
        }
        CatalogueEnd::NotAList
        | CatalogueEnd::TooLarge
        | CatalogueEnd::BeginsAgain
        | CatalogueEnd::ForeignLink
        | CatalogueEnd::UnreadableLink => {
            let text = done.note.unwrap_or("the registry's list cannot be read").to_owned();
            Some(bad_gateway(text).of_kind("registry-list-unusable").with("ended", done.ended.name()))
        }
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::http::StatusCode;
    use shared::driver::{CatalogueEnd, CatalogueRegistered};

    use super::failure;

    fn done(ended: CatalogueEnd, status: Option<u16>, retry_after: Option<u64>) -> CatalogueRegistered {
        CatalogueRegistered {
            registered: 0,
            existing: 0,
            tags_unknown: 0,
            refused_count: 0,
            refused: vec![],
            ended,
            note: None,
            registry_status: status,
            registry_code: status.map(|_| "DENIED".to_owned()),
            retry_after,
            next: None,
            last: None,
        }
    }

    #[test]
    fn tells_a_refusal_from_a_silence_and_from_no_list() {
        use CatalogueEnd as End;
        let (refused, silent) = (StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE);
        for (ended, status, wait, problem) in [
            (End::RegistryRefused, Some(403), None, (refused, None)),
            (End::RegistryRefused, Some(429), Some(17), (refused, Some("17"))),
            (End::RegistryUnavailable, None, None, (silent, Some("5"))),
            (End::RegistryUnavailable, None, Some(30), (silent, Some("30"))),
            (End::NotAList, None, None, (refused, None)),
            (End::TooLarge, None, None, (refused, None)),
        ] {
            let answer = failure(&done(ended, status, wait)).unwrap();
            let shown = answer.message();
            let said = status.is_none_or(|status| shown.contains(&format!("{status} DENIED")));
            assert!(said, "{shown}");
            let response =
                answer.into_response(&shared::web::RequestId::of(&lambda_http::Request::default()));
            let after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            assert_eq!((response.status(), after.as_deref()), problem, "{ended:?}");
        }
        for ended in [End::Complete, End::Empty, End::OutOfTime] {
            assert_eq!(failure(&done(ended, None, None)), None, "{ended:?}");
        }
    }
}
