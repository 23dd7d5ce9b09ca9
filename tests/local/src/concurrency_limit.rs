//! A limit to what cargo lambda is asked at once.
//!
//! cargo lambda 1.9.2 keeps at most 100 requests that wait for a function. While it waits to keep another, it holds a lock
//! that every function needs to get its next event: from then on all of them stand still, for ever. A request whose client
//! has hung up is among the 100. So what is too much waits here, and is forgotten when its client hangs up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::{Authority, Scheme, Uri};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// How many notifications are under way at once, and how many other requests: together they may all be for one function.
const AT_ONCE: usize = 45;
/// How long a request counts that is not answered, as none is whose process was killed.
const LONGEST: Duration = Duration::from_secs(90);

/// A proxy in front of cargo lambda. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    server: JoinHandle<()>,
}

struct Passage {
    forward_to: Authority,
    client: Client<HttpConnector, Body>,
    notifications: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl ConcurrencyLimit {
    /// Listens on `address` and passes everything on to the HTTP server at `forward_to`.
    pub(crate) async fn start(address: SocketAddr, forward_to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let passage = Passage {
            forward_to: forward_to.to_string().parse()?,
            client: Client::builder(TokioExecutor::new()).build_http(),
            notifications: Arc::new(Semaphore::new(AT_ONCE)),
            others: Arc::new(Semaphore::new(AT_ONCE)),
        };
        let app = Router::new().fallback(pass_on).with_state(Arc::new(passage));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the proxy in front of cargo lambda ended");
            }
        });
        Ok(Self { server })
    }
}

impl Drop for ConcurrencyLimit {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Passage {
    /// Where a request to this path waits for its turn.
    fn room(&self, path: &str) -> Arc<Semaphore> {
        let is_notification = path.contains("/internal/registry/repositories/");
        Arc::clone(if is_notification { &self.notifications } else { &self.others })
    }

    async fn forward(&self, mut request: Request) -> Response {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.forward_to.clone());
        let Ok(uri) = Uri::from_parts(parts) else { return StatusCode::BAD_REQUEST.into_response() };
        *request.uri_mut() = uri;
        request.headers_mut().remove(header::CONNECTION);
        match tokio::time::timeout(LONGEST, self.client.request(request)).await {
            Ok(Ok(answer)) => answer.map(Body::new),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cargo lambda did not answer");
                StatusCode::BAD_GATEWAY.into_response()
            }
            Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
        }
    }
}

async fn pass_on(State(passage): State<Arc<Passage>>, request: Request) -> Response {
    // Without an error: nothing closes it.
    let permit = passage.room(request.uri().path()).acquire_owned().await;
    // In a task of its own: cargo lambda keeps a request whose client has hung up, so it counts until it is answered.
    let forwarded = tokio::spawn(async move {
        let response = passage.forward(request).await;
        drop(permit);
        response
    });
    forwarded.await.unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}
