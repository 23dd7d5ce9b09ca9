//! What a notification does and what it is answered, over HTTP, through the function's real process.

use futures::{StreamExt, stream};
use local::{
    Stack,
    local_registry::{Effect, Operation, Rule, When},
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use suite::{STATES, data_api_calls, given, history, primary, row, sql, stack};
use uuid::Uuid;

const STATUSES: [&str; 6] = [
    "pre_import_complete",
    "pre_import_failed",
    "pre_import_canceled",
    "import_complete",
    "import_failed",
    "import_canceled",
];

/// Which attempt's id a notification carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    None,
    Current,
    Earlier,
    MadeUp,
}

struct Expected {
    answer: u16,
    state: &'static str,
    retries: i64,
    /// The last line of the history, where the notification left one.
    last: Option<String>,
}

/// `adopted`: the row runs a step that nobody knows the attempt of.
fn expected(state: &'static str, status: &str, id: Id, adopted: bool) -> Expected {
    let active = matches!(state, "pre_importing" | "importing");
    let ignored = |why| Expected {
        answer: 200,
        state,
        retries: 0,
        last: Some(format!("{status} {state}>{state} ({why})")),
    };
    match id {
        Id::Earlier => return ignored("earlier_attempt"),
        Id::Current if !active => return ignored("already_over"),
        Id::None | Id::Current | Id::MadeUp => {}
    }
    if !active {
        return Expected { answer: 400, state, retries: 0, last: None };
    }
    let moved = |event: &str, from: &str, to: &'static str, retries| Expected {
        answer: 200,
        state: to,
        retries,
        last: Some(format!("{event} {from}>{to}")),
    };
    if (id == Id::MadeUp && !adopted) || (status, state) == ("import_complete", "pre_importing") {
        return ignored("unverified");
    }
    match (status, state) {
        ("pre_import_complete", "importing") => ignored("nothing"),
        ("pre_import_complete", _) => moved("start_import", "pre_import_done", "importing", 0),
        ("import_complete", _) => moved("finish_import", state, "import_done", 0),
        ("pre_import_failed" | "import_failed", _) => moved("abort_import", state, "import_aborted", 1),
        _ => moved("abort_import_uncounted", state, "import_aborted", 0),
    }
}

