//! A caller of the functions' HTTP surface.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::stack::Access;

/// Calls the functions as an operator or as the registry would. Every call ends within 40 s.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    access: Access,
}

impl Client {
    pub(crate) fn new(base_url: String, access: Access) -> Self {
        Self { http: reqwest::Client::new(), base_url, access }
    }

    /// A request without any credentials; `path` begins with a slash and is already encoded.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base_url)).timeout(Duration::from_secs(40))
    }

    /// A request with the operator token.
    pub fn as_operator(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(self.access.operator_token.expose_secret())
    }

    /// A request with the notification secret.
    pub fn as_registry(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).header("Authorization", self.access.notification_secret.expose_secret())
    }

    /// Begins one repository's migration.
    pub async fn start(&self, path: &str) -> reqwest::Result<Response> {
        self.as_operator(Method::POST, &format!("/migrations/start/{path}")).send().await
    }

    /// One repository as the reader shows it.
    ///
    /// # Errors
    /// When it cannot be reached or answers anything but 200.
    pub async fn status(&self, path: &str) -> anyhow::Result<Value> {
        self.json(&format!("/migrations/status/{path}")).await
    }

    /// The first page of all repositories as the reader shows them.
    ///
    /// # Errors
    /// When it cannot be reached or answers anything but 200.
    pub async fn list(&self) -> anyhow::Result<Value> {
        self.json("/migrations?limit=500").await
    }

    /// A notification as the registry sends it.
    pub async fn notify(&self, path: &str, status: &str, attempt: Option<&str>) -> reqwest::Result<Response> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let body = json!({"name": name, "path": path, "status": status, "detail": status});
        let url = format!("/api/v4/internal/registry/repositories/{path}/migration/status");
        let mut request = self.as_registry(Method::PUT, &url).json(&body);
        if let Some(attempt) = attempt {
            request = request.header("X-Request-ID", attempt);
        }
        request.send().await
    }

    async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.as_operator(Method::GET, path).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status == 200, "GET {path}: {status} {text}");
        serde_json::from_str(&text).context("not JSON")
    }
}
