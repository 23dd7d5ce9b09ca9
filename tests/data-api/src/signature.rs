//! The SigV4 signature: its presence and its scope are checked, its cryptography is not. There is no
//! account here whose key could have made it.

use hyper::HeaderMap;

use crate::error::{ApiError, ErrorCode};

const SERVICE: &str = "rds-data";

/// Refuses a request that no SDK would have signed for this service.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(header) = headers.get("authorization") else {
        return Err(ApiError::new(
            ErrorCode::MissingAuthenticationTokenException,
            "Missing Authentication Token",
        ));
    };
    let incomplete = || {
        ApiError::new(
            ErrorCode::IncompleteSignatureException,
            "The Authorization header is not a complete AWS4-HMAC-SHA256 signature.",
        )
    };
    let text = header.to_str().map_err(|_| incomplete())?;
    let parts = text.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(incomplete)?;
    let part = |name: &str| {
        parts
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .ok_or_else(incomplete)
    };
    let signature = part("Signature")?;
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(incomplete());
    }
    if !part("SignedHeaders")?.split(';').any(|name| name == "host") {
        return Err(incomplete());
    }
    match part("Credential")?.split('/').collect::<Vec<_>>().as_slice() {
        [_key, _date, _region, SERVICE, "aws4_request"] => Ok(()),
        [_key, _date, _region, _other, "aws4_request"] => Err(ApiError::new(
            ErrorCode::InvalidSignatureException,
            "Credential should be scoped to correct service: 'rds-data'.",
        )),
        _ => Err(incomplete()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(authorization: &str) -> Option<ErrorCode> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", authorization.parse().unwrap());
        check(&headers).err().map(|error| error.code)
    }

    fn signed(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=K/20260101/eu-central-1/{service}/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature={}",
            "0f".repeat(32)
        )
    }

    #[test]
    fn a_signature_for_this_service_is_accepted() {
        assert_eq!(code(&signed("rds-data")), None);
    }

    #[test]
    fn a_signature_for_another_service_is_refused() {
        assert_eq!(code(&signed("rds")), Some(ErrorCode::InvalidSignatureException));
    }

    #[test]
    fn half_a_signature_is_refused() {
        assert_eq!(code("Bearer x"), Some(ErrorCode::IncompleteSignatureException));
        let short = signed("rds-data").replace(&"0f".repeat(32), "0f");
        assert_eq!(code(&short), Some(ErrorCode::IncompleteSignatureException));
    }

    #[test]
    fn a_request_without_a_signature_is_refused() {
        let error = check(&HeaderMap::new()).unwrap_err();
        assert_eq!(error.code, ErrorCode::MissingAuthenticationTokenException);
    }
}
