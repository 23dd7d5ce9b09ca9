//! Who we are: what is sent in `Authorization`, and where it comes from.
//!
//! Credentials go to the registry and to the realm of its tokens, and nowhere else. A token is asked for by scope, kept
//! until a fifth of its life is left, and asked for anew when the registry does not take it any more.

pub(crate) mod challenge;
pub(crate) mod realm;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use self::challenge::{Challenge, challenges};
use crate::{Access, Credentials, Error, Name, error::Cause};

/// How long a token is good for where the realm does not say.
const LIFE: u64 = 60;

/// The largest answer of a realm that is read.
pub const TOKEN_LIMIT: usize = 1 << 20;

/// How many tokens are kept at once: a process may copy thousands of repositories.
const KEPT: usize = 256;

/// What a request's token must allow. The same request always has the same text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Nothing: only who we are.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The list of all repositories.
    pub fn catalogue() -> Self {
        Self(vec!["registry:catalog:*".to_owned()])
    }

    /// One repository.
    pub fn repository(name: &Name, access: Access) -> Self {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        Self(vec![format!("repository:{name}:{actions}")])
    }

    /// One repository, of which something is deleted.
    pub fn deleting(name: &Name) -> Self {
        Self(vec![format!("repository:{name}:delete")])
    }

    /// One repository, and another one that is read.
    pub fn with_source(mut self, source: Option<&Name>) -> Self {
        self.0.extend(source.map(|source| format!("repository:{source}:pull")));
        self
    }
}

/// How the registry wants to be told who we are, as far as it has said.
#[derive(Clone)]
enum Scheme {
    /// It has not been asked.
    Unknown,
    /// By user and password.
    Basic,
    /// By a token.
    Bearer(Realm),
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// Its address.
    pub url: Url,
    /// What it calls the registry.
    pub service: Option<String>,
}

/// A request that is to be sent to a realm.
pub struct TokenRequest {
    /// The address, with its query.
    pub url: Url,
    /// `Authorization`.
    pub authorization: Option<HeaderValue>,
    /// A form that is posted.
    pub form: Option<String>,
}

/// Sends what a realm is to be asked, and gives its answer's body.
pub trait AskRealm: Sync {
    /// Sends it.
    fn ask(&self, request: TokenRequest) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
}

struct Token {
    value: SecretString,
    until: Instant,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// What the registry knows us by.
pub struct Authority {
    registry: Url,
    credentials: Credentials,
    named: Vec<String>,
    scheme: Mutex<Scheme>,
    tokens: Mutex<HashMap<Scopes, Slot>>,
}

impl Authority {
    pub fn new(registry: Url, credentials: Credentials, named: Vec<String>) -> Self {
        let scheme = Mutex::new(Scheme::Unknown);
        Self { registry, credentials, named, scheme, tokens: Mutex::default() }
    }

    /// Where the registry's tokens come from, as far as it has said.
    pub fn realm(&self) -> Option<Url> {
        match &*lock(&self.scheme) {
            Scheme::Bearer(realm) => Some(realm.url.clone()),
            Scheme::Unknown | Scheme::Basic => None,
        }
    }

    /// Whether the registry wants user and password.
    pub fn is_basic(&self) -> bool {
        matches!(*lock(&self.scheme), Scheme::Basic)
    }

    /// Whether it was given a token as it is.
    pub const fn has_token(&self) -> bool {
        matches!(self.credentials, Credentials::Token(_))
    }

    /// What to send in `Authorization`. None: nothing, as far as is known.
    pub async fn authorization(
        &self,
        scopes: &Scopes,
        ask: &impl AskRealm,
    ) -> Result<Option<HeaderValue>, Error> {
        if let Credentials::Token(token) = &self.credentials {
            return Ok(secret_header("Bearer ", token.expose_secret()));
        }
        let scheme = lock(&self.scheme).clone();
        match scheme {
            Scheme::Unknown => Ok(None),
            Scheme::Basic => Ok(self.basic()),
            Scheme::Bearer(realm) => self.bearer(&realm, scopes, ask).await,
        }
    }

    /// Takes in a 401. Says whether the request may be accepted if it is sent once more.
    pub async fn refused(
        &self,
        headers: &HeaderMap,
        scopes: &Scopes,
        sent: Option<&HeaderValue>,
    ) -> Result<bool, Error> {
        if matches!(self.credentials, Credentials::Token(_)) {
            return Ok(false);
        }
        match challenges(headers).into_iter().next() {
            Some(Challenge::Bearer { realm, service }) => {
                let url = realm::trusted(&realm, &self.registry, &self.named)
                    .map_err(|said| Error::new(Cause::ForeignRealm, "log in", said))?;
                *lock(&self.scheme) = Scheme::Bearer(Realm { url, service });
                self.forget(scopes, sent).await;
                Ok(true)
            }
            Some(Challenge::Basic) => {
                let basic = self.basic();
                *lock(&self.scheme) = Scheme::Basic;
                Ok(basic.is_some() && basic.as_ref() != sent)
            }
            None => Ok(false),
        }
    }

