//! A notification: its address, its id and its body.

use lambda_http::{Request, RequestExt};
use serde_json::{Value, json};
use shared::{
    migration::{
        NotificationStatus, RepositoryPath,
        foreign::{MAX_CHARACTERS, keep},
    },
    web::{NotificationRequest, NotificationRoute},
};

use crate::{is_planted, pieces};

/// The address's path and the id, a line each; then the body.
pub fn run(data: &[u8]) {
    let ([address, id], body) = pieces::lines(data);
    let address = pieces::text(address);
    names_a_repository(&address);
    names_a_repository(&format!("/internal/registry/repositories/{address}/migration/status"));
    says_a_status(id, body);
    keeps_the_detail(&pieces::text(body));
}

/// What an address names is a path that names itself.
fn names_a_repository(address: &str) {
    let route = |address: &str| {
        NotificationRoute::repository_path(&Request::default().with_raw_http_path(address)).ok()
    };
    let Some(path) = route(address) else { return };
    assert_eq!(RepositoryPath::exactly(path.as_str()).as_ref(), Ok(&path), "it is no path");
    let hidden: String = path.as_str().bytes().map(|byte| format!("%{byte:02X}")).collect();
    for written in [path.as_str(), &hidden] {
        let again = format!("/api/v4/internal/registry/repositories/{written}/migration/status");
        assert_eq!(route(&again).as_ref(), Some(&path), "another spelling names another repository");
    }
}

/// A body that says one status is never refused, and one that is not is of the six.
fn says_a_status(id: &[u8], body: &[u8]) {
    let mut request = Request::new(body.to_vec().into());
    if let Ok(id) = id.try_into() {
        request.headers_mut().insert("x-request-id", id);
    }
    let read = NotificationRequest::of(&request).ok();
    // The planted fault: a detail of anything but small letters loses the notification.
    let is_lost = |detail: &str| !detail.bytes().all(|byte| byte.is_ascii_lowercase());
    let read = read.filter(|read| !(is_planted() && read.detail.as_deref().is_some_and(is_lost)));
    if let Some(detail) = read.as_ref().and_then(|read| read.detail.as_ref()) {
        assert!(detail.chars().count() <= MAX_CHARACTERS, "the detail is too long");
        assert!(!detail.contains('\0'), "the detail cannot be stored");
    }
    let Ok(Value::Object(said)) = serde_json::from_slice(body) else { return };
    let status =
        said.get("status").and_then(Value::as_str).and_then(|text| NotificationStatus::parse(text).ok());
    let is_said_once = pieces::text(body).matches("status").count() == 1;
    if let Some(status) = status.filter(|_| is_said_once) {
        assert_eq!(read.map(|read| read.status), Some(status), "a notification is lost");
    }
}

/// A detail comes back as it can be kept.
fn keeps_the_detail(detail: &str) {
    for status in NotificationStatus::ALL {
        let body = json!({"name": "b", "status": status.name(), "detail": detail}).to_string();
        let read = NotificationRequest::of(&Request::new(body.into()));
        let read = read.map(|read| (read.status, read.detail)).ok();
        assert_eq!(read, Some((*status, Some(keep(detail)))));
    }
}
