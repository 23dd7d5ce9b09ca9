use std::time::Duration;

use aws_sdk_rdsdata::{error::SdkError, operation::execute_statement::ExecuteStatementError};
use aws_smithy_runtime_api::client::result::ConnectorError;
use serde_json::json;
use tokio::time::Instant;

use super::data_api::data_api;
use crate::endpoint::{
    Call, EndpointError, ErrorClass, Execution, Failure, SqlState, Statement, Transport, Value, Writer,
    data_api_error::failure_of,
    scripted_server::{Reply, ScriptedServer},
};

use ErrorClass::{
    Conflict, ConnectionLost, Constraint, Defect, Misconfigured, ReadOnly, Resuming, Throttled, Timeout,
    Unavailable, Undecodable,
};
use Execution::{DidNotRun, RanAndFailed, Unknown};

/// An error as the Data API sends it: the name in a header, the message in the body.
pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::answer(status, json!({ "message": message }).to_string()).with("x-amzn-ErrorType", code)
}

/// What the transport makes of one answer; the server must have been asked exactly once.
async fn failure(reply: Reply) -> Failure {
    let server = ScriptedServer::start([reply]).await;
    let call = Call { name: "change", sql: "UPDATE x", parameters: &[] };
    let failure =
        data_api(&server.url()).execute(call, Instant::now() + Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(server.received().len(), 1, "the SDK must not repeat anything by itself: {failure}");
    failure
}

#[tokio::test]
async fn every_error_of_the_data_api_has_its_class_and_outcome() {
    for (status, code, outcome, class) in [
        (400, "DatabaseResumingException", DidNotRun, Resuming),
        (400, "StatementTimeoutException", Unknown, Timeout),
        (400, "BadRequestException", Unknown, Defect),
        (400, "ValidationException", DidNotRun, Defect),
        (404, "TransactionNotFoundException", DidNotRun, Defect),
        (404, "NotFoundException", Unknown, Defect),
        (404, "DatabaseNotFoundException", DidNotRun, Misconfigured),
        (400, "HttpEndpointNotEnabledException", DidNotRun, Misconfigured),
        (400, "InvalidSecretException", DidNotRun, Misconfigured),
        (400, "SecretsErrorException", DidNotRun, Unavailable),
        (400, "InvalidSignatureException", DidNotRun, Misconfigured),
        (403, "SignatureDoesNotMatch", DidNotRun, Misconfigured),
        (403, "RequestTimeTooSkewed", DidNotRun, Unavailable),
        (400, "RequestExpired", DidNotRun, Unavailable),
        (400, "RequestInTheFuture", DidNotRun, Unavailable),
        (400, "ThrottledException", DidNotRun, Throttled),
        (400, "RequestThrottled", DidNotRun, Throttled),
        (400, "RequestThrottledException", DidNotRun, Throttled),
        (400, "RequestLimitExceeded", DidNotRun, Throttled),
        (400, "TooManyRequestsException", DidNotRun, Throttled),
        (400, "LimitExceededException", DidNotRun, Throttled),
        (400, "PriorRequestNotComplete", DidNotRun, Throttled),
        (503, "SlowDown", DidNotRun, Throttled),
        (400, "RequestTimeout", Unknown, Timeout),
        (400, "RequestTimeoutException", Unknown, Timeout),
        (403, "AccessDeniedException", DidNotRun, Misconfigured),
        (403, "ForbiddenException", DidNotRun, Misconfigured),
        (403, "UnrecognizedClientException", DidNotRun, Misconfigured),
        (403, "ExpiredTokenException", DidNotRun, Misconfigured),
        (400, "InvalidResourceStateException", DidNotRun, Unavailable),
        (504, "DatabaseUnavailableException", Unknown, Unavailable),
        (400, "DatabaseUnavailableException", Unknown, Unavailable),
        (500, "InternalServerErrorException", Unknown, Unavailable),
        (503, "ServiceUnavailableError", Unknown, Unavailable),
        (500, "SomethingNew", Unknown, Unavailable),
        (502, "SomethingNew", Unknown, Unavailable),
        (400, "ThrottlingException", DidNotRun, Throttled),
        (429, "SomethingNew", DidNotRun, Throttled),
        (400, "UnsupportedResultException", Unknown, Undecodable),
        (400, "SomethingNew", Unknown, Defect),
    ] {
        let failure = failure(error(status, code, "some message")).await;
        assert_eq!((failure.outcome, failure.class), (outcome, class), "{status} {code}");
        assert_eq!(failure.code.as_deref(), Some(code), "{status}");
    }
}

#[test]
fn tells_what_the_sdk_could_not_send_from_what_took_too_long() {
    type Error = SdkError<ExecuteStatementError>;
    for (error, outcome, class) in [
        (Error::construction_failure("a header cannot be built"), DidNotRun, Misconfigured),
        (Error::timeout_error("the time for all sendings is up"), Unknown, Timeout),
        (
            Error::dispatch_failure(ConnectorError::other("no credentials".into(), None)),
            DidNotRun,
            Misconfigured,
        ),
        (Error::dispatch_failure(ConnectorError::io("reset".into())), Unknown, Unavailable),
    ] {
        let failure = failure_of(&error);
        assert_eq!((failure.outcome, failure.class), (outcome, class), "{error}");
    }
}

#[tokio::test]
async fn an_error_named_in_the_body_is_recognised_too() {
    let body = json!({ "__type": "com.amazonaws.rdsdata#ThrottlingException", "message": "slow down" });
    let failure = failure(Reply::answer(400, body.to_string())).await;
    assert_eq!((failure.outcome, failure.class), (DidNotRun, Throttled));
}

#[tokio::test]
async fn a_database_error_is_classed_by_its_sqlstate() {
    for (state, outcome, class) in [
        ("40001", RanAndFailed, Conflict),
        ("40P01", RanAndFailed, Conflict),
        ("55P03", RanAndFailed, Conflict),
        ("25006", RanAndFailed, ReadOnly),
        ("57014", RanAndFailed, Timeout),
        ("25P03", RanAndFailed, ConnectionLost),
        ("25P04", RanAndFailed, ConnectionLost),
        ("25P02", RanAndFailed, Defect),
        ("58000", Unknown, Unavailable),
        ("58030", Unknown, Unavailable),
        ("XX000", Unknown, Unavailable),
        ("XX002", Unknown, Unavailable),
        ("57P05", Unknown, ConnectionLost),
        ("40003", Unknown, ConnectionLost),
        ("57P01", Unknown, ConnectionLost),
        ("57P02", Unknown, ConnectionLost),
        ("57P03", DidNotRun, ConnectionLost),
        ("08006", Unknown, ConnectionLost),
        ("08001", DidNotRun, ConnectionLost),
        ("08P01", RanAndFailed, Defect),
        ("53300", DidNotRun, Unavailable),
        ("53200", RanAndFailed, Unavailable),
        ("28P01", DidNotRun, Misconfigured),
        ("3D000", DidNotRun, Misconfigured),
        ("42501", RanAndFailed, Misconfigured),
        ("23505", RanAndFailed, Constraint),
        ("23514", RanAndFailed, Constraint),
        ("42883", RanAndFailed, Defect),
        ("22P02", RanAndFailed, Defect),
    ] {
        for message in [
            format!("ERROR: something; SQLState: {state}"),
            format!("ERROR: something; Hint: Another thing.; Position: 17; SQLState: {state}"),
        ] {
            let failure = failure(error(400, "DatabaseErrorException", &message)).await;
            assert_eq!((failure.outcome, failure.class), (outcome, class), "{message}");
            assert_eq!(failure.sql_state, SqlState::parse(state), "{message}");
        }
    }
    let unnamed = failure(error(400, "DatabaseErrorException", "Transaction is still running a query")).await;
    assert_eq!((unnamed.outcome, unnamed.class, unnamed.sql_state), (RanAndFailed, Defect, None));
}

#[tokio::test]
async fn tells_a_signature_that_came_too_late_from_a_wrong_one() {
    for (message, class) in [
        ("Signature expired: 20261126T020000Z is now earlier than 20261126T020500Z", Unavailable),
        ("Signature not yet current: 20261126T021000Z is still later than 20261126T020500Z", Unavailable),
        ("The request signature we calculated does not match the signature you provided.", Misconfigured),
    ] {
        for code in ["InvalidSignatureException", "SignatureDoesNotMatch"] {
            let failure = failure(error(403, code, message)).await;
            assert_eq!((failure.outcome, failure.class), (DidNotRun, class), "{code}: {message}");
        }
    }
}

#[tokio::test]
async fn a_bad_request_is_classed_by_its_message() {
    for (message, outcome, class) in [
        ("Communications link failure", Unknown, ConnectionLost),
        ("Statement timed out", Unknown, Timeout),
        ("ERROR: could not serialize access; SQLState: 40001", RanAndFailed, Conflict),
        ("Database returned more than the allowed response size limit", Unknown, Defect),
    ] {
        let failure = failure(error(400, "BadRequestException", message)).await;
        assert_eq!((failure.outcome, failure.class), (outcome, class), "{message}");
    }
}

#[test]
fn what_is_a_503_and_what_is_a_500() {
    let is_unavailable = |class| {
        let failure = Failure::new(DidNotRun, class);
        EndpointError { endpoint: "writer", statement: "change", attempts: 1, failure }.is_unavailable()
    };
    for class in [Resuming, Throttled, Unavailable, Timeout, ConnectionLost, Conflict, ReadOnly] {
        assert!(is_unavailable(class), "{class}");
    }
    for class in [Misconfigured, Constraint, Defect, Undecodable] {
        assert!(!is_unavailable(class), "{class}");
    }
    assert!(!ReadOnly.is_transient(), "a reader in the writer's place is not waited for");
}

#[tokio::test]
async fn an_errors_text_says_what_is_needed_and_shows_no_value() {
    let message = "ERROR: duplicate key value violates unique constraint \"container_repositories_path_key\"\n  \
                   Detail: Key (path)=(group/hidden) already exists.; SQLState: 23505";
    let server = ScriptedServer::start([error(400, "DatabaseErrorException", message)]).await;
    let writer = Writer::new(data_api(&server.url()));
    let statement = Statement::write_once("register", "INSERT").bind("path", "group/hidden").bind("n", 815);
    assert_eq!(format!("{statement:?}"), r#"Statement { name: "register", .. }"#);
    assert_eq!(format!("{:?}", statement.parameters()[0].1), "Text(..)");

    let deadline = Instant::now() + Duration::from_secs(10);
    let error = writer.fetch::<bool, _>(statement, deadline).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "register at the writer: refused by a constraint, ran and failed, DatabaseErrorException, SQLSTATE \
         23505: constraint container_repositories_path_key (sent 1x)"
    );
    assert!(!format!("{error:?}").contains("hidden"));
}

#[tokio::test]
async fn messages_that_quote_values_are_not_kept() {
    for (code, message) in [
        ("DatabaseErrorException", "ERROR: invalid input syntax for type uuid: \"hidden\"; SQLState: 22P02"),
        ("DatabaseErrorException", "hidden"),
        ("BadRequestException", "hidden"),
        ("InvalidSecretException", "hidden"),
        ("InternalServerErrorException", "hidden"),
        ("SomethingNew", "hidden"),
    ] {
        let failure = failure(error(400, code, message)).await;
        assert!(!format!("{failure} {failure:?}").contains("hidden"), "{failure:?}");
    }
}

#[tokio::test]
async fn keeps_who_may_not_do_what() {
    let message = "User: arn:aws:sts::123456789012:assumed-role/enqueue/enqueue is not authorized to perform: \
                   rds-data:ExecuteStatement on resource: arn:aws:rds:eu-central-1:123456789012:cluster:one";
    let failure = failure(error(403, "AccessDeniedException", message)).await;
    assert_eq!(failure.to_string(), format!("misconfigured, did not run, AccessDeniedException: {message}"));
}

#[tokio::test]
async fn a_defective_statement_shows_what_is_wrong_with_its_text() {
    let message = "ERROR: operator does not exist: uuid = text\n  Position: 20; SQLState: 42883";
    let failure = failure(error(400, "DatabaseErrorException", message)).await;
    assert!(failure.to_string().contains("operator does not exist: uuid = text"), "{failure}");
}

#[test]
fn an_sqlstate_is_five_upper_case_letters_and_digits() {
    let state = SqlState::parse("40P01").unwrap();
    assert_eq!(format!("{state} {state:?}"), "40P01 40P01");
    for text in ["", "4000", "400011", "4000a", "40 01", "4000é"] {
        assert_eq!(SqlState::parse(text), None, "{text}");
    }
}

#[test]
fn a_value_never_shows_itself() {
    for value in [Value::from("hidden"), Value::from(815_i64), Value::from(true), Value::Null] {
        let text = format!("{value:?}");
        assert!(!text.contains("hidden") && !text.contains("815") && !text.contains("true"), "{text}");
    }
}
