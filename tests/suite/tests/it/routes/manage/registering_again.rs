//! Registrations whose outcome nobody knows, sent again by the endpoint.

use std::time::Duration;

use local::{
    Stack,
    local_data_api::{Effect, Fault, When},
};
use serde_json::{Value, json};
use shared::{
    endpoint::Manage,
    store::{Registration, Store},
};
use suite::{given, primary, sql, until, writer};
use tokio::time::Instant;
use uuid::Uuid;

use super::{post, stack};

const STATEMENT: &str = "AS g (path text, tags_count";

fn list(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "path": format!("group/{name}") })).collect()
}

fn registered(reply: &(u16, Value)) -> (u16, &Value, &Value) {
    (reply.0, &reply.1["registered"], &reply.1["existing"])
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_a_registration_whose_answer_was_lost() {
    let stack = stack().await;
    given(&stack, "group/there", "importing", None).await.unwrap();
    for when in [When::Before, When::After] {
        let names = [format!("{when:?}-a").to_lowercase(), format!("{when:?}-b").to_lowercase()];
        stack.data_api().inject(Fault::new(Effect::Cut { when }).sql_contains(STATEMENT).times(1));

        let reply = post(&stack, "/repositories", list(&[&names[0], "there", &names[1]])).await;

        assert_eq!(registered(&reply), (200, &json!(2), &json!(1)), "{when:?}: {reply:?}");
        let again = post(&stack, "/repositories", list(&[&names[0], "there", &names[1]])).await;
        assert_eq!(registered(&again), (200, &json!(0), &json!(3)), "asked anew: {again:?}");
    }
    let calls = stack.data_api().journal().into_iter();
    let sent = calls.filter(|call| call.sql.as_deref().is_some_and(|sql| sql.contains(STATEMENT)));
    assert_eq!(sent.count(), 6, "each lost answer was made good by one more call");
    stack.stop().await.unwrap();
}

/// How many sessions wait for a lock.
async fn waiting(stack: &Stack) -> i64 {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    primary(stack).await.unwrap().query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_the_same_when_sent_again_while_it_runs() {
    let stack = stack().await;
    let list: Vec<Registration> = ["group/a", "group/b", "group/z"]
        .map(|path| Registration { path: path.parse().unwrap(), tags_count: None, plan: None, priority: 0 })
        .into();
    let store = Store::<Manage>::new(writer(&stack));
    let registration = Uuid::new_v4();
    let send = || {
        let (store, list) = (store.clone(), list.clone());
        let deadline = Instant::now() + Duration::from_secs(20);
        tokio::spawn(async move { store.register(&list, registration, deadline).await.unwrap() })
    };
    // Whoever registers the last of the paths waits for this one, which thinks better of it.
    let mut holder = primary(&stack).await.unwrap();
    let other = holder.transaction().await.unwrap();
    other.batch_execute("INSERT INTO container_repositories (path) VALUES ('group/z')").await.unwrap();

    let first = send();
    until("the first sending waits", || async { Ok(waiting(&stack).await == 1) }).await.unwrap();
    let second = send();
    until("the second waits for the first", || async { Ok(waiting(&stack).await == 2) }).await.unwrap();
    other.rollback().await.unwrap();

    assert_eq!((first.await.unwrap(), second.await.unwrap()), (3, 3));
    sql(
        &stack,
        "UPDATE container_repositories SET migration_state = 'import_skipped', skipped_at = now(),
            skipped_reason = 2, version = version + 1, change = gen_random_uuid() WHERE path = 'group/b'",
    )
    .await
    .unwrap();
    assert_eq!(send().await.unwrap(), 3, "one has moved on meanwhile");
    let versions = "SELECT array_agg(version % 1048576 ORDER BY path) FROM container_repositories";
    let versions = primary(&stack).await.unwrap().query_one(versions, &[]).await.unwrap();
    assert_eq!(versions.get::<_, Vec<i64>>(0), [0, 1, 0], "the rows stay as they are");
    stack.stop().await.unwrap();
}