    /// Takes every secret of ours out of what a registry says.
    pub fn hide(&self, said: String, sent: Option<&HeaderValue>) -> String {
        let mut secrets: Vec<&str> = sent.and_then(|value| value.to_str().ok()).into_iter().collect();
        secrets.extend(secrets.first().and_then(|value| value.split_once(' ')).map(|(_, value)| value));
        match &self.credentials {
            Credentials::Basic { password, .. } => secrets.push(password.expose_secret()),
            Credentials::Token(token) | Credentials::Refresh(token) => secrets.push(token.expose_secret()),
            Credentials::Anonymous => {}
        }
        secrets
            .iter()
            .filter(|secret| secret.len() >= 3)
            .fold(said, |said, secret| said.replace(secret, "(secret)"))
    }

    fn basic(&self) -> Option<HeaderValue> {
        match &self.credentials {
            Credentials::Basic { user, password } => {
                secret_header("Basic ", &STANDARD.encode(format!("{user}:{}", password.expose_secret())))
            }
            Credentials::Anonymous | Credentials::Token(_) | Credentials::Refresh(_) => None,
        }
    }

    async fn bearer(
        &self,
        realm: &Realm,
        scopes: &Scopes,
        ask: &impl AskRealm,
    ) -> Result<Option<HeaderValue>, Error> {
        let slot = self.slot(scopes);
        // One asks, and the others wait for what it gets.
        let mut token = slot.lock().await;
        if let Some(Token { value, until }) = token.as_ref()
            && Instant::now() < *until
        {
            return Ok(secret_header("Bearer ", value.expose_secret()));
        }
        *token = None;
        let answer = ask.ask(self.token_request(realm, scopes)).await?;
        let fresh = Token::read(&answer)?;
        let header = secret_header("Bearer ", fresh.value.expose_secret());
        if header.is_none() {
            return Err(Error::new(Cause::Protocol, "get token", "the realm's token is no token"));
        }
        *token = Some(fresh);
        Ok(header)
    }

    fn token_request(&self, realm: &Realm, scopes: &Scopes) -> TokenRequest {
        let mut url = realm.url.clone();
        if let Credentials::Refresh(token) = &self.credentials {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token");
            form.append_pair("client_id", "registry-migration");
            form.append_pair("refresh_token", token.expose_secret());
            if let Some(service) = &realm.service {
                form.append_pair("service", service);
            }
            if !scopes.0.is_empty() {
                form.append_pair("scope", &scopes.0.join(" "));
            }
            return TokenRequest { url, authorization: None, form: Some(form.finish()) };
        }
        if realm.service.is_some() || !scopes.0.is_empty() {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(realm.service.iter().map(|service| ("service", service)));
            query.extend_pairs(scopes.0.iter().map(|scope| ("scope", scope)));
        }
        TokenRequest { url, authorization: self.basic(), form: None }
    }

    /// Drops the token that was sent. One that somebody else got meanwhile is kept.
    async fn forget(&self, scopes: &Scopes, sent: Option<&HeaderValue>) {
        let slot = self.slot(scopes);
        let mut token = slot.lock().await;
        let is_sent = token
            .as_ref()
            .is_some_and(|token| secret_header("Bearer ", token.value.expose_secret()).as_ref() == sent);
        if is_sent {
            *token = None;
        }
    }

    fn slot(&self, scopes: &Scopes) -> Slot {
        let mut tokens = lock(&self.tokens);
        if tokens.len() >= KEPT && !tokens.contains_key(scopes) {
            let now = Instant::now();
            // One that is held is being asked for.
            tokens.retain(|_, slot| {
                slot.try_lock().map_or(true, |token| token.as_ref().is_some_and(|token| now < token.until))
            });
            if tokens.len() >= KEPT {
                tokens.retain(|_, slot| slot.try_lock().is_err());
            }
        }
        Arc::clone(tokens.entry(scopes.clone()).or_default())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Token {
    /// Reads `{"token":"…","expires_in":60}`.
    fn read(body: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<SecretString>,
            access_token: Option<SecretString>,
            expires_in: Option<f64>,
        }
        // The parser's own words could hold a part of the token.
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|_| Error::new(Cause::Protocol, "get token", "the realm's answer is no token"))?;
        let is_there = |token: &SecretString| !token.expose_secret().is_empty();
        let value = answer
            .token
            .filter(is_there)
            .or_else(|| answer.access_token.filter(is_there))
            .ok_or_else(|| Error::new(Cause::Protocol, "get token", "the realm's answer has no token"))?;
        let life = answer.expires_in.filter(|life| (1.0..=1e7).contains(life));
        let life = life.map_or(Duration::from_secs(LIFE), Duration::from_secs_f64);
        Ok(Self { value, until: Instant::now() + life.mul_f64(0.8) })
    }
}

/// A header's value that nothing shows.
fn secret_header(scheme: &str, secret: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("{scheme}{secret}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A lock that a panic elsewhere does not take away.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
