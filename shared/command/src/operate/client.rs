//! The driver's HTTP API, asked.

use std::time::Duration;

use oci::trust;
use reqwest::{Method, header::RETRY_AFTER, redirect};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::{OperateError, config::Config};

/// The gateway answers within 30 seconds, whatever becomes of the function.
const TIMEOUT: Duration = Duration::from_secs(35);
/// How often something that changes nothing, or was not begun, is asked again.
const RETRIES: u32 = 4;
/// The longest wait before that.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How many a page holds at most.
const PAGE: &str = "500";

/// A refusal, as the driver says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The kind, where it has one: `no-free-slot`.
    pub kind: Option<String>,
    /// What is wrong.
    pub detail: String,
    /// The whole answer.
    pub body: Value,
}

/// A driver that can be asked.
#[derive(Clone, Debug)]
pub struct Driver {
    http: reqwest::Client,
    config: Config,
}

impl Driver {
    /// Makes a client. Nothing is asked yet.
    ///
    /// # Errors
    /// When the authorities cannot be read.
    pub fn new(config: Config) -> Result<Self, OperateError> {
        let tls = trust(config.ca.as_deref()).map_err(OperateError::usage)?;
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("registry-migration/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| OperateError::Unusable(error.to_string()))?;
        Ok(Self { http, config })
    }

    /// Asks for something that changes nothing: again, if it is not answered.
    ///
    /// # Errors
    /// [`OperateError`].
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, OperateError> {
        self.ask(Method::GET, path, query, None).await
    }

    /// Asks for a change.
    ///
    /// # Errors
    /// [`OperateError`].
    pub async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, OperateError> {
        self.ask(method, path, &[], body).await
    }

    /// Removes what the query names.
    ///
    /// # Errors
    /// [`OperateError`].
    pub async fn remove(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, OperateError> {
        self.ask(Method::DELETE, path, query, None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, OperateError> {
        let url = self.url(path, query)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut request =
                self.http.request(method.clone(), url.clone()).bearer_auth(self.config.token.expose_secret());
            if let Some(operator) = &self.config.operator {
                request = request.header("x-operator", operator);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let is_reading = method == Method::GET;
            let wait = match request.send().await {
                Ok(response) => {
                    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                    let after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                    let status = response.status().as_u16();
                    let text = response.text().await.map_err(|error| unreachable(&error))?;
                    match read(status, &text) {
                        Ok(body) => return Ok(body),
                        // The gateway turned it away before anything was begun.
                        Err(refusal) if tries < RETRIES && turned_away(&refusal, is_reading) => {
                            after.unwrap_or(Duration::from_secs(1))
                        }
                        Err(refusal) => return Err(OperateError::Refused(Box::new(refusal))),
                    }
                }
                Err(error) if tries < RETRIES && (is_reading || error.is_connect()) => {
                    Duration::from_millis(250 << tries)
                }
                Err(error) => return Err(unreachable(&error)),
            };
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
    }

    /// Asks with a token that is wrong, or as the registry with a secret that is wrong: what is the status?
    ///
    /// # Errors
    /// [`OperateError::Unusable`] when nobody answers.
    pub async fn ask_with_a_wrong_secret(&self, method: Method, path: &str) -> Result<u16, OperateError> {
        let request = self.http.request(method, self.url(path, &[])?);
        let request = request.header("authorization", "a wrong secret, by `registry-migration doctor`");
        let response = request.json(&Value::Null).send().await.map_err(|error| unreachable(&error))?;
        Ok(response.status().as_u16())
    }

    /// All pages of something, one after the other: `members` of each, until `enough` or the last one.
    ///
    /// # Errors
    /// [`OperateError`], also of what was made of a page.
    pub async fn pages(
        &self,
        path: &str,
        query: &[(&str, &str)],
        members: &str,
        mut each: impl FnMut(Vec<Value>) -> Result<bool, OperateError>,
    ) -> Result<(), OperateError> {
        let mut after: Option<String> = None;
        loop {
            let mut query: Vec<(&str, &str)> = query.to_vec();
            query.push(("limit", PAGE));
            if let Some(after) = &after {
                query.push(("after", after));
            }
            let mut page = self.get(path, &query).await?;
            let rows = match page[members].take() {
                Value::Array(rows) => rows,
                _ => return Err(not_the_driver(200)),
            };
            let goes_on = each(rows)?;
            after = match &page["next"] {
                Value::String(next) => Some(next.clone()),
                Value::Number(next) => Some(next.to_string()),
                _ => return Ok(()),
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, OperateError> {
        let mut url = self.config.api.join(path.trim_start_matches('/')).map_err(OperateError::usage)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

/// A page of others has no effect: a request that the gateway throttled, or a read that was not served.
fn turned_away(refusal: &Refusal, is_reading: bool) -> bool {
    let by_the_gateway = refusal.status == 429 && refusal.body.get("type").is_none();
    by_the_gateway || (is_reading && matches!(refusal.status, 502..=504))
}

fn read(status: u16, text: &str) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    if (200..300).contains(&status) && body.is_object() {
        return Ok(body);
    }
    let text = |name: &str| body[name].as_str();
    let kind = text("type").and_then(|kind| kind.strip_prefix("urn:registry-migration:")).map(str::to_owned);
    let detail = text("detail").or(text("message"));
    let detail = detail.map_or_else(|| format!("what answered {status} is not the driver"), str::to_owned);
    Err(Refusal { status, kind, detail, body })
}

fn not_the_driver(status: u16) -> OperateError {
    let detail = "what answered is not the driver: is --api the stack's output ApiUrl?".to_owned();
    OperateError::Refused(Box::new(Refusal { status, kind: None, detail, body: Value::Null }))
}

/// The error's own words have the address, and the cause in parts.
fn unreachable(error: &reqwest::Error) -> OperateError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let what = if error.is_timeout() {
        "the driver does not answer in time"
    } else {
        "the driver cannot be reached"
    };
    OperateError::Unusable(format!("{what}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::{read, turned_away};

    #[test]
    fn tells_the_driver_from_what_stands_before_it() {
        let problem =
            r#"{"type":"urn:registry-migration:no-free-slot","status":429,"detail":"every slot is taken"}"#;
        let refusal = read(429, problem).unwrap_err();
        assert_eq!(
            (refusal.kind.as_deref(), refusal.detail.as_str()),
            (Some("no-free-slot"), "every slot is taken")
        );
        assert!(!turned_away(&refusal, true), "the driver's own refusal is for the operator");
        let throttled = read(429, r#"{"message":"Too Many Requests"}"#).unwrap_err();
        assert!(turned_away(&throttled, false));
        let lost = read(503, r#"{"message":"Service Unavailable"}"#).unwrap_err();
        assert!(turned_away(&lost, true) && !turned_away(&lost, false), "a change may have been made");
        assert_eq!(read(200, "<html>").unwrap_err().detail, "what answered 200 is not the driver");
        assert!(read(202, "{}").is_ok());
    }
}
