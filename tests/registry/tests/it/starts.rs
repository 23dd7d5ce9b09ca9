//! `PUT` and `GET /gitlab/v1/import/<path>/`: a test for each row.

use std::time::Duration;

use local_registry::{Effect, Operation, Rule, Status};
use reqwest::Method;

use crate::bench::{Bench, IMAGE, claims, token};

#[tokio::test]
async fn refuses_a_start_at_the_maximum_before_all_else() {
    let bench = Bench::new().await;
    bench.bring_to(Status::ImportComplete).await;
    bench.registry.set_max_concurrent_imports(0);
    bench.start(IMAGE, "pre").await.is_error(429, "IMPORT_RATE_LIMIT");
    bench.start(IMAGE, "nonsense").await.is_error(429, "IMPORT_RATE_LIMIT");
    bench.start("not/there", "pre").await.is_error(429, "IMPORT_RATE_LIMIT");
    bench.registry.set_max_concurrent_imports(1);
    bench.start(IMAGE, "pre").await.is(200);
}

#[tokio::test]
async fn a_refused_start_takes_no_slot() {
    let bench = Bench::with(|config| config.max_concurrent_imports = 1).await;
    for _ in 0..3 {
        bench.start(IMAGE, "nonsense").await.is(400);
        bench.start("not/there", "pre").await.is(404);
        bench.start(IMAGE, "final").await.is(424);
    }
    bench.run(IMAGE, "pre").await;
}

#[tokio::test]
async fn an_import_type_that_is_none_is_refused() {
    let bench = Bench::new().await;
    for import_type in ["", "PRE", "both", "pre%20"] {
        bench.start(IMAGE, import_type).await.is_error(400, "INVALID_QUERY_PARAMETER_VALUE");
    }
    let without =
        bench.call(Method::PUT, &format!("/gitlab/v1/import/{IMAGE}/")).bearer_auth(token(&claims()));
    bench.send(without).await.is_error(400, "INVALID_QUERY_PARAMETER_VALUE");
}

#[tokio::test]
async fn a_native_repository_needs_no_import() {
    let bench = Bench::new().await;
    bench.bring_to(Status::Native).await;
    for import_type in ["pre", "final"] {
        bench.start(IMAGE, import_type).await.is(200);
    }
    assert!(bench.receiver.received().is_empty());
}

#[tokio::test]
async fn an_imported_repository_needs_no_import() {
    let bench = Bench::new().await;
    bench.bring_to(Status::ImportComplete).await;
    for import_type in ["pre", "final"] {
        let answer = bench.start(IMAGE, import_type).await;
        answer.is(200);
        assert_eq!(answer.text, "");
    }
}

#[tokio::test]
async fn while_a_pre_import_runs_another_start_is_too_early() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportInProgress).await;
    for import_type in ["pre", "final"] {
        bench.start(IMAGE, import_type).await.is_error(425, "PRE_IMPORT_IN_PROGRESS");
    }
}

#[tokio::test]
async fn while_a_final_import_runs_another_start_is_a_conflict() {
    let bench = Bench::new().await;
    bench.bring_to(Status::ImportInProgress).await;
    for import_type in ["pre", "final"] {
        bench.start(IMAGE, import_type).await.is_error(409, "IMPORT_IN_PROGRESS");
    }
}

#[tokio::test]
async fn after_a_failed_pre_import_only_another_one_may_start() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportFailed).await;
    bench.start(IMAGE, "final").await.is_error(424, "PRE_IMPORT_FAILED");
    bench.run(IMAGE, "pre").await;
    bench.reaches(IMAGE, Status::PreImportComplete).await;
}

#[tokio::test]
async fn right_after_a_canceled_pre_import_nothing_may_start() {
    let bench = Bench::with(|config| config.cancel_settle = Duration::from_secs(3600)).await;
    bench.bring_to(Status::PreImportCanceled).await;
    for import_type in ["pre", "final"] {
        bench.start(IMAGE, import_type).await.is_error(429, "IMPORT_REPOSITORY_NOT_READY");
    }
}

#[tokio::test]
async fn some_time_after_a_canceled_pre_import_another_one_may_start() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportCanceled).await;
    bench.start(IMAGE, "final").await.is_error(424, "PRE_IMPORT_CANCELED");
    bench.run(IMAGE, "pre").await;
    bench.reaches(IMAGE, Status::PreImportComplete).await;
}

#[tokio::test]
async fn what_is_not_on_the_old_storage_is_unknown() {
    let bench = Bench::new().await;
    for import_type in ["pre", "final"] {
        let answer = bench.start("not/there", import_type).await;
        answer.is_error(404, "NAME_UNKNOWN");
        assert_eq!(answer.json()["errors"][0]["detail"], "repository path not/there");
    }
    // A folder above a repository is none itself.
    bench.start("group/project", "pre").await.is_error(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn a_final_import_needs_a_pre_import_first() {
    let bench = Bench::new().await;
    bench.start(IMAGE, "final").await.is_error(424, "PRE_IMPORT_REQUIRED");
}

#[tokio::test]
async fn a_pre_import_may_be_repeated() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportComplete).await;
    bench.run(IMAGE, "pre").await;
    assert_eq!(bench.receiver.received().len(), 2);
}

#[tokio::test]
async fn a_failed_or_canceled_final_import_may_be_repeated() {
    for status in [Status::ImportFailed, Status::ImportCanceled] {
        let bench = Bench::new().await;
        bench.bring_to(status).await;
        bench.run(IMAGE, "final").await;
        bench.reaches(IMAGE, Status::ImportComplete).await;
    }
}

