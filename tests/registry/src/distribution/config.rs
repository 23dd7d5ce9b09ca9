//! What a registry that speaks the distribution API alone is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Whose behaviour a registry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Personality {
    /// Distribution 2.8.2, which Debian ships as docker-registry.
    #[serde(rename = "distribution-2")]
    #[value(name = "distribution-2")]
    Distribution2,
    /// Distribution 3.
    #[serde(rename = "distribution-3")]
    #[value(name = "distribution-3")]
    Distribution3,
}

impl Personality {
    pub(super) fn is_third(self) -> bool {
        self == Self::Distribution3
    }
}

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// Everybody everything.
    #[default]
    Open,
    /// Who has the password, by Basic authentication.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// Who has a token. `/token` of this registry gives one for the password, which may do whatever the scope asks.
    Bearer {
        /// The name.
        user: String,
        /// The password.
        password: SecretString,
        /// Whether `/token` also gives one without a password. It may pull and nothing else.
        anonymous_pull: bool,
    },
}

/// Everything such a registry is told at its start. Begin with [`DistributionConfig::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct DistributionConfig {
    /// What the journal calls it.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the files are served from that blobs are redirected to; port 0 takes a free one.
    pub listen_files: SocketAddr,
    /// Whose behaviour it has.
    pub personality: Personality,
    /// The folder of its storage, in the layout of distribution.
    pub storage: PathBuf,
    /// Who may do what.
    pub access: Access,
    /// What can be changed while it runs.
    pub settings: Settings,
}

impl DistributionConfig {
    /// An open registry on free loopback ports.
    pub fn new(personality: Personality, storage: impl Into<PathBuf>) -> Self {
        Self {
            name: "registry".to_owned(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            listen_files: (Ipv4Addr::LOCALHOST, 0).into(),
            personality,
            storage: storage.into(),
            access: Access::Open,
            settings: Settings::default(),
        }
    }
}

/// What can be changed while a registry runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many entries a page of a list holds, whatever `n` asks for. `None`: as the personality does it.
    pub page: Option<usize>,
    /// How a page names the next one.
    pub links: Links,
    /// Container repositories that the catalogue leaves out.
    pub unlisted: Vec<String>,
    /// Whether a blob is answered by a 307 to the files' address, which is signed for so many seconds.
    pub redirect_blobs: Option<u64>,
    /// How long a token is good for, in seconds.
    pub token_seconds: u64,
    /// Whether a tag may name another manifest later.
    pub immutable_tags: ImmutableTags,
    /// What there may be at most.
    pub quota: Quota,
    /// What becomes of a push to a container repository that does not exist.
    pub absent_repository: AbsentRepository,
    /// Whether there is a referrers API. Distribution has none.
    pub referrers: bool,
    /// A blob of more bytes than this is hashed and not kept: only its digest and size are.
    pub keep_at_most: Option<u64>,
    /// How much longer each answer takes, in milliseconds.
    pub delay_milliseconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page: None,
            links: Links::Relative,
            unlisted: Vec::new(),
            redirect_blobs: None,
            token_seconds: 300,
            immutable_tags: ImmutableTags::No,
            quota: Quota::default(),
            absent_repository: AbsentRepository::Create,
            referrers: false,
            keep_at_most: None,
            delay_milliseconds: 0,
        }
    }
}

/// How a page names the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// A path and a query.
    #[default]
    Relative,
    /// The same with this registry's address before it.
    Absolute,
    /// With another address before it, e.g. `http://example.com`.
    Elsewhere(String),
    /// A path, and a cursor that says nothing to the client, instead of `last`.
    Cursor,
}

/// Whether a tag may name another manifest later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImmutableTags {
    /// It may.
    #[default]
    No,
    /// It may not. The manifest that it names already is taken.
    Yes,
    /// Not even that one is taken again.
    EvenTheSame,
}

/// What there may be at most. `None` sets no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Layers of one image.
    pub layers: Option<usize>,
    /// Bytes of one image's layers and config.
    pub image_bytes: Option<u64>,
    /// Tags of one manifest.
    pub tags_per_manifest: Option<usize>,
    /// Container repositories.
    pub repositories: Option<usize>,
}

/// What becomes of a push to a container repository that does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsentRepository {
    /// It comes to be.
    #[default]
    Create,
    /// 404 `NAME_UNKNOWN`.
    NotFound,
    /// 403 `DENIED`.
    Forbidden,
}
