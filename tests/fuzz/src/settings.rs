//! What operators set: settings and holds.

use lambda_http::Request;
use serde::{Serialize, de::DeserializeOwned};
use shared::{
    migration::{HoldChange, SettingsChange},
    web::json_body,
};

use crate::is_planted;

/// The most bytes of a list that is stored.
const MAX_LIST_BYTES: usize = 24_000;

/// A body.
pub fn run(data: &[u8]) {
    if let Some(change) = read::<SettingsChange>(data).and_then(|change| change.checked().ok()) {
        assert_eq!(change.clone().checked().as_ref(), Ok(&change), "what is checked is not what is read");
        let stored = SettingsChange { version: None, ..change.clone() };
        assert_eq!(written_and_read(&stored).as_ref(), Some(&stored), "it is stored as another");
        assert!(change.capacity.is_none_or(|capacity| (0..=1000).contains(&capacity)));
        // The planted fault: there is no room for more than that.
        assert!(!(is_planted() && change.capacity.is_some_and(|capacity| capacity > 25)), "planted");
        for list in [&change.target_plans, &change.denied_root_namespaces].into_iter().flatten() {
            let bytes = serde_json::to_string(list).unwrap_or_default().len();
            assert!(bytes <= MAX_LIST_BYTES, "a list of {bytes} bytes");
            assert!(list.iter().all(|name| !name.contains('\0') && name.trim() == name && !name.is_empty()));
        }
    }
    if let Some(change) = read::<HoldChange>(data).and_then(|change| change.checked().ok()) {
        let prefix = change.prefix.as_str();
        assert!(!prefix.contains('\0') && prefix == prefix.to_lowercase(), "it is no prefix");
        assert!(change.reason.as_deref().is_none_or(|reason| !reason.contains('\0')));
        let again = change.clone().checked();
        assert_eq!(again.ok().map(|again| format!("{again:?}")), Some(format!("{change:?}")));
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    json_body(&Request::new(body.to_vec().into())).ok()
}

fn written_and_read<T: Serialize + DeserializeOwned>(value: &T) -> Option<T> {
    read(serde_json::to_string(value).ok()?.as_bytes())
}
