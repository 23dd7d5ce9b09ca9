//! The one address under which the registry and the operators know the functions, of whatever version.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use local::output::note;
use tokio::{net::TcpListener, task::JoinHandle};

/// Passes every request on to the functions that are at work. Dropping it ends it.
pub(crate) struct Entrance {
    behind: Behind,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Behind {
    http: reqwest::Client,
    base_url: Arc<Mutex<String>>,
}

impl Entrance {
    /// Listens at an address of this machine.
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("nobody can listen at {address}"))?;
        let behind = Behind { http: reqwest::Client::new(), base_url: Arc::default() };
        let app = Router::new().fallback(pass_on).with_state(behind.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                note(format_args!("the entrance was closed: {error}"));
            }
        });
        Ok(Self { behind, server })
    }

    /// From now on these functions are asked. What is under way ends where it began.
    pub(crate) fn lead_to(&self, base_url: String) {
        *self.behind.base_url.lock().unwrap_or_else(PoisonError::into_inner) = base_url;
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass_on(
    State(behind): State<Behind>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let base_url = behind.base_url.lock().unwrap_or_else(PoisonError::into_inner).clone();
    headers.remove("host");
    let passed =
        behind.http.request(method, format!("{base_url}{uri}")).headers(headers).body(body).send().await;
    let Ok(answer) = passed else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    match answer.bytes().await {
        Ok(body) => (status, headers, body).into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
