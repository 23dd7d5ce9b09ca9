//! A registry with an old storage, a receiver of its notifications, and a client.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use local_registry::storage::{ImageOptions, Storage};
use local_registry::{
    Config, Effect, Notification, Point, Registry, Rule, RuleId, SigningKeys, Status, TokenCheck,
};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use local_registry::conformance::{AT_MOST, Answer, Receiver};

pub const SECRET: &str = "a-notification-secret";
pub const AUDIENCE: &str = "container_registry";
pub const ISSUER: &str = "migration-driver";
/// A container repository on the old storage.
pub const IMAGE: &str = "group/project/image";

pub fn keys() -> &'static SigningKeys {
    static KEYS: OnceLock<SigningKeys> = OnceLock::new();
    KEYS.get_or_init(|| SigningKeys::generate().unwrap())
}

pub fn seconds_from_now(seconds: i64) -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() + seconds
}

pub fn claims() -> Value {
    json!({
        "aud": AUDIENCE,
        "iss": ISSUER,
        "exp": seconds_from_now(60),
        "access": [{"type": "registry", "name": "import", "actions": ["*"]}],
    })
}

pub fn token(claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(keys().private_key_pem.expose_secret().as_bytes()).unwrap();
    encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

pub struct Bench {
    pub registry: Registry,
    pub receiver: Receiver,
    pub client: reqwest::Client,
    pub folder: TempDir,
}

impl Bench {
    /// A registry with [`IMAGE`] on its old storage. It notices a cancel quickly and forgets it at once.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let receiver = Receiver::start().await;
        let mut config = config(&folder);
        config.notification = Some(Notification {
            url_template: receiver.url_template(),
            secret: SECRET.into(),
            timeout: AT_MOST,
        });
        config.cancel_notice = Duration::from_millis(10);
        config.cancel_settle = Duration::ZERO;
        change(&mut config);
        let registry = Registry::start(config).await.unwrap();
        let old = registry.old_storage();
        old.write_image(IMAGE, &["v1", "latest"], &ImageOptions::small(1)).unwrap();
        let redirects = reqwest::redirect::Policy::none();
        let client =
            reqwest::Client::builder().redirect(redirects).timeout(AT_MOST).no_proxy().build().unwrap();
        Self { registry, receiver, client, folder }
    }

    pub fn old(&self) -> Storage {
        self.registry.old_storage()
    }

    pub fn new_storage(&self) -> Storage {
        self.registry.new_storage()
    }

    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.registry.url()))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.call(Method::GET, path).bearer_auth(token(&claims()))).await
    }

    /// The call that starts a step, with an attempt's id.
    pub fn start_call(&self, path: &str, import_type: &str, request_id: &str) -> RequestBuilder {
        self.call(Method::PUT, &format!("/gitlab/v1/import/{path}/?import_type={import_type}"))
            .bearer_auth(token(&claims()))
            .header("X-Request-ID", request_id)
    }

    pub async fn start(&self, path: &str, import_type: &str) -> Answer {
        self.send(self.start_call(path, import_type, &format!("attempt-{import_type}"))).await
    }

    pub async fn status(&self, path: &str) -> Answer {
        self.get(&format!("/gitlab/v1/import/{path}/")).await
    }

    pub async fn cancel(&self, path: &str, query: &str) -> Answer {
        let request = self.call(Method::DELETE, &format!("/gitlab/v1/import/{path}/{query}"));
        self.send(request.bearer_auth(token(&claims()))).await
    }

    /// Lets a repository's next imports stop at a point until the rule is removed.
    pub fn hold(&self, at: Point) -> RuleId {
        self.registry.rules().add(Rule::new(Effect::Hold { at }))
    }

    pub async fn reaches(&self, path: &str, status: Status) {
        let reached = self.registry.wait_for_status(path, status, AT_MOST).await;
        let report = self.registry.report(path);
        assert!(reached, "{path} should be {status} and is {report:?}");
    }

    pub async fn idle(&self) {
        assert!(self.registry.wait_until_idle(AT_MOST).await, "imports still run");
    }

    /// Runs a step to its end, its notification answered and its slot free.
    pub async fn run(&self, path: &str, import_type: &str) {
        self.start(path, import_type).await.is(StatusCode::ACCEPTED.as_u16());
        self.idle().await;
    }

    /// Takes a repository into a status by the calls and faults that lead there.
    pub async fn bring_to(&self, status: Status) {
        let fail = Effect::Fail { error: "on request".to_owned() };
        match status {
            Status::Native => {
                self.new_storage().write_image(IMAGE, &["v1"], &ImageOptions::small(2)).unwrap();
            }
            Status::PreImportInProgress => {
                self.hold(Point::Work);
                self.start(IMAGE, "pre").await.is(202);
            }
            Status::PreImportComplete => self.run(IMAGE, "pre").await,
            Status::PreImportFailed => {
                self.registry.rules().add(Rule::new(fail).times(1));
                self.run(IMAGE, "pre").await;
            }
            Status::PreImportCanceled => {
                self.registry.rules().add(Rule::new(Effect::Cancel).times(1));
                self.run(IMAGE, "pre").await;
            }
            Status::ImportInProgress => {
                self.run(IMAGE, "pre").await;
                self.hold(Point::Work);
                self.start(IMAGE, "final").await.is(202);
            }
            Status::ImportComplete => {
                self.run(IMAGE, "pre").await;
                self.run(IMAGE, "final").await;
            }
            Status::ImportFailed => {
                self.run(IMAGE, "pre").await;
                self.registry.rules().add(Rule::new(fail).times(1));
                self.run(IMAGE, "final").await;
            }
            Status::ImportCanceled => {
                self.run(IMAGE, "pre").await;
                self.registry.rules().add(Rule::new(Effect::Cancel).times(1));
                self.run(IMAGE, "final").await;
            }
        }
        self.reaches(IMAGE, status).await;
    }
}

/// A configuration with both storages in `folder` and without notifications.
pub fn config(folder: &TempDir) -> Config {
    let token = TokenCheck {
        public_key_pem: keys().public_key_pem.clone(),
        audience: AUDIENCE.to_owned(),
        issuer: ISSUER.to_owned(),
    };
    Config::new(folder.path().join("old"), folder.path().join("new"), token)
}
