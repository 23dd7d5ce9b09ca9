//! Listening and connections. Written on hyper itself because a test must be able to cut a connection without
//! an answer, which a framework's handlers cannot.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::CutConnection;

/// What answers the requests of a listener.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// Answers one request; an answer that carries [`CutConnection`] is not written.
    fn answer(self, request: Request<Body>) -> impl Future<Output = Response> + Send;
}

/// A listener and its connections.
#[derive(Debug)]
pub(crate) struct Server {
    /// No new connections; open ones end after the call they are in.
    closing: CancellationToken,
    /// Open connections are cut.
    gone: CancellationToken,
    connections: TaskTracker,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, app: impl Answer, gone: CancellationToken) -> Self {
        let closing = CancellationToken::new();
        let connections = TaskTracker::new();
        let task = tokio::spawn(accept(listener, app, connections.clone(), closing.clone(), gone.clone()));
        Self { closing, gone, connections, task }
    }

    /// Stops listening, and waits until the calls that are being answered are, for at most so long.
    pub(crate) async fn drain(&self, at_most: Duration) {
        self.closing.cancel();
        self.connections.close();
        // Whoever is not done by then is cut off by the end.
        let _ = tokio::time::timeout(at_most, self.connections.wait()).await;
    }

    /// Cuts what is open, in the middle of whatever it is in.
    pub(crate) fn cut(&self) {
        self.gone.cancel();
    }

    /// Cuts what is still open and waits until nothing is left.
    pub(crate) async fn end(self) {
        self.closing.cancel();
        self.gone.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the listener ended badly");
        }
    }
}

async fn accept(
    listener: TcpListener,
    app: impl Answer,
    connections: TaskTracker,
    closing: CancellationToken,
    gone: CancellationToken,
) {
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            () = gone.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, app.clone(), closing.clone(), gone.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, usually: the next moment may be better.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            },
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on request of a test")]
struct Cut;

async fn connection(
    stream: TcpStream,
    app: impl Answer,
    closing: CancellationToken,
    gone: CancellationToken,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let app = app.clone();
        async move {
            let response = app.answer(request.map(Body::new)).await;
            if response.extensions().get::<CutConnection>().is_some() { Err(Cut) } else { Ok(response) }
        }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    // How a connection ended is the client's business: it sees it itself.
    tokio::select! {
        _ = serving.as_mut() => {}
        () = gone.cancelled() => {}
        () = closing.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                _ = serving => {}
                () = gone.cancelled() => {}
            }
        }
    }
}
