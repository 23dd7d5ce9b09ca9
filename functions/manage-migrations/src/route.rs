//! Which of its routes a request takes.

use lambda_http::{Request, RequestExt, http::Method};
use shared::{
    migration::RepositoryPath,
    web::{Problem, repository_path},
};

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
    /// `POST /migrations/reopen/<path>`
    Reopen(RepositoryPath),
    /// `POST /migrations/reopen`
    ReopenMany,
    /// `GET /migrations/explain/<path>`
    Explain(RepositoryPath),
    /// `GET /settings`
    Settings,
    /// `PATCH /settings`
    ChangeSettings,
}

/// The route with the repository that its address ends with.
type Named = fn(RepositoryPath) -> Route;

impl Route {
    /// The route of `request`.
    ///
    /// # Errors
    /// A 404 where there is none, or the path is none that a repository can have.
    pub fn of(request: &Request) -> Result<Self, Problem> {
        let raw = request.raw_http_path();
        let raw = raw.strip_suffix('/').unwrap_or(raw);
        let method = request.method();
        match (method.as_str(), raw) {
            ("POST", "/repositories") => return Ok(Self::Register),
            ("POST", "/repositories/from-catalog") => return Ok(Self::RegisterFromCatalogue),
            ("POST", "/migrations/reopen") => return Ok(Self::ReopenMany),
            ("GET", "/settings") => return Ok(Self::Settings),
            ("PATCH", "/settings") => return Ok(Self::ChangeSettings),
            _ => {}
        }
        let named: [(Method, &str, Named); 6] = [
            (Method::DELETE, "/repositories/", Self::Remove),
            (Method::POST, "/migrations/retry/", Self::Retry),
            (Method::POST, "/migrations/cancel/", Self::Cancel),
            (Method::POST, "/migrations/skip/", Self::Skip),
            (Method::POST, "/migrations/reopen/", Self::Reopen),
            (Method::GET, "/migrations/explain/", Self::Explain),
        ];
        let found = named.into_iter().find(|(of, prefix, _)| of == method && raw.starts_with(prefix));
        let (_, prefix, route) = found.ok_or_else(|| Problem::not_found("no such address"))?;
        repository_path(request, prefix).map(route)
    }
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
            ("POST", "/migrations/reopen/group/image", Route::Reopen(path())),
            ("POST", "/migrations/reopen", Route::ReopenMany),
            ("GET", "/migrations/explain/group/image", Route::Explain(path())),
            ("GET", "/settings", Route::Settings),
            ("PATCH", "/settings", Route::ChangeSettings),
        ] {
            assert_eq!(route(method, address), Some(expected), "{method} {address}");
        }
        let same_name = RepositoryPath::parse("from-catalog").unwrap();
        assert_eq!(route("DELETE", "/repositories/from-catalog"), Some(Route::Remove(same_name)));
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
