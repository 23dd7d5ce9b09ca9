//! Which of its routes a request takes.

use std::sync::Arc;

use lambda_http::{Body, Request, Response, http::Method};
use shared::{
    migration::RepositoryPath,
    runtime::Budget,
    web::{NamedRoute, Problem, Query, acting_operator, auth, find_route, list_routes},
};

use crate::{
    deps::{Call, Deps, WRITER},
    routes::{
        accept::accept,
        catalogue::register_catalogue,
        check::check_registry,
        explain::explain,
        holds::{release_hold, set_hold, show_holds},
        register::register,
        remove::remove,
        reopen::{reopen, reopen_many},
        retire::{cancel, skip},
        retry::retry,
        settings::{change_settings, show_settings},
    },
};

/// Answers a request by its route, or with a problem.
pub async fn handle(deps: Arc<Deps>, request: Request, budget: Budget) -> Response<Body> {
    let call = Call::new(&deps, &request, budget);
    call.respond(answer(&call).await)
}

async fn answer(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    auth::operator(call.request.headers(), &call.deps.token).await?;
    let route = Route::of(call.request)?;
    let parameters: &[&str] = if route == Route::ReleaseHold { &["prefix"] } else { &[] };
    Query::of(call.request, parameters)?;
    let operator = acting_operator(call.request.headers())?;
    let operator = operator.as_ref().map(tracing::field::display);
    let path = route.path().map(tracing::field::display);
    tracing::info!(
        operation = route.name(),
        path,
        operator,
        served_by = WRITER,
        "answered an operator's request"
    );
    match route {
        Route::Register => register(call).await,
        Route::RegisterFromCatalogue => register_catalogue(call).await,
        Route::Remove(path) => remove(call, &path).await,
        Route::Retry(path) => retry(call, &path).await,
        Route::Cancel(path) => cancel(call, &path).await,
        Route::Skip(path) => skip(call, &path).await,
        Route::Accept(path) => accept(call, &path).await,
        Route::Reopen(path) => reopen(call, &path).await,
        Route::ReopenMany => reopen_many(call).await,
        Route::Explain(path) => explain(call, &path).await,
        Route::CheckRegistry => check_registry(call).await,
        Route::Settings => show_settings(call).await,
        Route::ChangeSettings => change_settings(call).await,
        Route::Holds => show_holds(call).await,
        Route::SetHold => set_hold(call).await,
        Route::ReleaseHold => release_hold(call).await,
    }
}

/// A route with the repository it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /repositories`
    Register,
    /// `POST /repositories/from-catalog`
    RegisterFromCatalogue,
    /// `DELETE /repositories/<path>`
    Remove(RepositoryPath),
    /// `POST /migrations/retry/<path>`
    Retry(RepositoryPath),
    /// `POST /migrations/cancel/<path>`
    Cancel(RepositoryPath),
    /// `POST /migrations/skip/<path>`
    Skip(RepositoryPath),
    /// `POST /migrations/accept/<path>`
    Accept(RepositoryPath),
    /// `POST /migrations/reopen/<path>`
    Reopen(RepositoryPath),
    /// `POST /migrations/reopen`
    ReopenMany,
    /// `GET /migrations/explain/<path>`
    Explain(RepositoryPath),
    /// `GET /doctor/registry`
    CheckRegistry,
    /// `GET /settings`
    Settings,
    /// `PATCH /settings`
    ChangeSettings,
    /// `GET /holds`
    Holds,
    /// `PUT /holds`
    SetHold,
    /// `DELETE /holds`
    ReleaseHold,
}

impl Route {
    /// The route of `request`.
    ///
    /// # Errors
    /// A 404 where there is none, or the path is none that a repository can have; a 405 where the address is known
    /// with another method.
    pub fn of(request: &Request) -> Result<Self, Problem> {
        find_route(request, Self::fixed(), Self::named())
    }

    fn fixed() -> Vec<(Method, &'static str, Self)> {
        vec![
            (Method::POST, "/repositories", Self::Register),
            (Method::POST, "/repositories/from-catalog", Self::RegisterFromCatalogue),
            (Method::POST, "/migrations/reopen", Self::ReopenMany),
            (Method::GET, "/doctor/registry", Self::CheckRegistry),
            (Method::GET, "/settings", Self::Settings),
            (Method::PATCH, "/settings", Self::ChangeSettings),
            (Method::GET, "/holds", Self::Holds),
            (Method::PUT, "/holds", Self::SetHold),
            (Method::DELETE, "/holds", Self::ReleaseHold),
        ]
    }

    fn named() -> Vec<NamedRoute<Self>> {
        vec![
            (Method::DELETE, "/repositories/", Self::Remove),
            (Method::POST, "/migrations/retry/", Self::Retry),
            (Method::POST, "/migrations/cancel/", Self::Cancel),
            (Method::POST, "/migrations/skip/", Self::Skip),
            (Method::POST, "/migrations/accept/", Self::Accept),
            (Method::POST, "/migrations/reopen/", Self::Reopen),
            (Method::GET, "/migrations/explain/", Self::Explain),
        ]
    }

