//! `WWW-Authenticate`, and where credentials go.

use std::sync::LazyLock;

use lambda_http::http::{HeaderMap, header::WWW_AUTHENTICATE};
use oci::fuzzing::{Challenge, challenges, trusted};
use url::Url;

use crate::{is_planted, pieces};

static REGISTRY: LazyLock<Option<Url>> = LazyLock::new(|| "https://registry.example.com".parse().ok());
const NAMED: &str = "login.example.net";

/// Two lines of the header, then a realm and what it calls the registry, a line each.
pub fn run(data: &[u8]) {
    let ([first, second, realm, service], _) = pieces::lines(data);
    let mut headers = HeaderMap::new();
    for line in [first, second] {
        if let Ok(value) = line.try_into() {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    for challenge in challenges(&headers) {
        if let Challenge::Bearer { realm, .. } = challenge {
            stays_home(&realm);
        }
    }
    let is_text = |c: &char| matches!(c, ' '..='~');
    let [realm, service] = [realm, service]
        .map(|line| pieces::text(line).chars().filter(is_text).take(1000).collect::<String>());
    stays_home(&realm);
    is_read(realm, service);
}

/// Credentials go to the registry's site, or where the operator said, and over TLS.
fn stays_home(realm: &str) {
    let Some(registry) = &*REGISTRY else { panic!("the registry has no address") };
    let Ok(url) = trusted(realm, registry, &[NAMED.to_owned()]) else { return };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let is_home = host == "example.com" || host.ends_with(".example.com") || host.eq_ignore_ascii_case(NAMED);
    // The planted fault: an address that begins with another letter is a stranger's.
    let is_planted = is_planted() && !url.path().starts_with("/t");
    assert!(is_home && !is_planted, "credentials go to {url}");
    assert!(url.scheme() == "https" && url.username().is_empty() && url.password().is_none());
}

/// A challenge that is written as the standard says is read.
fn is_read(realm: String, service: String) {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let written = format!("Bearer realm=\"{}\",service=\"{}\"", quoted(&realm), quoted(&service));
    let Ok(value) = written.try_into() else { return };
    let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
    assert_eq!(challenges(&headers), [Challenge::Bearer { realm, service: Some(service) }]);
}
