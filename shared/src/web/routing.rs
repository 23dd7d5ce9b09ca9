use http::Method;
use lambda_http::{Request, RequestExt};

use super::{Problem, repository_path};
use crate::migration::RepositoryPath;

/// A route with the repository's path that follows its address.
pub type NamedRoute<R> = (Method, &'static str, fn(RepositoryPath) -> R);

/// Finds the route of `request`: among the `fixed` addresses, one slash more at the end or not, then among the `named`
/// ones, which end with a slash and are followed by a repository's path.
///
/// # Errors
/// A 404 where there is none, or the path is none that a repository can have; a 405 where the address is known with
/// another method.
pub fn find_route<R>(
    request: &Request,
    fixed: impl IntoIterator<Item = (Method, &'static str, R)>,
    named: impl IntoIterator<Item = NamedRoute<R>>,
) -> Result<R, Problem> {
    let raw = request.raw_http_path();
    let raw = raw.strip_suffix('/').unwrap_or(raw);
    let mut allowed = Vec::new();
    for (method, _, route) in fixed.into_iter().filter(|(_, address, _)| *address == raw) {
        if method == *request.method() {
            return Ok(route);
        }
        allowed.push(method);
    }
    for (method, prefix, route) in named.into_iter().filter(|(_, prefix, _)| raw.starts_with(prefix)) {
        if method == *request.method() {
            return repository_path(request, prefix).map(route);
        }
        allowed.push(method);
    }
    if allowed.is_empty() {
        return Err(Problem::not_found("no route matches this path"));
    }
    let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    Err(Problem::method_not_allowed(allowed.join(", ")))
}

/// The methods and addresses that [`find_route`] knows of them, with `{path}` for a repository's path.
pub fn list_routes<R>(
    fixed: impl IntoIterator<Item = (Method, &'static str, R)>,
    named: impl IntoIterator<Item = NamedRoute<R>>,
) -> Vec<(Method, String)> {
    // The address `/` is known without the slash at its end.
    let whole = |address: &str| if address.is_empty() { "/".to_owned() } else { address.to_owned() };
    let fixed = fixed.into_iter().map(|(method, address, _)| (method, whole(address)));
    let named = named.into_iter().map(|(method, prefix, _)| (method, format!("{prefix}{{path}}")));
    fixed.chain(named).collect()
}
