use lambda_http::{Request, RequestExt};
use percent_encoding::percent_decode_str;

use super::Problem;
use crate::migration::RepositoryPath;

/// Where the registry sends its notifications, with and without GitLab's prefix.
const NOTIFICATION_PREFIXES: [&str; 2] =
    ["/api/v4/internal/registry/repositories/", "/internal/registry/repositories/"];
const NOTIFICATION_SUFFIX: &str = "/migration/status";

/// The notification's route: `…/internal/registry/repositories/<path>/migration/status`.
#[derive(Clone, Copy, Debug)]
pub struct NotificationRoute;

impl NotificationRoute {
    /// Its addresses, as the API's description names them: with `{path}` for the repository's path.
    #[must_use]
    pub fn addresses() -> [String; 2] {
        NOTIFICATION_PREFIXES.map(|prefix| format!("{prefix}{{path}}{NOTIFICATION_SUFFIX}"))
    }

    /// The container repository the notification is about.
    ///
    /// # Errors
    /// A 404 when the address is not the route's or names nothing that can be a repository.
    pub fn repository_path(request: &Request) -> Result<RepositoryPath, Problem> {
        let raw = request.raw_http_path();
        let rest = NOTIFICATION_PREFIXES.iter().find_map(|prefix| raw.strip_prefix(prefix));
        let path = rest.and_then(|rest| rest.strip_suffix(NOTIFICATION_SUFFIX));
        parse(path.ok_or_else(no_such_address)?)
    }
}

/// The container repository that an address ends with, e.g. after the prefix `/migrations/start/`.
///
/// The address is taken as it arrived and decoded once. Locally it arrives verbatim, from an HTTP API already
/// decoded; a valid path has no `%`, so decoding again changes nothing. (Only an address that was encoded
/// twice meets a difference: refused locally, understood when deployed.) `uri().path()` would not do: it is
/// normalised, and `..` would name another repository.
///
/// # Errors
/// A 404 when the address does not begin with `prefix` or names nothing that can be a repository.
pub fn repository_path(request: &Request, prefix: &str) -> Result<RepositoryPath, Problem> {
    parse(request.raw_http_path().strip_prefix(prefix).ok_or_else(no_such_address)?)
}

fn parse(encoded: &str) -> Result<RepositoryPath, Problem> {
    let impossible =
        || Problem::not_found("no container repository can have this path").of_kind("impossible-path");
    // What is no encoding keeps its `%`, and the grammar has none.
    let decoded = percent_decode_str(encoded).decode_utf8().map_err(|_| impossible())?;
    RepositoryPath::parse(&decoded).map_err(|_| impossible())
}

fn no_such_address() -> Problem {
    Problem::not_found("no route matches this path")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use lambda_http::{Request, RequestExt};

    use super::{NotificationRoute, repository_path};

    fn start(rest: &str) -> Result<String, StatusCode> {
        let request = Request::default().with_raw_http_path(format!("/migrations/start/{rest}"));
        repository_path(&request, "/migrations/start/")
            .map(|path| path.to_string())
            .map_err(|problem| problem.status())
    }

    fn notification(raw: &str) -> Result<String, StatusCode> {
        NotificationRoute::repository_path(&Request::default().with_raw_http_path(raw))
            .map(|path| path.to_string())
            .map_err(|problem| problem.status())
    }

    #[test]
    fn a_path_is_the_same_whether_the_gateway_decoded_it_or_not() {
        for (verbatim, decoded) in [
            ("group/project/image", "group/project/image"),
            ("group%2Fproject%2fimage", "group/project/image"),
            ("Group/PROJECT/Image", "Group/PROJECT/Image"),
            ("group%2Fproject/%69mage", "group/project/image"),
        ] {
            assert_eq!(start(verbatim).as_deref(), Ok("group/project/image"), "{verbatim}");
            assert_eq!(start(decoded).as_deref(), Ok("group/project/image"), "{decoded}");
        }
    }

    #[test]
    fn a_path_that_no_repository_can_have_is_not_found() {
        for rest in [
            "",
            "/",
            "a//b",
            "/a",
            "a/",
            "..",
            "a/../b",
            "a/..",
            "a/%2e%2e/b",
            "a/./b",
            "a%3Fb",
            "a?b",
            "a%252Fb",
            "a%00b",
            "a%0Ab",
            "a b",
            "a%20b",
            "a+b",
            "a%",
            "a%2",
            "a%zz",
            "%ff%fe",
            "a%C3%28",
            "grüße",
            "gr%C3%BC",
            "a%E2%80%AEb",
            "a#b",
            "a:b",
            "a@b",
            "a\\b",
        ] {
            assert_eq!(start(rest), Err(StatusCode::NOT_FOUND), "{rest:?}");
        }
        assert_eq!(start(&"a".repeat(300)), Err(StatusCode::NOT_FOUND));
        assert_eq!(start(&format!("{}/b", "a".repeat(254))), Err(StatusCode::NOT_FOUND));
        assert!(start(&"a".repeat(255)).is_ok());
    }

    #[test]
    fn a_notifications_path_stands_between_the_routes_ends() {
        for prefix in ["/api/v4", ""] {
            let raw = format!("{prefix}/internal/registry/repositories/Group/a%2Fb/migration/status");
            assert_eq!(notification(&raw).as_deref(), Ok("group/a/b"), "{raw}");
        }
        let nested = "/internal/registry/repositories/a/migration/status/migration/status";
        assert_eq!(notification(nested).as_deref(), Ok("a/migration/status"));
    }

    #[test]
    fn an_address_that_is_not_the_notifications_is_not_found() {
        for raw in [
            "",
            "/",
            "/api/v4/internal/registry/repositories/migration/status",
            "/api/v4/internal/registry/repositories//migration/status",
            "/api/v4/internal/registry/repositories/a/migration/status/",
            "/api/v4/internal/registry/repositories/a/migration",
            "/api/v4/internal/registry/repositories/a%2Fmigration%2Fstatus",
            "/api/v5/internal/registry/repositories/a/migration/status",
            "/api/v4/internal/registry/repositories/a%252Fb/migration/status",
            "/api/v4/internal/registry/repositories/../b/migration/status",
        ] {
            assert_eq!(notification(raw), Err(StatusCode::NOT_FOUND), "{raw:?}");
        }
    }
}
