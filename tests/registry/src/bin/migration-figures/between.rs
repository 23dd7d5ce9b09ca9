//! What stands between a tool and a registry: it counts, and makes each request take longer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, Response, StatusCode},
};
use http_body_util::{BodyExt, combinators::MapFrame};
use hyper::body::{Bytes, Frame};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// What was asked of a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: BTreeMap<String, u64>,
    /// Bytes of blobs that left the registry, and that came to it.
    pub read: u64,
    pub sent: u64,
}

impl Counts {
    pub fn all(&self) -> u64 {
        self.requests.values().sum()
    }

    /// As the registry's own log of requests has it. It does not say how many bytes came.
    pub fn of_log(log: &str) -> Self {
        let mut counts = Self::default();
        for line in log.lines() {
            let mut parts = line.split('"');
            let (Some(_), Some(request), Some(answer)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let mut words = request.split(' ');
            let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if !version.starts_with("HTTP/") {
                continue;
            }
            *counts.requests.entry(method.to_owned()).or_default() += 1;
            if method == "GET" && is_blob(path) {
                let bytes = answer.split_whitespace().nth(1).and_then(|bytes| bytes.parse::<u64>().ok());
                counts.read += bytes.unwrap_or_default();
            }
        }
        counts
    }
}

fn is_blob(path: &str) -> bool {
    path.contains("/blobs/") && !path.contains("/blobs/uploads/")
}

/// Listens in front of a registry until it is dropped.
pub struct Between {
    pub address: String,
    counts: Arc<Mutex<Counts>>,
    listening: JoinHandle<()>,
}

/// Sees each frame of a body as it passes.
type Seen = MapFrame<Body, Box<dyn FnMut(Frame<Bytes>) -> Frame<Bytes> + Send>>;

#[derive(Clone)]
struct Way {
    registry: String,
    client: Client<HttpConnector, Seen>,
    delay: Duration,
    counts: Arc<Mutex<Counts>>,
}

impl Between {
    /// In front of the registry at an address. Each request waits for `delay` before it goes on.
    pub async fn start(registry: &str, delay: Duration) -> anyhow::Result<Self> {
        let counts = Arc::<Mutex<Counts>>::default();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let way = Way { registry: registry.to_owned(), client, delay, counts: Arc::clone(&counts) };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let routes = Router::new().fallback(pass).with_state(way);
        let listening = tokio::spawn(async move {
            // It ends with this process.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, counts, listening })
    }

    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn pass(State(way): State<Way>, mut request: Request) -> Response<Body> {
    let method = request.method().clone();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    change(&way.counts, |counts| *counts.requests.entry(method.to_string()).or_default() += 1);
    tokio::time::sleep(way.delay).await;
    let failed = |said: String| {
        let mut answer = Response::new(Body::from(said));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    };
    match format!("http://{}{path}", way.registry).parse() {
        Ok(to) => *request.uri_mut() = to,
        Err(_) => return failed("an address that is none".to_owned()),
    }
    let (is_read, is_sent) = (method == Method::GET && is_blob(&path), path.contains("/blobs/uploads/"));
    let (to_registry, from_registry) = (Arc::clone(&way.counts), way.counts);
    let request = request.map(|body| {
        seen(body, move |bytes| change(&to_registry, |counts| counts.sent += if is_sent { bytes } else { 0 }))
    });
    match way.client.request(request).await {
        Ok(answer) => answer.map(|body| {
            let seen = seen(Body::new(body), move |bytes| {
                change(&from_registry, |counts| counts.read += if is_read { bytes } else { 0 });
            });
            Body::new(seen)
        }),
        Err(error) => failed(error.to_string()),
    }
}

fn seen(body: Body, mut see: impl FnMut(u64) + Send + 'static) -> Seen {
    body.map_frame(Box::new(move |frame: Frame<Bytes>| {
        see(frame.data_ref().map_or(0, |data| data.len() as u64));
        frame
    }))
}

fn change(counts: &Mutex<Counts>, change: impl FnOnce(&mut Counts)) {
    change(&mut counts.lock().unwrap_or_else(PoisonError::into_inner));
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn counts_requests_and_bytes_by_a_registrys_log() {
        let log = "time=\"now\" level=info msg=\"listening\"\n\
            127.0.0.1 - - [26/Nov/2026:11:30:00 +0000] \"GET /v2/a/blobs/sha256:00 HTTP/1.1\" 200 1234 \"\" \"x\"\n\
            127.0.0.1 - - [26/Nov/2026:11:30:00 +0000] \"GET /v2/a/manifests/v1 HTTP/1.1\" 200 77 \"\" \"x\"\n\
            127.0.0.1 - - [26/Nov/2026:11:30:00 +0000] \"HEAD /v2/a/blobs/sha256:00 HTTP/1.1\" 200 1234 \"\" \"x\"\n";
        let counts = Counts::of_log(log);
        assert_eq!(
            (counts.all(), counts.requests["GET"], counts.requests["HEAD"], counts.read),
            (3, 2, 1, 1234)
        );
    }
}
