use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lambda_http::{
    Error,
    lambda_runtime::{LambdaInvocation, Runtime},
    tower::Service,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, time::timeout};

/// The deadline that cargo lambda gives for every invocation: a moment in 1970.
pub const IN_1970: u64 = 600_000;

/// A call to the Runtime API, or what a test noted beside it, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    AskedForEvent,
    Answered { id: String, answer: Value },
    Failed { id: String, error: Value },
    Noted(&'static str),
}

struct Event {
    id: String,
    deadline: u64,
    body: Value,
}

/// Lambda's Runtime API on a loopback port, for a runtime in the same process.
#[derive(Clone)]
pub struct RuntimeApi {
    address: String,
    events: Arc<Mutex<VecDeque<Event>>>,
    added: watch::Sender<()>,
    seen: watch::Sender<Vec<Seen>>,
}

impl RuntimeApi {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (added, seen) = (watch::channel(()).0, watch::channel(Vec::new()).0);
        let api = Self { address, events: Arc::default(), added, seen };
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(api.clone());
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        api
    }

    /// Queues an invocation.
    pub fn invoke(&self, id: &str, deadline: u64, body: Value) {
        self.events.lock().unwrap().push_back(Event { id: id.to_owned(), deadline, body });
        self.added.send_replace(());
    }

    /// Queues a request as an HTTP API sends it.
    pub fn request(&self, id: &str, method: &str, raw_path: &str) {
        self.invoke(id, IN_1970, http_event(method, raw_path));
    }

    pub fn note(&self, what: &'static str) {
        self.see(Seen::Noted(what));
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until `condition` holds for what was seen.
    pub async fn until(&self, condition: impl Fn(&[Seen]) -> bool) {
        let mut seen = self.seen.subscribe();
        let met = timeout(Duration::from_secs(10), seen.wait_for(|seen| condition(seen))).await;
        assert!(met.is_ok(), "waited in vain: {:#?}", self.seen());
    }

    pub async fn until_answered(&self, wanted: &str) -> Value {
        self.until(|seen| answer(seen, wanted).is_some()).await;
        answer(&self.seen(), wanted).unwrap()
    }

    pub async fn until_failed(&self, wanted: &str) -> Value {
        let of = |seen: &[Seen]| {
            seen.iter().find_map(|seen| match seen {
                Seen::Failed { id, error } if id == wanted => Some(error.clone()),
                _ => None,
            })
        };
        self.until(|seen| of(seen).is_some()).await;
        of(&self.seen()).unwrap()
    }

    /// Runs the runtime that `build` makes while `script` runs.
    pub async fn serve<S, T>(&self, build: impl FnOnce() -> Runtime<S>, script: impl Future<Output = T>) -> T
    where
        S: Service<LambdaInvocation, Response = (), Error = Error>,
    {
        let variables = [
            ("AWS_LAMBDA_FUNCTION_NAME", Some("test")),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", Some("128")),
            ("AWS_LAMBDA_FUNCTION_VERSION", Some("1")),
            ("AWS_LAMBDA_RUNTIME_API", Some(self.address.as_str())),
        ];
        let runtime = temp_env::with_vars(variables, build);
        tokio::select! {
            ended = runtime.run() => panic!("the event loop ended: {ended:?}"),
            value = script => value,
        }
    }

    fn see(&self, what: Seen) {
        self.seen.send_modify(|seen| seen.push(what));
    }
}

pub fn answer(seen: &[Seen], wanted: &str) -> Option<Value> {
    seen.iter().find_map(|seen| match seen {
        Seen::Answered { id, answer } if id == wanted => Some(answer.clone()),
        _ => None,
    })
}

/// An HTTP API's event, in its payload format 2.0.
pub fn http_event(method: &str, raw_path: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": raw_path, "rawQueryString": "",
        "headers": {"host": "127.0.0.1"}, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "domainName": "127.0.0.1", "domainPrefix": "api",
            "http": {
                "method": method, "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                "userAgent": "test",
            },
            "requestId": "gateway", "routeKey": "$default", "stage": "$default",
            "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1_773_342_238_000_u64,
        },
    })
}

async fn next(State(api): State<RuntimeApi>) -> Response {
    api.see(Seen::AskedForEvent);
    let mut added = api.added.subscribe();
    loop {
        let waiting = api.events.lock().unwrap().pop_front();
        if let Some(event) = waiting {
            let headers = [
                ("lambda-runtime-aws-request-id", event.id),
                ("lambda-runtime-deadline-ms", event.deadline.to_string()),
                (
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:eu-central-1:1:function:test".to_owned(),
                ),
            ];
            return (headers, event.body.to_string()).into_response();
        }
        added.changed().await.unwrap();
    }
}

async fn response(State(api): State<RuntimeApi>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    api.see(Seen::Answered { id, answer: serde_json::from_slice(&body).unwrap() });
    StatusCode::ACCEPTED
}

async fn error(
    State(api): State<RuntimeApi>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert!(headers.contains_key("lambda-runtime-function-error-type"), "{headers:?}");
    api.see(Seen::Failed { id, error: serde_json::from_slice(&body).unwrap() });
    StatusCode::ACCEPTED
}
