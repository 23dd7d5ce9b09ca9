//! What a start is answered, and what each answer of the registry makes of the row.

use local::{
    Function, Stack,
    local_registry::{Effect, Operation, Rule, Step, When},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use suite::{given, history, push_image, repositories, row, sql, stack, state};

/// The registry answers every start with this, and says `proof` of how a repository stands.
fn answers(stack: &Stack, path: &str, (status, code): (u16, Option<&str>), proof: Option<&str>) {
    let effect = Effect::Answer {
        status,
        code: code.map(str::to_owned),
        detail: None,
        body: None,
        when: When::Before,
    };
    let rules = stack.registry().unwrap().rules();
    rules.clear();
    rules.add(Rule::new(effect).operation(Operation::Start));
    if let Some(proof) = proof {
        let body = json!({ "name": "image", "path": path, "status": proof, "detail": proof }).to_string();
        let (code, detail, when) = (None, None, When::Before);
        let effect = Effect::Answer { status: 200, code, detail, body: Some(body), when };
        rules.add(Rule::new(effect).operation(Operation::Status));
    }
}

struct Case {
    answer: (u16, Option<&'static str>),
    proof: Option<&'static str>,
    status: u16,
    standing: Option<&'static str>,
    state: &'static str,
    reason: Option<i64>,
    retries: i64,
    last: &'static str,
}

const fn case(
    answer: (u16, Option<&'static str>),
    status: u16,
    state: &'static str,
    last: &'static str,
) -> Case {
    Case { answer, proof: None, status, standing: None, state, reason: None, retries: 0, last }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_of_the_registry_to_a_pre_step_is_told_apart() {
    let stack = stack().await.unwrap();
    let started = "start_pre_import default>pre_importing";
    let refused = "start_refused pre_importing>default";
    let cases = [
        Case { standing: Some("running"), ..case((202, None), 202, "pre_importing", started) },
        Case {
            proof: Some("native"),
            standing: Some("settled"),
            reason: Some(6),
            ..case((200, None), 200, "import_done", "already_migrated pre_importing>import_done")
        },
        // Nothing in the registry's own words says that it is migrated.
        Case { standing: Some("unknown"), ..case((200, None), 202, "pre_importing", started) },
        Case {
            proof: Some("import_in_progress"),
            standing: Some("unknown"),
            ..case((200, None), 202, "pre_importing", started)
        },
        Case {
            standing: Some("settled"),
            reason: Some(5),
            ..case(
                (404, Some("NAME_UNKNOWN")),
                200,
                "import_done",
                "already_migrated pre_importing>import_done",
            )
        },
        Case {
            standing: Some("running"),
            ..case(
                (425, Some("PRE_IMPORT_IN_PROGRESS")),
                202,
                "pre_importing",
                "adopt_pre_import pre_importing>pre_importing",
            )
        },
        Case {
            standing: Some("running"),
            ..case(
                (409, Some("IMPORT_IN_PROGRESS")),
                202,
                "importing",
                "adopt_import pre_importing>importing",
            )
        },
        case((429, Some("IMPORT_RATE_LIMIT")), 429, "default", refused),
        case((429, Some("IMPORT_REPOSITORY_NOT_READY")), 429, "default", refused),
        case((429, None), 429, "default", refused),
        Case { standing: Some("unknown"), ..case((500, Some("UNKNOWN")), 202, "pre_importing", started) },
        Case { standing: Some("unknown"), ..case((503, None), 202, "pre_importing", started) },
        case(
            (401, Some("UNAUTHORIZED")),
            502,
            "import_aborted",
            "abort_import_uncounted pre_importing>import_aborted",
        ),
        case(
            (400, Some("INVALID_QUERY_PARAMETER_VALUE")),
            502,
            "import_aborted",
            "abort_import_uncounted pre_importing>import_aborted",
        ),
        Case {
            retries: 1,
            ..case(
                (404, Some("MANIFEST_UNKNOWN")),
                502,
                "import_aborted",
                "abort_import pre_importing>import_aborted",
            )
        },
        case((404, None), 502, "default", refused),
        case((405, None), 502, "default", refused),
    ];
    for (number, case) in cases.iter().enumerate() {
        let path = format!("group/image{number}");
        repositories(&stack, &[&path]).await.unwrap();
        answers(&stack, &path, case.answer, case.proof);
        sql(
            &stack,
            &format!("UPDATE container_repositories SET detail = 'blob unknown' WHERE path = '{path}'"),
        )
        .await
        .unwrap();
        stack.registry().unwrap().journal().clear();

        let answer = stack.client().start(&path).await.unwrap();

        let name = format!("{:?}", case.answer);
        assert_eq!(answer.status().as_u16(), case.status, "{name}");
        assert_eq!(answer.headers().contains_key("retry-after"), case.status == 429, "{name}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["standing"].as_str(), case.standing, "{name}: {body}");
        let row = row(&stack, &path).await.unwrap();
        assert_eq!(row["migration_state"], case.state, "{name}");
        assert_eq!(row["version"], body["version"], "{name}: {body}");
        assert_eq!(row["skipped_reason"].as_i64(), case.reason, "{name}");
        assert_eq!(row["retries_count"], case.retries, "{name}");
        assert_eq!(
            row["detail"].is_null(),
            case.state == "import_done",
            "{name}: what failed before is over"
        );
        assert_eq!(history(&stack, &path).await.unwrap().last().unwrap(), case.last, "{name}");
        let asked = stack.registry().unwrap().journal().requests();
        let starts = asked.iter().filter(|request| request.operation == Operation::Start);
        let ids: Vec<_> = starts.map(|request| request.request_id.clone()).collect();
        let times = if case.answer.0 == 401 { 2 } else { 1 };
        assert_eq!(ids.len(), times, "{name}: a new token once, and nothing else twice");
        assert!(ids.iter().all(|id| id.is_some() && *id == ids[0]), "{name}: {ids:?}");
        sql(
            &stack,
            "UPDATE container_repositories SET not_before = now() + interval '1 h' WHERE slot IS NULL",
        )
        .await
        .unwrap();
        suite::release_the_brake(&stack).await.unwrap();
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_a_canceled_repository_alone_for_five_seconds() {
    let stack = stack().await.unwrap();
    for (path, code, least) in
        [("group/a", "IMPORT_RATE_LIMIT", 1.0), ("group/b", "IMPORT_REPOSITORY_NOT_READY", 5.0)]
    {
        repositories(&stack, &[path]).await.unwrap();
        answers(&stack, path, (429, Some(code)), None);
        stack.client().start(path).await.unwrap();
        let query = "SELECT extract(epoch FROM not_before - t.created_at)::float8 FROM container_repositories AS c
            JOIN migration_transitions AS t ON t.repository_id = c.id AND t.event = 'start_refused' WHERE path = $1";
        let wait: f64 =
            suite::primary(&stack).await.unwrap().query_one(query, &[&path]).await.unwrap().get(0);
        assert!((least..least + 3.0).contains(&wait), "{code}: {wait} s");
        suite::release_the_brake(&stack).await.unwrap();
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_with_the_pre_import_that_a_final_step_lacks() {
    for code in ["PRE_IMPORT_FAILED", "PRE_IMPORT_CANCELED", "PRE_IMPORT_REQUIRED"] {
        let stack = stack().await.unwrap();
        push_image(&stack.old_storage().unwrap(), "group/image").unwrap();
        given(&stack, "group/image", "pre_import_done", None).await.unwrap();
        let effect = Effect::Answer {
            status: 424,
            code: Some(code.to_owned()),
            detail: None,
            body: None,
            when: When::Before,
        };
        let rules = stack.registry().unwrap().rules();
        rules.add(Rule::new(effect).operation(Operation::Start).times(1));
        rules.add(Rule::new(Effect::LoseNotification));

        stack.functions().tick().await.unwrap();

        let row = row(&stack, "group/image").await.unwrap();
        assert_eq!(
            (row["migration_state"].as_str(), row["retries_count"].as_i64()),
            (Some("pre_importing"), Some(0))
        );
        assert_eq!(
            history(&stack, "group/image").await.unwrap()[1..],
            ["start_import pre_import_done>importing", "start_pre_import importing>pre_importing"]
        );
        let mut asked = stack.registry().unwrap().journal().requests();
        asked.retain(|request| request.operation == Operation::Start);
        let steps: Vec<_> = asked.iter().map(|request| request.step.unwrap()).collect();
        assert_eq!(steps, [Step::Final, Step::Pre]);
        assert_ne!(asked[0].request_id, asked[1].request_id, "each request is an attempt of its own");
        assert_eq!(row["attempt"].as_str(), asked[1].request_id.as_deref());
        stack.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_no_retry_for_a_registry_that_is_silent() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/not-there", "group/silent", "group/cut"]).await.unwrap();
    let functions = stack
        .run_functions(&[Function::StartMigration], |_, environment| {
            environment.insert("REGISTRY_URL".to_owned(), "http://127.0.0.1:1".to_owned());
        })
        .await
        .unwrap();
    let answer = stack.client_of(&functions).start("group/not-there").await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(state(&stack, "group/not-there").await.unwrap(), "default");
    functions.stop();

    let rules = stack.registry().unwrap().rules();
    rules
        .add(Rule::new(Effect::Hang { milliseconds: 60_000, when: When::Before }).repository("group/silent"));
    rules.add(Rule::new(Effect::Cut { when: When::Before }).repository("group/cut"));
    for path in ["group/silent", "group/cut"] {
        let answer = stack.client().start(path).await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{path}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["standing"], "unknown", "{path}");
        assert_eq!(state(&stack, path).await.unwrap(), "pre_importing");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_is_told_apart() {
    let stack = stack().await.unwrap();
    let states = ["pre_importing", "pre_import_done", "importing", "import_done", "import_skipped"];
    for state in states {
        given(&stack, &format!("group/{state}"), state, None).await.unwrap();
        let answer = stack.client().start(&format!("group/{state}")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{state}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body: Value = answer.json().await.unwrap();
        assert_eq!((body["migration_state"].as_str(), body["version"].as_i64()), (Some(state), Some(2)));
    }
    assert_eq!(stack.client().start("group/unknown").await.unwrap().status(), StatusCode::NOT_FOUND);

    repositories(&stack, &["group/image"]).await.unwrap();
    sql(&stack, "UPDATE migration_settings SET capacity = 3").await.unwrap();
    let full = stack.client().start("group/image").await.unwrap();
    assert_eq!(full.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(full.headers()["retry-after"], "5");

    sql(&stack, "UPDATE migration_settings SET capacity = 100, enabled = false").await.unwrap();
    let disabled = stack.client().start("group/image").await.unwrap();
    assert_eq!(disabled.status(), StatusCode::CONFLICT);
    let body: Value = disabled.json().await.unwrap();
    assert_eq!(body["type"], "urn:registry-migration:migrations-disabled");
    assert!(stack.registry().unwrap().journal().requests().is_empty());

    let stranger =
        stack.client().request(reqwest::Method::POST, "/migrations/start/group/image").send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn adopts_a_step_whose_202_was_lost_with_its_attempt() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/image"]).await.unwrap();
    let rules = stack.registry().unwrap().rules();
    let hold = rules.add(Rule::new(Effect::Hold { at: local::local_registry::Point::Work }));
    let first: Value = stack.client().start("group/image").await.unwrap().json().await.unwrap();
    // As if the driver had lost sight of the attempt: it is aborted while the registry runs it.
    let client = suite::primary(&stack).await.unwrap();
    client
        .batch_execute(
            "UPDATE migration_slots SET repository_id = NULL;
             UPDATE container_repositories SET migration_state = 'import_aborted', slot = NULL, aborted_at = now(),
                 aborted_in_state = 'pre_importing', resume_state = NULL, version = version + 1",
        )
        .await
        .unwrap();

    let second: Value = stack.client().start("group/image").await.unwrap().json().await.unwrap();

    assert_eq!(second["standing"], "running", "{second}");
    assert_eq!(second["attempt"], first["attempt"]);
    rules.remove(hold);
    suite::until_state(&stack, "group/image", "import_done").await.unwrap();
    assert_eq!(row(&stack, "group/image").await.unwrap()["retries_count"], 0);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn adopts_no_attempt_that_was_never_accepted() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/image"]).await.unwrap();
    let refusals = [(404, "MANIFEST_UNKNOWN"), (429, "IMPORT_REPOSITORY_NOT_READY"), (403, "DENIED")];
    for (status, code) in refusals {
        answers(&stack, "group/image", (status, Some(code)), None);
        let refused = stack.client().start("group/image").await.unwrap();
        assert!(refused.status().is_client_error() || refused.status().is_server_error(), "{code}");
    }
    answers(&stack, "group/image", (425, Some("PRE_IMPORT_IN_PROGRESS")), None);

    let adopted: Value = stack.client().start("group/image").await.unwrap().json().await.unwrap();

    assert_eq!((&adopted["standing"], &adopted["attempt"]), (&json!("running"), &Value::Null), "{adopted}");
    // The slot that is freed would be given to it again.
    sql(&stack, "UPDATE migration_settings SET enabled = false").await.unwrap();
    let somebody = Some("00000000-0000-4000-8000-000000000001");
    let answer = stack.client().notify("group/image", "pre_import_failed", somebody).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(state(&stack, "group/image").await.unwrap(), "import_aborted", "it takes any attempt's end");
    stack.stop().await.unwrap();
}
