//! A driver's notification endpoint: takes down what arrives and answers as told.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::AT_MOST;

/// One notification as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// As it stood in the request line.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Value,
}

impl Received {
    /// A header's value, if it has one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status that it tells.
    pub fn status(&self) -> &str {
        self.body["status"].as_str().unwrap()
    }
}

#[derive(Debug)]
struct Desk {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<(u16, String)>>,
    open: watch::Sender<bool>,
    arrived: watch::Sender<usize>,
}

/// A driver that is notified.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free loopback port.
    pub async fn start() -> Self {
        let desk = Arc::new(Desk {
            received: Mutex::default(),
            answers: Mutex::default(),
            open: watch::channel(true).0,
            arrived: watch::channel(0).0,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().fallback(take).with_state(Arc::clone(&desk));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, desk, task }
    }

    /// Where it wants notifications, with `{path}` for the container repository.
    pub fn url_template(&self) -> String {
        format!("http://{}/registry/repositories/{{path}}/migration/status", self.address)
    }

    /// Answers the next notification with this instead of 200.
    pub fn answer_next(&self, status: u16, body: &str) {
        self.desk.answers.lock().unwrap().push_back((status, body.to_owned()));
    }

    /// Lets notifications arrive without answering them until [`Receiver::release`].
    pub fn hold(&self) {
        self.desk.open.send_replace(false);
    }

    /// Answers what it holds.
    pub fn release(&self) {
        self.desk.open.send_replace(true);
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.desk.received.lock().unwrap().clone()
    }

    /// Waits until that many notifications have arrived and returns them.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut arrived = self.desk.arrived.subscribe();
        let waiting = arrived.wait_for(|arrived| *arrived >= count);
        let arrived = tokio::time::timeout(AT_MOST, waiting).await.map(|arrived| arrived.is_ok());
        let received = self.received();
        assert_eq!(
            arrived,
            Ok(true),
            "{count} notifications should have arrived, and these have: {received:#?}"
        );
        received
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    desk.received.lock().unwrap().push(Received {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap(),
    });
    desk.arrived.send_modify(|arrived| *arrived += 1);
    desk.open.subscribe().wait_for(|open| *open).await.unwrap();
    let (status, body) = desk.answers.lock().unwrap().pop_front().unwrap_or((200, String::new()));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}
