//! How a function's process starts: what it reads before it asks for its first event.

use std::{
    collections::HashMap,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use local::{Function, built_functions, local_registry::SigningKeys};
use secrecy::ExposeSecret;
use serde_json::json;
use suite::PATIENCE;
use tokio::{
    net::TcpListener,
    sync::{Barrier, watch},
    time::timeout,
};

const KEY: &str = "arn:aws:secretsmanager:eu-central-1:1:secret:key";
const TOKEN: &str = "arn:aws:secretsmanager:eu-central-1:1:secret:token";

/// The secrets, and the Runtime API, as one process sees them.
#[derive(Clone)]
struct Surroundings {
    secrets: Arc<HashMap<&'static str, String>>,
    /// So many secrets are asked for at once before the first of them is given.
    together: Arc<Barrier>,
    ready: watch::Sender<bool>,
}

/// What came of starting a process.
struct Start {
    /// It asks for its first event.
    ready: bool,
    /// How many bytes it has read until then, from files and from others.
    read: Option<u64>,
}

async fn answer(State(surroundings): State<Surroundings>, request: Request) -> Response {
    if request.uri().path().ends_with("/invocation/next") {
        surroundings.ready.send_replace(true);
        return std::future::pending().await;
    }
    let body = axum::body::to_bytes(request.into_body(), 4096).await.unwrap();
    let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
    surroundings.together.wait().await;
    match surroundings.secrets.get(asked["SecretId"].as_str().unwrap()) {
        Some(text) => json!({"SecretString": text}).to_string().into_response(),
        None => (StatusCode::BAD_REQUEST, r#"{"__type":"AccessDeniedException"}"#).into_response(),
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a function whose secrets are given only once so many were asked for. Whether it asks for an event.
async fn starts(function: Function, secrets: &[(&'static str, &str)], together: usize) -> bool {
    start(function, secrets, together).await.ready
}

async fn start(function: Function, secrets: &[(&'static str, &str)], together: usize) -> Start {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let surroundings = Surroundings {
        secrets: Arc::new(secrets.iter().map(|(arn, text)| (*arn, (*text).to_owned())).collect()),
        together: Arc::new(Barrier::new(together)),
        ready: watch::Sender::new(false),
    };
    let mut ready = surroundings.ready.subscribe();
    let app = Router::new().fallback(answer).with_state(surroundings);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let cluster = "arn:aws:rds:eu-central-1:1:cluster:writer";
    let url = format!("http://{address}");
    let mut process = Process(
        Command::new(built_functions().unwrap().join(function.name()))
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", function.name()),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "local"),
                ("AWS_SECRET_ACCESS_KEY", "local"),
                ("AWS_ENDPOINT_URL", url.as_str()),
                ("WRITER_ARN", cluster),
                ("WRITER_SECRET_ARN", TOKEN),
                ("DATABASE_NAME", "migrations"),
                ("REGISTRY_URL", url.as_str()),
                ("REGISTRY_TOKEN_AUDIENCE", "registry"),
                ("REGISTRY_TOKEN_ISSUER", "driver"),
                ("REGISTRY_SIGNING_KEY_SECRET_ARN", KEY),
                ("NOTIFICATION_SECRET_ARN", TOKEN),
                ("OPERATOR_TOKEN_SECRET_ARN", TOKEN),
            ])
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let ended = async {
        while process.0.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let started = timeout(PATIENCE, async {
        tokio::select! {
            asks = ready.wait_for(|ready| *ready) => asks.is_ok(),
            () = ended => false,
        }
    });
    let ready = started.await.expect("it starts or ends");
    let counts = std::fs::read_to_string(format!("/proc/{}/io", process.0.id())).unwrap_or_default();
    let read = counts.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
    server.abort();
    Start { ready, read }
}

/// A machine's certificates are some 200 kB, and reading them costs more than everything else at the start.
#[tokio::test(flavor = "multi_thread")]
async fn reads_no_certificates_to_start() {
    let key = SigningKeys::generate().unwrap().private_key_pem;
    let secrets = [(KEY, key.expose_secret()), (TOKEN, "token")];
    let start = start(Function::StartMigration, &secrets, 2).await;
    assert!(start.ready);
    // Where the system counts it.
    if cfg!(target_os = "linux") {
        let read = start.read.expect("the system counts what a process reads");
        assert!(read < 100_000, "{read} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_its_secrets_side_by_side() {
    let key = SigningKeys::generate().unwrap().private_key_pem;
    let secrets = [(KEY, key.expose_secret()), (TOKEN, "token")];
    for function in [Function::StartMigration, Function::ManageMigrations] {
        assert!(starts(function, &secrets, 2).await, "{function:?} asks for one after the other");
    }
    assert!(!starts(Function::StartMigration, &secrets[1..], 2).await, "it cannot work without the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn receives_notifications_without_the_signing_key() {
    assert!(starts(Function::RegistryNotification, &[(TOKEN, "secret")], 1).await);
    assert!(!starts(Function::RegistryNotification, &[], 1).await, "it cannot tell the registry from others");
}
