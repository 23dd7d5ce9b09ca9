//! What `GET /migrations/summary` says of a database that is known.

use local::{Function, READER_ARN, Stack, StackOptions};
use reqwest::Method;
use serde_json::{Value, json};
use suite::{data_api_calls, options, sql};

use super::{COUNTS, about, known};

async fn summary(stack: &Stack) -> Value {
    stack.pair().wait_until_replayed().await.unwrap();
    let answer = stack.client().as_operator(Method::GET, "/migrations/summary").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_counts_what_there_is() {
    let functions = vec![Function::MigrationStatus];
    let stack = Stack::start(StackOptions { functions, instances: 1, ..options() }).await.unwrap();
    let empty = summary(&stack).await;
    assert_eq!(empty["states"]["importing"], json!({"count": 0, "oldest_seconds": null}));
    assert_eq!((&empty["left"], empty["seconds_left"].as_f64()), (&json!(0), Some(0.0)));
    let calm = json!({"held_by": null, "until": null, "breaker_open_since": null, "failures_in_a_row": 0});
    assert_eq!(empty["brake"], calm);

    known(&stack).await;
    let before = data_api_calls(&stack);
    let body = summary(&stack).await;
    assert_eq!(data_api_calls(&stack) - before, 1);

    for (state, count) in COUNTS {
        assert_eq!(body["states"][state]["count"], count, "{state}");
        about(&body["states"][state]["oldest_seconds"], f64::from(count) * 3600.0);
    }
    // It lets one start through now, and goes on holding all others back.
    let brake = &body["brake"];
    assert_eq!((&brake["held_by"], &brake["until"]), (&json!("breaker_open"), &Value::Null));
    assert_eq!((&brake["failures_in_a_row"], brake["breaker_open_since"].is_string()), (&json!(2), true));
    assert_eq!(body["slots"], json!({"used": 6, "capacity": 9}));
    assert_eq!(body["retries"], json!({"repositories": 3, "counted": 5}));
    assert_eq!(body["skips"], json!({"too_many_retries": 1, "too_many_tags": 2}));
    assert_eq!(body["stuck"]["count"], 3);
    about(&body["stuck"]["oldest_seconds"], 900.0);
    assert_eq!(body["transitions_per_minute"], 2);
    assert_eq!((&body["ended_in_the_last_hour"], &body["left"]), (&json!(2), &json!(12)));
    // Two in the 1000 s since the first transition of the hour, and twelve to go.
    about(&body["seconds_left"], 6000.0);
    assert_eq!((&body["served_by"], &body["enabled"]), (&json!("reader"), &json!(true)));

    // What the settings leave out is not waited for. Switched off, what is parked is not late; switched on, it
    // is not late yet.
    sql(
        &stack,
        "UPDATE migration_settings SET target_plans = '{gold}', enabled = false;
        UPDATE migration_transitions SET created_at = created_at - interval '2 hours'",
    )
    .await
    .unwrap();
    let body = summary(&stack).await;
    // Two of the plan, and six in progress.
    assert_eq!((&body["left"], &body["seconds_left"]), (&json!(8), &Value::Null));
    assert_eq!(body["stuck"]["count"], 2);
    sql(
        &stack,
        "UPDATE migration_settings SET target_plans = '{}', enabled = true;
        INSERT INTO migration_settings_changes (version, changes) VALUES (2, '{\"enabled\": true}')",
    )
    .await
    .unwrap();
    assert_eq!(summary(&stack).await["stuck"]["count"], 2);

    let journal = stack.data_api().journal();
    let mut rows =
        journal.iter().filter(|call| call.sql.as_deref().is_some_and(|sql| !sql.contains("WITH itself")));
    assert!(rows.all(|call| call.arn.as_deref() == Some(READER_ARN)), "the writer is not asked for rows");
    let url = "/migrations/summary?state=default";
    assert_eq!(stack.client().as_operator(Method::GET, url).send().await.unwrap().status(), 400);
    stack.stop().await.unwrap();
}
