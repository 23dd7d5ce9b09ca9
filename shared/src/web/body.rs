use http::{HeaderMap, StatusCode, header};
use lambda_http::Request;
use serde::de::DeserializeOwned;

use super::Problem;

/// The largest body that is read: a notification has less than a kilobyte.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Reads the request's body as JSON. The bytes decide: a missing content type is accepted, and only one that
/// names something else is refused.
///
/// # Errors
/// 413 over [`MAX_BODY_BYTES`], 415 for another content type, 400 for what is empty, not UTF-8, not JSON or of
/// the wrong shape; where a field is wrong, it is named.
pub fn json_body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    json_text(text_body(request, MAX_BODY_BYTES, is_json, "application/json")?)
}

/// As [`json_body`]; an empty body is as good as none and reads as the default.
///
/// # Errors
/// As [`json_body`].
pub fn optional_json_body<T: DeserializeOwned + Default>(request: &Request) -> Result<T, Problem> {
    let bytes: &[u8] = request.body();
    if bytes.trim_ascii().is_empty() { Ok(T::default()) } else { json_body(request) }
}

/// The request's body as text of at most `limit` bytes. Where a content type is named, `accepts` decides on its
/// subtype; `expected` is what the caller is told otherwise.
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
    if subtype(request.headers()).is_some_and(|subtype| !accepts(&subtype)) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the body must be {expected}")));
    }
    if bytes.is_empty() {
        return Err(Problem::bad_request("the body is empty, JSON is expected"));
    }
    std::str::from_utf8(bytes).map_err(|_| Problem::bad_request("the body is not UTF-8"))
}

/// Reads `text`, all of it, as JSON.
///
/// # Errors
/// 400 for what is not JSON or of the wrong shape; where a field is wrong, it is named.
pub fn json_text<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| refusal(&error))?;
    deserializer.end().map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = error.path();
    let text = match error.inner().classify() {
        serde_json::error::Category::Data if path.iter().len() > 0 => {
            format!("the body's field {path} is wrong: {}", error.inner())
        }
        serde_json::error::Category::Data => format!("the body is wrong: {}", error.inner()),
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => format!("the body is not JSON: {}", error.inner()),
    };
    Problem::bad_request(text)
}

/// The subtype of the content type, in lower case; none where none is named.
fn subtype(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let (_, subtype) = value.split(';').next()?.trim().split_once('/')?;
    Some(subtype.to_ascii_lowercase())
}

fn is_json(subtype: &str) -> bool {
    subtype == "json" || subtype.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use lambda_http::{Body, Request};
    use serde::Deserialize;

    use super::{MAX_BODY_BYTES, json_body};

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wanted {
        count: u8,
        inner: Option<Inner>,
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
            Some("nonsense"),
            Some(""),
        ] {
            assert_eq!(read(content_type, r#"{"count":1}"#).as_ref(), Ok(&wanted), "{content_type:?}");
            assert_eq!(read(content_type, r#"{"count":1}"#.as_bytes().to_vec()).as_ref(), Ok(&wanted));
        }
    }

    #[test]
    fn another_content_type_is_refused_whatever_the_bytes_are() {
        for content_type in
            ["text/plain", "application/x-www-form-urlencoded", "application/xml", "image/png"]
        {
            let (status, _) = read(Some(content_type), r#"{"count":1}"#).unwrap_err();
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
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
            ("[]", "the body is wrong"),
            ("null", "the body is wrong"),
        ] {
            let (status, message) = read(None, body).unwrap_err();
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(message.contains(says), "{message}");
        }
    }
}
