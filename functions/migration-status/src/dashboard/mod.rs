//! `GET /`: the operators' page. One document without any data, whose script asks the other routes for it.
//!
//! Nothing on it may come from elsewhere: the policy that goes with it names its style and its script by their hashes, and
//! lets the script ask this origin only. The parts stand in `page/`, and are joined here.

use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64;
use lambda_http::{Body, Response, http::HeaderValue};
use shared::web::{IfNoneMatch, Problem, Query, document, not_modified};

use crate::deps::Call;

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
/// In the order in which they use each other.
const SCRIPT: &str = concat!(
    include_str!("page/text.js"),
    include_str!("page/elements.js"),
    include_str!("page/requests.js"),
    include_str!("page/seen.js"),
    include_str!("page/dialogs.js"),
    include_str!("page/actions.js"),
    include_str!("page/holds.js"),
    include_str!("page/overview.js"),
    include_str!("page/prefixes.js"),
    include_str!("page/attention.js"),
    include_str!("page/listing.js"),
    include_str!("page/repository.js"),
    include_str!("page/settings.js"),
    include_str!("page/refresh.js"),
    include_str!("page/main.js"),
);

/// The page with what goes with it.
struct Page {
    text: String,
    policy: HeaderValue,
    /// A number, as a row's tag is one.
    version: i64,
}

impl Page {
    fn new() -> Option<Self> {
        let text = FRAME.replace("/* style */", STYLE).replace("/* script */", SCRIPT);
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        let of_all = digest(&SHA256, text.as_bytes());
        let (first, _) = of_all.as_ref().split_first_chunk()?;
        let version = i64::from_be_bytes(*first) & i64::MAX;
        Some(Self { policy: HeaderValue::from_str(&policy).ok()?, text, version })
    }
}

/// As a policy names what it allows.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(digest(&SHA256, text.as_bytes()).as_ref()))
}

fn page() -> Option<&'static Page> {
    static PAGE: OnceLock<Option<Page>> = OnceLock::new();
    PAGE.get_or_init(Page::new).as_ref()
}

/// The page, or a 304 where the caller has it.
pub fn dashboard(call: &Call<'_>) -> Result<Response<Body>, Problem> {
    Query::of(call.request, &[])?;
    let page = page().ok_or_else(Problem::defect)?;
    let cached = IfNoneMatch::of(call.request.headers()).has(page.version);
    let mut response = if cached { not_modified(&call.id) } else { document(page.text.clone(), &call.id) };
    let tag = HeaderValue::from_str(&format!("\"{}\"", page.version)).map_err(|_| Problem::defect())?;
    response.headers_mut().extend(
        [
            ("etag", tag),
            // Kept, and asked for each time: a deployment changes it.
            ("cache-control", HeaderValue::from_static("no-cache")),
            ("content-security-policy", page.policy.clone()),
            ("x-content-type-options", HeaderValue::from_static("nosniff")),
            ("referrer-policy", HeaderValue::from_static("no-referrer")),
            ("cross-origin-opener-policy", HeaderValue::from_static("same-origin")),
            ("cross-origin-resource-policy", HeaderValue::from_static("same-origin")),
        ]
        .map(|(name, value)| (Some(lambda_http::http::HeaderName::from_static(name)), value)),
    );
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::{FRAME, Page, SCRIPT, STYLE, hash};

    #[test]
    fn names_its_style_and_its_script_in_the_policy() {
        let page = Page::new().unwrap();
        let policy = page.policy.to_str().unwrap();
        for (element, text) in [("style", STYLE), ("script type=\"module\"", SCRIPT)] {
            let name = element.split(' ').next().unwrap();
            assert!(page.text.contains(&format!("<{element}>{text}</{name}>")), "{element}");
            assert!(policy.contains(&hash(text)), "{policy}");
        }
        assert!(!policy.contains("unsafe") && policy.starts_with("default-src 'none';"));
    }

    #[test]
    fn has_no_inline_handler_and_no_address_elsewhere() {
        let page = Page::new().unwrap();
        assert!(!page.text.contains(" style=\"") && !page.text.contains("://"), "an attribute or an address");
        let handler = FRAME.split_whitespace().find(|word| word.starts_with("on") && word.contains('='));
        assert_eq!(handler, None);
        for sink in ["innerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.contains(sink), "{sink}");
        }
    }
}
