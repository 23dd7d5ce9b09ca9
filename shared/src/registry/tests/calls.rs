use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use rustls::pki_types::PrivateKeyDer;
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};
use uuid::Uuid;

use super::{KEYS, client, config, deadline, path};
use crate::{
    endpoint::scripted_server::{Reply, ScriptedServer, refusing_url, within},
    migration::{AttemptId, Step},
    registry::{
        CancelAnswer, KeySource, ProbeAnswer, RegistryClient, RegistryClientConfig, RegistryConfigError,
        SigningKey, StartAnswer, StatusAnswer,
    },
    telemetry::capture::Capture,
    tls::certificates_parsed,
};

const LONG: Duration = Duration::from_secs(20);

fn attempt() -> AttemptId {
    AttemptId::new(Uuid::from_u128(0x1234))
}

#[tokio::test]
async fn requests_are_what_the_protocol_asks_for() {
    let server = ScriptedServer::start([Reply::answer(202, "")]).await;
    for prefix in ["", "/", "/registry", "/registry/"] {
        let client = client(&format!("{}{prefix}", server.url()));
        client.start(&path(), Step::Pre, attempt(), deadline()).await;
        client.start(&path(), Step::Final, attempt(), deadline()).await;
        client.status(&path(), deadline()).await;
        client.cancel(&path(), false, deadline()).await;
        client.cancel(&path(), true, deadline()).await;
        client.probe(deadline()).await;
    }
    let lines: Vec<String> =
        server.received().iter().map(|request| format!("{} {}", request.method, request.target)).collect();
    let expected = |base: &str| {
        let import = format!("{base}/gitlab/v1/import/group/project/image/");
        [
            format!("PUT {import}?import_type=pre"),
            format!("PUT {import}?import_type=final"),
            format!("GET {import}"),
            format!("DELETE {import}"),
            format!("DELETE {import}?force=true"),
            format!("GET {base}/gitlab/v1/"),
        ]
    };
    assert_eq!(lines, [expected(""), expected(""), expected("/registry"), expected("/registry")].concat());

    for request in server.received() {
        assert_eq!(request.headers["accept"], "application/json");
        assert!(request.headers["authorization"].starts_with("Bearer "));
        let id = request.headers.get("x-request-id").map(String::as_str);
        let expected = (request.method == "PUT").then_some("00000000-0000-0000-0000-000000001234");
        assert_eq!(id, expected, "{} {}", request.method, request.target);
    }
}

#[tokio::test]
async fn a_refused_connection_was_surely_not_sent() {
    let client = client(&refusing_url().await);
    let answer = within(LONG, client.start(&path(), Step::Pre, attempt(), deadline())).await;
    assert_eq!(answer, StartAnswer::NotSent { reason: "no connection".to_owned() });
    let status = within(LONG, client.status(&path(), deadline())).await;
    assert_eq!(status, StatusAnswer::NoAnswer { reason: "no connection".to_owned() });
}

#[tokio::test]
async fn nothing_is_sent_when_no_time_is_left() {
    let server = ScriptedServer::start([Reply::answer(202, "")]).await;
    let answer = client(&server.url()).start(&path(), Step::Pre, attempt(), Instant::now()).await;
    assert_eq!(answer, StartAnswer::NotSent { reason: "no time left".to_owned() });
    assert_eq!(server.received().len(), 0);
}

