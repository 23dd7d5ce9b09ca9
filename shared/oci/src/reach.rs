//! Which addresses anybody is sent to. Decided here alone, by addresses and not by names, and the connection is made to
//! the addresses that were decided on.
//!
//! The registry itself may be anywhere: the operator named it. Where it sends us, it may not make us speak to this
//! machine or to its neighbours, unless it is there itself.

use std::{
    collections::HashSet,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use futures::future::BoxFuture;
use reqwest::dns;
use url::{Host, Url};

/// Turns names into addresses.
pub trait Resolver: Send + Sync {
    /// The addresses of `host`.
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's way.
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Everybody's.
    Public,
    /// Within an organisation.
    Private,
    /// On the same wire, which is where clouds keep a machine's own secrets.
    LinkLocal,
    /// This machine.
    Loopback,
    /// Nobody's: a group, a test, the future.
    Nowhere,
}

impl Place {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    const fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            // What is sent to 0.0.0.0 arrives at this machine.
            [127, ..] | [0, 0, 0, 0] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Self::Private,
            [0 | 224..=255, ..]
            | [192, 0, 0 | 2, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _] => Self::Nowhere,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let parts = address.segments();
        let embedded = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match parts {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::Loopback,
            // An IPv4 address in another dress.
            [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                embedded(high, low)
            }
            [0x2002, high, low, ..] => embedded(high, low),
            // Where AWS keeps a machine's own secrets, in IPv6.
            [0xfd00, 0xec2, ..] | [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Self::Private,
            [0xff00..=0xffff, ..] | [0x100, ..] | [0x2001, 0xdb8 | 0, ..] => Self::Nowhere,
            _ => Self::Public,
        }
    }

    /// Whether a registry at `registry` may send anybody here.
    fn is_open_to(self, registry: &[IpAddr]) -> bool {
        let is_at = |place: Self| registry.iter().any(|address| Self::of(*address) == place);
        match self {
            Self::Public => true,
            Self::Nowhere => false,
            Self::LinkLocal | Self::Loopback => is_at(self),
            // Who works on one machine has its other addresses too.
            Self::Private => is_at(Self::Private) || is_at(Self::Loopback),
        }
    }
}

/// An address where nobody is sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{host} is at {address}, where the registry may not send anybody")]
pub struct Forbidden {
    host: String,
    address: IpAddr,
}

/// Decides.
#[derive(Clone)]
pub struct Reach(Arc<Inner>);

struct Inner {
    resolver: Arc<dyn Resolver>,
    registry: String,
    /// Hosts that the operator named, the registry among them.
    named: HashSet<String>,
}

impl Reach {
    /// For the registry at `registry`; the operator also named the hosts `named`.
    pub fn new(resolver: Arc<dyn Resolver>, registry: &Url, named: &[String]) -> Self {
        let registry = plain_host(registry);
        let named = named.iter().map(|host| host.to_ascii_lowercase()).chain([registry.clone()]).collect();
        Self(Arc::new(Inner { resolver, registry, named }))
    }

    /// Whether the host of `url`, where it is an address, may be spoken to. A name is decided on when it is connected
    /// to.
    pub async fn admit(&self, url: &Url) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match url.host() {
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => self.addresses(&plain_host(url)).await.map(drop),
            _ => Ok(()),
        }
    }

    /// Where `host` is: all its addresses, of which each is allowed.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found = self.resolve(host).await?;
        if !self.0.named.contains(&host.to_ascii_lowercase()) {
            let is_local = |address: &&IpAddr| Place::of(**address) != Place::Public;
            if found.iter().any(|address| is_local(&address)) {
                let registry = self.resolve(&self.0.registry).await?;
                let is_shut = |address: &&IpAddr| !Place::of(**address).is_open_to(&registry);
                if let Some(address) = found.iter().find(is_shut) {
                    return Err(Box::new(Forbidden { host: host.to_owned(), address: *address }));
                }
            }
        }
        Ok(found)
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        match host.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => self.0.resolver.resolve(host).await,
        }
    }
}

impl dns::Resolve for Reach {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = reach.addresses(name.as_str()).await?;
            let found: dns::Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(found)
        })
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("registry", &self.0.registry).finish_non_exhaustive()
    }
}

/// The host of an http address, without what IPv6 is wrapped in.
pub fn plain_host(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    }
}

/// Whether what is sent to `url` stays on this machine.
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io, net::IpAddr, sync::Arc};

    use futures::future::BoxFuture;
    use url::Url;

    use super::{Forbidden, Place, Reach, Resolver};

    /// Names and their addresses, as data.
    struct Names(BTreeMap<&'static str, Vec<&'static str>>);

    impl Resolver for Names {
        fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let found = self.0.get(host).map(|all| all.iter().map(|text| text.parse().unwrap()).collect());
            Box::pin(async move { found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)) })
        }
    }

    fn reach(registry: &str) -> Reach {
        let names = Names(BTreeMap::from([
            ("public.example", vec!["52.1.2.3"]),
            ("inside.example", vec!["10.1.2.3"]),
            ("here.example", vec!["127.0.0.1", "::1"]),
            ("storage.example", vec!["52.9.9.9", "2600:1f18::1"]),
            ("half.example", vec!["52.9.9.9", "169.254.169.254"]),
            ("neighbour.example", vec!["192.168.7.7"]),
            ("secrets.example", vec!["169.254.169.254"]),
            ("mapped.example", vec!["::ffff:127.0.0.1"]),
        ]));
        let url = Url::parse(registry).unwrap();
        Reach::new(Arc::new(names), &url, &["trusted.example".to_owned()])
    }

    async fn is_reached(registry: &str, host: &str) -> bool {
        match reach(registry).addresses(host).await {
            Ok(found) => !found.is_empty(),
            Err(error) => {
                assert!(error.is::<Forbidden>(), "{error}");
                false
            }
        }
    }

    #[tokio::test]
    async fn sends_nobody_to_an_address_that_is_not_public() {
        let registry = "https://public.example";
        assert!(is_reached(registry, "storage.example").await);
        assert!(is_reached(registry, "52.1.1.1").await);
        for host in [
            "neighbour.example",
            "secrets.example",
            "here.example",
            "mapped.example",
            "half.example",
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "fd00:ec2::254",
            "fe80::1",
            "fc00::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_reached(registry, host).await, "{host}");
        }
    }

    #[tokio::test]
    async fn sends_to_neighbours_from_a_registry_among_them() {
        assert!(is_reached("http://inside.example", "neighbour.example").await);
        assert!(!is_reached("http://inside.example", "secrets.example").await);
        assert!(!is_reached("http://inside.example", "here.example").await);
        assert!(is_reached("http://here.example", "127.0.0.9").await);
        assert!(is_reached("http://127.0.0.1:5000", "here.example").await);
        assert!(!is_reached("http://127.0.0.1:5000", "half.example").await);
    }

    #[tokio::test]
    async fn goes_wherever_the_operator_says() {
        assert!(is_reached("http://secrets.example", "secrets.example").await);
        assert!(reach("https://public.example").admit(&"http://10.0.0.1/".parse().unwrap()).await.is_err());
        assert!(reach("https://10.0.0.1").admit(&"http://10.0.0.1:9/".parse().unwrap()).await.is_ok());
    }

    #[test]
    fn knows_public_addresses() {
        for address in ["8.8.8.8", "2600:1f18::1", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"] {
            assert_eq!(Place::of(address.parse().unwrap()), Place::Public, "{address}");
        }
    }
}
