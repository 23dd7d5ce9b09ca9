//! Holds as operators set them, and who has acted.

use reqwest::Method;
use serde_json::{Value, json};
use suite::{given, primary, row, sql};

use super::{call, post, stack};

#[tokio::test(flavor = "multi_thread")]
async fn sets_shows_and_removes_a_hold() {
    let stack = stack().await;
    let set = json!({"prefix": "group/", "until_released": true, "reason": "the audit"});
    let (status, reply) = call(&stack, "PUT", "/holds", set).await;
    let hold = &reply["hold"];
    assert_eq!((status, &hold["prefix"], &hold["holding"]), (200, &json!("group"), &json!(true)), "{reply}");
    let window = json!({"from": "22:00", "until": "04:00", "zone": "Europe/Berlin"});
    let set = json!({"prefix": "", "window": window, "priority": 7});
    let (status, reply) = call(&stack, "PUT", "/holds", set).await;
    assert_eq!((status, &reply["hold"]["window"]), (200, &window), "{reply}");
    assert!(reply["hold"]["changes_at"].is_string(), "{reply}");

    let (_, shown) = call(&stack, "GET", "/holds", Value::Null).await;
    let prefixes: Vec<&Value> =
        shown["holds"].as_array().unwrap().iter().map(|hold| &hold["prefix"]).collect();
    assert_eq!((prefixes, &shown["served_by"]), (vec![&json!(""), &json!("group")], &json!("writer")));

    let (status, removed) = call(&stack, "DELETE", "/holds?prefix=group%2F", Value::Null).await;
    assert_eq!((status, &removed["hold"]["reason"]), (200, &json!("the audit")), "{removed}");
    let (status, problem) = call(&stack, "DELETE", "/holds?prefix=group", Value::Null).await;
    assert_eq!((status, &problem["type"]), (404, &json!("urn:registry-migration:no-hold")));
    assert_eq!(call(&stack, "DELETE", "/holds?prefix=", Value::Null).await.0, 200);
    let changes = "SELECT count(*), count(hold) FROM migration_hold_changes";
    let kept = primary(&stack).await.unwrap().query_one(changes, &[]).await.unwrap();
    assert_eq!((kept.get::<_, i64>(0), kept.get::<_, i64>(1)), (4, 2), "every change is kept");

    // As many as there may be, each as long as it may be.
    let most = "INSERT INTO migration_holds (prefix, opens, closes, zone, reason, operator)
        SELECT rpad(n::text, 255, 'a'), '22:00', '04:00', 'America/Argentina/ComodRivadavia',
            repeat(U&'\\+01F4A5', 255), repeat(U&'\\+01F4A5', 100) FROM generate_series(1, 400) AS n";
    sql(&stack, most).await.unwrap();
    let (status, shown) = call(&stack, "GET", "/holds", Value::Null).await;
    assert_eq!((status, shown["holds"].as_array().unwrap().len()), (200, 400));
    let one_more = json!({"prefix": "group", "until_released": true});
    let (status, problem) = call(&stack, "PUT", "/holds", one_more).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:registry-migration:too-many-holds")));

    for (method, address, body, says) in [
        ("PUT", "/holds", json!({"prefix": "group"}), "until_released"),
        ("PUT", "/holds", json!({"prefix": "gr%", "until_released": true}), "no container repository"),
        (
            "PUT",
            "/holds",
            json!({"prefix": "a", "window": {"from": "22:00", "until": "04:00", "zone": "Nowhere"}}),
            "zone",
        ),
        (
            "PUT",
            "/holds",
            json!({"prefix": "a", "window": {"from": "22", "until": "04:00", "zone": "UTC"}}),
            "22:00",
        ),
        ("DELETE", "/holds", Value::Null, "prefix is missing"),
        ("DELETE", "/holds?prefix=a//", Value::Null, "prefix is wrong"),
        ("GET", "/holds?prefix=a", Value::Null, "unknown query parameter"),
    ] {
        let (status, problem) = call(&stack, method, address, body).await;
        assert_eq!(status, 400, "{method} {address}: {problem}");
        assert!(problem["message"].as_str().unwrap().contains(says), "{method} {address}: {problem}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_who_acted_with_every_change() {
    let stack = stack().await;
    for (path, state) in
        [("group/aborted", "import_aborted"), ("group/new", "default"), ("group/skipped", "import_skipped")]
    {
        given(&stack, path, state, None).await.unwrap();
    }
    let act = async |method: &str, path: &str, body: Value, operator: &str| {
        let request = stack.client().as_operator(Method::from_bytes(method.as_bytes()).unwrap(), path);
        let request = request.header("X-Operator", operator);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let acted: Vec<(&str, &str, Value)> = vec![
        ("POST", "/migrations/skip/group/new", json!({"reason": "not_in_plan"})),
        ("POST", "/migrations/reopen/group/skipped", Value::Null),
        ("POST", "/migrations/retry/group/aborted", Value::Null),
        ("PATCH", "/settings", json!({"max_retries": 7})),
        ("PUT", "/holds", json!({"prefix": "group", "until_released": true})),
        ("POST", "/migrations/start/group/skipped", Value::Null),
        ("DELETE", "/holds?prefix=group", Value::Null),
        ("POST", "/migrations/reopen", json!({"state": "import_skipped", "dry_run": false})),
    ];
    for (number, (method, path, body)) in acted.into_iter().enumerate() {
        let (status, text) = act(method, path, body, &format!("jo {number}")).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
    }

    let lines = "SELECT t.operator FROM migration_transitions AS t WHERE t.cause = 'operator' AND t.event <> 'cancel' ORDER BY t.id";
    let names = async |query: &str| -> Vec<Option<String>> {
        primary(&stack).await.unwrap().query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    let expected =
        |numbers: &[i32]| numbers.iter().map(|number| Some(format!("jo {number}"))).collect::<Vec<_>>();
    assert_eq!(names(lines).await, expected(&[0, 1, 2, 5, 7]));
    assert_eq!(names("SELECT operator FROM migration_settings_changes").await, expected(&[3]));
    assert_eq!(
        names("SELECT operator FROM migration_hold_changes ORDER BY created_at").await,
        expected(&[4, 6])
    );
    let (_, explained) = call(&stack, "GET", "/migrations/explain/group/new", Value::Null).await;
    let text = explained["expected"]["text"].as_str().unwrap();
    assert!(text.contains("an operator's last change: reopen by jo 7 at "), "{text}");

    // It permits nothing, and what cannot be kept is refused before anything is done.
    let before = row(&stack, "group/new").await.unwrap();
    for operator in ["a\tb", &"x".repeat(101)] {
        let (status, text) =
            act("POST", "/migrations/skip/group/new", json!({"reason": "not_in_plan"}), operator).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("X-Operator"), "{text}");
    }
    assert_eq!(row(&stack, "group/new").await.unwrap(), before);
    let (status, _) = post(&stack, "/migrations/skip/group/new", json!({"reason": "not_in_plan"})).await;
    assert_eq!(status, 200, "a name is no duty");
    stack.stop().await.unwrap();
}
