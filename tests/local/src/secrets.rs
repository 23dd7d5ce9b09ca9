//! GetSecretValue (awsJson1.1), so that secrets come by ARN here too.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, body::Bytes};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running secret store on a free loopback port. Dropping it ends it.
#[derive(Debug)]
pub struct SecretStore {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Held {
    secrets: HashMap<String, Secret>,
    refusal: Option<(StatusCode, String)>,
    /// How often each secret was asked for.
    asked: HashMap<String, usize>,
}

#[derive(Debug)]
struct Secret {
    current: SecretString,
    previous: Option<SecretString>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    secret_id: String,
    version_stage: Option<String>,
}

impl SecretStore {
    /// Starts an empty store.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let held = Arc::default();
        let app = Router::new().route("/", post(answer)).with_state(Arc::clone(&held));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the secret store ended");
            }
        });
        Ok(Self { address, held, server })
    }

    /// The address for `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stores a value; one that was there becomes the previous version, as in a rotation, and is given.
    pub fn put(&self, arn: &str, value: impl Into<SecretString>) -> Option<SecretString> {
        let secrets = &mut lock(&self.held).secrets;
        let previous = secrets.remove(arn).map(|secret| secret.current);
        secrets.insert(arn.to_owned(), Secret { current: value.into(), previous: previous.clone() });
        previous
    }

    /// Removes a secret with all its versions.
    pub fn remove(&self, arn: &str) {
        lock(&self.held).secrets.remove(arn);
    }

    /// How often a secret was asked for.
    pub fn asked(&self, arn: &str) -> usize {
        lock(&self.held).asked.get(arn).copied().unwrap_or_default()
    }

    /// Tells everybody this status and error from now on, whatever is asked for; None ends that.
    pub fn refuse(&self, refusal: Option<(StatusCode, &str)>) {
        lock(&self.held).refusal = refusal.map(|(status, code)| (status, code.to_owned()));
    }
}

impl Drop for SecretStore {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(held): State<Arc<Mutex<Held>>>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get("x-amz-target").is_none_or(|target| target != "secretsmanager.GetSecretValue") {
        return refused("InvalidRequestException", "Only GetSecretValue is offered here.");
    }
    let Ok(request) = serde_json::from_slice::<Request>(&body) else {
        return refused("InvalidParameterException", "SecretId is missing.");
    };
    let stage = request.version_stage.as_deref().unwrap_or("AWSCURRENT");
    let mut held = lock(&held);
    *held.asked.entry(request.secret_id.clone()).or_default() += 1;
    if let Some((status, code)) = &held.refusal {
        return respond(*status, &json!({"__type": code, "Message": "The store was told to refuse."}));
    }
    let value = held.secrets.get(&request.secret_id).and_then(|secret| match stage {
        "AWSCURRENT" => Some(&secret.current),
        "AWSPREVIOUS" => secret.previous.as_ref(),
        _ => None,
    });
    let Some(value) = value else {
        return refused(
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for this staging label.",
        );
    };
    let name = request.secret_id.rsplit(':').next().unwrap_or_default();
    respond(
        StatusCode::OK,
        &json!({
            "ARN": request.secret_id,
            "Name": name,
            "SecretString": value.expose_secret(),
            "VersionStages": [stage],
        }),
    )
}

fn refused(code: &str, message: &str) -> Response {
    respond(StatusCode::BAD_REQUEST, &json!({"__type": code, "Message": message}))
}

fn respond(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string()).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
