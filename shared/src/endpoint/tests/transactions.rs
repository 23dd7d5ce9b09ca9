use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_rdsdata::config::{Credentials, SharedCredentialsProvider};
use serde_json::json;
use tokio::time::Instant;

use crate::endpoint::{
    EndpointConfig, Execution, Statement, Transactions,
    scripted_server::{Reply, ScriptedServer},
};

fn transactions(server: &ScriptedServer) -> Transactions {
    let credentials = Credentials::new("id", "key", None, None, "test");
    let sdk = SdkConfig::builder()
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    Transactions::new(
        &sdk,
        EndpointConfig {
            arn: "arn:aws:rds:eu-central-1:123456789012:cluster:writer".to_owned(),
            secret_arn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:writer".to_owned(),
            database: "migrations".to_owned(),
            endpoint_url: Some(server.url()),
        },
    )
}

fn begun() -> Reply {
    Reply::answer(200, json!({ "transactionId": "tx" }).to_string())
}

fn done() -> Reply {
    Reply::answer(200, json!({ "numberOfRecordsUpdated": 1 }).to_string())
}

fn ended() -> Reply {
    Reply::answer(200, json!({ "transactionStatus": "Transaction Committed" }).to_string())
}

fn failed(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "__type": code, "message": message }).to_string();
    Reply::answer(status, body).with("x-amzn-errortype", code)
}

#[tokio::test]
async fn commits_a_transaction_whose_statements_all_ran() {
    let server = ScriptedServer::start([begun(), done(), done(), ended()]).await;
    let (transactions, deadline) = (transactions(&server), Instant::now() + Duration::from_secs(10));
    let transaction = transactions.begin(deadline).await.unwrap();
    for _ in 0..2 {
        transaction.run(&Statement::write_once("change", "UPDATE x"), deadline).await.unwrap();
    }
    transaction.commit(deadline).await.unwrap();
    let asked: Vec<String> = server.received().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/BeginTransaction", "/Execute", "/Execute", "/CommitTransaction"]);
}

#[tokio::test]
async fn never_commits_a_transaction_after_a_failure() {
    let refused = failed(400, "DatabaseErrorException", "ERROR: division by zero; SQLState: 22012");
    let unknown = failed(504, "DatabaseUnavailableException", "gone");
    for reply in [refused, unknown, Reply::Cut] {
        let server = ScriptedServer::start([begun(), reply, done(), ended()]).await;
        let (transactions, deadline) = (transactions(&server), Instant::now() + Duration::from_secs(10));
        let transaction = transactions.begin(deadline).await.unwrap();
        let statement = Statement::write_once("change", "UPDATE x");
        transaction.run(&statement, deadline).await.unwrap_err();
        // Whatever a later one says: the service may have recovered from it, and nobody here would know.
        transaction.run(&statement, deadline).await.unwrap();
        let failure = transaction.commit(deadline).await.unwrap_err();
        assert_eq!(failure.outcome, Execution::DidNotRun, "{failure}");
        transaction.roll_back(deadline).await.unwrap();
        let asked: Vec<String> = server.received().into_iter().map(|request| request.target).collect();
        assert_eq!(asked, ["/BeginTransaction", "/Execute", "/Execute", "/RollbackTransaction"]);
    }
}

#[tokio::test]
async fn never_commits_a_transaction_with_a_call_given_up() {
    let server = ScriptedServer::start([begun(), Reply::Hang]).await;
    let (transactions, deadline) = (transactions(&server), Instant::now() + Duration::from_secs(10));
    let transaction = transactions.begin(deadline).await.unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    transaction.run(&Statement::write_once("change", "UPDATE x"), soon).await.unwrap_err();
    assert_eq!(transaction.commit(deadline).await.unwrap_err().outcome, Execution::DidNotRun);
    assert_eq!(server.received().len(), 2);
}
