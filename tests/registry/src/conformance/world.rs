//! An engine with a driver beside it: what each case begins with.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{AT_MOST, Answer, ImportEngine, Receiver, Setup};
use crate::config::Notification;
use crate::keys::SigningKeys;
use crate::token::TokenCheck;

const AUDIENCE: &str = "container_registry";
const ISSUER: &str = "migration-driver";
/// What notifications carry.
pub(super) const SECRET: &str = "a-notification-secret";
/// The container repository that most cases import.
pub(super) const IMAGE: &str = "group/project/image";
/// Another one.
pub(super) const OTHER: &str = "group/other";

fn keys() -> &'static SigningKeys {
    static KEYS: OnceLock<SigningKeys> = OnceLock::new();
    KEYS.get_or_init(|| SigningKeys::generate().unwrap())
}

/// An engine and a driver that is notified.
#[derive(Debug)]
pub struct World<E> {
    /// The engine.
    pub engine: E,
    /// The driver.
    pub driver: Receiver,
    client: Client,
}

impl<E: ImportEngine> World<E> {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let driver = Receiver::start().await;
        let mut setup = Setup {
            token: TokenCheck {
                public_key_pem: keys().public_key_pem.clone(),
                audience: AUDIENCE.to_owned(),
                issuer: ISSUER.to_owned(),
            },
            notification: Notification {
                url_template: driver.url_template(),
                secret: SECRET.into(),
                timeout: AT_MOST,
            },
            capacity: 5,
            cancel_settle: Duration::ZERO,
        };
        change(&mut setup);
        let engine = E::start(setup).await;
        engine.add_repository(IMAGE).await;
        engine.add_repository(OTHER).await;
        let redirects = reqwest::redirect::Policy::none();
        let client = Client::builder().redirect(redirects).timeout(AT_MOST).no_proxy().build().unwrap();
        Self { engine, driver, client }
    }

    pub(super) fn claims() -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({
            "aud": AUDIENCE, "iss": ISSUER, "exp": now + 60,
            "access": [{"type": "registry", "name": "import", "actions": ["*"]}],
        })
    }

    pub(super) fn token(claims: &Value) -> String {
        Self::signed(claims, keys())
    }

    pub(super) fn signed(claims: &Value, keys: &SigningKeys) -> String {
        let key = EncodingKey::from_rsa_pem(keys.private_key_pem.expose_secret().as_bytes()).unwrap();
        encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
    }

    /// A call without a token.
    pub(super) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.engine.url()))
    }

    pub(super) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(Self::token(&Self::claims()))
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    /// Starts a step. Its attempt is called `attempt-<import_type>`.
    pub(super) async fn start(&self, path: &str, import_type: &str) -> Answer {
        let call = self.call(Method::PUT, &format!("/gitlab/v1/import/{path}/?import_type={import_type}"));
        self.send(call.header("X-Request-ID", format!("attempt-{import_type}"))).await
    }

    pub(super) async fn status(&self, path: &str) -> Answer {
        self.send(self.call(Method::GET, &format!("/gitlab/v1/import/{path}/"))).await
    }

    pub(super) async fn cancel(&self, path: &str, query: &str) -> Answer {
        self.send(self.call(Method::DELETE, &format!("/gitlab/v1/import/{path}/{query}"))).await
    }

    /// Runs a step to its end; the driver is told `told` of it.
    pub(super) async fn run(&self, path: &str, import_type: &str, told: &str) {
        let before = self.driver.received().len();
        self.start(path, import_type).await.is(202);
        let received = self.driver.wait_for(before + 1).await;
        assert_eq!((received[before].status(), &received[before].body["path"]), (told, &json!(path)));
        self.engine.idle().await;
    }

    pub(super) async fn run_both(&self, path: &str) {
        self.run(path, "pre", "pre_import_complete").await;
        self.run(path, "final", "import_complete").await;
    }

    /// A step that has started and stands still.
    pub(super) async fn start_held(&self, path: &str, import_type: &str) {
        self.engine.hold(path).await;
        self.start(path, import_type).await.is(202);
    }

    /// Cancels what runs; the driver is told `told` of it.
    pub(super) async fn cancel_running(&self, path: &str, told: &str) {
        let before = self.driver.received().len();
        self.cancel(path, "").await.is(202);
        let received = self.driver.wait_for(before + 1).await;
        assert_eq!(received[before].status(), told);
        self.engine.release(path).await;
        self.engine.idle().await;
    }

    #[track_caller]
    pub(super) fn told(&self, count: usize) {
        let received = self.driver.received();
        assert_eq!(received.len(), count, "{received:#?}");
    }
}
