use http::HeaderMap;

use super::Problem;
use crate::migration::Operator;

/// The header in which operators name themselves.
const OPERATOR: &str = "x-operator";

/// Who asks, as they name themselves in `X-Operator`; a blank name is none. It is kept with what is changed, and never
/// decides whether it may be.
///
/// # Errors
/// A 400 for a name that is given twice, is too long, or is not text without control characters.
pub fn acting_operator(headers: &HeaderMap) -> Result<Option<Operator>, Problem> {
    let wrong = |reason: &str| Problem::bad_request(format!("the header X-Operator is wrong: {reason}"));
    let mut values = headers.get_all(OPERATOR).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong("must be given once"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| wrong("must be UTF-8"))?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: crate::migration::InvalidOperator| wrong(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::acting_operator;

    fn named(values: &[&[u8]]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("X-Operator", HeaderValue::from_bytes(value).unwrap());
        }
        let operator = acting_operator(&headers).map_err(|problem| problem.message())?;
        Ok(operator.map(|operator| operator.to_string()))
    }

    #[test]
    fn takes_the_name_as_it_is_given() {
        assert_eq!(named(&[]), Ok(None));
        assert_eq!(named(&[b" "]), Ok(None));
        assert_eq!(named(&[b" jo@example.com "]), Ok(Some("jo@example.com".to_owned())));
        assert_eq!(named(&["Jörg".as_bytes()]), Ok(Some("Jörg".to_owned())));
    }

    #[test]
    fn refuses_a_name_that_cannot_be_kept() {
        let long = "ü".repeat(101);
        let wrong: [&[&[u8]]; 4] = [&[b"a", b"b"], &[b"a\tb"], &[b"\xff"], &[long.as_bytes()]];
        for values in wrong {
            let message = named(values).unwrap_err();
            assert!(
                message.starts_with("400 Bad request - the header X-Operator is wrong: must"),
                "{message}"
            );
        }
    }
}
