//! Who may do what: Basic authentication, and tokens with the scopes that they were given for.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use super::answer::{Code, Writer};
use super::config::Access;
use super::route::{Call, Target};
use crate::lock::lock;

/// What tokens are made for: the `service` of the challenge.
const SERVICE: &str = "local-registry";

/// The tokens that are good now.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    given: Mutex<HashMap<String, Grant>>,
}

#[derive(Debug, Clone)]
struct Grant {
    /// `repository:a/b:pull`, one action each.
    allowed: Vec<String>,
    until: Instant,
}

/// What a request needs, as scopes: `repository:a/b:pull,push`.
fn needed(call: &Call) -> Vec<String> {
    let Some(name) = call.repository() else {
        return match call.target {
            Target::Catalog => vec!["registry:catalog:*".to_owned()],
            _ => Vec::new(),
        };
    };
    let actions = match call.method {
        Method::GET | Method::HEAD => "pull",
        Method::DELETE if !matches!(call.target, Target::Upload(..)) => "delete",
        _ => "pull,push",
    };
    let mut scopes = vec![format!("repository:{name}:{actions}")];
    if let Target::Uploads(_) = call.target
        && call.parameter("mount").is_some()
        && let Some(from) = call.parameter("from")
    {
        scopes.push(format!("repository:{from}:pull"));
    }
    scopes
}

/// The single actions of scopes, as grants list them.
fn single(scopes: &[String]) -> Vec<String> {
    let each = |scope: &String| {
        let (what, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
        actions.split(',').map(|action| format!("{what}:{action}")).collect::<Vec<_>>()
    };
    scopes.iter().flat_map(each).collect()
}

impl Tokens {
    /// Refuses a request that may not be made. `None` lets it in.
    pub(super) fn refusal(
        &self,
        access: &Access,
        call: &Call,
        host: &str,
        writer: Writer,
    ) -> Option<Response> {
        match access {
            Access::Open => None,
            Access::Basic { user, password } => {
                let good =
                    basic(call).is_some_and(|given| given == (user.clone(), password.expose_secret().into()));
                (!good).then(|| challenge(writer, "Basic realm=\"basic-realm\""))
            }
            Access::Bearer { .. } => {
                let scopes = needed(call);
                let error = match self.check(call, &single(&scopes)) {
                    Ok(()) => return None,
                    Err(error) => error,
                };
                let scope = match scopes.is_empty() {
                    true => String::new(),
                    false => format!(",scope=\"{}\"", scopes.join(" ")),
                };
                let value =
                    format!("Bearer realm=\"http://{host}/token\",service=\"{SERVICE}\"{scope}{error}");
                Some(challenge(writer, &value))
            }
        }
    }

    fn check(&self, call: &Call, needed: &[String]) -> Result<(), &'static str> {
        let given = call.header("authorization").and_then(|value| value.split_once(' '));
        let Some((_, token)) = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Err("");
        };
        let grant = lock(&self.given).get(token).cloned();
        match grant.filter(|grant| grant.until > Instant::now()) {
            None => Err(",error=\"invalid_token\""),
            Some(grant) if needed.iter().all(|action| grant.allowed.contains(action)) => Ok(()),
            Some(_) => Err(",error=\"insufficient_scope\""),
        }
    }

    /// Answers `/token`.
    pub(super) fn give(&self, access: &Access, call: &Call, seconds: u64, writer: Writer) -> Response {
        let Access::Bearer { user, password, anonymous_pull } = access else {
            return super::answer::not_found();
        };
        let known = match basic(call) {
            Some(given) if given == (user.clone(), password.expose_secret().into()) => true,
            None if *anonymous_pull && call.header("authorization").is_none() => false,
            Some(_) | None => return challenge(writer, "Basic realm=\"token\""),
        };
        let scopes: Vec<String> = call.parameters("scope").flat_map(|all| split(&all)).collect();
        let mut allowed = single(&scopes);
        if !known {
            allowed.retain(|action| action.starts_with("repository:") && action.ends_with(":pull"));
        }
        let token = Uuid::new_v4().to_string();
        let until = Instant::now() + Duration::from_secs(seconds);
        lock(&self.given).insert(token.clone(), Grant { allowed, until });
        let issued = jiff::Timestamp::now();
        let body = json!({"token": token, "access_token": token, "expires_in": seconds, "issued_at": issued});
        writer.json(StatusCode::OK, &body)
    }
}

fn split(scopes: &str) -> Vec<String> {
    scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

/// The name and the password of Basic authentication.
fn basic(call: &Call) -> Option<(String, String)> {
    let (scheme, encoded) = call.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn challenge(writer: Writer, value: &str) -> Response {
    let mut response = writer.error(Code::Unauthorized, json!([]));
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}
