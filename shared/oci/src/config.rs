//! Which registry is spoken to, and how.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::{Limits, Resolver, tls::TlsError};

/// How a registry treats an upload. It differs where an answer is lost or a part is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// CNCF distribution 2.x, such as Debian's docker-registry. A part that is cut, or whose answer is lost, ends the
    /// upload with all its parts.
    Distribution2,
    /// CNCF distribution 3.x. It says how far it has come, and goes on from there.
    Distribution3,
    /// Any other, of which nothing is known. It is asked how far it has come, and believed only where that is the end of
    /// a part.
    Other,
}

impl Profile {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Distribution2 => "distribution-2",
            Self::Distribution3 => "distribution-3",
            Self::Other => "other",
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Distribution2, Self::Distribution3, Self::Other]
            .into_iter()
            .find(|profile| profile.name() == name)
    }

    /// Whether what it does to an upload has been tried on the real registry.
    #[must_use]
    pub const fn is_proven(self) -> bool {
        matches!(self, Self::Distribution2 | Self::Distribution3)
    }

    /// Whether a tag can be removed alone. Distribution 2 removes a manifest with all its tags, and of others nothing is known.
    #[must_use]
    pub const fn deletes_tags(self) -> bool {
        matches!(self, Self::Distribution3)
    }

    /// Whether a part that was cut can be continued where it ended.
    pub(crate) const fn continues_a_part(self) -> bool {
        matches!(self, Self::Distribution3)
    }

    /// Whether it is known to have no referrers API.
    pub(crate) const fn lacks_referrers(self) -> bool {
        self.is_proven()
    }
}

/// What is done with the registry: what tokens are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is read.
    Pull,
    /// It is read and written.
    Push,
}

/// What the registry knows us by.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// A user and a password: for the registry itself, or for the realm that it has its tokens from.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// A token for the registry itself.
    Token(SecretString),
    /// A refresh token for the realm, which Docker calls an identity token.
    Refresh(SecretString),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::Token(_) => "Token",
            Self::Refresh(_) => "Refresh",
        })
    }
}

/// How often something is tried, and the pauses between. The caller's deadline ends it earlier.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// How often at most, the first time included.
    pub tries: usize,
    /// The first pause. Each is about twice as long as the one before.
    pub first: Duration,
    /// The longest pause, where the registry asks for none.
    pub longest: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { tries: 8, first: Duration::from_millis(200), longest: Duration::from_secs(10) }
    }
}

/// One registry and how it is spoken to. [`ClientConfig::new`] fills in what is usual.
#[derive(Clone)]
pub struct ClientConfig {
    /// Where it is, e.g. `https://images.example.com`; may have a path.
    pub url: Url,
    /// How it treats uploads.
    pub profile: Profile,
    /// What is done with it.
    pub access: Access,
    /// What it knows us by.
    pub credentials: Credentials,
    /// Hosts that may give out its tokens, besides those of its own site: `auth.example.net`, `10.0.0.7`.
    pub realms: Vec<String>,
    /// A file with the authorities (PEM) that its certificate may come from, if not the public ones.
    pub authorities: Option<PathBuf>,
    /// Whether it may be spoken to in clear. On this machine anybody may.
    pub insecure: bool,
    /// The `User-Agent`.
    pub user_agent: String,
    /// The longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// The longest an answer may take to begin after the request was sent. The end of an upload gets a second more for
    /// each 20 MB: the registry may have to hash them.
    pub answer_timeout: Duration,
    /// The longest nothing may come or go while a body does.
    pub silence: Duration,
    /// How often something is tried.
    pub retries: Retries,
    /// How fast it is asked.
    pub limits: Limits,
    /// Who turns names into addresses, if not the system.
    pub resolver: Option<Arc<dyn Resolver>>,
}

impl ClientConfig {
    /// What is usual: an unknown registry, read without credentials, over TLS with the public authorities.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            profile: Profile::Other,
            access: Access::Pull,
            credentials: Credentials::Anonymous,
            realms: Vec::new(),
            authorities: None,
            insecure: false,
            user_agent: concat!("registry-migration/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(60),
            silence: Duration::from_secs(30),
            retries: Retries::default(),
            limits: Limits::default(),
            resolver: None,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("url", &self.url.as_str())
            .field("profile", &self.profile)
            .field("access", &self.access)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// The configuration cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not an `http` or `https` address, or one with a user, a query or a fragment.
    #[error("the registry's address must be http or https, without a user, a query or a fragment")]
    Url,
    /// Everybody on the way could read and change what is sent.
    #[error(
        "the registry's address is http, which everybody on the way can read and change: use https, or allow it"
    )]
    Insecure,
    /// The authorities that it is to be known by cannot be used.
    #[error(transparent)]
    Authorities(#[from] TlsError),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}
