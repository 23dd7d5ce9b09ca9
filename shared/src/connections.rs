//! The connections to AWS: HTTP/1.1, kept, and given up where the other side is silent.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use aws_config::BehaviorVersion;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connection::{CaptureSmithyConnection, ConnectionMetadata},
        http::{
            HttpClient, HttpConnector as SdkConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use tokio::time::timeout;
use tower_service::Service;

use crate::{
    freshness::FetchedAt,
    lock::lock,
    tls::{TlsError, trust_public},
};

/// The SDK's defaults as of a date, so that an update does not change timeouts and retries unseen.
#[must_use]
pub fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// How long a connection is silent before the other side is asked whether it is there, and the pause between two
/// askings.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How long a connection may take to be made. Of several addresses each has its part: one zone may be lost.
pub(crate) const TO_CONNECT: Duration = Duration::from_secs(2);

/// How often it is asked in vain.
pub const PROBES: u32 = 2;

/// How long what was sent may stay unacknowledged.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(3);

/// How long a connection is kept that nobody uses. A process may be frozen meanwhile, and what stands between forgets
/// connections without a word.
const KEPT: Duration = Duration::from_secs(60);

/// Connections of one client of AWS. Clones share them.
///
/// There is one request at a time on a connection, so one that is given up takes its connection with it.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    tls: Result<ClientConfig, TlsError>,
    kept: Mutex<Kept>,
}

/// The connectors by how long they may take to connect, and when they were last asked for.
#[derive(Default)]
struct Kept {
    connectors: HashMap<Option<Duration>, SharedHttpConnector>,
    used: Option<FetchedAt>,
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner { tls: trust_public(), kept: Mutex::default() }))
    }

    /// Uses none of those that are there any more: one was silent, so the others may be.
    pub fn forget(&self) {
        self.kept().connectors.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.0.kept)
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl HttpClient for Connections {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let mut kept = self.kept();
        if kept.used.replace(FetchedAt::now()).is_some_and(|used| used.is_older_than(KEPT)) {
            kept.connectors.clear();
        }
        let limit = settings.connect_timeout();
        let make = || match &self.0.tls {
            Ok(tls) => SharedHttpConnector::new(Connector::new(tls.clone(), limit)),
            Err(error) => SharedHttpConnector::new(NoConnector(error.clone())),
        };
        kept.connectors.entry(limit).or_insert_with(make).clone()
    }
}

/// What a TCP connection to another machine is made with.
pub(crate) fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE));
    tcp.set_keepalive_retries(Some(PROBES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    tcp
}

/// One pool of connections.
struct Connector {
    client: Client<InTime<HttpsConnector<HttpConnector>>, SdkBody>,
}

impl Connector {
    fn new(mut tls: ClientConfig, limit: Option<Duration>) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tcp = tcp();
        tcp.set_connect_timeout(limit);
        let connector = InTime { inner: HttpsConnector::from((tcp, tls)), limit };
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(KEPT);
        Self { client: builder.build(connector) }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl SdkConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        // The SDK has a connection closed whose answer was broken.
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || {
                let connection = connection.clone();
                let connected = connection.connection_metadata().is_some();
                connected.then(|| {
                    let poison = move || {
                        if let Some(connection) = connection.connection_metadata().as_ref() {
                            connection.poison();
                        }
                    };
                    ConnectionMetadata::builder().proxied(false).poison_fn(poison).build()
                })
            });
        }
        let sent = self.client.request(request);
        HttpConnectorFuture::new(async move {
            match sent.await {
                Ok(response) => HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                    .map_err(|error| ConnectorError::other(error.into(), None)),
                Err(error) => Err(ConnectorError::io(error.into())),
            }
        })
    }
}

/// Used where the authorities could not be loaded. Each request fails and says why.
#[derive(Debug)]
struct NoConnector(TlsError);

impl SdkConnector for NoConnector {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::other(self.0.clone().into(), None)))
    }
}

/// Connects, TLS included, within a time.
#[derive(Clone)]
struct InTime<C> {
    inner: C,
    limit: Option<Duration>,
}

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri>,
    C::Response: 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit.unwrap_or(Duration::MAX);
        Box::pin(async move {
            match timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::net::TcpListener;
    use tower_service::Service;

    use super::{KEEP_ALIVE, PROBES, UNACKNOWLEDGED, tcp};

    #[tokio::test]
    async fn asks_a_silent_server_below_http_whether_it_is_there() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", server.local_addr().unwrap());
        let connected = tcp().call(address.parse().unwrap()).await.unwrap();
        let socket = SockRef::from(connected.inner());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEP_ALIVE);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
        // Two askings in vain come to as much as what was sent may stay unacknowledged.
        assert_eq!(KEEP_ALIVE * (PROBES + 1), UNACKNOWLEDGED);
    }
}
