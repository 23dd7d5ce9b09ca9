//! Repositories that begin anew.

use serde_json::{Value, json};
use suite::{given, history, primary, row, sql};
use uuid::Uuid;

use super::{post, stack};

#[tokio::test(flavor = "multi_thread")]
async fn reopens_skipped_and_aborted_and_keeps_their_history() {
    let stack = stack().await;
    for state in ["import_skipped", "import_aborted"] {
        let path = format!("group/{state}");
        given(&stack, &path, state, Some(Uuid::new_v4())).await.unwrap();
        sql(&stack, "UPDATE container_repositories SET retries_count = 3").await.unwrap();

        let (status, reply) = post(&stack, &format!("/migrations/reopen/{path}"), Value::Null).await;

        assert_eq!(
            (status, &reply["migration_state"], &reply["version"]),
            (200, &json!("default"), &json!(3)),
            "{reply}"
        );
        let row = row(&stack, &path).await.unwrap();
        for cleared in [
            "attempt",
            "skipped_reason",
            "skipped_at",
            "aborted_at",
            "aborted_in_state",
            "pre_import_started_at",
        ] {
            assert_eq!(row[cleared], Value::Null, "{cleared}");
        }
        assert_eq!(row["retries_count"], 0);
        assert_eq!(history(&stack, &path).await.unwrap().pop().unwrap(), format!("reopen {state}>default"));
    }
    for state in ["default", "pre_importing", "pre_import_done", "importing", "import_done"] {
        let path = format!("other/{state}");
        given(&stack, &path, state, None).await.unwrap();
        let (status, problem) = post(&stack, &format!("/migrations/reopen/{path}"), Value::Null).await;
        assert_eq!((status, &problem["migration_state"]), (409, &json!(state)));
        let asks_for_a_reason = problem["detail"].as_str().unwrap().contains("only with a reason");
        assert_eq!(asks_for_a_reason, state == "import_done", "{problem}");
    }
    let reason = json!({"reason": "a proxy answered for the registry"});
    sql(&stack, "UPDATE container_repositories SET skipped_reason = 6 WHERE path = 'other/import_done'")
        .await
        .unwrap();
    let (status, reply) = post(&stack, "/migrations/reopen/other/import_done", reason).await;
    assert_eq!((status, &reply["migration_state"]), (200, &json!("default")), "{reply}");
    let line = "SELECT event, detail FROM migration_transitions ORDER BY id DESC LIMIT 1";
    let line = primary(&stack).await.unwrap().query_one(line, &[]).await.unwrap();
    let line: (String, String) = (line.get(0), line.get(1));
    assert_eq!(line, ("reopen".to_owned(), "a proxy answered for the registry".to_owned()));
    for wrong in [json!({"reason": " "}), json!({"because": "x"}), json!({"reason": "a\0b"})] {
        assert_eq!(post(&stack, "/migrations/reopen/other/default", wrong).await.0, 400);
    }
    assert_eq!(post(&stack, "/migrations/reopen/group/none", Value::Null).await.0, 404);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reopens_a_thousand_at_a_time_after_a_dry_run() {
    let stack = stack().await;
    sql(
        &stack,
        "INSERT INTO container_repositories (path, migration_state, skipped_reason, skipped_at, retries_count)
        SELECT CASE WHEN n <= 1200 THEN 'group/image' ELSE 'other/image' END || n, 'import_skipped',
            CASE WHEN n % 1201 = 0 THEN 0 ELSE 1 END, now(), 3
        FROM generate_series(1, 1300) AS n",
    )
    .await
    .unwrap();
    let filter = |dry_run: Option<bool>| {
        let mut filter = json!({"state": "import_skipped", "reason": "too_many_retries", "prefix": "group/"});
        if let Some(dry_run) = dry_run {
            filter["dry_run"] = json!(dry_run);
        }
        filter
    };

    let (status, dry) = post(&stack, "/migrations/reopen", filter(None)).await;

    assert_eq!(
        (status, &dry["dry_run"], &dry["matching"], &dry["reopened"]),
        (200, &json!(true), &json!(1200), &json!(0))
    );
    assert_eq!(dry["sample"].as_array().unwrap().len(), 20);
    let client = primary(&stack).await.unwrap();
    let count = |text: &'static str| async { client.query_one(text, &[]).await.unwrap().get::<_, i64>(0) };
    assert_eq!(
        count("SELECT count(*) FROM container_repositories WHERE migration_state = 'default'").await,
        0
    );

    for (reopened, left) in [(1000, 200), (200, 0), (0, 0)] {
        let (_, reply) = post(&stack, "/migrations/reopen", filter(Some(false))).await;
        assert_eq!((&reply["reopened"], &reply["left"]), (&json!(reopened), &json!(left)), "{reply}");
    }
    let right = "SELECT count(*) FROM container_repositories AS c
        JOIN migration_transitions AS t ON t.repository_id = c.id AND t.version = c.version
        WHERE c.path LIKE 'group/%' AND c.migration_state = 'default' AND c.retries_count = 0 AND c.version % 1048576 = 1
            AND t.event = 'reopen' AND t.from_state = 'import_skipped' AND t.to_state = 'default'
            AND t.cause = 'operator'";
    assert_eq!(count(right).await, 1200);
    assert_eq!(
        count("SELECT count(*) FROM container_repositories WHERE migration_state = 'import_skipped'").await,
        100
    );
    stack.stop().await.unwrap();
}
