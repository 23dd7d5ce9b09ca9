use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{client, config, deadline, path};
use crate::{
    endpoint::scripted_server::{Reply, ScriptedServer, refusing_url, within},
    migration::{AttemptId, Step},
    registry::{CancelAnswer, ProbeAnswer, RegistryClient, RegistryConfigError, StartAnswer, StatusAnswer},
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
async fn a_start_whose_connection_breaks_off_is_unknown_and_not_sent_again() {
    for reply in [Reply::Cut, Reply::HalfAnswer { status: 404, body: r#"{"errors":[]}"# }] {
        let server = ScriptedServer::start([reply.clone()]).await;
        let start = client(&server.url()).start(&path(), Step::Pre, attempt(), deadline()).await;
        assert!(matches!(start, StartAnswer::Unknown { .. }), "{reply:?}: {start:?}");
        assert_eq!(server.received().len(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn a_hanging_registry_is_left_at_the_deadline_or_the_request_timeout() {
    let server = ScriptedServer::start([Reply::Hang]).await;
    let short = Duration::from_millis(200);
    let patient = client(&server.url());
    let hasty = RegistryClient::new(crate::registry::RegistryConfig {
        request_timeout: short,
        ..config(&server.url())
    })
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
fn a_configuration_that_cannot_work_is_refused_without_showing_the_key() {
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
        config.signing_key_pem = key.to_owned().into();
        assert!(!format!("{config:?}").contains("hidden"));
        let refused = RegistryClient::new(config);
        let error = refused.expect_err("a key that is none");
        assert!(matches!(error, RegistryConfigError::SigningKey), "{error}");
        assert!(!format!("{error} {error:?}").contains("hidden"));
    }
}
