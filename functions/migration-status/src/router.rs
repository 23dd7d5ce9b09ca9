//! Which of its routes a request takes.

use std::sync::Arc;

use lambda_http::{Body, Request, Response, http::Method};
use shared::{
    migration::RepositoryPath,
    runtime::Budget,
    web::{NamedRoute, Problem, auth, find_route, no_body},
};

use crate::{
    deps::{Call, Deps},
    routes::{history::history, list::list, status::status, summary::summary},
};

/// Answers with what was asked for, or with a problem.
pub async fn handle(deps: Arc<Deps>, request: Request, budget: Budget) -> Response<Body> {
    let call = Call::new(&deps, &request, budget);
    call.respond(answer(&call).await)
}

async fn answer(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    auth::operator(call.request.headers(), &call.deps.token).await?;
    let route = Route::of(call.request)?;
    no_body(call.request)?;
    match route {
        Route::List => list(call).await,
        Route::Summary => summary(call).await,
        Route::Status(path) => status(call, &path).await,
        Route::History(path) => history(call, &path).await,
    }
}

/// A route with the repository it names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    /// `GET /migrations`
    List,
    /// `GET /migrations/summary`
    Summary,
    /// `GET /migrations/status/<path>`
    Status(RepositoryPath),
    /// `GET /migrations/history/<path>`
    History(RepositoryPath),
}

impl Route {
    fn of(request: &Request) -> Result<Self, Problem> {
        let fixed =
            [(Method::GET, "/migrations", Self::List), (Method::GET, "/migrations/summary", Self::Summary)];
        let named: [NamedRoute<Self>; 2] = [
            (Method::GET, "/migrations/status/", Self::Status),
            (Method::GET, "/migrations/history/", Self::History),
        ];
        find_route(request, fixed, named)
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::{Request, RequestExt, http::Method};
    use shared::migration::RepositoryPath;

    use super::Route;

    fn route(method: Method, path: &str) -> Result<Route, u16> {
        let mut request = Request::default().with_raw_http_path(path);
        *request.method_mut() = method;
        Route::of(&request).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn finds_each_route_by_its_address() {
        let path = || RepositoryPath::parse("group/image").unwrap();
        for (address, expected) in [
            ("/migrations", Ok(Route::List)),
            ("/migrations/", Ok(Route::List)),
            ("/migrations/summary", Ok(Route::Summary)),
            ("/migrations/summary/", Ok(Route::Summary)),
            ("/migrations/status/group/image", Ok(Route::Status(path()))),
            ("/migrations/history/Group%2Fimage", Ok(Route::History(path()))),
            ("/migrations/status/", Err(404)),
            ("/migrations/history/a/../b", Err(404)),
            ("/migrations/statuses/group/image", Err(404)),
            ("/", Err(404)),
        ] {
            assert_eq!(route(Method::GET, address), expected, "{address}");
        }
        assert_eq!(route(Method::POST, "/migrations"), Err(405));
        assert_eq!(route(Method::PUT, "/migrations/status/group/image"), Err(405));
    }
}
