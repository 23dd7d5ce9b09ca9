//! What has happened to one repository, in order, and as fresh as its caller asks for.

use local::{READER_ARN, Stack, WRITER_ARN};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use suite::{repositories, row, stack, until, until_state};

async fn get(stack: &Stack, query: &str) -> (StatusCode, Value) {
    let url = format!("/migrations/history/group/image{query}");
    let answer = stack.client().as_operator(Method::GET, &url).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// Where histories were read, in the order of the calls.
fn asked(stack: &Stack) -> Vec<String> {
    let journal = stack.data_api().journal().into_iter();
    let histories =
        journal.filter(|call| call.sql.as_deref().is_some_and(|sql| sql.contains("AS t ON true")));
    histories.map(|call| call.arn.unwrap()).collect()
}

fn shown(page: &Value) -> Vec<String> {
    let line = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let lines =
            format!("{} {}>{} {}", text("event"), text("from_state"), text("to_state"), text("verdict"));
        lines.trim_end().to_owned()
    };
    page["transitions"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_through_transitions_and_ignored_notifications() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/image", "group/other"]).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let (status, nothing) = get(&stack, "").await;
    assert_eq!(
        (status, suite::changes(&nothing), &nothing["migration_state"], shown(&nothing).len()),
        (StatusCode::OK, 0, &json!("default"), 0)
    );

    assert_eq!(stack.client().start("group/image").await.unwrap().status(), 202);
    // The freed slot goes to the other one, whose history is none of this one's.
    until_state(&stack, "group/other", "import_done").await.unwrap();
    let done = row(&stack, "group/image").await.unwrap();
    let attempt = done["attempt"].as_str().unwrap();
    let repeated = stack.client().notify("group/image", "import_complete", Some(attempt)).await.unwrap();
    assert_eq!(repeated.status(), 200);
    stack.pair().wait_until_replayed().await.unwrap();

    let (_, whole) = get(&stack, "").await;
    let expected = [
        "start_pre_import default>pre_importing",
        "finish_pre_import pre_importing>pre_import_done",
        "start_import pre_import_done>importing",
        "finish_import importing>import_done",
        "import_complete import_done>import_done already_over",
    ];
    assert_eq!(shown(&whole), expected);
    assert_eq!(
        (&whole["served_by"], &whole["version"], &whole["next"]),
        (&json!("reader"), &done["version"], &Value::Null)
    );
    let last = &whole["transitions"][4];
    assert_eq!(
        (&last["applied"], &last["version"], last["reported_attempt"].as_str()),
        (&json!(false), &done["version"], Some(attempt))
    );

    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let (_, page) = get(&stack, &format!("?limit=2{after}")).await;
        assert_eq!(page["version"], done["version"]);
        pages.push(shown(&page));
        let Some(next) = page["next"].as_i64() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(pages, [&expected[..2], &expected[2..4], &expected[4..]]);

    for wrong in [
        "?after=x",
        "?after=-1",
        "?min_version=-1",
        "?limit=0",
        "?limit=501",
        "?min_version=x",
        "?state=default",
    ] {
        assert_eq!(get(&stack, wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let asked = asked(&stack);
    assert!(asked.len() > 4 && asked.iter().all(|arn| arn == READER_ARN), "{asked:?}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_never_older_than_what_its_caller_has_seen() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/image"]).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    stack.pair().pause_replay().await.unwrap();
    assert_eq!(stack.client().start("group/image").await.unwrap().status(), 202);
    until("it is done", || async {
        Ok(row(&stack, "group/image").await?["migration_state"] == "import_done")
    })
    .await
    .unwrap();

    let (_, old) = get(&stack, "").await;
    assert_eq!(asked(&stack), [READER_ARN]);
    assert_eq!((&old["served_by"], suite::changes(&old), shown(&old).len()), (&json!("reader"), 0, 0));
    let done = old["version"].as_i64().unwrap() + 4;
    let (_, fresh) = get(&stack, &format!("?min_version={done}")).await;
    assert_eq!(
        (&fresh["served_by"], &fresh["version"], shown(&fresh).len()),
        (&json!("writer_behind_floor"), &json!(done), 4)
    );
    assert_eq!(asked(&stack), [READER_ARN, READER_ARN, WRITER_ARN]);
    let (status, problem) = get(&stack, &format!("?min_version={}", done + 1)).await;
    assert_eq!((status, &problem["version"]), (StatusCode::BAD_REQUEST, &json!(done)));
    stack.stop().await.unwrap();
}
