//! What the operators' page is made of: the document, and the routes that only it needs so far.

use local::{Function, Stack, StackOptions};
use reqwest::{Method, header};
use serde_json::{Value, json};
use suite::{given, options, sql};

async fn stack() -> Stack {
    let functions = vec![Function::MigrationStatus];
    Stack::start(StackOptions { functions, instances: 1, ..options() }).await.unwrap()
}

async fn get(stack: &Stack, url: &str) -> Value {
    let answer = stack.client().as_operator(Method::GET, url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.json().await.unwrap()
}

/// Every item of a list, page by page.
async fn all(stack: &Stack, url: &str, member: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let page = get(stack, &format!("{url}{after}")).await;
        assert_eq!(page["served_by"], "reader");
        items.extend(page[member].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        after = format!("&after={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_the_page_to_anybody_with_a_strict_policy() {
    let stack = stack().await;
    let page = stack.client().request(Method::GET, "/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let headers = page.headers().clone();
    let shown = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(shown("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        (shown("cache-control"), shown("x-content-type-options")),
        ("no-cache".into(), "nosniff".into())
    );
    let policy = shown("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(page.text().await.unwrap().starts_with("<!doctype html>"));

    let again = stack.client().request(Method::GET, "/").header(header::IF_NONE_MATCH, &headers["etag"]);
    let again = again.send().await.unwrap();
    assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &headers["etag"]));
    for url in [
        "/migrations/prefixes",
        "/migrations/attention",
        "/migrations/progress",
        "/migrations/report",
        "/migrations/proof/a",
    ] {
        let answer = stack.client().request(Method::GET, url).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{url}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_each_prefix_once_whatever_the_page_size() {
    let stack = stack().await;
    // In the order of their bytes, which is that of no language.
    for (path, state) in [
        ("a", "default"),
        ("a-b/image", "default"),
        ("a/one", "import_done"),
        ("a/three/deep/x", "importing"),
        ("a/three/y", "import_skipped"),
        ("a/two", "default"),
        ("b/image", "import_aborted"),
    ] {
        given(&stack, path, state, None).await.unwrap();
    }
    sql(&stack, "UPDATE container_repositories SET tags_count = 3 WHERE path <> 'a/two'").await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();

    let in_one = all(&stack, "/migrations/prefixes?limit=10000", "prefixes").await;
    let of_a = json!({
        "prefix": "a/", "repositories": 4, "tags": 9, "tags_left": 3, "tags_unknown": 1,
        "states": {"import_done": 1, "importing": 1, "import_skipped": 1, "default": 1},
    });
    let names = |items: &[Value]| {
        items.iter().map(|item| item["prefix"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&in_one), ["a", "a-b/", "a/", "b/"]);
    assert_eq!(in_one[2], of_a);
    let below = all(&stack, "/migrations/prefixes?prefix=a/", "prefixes").await;
    assert_eq!(names(&below), ["a/one", "a/three/", "a/two"]);
    assert_eq!(below[1]["repositories"], 2);

    for limit in 1..=7 {
        let parts = all(&stack, &format!("/migrations/prefixes?limit={limit}"), "prefixes").await;
        let counted: u64 = parts.iter().map(|part| part["repositories"].as_u64().unwrap()).sum();
        let mut once = names(&parts);
        once.dedup();
        assert_eq!((counted, once), (7, names(&in_one)), "pages of {limit}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_what_needs_attention_and_nothing_else() {
    let stack = stack().await;
    for (path, state) in [
        ("a/failed", "import_aborted"),
        ("b/skipped", "import_skipped"),
        ("c/stuck", "importing"),
        ("d/runs", "importing"),
        ("e/lost", "import_done"),
        ("f/done", "import_done"),
        ("g/waits", "default"),
        ("h/unverified", "import_done"),
    ] {
        given(&stack, path, state, None).await.unwrap();
    }
    sql(
        &stack,
        "UPDATE container_repositories SET import_started_at = now() - interval '301 seconds' WHERE path = 'c/stuck';
        UPDATE container_repositories SET detail = 'blob unknown' WHERE path = 'a/failed';
        UPDATE container_repositories SET tags_check = 'tags_unverified' WHERE path = 'h/unverified';
        UPDATE container_repositories SET tags_check = 'tags_missing', missing_tags = '{\"count\": 1, \"sample\": [\"v1\"]}'
            WHERE path = 'e/lost'",
    )
    .await
    .unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let expected = [
        ("a/failed", "failed"),
        ("b/skipped", "skipped"),
        ("c/stuck", "stuck"),
        ("e/lost", "tags_missing"),
        ("h/unverified", "tags_unverified"),
    ];
    for limit in [1, 2, 5, 2000] {
        let rows = all(&stack, &format!("/migrations/attention?limit={limit}"), "repositories").await;
        let found = rows.iter().map(|row| (row["path"].as_str().unwrap(), row["trouble"].as_str().unwrap()));
        assert_eq!(found.collect::<Vec<_>>(), expected, "pages of {limit}");
        assert_eq!(
            (&rows[0]["detail"], &rows[1]["skipped_reason"]),
            (&json!("blob unknown"), &json!("too_many_tags"))
        );
    }
    let below = all(&stack, "/migrations/attention?prefix=b/", "repositories").await;
    assert_eq!(below.len(), 1);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_what_ended_in_each_part_of_the_time() {
    let stack = stack().await;
    let empty = get(&stack, "/migrations/progress").await;
    assert_eq!(
        (&empty["parts"], &empty["importer"], &empty["part_seconds"]),
        (&json!([]), &Value::Null, &json!(60))
    );
    given(&stack, "group/image", "import_done", None).await.unwrap();
    sql(
        &stack,
        "TRUNCATE migration_transitions;
        INSERT INTO migration_transitions
            (repository_id, version, event, from_state, to_state, cause, applied, created_at)
        SELECT c.id, n, 'test', from_state, to_state, 'test', applied, date_trunc('minute', now()) - age
        FROM container_repositories AS c
        CROSS JOIN (VALUES
            (1, 'importing', 'import_done', true, interval '2 days'),
            (2, 'importing', 'import_done', true, interval '3 hours'),
            (3, 'importing', 'import_done', true, interval '10 minutes'),
            (4, 'pre_importing', 'import_aborted', true, interval '10 minutes'),
            (5, 'importing', 'import_skipped', true, interval '5 minutes'),
            -- No end: a step that began, and a notification that changed nothing.
            (6, 'default', 'pre_importing', true, interval '5 minutes'),
            (7, 'import_done', 'import_done', false, interval '5 minutes')
        ) AS t (n, from_state, to_state, applied, age);
        INSERT INTO imports (source, target, status, attempt, change, ended_at, bytes_known, bytes_done)
        VALUES ('group/image', 'new/image', 'import_complete', gen_random_uuid(), gen_random_uuid(), now(), 70, 50);
        INSERT INTO import_tags (source, tag, source_digest, target_digest, state, attempt, cause) VALUES
            ('group/image', 'a', 'sha256:1', 'sha256:1', 'equal', gen_random_uuid(), NULL),
            ('group/image', 'b', 'sha256:2', NULL, 'failed', gen_random_uuid(), 'gone')",
    )
    .await
    .unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let parts = |answer: &Value| {
        let parts = answer["parts"].as_array().unwrap().iter();
        parts
            .map(|part| ["done", "skipped", "aborted"].map(|kind| part[kind].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    let hour = get(&stack, "/migrations/progress").await;
    assert_eq!(parts(&hour), [[1, 0, 1], [0, 1, 0]]);
    assert_eq!(hour["importer"], json!({"repositories": 1, "bytes_known": 70, "bytes_done": 50}));
    assert!(hour["newest_change_at"].as_str() > hour["since"].as_str());
    let day = get(&stack, "/migrations/progress?hours=24").await;
    let sum = |index: usize| parts(&day).iter().map(|part| part[index]).sum::<u64>();
    assert_eq!((sum(0), sum(1), sum(2), &day["part_seconds"]), (2, 1, 1, &json!(1440)));
    assert_eq!(
        parts(&get(&stack, "/migrations/progress?hours=168").await).iter().map(|part| part[0]).sum::<u64>(),
        3
    );

    let proof = get(&stack, "/migrations/proof/group/image").await;
    let import = &proof["import"];
    assert_eq!(
        (&import["target"], &import["tags"]),
        (&json!("new/image"), &json!({"equal": 1, "failed": 1}))
    );
    // What is not equal comes first.
    assert_eq!(
        (&import["first_tags"][0]["tag"], &import["first_tags"][0]["cause"]),
        (&json!("b"), &json!("gone"))
    );
    assert_eq!(get(&stack, "/migrations/proof/group/other").await["import"], Value::Null);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_each_repository_once_with_its_history_summed_up() {
    let stack = stack().await;
    for (path, state) in [
        ("a/done", "import_done"),
        ("a/failed", "import_aborted"),
        ("b/new", "default"),
        ("b/out", "import_skipped"),
    ] {
        given(&stack, path, state, None).await.unwrap();
    }
    sql(
        &stack,
        r#"INSERT INTO migration_transitions
            (repository_id, version, event, from_state, to_state, cause, operator, applied, created_at, detail)
        SELECT c.id, 10 + t.n, 'test', 'default', t.to_state, t.cause, t.operator, t.applied, '2026-01-01Z'::timestamptz, t.detail
        FROM container_repositories AS c
        CROSS JOIN (VALUES
            (1, 'importing', 'start', NULL, false, NULL),
            (2, 'pre_importing', 'start', 'ann', true, NULL),
            (3, 'import_aborted', 'notification', NULL, true, 'the first words'),
            (4, 'pre_importing', 'start', 'ann', true, NULL),
            (5, 'import_done', 'notification', NULL, true, NULL),
            (6, 'import_done', 'echo', 'bob', false, 'the last words')
        ) AS t (n, to_state, cause, operator, applied, detail)
        WHERE c.path = 'a/done';
        UPDATE container_repositories
        SET tags_count = 5, tags_check = 'tags_missing', missing_tags = '{"count": 2, "names": ["v1", "v2"]}'
        WHERE path = 'a/done';
        INSERT INTO imports (source, target, status, attempt, change, ended_at)
        VALUES ('a/done', 'new', 'import_complete', gen_random_uuid(), gen_random_uuid(), now());
        INSERT INTO import_tags (source, tag, source_digest, target_digest, state, attempt, cause) VALUES
            ('a/done', 'v3', 'sha256:3', 'sha256:3', 'equal', gen_random_uuid(), NULL),
            ('a/done', 'v4', 'sha256:4', NULL, 'failed', gen_random_uuid(), 'gone')"#,
    )
    .await
    .unwrap();
    stack.pair().wait_until_replayed().await.unwrap();

    for limit in [1, 3, 500] {
        let rows = all(&stack, &format!("/migrations/report?limit={limit}"), "repositories").await;
        let paths: Vec<_> = rows.iter().map(|row| row["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["a/done", "a/failed", "b/new", "b/out"], "{limit} at once");
        let done = &rows[0];
        // What was put into its state by hand has a line as well, the first one.
        let who = json!([
            {"cause": "test", "operator": null}, {"cause": "start", "operator": "ann"},
            {"cause": "notification", "operator": null},
        ]);
        assert_eq!((&done["changed_by"], &done["detail"]), (&who, &json!("the last words")));
        assert_eq!(done["started_at"], "2026-01-01T00:00:00Z");
        assert_eq!((&done["tags_count"], &done["tags_missing"]), (&json!(5), &json!(2)));
        assert_eq!(done["proven"], json!({"tags": 1, "digests": {"v3": "sha256:3"}}));
        assert_eq!((&rows[2]["started_at"], &rows[2]["proven"]), (&Value::Null, &Value::Null));
        assert_eq!(rows[3]["skipped_reason"], "too_many_tags");
    }
    let below = all(&stack, "/migrations/report?prefix=b/", "repositories").await;
    assert_eq!(below.len(), 2);
    stack.stop().await.unwrap();
}
