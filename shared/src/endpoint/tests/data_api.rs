use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_rdsdata::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value as Json, json};
use tokio::{net::TcpListener, time::Instant};
use uuid::Uuid;

use crate::connections::TO_CONNECT;
use crate::endpoint::{
    Call, DataApi, EndpointConfig, EndpointError, ErrorClass, Execution, ONE_SENDING, ReadOnlyWriter, Reader,
    Statement, Transport, Writer,
    scripted_server::{Reply, ScriptedServer, refusing_url, within},
};

const ARN: &str = "arn:aws:rds:eu-central-1:123456789012:cluster:writer";
const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:writer";

/// The longest a test may take: far above what it needs.
const LONG: Duration = Duration::from_secs(20);

pub(super) fn data_api(url: &str) -> DataApi {
    let credentials = Credentials::new("id", "key", None, None, "test");
    let sdk = SdkConfig::builder()
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    DataApi::new(&sdk, config(url))
}

fn config(url: &str) -> EndpointConfig {
    EndpointConfig {
        arn: ARN.to_owned(),
        secret_arn: SECRET.to_owned(),
        database: "migrations".to_owned(),
        endpoint_url: Some(url.to_owned()),
    }
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn rows(rows: &[&str]) -> Reply {
    let records: Vec<Json> = rows.iter().map(|row| json!([{ "stringValue": row }])).collect();
    Reply::answer(200, json!({ "numberOfRecordsUpdated": 0, "records": records }).to_string())
}

async fn fetch(server: &ScriptedServer) -> Result<Vec<Json>, EndpointError> {
    let writer = Writer::new(data_api(&server.url()));
    within(LONG, writer.fetch(Statement::write_once("change", "UPDATE x"), deadline())).await
}

#[tokio::test]
async fn sends_arn_secret_database_and_parameters() {
    let server = ScriptedServer::start([rows(&[r#"{"version":7}"#, r#"{"version":8}"#])]).await;
    let id = Uuid::from_u128(1);
    let statement = Statement::read("show", "SELECT :path, :n, :yes, :nothing, :id::uuid")
        .bind("path", "a/b")
        .bind("n", 7_i64)
        .bind("yes", true)
        .bind("nothing", None::<String>)
        .bind("id", Some(id));

    let reader = Reader::new(data_api(&server.url()));
    let found: Vec<Json> = within(LONG, reader.fetch(statement, deadline())).await.unwrap();

    assert_eq!(found, [json!({ "version": 7 }), json!({ "version": 8 })]);
    let [request] = server.received().try_into().unwrap();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/Execute"));
    assert!(request.headers["authorization"].contains("/eu-central-1/rds-data/aws4_request"));
    assert_eq!(
        serde_json::from_str::<Json>(&request.body).unwrap(),
        json!({
            "resourceArn": ARN, "secretArn": SECRET, "database": "migrations",
            "sql": "SELECT :path, :n, :yes, :nothing, :id::uuid",
            "parameters": [
                { "name": "path", "value": { "stringValue": "a/b" } },
                { "name": "n", "value": { "longValue": 7 } },
                { "name": "yes", "value": { "booleanValue": true } },
                { "name": "nothing", "value": { "isNull": true } },
                { "name": "id", "value": { "stringValue": id.to_string() } },
            ],
        })
    );
}

#[tokio::test]
async fn each_endpoint_calls_its_own_address() {
    let (writer, reader) =
        (ScriptedServer::start([rows(&["1"])]).await, ScriptedServer::start([rows(&["2"])]).await);
    let from_writer = Writer::new(data_api(&writer.url()));
    let from_reader = Reader::new(data_api(&reader.url()));
    let escalated = ReadOnlyWriter::new(data_api(&writer.url()));

    let read = || Statement::read("one", "SELECT 1");
    assert_eq!(from_writer.fetch::<u8, _>(read(), deadline()).await.unwrap(), [1]);
    assert_eq!(from_reader.fetch::<u8>(read(), deadline()).await.unwrap(), [2]);
    assert_eq!(escalated.fetch::<u8>(read(), deadline()).await.unwrap(), [1]);
    assert_eq!((writer.received().len(), reader.received().len()), (2, 1));
}

#[tokio::test]
async fn a_statement_without_rows_gives_none() {
    let server = ScriptedServer::start([Reply::answer(200, r#"{"records":[]}"#)]).await;
    assert_eq!(fetch(&server).await.unwrap(), Vec::<Json>::new());
}

#[tokio::test]
async fn takes_no_answer_without_records_for_an_answer() {
    for body in ["", "{}", "[]", "null", r#"{"numberOfRecordsUpdated":3}"#, "<html>Welcome</html>"] {
        let server = ScriptedServer::start([Reply::answer(200, body), rows(&["1"])]).await;
        let error = fetch(&server).await.unwrap_err();
        assert_eq!((error.outcome(), error.class()), (Execution::Unknown, ErrorClass::Unavailable), "{body}");
        let server = ScriptedServer::start([Reply::answer(200, body), rows(&["1"])]).await;
        let reader = Reader::new(data_api(&server.url()));
        let found = within(LONG, reader.fetch::<u8>(Statement::read("one", "SELECT 1"), deadline())).await;
        assert_eq!(found.unwrap(), [1], "{body}: what may be sent again is");
    }
}

/// A kept connection goes silent under a statement, as when a zone is lost: nobody says so.
#[tokio::test]
async fn leaves_a_silent_connection_after_three_seconds() {
    let server = ScriptedServer::start([rows(&["1"]), Reply::Hang, rows(&["2"])]).await;
    let writer = Writer::new(data_api(&server.url()));
    let brief = || Statement::read("brief", "SELECT 1").brief();
    assert_eq!(writer.fetch::<u8, _>(brief(), deadline()).await.unwrap(), [1]);
    // The clock is set forward once the statement has been sent, so that the test does not wait.
    let later = async {
        while server.received().len() < 2 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::advance(ONE_SENDING).await;
        tokio::time::resume();
    };
    let (found, ()) =
        within(LONG, async { tokio::join!(writer.fetch::<u8, _>(brief(), deadline()), later) }).await;
    assert_eq!(found.unwrap(), [2]);
    let connections: Vec<usize> = server.received().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1], "the silent one is not used again");
}

#[tokio::test]
async fn uses_no_kept_connection_once_one_was_silent() {
    let server = ScriptedServer::start([rows(&["1"])]).await;
    let transport = data_api(&server.url());
    let call = || Call { name: "one", sql: "SELECT 1", parameters: &[] };
    for _ in 0..2 {
        transport.execute(call(), deadline()).await.unwrap();
    }
    transport.forget_connections();
    transport.execute(call(), deadline()).await.unwrap();
    let connections: Vec<usize> = server.received().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

/// The SDK signs with the time of each sending: one that came too late is not sent again as it was.
#[tokio::test]
async fn signs_each_sending_anew() {
    let late =
        super::errors::error(403, "InvalidSignatureException", "Signature expired: 20261126T02Z is earlier");
    let server = ScriptedServer::start([late.clone(), rows(&["1"])]).await;
    let writer = Writer::new(data_api(&server.url()));
    let statement = Statement::write_once("change", "UPDATE x");
    // Signatures of the same second are equal.
    let sent = async {
        let transport = data_api(&server.url());
        let call = Call { name: "change", sql: "UPDATE x", parameters: &[] };
        let refused = transport.execute(call, deadline()).await.unwrap_err();
        assert_eq!((refused.outcome, refused.class), (Execution::DidNotRun, ErrorClass::Unavailable));
        tokio::time::sleep(Duration::from_millis(1001)).await;
        writer.fetch::<u8, _>(statement, deadline()).await
    };
    assert_eq!(within(LONG, sent).await.unwrap(), [1]);
    let [first, second] = server.received().try_into().unwrap();
    assert_ne!(first.headers["authorization"], second.headers["authorization"]);
    assert_ne!(first.headers["x-amz-date"], second.headers["x-amz-date"]);
}

#[tokio::test]
async fn names_the_statement_whose_rows_are_not_json_text() {
    for (record, reason) in [
        (json!([{ "longValue": 1 }]), "row 0: the column is not text"),
        (json!([{ "isNull": true }]), "row 0: the column is not text"),
        (json!([{ "stringValue": "1" }, { "stringValue": "2" }]), "row 0: 2 columns instead of one"),
        (json!([]), "row 0: 0 columns instead of one"),
        (json!([{ "stringValue": "{\"version\":" }]), "row 0: version: EOF while parsing"),
        (json!([{ "stringValue": "1 2" }]), "row 0: trailing characters"),
    ] {
        let server =
            ScriptedServer::start([Reply::answer(200, json!({ "records": [record] }).to_string())]).await;
        let error = fetch(&server).await.unwrap_err();
        assert_eq!((error.class(), error.outcome()), (ErrorClass::Undecodable, Execution::Unknown));
        let text = error.to_string();
        assert!(text.starts_with("change at the writer: undecodable rows"), "{text}");
        assert!(text.contains(reason), "{text} lacks {reason}");
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn a_row_of_another_shape_names_the_field_that_is_wrong() {
    #[derive(Debug, serde::Deserialize)]
    struct Row {
        #[serde(rename = "version")]
        _version: u64,
    }
    let server = ScriptedServer::start([rows(&[r#"{"version":1}"#, r#"{"version":"x"}"#])]).await;
    let writer = Writer::new(data_api(&server.url()));
    let error = writer.fetch::<Row, _>(Statement::read("show", "SELECT"), deadline()).await.unwrap_err();
    assert!(error.to_string().contains("row 1: version: invalid type"), "{error}");
}

#[tokio::test]
async fn a_refused_connection_surely_did_not_run() {
    let writer = Writer::new(data_api(&refusing_url().await));
    let soon = Instant::now() + Duration::from_millis(200);
    let fetched = writer.fetch::<Json, _>(Statement::write_once("change", "UPDATE x"), soon);
    let error = within(LONG, fetched).await.unwrap_err();
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Unavailable, Execution::DidNotRun));
    assert!(error.attempts > 1, "a write that surely did not run is sent again: {error}");
    assert!(error.is_unavailable());
}

#[tokio::test]
async fn a_connection_that_is_never_made_surely_did_not_run() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let transport = data_api(&url);
    let call = Call { name: "change", sql: "UPDATE x", parameters: &[] };
    // TLS is never answered. The clock is set forward once it is waited for.
    let later = async {
        let (connection, _) = silent.accept().await.unwrap();
        connection.readable().await.unwrap();
        tokio::time::pause();
        tokio::time::advance(TO_CONNECT).await;
        tokio::time::resume();
        connection
    };
    let (refused, _) = within(LONG, async { tokio::join!(transport.execute(call, deadline()), later) }).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.outcome, refused.class),
        (Execution::DidNotRun, ErrorClass::Unavailable),
        "{refused}"
    );
}

#[tokio::test]
async fn a_write_whose_connection_breaks_off_is_not_sent_again() {
    for reply in [Reply::Cut, Reply::HalfAnswer { status: 200, body: r#"{"records":[]}"# }] {
        let server = ScriptedServer::start([reply.clone()]).await;
        let error = fetch(&server).await.unwrap_err();
        assert_eq!(
            (error.class(), error.outcome()),
            (ErrorClass::Unavailable, Execution::Unknown),
            "{reply:?}"
        );
        assert_eq!((server.received().len(), error.attempts), (1, 1), "{reply:?}");
    }
}

#[tokio::test]
async fn leaves_the_outcome_unknown_after_a_foreign_answer() {
    for (status, body) in [(200, "<html>hello</html>"), (502, "<html>bad gateway</html>"), (200, "[1,")] {
        let server = ScriptedServer::start([Reply::answer(status, body)]).await;
        let error = fetch(&server).await.unwrap_err();
        assert_eq!((error.class(), error.outcome()), (ErrorClass::Unavailable, Execution::Unknown), "{body}");
        assert_eq!(server.received().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn a_hanging_server_is_left_at_the_deadline() {
    let server = ScriptedServer::start([Reply::Hang]).await;
    let reader = Reader::new(data_api(&server.url()));
    let (started, patience) = (Instant::now(), Duration::from_millis(300));
    let fetched = reader.fetch::<Json>(Statement::read("show", "SELECT 1"), started + patience);
    let error = within(LONG, fetched).await.unwrap_err();
    assert_eq!((error.class(), error.outcome()), (ErrorClass::Timeout, Execution::Unknown));
    assert!(started.elapsed() >= patience);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn sends_nothing_without_credentials() {
    let server = ScriptedServer::start([rows(&["1"])]).await;
    let sdk = SdkConfig::builder().region(Region::from_static("eu-central-1")).build();
    let writer = Writer::new(DataApi::new(&sdk, config(&server.url())));
    let fetched = writer.fetch::<Json, _>(Statement::write_once("change", "UPDATE x"), deadline());
    let error = within(LONG, fetched).await.unwrap_err();
    assert_eq!(
        (error.class(), error.outcome()),
        (ErrorClass::Misconfigured, Execution::DidNotRun),
        "{error}"
    );
    assert_eq!((server.received().len(), error.attempts), (0, 1));
}
