use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Method;
use reqwest::redirect;
use tokio::time::Instant;
use url::Url;

use crate::{
    Access, Action, ClientConfig, ConfigError, Error, Limits, Name, Profile, Retries, Traffic,
    auth::{Authority, Scopes},
    error::Cause,
    exchange::Request,
    gate::Gate,
    limits::Counters,
    pace::Pace,
    reach::{Reach, SystemResolver, is_this_machine},
    tls::trust,
};

/// How long an unused connection is kept.
const KEPT: Duration = Duration::from_secs(20);

/// How many unused connections are kept: each may hold some hundred KB, into which its last answer was read.
const KEPT_AT_MOST: usize = 16;

/// How often a silent connection is asked below HTTP whether the other side is there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Speaks to one registry. Cheap to clone: the clones share connections, tokens and limits.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    base: Url,
    profile: Profile,
    access: Access,
    authority: Authority,
    reach: Reach,
    pace: Arc<Pace>,
    gate: Gate,
    counters: Arc<Counters>,
    retries: Retries,
    answer_timeout: Duration,
    silence: Duration,
    /// Whether the registry has said that it has no referrers API.
    lacks_referrers: AtomicBool,
}

/// How a registry wants to be told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Not at all.
    Anonymous,
    /// By user and password.
    Basic,
    /// By a token of our own, which it was given as it is.
    Token,
    /// By a token from a realm.
    Bearer {
        /// Where the credentials go.
        realm: Url,
    },
}

impl Client {
    /// Checks the configuration; calls nobody.
    ///
    /// # Errors
    /// [`ConfigError`] names what is wrong.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let url = config.url;
        let is_plain = url.username().is_empty() && url.password().is_none();
        let is_bare = url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain || !is_bare {
            return Err(ConfigError::Url);
        }
        if url.scheme() == "http" && !is_this_machine(&url) && !config.insecure {
            return Err(ConfigError::Insecure);
        }
        let resolver = config.resolver.unwrap_or_else(|| Arc::new(SystemResolver));
        let reach = Reach::new(resolver, &url, &config.realms);
        let http = reqwest::Client::builder()
            // Followed by hand: credentials stay behind, and where it leads is looked at.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(trust(config.authorities.as_deref())?)
            .dns_resolver(Arc::new(reach.clone()))
            .user_agent(config.user_agent)
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(KEPT)
            .pool_max_idle_per_host(KEPT_AT_MOST)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEP_ALIVE)
            .tcp_keepalive_interval(KEEP_ALIVE)
            .tcp_keepalive_retries(3_u32)
            .build()
            .map_err(ConfigError::Client)?;
        Ok(Self(Arc::new(Inner {
            http,
            authority: Authority::new(url.clone(), config.credentials, config.realms),
            base: url,
            profile: config.profile,
            access: config.access,
            reach,
            gate: Gate::new(config.limits.in_flight),
            pace: Arc::new(Pace::new(config.limits)),
            counters: Arc::default(),
            retries: config.retries,
            answer_timeout: config.answer_timeout,
            silence: config.silence,
            lacks_referrers: AtomicBool::new(config.profile.lacks_referrers()),
        })))
    }

    /// Where the registry is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0.base
    }

    /// How it treats uploads.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.0.profile
    }

    /// How fast it is asked.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.pace.limits()
    }

    /// Changes how fast it is asked, for what is under way too.
    pub fn set_limits(&self, limits: Limits) {
        self.0.gate.set_most(limits.in_flight);
        self.0.pace.set_limits(limits);
    }

    /// How many requests may be under way now, as the registry's answers have shown.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.gate.limit()
    }

    /// What was asked of it since the client was made.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.0.counters.read()
    }

    /// Where its tokens come from, and so where the credentials go. None: nowhere, or it has not been asked yet.
    #[must_use]
    pub fn realm(&self) -> Option<Url> {
        self.0.authority.realm()
    }

    /// Asks the registry whether it speaks the distribution API and takes the credentials.
    ///
    /// # Errors
    /// [`Cause::Unauthorized`] where it does not take them; [`Cause::NotFound`] and [`Cause::Protocol`] where it is no
    /// registry.
    pub async fn check(&self, deadline: Instant) -> Result<Login, Error> {
        let url = self.at(["v2", ""]);
        let request = Request::new(Action::Check, "check", Method::GET, url, Scopes::none());
        self.whole(&request, &[], 64 << 10, deadline).await?;
        Ok(match self.realm() {
            _ if self.0.authority.has_token() => Login::Token,
            Some(realm) => Login::Bearer { realm },
            None if self.0.authority.is_basic() => Login::Basic,
            None => Login::Anonymous,
        })
    }

    /// The address of `segments` below the registry's.
    pub(crate) fn at<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.base.clone();
        // An http address always has segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The address of something in a repository.
    pub(crate) fn within<'a>(&self, name: &'a Name, segments: impl IntoIterator<Item = &'a str>) -> Url {
        self.at(["v2"].into_iter().chain(name.as_str().split('/')).chain(segments))
    }

    /// `target` as seen from `url`, where that is the registry itself.
    pub(crate) fn own_address(&self, url: &Url, target: &str, operation: &'static str) -> Result<Url, Error> {
        let mut target = url
            .join(target)
            .map_err(|_| Error::new(Cause::Protocol, operation, "an address that is none"))?;
        let is_plain = target.username().is_empty() && target.password().is_none();
        if target.origin() != self.0.base.origin() || !is_plain {
            let host = target.host_str().unwrap_or_default();
            let said = format!("the registry names {}://{host} as its own address", target.scheme());
            return Err(Error::new(Cause::Protocol, operation, said));
        }
        target.set_fragment(None);
        Ok(target)
    }

    /// What a request about `name` needs.
    pub(crate) fn scopes(&self, name: &Name) -> Scopes {
        Scopes::repository(name, self.0.access)
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.0.reach
    }

    pub(crate) fn pace(&self) -> &Arc<Pace> {
        &self.0.pace
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    pub(crate) fn retries(&self) -> Retries {
        self.0.retries
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        self.0.answer_timeout
    }

    pub(crate) fn silence(&self) -> Duration {
        self.0.silence
    }

    pub(crate) fn lacks_referrers(&self) -> bool {
        self.0.lacks_referrers.load(Ordering::Relaxed)
    }

    pub(crate) fn learn_no_referrers(&self) {
        self.0.lacks_referrers.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.0.base.as_str())
            .field("profile", &self.0.profile)
            .finish_non_exhaustive()
    }
}
