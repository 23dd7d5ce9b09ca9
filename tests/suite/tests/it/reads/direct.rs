//! A reader over TCP: who it trusts, what it leaves behind, and what becomes of its connection.

use std::time::Duration;

use direct_endpoint::{Access, Direct, Server};
use futures::future::join_all;
use local::{
    READER_SECRET_ARN, Stack, StackOptions, Topology, WRITER_SECRET_ARN,
    postgres_pair::proxy::{Proxy, Way},
};
use serde_json::Value;
use shared::endpoint::{Call, EndpointError, ErrorClass, Execution, Reader, Statement, Transport, Writer};
use suite::{options, primary, server, until};
use tokio::time::{Instant, timeout_at};

/// Everything but functions.
pub async fn databases() -> Stack {
    let options = StackOptions { functions: Vec::new(), topology: Topology::DirectReader, ..options() };
    Stack::start(options).await.unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn writer(server: Server) -> Writer {
    Writer::new(Direct::new(server, Access::ReadWrite).unwrap())
}

fn reader(server: Server) -> Reader {
    Reader::new(Direct::new(server, Access::ReadOnly).unwrap())
}

const ONE: &str = "SELECT '1'";
const BACKEND: &str = "SELECT pg_backend_pid()::text";

async fn one(server: Server) -> Result<Vec<i64>, EndpointError> {
    reader(server).fetch(Statement::read("one", ONE), soon()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_wrong_name_authority_or_password() {
    let stack = databases().await;
    let port = stack.pair().reader().port;
    let right = || server(&stack, port, READER_SECRET_ARN).unwrap();
    assert_eq!(one(right()).await.unwrap(), [1]);

    // The certificate is for localhost, and the address is another name.
    let other_name = one(Server { host: "127.0.0.1".to_owned(), ..right() }).await.unwrap_err();
    let other = databases().await;
    let other_authority =
        one(Server { certificates: other.pair().certificates(), ..right() }).await.unwrap_err();
    stack.secrets().put(READER_SECRET_ARN, r#"{"username":"migration_reader","password":"hunter2"}"#);
    let other_password = one(right()).await.unwrap_err();
    for (error, code) in [(other_name, None), (other_authority, None), (other_password, Some("28P01"))] {
        assert_eq!(
            (error.outcome(), error.class()),
            (Execution::DidNotRun, ErrorClass::Misconfigured),
            "{error}"
        );
        assert_eq!(error.failure.sql_state.map(|state| state.to_string()).as_deref(), code);
        assert_eq!(error.attempts, 1, "it is not tried again");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    // A rotation needs no restart: the secret is read for every connection.
    stack.secrets().put(READER_SECRET_ARN, r#"{"username":"migration_reader","password":"local"}"#);
    assert_eq!(one(right()).await.unwrap(), [1]);

    // A server without TLS is not spoken to, whatever it would say.
    let superuser = stack.pair().reader().connect().await.unwrap();
    superuser.batch_execute("ALTER SYSTEM SET ssl = off").await.unwrap();
    superuser.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    until("the server offers no TLS", || async {
        let error = one(right()).await.err();
        Ok(error.is_some_and(|error| error.class() == ErrorClass::Misconfigured))
    })
    .await
    .unwrap();
    other.stop().await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_no_session_state_and_writes_nothing() {
    let stack = databases().await;
    // The primary, and the role that may write: nothing but the transaction keeps it from writing.
    let primary_server = || server(&stack, stack.pair().writer().port, WRITER_SECRET_ARN).unwrap();
    let write = "UPDATE replica_mark SET mark = mark + 1 RETURNING mark::text";
    let refused = reader(primary_server()).fetch::<i64>(Statement::read("write", write), soon()).await;
    assert_eq!(refused.unwrap_err().class(), ErrorClass::ReadOnly);
    let writer = writer(primary_server());
    let marks: Vec<i64> = writer.fetch(Statement::write_once("write", write), soon()).await.unwrap();
    assert_eq!(marks, [1]);

    let state = "SELECT jsonb_build_object('prepared', (SELECT count(*) FROM pg_prepared_statements),
        'timeout', (SELECT reset_val FROM pg_settings WHERE name = 'statement_timeout'),
        'session', (SELECT count(*) FROM pg_settings WHERE source = 'session' AND name <> ALL
            (ARRAY['statement_timeout', 'TimeZone', 'transaction_read_only', 'transaction_isolation',
                'transaction_deferrable', 'search_path'])))::text";
    let left: Vec<Value> = writer.fetch(Statement::read("state", state), soon()).await.unwrap();
    assert_eq!(left[0]["prepared"], 0, "{left:?}");
    assert_eq!((left[0]["timeout"].as_str(), left[0]["session"].as_i64()), (Some("0"), Some(0)), "{left:?}");

    // Everything at once still is one connection, one statement after the other.
    let all = join_all((0..8).map(|_| writer.fetch::<i64, _>(Statement::read("pid", BACKEND), soon()))).await;
    let pids: std::collections::BTreeSet<i64> = all.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(pids.len(), 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_gives_a_statement_up_before_the_deadline() {
    let stack = databases().await;
    let server = server(&stack, stack.pair().writer().port, WRITER_SECRET_ARN).unwrap();
    let direct = Direct::new(server, Access::ReadWrite).unwrap();
    let call = |sql| Call { name: "call", sql, parameters: &[] };
    direct.execute(call(ONE), soon()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    let failure = direct.execute(call("SELECT pg_sleep(30)::text"), deadline).await.unwrap_err();
    assert_eq!((failure.outcome, failure.class), (Execution::RanAndFailed, ErrorClass::Timeout), "{failure}");
    assert!(Instant::now() < deadline, "the server is the first to give up");
    let running =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active'
        AND pid <> pg_backend_pid()";
    let running: i64 = primary(&stack).await.unwrap().query_one(running, &[]).await.unwrap().get(0);
    assert_eq!(running, 0);
    // The connection has survived.
    assert_eq!(direct.execute(call(ONE), soon()).await.unwrap(), ["1"]);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_lost_while_nobody_looked_is_replaced() {
    let stack = databases().await;
    let proxy = Proxy::start(stack.pair().reader().port).await.unwrap();
    let reader = reader(server(&stack, proxy.port(), READER_SECRET_ARN).unwrap());
    let direct =
        Direct::new(server(&stack, proxy.port(), READER_SECRET_ARN).unwrap(), Access::ReadOnly).unwrap();
    let ample = || Instant::now() + Duration::from_secs(30);
    // A single sending: nobody is to spend another on a connection that is gone.
    let pid = async || {
        let call = Call { name: "pid", sql: BACKEND, parameters: &[] };
        let pids =
            timeout_at(ample(), direct.execute(call, ample())).await.expect("an answer in time").unwrap();
        pids[0].parse::<i64>().unwrap()
    };
    // After that time a connection is asked before it is used. A shorter one would race with the news of its end.
    let rest = async || tokio::time::sleep(Duration::from_millis(1100)).await;
    let first = pid().await;
    assert_eq!(pid().await, first);
    rest().await;
    assert_eq!(pid().await, first);

    // Closed by the other side.
    let superuser = stack.pair().reader().connect().await.unwrap();
    let end = i32::try_from(first).unwrap();
    superuser.execute("SELECT pg_terminate_backend($1, 5000)", &[&end]).await.unwrap();
    rest().await;
    let second = pid().await;
    assert_ne!(second, first);

    // Forgotten by what stands between: only asking shows it.
    rest().await;
    proxy.forget();
    let third = pid().await;
    assert_ne!(third, second);
    // Silent under a statement that answers within milliseconds: it is sent again on another connection.
    let at_once: Vec<i64> = reader.fetch(Statement::read("pid", BACKEND).brief(), ample()).await.unwrap();
    proxy.forget();
    let again = Statement::read("pid", BACKEND).brief();
    let late: Vec<i64> = reader.fetch(again, ample()).await.unwrap();
    assert_ne!(late, at_once);
    // Refused, and there again.
    proxy.go(Way::Down).await.unwrap();
    let down = reader.fetch::<i64>(Statement::read("pid", BACKEND), ample()).await.unwrap_err();
    // The first sending may have gone out on the connection that was just lost.
    assert_eq!(down.class(), ErrorClass::Unavailable, "{down}");
    assert_ne!(down.outcome(), Execution::RanAndFailed, "{down}");
    proxy.go(Way::Open).await.unwrap();
    rest().await;
    assert_ne!(pid().await, third);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replaces_a_session_that_failed_to_commit() {
    let stack = databases().await;
    let proxy = Proxy::start(stack.pair().writer().port).await.unwrap();
    let server = server(&stack, proxy.port(), WRITER_SECRET_ARN).unwrap();
    let direct = Direct::new(server, Access::ReadWrite).unwrap();
    let execute = async |sql| {
        let call = Call { name: "call", sql, parameters: &[] };
        timeout_at(soon(), direct.execute(call, soon())).await.expect("an answer in time")
    };
    let superuser = primary(&stack).await.unwrap();
    let table = "CREATE TABLE late (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO late VALUES (1); GRANT SELECT, INSERT ON late TO migration_driver";
    superuser.batch_execute(table).await.unwrap();

    // The rows are there before the constraint is looked at.
    let failure = execute("INSERT INTO late VALUES (1) RETURNING n::text").await.unwrap_err();
    assert_eq!(
        (failure.outcome, failure.class),
        (Execution::RanAndFailed, ErrorClass::Constraint),
        "{failure}"
    );
    let before = execute(BACKEND).await.unwrap();

    let ended = async {
        until("the statement runs", || async {
            let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()";
            Ok(superuser.query_one(end, &[]).await?.get::<_, i64>(0) == 1)
        })
        .await
        .unwrap();
    };
    let (failure, ()) = tokio::join!(execute("SELECT pg_sleep(60)::text"), ended);
    let failure = failure.unwrap_err();
    assert_eq!(
        (failure.outcome, failure.class),
        (Execution::Unknown, ErrorClass::ConnectionLost),
        "{failure}"
    );
    assert_eq!(failure.sql_state.map(|state| state.to_string()).as_deref(), Some("57P01"));
    assert_ne!(execute(BACKEND).await.unwrap(), before);

    // An answer that breaks off is none, and nobody knows what became of its statement.
    proxy.go(Way::CutAfter(2000)).await.unwrap();
    let failure = execute("SELECT repeat('x', 100) FROM generate_series(1, 1000)").await.unwrap_err();
    assert_eq!(
        (failure.outcome, failure.class),
        (Execution::Unknown, ErrorClass::ConnectionLost),
        "{failure}"
    );
    stack.stop().await.unwrap();
}