    /// The name in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::RegisterFromCatalogue => "register_from_catalogue",
            Self::Remove(_) => "remove",
            Self::Retry(_) => "retry",
            Self::Cancel(_) => "cancel",
            Self::Skip(_) => "skip",
            Self::Reopen(_) => "reopen",
            Self::ReopenMany => "reopen_many",
            Self::Explain(_) => "explain",
            Self::Accept(_) => "accept",
            Self::CheckRegistry => "check_registry",
            Self::Settings => "settings",
            Self::ChangeSettings => "change_settings",
            Self::Holds => "holds",
            Self::SetHold => "set_hold",
            Self::ReleaseHold => "release_hold",
        }
    }

    /// The repository it names.
    pub const fn path(&self) -> Option<&RepositoryPath> {
        match self {
            Self::Remove(path)
            | Self::Retry(path)
            | Self::Cancel(path)
            | Self::Skip(path)
            | Self::Reopen(path)
            | Self::Explain(path)
            | Self::Accept(path) => Some(path),
            Self::Register
            | Self::RegisterFromCatalogue
            | Self::ReopenMany
            | Self::CheckRegistry
            | Self::Settings
            | Self::ChangeSettings
            | Self::Holds
            | Self::SetHold
            | Self::ReleaseHold => None,
        }
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

    fn route(method: &str, path: &str) -> Option<Route> {
        let mut request = Request::default().with_raw_http_path(path);
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        Route::of(&request).ok()
    }

    #[test]
    fn each_route_is_found_by_its_method_and_address() {
        let path = || RepositoryPath::parse("group/image").unwrap();
        for (method, address, expected) in [
            ("POST", "/repositories", Route::Register),
            ("POST", "/repositories/", Route::Register),
            ("POST", "/repositories/from-catalog", Route::RegisterFromCatalogue),
            ("DELETE", "/repositories/Group/image", Route::Remove(path())),
            ("POST", "/migrations/retry/group/image", Route::Retry(path())),
            ("POST", "/migrations/cancel/group%2Fimage", Route::Cancel(path())),
            ("POST", "/migrations/skip/group/image", Route::Skip(path())),
            ("POST", "/migrations/accept/group/image", Route::Accept(path())),
            ("POST", "/migrations/reopen/group/image", Route::Reopen(path())),
            ("POST", "/migrations/reopen", Route::ReopenMany),
            ("GET", "/migrations/explain/group/image", Route::Explain(path())),
            ("GET", "/doctor/registry", Route::CheckRegistry),
            ("GET", "/settings", Route::Settings),
            ("PATCH", "/settings", Route::ChangeSettings),
            ("GET", "/holds", Route::Holds),
            ("PUT", "/holds/", Route::SetHold),
            ("DELETE", "/holds", Route::ReleaseHold),
        ] {
            assert_eq!(route(method, address), Some(expected), "{method} {address}");
        }
        let same_name = RepositoryPath::parse("from-catalog").unwrap();
        assert_eq!(route("DELETE", "/repositories/from-catalog"), Some(Route::Remove(same_name)));
    }

    #[test]
    fn an_address_that_is_known_with_another_method_names_it() {
        for (method, address, allow) in [
            ("GET", "/repositories", "POST"),
            ("PUT", "/settings", "GET, PATCH"),
            ("HEAD", "/settings/", "GET, PATCH"),
            ("PATCH", "/holds", "GET, PUT, DELETE"),
            ("PATCH", "/repositories/group/image", "DELETE"),
            ("GET", "/repositories/from-catalog", "POST, DELETE"),
            ("GET", "/migrations/retry/group/image", "POST"),
            ("POST", "/migrations/explain/a/../b", "GET"),
        ] {
            let mut request = Request::default().with_raw_http_path(address);
            *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
            let problem = Route::of(&request).unwrap_err();
            assert_eq!(problem.status(), 405, "{method} {address}");
            assert!(
                problem.message().ends_with(&format!("known with {allow} only")),
                "{}",
                problem.message()
            );
        }
    }

    #[test]
    fn what_is_no_route_is_none() {
        for (method, address) in [
            ("GET", "/repositories"),
            ("PUT", "/settings"),
            ("PATCH", "/repositories/group/image"),
            ("POST", "/migrations/retry"),
            ("POST", "/migrations/retry/"),
            ("POST", "/migrations/retry/a/../b"),
            ("GET", "/migrations/retry/group/image"),
            ("POST", "/migrations/start/group/image"),
            ("GET", "/migrations/explain/group/image/"),
            ("POST", ""),
        ] {
            assert_eq!(route(method, address), None, "{method} {address}");
        }
    }
}
