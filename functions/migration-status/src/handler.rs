//! `GET /migrations` and `GET /migrations/status/<path>`: how migrations stand, from the reader.

use std::sync::Arc;

use lambda_http::{Body, Request, RequestExt, Response, http::StatusCode};
use serde::Serialize;
use shared::{
    config::secrets::SharedSecret,
    driver::{Served, StatusAnswer, status},
    endpoint::{List, ReadOnlyWriter, Status},
    migration::{ContainerRepository, RepositoryPath, State},
    runtime::Budget,
    store::{ListFilter, Store},
    web::{Problem, Query, RequestId, auth, json, repository_path, respond},
};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;

/// What the handler works with, made once per process.
pub struct Deps {
    /// The token that operators present.
    pub token: SharedSecret,
    /// The reader, for one repository.
    pub statuses: Store<Status>,
    /// The reader, for many.
    pub lists: Store<List>,
    /// The writer, where the reader is behind its caller. It can only select.
    pub writer: ReadOnlyWriter,
}

#[derive(Serialize)]
struct One {
    served_by: Served,
    #[serde(flatten)]
    row: ContainerRepository,
}

#[derive(Serialize)]
struct Page {
    served_by: Served,
    repositories: Vec<ContainerRepository>,
    /// Where the next page begins: to be sent as `after`. None on the last page.
    next: Option<RepositoryPath>,
}

/// Answers with one repository or a page of them, or with a problem.
pub async fn handle(deps: Arc<Deps>, request: Request, budget: Budget) -> Response<Body> {
    let id = RequestId::of(&request);
    respond(answer(&deps, &request, budget, &id).await, &id)
}

async fn answer(
    deps: &Deps,
    request: &Request,
    budget: Budget,
    id: &RequestId,
) -> Result<Response<Body>, Problem> {
    auth::operator(request.headers(), &deps.token).await?;
    if matches!(request.raw_http_path(), "/migrations" | "/migrations/") {
        page(deps, request, budget, id).await
    } else {
        one(deps, request, budget, id).await
    }
}

async fn one(
    deps: &Deps,
    request: &Request,
    budget: Budget,
    id: &RequestId,
) -> Result<Response<Body>, Problem> {
    let path = repository_path(request, "/migrations/status/")?;
    let floor = Query::of(request, &["min_version"])?.get("min_version", str::parse::<i64>)?;
    let StatusAnswer { row, served } =
        status(&deps.statuses, &deps.writer, &path, floor, budget.deadline()).await?;
    let row =
        row.ok_or_else(|| Problem::not_found("no such container repository").of_kind("unknown-repository"))?;
    if floor.is_some_and(|floor| row.version < floor) {
        let text = format!("the repository is at version {}, which is before min_version", row.version);
        return Err(Problem::bad_request(text)
            .of_kind("version-from-the-future")
            .with("version", row.version));
    }
    tracing::info!(%path, version = row.version, served_by = ?served, "status");
    Ok(json(StatusCode::OK, &One { served_by: served, row }, id))
}

async fn page(
    deps: &Deps,
    request: &Request,
    budget: Budget,
    id: &RequestId,
) -> Result<Response<Body>, Problem> {
    let query = Query::of(request, &["state", "after", "limit"])?;
    let limit = query.get("limit", limit)?.unwrap_or(DEFAULT_LIMIT);
    let filter = ListFilter {
        state: query.get("state", State::parse)?,
        after: query.get("after", RepositoryPath::parse)?,
        limit: limit + 1,
    };
    let mut repositories = deps.lists.list(&filter, budget.deadline()).await?;
    let more = repositories.len() > limit as usize;
    repositories.truncate(limit as usize);
    let next = repositories.last().filter(|_| more).map(|row| row.path.clone());
    tracing::info!(rows = repositories.len(), served_by = "reader", "list");
    Ok(json(StatusCode::OK, &Page { served_by: Served::Reader, repositories, next }, id))
}

fn limit(text: &str) -> Result<u32, String> {
    let outside = || format!("a number from 1 to {MAX_LIMIT} is expected");
    text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(outside)
}
