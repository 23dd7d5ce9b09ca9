//! Which of its routes a request takes.

use std::sync::Arc;

use lambda_http::{
    Body, Request, Response,
    http::{Method, StatusCode},
};
use shared::{
    migration::RepositoryPath,
    runtime::Budget,
    web::{NamedRoute, Problem, auth, find_route, list_routes, no_body},
};

use crate::{
    dashboard::dashboard,
    deps::{Call, Deps},
    routes::{
        attention::attention, checkup::checkup, describe::describe, history::history, list::list,
        prefixes::prefixes, progress::progress, proof::proof, report::report, status::status,
        summary::summary,
    },
};

/// Answers with what was asked for, or with a problem.
pub async fn handle(deps: Arc<Deps>, request: Request, budget: Budget) -> Response<Body> {
    let call = Call::new(&deps, &request, budget);
    call.respond(answer(&call).await)
}

async fn answer(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    // Nobody without the token learns which other addresses there are.
    if !Route::is_public(call.request) {
        auth::operator(call.request.headers(), &call.deps.token).await?;
    }
    let route = Route::of(call.request)?;
    no_body(call.request)?;
    match route {
        Route::Dashboard => dashboard(call),
        Route::Describe => describe(call),
        Route::Checkup => checkup(call).await,
        Route::List => list(call).await,
        Route::Summary => summary(call).await,
        Route::Prefixes => prefixes(call).await,
        Route::Attention => attention(call).await,
        Route::Progress => progress(call).await,
        Route::Report => report(call).await,
        Route::Status(path) => status(call, &path).await,
        Route::History(path) => history(call, &path).await,
        Route::Proof(path) => proof(call, &path).await,
    }
}

/// A route with the repository it names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    /// `GET /`
    Dashboard,
    /// `GET /openapi.json`
    Describe,
    /// `GET /doctor`
    Checkup,
    /// `GET /migrations`
    List,
    /// `GET /migrations/summary`
    Summary,
    /// `GET /migrations/prefixes`
    Prefixes,
    /// `GET /migrations/attention`
    Attention,
    /// `GET /migrations/progress`
    Progress,
    /// `GET /migrations/report`
    Report,
    /// `GET /migrations/status/<path>`
    Status(RepositoryPath),
    /// `GET /migrations/history/<path>`
    History(RepositoryPath),
    /// `GET /migrations/proof/<path>`
    Proof(RepositoryPath),
}

impl Route {
    fn of(request: &Request) -> Result<Self, Problem> {
        find_route(request, Self::fixed(), Self::named())
    }

    /// Whether anybody may call this address, and so may also be told that its method is another.
    fn is_public(request: &Request) -> bool {
        let found = find_route(request, Self::public(), []);
        !found.is_err_and(|problem| problem.status() == StatusCode::NOT_FOUND)
    }

    /// The page and the API's description, which have no data.
    fn public() -> Vec<(Method, &'static str, Self)> {
        vec![
            // The address `/`, without the slash at its end.
            (Method::GET, "", Self::Dashboard),
            (Method::GET, "/openapi.json", Self::Describe),
        ]
    }

    fn fixed() -> Vec<(Method, &'static str, Self)> {
        let mut fixed = Self::public();
        fixed.extend([
            (Method::GET, "/doctor", Self::Checkup),
            (Method::GET, "/migrations", Self::List),
            (Method::GET, "/migrations/summary", Self::Summary),
            (Method::GET, "/migrations/prefixes", Self::Prefixes),
            (Method::GET, "/migrations/attention", Self::Attention),
            (Method::GET, "/migrations/progress", Self::Progress),
            (Method::GET, "/migrations/report", Self::Report),
        ]);
        fixed
    }

    fn named() -> Vec<NamedRoute<Self>> {
        vec![
            (Method::GET, "/migrations/status/", Self::Status),
            (Method::GET, "/migrations/history/", Self::History),
            (Method::GET, "/migrations/proof/", Self::Proof),
        ]
    }
}

/// The routes of this function, as the API's description names them.
#[must_use]
pub fn routes() -> Vec<(Method, String)> {
    list_routes(Route::fixed(), Route::named())
}

#[cfg(test)]
mod tests {
    use lambda_http::{Request, RequestExt, http::Method};
    use shared::migration::RepositoryPath;

    use super::Route;

    fn call(method: Method, path: &str) -> Request {
        let mut request = Request::default().with_raw_http_path(path);
        *request.method_mut() = method;
        request
    }

    fn route(method: Method, path: &str) -> Result<Route, u16> {
        Route::of(&call(method, path)).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn finds_each_route_by_its_address() {
        let path = || RepositoryPath::parse("group/image").unwrap();
        for (address, expected) in [
            ("/openapi.json", Ok(Route::Describe)),
            ("/doctor", Ok(Route::Checkup)),
            ("/migrations", Ok(Route::List)),
            ("/migrations/", Ok(Route::List)),
            ("/migrations/summary", Ok(Route::Summary)),
            ("/migrations/summary/", Ok(Route::Summary)),
            ("/migrations/status/group/image", Ok(Route::Status(path()))),
            ("/migrations/history/Group%2Fimage", Ok(Route::History(path()))),
            ("/migrations/status/", Err(404)),
            ("/migrations/history/a/../b", Err(404)),
            ("/migrations/statuses/group/image", Err(404)),
            ("/migrations/prefixes", Ok(Route::Prefixes)),
            ("/migrations/attention", Ok(Route::Attention)),
            ("/migrations/progress", Ok(Route::Progress)),
            ("/migrations/report", Ok(Route::Report)),
            ("/migrations/proof/group/image", Ok(Route::Proof(path()))),
            ("/", Ok(Route::Dashboard)),
            ("/index.html", Err(404)),
        ] {
            assert_eq!(route(Method::GET, address), expected, "{address}");
        }
        assert_eq!(route(Method::POST, "/migrations"), Err(405));
        assert_eq!(route(Method::POST, "/"), Err(405));
        assert_eq!(route(Method::PUT, "/migrations/status/group/image"), Err(405));
    }

    #[test]
    fn tells_anybody_the_method_of_a_public_address() {
        for method in [Method::GET, Method::POST, Method::TRACE] {
            for (address, expected) in [
                ("/", true),
                ("/openapi.json", true),
                ("/openapi.json/", true),
                ("/doctor", false),
                ("/migrations", false),
                ("/migrations/status/group/image", false),
                ("/index.html", false),
            ] {
                assert_eq!(Route::is_public(&call(method.clone(), address)), expected, "{method} {address}");
            }
        }
    }
}
