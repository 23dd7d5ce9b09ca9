//! Pages of lists: names, and the link to the next page, as both clients of registries read them.

use std::sync::LazyLock;

use answer_headers::{NextPage, next_page, retry_after};
use jiff::Timestamp;
use lambda_http::http::{
    HeaderMap,
    header::{LINK, RETRY_AFTER},
};
use oci::{Client, ClientConfig, fuzzing as by_oci};
use shared::registry::fuzzing as by_registry;
use url::Url;

use crate::{is_planted, pieces};

static REGISTRY: LazyLock<Option<(Url, Client)>> = LazyLock::new(|| {
    let url: Url = "https://images.example.com:8443/base/v2/_catalog?n=1000".parse().ok()?;
    let client = Client::new(ClientConfig::new("https://images.example.com:8443/base".parse().ok()?)).ok()?;
    Some((url, client))
});

/// Two lines of `Link`, one of `Retry-After`, then the body.
pub fn run(data: &[u8]) {
    let ([first, second, wait], body) = pieces::lines(data);
    let mut headers = HeaderMap::new();
    for line in [first, second] {
        if let Ok(value) = line.try_into() {
            headers.append(LINK, value);
        }
    }
    if let Ok(value) = wait.try_into() {
        headers.insert(RETRY_AFTER, value);
    }
    if let NextPage::At(target) = next_page(&headers) {
        leads_home(&target);
    }
    // A link that somebody writes as the standard says is found, whatever is in it.
    let target: String = pieces::text(first).chars().filter(|c| c.is_ascii_graphic() && *c != '>').collect();
    if let Ok(value) = format!("<{target}>; rel=\"next\"").try_into() {
        let headers = HeaderMap::from_iter([(LINK, value)]);
        assert_eq!(next_page(&headers), NextPage::At(target), "a link is lost");
    }
    let wait = retry_after(&headers, Timestamp::UNIX_EPOCH);
    assert!(wait.is_none_or(|wait| wait.as_secs() <= 24 * 3600), "a wait of more than a day");
    // Of a member that stands twice, one client takes the last, and the other may refuse the whole.
    let unique =
        serde_json::from_slice::<serde_json::Value>(body).map(|value| value.to_string().into_bytes());
    lists_names(unique.as_deref().unwrap_or(body));
}

/// A link is followed to the registry alone, and both clients agree where that is.
fn leads_home(target: &str) {
    let Some((page, client)) = &*REGISTRY else { panic!("the client cannot be made") };
    let by_registry = by_registry::linked(page, target).ok();
    let by_oci = by_oci::linked(client, page, target).ok();
    // The planted fault: a port that is written is looked at by nobody.
    let planted = is_planted() && by_registry.is_none() && target.contains("images.example.com:");
    assert!(!planted, "planted");
    if let Some(url) = &by_registry {
        assert_eq!(url.origin(), page.origin(), "somebody else's address");
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    }
    assert_eq!(by_registry, by_oci, "the two clients go different ways");
}

/// What the one client can read of a list the other one can read, too, and as many entries.
fn lists_names(body: &[u8]) {
    let count = |read: usize, unreadable: usize| read + unreadable;
    let by_oci = [
        by_oci::tags(body).map(|(tags, unreadable)| count(tags.len(), unreadable.len())),
        by_oci::names(body).map(|(names, unreadable)| count(names.len(), unreadable.len())),
    ];
    for (member, by_oci) in ["tags", "repositories"].into_iter().zip(by_oci) {
        let read = by_registry::names(body, member);
        let read = read.map(|(names, no_names)| count(names.len(), no_names as usize));
        if let Some(by_oci) = by_oci {
            assert_eq!(read, Some(by_oci), "one client reads another list of {member}");
        }
    }
}
