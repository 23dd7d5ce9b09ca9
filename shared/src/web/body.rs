use http::{HeaderMap, StatusCode, header};
use lambda_http::Request;
use serde::de::DeserializeOwned;

use super::{Object, Problem, describe_json_error};

/// The largest body that is read: what operators ask for has less than a kilobyte.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Reads the request's body as one JSON object. The bytes decide: a missing content type is accepted, and only one
/// that names something else is refused.
///
/// # Errors
/// 413 over [`MAX_BODY_BYTES`], 415 for another content type, 400 for what is empty, not UTF-8, not JSON or of
/// the wrong shape; where a field is wrong, it is named.
pub fn json_body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    json_object(text_body(request, MAX_BODY_BYTES, is_json, "application/json")?)
}

/// As [`json_body`]; an empty body is as good as none and reads as the default.
///
/// # Errors
/// As [`json_body`].
pub fn optional_json_body<T: DeserializeOwned + Default>(request: &Request) -> Result<T, Problem> {
    if is_blank(request.body()) { Ok(T::default()) } else { json_body(request) }
}

/// Checks that the body asks for nothing: it is empty, or an object without members, which some clients always send.
/// An address that knows no body would otherwise pass over what its caller wants (`"dry_run": true`).
///
/// # Errors
/// A 400 for any other body.
pub fn no_body(request: &Request) -> Result<(), Problem> {
    let without = |text: &[u8]| is_blank(text.trim_ascii());
    let inside =
        |text: &[u8]| text.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).is_some_and(without);
    let body: &[u8] = request.body();
    if is_blank(body) || inside(after_mark(body).trim_ascii()) {
        return Ok(());
    }
    Err(Problem::bad_request("this address takes no body: what the body asks for would not be done")
        .of_kind("no-body"))
}

/// The request's body as text of at most `limit` bytes. Where a content type is named, `accepts` decides on its
/// subtype; `expected` is what the answer says otherwise. A byte order mark is no part of the text.
///
/// # Errors
/// 413, 415, or 400 for what is empty or not UTF-8.
pub fn text_body<'a>(
    request: &'a Request,
    limit: usize,
    accepts: fn(&str) -> bool,
    expected: &str,
) -> Result<&'a str, Problem> {
    let bytes: &[u8] = request.body();
    if bytes.len() > limit {
        let text = format!("the body has {} bytes, at most {limit} are read", bytes.len());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    if !subtypes(request.headers()).all(|subtype| accepts(&subtype)) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the body must be {expected}")));
    }
    let bytes = after_mark(bytes);
    if bytes.is_empty() {
        return Err(Problem::bad_request("the body is empty: send JSON"));
    }
    std::str::from_utf8(bytes).map_err(|_| Problem::bad_request("the body is not UTF-8"))
}

/// Reads `text`, all of it, as one JSON object.
fn json_object<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Object(value) =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| refusal(&error))?;
    deserializer.end().map_err(|error| no_json(&error))?;
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let (path, error) = (error.path(), error.inner());
    match error.classify() {
        serde_json::error::Category::Data if path.iter().len() > 0 => {
            Problem::bad_request(format!("the body's field {path} is wrong: {}", describe_json_error(error)))
        }
        serde_json::error::Category::Data => {
            Problem::bad_request(format!("the body is wrong: {}", describe_json_error(error)))
        }
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => no_json(error),
    }
}

/// Where the mistake is helps here, and nobody else says it.
fn no_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("the body is not JSON: {error}"))
}

fn after_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

fn is_blank(bytes: &[u8]) -> bool {
    after_mark(bytes).trim_ascii().is_empty()
}

/// The subtypes of the content type, in lower case: none where none is named, several where a gateway has joined the
/// header's lines.
fn subtypes(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let named = headers.get_all(header::CONTENT_TYPE).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).filter_map(|one| {
        let (_, subtype) = one.split(';').next()?.trim().split_once('/')?;
        Some(subtype.trim().to_ascii_lowercase())
    })
}

