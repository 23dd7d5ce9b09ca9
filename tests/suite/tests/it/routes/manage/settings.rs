//! The settings, changed while everything runs.

use serde_json::{Value, json};
use suite::{given, primary, sql};

use super::{call, post, stack, sweep};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_works_at_once_and_is_kept_with_its_version() {
    let stack = stack().await;
    given(&stack, "group/image", "default", None).await.unwrap();
    let (status, before) = call(&stack, "GET", "/settings", Value::Null).await;
    assert_eq!((status, &before["enabled"], &before["served_by"]), (200, &json!(true), &json!("writer")));
    assert_eq!((&before["reader_lag_bound_seconds"], &before["verify_tags"]), (&json!(60), &json!(true)));
    let version = before["version"].as_i64().unwrap();
    let change = json!({
        "version": version, "enabled": false, "created_before": "2026-01-01T00:00:00Z", "target_plans": ["free"],
        "pre_import_seconds_per_tag": 1.5, "reader_lag_bound_seconds": 120, "verify_tags": false,
    });

    let (status, after) = call(&stack, "PATCH", "/settings", change.clone()).await;

    assert_eq!(
        (status, &after["changed"], &after["version"]),
        (200, &json!(true), &json!(version + 1)),
        "{after}"
    );
    assert_eq!(after["capacity"], before["capacity"], "what is absent stays");
    let (status, problem) = post(&stack, "/migrations/start/group/image", Value::Null).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:registry-migration:migrations-disabled")));
    let (_, shown) = call(&stack, "GET", "/settings", Value::Null).await;
    assert_eq!(
        (&shown["created_before"], &shown["target_plans"], &shown["pre_import_seconds_per_tag"]),
        (&json!("2026-01-01T00:00:00Z"), &json!(["free"]), &json!(1.5))
    );
    assert_eq!((&shown["reader_lag_bound_seconds"], &shown["verify_tags"]), (&json!(120), &json!(false)));

    let (status, conflict) = call(&stack, "PATCH", "/settings", change).await;
    assert_eq!((status, &conflict["version"]), (409, &json!(version + 1)));
    let (_, same) =
        call(&stack, "PATCH", "/settings", json!({"enabled": false, "pre_import_seconds_per_tag": 1.5}))
            .await;
    assert_eq!((&same["changed"], &same["version"]), (&json!(false), &json!(version + 1)));
    let (_, last) =
        call(&stack, "PATCH", "/settings", json!({"created_before": null, "target_plans": []})).await;
    assert_eq!((&last["created_before"], &last["target_plans"]), (&Value::Null, &json!([])));

    let client = primary(&stack).await.unwrap();
    let kept =
        client.query("SELECT version, changes FROM migration_settings_changes ORDER BY version", &[]).await;
    let kept: Vec<(i64, Value)> = kept.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    let first = json!({
        "enabled": false, "created_before": "2026-01-01T00:00:00Z", "target_plans": ["free"],
        "pre_import_seconds_per_tag": 1.5, "reader_lag_bound_seconds": 120, "verify_tags": false,
    });
    assert_eq!(
        kept,
        [(version + 1, first), (version + 2, json!({"created_before": null, "target_plans": []}))]
    );
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_by_its_name_and_changes_nothing() {
    let stack = stack().await;
    let (_, before) = call(&stack, "GET", "/settings", Value::Null).await;
    for (change, says) in [
        (json!({}), "no setting"),
        (json!({"version": 1}), "no setting"),
        (json!({"capcity": 1}), "capcity"),
        (json!({"reader_lag_bound_seconds": 59}), "reader_lag_bound_seconds"),
        (json!({"capacity": 1001}), "capacity"),
        (json!({"capacity": 1.5}), "capacity"),
        (json!({"max_retries": 0, "capacity": 3}), "max_retries"),
        (json!({"denied_root_namespaces": ["a/b"]}), "denied_root_namespaces"),
        (json!({"target_plans": [""]}), "target_plans"),
        (json!({"created_before": "yesterday"}), "created_before"),
        (json!({"created_before": "0000-01-01T00:00:00Z"}), "created_before"),
        (json!({"created_before": "9999-12-30T22:00:00.999999999Z"}), "created_before"),
        (json!({"pre_import_seconds_per_tag": 1e-320}), "pre_import_seconds_per_tag"),
    ] {
        let (status, problem) = call(&stack, "PATCH", "/settings", change.clone()).await;
        assert_eq!(status, 400, "{change}");
        assert!(problem["message"].as_str().unwrap().contains(says), "{change}: {problem}");
    }
    assert_eq!(call(&stack, "GET", "/settings", Value::Null).await.1, before);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn makes_the_first_of_two_changes_of_one_version() {
    let stack = stack().await;
    let version = call(&stack, "GET", "/settings", Value::Null).await.1["version"].clone();
    // Both meet the row locked, and go on together.
    let mut holder = primary(&stack).await.unwrap();
    let lock = holder.transaction().await.unwrap();
    lock.execute("SELECT * FROM migration_settings FOR UPDATE", &[]).await.unwrap();
    let change =
        |capacity: i32| call(&stack, "PATCH", "/settings", json!({"version": version, "capacity": capacity}));
    let observer = primary(&stack).await.unwrap();
    let released = async {
        suite::until("both wait", || async {
            let query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            Ok(observer.query_one(query, &[]).await?.get::<_, i64>(0) == 2)
        })
        .await
        .unwrap();
        lock.commit().await.unwrap();
    };

    let (one, other, ()) = tokio::join!(change(3), change(4), released);

    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    sql(&stack, "SELECT 1 / (count(*) = 1)::integer FROM migration_settings_changes").await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_at_every_limit_can_be_set_shown_and_explained() {
    let stack = stack().await;
    let path = "a".repeat(255);
    given(&stack, &path, "default", None).await.unwrap();
    let longest =
        "UPDATE container_repositories SET detail = repeat(U&'\\+01F4A5', 255), plan = repeat(chr(1), 255)";
    sql(&stack, longest).await.unwrap();
    let week = 604_800;
    let most = json!({
        "enabled": true, "reader_enabled": true, "reader_lag_bound_seconds": 3600, "capacity": 1000,
        "waiting_time_seconds": week, "max_tags_count": i32::MAX, "max_retries": 1000, "repeat_pre_import_after_seconds": week,
        "max_step_duration_seconds": week, "pre_import_timeout_seconds": week, "import_timeout_seconds": week,
        "pre_import_seconds_per_tag": 3600.0, "created_before": "9999-01-01T00:00:00Z",
        "target_plans": (0..47).map(|n| format!("{n:0>4}{}", "ü".repeat(251))).collect::<Vec<_>>(),
        "denied_root_namespaces": (0..500).map(|n| format!("{n:0>44}")).collect::<Vec<_>>(),
    });
    let least = json!({
        "enabled": false, "reader_enabled": false, "reader_lag_bound_seconds": 0, "capacity": 0,
        "waiting_time_seconds": 0, "max_tags_count": 0, "max_retries": 1, "repeat_pre_import_after_seconds": 0, "max_step_duration_seconds": 1,
        "pre_import_timeout_seconds": 1, "import_timeout_seconds": 1, "pre_import_seconds_per_tag": 0.001,
        "created_before": "1970-01-01T00:00:00Z", "target_plans": [], "denied_root_namespaces": [],
    });
    for limits in [most, least] {
        let (status, changed) = call(&stack, "PATCH", "/settings", limits.clone()).await;
        assert_eq!((status, &changed["changed"]), (200, &json!(true)), "{changed}");
        let (status, shown) = call(&stack, "GET", "/settings", Value::Null).await;
        assert_eq!(status, 200, "{shown}");
        for (name, value) in limits.as_object().unwrap() {
            assert_eq!((&shown[name], &changed[name]), (value, value), "{name}");
        }
        let (status, reply) = call(&stack, "GET", &format!("/migrations/explain/{path}"), Value::Null).await;
        assert_eq!((status, &reply["repository"]["path"]), (200, &json!(path)), "{reply}");
        let (status, reply) = call(&stack, "PATCH", "/settings", limits).await;
        assert_eq!((status, &reply["changed"]), (200, &json!(false)), "{reply}");
        sweep(&stack).await;
    }
    stack.stop().await.unwrap();
}
