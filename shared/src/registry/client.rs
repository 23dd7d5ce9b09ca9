use std::{fmt, path::PathBuf, time::Duration};

use reqwest::{Client, Method, redirect};
use tokio::time::Instant;
use url::{Host, Url};

use super::{
    CancelAnswer, ProbeAnswer, StartAnswer, StatusAnswer,
    exchange::{Exchange, Request, exchange},
    interpret,
    signing::{Signing, SigningKey},
    token::InvalidKey,
    token::Scope,
};
use crate::{
    connections::{KEEP_ALIVE, PROBES, UNACKNOWLEDGED},
    migration::{AttemptId, RepositoryPath, Step},
    tls::{TlsError, trust_file, trust_public},
};

/// How long an unused connection is kept. A sandbox may be frozen between two calls, and a request sent on a
/// connection that the other side has closed meanwhile has an unknown outcome: only calls in a row share one.
const KEPT_CONNECTION: Duration = Duration::from_secs(5);

/// Where the registry is and how it knows us.
#[derive(Clone)]
pub struct RegistryClientConfig {
    /// Where the registry is, e.g. `https://images.example.com`; may have a path.
    pub url: Url,
    /// The `aud` of the tokens.
    pub audience: String,
    /// The `iss` of the tokens.
    pub issuer: String,
    /// What signs the tokens.
    pub signing_key: SigningKey,
    /// A file with the authorities (PEM) that the registry's certificate may come from, if not the public ones.
    pub authorities: Option<PathBuf>,
    /// The host that may be spoken to in clear. On this machine anybody may.
    pub insecure_host: Option<String>,
    /// The longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// The longest a call may take, its answer included; the deadline of a call may end it earlier.
    pub request_timeout: Duration,
}

/// The configuration cannot work.
#[derive(Debug, thiserror::Error)]
pub enum RegistryConfigError {
    /// Not an `http` or `https` address, or one with a user, a query or a fragment.
    #[error("the registry's address must be http or https, without a user, a query or a fragment")]
    Url,
    /// Everybody on the way could read the tokens, and use them.
    #[error(
        "the registry's address is http, which shows its tokens to everybody on the way: use https, or name its host in \
         REGISTRY_INSECURE_HOST"
    )]
    Insecure,
    /// No token can be signed.
    #[error(transparent)]
    SigningKey(#[from] InvalidKey),
    /// The authorities that it is to be known by cannot be used.
    #[error("REGISTRY_CA_FILE: {0}")]
    Authorities(#[from] TlsError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Calls one registry. Cheap to share by reference; one per process.
pub struct RegistryClient {
    http: Client,
    base: Url,
    pub(super) signing: Signing,
    request_timeout: Duration,
}

impl RegistryClient {
    /// Checks the configuration; calls nobody.
    ///
    /// # Errors
    /// [`RegistryConfigError`] names what is wrong, without showing the key.
    pub fn new(config: RegistryClientConfig) -> Result<Self, RegistryConfigError> {
        let url = &config.url;
        let plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https")
            || !plain
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(RegistryConfigError::Url);
        }
        if !is_confidential(url) && url.host_str() != config.insecure_host.as_deref() {
            return Err(RegistryConfigError::Insecure);
        }
        let signing = Signing::new(config.audience, config.issuer, config.signing_key)?;
        let tls = match &config.authorities {
            Some(file) => trust_file(file),
            None => trust_public(),
        }?;
        let http = Client::builder()
            // A redirect would take the token elsewhere and turn a PUT into a GET.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(tls)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(KEPT_CONNECTION)
            // A registry may take its time; one that is gone is noticed below HTTP.
            .tcp_keepalive(KEEP_ALIVE)
            .tcp_keepalive_interval(KEEP_ALIVE)
            .tcp_keepalive_retries(PROBES)
            .tcp_user_timeout(UNACKNOWLEDGED)
            .build()
            .map_err(RegistryConfigError::Client)?;
        Ok(Self { http, base: config.url, signing, request_timeout: config.request_timeout })
    }

    /// Asks for one step of a repository's import. The attempt's id comes back with the notification.
    pub async fn start(
        &self,
        path: &RepositoryPath,
        step: Step,
        attempt: AttemptId,
        deadline: Instant,
    ) -> StartAnswer {
        let url = self.url(Some(path), Some(("import_type", step.name())));
        let request = Request {
            operation: "start",
            method: Method::PUT,
            url,
            attempt: Some(attempt),
            scope: Scope::Import,
        };
        interpret::start(self.call(&request, deadline).await, path)
    }

    /// Asks how a repository's import stands.
    pub async fn status(&self, path: &RepositoryPath, deadline: Instant) -> StatusAnswer {
        let request = Request {
            operation: "status",
            method: Method::GET,
            url: self.url(Some(path), None),
            attempt: None,
            scope: Scope::Import,
        };
        interpret::status(self.call(&request, deadline).await, path)
    }

    /// Asks to cancel a repository's import; by `force` also one that is not in progress.
    pub async fn cancel(&self, path: &RepositoryPath, force: bool, deadline: Instant) -> CancelAnswer {
        let url = self.url(Some(path), force.then_some(("force", "true")));
        let request =
            Request { operation: "cancel", method: Method::DELETE, url, attempt: None, scope: Scope::Import };
        interpret::cancel(self.call(&request, deadline).await, path, force)
    }

    /// Asks whether the registry speaks the import protocol.
    pub async fn probe(&self, deadline: Instant) -> ProbeAnswer {
        let request = Request {
            operation: "probe",
            method: Method::GET,
            url: self.url(None, None),
            attempt: None,
            scope: Scope::Import,
        };
        interpret::probe(self.call(&request, deadline).await)
    }

    /// `<base>/gitlab/v1/`, or `<base>/gitlab/v1/import/<path>/`. Without its last slash the registry redirects.
    fn url(&self, path: Option<&RepositoryPath>, query: Option<(&str, &str)>) -> Url {
        let import = path.map(|path| ["import"].into_iter().chain(path.as_str().split('/')));
        let segments = ["gitlab", "v1"].into_iter().chain(import.into_iter().flatten()).chain([""]);
        let mut url = self.at(segments);
        if let Some((name, value)) = query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    /// The address of `segments` below the base.
    pub(super) fn at<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        // An http address always has segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Sends a request, and once more with a new token if the registry does not accept the first: it looks at
    /// the token before anything else, so nothing has happened.
    pub(super) async fn call(&self, request: &Request, deadline: Instant) -> Exchange {
        let deadline = deadline.min(Instant::now() + self.request_timeout);
        let first = exchange(&self.http, &self.signing, request, deadline).await;
        match first {
            Exchange::Answered { status: 401, .. } => {
                self.signing.forget_token();
                exchange(&self.http, &self.signing, request, deadline).await
            }
            Exchange::Answered { .. } | Exchange::NotSent { .. } | Exchange::Unknown { .. } => first,
        }
    }
}

/// Whether nobody on the way can read what is sent there.
fn is_confidential(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl fmt::Debug for RegistryClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClientConfig")
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}