fn is_json(subtype: &str) -> bool {
    subtype == "json" || subtype.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use lambda_http::{Body, Request};
    use serde::Deserialize;

    use crate::web::Object;

    use super::{MAX_BODY_BYTES, json_body, no_body, optional_json_body};

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wanted {
        count: u8,
        inner: Option<Object<Inner>>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        name: String,
    }

    fn read(content_type: Option<&str>, body: impl Into<Body>) -> Result<Wanted, (StatusCode, String)> {
        let mut request = Request::new(body.into());
        if let Some(value) = content_type {
            request.headers_mut().insert("content-type", value.parse().unwrap());
        }
        json_body(&request).map_err(|problem| (problem.status(), problem.message()))
    }

    #[test]
    fn json_is_read_with_and_without_its_content_type() {
        let wanted = Wanted { count: 1, inner: None };
        for content_type in [
            None,
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("text/json"),
            Some("application/vnd.api+json"),
            Some("application/json,application/json"),
            Some("application/json; charset=utf-8, text/json"),
            Some("a,a"),
            Some("nonsense"),
            Some(""),
        ] {
            assert_eq!(read(content_type, r#"{"count":1}"#).as_ref(), Ok(&wanted), "{content_type:?}");
            assert_eq!(read(content_type, r#"{"count":1}"#.as_bytes().to_vec()).as_ref(), Ok(&wanted));
        }
    }

    #[test]
    fn another_content_type_is_refused_whatever_the_bytes_are() {
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/xml",
            "image/png",
            "application/json, text/plain",
        ] {
            let (status, _) = read(Some(content_type), r#"{"count":1}"#).unwrap_err();
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        }
    }

    #[test]
    fn reads_a_body_at_the_limit_and_none_over_it() {
        let at = |bytes: usize| format!(r#"{{"count":1{}}}"#, " ".repeat(bytes - r#"{"count":1}"#.len()));
        assert!(read(None, at(MAX_BODY_BYTES)).is_ok());
        assert_eq!(read(None, at(MAX_BODY_BYTES + 1)).unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read(None, vec![0; 1 << 20]).unwrap_err().0, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn what_is_no_json_is_refused_and_the_text_says_why() {
        for (body, says) in [
            (&b""[..], "the body is empty"),
            (b" ", "the body is not JSON"),
            (b"{", "the body is not JSON"),
            (b"count=1", "the body is not JSON"),
            (b"{\"count\":1} x", "the body is not JSON"),
            (b"\xff\xfe", "the body is not UTF-8"),
            (b"{\"count\":\"\xc3\x28\"}", "the body is not UTF-8"),
        ] {
            let (status, message) = read(None, body.to_vec()).unwrap_err();
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?}");
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (body, says) in [
            (r#"{"count":"x"}"#, "field count is wrong"),
            (r#"{"count":1,"inner":{"name":7}}"#, "field inner.name is wrong"),
            ("{}", "missing field `count`"),
            ("[]", "must be an object"),
            ("null", "must be an object"),
            (r#"[1,{"name":"x"}]"#, "must be an object, not a list"),
            (r#"{"count":1,"inner":["x"]}"#, "field inner is wrong: must be an object, not a list"),
            (r#"{"count":300}"#, "field count is wrong: must be a whole number from 0 to 255, not 300"),
        ] {
            let (status, message) = read(None, body).unwrap_err();
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_body() {
        assert_eq!(read(None, "\u{feff}{\"count\":1}"), Ok(Wanted { count: 1, inner: None }));
        assert!(read(None, "\u{feff}").unwrap_err().1.contains("the body is empty"));
        assert!(read(None, "{\"count\":1}\u{feff}").is_err());
        assert!(read(None, "\u{feff}\u{feff}{\"count\":1}").is_err());
        let blank = Request::new("\u{feff} ".into());
        assert!(optional_json_body::<Option<u8>>(&blank).is_ok());
    }

    #[test]
    fn an_address_without_a_body_takes_one_that_asks_for_nothing() {
        for (body, taken) in [
            ("", true),
            (" \r\n", true),
            ("{}", true),
            (" { } ", true),
            ("\u{feff}{}", true),
            (r#"{"dry_run":true}"#, false),
            (r#"{"":null}"#, false),
            ("[]", false),
            ("null", false),
            ("false", false),
            ("{", false),
            ("}", false),
            ("{}{}", false),
            ("dry_run=true", false),
            ("\0", false),
        ] {
            let mut request = Request::new(body.into());
            request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
            assert_eq!(no_body(&request).is_ok(), taken, "{body:?}");
        }
    }
}
