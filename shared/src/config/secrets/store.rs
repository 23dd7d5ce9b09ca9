use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::config::Credentials;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::config::{SecretArn, aws};

pub(crate) const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:notification";

/// Secrets Manager's `GetSecretValue` on a loopback port, for tests.
#[derive(Clone)]
pub(crate) struct Store {
    state: Arc<Mutex<Held>>,
    url: String,
}

#[derive(Default)]
struct Held {
    versions: HashMap<&'static str, String>,
    refusal: Option<(StatusCode, &'static str)>,
    delay: Duration,
    asked: Vec<String>,
}

impl Store {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let store = Self { state: Arc::default(), url };
        let app = Router::new().fallback(answer).with_state(store.clone());
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        store
    }

    pub(crate) fn hold(&self, stage: &'static str, text: &str) {
        self.state.lock().unwrap().versions.insert(stage, text.to_owned());
    }

    pub(crate) fn break_down(&self, broken: bool) {
        self.refuse(broken.then_some((400, "DecryptionFailure")));
    }

    /// From now on everybody is told this status and error.
    pub(crate) fn refuse(&self, refusal: Option<(u16, &'static str)>) {
        let refusal = refusal.map(|(status, kind)| (StatusCode::from_u16(status).unwrap(), kind));
        self.state.lock().unwrap().refusal = refusal;
    }

    /// From now on each answer takes so long.
    pub(crate) fn slow_down(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// The stages asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn arn() -> SecretArn {
        ARN.parse().unwrap()
    }

    pub(crate) async fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::builder()
            .access_key_id("local")
            .secret_access_key("local")
            .provider_name("test")
            .build();
        aws::loader()
            .region("eu-central-1")
            .credentials_provider(credentials)
            .endpoint_url(&self.url)
            .load()
            .await
    }
}

async fn answer(State(store): State<Store>, headers: HeaderMap, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(headers["x-amz-target"], "secretsmanager.GetSecretValue");
    assert_eq!(asked["SecretId"], ARN);
    let stage = asked["VersionStage"].as_str().unwrap().to_owned();
    let delay = {
        let mut held = store.state.lock().unwrap();
        held.asked.push(stage.clone());
        held.delay
    };
    tokio::time::sleep(delay).await;
    let held = store.state.lock().unwrap();
    let failure = |status: StatusCode, kind: &str| {
        (
            status,
            [("x-amzn-errortype", kind)],
            json!({"__type": kind, "message": "told by the store"}).to_string(),
        )
            .into_response()
    };
    if let Some((status, kind)) = held.refusal {
        return failure(status, kind);
    }
    match held.versions.get(stage.as_str()) {
        Some(text) => {
            json!({"ARN": ARN, "Name": "notification", "SecretString": text}).to_string().into_response()
        }
        None => failure(StatusCode::BAD_REQUEST, "ResourceNotFoundException"),
    }
}