#[tokio::test]
async fn a_pre_import_may_follow_a_failed_or_canceled_final_import() {
    for status in [Status::ImportFailed, Status::ImportCanceled] {
        let bench = Bench::new().await;
        bench.bring_to(status).await;
        bench.run(IMAGE, "pre").await;
        bench.reaches(IMAGE, Status::PreImportComplete).await;
    }
}

#[tokio::test]
async fn a_server_error_is_unknown() {
    let bench = Bench::new().await;
    let answer = Effect::Answer {
        status: 500,
        code: Some("UNKNOWN".into()),
        detail: None,
        body: None,
        when: Default::default(),
    };
    bench.registry.rules().add(Rule::new(answer).times(1));
    bench.start(IMAGE, "pre").await.is_error(500, "UNKNOWN");
    bench.status(IMAGE).await.is(404);
}

#[tokio::test]
async fn an_error_says_its_code_a_message_and_the_path() {
    let bench = Bench::new().await;
    let answer = bench.start(IMAGE, "final").await;
    let error = &answer.json()["errors"][0];
    assert_eq!(error["detail"], format!("repository path {IMAGE}"));
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn redirects_calls_without_the_trailing_slash() {
    let bench = Bench::new().await;
    let path = format!("/gitlab/v1/import/{IMAGE}");
    for method in [Method::PUT, Method::GET, Method::DELETE] {
        let call = bench.call(method, &format!("{path}?import_type=pre")).bearer_auth(token(&claims()));
        let answer = bench.send(call).await;
        answer.is(301);
        assert_eq!(answer.header("location"), format!("{path}/?import_type=pre"));
    }
    bench.get("/gitlab/v1").await.is(301);
    bench.status(IMAGE).await.is(404);
}

#[tokio::test]
async fn what_cannot_be_a_name_is_not_routed() {
    let bench = Bench::new().await;
    for path in ["Group/Image", "a//b", "a%2F..%2Fb", "-a", "a%20b", "%ff"] {
        let answer = bench.start(path, "pre").await;
        assert!(matches!(answer.status, 404 | 400), "{path}: {answer:?}");
        assert!(!answer.text.starts_with('{'), "{path}: {answer:?}");
    }
    let post = bench.call(Method::POST, &format!("/gitlab/v1/import/{IMAGE}/"));
    bench.send(post.bearer_auth(token(&claims()))).await.is(405);
}

#[tokio::test]
async fn an_escaped_slash_is_a_slash() {
    let bench = Bench::new().await;
    bench.start(&IMAGE.replace('/', "%2F"), "pre").await.is(202);
    bench.reaches(IMAGE, Status::PreImportComplete).await;
}

#[tokio::test]
async fn every_status_is_told_with_its_detail() {
    for (status, detail) in [
        (Status::Native, "native"),
        (Status::PreImportInProgress, "pre_import_in_progress"),
        (Status::PreImportComplete, "pre import completed successfully"),
        (Status::PreImportFailed, "on request"),
        (Status::PreImportCanceled, "pre import was canceled manually"),
        (Status::ImportInProgress, "import_in_progress"),
        (Status::ImportComplete, "final import completed successfully"),
        (Status::ImportFailed, "on request"),
        (Status::ImportCanceled, "final import was canceled manually"),
    ] {
        let bench = Bench::new().await;
        bench.bring_to(status).await;
        let answer = bench.status(IMAGE).await;
        answer.is(200);
        let expected = serde_json::json!({
            "name": "image", "path": IMAGE, "status": status.as_str(), "detail": detail,
        });
        assert_eq!(answer.json(), expected);
    }
}

#[tokio::test]
async fn a_stored_error_is_told_cut_to_255_characters() {
    let bench = Bench::new().await;
    bench.registry.rules().add(Rule::new(Effect::Fail { error: "x".repeat(400) }));
    bench.run(IMAGE, "pre").await;
    assert_eq!(bench.status(IMAGE).await.json()["detail"], "x".repeat(255));
    assert_eq!(bench.receiver.received()[0].body["detail"], "x".repeat(255));
}

#[tokio::test]
async fn a_status_that_is_not_known_is_404_with_nothing_in_it() {
    let bench = Bench::new().await;
    for path in [IMAGE, "not/there"] {
        let answer = bench.status(path).await;
        answer.is(404);
        assert_eq!(answer.text, "");
    }
}

#[tokio::test]
async fn an_answer_carries_the_id_of_its_call() {
    let bench = Bench::new().await;
    let answer = bench.send(bench.start_call(IMAGE, "pre", "the-attempt")).await;
    assert_eq!(answer.header("x-request-id"), "the-attempt");
    let made_up = bench.status(IMAGE).await;
    assert!(made_up.header("x-request-id").len() > 8);
}

#[tokio::test]
async fn the_journal_tells_each_call_and_its_answer() {
    let bench = Bench::new().await;
    bench.send(bench.start_call(IMAGE, "final", "first")).await;
    bench.get("/gitlab/v1/").await;
    let requests = bench.registry.journal().requests();
    let told: Vec<_> = requests
        .iter()
        .map(|r| {
            (r.operation, r.path.as_deref(), r.request_id.as_deref(), r.answered, r.error_code.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [
            (Operation::Start, Some(IMAGE), Some("first"), Some(424), Some("PRE_IMPORT_REQUIRED")),
            (Operation::Probe, None, None, Some(200), None),
        ]
    );
}
