//! The catalogue and the lists of tags.

use axum::response::Response;
use http::StatusCode;
use http::header::LINK;
use serde_json::{Value, json};

use super::Site;
use super::answer::{Code, set};
use super::config::{Links, Personality};
use super::route::Call;
use crate::digest::Digest;
use crate::storage::StorageError;

/// The largest page of the catalogue, and of the tags of distribution 3 none.
const MOST: i64 = 1000;
const USUAL: i64 = 100;

impl Site {
    pub(super) fn catalog(&self, call: &Call) -> Result<Response, StorageError> {
        let settings = self.settings();
        let third = self.config.personality.is_third();
        let mut names = match third {
            false => self.store.storage.repositories_with_layers()?,
            true => self.store.storage.repositories()?,
        };
        names.retain(|name| !settings.unlisted.contains(name));
        let size = match call.parameter("n").map(|n| (n.parse::<i64>(), n)) {
            None => USUAL,
            Some((Ok(n), _)) if (0..=MOST).contains(&n) => n,
            Some((Ok(n), _)) if n > MOST => return Ok(self.bad_number(json!(n))),
            Some((_, n)) if third => return Ok(self.bad_number(json!(n))),
            Some(_) => USUAL,
        };
        let body = |shown: &[String]| json!({"repositories": shown});
        Ok(self.page(call, &names, Some(size), body))
    }

    pub(super) fn tags(&self, call: &Call, name: &str) -> Result<Response, StorageError> {
        if !self.store.storage.had_tags(name) {
            return Ok(self.writer().error(Code::NameUnknown, json!({"name": name})));
        }
        let mut tags: Vec<String> = self.store.storage.tags(name)?.into_keys().collect();
        if self.config.personality == Personality::Distribution2 && self.settings().page.is_none() {
            // Distribution 2 lists them as they come, whatever is asked for.
            tags.sort_by_cached_key(|tag| Digest::of(tag.as_bytes()));
            let shown = if tags.is_empty() { Value::Null } else { json!(tags) };
            return Ok(self.writer().json(StatusCode::OK, &json!({"name": name, "tags": shown})));
        }
        let size = match call.parameter("n").map(|n| n.parse::<i64>()) {
            None => None,
            Some(Ok(n)) if n >= 0 => Some(n),
            Some(n) => return Ok(self.bad_number(json!(n.unwrap_or(0)))),
        };
        Ok(self.page(call, &tags, size, |shown| json!({"name": name, "tags": shown})))
    }

    fn bad_number(&self, n: Value) -> Response {
        self.writer().error(Code::PaginationNumberInvalid, json!({"n": n}))
    }

    /// The page of `names` (sorted) that a call asks for: `size` of them, or what the settings say.
    fn page(
        &self,
        call: &Call,
        names: &[String],
        size: Option<i64>,
        body: impl Fn(&[String]) -> Value,
    ) -> Response {
        let settings = self.settings();
        let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let size = settings.page.map_or(size, |page| page.min(size));
        let cursor = call.parameter("cursor").map(|cursor| cursor.chars().rev().collect());
        let last = cursor.or_else(|| call.parameter("last")).unwrap_or_default();
        let rest = &names[names.partition_point(|name| *name <= last)..];
        let shown = &rest[..size.min(rest.len())];
        let mut response = self.writer().json(StatusCode::OK, &body(shown));
        if let (Some(end), true) = (shown.last(), rest.len() > shown.len()) {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            match settings.links {
                Links::Cursor => query.append_pair("cursor", &end.chars().rev().collect::<String>()),
                Links::Relative | Links::Absolute | Links::Elsewhere(_) => query.append_pair("last", end),
            };
            let query = query.append_pair("n", &size.to_string()).finish();
            let base = match &settings.links {
                Links::Relative | Links::Cursor => String::new(),
                Links::Absolute => format!("http://{}", self.host(call)),
                Links::Elsewhere(base) => base.clone(),
            };
            set(response.headers_mut(), LINK, &format!("<{base}{}?{query}>; rel=\"next\"", call.path));
        }
        response
    }
}