#[tokio::test]
async fn never_resends_a_start_that_broke_off() {
    for reply in [Reply::Cut, Reply::HalfAnswer { status: 404, body: r#"{"errors":[]}"# }] {
        let server = ScriptedServer::start([reply.clone()]).await;
        let start = client(&server.url()).start(&path(), Step::Pre, attempt(), deadline()).await;
        assert!(matches!(start, StartAnswer::Unknown { .. }), "{reply:?}: {start:?}");
        assert_eq!(server.received().len(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn leaves_a_hanging_registry_in_time() {
    let server = ScriptedServer::start([Reply::Hang]).await;
    let short = Duration::from_millis(200);
    let patient = client(&server.url());
    let hasty = RegistryClient::new(RegistryClientConfig { request_timeout: short, ..config(&server.url()) })
        .unwrap();
    for (client, deadline) in [(&patient, Instant::now() + short), (&hasty, Instant::now() + LONG)] {
        let started = Instant::now();
        let answer = client.start(&path(), Step::Pre, attempt(), deadline).await;
        assert_eq!(answer, StartAnswer::Unknown { reason: "timed out".to_owned() });
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }
    let soon = || Instant::now() + short;
    let reason = "timed out".to_owned();
    assert_eq!(patient.status(&path(), soon()).await, StatusAnswer::NoAnswer { reason: reason.clone() });
    assert_eq!(
        patient.cancel(&path(), false, soon()).await,
        CancelAnswer::NoAnswer { reason: reason.clone() }
    );
    assert_eq!(patient.probe(soon()).await, ProbeAnswer::NoAnswer { reason });
}

#[test]
fn sends_tokens_in_clear_only_where_it_is_allowed() {
    let made = |url: &str, insecure_host: Option<&str>| {
        let insecure_host = insecure_host.map(str::to_owned);
        let made = RegistryClient::new(RegistryClientConfig { insecure_host, ..config(url) });
        assert!(matches!(made, Ok(_) | Err(RegistryConfigError::Insecure)), "{url}");
        made.is_ok()
    };
    for (url, allowed) in [
        ("https://registry.example", true),
        ("http://127.0.0.1:5000", true),
        ("http://127.8.9.10", true),
        ("http://[::1]:5000", true),
        ("http://localhost:5000", true),
        ("http://registry.localhost", true),
        ("http://registry.example", false),
        ("http://10.0.0.1", false),
        ("http://[fe80::1]", false),
        ("http://localhost.example", false),
        ("http://127.0.0.1.example", false),
    ] {
        assert_eq!(made(url, None), allowed, "{url}");
    }
    for (host, allowed) in [("registry.example", true), ("other.example", false), ("example", false)] {
        assert_eq!(made("http://registry.example:5000", Some(host)), allowed, "{host}");
    }
    assert!(made("https://registry.example", Some("other.example")));
}

/// A registry with a certificate of its own authority: the authority in PEM, and where it is.
async fn of_an_own_authority() -> (String, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    (certified.cert.pem(), url)
}

#[tokio::test]
async fn trusts_a_registry_of_an_own_authority_only_where_told() {
    let (authority, url) = of_an_own_authority().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority).unwrap();
    let parsed = certificates_parsed();
    let public = client(&url);
    assert_eq!(certificates_parsed(), parsed, "the public authorities need no parsing");
    let answer = public.start(&path(), Step::Pre, attempt(), deadline()).await;
    assert_eq!(answer, StartAnswer::NotSent { reason: "no connection".to_owned() });

    let authorities = Some(file.path().to_owned());
    let trusting = RegistryClient::new(RegistryClientConfig { authorities, ..config(&url) }).unwrap();
    let answer = trusting.start(&path(), Step::Pre, attempt(), deadline()).await;
    assert_eq!(answer, StartAnswer::Accepted);

    let authorities = Some("/nowhere/ca.pem".into());
    let error = RegistryClient::new(RegistryClientConfig { authorities, ..config(&url) }).unwrap_err();
    assert!(
        error.to_string().starts_with("REGISTRY_CA_FILE: the certificates in /nowhere/ca.pem"),
        "{error}"
    );
}

/// The kernel's own view of the open connections to a port: the timer that runs, and when it ends.
#[cfg(target_os = "linux")]
fn timers(port: u16) -> Vec<(u8, u64)> {
    const ESTABLISHED: &str = "01";
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let to = u16::from_str_radix(words.get(2)?.rsplit_once(':')?.1, 16).ok()?;
        let (timer, when) = words.get(5)?.split_once(':')?;
        let timer = (u8::from_str_radix(timer, 16).ok()?, u64::from_str_radix(when, 16).ok()?);
        // One that was closed waits for another minute, perhaps of an earlier server that had the same port.
        (to == port && words.get(3) == Some(&ESTABLISHED)).then_some(timer)
    };
    std::fs::read_to_string("/proc/self/net/tcp").unwrap().lines().filter_map(of).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn asks_a_silent_registry_below_http_whether_it_is_there() {
    let server = ScriptedServer::start([Reply::answer(202, "")]).await;
    let client = client(&server.url());
    client.start(&path(), Step::Pre, attempt(), deadline()).await;
    let port = server.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let [(timer, ends)] = timers(port)[..] else { panic!("one connection is kept: {:?}", timers(port)) };
    // 2 is the timer of keep-alive; the kernel counts in hundredths of a second.
    assert_eq!(timer, 2);
    assert!(ends <= 100, "it asks within a second: {ends}");
}

#[derive(Debug)]
struct Keys(Mutex<VecDeque<Result<String, String>>>);

#[async_trait]
impl KeySource for Keys {
    async fn read_key(&self) -> Result<SecretString, String> {
        self.0.lock().unwrap().pop_front().expect("a key in the script").map(SecretString::from)
    }
}

#[tokio::test]
async fn reads_a_later_key_when_the_registry_is_first_called() {
    let log = Capture::begin("registry-notification", "info".parse().unwrap());
    let server = ScriptedServer::start([Reply::answer(202, "")]).await;
    let script = [Err("not there".to_owned()), Ok("hidden".to_owned()), Ok(KEYS.0.clone())];
    let keys = Arc::new(Keys(Mutex::new(script.into())));
    let signing_key = SigningKey::Later(keys.clone());
    let later = RegistryClient::new(RegistryClientConfig { signing_key, ..config(&server.url()) });
    let client = later.unwrap();
    assert_eq!(keys.0.lock().unwrap().len(), 3, "nothing is read at the start");
    for reason in [
        "the signing key cannot be read: not there",
        "the signing key is not an RSA private key in PEM: it is no PEM",
    ] {
        let answer = client.start(&path(), Step::Pre, attempt(), deadline()).await;
        assert_eq!(answer, StartAnswer::NotSent { reason: "no token can be signed".to_owned() });
        let line = log.lines().pop().unwrap();
        assert_eq!((&line["counter"], &line["error"]), (&"secret_unread".into(), &reason.into()), "{line}");
    }
    for _ in 0..2 {
        let answer = client.start(&path(), Step::Pre, attempt(), deadline()).await;
        assert_eq!(answer, StartAnswer::Accepted, "the key is read once it is there, and kept");
    }
    assert_eq!(server.received().len(), 2);
    assert!(!log.text().contains("hidden"));
}

#[test]
fn refuses_a_useless_configuration_and_hides_the_key() {
    for url in [
        "ftp://127.0.0.1",
        "http://user:word@127.0.0.1",
        "http://127.0.0.1/?a=b",
        "http://127.0.0.1/#a",
        "data:x",
    ] {
        let refused = RegistryClient::new(config(url));
        assert!(matches!(refused, Err(RegistryConfigError::Url)), "{url}");
    }
    for key in ["", "hidden", "-----BEGIN PRIVATE KEY-----\naGlkZGVu\n-----END PRIVATE KEY-----\n"] {
        let mut config = config("http://127.0.0.1");
        config.signing_key = SigningKey::Given(key.to_owned().into());
        assert!(!format!("{config:?}").contains("hidden"));
        let refused = RegistryClient::new(config);
        let error = refused.expect_err("a key that is none");
        assert!(matches!(error, RegistryConfigError::SigningKey(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("hidden"));
    }
}
