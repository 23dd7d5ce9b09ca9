use std::time::Duration;

use tokio::time::Instant;

use super::{data_api::data_api, errors::error};
use crate::{
    endpoint::{
        Statement, Writer,
        scripted_server::{Reply, ScriptedServer},
    },
    telemetry::capture::Capture,
};

#[tokio::test]
async fn every_statement_leaves_one_line_that_shows_no_value() {
    let log = Capture::begin("registry-notification", "trace".parse().unwrap());
    let resuming = error(400, "DatabaseResumingException", "hidden");
    let row = Reply::answer(200, r#"{"records":[[{"stringValue":"\"hidden\""}]]}"#);
    let server = ScriptedServer::start([resuming, row]).await;
    let writer = Writer::new(data_api(&server.url()));
    let statement = Statement::write_once("register", "INSERT").bind("path", "hidden");
    let deadline = Instant::now() + Duration::from_secs(10);
    writer.fetch::<String, _>(statement, deadline).await.unwrap();

    let line = log.line("statement sent");
    assert_eq!(line["level"], "DEBUG");
    assert_eq!((&line["endpoint"], &line["statement"]), (&"writer".into(), &"register".into()));
    assert_eq!(
        (&line["outcome"], &line["rows"], &line["attempts"]),
        (&"answered".into(), &1.into(), &2.into())
    );
    assert!(line["elapsed_ms"].is_u64());
    assert!(!log.text().contains("hidden"), "{}", log.text());
}

#[tokio::test]
async fn a_statement_that_fails_says_why_in_its_line() {
    let log = Capture::begin("registry-notification", "debug".parse().unwrap());
    let denied = "ERROR: permission denied for table x; SQLState: 42501";
    let server = ScriptedServer::start([error(400, "DatabaseErrorException", denied)]).await;
    let writer = Writer::new(data_api(&server.url()));
    let deadline = Instant::now() + Duration::from_secs(10);
    writer.fetch::<String, _>(Statement::write_once("apply", "UPDATE"), deadline).await.unwrap_err();

    let line = log.line("statement sent");
    assert_eq!((&line["outcome"], &line["attempts"]), (&"ran and failed".into(), &1.into()));
    assert!(line["error"].as_str().unwrap().contains("SQLSTATE 42501"), "{line}");
}
