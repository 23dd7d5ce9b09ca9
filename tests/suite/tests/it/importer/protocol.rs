//! The suite of the import protocol, for the importer.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode, header},
};
use importer::{
    Stop,
    protocol::{self, Notifications, Protocol, TokenRule, Tokens},
};
use local::local_registry::{
    Fault, FaultEffect, FaultId, HoldPoint, Kind, Personality,
    conformance::{AT_MOST, ImportEngine, Setup},
    storage::ImageOptions,
};
use shared::{endpoint::CopyRepository, store::Store};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{bench::in_time, scene::Scene};

struct Engine {
    scene: Scene,
    setup: Setup,
    address: SocketAddr,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    held: Mutex<HashMap<String, FaultId>>,
}

async fn answer(State(protocol): State<Protocol>, request: Request) -> Response<Body> {
    let (request, _body) = request.into_parts();
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let answer = protocol
        .answer(protocol::Request {
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query().unwrap_or_default(),
            authorization: header("authorization"),
            request_id: header("x-request-id"),
        })
        .await;
    let mut response = Response::new(Body::from(answer.body.map_or(String::new(), |body| body.to_string())));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    response
}

impl Engine {
    async fn serve(&self, alone: bool) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let importer = self.scene.importer_beside_others().await;
        importer.prepare(alone).await.unwrap();
        let token = &self.setup.token;
        let tokens = Tokens::new(&TokenRule {
            public_keys: vec![token.public_key_pem.clone()],
            audience: token.audience.clone(),
            issuer: token.issuer.clone(),
        })
        .unwrap();
        let told = &self.setup.notification;
        let notifications =
            Notifications::new(told.url_template.clone(), told.secret.clone(), told.timeout).unwrap();
        let protocol = Protocol::new(importer, tokens, notifications, Arc::new(|name| Some(name.clone())));
        let app = Router::new().fallback(answer).with_state(protocol.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let attending = tokio::spawn(async move { protocol.attend(&Stop::new()).await.unwrap() });
        *self.tasks.lock().unwrap() = vec![serving, attending];
    }
}

impl ImportEngine for Engine {
    async fn start(setup: Setup) -> Self {
        let mut scene = Scene::new(Personality::Distribution3).await;
        scene.tuning.capacity = setup.capacity.try_into().unwrap();
        scene.tuning.settle = setup.cancel_settle;
        scene.tuning.heartbeat = Duration::from_millis(100);
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let engine = Self { scene, setup, address, tasks: Mutex::default(), held: Mutex::default() };
        engine.serve(true).await;
        engine
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn add_repository(&self, path: &str) {
        let seed = path.len() as u64;
        self.scene.image(path, &["v1", "latest"], &ImageOptions::small(seed));
    }

    async fn hold(&self, path: &str) {
        let fault = Fault::new(FaultEffect::Hold { at: HoldPoint::Before }).kind(Kind::Manifest);
        let id = self.scene.source.faults().add(fault.repository(path));
        self.held.lock().unwrap().insert(path.to_owned(), id);
    }

    async fn release(&self, path: &str) {
        let held = self.held.lock().unwrap().remove(path);
        self.scene.source.faults().remove(held.unwrap());
    }

    async fn fail(&self, path: &str) {
        let fault = Fault::answer(403, "DENIED").kind(Kind::Manifest).repository(path).times(1);
        self.scene.source.faults().add(fault);
    }

    async fn make_slow(&self, path: &str, time: Duration) {
        let milliseconds = time.as_millis().try_into().unwrap();
        let fault = Fault::new(FaultEffect::Delay { milliseconds }).kind(Kind::Manifest).repository(path);
        self.scene.source.faults().add(fault.times(1));
    }

    async fn set_capacity(&self, capacity: usize) {
        let store: Store<CopyRepository> = Store::new(self.scene.database.writer());
        store.prepare(capacity.try_into().unwrap(), Duration::from_secs(30), false, in_time()).await.unwrap();
    }

    async fn idle(&self) {
        let client = self.scene.database.superuser().await;
        let held = "SELECT count(*) FROM imports WHERE slot IS NOT NULL";
        let idle = async {
            while client.query_one(held, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(AT_MOST, idle).await.unwrap();
    }

    async fn restart(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        self.serve(true).await;
    }
}

local::local_registry::import_protocol_tests!(Engine);