async fn check(stack: &Stack, state: &'static str, status: &str, id: Id, adopted: bool) {
    let path = format!("{state}/{status}/{id:?}/{adopted}").to_lowercase();
    let (current, earlier) = (Uuid::new_v4(), Uuid::new_v4());
    given(stack, &path, state, Some(current).filter(|_| !adopted)).await.unwrap();
    let insert = "INSERT INTO migration_transitions
        (repository_id, version, event, from_state, to_state, cause, attempt)
        SELECT id, 1, 'start_pre_import', 'default', 'pre_importing', 'test', $2::text::uuid
        FROM container_repositories WHERE path = $1";
    primary(stack).await.unwrap().execute(insert, &[&path, &earlier.to_string()]).await.unwrap();
    let before = row(stack, &path).await.unwrap();
    let attempt = match id {
        Id::None => None,
        Id::Current => Some(current),
        Id::Earlier => Some(earlier),
        Id::MadeUp => Some(Uuid::new_v4()),
    }
    .map(|id| id.to_string());

    let answer = stack.client().notify(&path, status, attempt.as_deref()).await.unwrap();

    let expected = expected(state, status, id, adopted);
    let code = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(code, expected.answer, "{path}: {body}");
    let after = row(stack, &path).await.unwrap();
    assert_eq!(after["migration_state"], expected.state, "{path}");
    assert_eq!(after["retries_count"], expected.retries, "{path}");
    if let Some(last) = expected.last {
        assert_eq!(history(stack, &path).await.unwrap().last(), Some(&last), "{path}");
    } else {
        assert_eq!(body["message"], format!("400 Bad request - Wrong migration state ({state})"), "{path}");
        assert_eq!(after, before, "{path}");
    }
    if expected.state == state {
        assert_eq!(after["version"], before["version"], "{path}");
    } else {
        assert_eq!(after["detail"], status, "{path}");
    }
    let in_progress = matches!(expected.state, "pre_importing" | "pre_import_done" | "importing");
    assert_eq!(after["slot"].is_null(), !in_progress, "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_each_notification_in_each_state() {
    let stack = stack().await.unwrap();
    // No slot is given to anybody else, and the final steps that are asked for have an unknown outcome.
    sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    // Nor does the registry say how anything stands.
    let answer = || Effect::Answer { status: 500, code: None, detail: None, body: None, when: When::Before };
    for operation in [Operation::Start, Operation::Status] {
        stack.registry().unwrap().rules().add(Rule::new(answer()).operation(operation));
    }
    let mut cases = Vec::new();
    for state in STATES {
        for status in STATUSES {
            for id in [Id::None, Id::Current, Id::Earlier, Id::MadeUp] {
                cases.push((state, status, id, false));
            }
            cases.push((state, status, Id::None, true));
            cases.push((state, status, Id::MadeUp, true));
        }
    }
    assert_eq!(cases.len(), 252);
    stream::iter(cases)
        .for_each_concurrent(4, |(state, status, id, adopted)| check(&stack, state, status, id, adopted))
        .await;
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_turned_away_without_a_database_call() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "pre_importing", None).await.unwrap();
    let before = (row(&stack, "group/image").await.unwrap(), data_api_calls(&stack));
    let url = "/api/v4/internal/registry/repositories/group/image/migration/status";
    let body = serde_json::json!({"status": "pre_import_complete"});
    for authorization in [None, Some(""), Some("wrong"), Some("Bearer wrong"), Some("\u{7f}")] {
        let mut request = stack.client().request(Method::PUT, url).json(&body);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization.as_bytes());
        }
        let Ok(answer) = request.send().await else {
            assert_eq!(authorization, Some("\u{7f}"), "only what is no header's value is not even sent");
            continue;
        };
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{authorization:?}");
    }
    assert_eq!((row(&stack, "group/image").await.unwrap(), data_api_calls(&stack)), before);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_unknown_statuses_and_repositories() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "pre_importing", None).await.unwrap();
    let before = (row(&stack, "group/image").await.unwrap(), data_api_calls(&stack));
    for status in
        ["native", "pre_import_in_progress", "import_in_progress", "", "PRE_IMPORT_COMPLETE", "done"]
    {
        let answer = stack.client().notify("group/image", status, None).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{status:?}");
    }
    assert_eq!((row(&stack, "group/image").await.unwrap(), data_api_calls(&stack)), before);
    let answer = stack.client().notify("group/other", "pre_import_complete", None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["message"], "404 Not Found - no such container repository");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn skips_at_the_last_allowed_failure_in_one_change() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "importing", None).await.unwrap();
    sql(&stack, "UPDATE container_repositories SET retries_count = 2").await.unwrap();
    let answer = stack.client().notify("group/image", "import_failed", None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let row = row(&stack, "group/image").await.unwrap();
    assert_eq!(
        (row["migration_state"].as_str(), row["skipped_reason"].as_i64()),
        (Some("import_skipped"), Some(1))
    );
    assert_eq!((row["retries_count"].as_i64(), row["version"].as_i64()), (Some(3), Some(4)));
    let history = history(&stack, "group/image").await.unwrap();
    assert_eq!(
        history[1..],
        ["abort_import importing>import_aborted", "skip_import import_aborted>import_skipped"]
    );
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_step_is_not_asked_for_again_before_five_seconds() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "importing", None).await.unwrap();
    let answer = stack.client().notify("group/image", "import_canceled", None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let client = primary(&stack).await.unwrap();
    let query = "SELECT not_before = aborted_at + interval '5 s' FROM container_repositories";
    assert!(client.query_one(query, &[]).await.unwrap().get::<_, bool>(0));
    stack.stop().await.unwrap();
}
