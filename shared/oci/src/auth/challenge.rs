//! `WWW-Authenticate` (RFC 9110): how a registry wants to be told who asks.

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// The longest header that is read.
const LONGEST: usize = 8 << 10;

/// How a registry wants to be told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// By user and password.
    Basic,
    /// By a token from `realm`.
    Bearer {
        /// Where tokens come from, as it is written.
        realm: String,
        /// What the realm calls the registry.
        service: Option<String>,
    },
}

/// Every challenge of an answer that is understood, tokens first. Others are passed over.
pub fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        if let Some(text) = value.to_str().ok().filter(|text| text.len() <= LONGEST) {
            found.extend(read(text));
        }
    }
    found.sort_by_key(|challenge| matches!(challenge, Challenge::Basic));
    found
}

/// A list of `scheme name=value, name="value", scheme …`.
fn read(text: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut current: Option<(&str, Vec<(String, String)>)> = None;
    let mut rest = text.trim_start_matches(is_gap);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // Nothing that the standard allows here. What came before counts.
            break;
        }
        let after = after.trim_start_matches([' ', '\t']);
        match after.strip_prefix('=') {
            Some(value) => {
                let Some((value, after)) = value_of(value.trim_start_matches([' ', '\t'])) else { break };
                if let Some((_, parameters)) = &mut current {
                    parameters.push((word.to_ascii_lowercase(), value));
                }
                rest = after;
            }
            None => {
                found.extend(current.take().and_then(understood));
                current = Some((word, Vec::new()));
                rest = after;
            }
        }
        rest = rest.trim_start_matches(is_gap);
    }
    found.extend(current.and_then(understood));
    found
}

fn understood((scheme, parameters): (&str, Vec<(String, String)>)) -> Option<Challenge> {
    let get = |name: &str| parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    if scheme.eq_ignore_ascii_case("basic") {
        Some(Challenge::Basic)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        Some(Challenge::Bearer { realm: get("realm")?, service: get("service") })
    } else {
        None
    }
}

/// A value, quoted or not, and what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            c => value.push(c),
        }
    }
    None
}

const fn is_gap(c: char) -> bool {
    matches!(c, ' ' | '\t' | ',')
}

const fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '!' | '#'..='\'' | '*' | '+' | '-' | '.' | '^'..='`' | '|' | '~' | '/')
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
    use proptest::prelude::*;

    use super::{Challenge, challenges, read};

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn reads_every_spelling_of_a_token_challenge() {
        for text in [
            r#"Bearer realm="https://a/t",service="s",scope="repository:a:pull,push""#,
            r#"bearer  realm = "https://a/t" , service=s"#,
            r#"BEARER error="invalid_token", realm="https://a/t", service="s""#,
            r#"Negotiate, Bearer realm="https://a/t",service="\s""#,
            r#"Digest realm="d", nonce="Bearer realm=x", Bearer realm="https://a/t", service="s""#,
        ] {
            assert_eq!(read(text), [bearer("https://a/t", Some("s"))], "{text}");
        }
        assert_eq!(read(r#"Bearer realm="x""#), [bearer("x", None)]);
    }

    #[test]
    fn prefers_tokens() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="r""#));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="x""#));
        assert_eq!(challenges(&headers), [bearer("x", None), Challenge::Basic]);
    }

    #[test]
    fn passes_over_what_it_does_not_understand() {
        for text in
            ["", ",", "Bearer", "Bearer service=s", r#"Bearer realm="unended"#, "Bearer ===", "Digest a=b"]
        {
            assert_eq!(read(text), [], "{text}");
        }
        assert_eq!(read("Basic"), [Challenge::Basic]);
    }

    proptest! {
        #[test]
        fn survives_any_header(text in "[Beararrealm=\", \\\\a-z]{0,60}", bytes: Vec<u8>) {
            let _ = read(&text);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = challenges(&HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]));
            }
        }
    }
}
