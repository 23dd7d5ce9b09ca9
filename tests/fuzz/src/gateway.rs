//! An event of the gateway, up to the route that it takes.

use std::fmt::Write;

use lambda_http::{Request, RequestExt, http::Method, request::LambdaRequest};
use manage_migrations::router::Route;
use serde_json::{Value, json};
use shared::{
    migration::RepositoryPath,
    runtime::fuzzing::request,
    web::{IfNoneMatch, NotificationRequest, Query, acting_operator, no_body, repository_path},
};

use crate::{is_planted, pieces};

/// An event as JSON; or, where the first line is one word, its pieces: method, path, query, a header and the stage, a
/// line each, then the body.
pub fn run(data: &[u8]) {
    let ([method, path, query, header, stage], body) = pieces::lines(data);
    let event = match data.first() {
        Some(b'{') => serde_json::from_slice(data).ok(),
        _ => Some(event([method, path, query, header, stage].map(pieces::text), body)),
    };
    let Some(event) = event else { return };
    let Ok(event) = serde_json::from_value::<LambdaRequest>(event) else { return };
    match request(event) {
        Err(problem) => assert_eq!(problem.status(), 400, "an impossible request is the caller's mistake"),
        Ok(request) => is_answerable(&request),
    }
}

fn event([method, path, query, header, stage]: [String; 5], body: &[u8]) -> Value {
    let (name, value) = header.split_once(':').unwrap_or((&header, ""));
    let mut name = name.to_ascii_lowercase();
    name.retain(|c| c.is_ascii_alphanumeric() || c == '-');
    let is_base64 = name == "x-base64";
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": if name.is_empty() { json!({}) } else { json!({name: value}) },
        "requestContext": {
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "stage": stage, "domainName": value,
        },
        "body": pieces::text(body), "isBase64Encoded": is_base64,
    })
}

/// Everything that handlers read of a request before they ask anybody.
fn is_answerable(request: &Request) {
    if let Ok(route) = Route::of(request)
        && let Some(path) = route.path()
    {
        assert_eq!(RepositoryPath::exactly(path.as_str()).as_ref(), Ok(path), "it is no path");
        assert_eq!(hidden(request, path), Some(route.clone()), "another spelling takes another route");
        // The planted fault: a path of one component is taken for another.
        assert!(!is_planted() || path.as_str().contains('/'), "planted");
    }
    if let Ok(path) = repository_path(request, "/migrations/status/") {
        assert!(!path.as_str().contains(".."), "a path leaves its place");
    }
    if let Ok(Some(operator)) = acting_operator(request.headers()) {
        let name = operator.to_string();
        assert!(!name.trim().is_empty() && !name.contains(char::is_control), "it is no name");
    }
    if let Ok(query) = Query::of(request, &["min_version", "state", "limit"]) {
        let version = query.get("min_version", str::parse::<u64>);
        let given = request.query_string_parameters_ref().and_then(|given| given.first("min_version"));
        assert_eq!(version.ok().flatten(), given.and_then(|text| text.parse().ok()));
    }
    let said = IfNoneMatch::of(request.headers());
    assert!(said.floor().is_none_or(|version| said.has(version)));
    let _ = NotificationRequest::of(request);
    let _ = no_body(request);
}

/// The route of the same request with each character of the repository's path encoded.
fn hidden(request: &Request, path: &RepositoryPath) -> Option<Route> {
    let raw = request.raw_http_path();
    // Where the path begins in it: after the second slash of `/migrations/…/`, or the first of `/repositories/`.
    let slashes = if raw.starts_with("/migrations/") { 3 } else { 2 };
    let (begin, _) = raw.match_indices('/').nth(slashes - 1)?;
    let mut hidden = raw[..=begin].to_owned();
    for byte in path.as_str().bytes() {
        let _ = write!(hidden, "%{byte:02x}");
    }
    let mut again = Request::default().with_raw_http_path(hidden);
    *again.method_mut() = Method::clone(request.method());
    Route::of(&again).ok()
}
